"""The texts already heard, so that a provider that sends one twice has one effect."""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection

from store.database.dialect import PreparedStatement, insert_or_skip
from store.tables import InboundMessageRow, table

INBOUND = table(InboundMessageRow)
REMEMBER = PreparedStatement(insert_or_skip(INBOUND))


def remember(
    connection: Connection, gateway: str, provider_id: str, event: str, now: datetime, *, answered: bool
) -> bool:
    """Note that a text was heard, and whether it was answered; False where it had been heard before."""
    row = {"gateway": gateway, "provider_id": provider_id, "event": event, "received_at": now, "answered": answered}
    return bool(REMEMBER(connection, row).rowcount == 1)


def is_old(before: datetime) -> ColumnElement[bool]:
    """Texts heard before a time."""
    return INBOUND.c.received_at < before
