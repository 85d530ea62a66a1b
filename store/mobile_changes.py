"""Changes of registered mobiles, by staff. While one is held, codes for the account go nowhere."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, exists, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from store.conversations import StaleRead
from store.tables import AccountRow, MobileChangeRow, table

CHANGE, ACCOUNT = table(MobileChangeRow), table(AccountRow)
_OPEN = CHANGE.c.ended_at.is_(None)


@dataclass(frozen=True)
class Change:
    """A change that has not ended."""

    id: int
    account_id: int
    old_mobile: str = field(repr=False)
    new_mobile: str = field(repr=False)
    ref: str
    state: str
    proposed_by: int
    approved_by: int | None
    due_at: datetime


@dataclass(frozen=True)
class NewChange:
    """A proposal to be written."""

    account_id: int
    old_mobile: str = field(repr=False)
    new_mobile: str = field(repr=False)
    ref: str
    proposed_by: int
    state: str
    proposed_at: datetime
    due_at: datetime


_CHANGE = select(*(CHANGE.c[name] for name in Change.__dataclass_fields__)).where(_OPEN)


def of_account(connection: Connection, account_id: int) -> Change | None:
    """The account's open change."""
    row = connection.execute(_CHANGE.where(CHANGE.c.account_id == account_id)).first()
    return Change(*row) if row else None


def lock_of_account(connection: Connection, account_id: int) -> Change | None:
    """The account's open change, as it stands once nobody else is moving it; nobody does until the transaction ends."""
    row = connection.execute(_CHANGE.where(CHANGE.c.account_id == account_id).with_for_update()).first()
    return Change(*row) if row else None


def from_mobile(connection: Connection, mobile: str, state: str, now: datetime) -> list[Change]:
    """The changes away from a mobile that stand at a state, and whose time has not passed."""
    found = _CHANGE.where(CHANGE.c.old_mobile == mobile, CHANGE.c.state == state, CHANGE.c.due_at > now)
    return [Change(*row) for row in connection.execute(found)]


def _is_overdue(now: datetime) -> ColumnElement[bool]:
    moved = exists().where(ACCOUNT.c.id == CHANGE.c.account_id, ACCOUNT.c.mobile != CHANGE.c.old_mobile)
    return (CHANGE.c.due_at <= now) | moved


def is_any_overdue(connection: Connection, now: datetime) -> bool:
    """Whether there is a change to be ended by `lock_overdue`."""
    return connection.execute(_CHANGE.where(_is_overdue(now)).limit(1)).first() is not None


def lock_overdue(connection: Connection, now: datetime) -> list[Change]:
    """Changes whose time has passed, or whose account has another mobile meanwhile; but none that is being moved."""
    overdue = _CHANGE.where(_is_overdue(now)).with_for_update(skip_locked=True)
    return [Change(*row) for row in connection.execute(overdue)]


def lock_of_staff(connection: Connection, staff_id: int) -> list[Change]:
    """The open changes that a staff member has proposed or approved, as they stand once nobody else is moving them.

    Without the wait, one that a second staff member approves at this moment would be seen as it was before, and go on.
    """
    theirs = or_(CHANGE.c.proposed_by == staff_id, CHANGE.c.approved_by == staff_id)
    return [Change(*row) for row in connection.execute(_CHANGE.where(theirs).with_for_update())]


def propose(connection: Connection, change: NewChange) -> None:
    """Write a proposal; StaleRead where the account has an open change, written meanwhile."""
    try:
        connection.execute(insert(CHANGE), vars(change))
    except IntegrityError as conflict:
        raise StaleRead from conflict


def move(connection: Connection, change: Change, values: dict[str, Any]) -> bool:
    """Write where a change stands now; False where another was first."""
    same = update(CHANGE).where(CHANGE.c.id == change.id, CHANGE.c.state == change.state, _OPEN)
    return connection.execute(same.values(values)).rowcount == 1


def defer(connection: Connection, state: str, span: timedelta) -> int:
    """Have those that stand at a state wait until a time has passed since their approval; how many wait longer now.

    Nobody waits longer for being called again.
    """
    there = select(CHANGE.c.id, CHANGE.c.approved_at, CHANGE.c.due_at).where(_OPEN, CHANGE.c.state == state)
    sooner = [row for row in connection.execute(there.with_for_update()) if row.due_at < row.approved_at + span]
    for row in sooner:
        connection.execute(update(CHANGE).where(CHANGE.c.id == row.id).values(due_at=row.approved_at + span))
    return len(sooner)


def set_mobile(connection: Connection, change: Change, now: datetime) -> bool:
    """Register the new mobile, and keep the old one as the former; False where it is no longer the old one."""
    same = update(ACCOUNT).where(ACCOUNT.c.id == change.account_id, ACCOUNT.c.mobile == change.old_mobile)
    moved = {"mobile": change.new_mobile, "former_mobile": change.old_mobile, "mobile_changed_at": now}
    return connection.execute(same.values(moved)).rowcount == 1


def is_old(before: datetime) -> ColumnElement[bool]:
    """Changes that ended before a time."""
    return CHANGE.c.ended_at < before
