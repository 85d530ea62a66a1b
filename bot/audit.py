"""The audit: who did or tried what, to whose account, and what came of it. No row names a person or holds a secret.

Every row carries a keyed hash of what it says, so it is proven from the moment it is written.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from bot.keys import Keys
from bot.ports import Dice
from store import audit
from store.audit import AUDIT, Action, Actor, Outcome
from store.times import as_text

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


# What a row's digest is over, in this order.
SAID = ("at", *Entry.__dataclass_fields__, "nonce", "key_id")
_WRITER = json.JSONEncoder(separators=(",", ":"), default=repr)


class Trail:
    """Writes the audit."""

    def __init__(self, keys: Keys, dice: Dice) -> None:
        """Take the keys that prove rows, and the dice that make each one of its kind."""
        self.keys, self.dice = keys, dice

    def note(self, connection: Connection, now: datetime, *entries: Entry) -> None:
        """Write rows, within the caller's transaction: they are there just when what they tell of is."""
        audit.write(connection, [self._row(now, entry) for entry in entries])

    def _row(self, now: datetime, entry: Entry) -> dict[str, Any]:
        row = {
            **vars(entry),
            "at": as_text(now.astimezone(UTC)),
            "nonce": self.dice.token(),
            "key_id": self.keys.newest,
        }
        for name, longest in LONGEST.items():
            row[name] = _plain(row[name], longest)
        return row | {"at": now, "digest": digest(self.keys.audits[self.keys.newest], row)}


def digest(key: bytes, row: Mapping[str, Any]) -> bytes:
    """The keyed hash of what a row says; `at` is as text."""
    said = _WRITER.encode([row[name] for name in SAID])
    return hmac.digest(key, b"row " + said.encode(), hashlib.sha256)


def masked(mobile: str) -> str:
    """A number by its last four digits."""
    return f"…{mobile[-4:]}"


def _plain(text: str | None, longest: int) -> str | None:
    # Nobody's name may break a line, steer a terminal or turn its direction.
    if text is None or (text.isprintable() and len(text) <= longest):
        return text
    return "".join(each if each.isprintable() else " " for each in text)[:longest]
