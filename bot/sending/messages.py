"""A text to be sent, as a row; and which form of a phrase the settings ask for."""

import string
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache

from sqlalchemy import Connection

from bot.settings import Settings
from dialogs.replies.phrases import languages
from store import outbound_messages
from store.outbound_messages import NewMessage
from store.tables import MessageKind

# How long a text is worth delivering. A code's text lives as long as the code.
WORTH = {
    MessageKind.NEUTRAL: timedelta(minutes=10),
    MessageKind.PASSWORD: timedelta(seconds=36_000),  # the longest that Twilio keeps a text
    MessageKind.REPLY: timedelta(minutes=10),
    MessageKind.NOTICE: timedelta(seconds=36_000),
}


def message(
    phrase: str,
    kind: MessageKind,
    *,
    to: str,
    language: str,
    now: datetime,
    inbound_gateway: str = "",
    parameters: dict[str, str] | None = None,
    secret: bytes | None = None,
    code_id: str | None = None,
    account_id: int | None = None,
    expires_at: datetime | None = None,
    gateway: str | None = None,
    resend_of: int | None = None,
) -> NewMessage:
    """A text to be sent. `secret` is encrypted; `now` is when what it answers was received.

    Of `parameters` those are kept that the phrase has. `inbound_gateway` is the one that what it answers came in by.
    """
    wanted = parameters_of(phrase)
    return NewMessage(
        kind=int(kind),
        phone=to,
        language=language,
        phrase=phrase,
        parameters={name: value for name, value in (parameters or {}).items() if name in wanted},
        secret=secret,
        code_id=code_id,
        account_id=account_id,
        inbound_gateway=inbound_gateway,
        request_received_at=now,
        expires_at=expires_at or now + WORTH[kind],
        gateway=gateway,
        resend_of=resend_of,
    )


def queue(connection: Connection, texts: Sequence[NewMessage], now: datetime) -> int:
    """Write texts of a job's, for whichever process is the first to claim them; how many there are."""
    return len(outbound_messages.queue(connection, texts, now, lease=None))


def variant(phrase: str, settings: Settings) -> str:
    """The form of a phrase that the settings ask for."""
    if phrase in {"code", "code_for_fakher", "code_with_password"} and settings.fakher_domain:
        return f"{phrase}_with_domain"
    return with_phone(phrase, settings.support_phone)


def with_phone(phrase: str, support_phone: str) -> str:
    """The form of a phrase that tells the number to call; where there is none, the one without."""
    return f"{phrase}_no_phone" if phrase in {"password_changed", "new_password"} and not support_phone else phrase


@cache
def parameters_of(phrase: str) -> frozenset[str]:
    """The parameters that a phrase has, in any language."""
    templates = (book["phrases"][phrase] for book in languages().values())
    return frozenset(name for each in templates for _, name, _, _ in string.Formatter().parse(each) if name)
