"""How many calls in a minute, counted for all processes together: a minute begins with its first call."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, select, text

from store.dialect import Prepared
from store.tables import Rate, table

RATE = table(Rate)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Counted:
    """A minute's calls so far, the present one with them."""

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
    """Count one more call."""
    (row,) = COUNT.rows(connection, {"name": name, "now": now, "over": now - MINUTE})
    return Counted(*row)


def forget_old(connection: Connection, now: datetime) -> int:
    """Drop minutes that are over, but for those that a call is just counting on: the two must not lock each other."""
    over = select(RATE.c.name).where(RATE.c.began_at <= now - MINUTE).with_for_update(skip_locked=True)
    return connection.execute(delete(RATE).where(RATE.c.name.in_(over))).rowcount
