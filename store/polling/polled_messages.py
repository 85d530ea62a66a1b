"""Texts that were fetched from a provider and are not yet heard. One is claimed by moving its next attempt on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, select, update

from store.database.dialect import InsertOrSkip, not_held
from store.tables import InboundMessageRow, PolledMessageRow, table

WAITING, INBOUND = table(PolledMessageRow), table(InboundMessageRow)


@dataclass(frozen=True)
class Fetched:
    """A text that is this process's to hear until its lease ends. `attempts` counts from 1."""

    id: int
    gateway: str
    provider_id: str
    sealed: bytes = field(repr=False)
    attempts: int


_FETCHED = tuple(WAITING.c[name] for name in Fetched.__dataclass_fields__)


def put(connection: Connection, gateway: str, texts: Sequence[tuple[str, bytes]], now: datetime) -> int:
    """Keep texts, each a provider's id and its sealed words, but for those heard or kept before; how many are new."""
    names = [name for name, _ in texts]
    heard = select(INBOUND.c.provider_id).where(INBOUND.c.gateway == gateway, INBOUND.c.provider_id.in_(names))
    known = set(connection.execute(heard).scalars()) if names else set()
    new = 0
    for name, sealed in texts:
        if name not in known:
            row: dict[str, Any] = {"gateway": gateway, "provider_id": name, "sealed": sealed, "attempts": 0}
            skipping = InsertOrSkip(WAITING).values(**row, stored_at=now, next_attempt_at=now).inline()
            new += connection.execute(skipping.execution_options(preserve_rowcount=True)).rowcount == 1
    return new


def is_due(connection: Connection, now: datetime) -> bool:
    """Whether any text waits to be heard."""
    return connection.execute(select(WAITING.c.id).where(WAITING.c.next_attempt_at <= now).limit(1)).first() is not None


def claim(connection: Connection, now: datetime, lease: timedelta, most: int) -> list[Fetched]:
    """Take up to so many texts that wait, the oldest first."""
    due = select(WAITING.c.id).where(WAITING.c.next_attempt_at <= now).order_by(WAITING.c.id).limit(most)
    taking = update(WAITING).where(WAITING.c.id.in_(not_held(due)))
    taking = taking.values(next_attempt_at=now + lease, attempts=WAITING.c.attempts + 1)
    rows = connection.execute(taking.returning(*_FETCHED)).all()
    return sorted((Fetched(*row) for row in rows), key=lambda text: text.id)


def erase(connection: Connection, text: Fetched) -> None:
    """Drop a text: it was heard, or never can be."""
    connection.execute(delete(WAITING).where(WAITING.c.id == text.id))


def is_old(before: datetime) -> ColumnElement[bool]:
    """Texts fetched before a time."""
    return WAITING.c.stored_at < before
