"""What wrong codes lead to, by text, at Fakher and at the console alike: a code burned, an account or staff locked."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from bot.accounts import alarms
from bot.accounts.password_change import tell_fakher
from bot.audit.trail import Entry
from bot.credentials.one_time_codes import CodeCheck
from bot.parts import Parts
from dialogs.audit_vocabulary import Action, Actor
from dialogs.limits import LOCKING_FAILURES
from dialogs.tables.recovery import LAST_WRONG, LOCKING_WRONG
from dialogs.vocabulary import BurnCode, CodeResult, FakherEvent, LockAccount
from store import codes, staff
from store.tables import CloseReason

_AFTER = {CodeResult.LAST_WRONG: LAST_WRONG, CodeResult.LOCKING_WRONG: LOCKING_WRONG}


def after_wrong_code(connection: Connection, parts: Parts, check: CodeCheck, now: datetime) -> list[Entry]:
    """Do what the recovery table says of a wrong code; the audit's rows about it."""
    effects: Iterable[BurnCode | LockAccount] = _AFTER.get(check.result, ())
    return [entry for effect in effects for entry in carry_out(connection, parts, check, effect, now)]


def carry_out(
    connection: Connection, parts: Parts, check: CodeCheck, effect: BurnCode | LockAccount, now: datetime
) -> list[Entry]:
    """Burn the codes, or lock the accounts; the audit's rows about it."""
    return _burn(connection, check, now) if isinstance(effect, BurnCode) else _lock(connection, parts, check, now)


def lock_staff(connection: Connection, staff_id: int, now: datetime) -> Entry:
    """Take no order of a staff member's until an operator adds them again; the audit's row about it."""
    staff.lock(connection, staff_id, now)
    return Entry(Actor.BOT, Action.STAFF_LOCKED, staff_id=staff_id)


def _burn(connection: Connection, check: CodeCheck, now: datetime) -> list[Entry]:
    for code in check.spent:
        codes.close(connection, code.id, CloseReason.BURNED, now)
    return [Entry(Actor.BOT, Action.CODE_BURNED, account_id=each) for each in check.account_ids]


def _lock(connection: Connection, parts: Parts, check: CodeCheck, now: datetime) -> list[Entry]:
    locked = codes.lock_accounts(connection, check.account_ids, LOCKING_FAILURES, now)
    for account_id in locked:
        alarms.raise_alarm(connection, "account_locked", account=account_id)
        tell_fakher(connection, parts, FakherEvent.RECOVERY_LOCKED, account_id, now)
    return [Entry(Actor.BOT, Action.RECOVERY_LOCKED, account_id=each) for each in locked]
