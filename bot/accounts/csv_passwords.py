"""Passwords that an import brings: hashed before its transaction, and told where an account's becomes another."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from bot.accounts import password_change
from bot.audit.trail import Entry, Trail
from bot.credentials import passwords
from bot.credentials.keyring import Keyring
from bot.credentials.passwords import Hashed
from dialogs.audit_vocabulary import Action, Actor
from dialogs.vocabulary import FakherEvent
from store import accounts, outbound_messages, reset_grants


@dataclass(frozen=True)
class ImportedPasswords:
    """Sets passwords, within the caller's transaction. Whoever may write a line of a list must not take an account."""

    keyring: Keyring
    trail: Trail
    support_phone: str
    default_language: str
    tells_fakher: bool

    def hashed(self, there: Hashed | None, password: str) -> dict[str, Any]:
        """The columns that a row's password changes: none where it is the account's own already."""
        if there is not None and passwords.verify(self.keyring, there, password):
            return {}
        kept = passwords.hashed(self.keyring, password)
        return {"password_hash": kept.hash, "password_key": kept.key_id}

    def end_tickets(self, connection: Connection, account_ids: Iterable[int], now: datetime) -> None:
        """Void what gave a right to choose another: before the accounts are written, as everywhere."""
        for account_id in account_ids:
            reset_grants.close_of(connection, account_id, now)

    def tell(self, connection: Connection, account_ids: Iterable[int], now: datetime) -> None:
        """Write down that passwords have changed, and tell their mobiles and Fakher, as of any change."""
        for account_id in account_ids:
            made = Entry(Actor.OPERATOR, Action.PASSWORD_CHANGED, reason="import", account_id=account_id)
            self.trail.note(connection, now, made)
            account = accounts.get(connection, account_id)
            told = password_change.notices(
                account,
                "password_changed",
                now,
                support_phone=self.support_phone,
                default_language=self.default_language,
            )
            for text in told:
                outbound_messages.queue(connection, [text], now, None)
            if self.tells_fakher:
                random_source = self.trail.random_source
                password_change.queue_event(connection, random_source, FakherEvent.PASSWORD_CHANGED, account_id, now)
