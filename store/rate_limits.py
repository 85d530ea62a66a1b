"""How many calls in a minute or an hour, counted for all processes together: each begins with its first call."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, or_, select, text

from store.database.dialect import PreparedStatement
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


def forget_old(connection: Connection, now: datetime) -> int:
    """Drop what is over, but for what a call is just counting on: the two must not lock each other."""
    hourly = RATE_LIMIT.c.name.startswith(HOURLY)
    done = or_(RATE_LIMIT.c.window_started_at <= now - HOUR, ~hourly & (RATE_LIMIT.c.window_started_at <= now - MINUTE))
    over = select(RATE_LIMIT.c.name).where(done).with_for_update(skip_locked=True)
    return connection.execute(delete(RATE_LIMIT).where(RATE_LIMIT.c.name.in_(over))).rowcount
