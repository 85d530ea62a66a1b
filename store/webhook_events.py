"""Events that are posted to Fakher. They wait apart from texts, so that neither holds up the other."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from store.database.dialect import not_held
from store.tables import AccountRow, WebhookEventRow, table

EVENT, ACCOUNT = table(WebhookEventRow), table(AccountRow)
_OPEN = EVENT.c.ended_at.is_(None)


@dataclass(frozen=True)
class Due:
    """An event that is this process's to post until its lease ends."""

    id: str
    event: str
    happened_at: datetime
    attempts: int
    national_id: str = field(repr=False)
    username: str = field(repr=False)


@dataclass(frozen=True)
class NewEvent:
    """An event to be written."""

    id: str
    event: str
    account_id: int
    happened_at: datetime


def queue(connection: Connection, event: NewEvent) -> None:
    """Write an event to be posted at once."""
    connection.execute(insert(EVENT), {**vars(event), "next_attempt_at": event.happened_at, "attempts": 0})


def is_due(connection: Connection, now: datetime) -> bool:
    """Whether any event waits to be posted now."""
    waiting = select(EVENT.c.id).where(_OPEN, EVENT.c.next_attempt_at <= now).limit(1)
    return connection.execute(waiting).first() is not None


def claim(connection: Connection, now: datetime, most: int, lease: timedelta) -> list[Due]:
    """Take up to `most` due events, the oldest first; each is one process's until the lease ends."""
    due = select(EVENT.c.id).where(_OPEN, EVENT.c.next_attempt_at <= now).order_by(EVENT.c.happened_at)
    taken = (
        update(EVENT)
        .where(EVENT.c.id.in_(not_held(due.limit(most))))
        .values(next_attempt_at=now + lease, attempts=EVENT.c.attempts + 1)
        .returning(EVENT.c.id)
    )
    mine = list(connection.execute(taken).scalars())
    columns = (EVENT.c.id, EVENT.c.event, EVENT.c.happened_at, EVENT.c.attempts)
    told = select(*columns, ACCOUNT.c.national_id, ACCOUNT.c.username).join(ACCOUNT).where(EVENT.c.id.in_(mine))
    return [Due(*row) for row in connection.execute(told.order_by(EVENT.c.happened_at, EVENT.c.id))]


def end(connection: Connection, event_id: str, now: datetime, error: str | None = None) -> None:
    """Note that an event was taken; or, with an error, that it is given up."""
    still_open = update(EVENT).where(EVENT.c.id == event_id, _OPEN)
    connection.execute(still_open.values(ended_at=now, error=error))


def retry(connection: Connection, event_id: str, at: datetime, error: str) -> None:
    """Note when to post an event again."""
    waiting = update(EVENT).where(EVENT.c.id == event_id, _OPEN)
    connection.execute(waiting.values(next_attempt_at=at, error=error))


def oldest_waiting(connection: Connection) -> datetime | None:
    """When the event that waits longest happened."""
    oldest: datetime | None = connection.execute(select(func.min(EVENT.c.happened_at)).where(_OPEN)).scalar_one()
    return oldest


def is_old(before: datetime) -> ColumnElement[bool]:
    """Events that ended before a time."""
    return EVENT.c.ended_at < before
