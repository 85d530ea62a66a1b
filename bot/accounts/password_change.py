"""What follows when a password becomes another, by text or at Fakher: it is set, notice is given, Fakher is told."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from bot.credentials.passwords import TEMPORARY, Hashed
from bot.ports import RandomSource
from bot.sending.messages import message, variant
from bot.settings import Settings
from dialogs.vocabulary import FakherEvent
from store import accounts, conversations, reset_grants, webhook_events
from store.accounts import Account
from store.tables import MessageKind

# How long a mobile that is no longer registered is told of changes: whoever lost it may not know yet.
FORMER = timedelta(hours=72)


def set_password(connection: Connection, account_id: int, new: Hashed, now: datetime, *, temporary: bool) -> None:
    """Put a password in place of any older. What gave a right to choose one is void."""
    reset_grants.close_of(connection, account_id, now)
    expires_at = now + TEMPORARY if temporary else None
    accounts.set_password(connection, account_id, new.hash, new.key_id, now, expires_at)


def notices(
    connection: Connection,
    settings: Settings,
    holder: Account,
    phrase: str,
    now: datetime,
    *,
    language: str | None = None,
    inbound_gateway: str = "",
    former_only: bool = False,
) -> Iterator[dict[str, Any]]:
    """A notice to the registered mobile, and to the one before it where it changed of late; not to who said STOP.

    With `former_only`, the registered one is told otherwise.
    """
    own = holder.language or settings.default_language
    told = list(_told(holder, language or own, own, now))
    for phone, spoken in told[1:] if former_only else told:
        if not conversations.has_opted_out(connection, phone):
            yield message(
                variant(phrase, settings),
                MessageKind.NOTICE,
                to=phone,
                language=spoken,
                now=now,
                inbound_gateway=inbound_gateway,
                parameters={"phone": settings.support_phone},
                account_id=holder.id,
            )


def tell_fakher(
    connection: Connection,
    settings: Settings,
    random_source: RandomSource,
    event: FakherEvent,
    account_id: int,
    now: datetime,
) -> None:
    """Have Fakher told, where it wants to be."""
    if settings.fakher_events_url:
        row = {"id": random_source.token(), "event": event, "account_id": account_id, "happened_at": now}
        webhook_events.queue(connection, row)


def _told(holder: Account, language: str, own: str, now: datetime) -> Iterator[tuple[str, str]]:
    yield holder.mobile, language
    moved = holder.mobile_changed_at is not None and now - holder.mobile_changed_at < FORMER
    if moved and holder.former_mobile and holder.former_mobile != holder.mobile:
        yield holder.former_mobile, own
