"""The audit: rows that nobody changes or drops, each sealed into a chain a little after it was written.

Who writes a row touches nothing but that row, so that writers never wait for one another here.
"""

from collections.abc import Sequence
from enum import StrEnum, auto
from typing import Any

from sqlalchemy import Connection, insert

from store.dialect import Prepared, named
from store.tables import Audit, table

AUDIT = table(Audit)


class Actor(StrEnum):
    """Whose doing it was."""

    PILGRIM = auto()  # or whoever texts as one
    STAFF = auto()
    FAKHER = auto()
    OPERATOR = auto()
    BOT = auto()


class Action(StrEnum):
    """What was done, or tried."""

    CODE_REQUESTED = auto()
    CODE_SENT = auto()
    CODE_TRIED = auto()
    CODE_CANCELLED = auto()
    CODE_BURNED = auto()
    TICKET_GRANTED = auto()
    PASSWORD_OFFERED = auto()  # one of their own that was not taken
    PASSWORD_SET = auto()  # a generated one
    PASSWORD_CHANGED = auto()  # one of their own
    LOGIN = auto()
    RECOVERY_LOCKED = auto()
    OPTED_OUT = auto()
    OPTED_IN = auto()

    STAFF_RESET = auto()
    STAFF_UNLOCK = auto()
    STAFF_STATUS = auto()
    STAFF_STATS = auto()
    MOBILE_CHANGE_PROPOSED = auto()
    MOBILE_CHANGE_APPROVED = auto()
    MOBILE_CHANGE_STOPPED = auto()
    MOBILE_CHANGED = auto()

    STAFF_ADDED = auto()
    STAFF_REMOVED = auto()
    TOKEN_CREATED = auto()
    TOKEN_REVOKED = auto()
    ACCOUNTS_IMPORTED = auto()
    SEASON_SET = auto()
    SEASON_CLEARED = auto()
    AUDIT_REKEYED = auto()


class Outcome(StrEnum):
    """What came of it."""

    OK = auto()
    REFUSED = auto()  # a rule forbade it
    FAILED = auto()  # a code or password was wrong


WRITE = Prepared(insert(AUDIT).values(named(AUDIT, "id", "seq", "seal")))


def write(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows, in this order."""
    for row in rows:
        WRITE(connection, row)
