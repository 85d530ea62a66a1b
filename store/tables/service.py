"""What the service itself goes by: season, limits on calls, heartbeats, the keys it knows, who may send how fast."""

from datetime import date, datetime
from typing import Any, ClassVar

from sqlmodel import Field, SQLModel

from store.tables.base import CLUSTERED, hashed, moment


class SeasonRow(SQLModel, table=True):
    """The Umrah operation; one row at most. Both days are within it, by Tehran's clock."""

    __tablename__: ClassVar[str] = "season"

    id: int = Field(default=1, primary_key=True)
    opens: date
    closes: date


class RateLimitRow(SQLModel, table=True):
    """How many calls have been made in a minute or an hour: by a token, about an account, from an address."""

    __tablename__: ClassVar[str] = "rate_limit"
    __table_args__: ClassVar[dict[str, Any]] = CLUSTERED

    name: str = Field(max_length=80, primary_key=True)
    window_started_at: datetime = moment()
    calls: int


class HeartbeatRow(SQLModel, table=True):
    """When a job last ran to its end, in any process; or when one process last did what is done once for all."""

    __tablename__: ClassVar[str] = "heartbeat"

    job: str = Field(max_length=40, primary_key=True)
    last_run_at: datetime = moment()


class KeyCheckRow(SQLModel, table=True):
    """A key of SECRET_KEYS that was in front once, by a value that opens nothing. The highest turn was the last."""

    __tablename__: ClassVar[str] = "key_check"

    key_id: str = Field(max_length=32, primary_key=True)
    digest: bytes = hashed()
    turn: int


class SendShareRow(SQLModel, table=True):
    """How many texts a second a process may send: its lease on MESSAGES_PER_SECOND, which all processes share."""

    __tablename__: ClassVar[str] = "send_share"
    __table_args__: ClassVar[dict[str, Any]] = CLUSTERED

    process: str = Field(max_length=22, primary_key=True)
    per_second: int
    renewals: int  # counts up while the process lives
    host: str | None = Field(default=None, max_length=64)  # which kernel's start, and which of its spaces of ids
    pid: int | None = None  # the process's id there
