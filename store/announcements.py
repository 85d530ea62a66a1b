"""What Fakher is told, an outbox of its own: a Fakher that hangs holds up no text, and a text no event."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from store.outbox import KEPT
from store.tables import Account, Announcement, table

ANNOUNCEMENT, ACCOUNT = table(Announcement), table(Account)
_OPEN = ANNOUNCEMENT.c.ended_at.is_(None)


@dataclass(frozen=True)
class Due:
    """An event that is this process's to post until its lease ends."""

    id: str
    event: str
    happened_at: datetime
    attempts: int
    national_id: str = field(repr=False)
    username: str = field(repr=False)


def queue(connection: Connection, row: dict[str, Any]) -> None:
    """Write an event to be posted at once. Keys: id, event, account_id, happened_at."""
    connection.execute(insert(ANNOUNCEMENT), row | {"due_at": row["happened_at"], "attempts": 0})


def is_due(connection: Connection, now: datetime) -> bool:
    """Whether any event waits to be posted now."""
    waiting = select(ANNOUNCEMENT.c.id).where(_OPEN, ANNOUNCEMENT.c.due_at <= now).limit(1)
    return connection.execute(waiting).first() is not None


def claim(connection: Connection, now: datetime, most: int, lease: timedelta) -> list[Due]:
    """Take up to `most` due events, the oldest first; each is one process's until the lease ends."""
    due = select(ANNOUNCEMENT.c.id).where(_OPEN, ANNOUNCEMENT.c.due_at <= now).order_by(ANNOUNCEMENT.c.happened_at)
    taken = (
        update(ANNOUNCEMENT)
        .where(ANNOUNCEMENT.c.id.in_(due.limit(most).with_for_update(skip_locked=True)))
        .values(due_at=now + lease, attempts=ANNOUNCEMENT.c.attempts + 1)
        .returning(ANNOUNCEMENT.c.id)
    )
    mine = list(connection.execute(taken).scalars())
    columns = (ANNOUNCEMENT.c.id, ANNOUNCEMENT.c.event, ANNOUNCEMENT.c.happened_at, ANNOUNCEMENT.c.attempts)
    told = select(*columns, ACCOUNT.c.national_id, ACCOUNT.c.username).join(ACCOUNT).where(ANNOUNCEMENT.c.id.in_(mine))
    return [Due(*row) for row in connection.execute(told.order_by(ANNOUNCEMENT.c.happened_at, ANNOUNCEMENT.c.id))]


def end(connection: Connection, announcement_id: str, now: datetime, error: str | None = None) -> None:
    """Note that an event was taken; or, with an error, that it is given up."""
    ended: dict[str, Any] = {"ended_at": now, "error": error}
    if error is None:
        ended["taken_at"] = now
    connection.execute(update(ANNOUNCEMENT).where(ANNOUNCEMENT.c.id == announcement_id, _OPEN).values(ended))


def retry(connection: Connection, announcement_id: str, at: datetime, error: str) -> None:
    """Note when to post an event again."""
    waiting = update(ANNOUNCEMENT).where(ANNOUNCEMENT.c.id == announcement_id, _OPEN)
    connection.execute(waiting.values(due_at=at, error=error))


def oldest_waiting(connection: Connection) -> datetime | None:
    """When the event that waits longest happened."""
    oldest: datetime | None = connection.execute(select(func.min(ANNOUNCEMENT.c.happened_at)).where(_OPEN)).scalar_one()
    return oldest


def forget_old(connection: Connection, now: datetime) -> int:
    """Drop events that ended long ago."""
    return connection.execute(delete(ANNOUNCEMENT).where(ANNOUNCEMENT.c.ended_at < now - KEPT)).rowcount
