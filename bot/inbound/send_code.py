"""A one-time password to a registered mobile: its row, and the text that brings it."""

from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import Connection

from bot.credentials import codes
from bot.credentials.keyring import Keyring
from bot.inbound.context import MessageContext
from bot.sending.messages import variant
from store import codes as kept
from store.tables import MessageKind


@dataclass(frozen=True)
class Whose:
    """The account that a code is for, as far as a code has to do with it."""

    account_id: int
    mobile: str = field(repr=False)
    language: str | None


def send_code(
    connection: Connection,
    turn: MessageContext,
    keyring: Keyring,
    phrase: str,
    whose: Whose,
    *,
    by_owner: bool = False,
    staff_id: int | None = None,
) -> None:
    """Write the code that the turn has ready, and have it sent. No other of the account may be live any more."""
    settings, fresh = turn.settings, turn.text.fresh
    assert fresh is not None
    expires_at = turn.now + timedelta(seconds=settings.code_ttl_seconds)
    kept.issue(
        connection,
        {
            "id": fresh.id,
            "account_id": whose.account_id,
            "phone": whose.mobile,
            "by_owner": by_owner,
            "staff_id": staff_id,
            "key_id": keyring.newest,
            "digest": codes.digest(keyring, keyring.newest, fresh.id, whose.account_id, fresh.digits),
            "tries_left": settings.code_tries,
            "created_at": turn.now,
            "expires_at": expires_at,
        },
    )
    turn.say(
        variant(phrase, settings),
        MessageKind.CODE,
        to=whose.mobile,
        language=whose.language or settings.default_language,
        parameters=turn.parameters(),
        secret=fresh.sealed,
        code_id=fresh.id,
        account_id=whose.account_id,
        expires_at=expires_at,
    )
