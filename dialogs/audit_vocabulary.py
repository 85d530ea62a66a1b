"""The words of the audit: who did or tried what, and what came of it (OWASP ASVS 16.2 and 16.3)."""

from dataclasses import dataclass
from enum import StrEnum, auto


class Actor(StrEnum):
    """Whose doing it was."""

    PILGRIM = auto()  # or anybody who texts as one
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
    STAFF_LOCKED = auto()  # too many wrong confirmations
    MOBILE_CHANGE_PROPOSED = auto()
    MOBILE_CHANGE_APPROVED = auto()
    MOBILE_CHANGE_STOPPED = auto()
    MOBILE_CHANGED = auto()

    CONSOLE_CODE = auto()  # asked for
    CONSOLE_LOGIN = auto()
    CONSOLE_LOGOUT = auto()
    CONSOLE_SEARCH = auto()  # an account was looked up

    STAFF_ADDED = auto()
    STAFF_REMOVED = auto()
    TOKEN_CREATED = auto()
    TOKEN_REVOKED = auto()
    ACCOUNTS_IMPORTED = auto()
    ACCOUNT_FORGOTTEN = auto()  # a person erased, but for these rows
    SEASON_SET = auto()
    SEASON_CLEARED = auto()
    AUDIT_REKEYED = auto()
    KEYS_ACCEPTED = auto()  # though the database did not know them
    AUDIT_EXPORTED = auto()  # read as a file at the console


class Outcome(StrEnum):
    """What came of it."""

    OK = auto()
    REFUSED = auto()  # a rule forbade it
    FAILED = auto()  # a code or password was wrong


@dataclass(frozen=True)
class Record:
    """A row of the audit for what a text tried. What an effect changes, it records by itself, about each account."""

    action: Action
    outcome: Outcome = Outcome.OK
    reason: str = ""


@dataclass(frozen=True)
class RecordOrder:
    """A row of the audit for what a staff member ordered or confirmed: the action is the order's own."""

    outcome: Outcome = Outcome.OK
    reason: str = ""
