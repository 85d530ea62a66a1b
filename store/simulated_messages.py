"""What the simulated carrier delivered, so that every process sees the same phones."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, insert, select

from store.tables import FINAL, OutboundMessageRow, SimulatedMessageRow, table

SIMULATED, MESSAGE = table(SimulatedMessageRow), table(OutboundMessageRow)


class Arrival(NamedTuple):
    """A text on a phone's screen, still sealed."""

    id: int
    provider_id: str
    sealed: bytes
    arrived_at: datetime


def deliver(connection: Connection, phone: str, provider_id: str, sealed: bytes, now: datetime) -> None:
    """Put a text on a phone."""
    row = {"phone": phone, "provider_id": provider_id, "sealed": sealed, "arrived_at": now}
    connection.execute(insert(SIMULATED), row)


def arrivals(connection: Connection, phone: str, after: int = 0) -> list[Arrival]:
    """The carrier's texts to a phone with a later id than this one, in the order in which they arrive, or will."""
    columns = (SIMULATED.c.id, SIMULATED.c.provider_id, SIMULATED.c.sealed, SIMULATED.c.arrived_at)
    there = select(*columns).where(SIMULATED.c.phone == phone, SIMULATED.c.id > after)
    return [Arrival(*row) for row in connection.execute(there.order_by(SIMULATED.c.arrived_at, SIMULATED.c.id))]


def unconfirmed(connection: Connection, phone: str, now: datetime) -> list[str]:
    """The carrier's names of the texts that should have reached a phone by now, while the bot does not know of it."""
    same = SIMULATED.c.provider_id == MESSAGE.c.provider_id
    there = select(SIMULATED.c.provider_id).join(MESSAGE, same).where(MESSAGE.c.status < FINAL)
    there = there.where(SIMULATED.c.phone == phone, SIMULATED.c.arrived_at <= now)
    return list(connection.execute(there.order_by(SIMULATED.c.id)).scalars())


def is_old(before: datetime) -> ColumnElement[bool]:
    """Texts that arrived before a time."""
    return SIMULATED.c.arrived_at < before
