"""What was heard: where the dialog with each phone stands, and the texts that brought it there."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from store.tables.base import CLUSTERED, moment, only


class ConversationRow(SQLModel, table=True):
    """Where the dialog with one phone stands. `version` counts the texts heard, so that two at once show."""

    __tablename__: ClassVar[str] = "conversation"
    __table_args__: ClassVar[dict[str, Any]] = CLUSTERED

    phone: str = Field(max_length=16, primary_key=True)
    version: int = Field(default=1)
    state: str = Field(max_length=40)
    table_version: int
    language: str | None = Field(default=None, max_length=8)
    ends_at: datetime | None = moment(default=None)
    heard_at: datetime = moment()
    opted_out_at: datetime | None = moment(default=None)
    window_started_at: datetime = moment()  # the hour that the next two counts are of
    asked: int = Field(default=0)
    hinted: int = Field(default=0)
    shrugged: int = Field(default=0)  # with no hour between them
    shrugged_at: datetime | None = moment(default=None)
    stop_confirmed_at: datetime | None = moment(default=None)  # the last STOP that was answered


class InboundMessageRow(SQLModel, table=True):
    """A text that was heard: its id and what it meant, never its words."""

    __tablename__: ClassVar[str] = "inbound_message"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        # Few texts are: it costs the others nothing.
        Index("inbound_message_unanswered", "heard_at", **only("event = 'unanswered'")),
        CLUSTERED,
    )

    gateway: str = Field(max_length=20, primary_key=True)
    provider_id: str = Field(max_length=64, primary_key=True)
    heard_at: datetime = moment()
    event: str = Field(max_length=40)
