"""What was heard: where the dialog with each phone stands, and the texts that brought it there."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Index, text, true
from sqlmodel import Field, SQLModel

from store.tables.base import CLUSTERED, moment, only


class ConversationRow(SQLModel, table=True):
    """Where the dialog with one phone stands. `version` counts the texts heard, so that two at once show."""

    __tablename__: ClassVar[str] = "conversation"
    __table_args__: ClassVar[dict[str, Any]] = CLUSTERED

    phone: str = Field(max_length=16, primary_key=True)
    version: int = Field(default=1)
    state: str = Field(max_length=40)
    language: str | None = Field(default=None, max_length=8)
    ends_at: datetime | None = moment(default=None)  # when the state ends by itself
    last_text_at: datetime = moment()
    opted_out_at: datetime | None = moment(default=None)
    window_started_at: datetime = moment()  # the hour that the next three counts are of
    requests_this_hour: int = Field(default=0)
    starts_this_hour: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    hints_this_hour: int = Field(default=0)
    unparsed_replies: int = Field(default=0)  # with no hour between them
    unparsed_replied_at: datetime | None = moment(default=None)


class InboundMessageRow(SQLModel, table=True):
    """A text that was heard: its id and what it meant, never its words."""

    __tablename__: ClassVar[str] = "inbound_message"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        # Few texts are not answered: it costs the others nothing.
        Index("inbound_message_unanswered", "received_at", **only("answered = FALSE")),
        CLUSTERED,
    )

    gateway: str = Field(max_length=20, primary_key=True)
    provider_id: str = Field(max_length=64, primary_key=True)
    received_at: datetime = moment()
    event: str = Field(max_length=40)
    answered: bool = Field(default=True, sa_column_kwargs={"server_default": true()})  # whether anything was said
