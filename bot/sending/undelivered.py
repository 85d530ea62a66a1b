"""Watches the texts that were sent at a staff member's order: who ordered one is told where it did not arrive."""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from bot.parts import Parts
from bot.sending.messages import message, queue
from bot.settings import Settings
from store import conversations, staff_orders
from store.outbound_messages import NewMessage
from store.tables import MessageKind

# A text that still waits then is spoken of too, so that staff hear of it within a minute.
OVERDUE = timedelta(seconds=40)


def tell_staff(parts: Parts) -> int:
    """Tell staff of texts, sent at their order, that did not arrive; how many notices were written."""
    now = parts.clock()
    with parts.store.reading() as connection:
        if not staff_orders.undelivered(connection, now, OVERDUE):
            return 0
    with parts.store.writing() as connection:
        return queue(connection, _notices(connection, parts.settings, now), now)


def _notices(connection: Connection, settings: Settings, now: datetime) -> list[NewMessage]:
    # Several processes may come at once: who marks the order as told tells it.
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
