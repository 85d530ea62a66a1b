"""What providers are asked for: when, from where on, and the texts that were fetched and not yet heard."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from store.tables.base import CLUSTERED, moment


class PollRoundRow(SQLModel, table=True):
    """Something that a provider is asked for again and again, by one process at a time on all hosts."""

    __tablename__: ClassVar[str] = "poll_round"
    __table_args__: ClassVar[dict[str, Any]] = CLUSTERED

    name: str = Field(max_length=40, primary_key=True)  # the gateway and what it is asked for
    next_attempt_at: datetime = moment()  # while it is being asked: when another process may
    cursor: str = Field(default="", max_length=64)


class PolledMessageRow(SQLModel, table=True):
    """A text that was fetched and is not yet heard: its sender and words encrypted. The row goes when it is heard."""

    __tablename__: ClassVar[str] = "polled_message"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        UniqueConstraint("gateway", "provider_id", name="polled_message_once"),
    )

    id: int | None = Field(default=None, primary_key=True)  # in the order of their coming
    gateway: str = Field(max_length=20)
    provider_id: str = Field(max_length=64)
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    stored_at: datetime = moment()
    next_attempt_at: datetime = moment()  # while it is being heard: when another process may
    attempts: int = Field(default=0)
