"""Watches the texts that were sent at a staff member's order: who ordered one is told where it did not arrive."""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from bot.sending.messages import message
from bot.settings import Settings
from store import conversations, staff_orders
from store.outbound_messages import NewMessage
from store.tables import MessageKind

# A text that still waits then is spoken of too, so that staff hear of it within a minute.
OVERDUE = timedelta(seconds=40)


def finds_any(connection: Connection, now: datetime) -> bool:
    """Whether there is anything to tell."""
    return bool(staff_orders.undelivered(connection, now, OVERDUE))


def notices(connection: Connection, settings: Settings, now: datetime) -> list[NewMessage]:
    """What is to be told, each once, whichever process comes first."""
    return [
        message(
            "staff_undelivered",
            MessageKind.REPLY,
            to=reset.mobile,
            language=conversations.language_of(connection, reset.mobile) or settings.default_language,
            now=now,
            inbound_gateway=reset.inbound_gateway,
            parameters={"ref": reset.ref, "mob4": reset.phone[-4:]},
        )
        for reset in staff_orders.undelivered(connection, now, OVERDUE)
        if staff_orders.notify(connection, reset.id, now) and not conversations.has_opted_out(connection, reset.mobile)
    ]
