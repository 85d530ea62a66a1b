"""Fakher's tokens, and the events that it is told."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from store.tables.base import CLUSTERED, hashed, moment, only


class TokenRow(SQLModel, table=True):
    """A bearer token of Fakher's, as its SHA-256: it is 128 random bits, which no key need protect."""

    __tablename__: ClassVar[str] = "token"

    id: str = Field(max_length=22, primary_key=True)
    name: str = Field(max_length=60)
    digest: bytes = hashed()
    created_at: datetime = moment()
    expires_at: datetime = moment()
    revoked_at: datetime | None = moment(default=None)
    last_used_at: datetime | None = moment(default=None)  # to the minute


class WebhookEventRow(SQLModel, table=True):
    """Something that Fakher is told, until it has taken it or a day has passed."""

    __tablename__: ClassVar[str] = "webhook_event"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index("webhook_event_due", "next_attempt_at", **only("ended_at IS NULL")),
        CLUSTERED,
    )

    id: str = Field(max_length=22, primary_key=True)
    event: str = Field(max_length=40)
    account_id: int = Field(foreign_key="account.id")
    happened_at: datetime = moment()
    next_attempt_at: datetime = moment()  # while it is being posted: when another process may take it over
    attempts: int = Field(default=0)
    ended_at: datetime | None = moment(default=None)  # taken, or given up
    error: str | None = Field(default=None, max_length=80)
