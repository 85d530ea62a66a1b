"""How many calls in a minute or an hour, counted for all processes together: each begins with its first call."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, or_, select, text

from store.dialect import Prepared
from store.tables import Rate, table

RATE = table(Rate)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
# So begin the names that are counted by the hour.
HOURLY = "hour "


@dataclass(frozen=True)
class Counted:
    """The calls so far of a minute or an hour, the present one with them."""

    calls: int
    began_at: datetime


COUNT = Prepared(
    text(
        "INSERT INTO rate (name, began_at, calls) VALUES (:name, :now, 1) ON CONFLICT (name) DO UPDATE SET "
        "calls = CASE WHEN rate.began_at > :over THEN rate.calls + 1 ELSE 1 END, "
        "began_at = CASE WHEN rate.began_at > :over THEN rate.began_at ELSE excluded.began_at END "
        "RETURNING calls, began_at"
    )
    .bindparams(bindparam("now", type_=RATE.c.began_at.type), bindparam("over", type_=RATE.c.began_at.type))
    .columns(RATE.c.calls, RATE.c.began_at)
)


def count(connection: Connection, name: str, now: datetime) -> Counted:
    """Count one more call: of this minute, or of this hour where the name begins with HOURLY."""
    span = HOUR if name.startswith(HOURLY) else MINUTE
    (row,) = COUNT.rows(connection, {"name": name, "now": now, "over": now - span})
    return Counted(*row)


def forget_old(connection: Connection, now: datetime) -> int:
    """Drop what is over, but for what a call is just counting on: the two must not lock each other."""
    hourly = RATE.c.name.startswith(HOURLY)
    done = or_(RATE.c.began_at <= now - HOUR, ~hourly & (RATE.c.began_at <= now - MINUTE))
    over = select(RATE.c.name).where(done).with_for_update(skip_locked=True)
    return connection.execute(delete(RATE).where(RATE.c.name.in_(over))).rowcount
