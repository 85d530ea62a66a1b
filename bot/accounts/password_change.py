"""What follows when a password becomes another, by text or at Fakher: it is set, notice is given, Fakher is told."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bot.credentials.passwords import TEMPORARY, Hashed
from bot.parts import Parts
from bot.ports import RandomSource
from bot.sending.messages import message, with_phone
from dialogs.vocabulary import FakherEvent
from store import accounts, reset_grants, webhook_events
from store.accounts import Account
from store.outbound_messages import NewMessage
from store.tables import MessageKind
from store.webhook_events import NewEvent

# How long a mobile that is no longer registered is told of changes: its holder may have lost it, and not know yet.
FORMER = timedelta(hours=72)


def set_password(connection: Connection, account_id: int, new: Hashed, now: datetime, *, temporary: bool) -> None:
    """Put a password in place of any older. What gave a right to choose one is void."""
    reset_grants.close_of(connection, account_id, now)
    expires_at = now + TEMPORARY if temporary else None
    accounts.set_password(connection, account_id, new.hash, new.key_id, expires_at)


def notices(
    account: Account,
    phrase: str,
    now: datetime,
    *,
    support_phone: str,
    default_language: str,
    language: str | None = None,
    inbound_gateway: str = "",
    former_only: bool = False,
) -> Iterator[NewMessage]:
    """A notice to the registered mobile, and to the one before it where it changed of late.

    It protects the account, so it goes out in spite of STOP, which anybody can forge.
    """
    own = account.language or default_language
    for phone, spoken in _told(account, language or own, own, now):
        if not (former_only and phone == account.mobile):
            yield message(
                with_phone(phrase, support_phone),
                MessageKind.NOTICE,
                to=phone,
                language=spoken,
                now=now,
                inbound_gateway=inbound_gateway,
                parameters={"phone": support_phone},
                account_id=account.id,
            )


def tell_fakher(connection: Connection, parts: Parts, event: FakherEvent, account_id: int, now: datetime) -> None:
    """Have Fakher told, where it wants to be."""
    if parts.settings.fakher_events_url:
        queue_event(connection, parts.random_source, event, account_id, now)


def queue_event(
    connection: Connection, random_source: RandomSource, event: FakherEvent, account_id: int, now: datetime
) -> None:
    """Write an event for Fakher, which wants to be told."""
    webhook_events.queue(connection, NewEvent(random_source.token(), event, account_id, now))


def _told(account: Account, language: str, own: str, now: datetime) -> Iterator[tuple[str, str]]:
    yield account.mobile, language
    moved = account.mobile_changed_at is not None and now - account.mobile_changed_at < FORMER
    if moved and account.former_mobile and account.former_mobile != account.mobile:
        yield account.former_mobile, own
