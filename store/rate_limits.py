"""How many calls in a minute or an hour, counted for all processes together: each begins with its first call."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, bindparam, text

from store.database.prepared import PreparedStatement
from store.tables import RateLimitRow, table

RATE_LIMIT = table(RateLimitRow)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
# So begin the names that are counted by the hour.
HOURLY = "hour "


@dataclass(frozen=True)
class Counted:
    """The calls so far of a minute or an hour, the present one with them."""

    calls: int
    window_started_at: datetime


COUNT = PreparedStatement(
    text(
        "INSERT INTO rate_limit (name, window_started_at, calls) VALUES (:name, :now, 1) "
        "ON CONFLICT (name) DO UPDATE SET "
        "calls = CASE WHEN rate_limit.window_started_at > :over THEN rate_limit.calls + 1 ELSE 1 END, "
        "window_started_at = CASE WHEN rate_limit.window_started_at > :over "
        "THEN rate_limit.window_started_at ELSE excluded.window_started_at END "
        "RETURNING calls, window_started_at"
    )
    .bindparams(
        bindparam("now", type_=RATE_LIMIT.c.window_started_at.type),
        bindparam("over", type_=RATE_LIMIT.c.window_started_at.type),
    )
    .columns(RATE_LIMIT.c.calls, RATE_LIMIT.c.window_started_at)
)


def count(connection: Connection, name: str, now: datetime) -> Counted:
    """Count one more call: of this minute, or of this hour where the name begins with HOURLY."""
    span = HOUR if name.startswith(HOURLY) else MINUTE
    (row,) = COUNT.rows(connection, {"name": name, "now": now, "over": now - span})
    return Counted(*row)


def is_old(before: datetime) -> ColumnElement[bool]:
    """Minutes and hours that began before a time, which an hour ago at the latest is."""
    return RATE_LIMIT.c.window_started_at <= before
