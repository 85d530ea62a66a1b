"""The end of a staff member's work: their codes, orders, proposals and sessions end with it, at once."""

from datetime import datetime

from sqlalchemy import Connection

from bot.accounts import mobile_change
from bot.audit.trail import Entry
from dialogs.audit_vocabulary import Action, Actor
from dialogs.staff_vocabulary import ChangeEvent
from store import codes, console_sessions, mobile_changes, staff
from store.staff import NewMember
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


def put(connection: Connection, member: NewMember, now: datetime) -> tuple[int, list[Entry]]:
    """Add a staff member, or change the one with this mobile, removed or not; their id, and the audit's rows about it.

    Whoever it was before begins anew: no session, order or proposal outlives the role that it was made in.
    """
    staff_id = staff.put(connection, member)
    return staff_id, _end_work(connection, staff_id, now)


def _end_work(connection: Connection, staff_id: int, now: datetime) -> list[Entry]:
    # Codes before changes: whoever confirms an order at this moment has its code, and is waited for.
    codes.close_of_staff(connection, staff_id, CloseReason.CANCELLED, now)
    console_sessions.end_of(connection, staff_id, now)
    entries = []
    for change in mobile_changes.lock_of_staff(connection, staff_id):
        mobile_change.end(connection, change, ChangeEvent.WITHDRAWN, now)
        entries.append(
            Entry(Actor.OPERATOR, Action.MOBILE_CHANGE_STOPPED, account_id=change.account_id, ref=change.ref)
        )
    return entries
