"""The audit: who did or tried what, to whose account, and what came of it. No row names a person or holds a secret.

Every row carries a keyed hash of what it says, so it is proven from the moment it is written.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from bot.credentials.keyring import Keyring
from bot.ports import RandomSource
from dialogs.audit_vocabulary import Action, Actor, Outcome
from store import audit
from store.audit import AUDIT
from store.database.times import as_text

LONGEST: dict[str, int] = {name: AUDIT.c[name].type.length for name in ("who", "reason", "ref")}  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Entry:
    """A row before it is written. `who` is masked by the caller (`masked`); `reason` and `ref` are short words."""

    actor: Actor
    action: Action
    outcome: Outcome = Outcome.OK
    reason: str | None = None
    who: str = ""
    account_id: int | None = None
    staff_id: int | None = None
    ref: str | None = None


# What a row's digest is over, in this order; and, since rows have it, how long the chain was.
SAID = ("at", *Entry.__dataclass_fields__, "nonce", "key_id")


class Trail:
    """Writes the audit."""

    def __init__(self, keyring: Keyring, random_source: RandomSource) -> None:
        """Take the keys that prove rows, and the random source of their nonces.

        `chain_length` is how many rows were sealed when this process last looked: each row vouches for it, so that
        an old row can't be removed and the rest sealed anew.
        """
        self.keyring, self.random_source = keyring, random_source
        self.chain_length = 0

    def note(self, connection: Connection, now: datetime, *entries: Entry) -> None:
        """Write rows, within the caller's transaction: they are there just when what they tell of is."""
        key_id, at = self.keyring.newest, as_text(now.astimezone(UTC))
        rows = [self._row(entry, at, key_id) for entry in entries]
        for row in rows:
            row.update(digest=digest(self.keyring.audits[key_id], row), at=now)
        audit.write(connection, rows)

    def _row(self, entry: Entry, at: str, key_id: str) -> dict[str, Any]:
        row = {**vars(entry), "at": at, "nonce": self.random_source.token(), "key_id": key_id}
        row["chain_length"] = self.chain_length
        for name, longest in LONGEST.items():
            if row[name]:
                row[name] = _plain(str(row[name]), longest)
        for name in ("actor", "action", "outcome"):
            row[name] = row[name].value
        return row


def digest(key: bytes, row: Mapping[str, Any]) -> bytes:
    """The keyed hash of what a row says; `at` is as text."""
    # Apart in every case: a text, a number, nothing at all. JSON would take twice as long.
    said = ascii([row[name] for name in SAID] + ([] if row["chain_length"] is None else [row["chain_length"]]))
    return hmac.digest(key, b"row " + said.encode(), hashlib.sha256)


def masked(mobile: str) -> str:
    """A number by its last four digits."""
    return f"…{mobile[-4:]}"


def _plain(text: str, longest: int) -> str:
    # Nobody's name may break a line, steer a terminal or turn its direction.
    if text.isprintable() and len(text) <= longest:
        return text
    return "".join(each if each.isprintable() else " " for each in text)[:longest]
