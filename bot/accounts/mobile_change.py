"""Changes of a registered mobile, carried out as their table says: by staff, by the old mobile, by the time."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, assert_never

from sqlalchemy import Connection

from bot.audit.trail import Entry
from bot.parts import Parts
from bot.sending.messages import message, queue
from dialogs.audit_vocabulary import Action, Actor
from dialogs.staff_vocabulary import (
    ChangeEffect,
    ChangeEvent,
    ChangeState,
    HoldMobile,
    SetMobile,
    TellNewMobile,
    TellOldMobile,
    TellStaff,
)
from dialogs.tables.machine import lasts, step
from store import accounts, codes, conversations, mobile_changes, reset_grants, staff
from store.conversations import StaleRead
from store.mobile_changes import Change, NewChange
from store.outbound_messages import NewMessage
from store.tables import CloseReason, MessageKind


def propose(
    connection: Connection,
    former: Change | None,
    now: datetime,
    *,
    account_id: int,
    old_mobile: str,
    new_mobile: str,
    ref: str,
    proposed_by: int,
) -> None:
    """Begin a change, in place of a proposal that it replaces. StaleRead where another was first."""
    stood = ChangeState(former.state) if former else ChangeState.NONE
    state, _ = step(stood, ChangeEvent.PROPOSED)
    replaced = {"ended_at": now, "close_reason": "replaced"}
    if former is not None and not mobile_changes.move(connection, former, replaced):
        raise StaleRead
    span = lasts(state)
    assert state is ChangeState.PROPOSED and span is not None
    mobile_changes.propose(
        connection, NewChange(account_id, old_mobile, new_mobile, ref, proposed_by, state, now, now + span)
    )


def advance(
    connection: Connection, parts: Parts, change: Change, event: ChangeEvent, now: datetime, *, by: int | None = None
) -> list[NewMessage]:
    """Move a change by an event of its table; the texts that follow. StaleRead where another was first.

    `by` is the staff member who approves it.
    """
    state, effects = step(ChangeState(change.state), event)
    if state == change.state:
        return []
    if not mobile_changes.move(connection, change, _moved(state, event, now, by)):
        raise StaleRead
    return [text for each in effects for text in _carry_out(connection, parts, change, each, now)]  # type: ignore[arg-type]


def end(connection: Connection, change: Change, event: ChangeEvent, now: datetime) -> None:
    """End a change that this transaction has locked, by an event that nobody is told of."""
    state, effects = step(ChangeState(change.state), event)
    assert state is ChangeState.NONE and not effects
    mobile_changes.move(connection, change, _moved(state, event, now, None))


def overtake(connection: Connection, account_id: int, now: datetime) -> None:
    """End the account's open change, if there is one, because another mobile is being registered by other means."""
    change = mobile_changes.lock_of_account(connection, account_id)
    if change is not None:
        end(connection, change, ChangeEvent.OVERTAKEN, now)


def end_overdue(parts: Parts) -> int:
    """End proposals that are too old, and register new mobiles whose day of waiting is over; how many texts follow."""
    now = parts.clock()
    with parts.store.reading() as connection:
        if not mobile_changes.is_any_overdue(connection, now):
            return 0
    with parts.store.writing() as connection:
        return queue(connection, _end_overdue(connection, parts, now), now)


def defer(parts: Parts, jump: timedelta) -> int:
    """After the clock was set forth, let old mobiles have the whole time to object; how many changes wait longer."""
    span = lasts(ChangeState.HELD)
    assert span is not None
    with parts.store.writing() as connection:
        return mobile_changes.defer(connection, ChangeState.HELD, span + jump)


def _end_overdue(connection: Connection, parts: Parts, now: datetime) -> list[NewMessage]:
    """Move every change that is overdue, or whose account has another mobile meanwhile; the texts that follow."""
    found = []
    for change in mobile_changes.lock_overdue(connection, now):
        moved = accounts.get(connection, change.account_id).mobile != change.old_mobile
        event = ChangeEvent.OVERTAKEN if moved else ChangeEvent.TIMED_OUT
        found += advance(connection, parts, change, event, now)
        if event is ChangeEvent.TIMED_OUT and change.state == ChangeState.HELD:
            made = Entry(Actor.BOT, Action.MOBILE_CHANGED, account_id=change.account_id, ref=change.ref)
            parts.trail.note(connection, now, made)
    return found


def _moved(state: ChangeState, event: ChangeEvent, now: datetime, by: int | None) -> dict[str, Any]:
    span = lasts(state)
    if span is None:
        return {"ended_at": now, "close_reason": event}
    return {"state": state, "due_at": now + span, "approved_by": by, "approved_at": now}


def _carry_out(
    connection: Connection, parts: Parts, change: Change, effect: ChangeEffect, now: datetime
) -> Iterable[NewMessage]:
    match effect:
        case HoldMobile():
            codes.close_of_account(connection, change.account_id, CloseReason.VOIDED, now)
            reset_grants.close_of(connection, change.account_id, now)
            return []
        case SetMobile():
            if not mobile_changes.set_mobile(connection, change, now):
                raise StaleRead
            return []
        case TellOldMobile(phrase):
            return [_to_pilgrim(connection, parts, change, change.old_mobile, phrase, now)]
        case TellNewMobile(phrase):
            return [_to_pilgrim(connection, parts, change, change.new_mobile, phrase, now)]
        case TellStaff(phrase):
            return list(_to_staff(connection, parts, change, phrase, now))
        case _:
            assert_never(effect)


def _to_pilgrim(
    connection: Connection, parts: Parts, change: Change, mobile: str, phrase: str, now: datetime
) -> NewMessage:
    """It protects the account, so it goes out in spite of STOP, which anybody can forge."""
    language = accounts.get(connection, change.account_id).language or parts.settings.default_language
    return message(phrase, MessageKind.NOTICE, to=mobile, language=language, now=now, account_id=change.account_id)


def _to_staff(connection: Connection, parts: Parts, change: Change, phrase: str, now: datetime) -> Iterator[NewMessage]:
    for staff_id in {change.proposed_by, change.approved_by} - {None}:
        assert staff_id is not None
        member = staff.find(connection, staff_id)
        if member.removed_at is None and not conversations.has_opted_out(connection, member.mobile):
            yield message(
                phrase,
                MessageKind.REPLY,
                to=member.mobile,
                language=conversations.language_of(connection, member.mobile) or parts.settings.default_language,
                now=now,
                parameters={"ref": change.ref},
            )
