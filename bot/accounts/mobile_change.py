"""Changes of a registered mobile, carried out as their table says: by staff, by the old mobile, by the time."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, assert_never

from sqlalchemy import Connection

from bot.audit.trail import Entry, Trail
from bot.sending.messages import message
from bot.settings import Settings
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
from store.audit import Action, Actor
from store.conversations import StaleRead
from store.mobile_changes import Change
from store.tables import CloseReason, MessageKind


def propose(connection: Connection, former: Change | None, row: dict[str, Any], now: datetime) -> None:
    """Begin a change, in place of a proposal that it replaces.

    Keys: account_id, old_mobile, new_mobile, ref, proposed_by.
    """
    stood = ChangeState(former.state) if former else ChangeState.NONE
    state, _ = step(stood, ChangeEvent.PROPOSED)
    if former is not None and not mobile_changes.move(
        connection, former, {"ended_at": now, "close_reason": "replaced"}
    ):
        raise StaleRead
    span = lasts(state)
    assert state is ChangeState.PROPOSED and span is not None
    mobile_changes.propose(connection, row | {"state": state, "proposed_at": now, "due_at": now + span})


def advance(
    connection: Connection,
    settings: Settings,
    change: Change,
    event: ChangeEvent,
    now: datetime,
    *,
    by: int | None = None,
) -> list[dict[str, Any]]:
    """Let something happen to a change; the texts that follow. Overtaken where another was first."""
    state, effects = step(ChangeState(change.state), event)
    if state == change.state:
        return []
    if not mobile_changes.move(connection, change, _moved(state, event, now, by)):
        raise StaleRead
    return [row for each in effects for row in _carry_out(connection, settings, change, each, now)]  # type: ignore[arg-type]


def sweep(connection: Connection, settings: Settings, trail: Trail, now: datetime) -> list[dict[str, Any]]:
    """Let the time pass for every change that is overdue; the texts that follow."""
    found = []
    for change in mobile_changes.overdue(connection, now):
        moved = accounts.get(connection, change.account_id).mobile != change.old_mobile
        event = ChangeEvent.OVERTAKEN if moved else ChangeEvent.TIMED_OUT
        found += advance(connection, settings, change, event, now)
        if event is ChangeEvent.TIMED_OUT and change.state == ChangeState.HELD:
            made = Entry(Actor.BOT, Action.MOBILE_CHANGED, account_id=change.account_id, ref=change.ref)
            trail.note(connection, now, made)
    return found


def _moved(state: ChangeState, event: ChangeEvent, now: datetime, by: int | None) -> dict[str, Any]:
    span = lasts(state)
    if span is None:
        return {"ended_at": now, "close_reason": event}
    return {"state": state, "due_at": now + span, "approved_by": by, "approved_at": now}


def _carry_out(
    connection: Connection, settings: Settings, change: Change, effect: ChangeEffect, now: datetime
) -> Iterable[dict[str, Any]]:
    match effect:
        case HoldMobile():
            codes.close_of(connection, change.account_id, CloseReason.VOIDED, now)
            reset_grants.close_of(connection, change.account_id, now)
            return []
        case SetMobile():
            if not mobile_changes.set_mobile(connection, change, now):
                raise StaleRead
            return []
        case TellOldMobile(phrase):
            return _to_holder(connection, settings, change, change.old_mobile, phrase, now)
        case TellNewMobile(phrase):
            return _to_holder(connection, settings, change, change.new_mobile, phrase, now)
        case TellStaff(phrase):
            return list(_to_staff(connection, settings, change, phrase, now))
        case _:
            assert_never(effect)


def _to_holder(
    connection: Connection, settings: Settings, change: Change, mobile: str, phrase: str, now: datetime
) -> list[dict[str, Any]]:
    if conversations.has_opted_out(connection, mobile):
        return []
    language = accounts.get(connection, change.account_id).language or settings.default_language
    return [message(phrase, MessageKind.NOTICE, to=mobile, language=language, now=now, account_id=change.account_id)]


def _to_staff(
    connection: Connection, settings: Settings, change: Change, phrase: str, now: datetime
) -> Iterable[dict[str, Any]]:
    for staff_id in {change.proposed_by, change.approved_by} - {None}:
        assert staff_id is not None
        mobile = staff.find(connection, staff_id).mobile
        if not conversations.has_opted_out(connection, mobile):
            yield message(
                phrase,
                MessageKind.NOTICE,
                to=mobile,
                language=conversations.language_of(connection, mobile) or settings.default_language,
                now=now,
                parameters={"ref": change.ref},
            )
