"""What the simulated carrier delivered, so that every process sees the same phones."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select

from store.tables import Handset, table

HANDSET = table(Handset)
KEPT = timedelta(days=1)


class Arrival(NamedTuple):
    """A text on a phone's screen, still sealed."""

    id: int
    provider_id: str
    sealed: bytes
    arrived_at: datetime


def deliver(connection: Connection, phone: str, provider_id: str, sealed: bytes, now: datetime) -> None:
    """Put a text on a phone."""
    row = {"phone": phone, "provider_id": provider_id, "sealed": sealed, "arrived_at": now}
    connection.execute(insert(HANDSET), row)


def arrivals(connection: Connection, phone: str, after: int = 0) -> list[Arrival]:
    """The texts that reached a phone after the one with this id, oldest first."""
    columns = (HANDSET.c.id, HANDSET.c.provider_id, HANDSET.c.sealed, HANDSET.c.arrived_at)
    found = select(*columns).where(HANDSET.c.phone == phone, HANDSET.c.id > after).order_by(HANDSET.c.id)
    return [Arrival(*row) for row in connection.execute(found)]


def forget_old(connection: Connection, now: datetime) -> int:
    """Empty the phones of what arrived more than a day ago."""
    return connection.execute(delete(HANDSET).where(HANDSET.c.arrived_at < now - KEPT)).rowcount
