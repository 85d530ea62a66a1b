"""Watches the texts that were sent at a staff member's order: who ordered one is told where it did not arrive."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from bot.letters import letter
from bot.settings import Settings
from store import confirmations, conversations
from store.tables import Kind

# A text that still waits then is spoken of too, so that staff hear of it within a minute.
OVERDUE = timedelta(seconds=40)


def finds_any(connection: Connection, now: datetime) -> bool:
    """Whether there is anything to tell."""
    return bool(confirmations.undelivered(connection, now, OVERDUE))


def letters(connection: Connection, settings: Settings, now: datetime) -> list[dict[str, Any]]:
    """What is to be told, each once, whichever process comes first."""
    return [
        letter(
            "staff_undelivered",
            Kind.REPLY,
            to=reset.mobile,
            language=conversations.language_of(connection, reset.mobile) or settings.default_language,
            now=now,
            origin=reset.origin,
            parameters={"ref": reset.ref, "mob4": reset.phone[-4:]},
        )
        for reset in confirmations.undelivered(connection, now, OVERDUE)
        if confirmations.tell(connection, reset.id, now) and not conversations.has_opted_out(connection, reset.mobile)
    ]
