"""The end of a staff member's work: their codes, orders, proposals and sessions end with it, at once."""

from datetime import datetime

from sqlalchemy import Connection

from bot.audit.trail import Entry
from dialogs.audit_vocabulary import Action, Actor
from dialogs.staff_vocabulary import ChangeEvent, ChangeState
from dialogs.tables.machine import step
from store import codes, console_sessions, mobile_changes, staff
from store.tables import CloseReason


def remove(connection: Connection, mobile: str, now: datetime) -> list[Entry] | None:
    """Remove the staff member with this mobile; the audit's rows about it, or None where there is none.

    A change of mobile that they have proposed or approved ends: both must still be staff. A member who is added
    again confirms nothing from before.
    """
    staff_id = staff.remove(connection, mobile, now)
    if staff_id is None:
        return None
    return [Entry(Actor.OPERATOR, Action.STAFF_REMOVED, staff_id=staff_id), *_end_work(connection, staff_id, now)]


def end_work(connection: Connection, mobile: str, now: datetime) -> list[Entry]:
    """End what the staff member with this mobile has begun, if there is one; the audit's rows about it."""
    member = staff.at(connection, mobile)
    return _end_work(connection, member.id, now) if member else []


def _end_work(connection: Connection, staff_id: int, now: datetime) -> list[Entry]:
    codes.close_of_staff(connection, staff_id, CloseReason.CANCELLED, now)
    console_sessions.end_of(connection, staff_id, now)
    entries = []
    for change in mobile_changes.of_staff(connection, staff_id):
        state, _ = step(ChangeState(change.state), ChangeEvent.WITHDRAWN)
        assert state is ChangeState.NONE
        mobile_changes.move(connection, change, {"ended_at": now, "close_reason": ChangeEvent.WITHDRAWN})
        entries.append(
            Entry(Actor.OPERATOR, Action.MOBILE_CHANGE_STOPPED, account_id=change.account_id, ref=change.ref)
        )
    return entries
