"""The texts already heard, so that a provider that sends one twice has one effect."""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection

from store.database.dialect import insert_or_skip
from store.database.prepared import PreparedStatement
from store.tables import InboundMessageRow, table

INBOUND = table(InboundMessageRow)
REMEMBER = PreparedStatement(insert_or_skip(INBOUND))


def remember(
    connection: Connection,
    gateway: str,
    provider_id: str,
    event: str,
    now: datetime,
    *,
    answered: bool,
    otherwise: type[Exception] | None = None,
) -> None:
    """Note that a text was heard, and whether it was answered.

    `otherwise` is raised, at the latest when the transaction ends, where it had been heard before.
    """
    row = {"gateway": gateway, "provider_id": provider_id, "event": event, "received_at": now, "answered": answered}
    REMEMBER.later(connection, row, otherwise)


def is_old(before: datetime) -> ColumnElement[bool]:
    """Texts heard before a time."""
    return INBOUND.c.received_at < before
