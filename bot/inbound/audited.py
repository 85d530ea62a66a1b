"""Which rows of the audit a text leaves: one for what it tried, and one for whatever that changed."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, assert_never

from sqlalchemy import Connection

from bot.audit.trail import Entry, masked
from bot.inbound import audited_staff
from bot.inbound.context import MessageContext
from dialogs.classify import is_request
from dialogs.staff_vocabulary import (
    BurnConfirmation,
    HoldMobile,
    MoveChange,
    RaiseAlarm,
    SendCodeToHolder,
    SendConfirmation,
    SetMobile,
    StaffEvent,
    TellNewMobile,
    TellOldMobile,
    TellStaff,
    UnlockRecovery,
    UseConfirmation,
)
from dialogs.vocabulary import (
    AnyEvent,
    BurnCode,
    CodeResult,
    DropCode,
    Effect,
    Event,
    GrantTicket,
    Hint,
    LockAccount,
    Notify,
    NotifyFormer,
    OptIn,
    OptOut,
    Say,
    SendCode,
    SetNewPassword,
    SetOwnPassword,
    Shrug,
    TellFakher,
)
from store import accounts
from store.audit import Action, Actor, Outcome


class Trace(NamedTuple):
    """What was tried, and what came of it."""

    action: Action
    outcome: Outcome = Outcome.OK
    reason: str | None = None


def _asked(reason: str | None = None) -> Trace:
    return Trace(Action.CODE_REQUESTED, Outcome.OK, reason)


def _not_sent(reason: str) -> Trace:
    return Trace(Action.CODE_REQUESTED, Outcome.REFUSED, reason)


def _tried(reason: str | None = None) -> Trace:
    return Trace(Action.CODE_TRIED, Outcome.OK, reason)


def _missed(reason: str) -> Trace:
    return Trace(Action.CODE_TRIED, Outcome.FAILED, reason)


def _not_taken(reason: str) -> Trace:
    return Trace(Action.PASSWORD_OFFERED, Outcome.REFUSED, reason)


# None: it tries nothing; what it changes, if anything, is told by its effects.
EVENTS: dict[Event, Trace | None] = {
    Event.ASKED: _asked(),
    Event.ASKED_TOO_SOON: _not_sent("too_soon"),
    Event.ASKED_TOO_OFTEN: _not_sent("too_often"),
    Event.ASKED_FROM_OTHER_PHONE: _asked("other_phone"),
    Event.ASKED_FROM_OTHER_PHONE_UNHEARD: _asked("other_phone"),
    Event.ASKED_UNHEARD: _not_sent("unheard"),
    Event.ASKED_IN_VAIN: _not_sent("in_vain"),
    Event.ASKED_WITHOUT_ID: _not_sent("no_id"),
    Event.ASKED_WITH_INVALID_ID: _not_sent("invalid_id"),
    Event.ASKED_WITH_SEVERAL_IDS: _not_sent("several_ids"),
    Event.ASKED_WITH_FOREIGN_ID: _not_sent("foreign_id"),
    Event.ASKED_BEFORE_SEASON: _not_sent("out_of_season"),
    Event.ASKED_OUT_OF_SEASON: _not_sent("out_of_season"),
    Event.ASKED_TO_CHANGE: _asked("to_change"),
    Event.ASKED_TO_CHANGE_AT_FAKHER: _asked("to_change"),
    Event.ASKED_TO_CHANGE_TOO_SOON: _not_sent("too_soon"),
    Event.ASKED_TO_CHANGE_WITHOUT_ID: _not_sent("no_id"),
    Event.RIGHT_CODE: _tried(),
    Event.WRONG_CODE: _missed("wrong"),
    Event.LAST_WRONG_CODE: _missed("last_wrong"),
    Event.LOCKING_WRONG_CODE: _missed("locking_wrong"),
    Event.NO_LIVE_CODE: _missed("no_live_code"),
    Event.RIGHT_CODE_TO_CHANGE: _tried("to_change"),
    Event.RIGHT_CODE_AND_PASSWORD: _tried("with_password"),
    Event.RIGHT_CODE_AND_SHORT_PASSWORD: _tried("with_short_password"),
    Event.RIGHT_CODE_AND_COMMON_PASSWORD: _tried("with_common_password"),
    Event.RIGHT_CODE_AND_PERSONAL_PASSWORD: _tried("with_personal_password"),
    Event.NEW_PASSWORD: None,
    Event.SHORT_PASSWORD: _not_taken("too_short"),
    Event.COMMON_PASSWORD: _not_taken("too_common"),
    Event.PERSONAL_PASSWORD: _not_taken("too_personal"),
    Event.PASSWORD_TOO_LATE: _not_taken("too_late"),
    Event.OFFERED_OWN_PASSWORD: _not_taken("not_by_text"),
    Event.HELP: None,
    Event.CANCEL: None,
    Event.OBJECTED: None,
    Event.OBJECTED_BY_STOP: None,
    Event.CANCEL_UNHEARD: None,
    Event.NOTHING_TO_CANCEL: None,
    Event.STOP: None,
    Event.STOP_UNHEARD: None,
    Event.START: None,
    Event.START_UNHEARD: None,
    Event.NOT_UNDERSTOOD: None,
    Event.UNANSWERED: None,
    Event.TIMED_OUT: None,
}
# A code counts as tried though nothing is answered.
UNANSWERED: dict[CodeResult, Trace] = {
    CodeResult.RIGHT: Trace(Action.CODE_TRIED, Outcome.REFUSED, "opted_out"),
    CodeResult.WRONG: _missed("wrong"),
    CodeResult.LAST: _missed("last_wrong"),
    CodeResult.LOCKING: _missed("locking_wrong"),
    CodeResult.NO_LIVE_CODE: _missed("no_live_code"),
}


def entries(
    connection: Connection, turn: MessageContext, event: AnyEvent, effects: Sequence[Effect]
) -> Iterator[Entry]:
    """The rows that a text leaves, once its effects are carried out. An ID that nobody has leaves none of itself."""
    if isinstance(event, StaffEvent):
        assert turn.desk is not None
        yield from audited_staff.entries(turn, turn.desk, event, effects)
    else:
        yield from _of_pilgrim(connection, turn, event, effects)


def _of_pilgrim(
    connection: Connection, turn: MessageContext, event: Event, effects: Sequence[Effect]
) -> Iterator[Entry]:
    mark, who = _mark(turn, event), masked(turn.text.phone)
    if mark is not None and mark.action is Action.CODE_REQUESTED and turn.attempt is not None:
        for tried_id in turn.attempt.account_ids:  # a wrong code stood beside the request
            yield Entry(Actor.PILGRIM, Action.CODE_TRIED, Outcome.FAILED, "wrong", who, tried_id)
    if mark is not None:
        for account_id in _about(connection, turn):
            yield Entry(Actor.PILGRIM, mark.action, mark.outcome, mark.reason, who, account_id)
    for effect in effects:
        for actor, action, account_id in _done(connection, turn, effect):
            yield Entry(actor, action, who=who if actor is Actor.PILGRIM else "", account_id=account_id)
    yield from audited_staff.stopped(turn, effects)


def _mark(turn: MessageContext, event: Event) -> Trace | None:
    if event is not Event.UNANSWERED:
        return EVENTS[event]
    if turn.attempt is not None:
        return UNANSWERED[turn.attempt.guess]
    return _not_sent("unanswered") if is_request(turn.text.heard) else None


def _about(connection: Connection, turn: MessageContext) -> Sequence[int | None]:
    """Whose accounts a text tries something with."""
    heard, view = turn.text.heard, turn.view
    if turn.holder is not None:
        return [turn.holder.id]
    if turn.attempt is not None and turn.attempt.tried:
        return turn.attempt.account_ids
    if heard.national_id is not None:
        # The view knows accounts in good standing only.
        return [view.account_id or accounts.id_of(connection, heard.national_id)]
    return [None] if is_request(heard) else _registered(connection, turn)


def _registered(connection: Connection, turn: MessageContext) -> Sequence[int | None]:
    """The accounts that the phone is registered for, or none."""
    return accounts.ids_at(connection, turn.text.phone) or [None]


Done = tuple[Actor, Action, int | None]


def _done(connection: Connection, turn: MessageContext, effect: Effect) -> Iterator[Done]:  # noqa: C901, PLR0912  # one case each
    holder = turn.holder.id if turn.holder else None
    match effect:
        case SendCode():
            yield Actor.BOT, Action.CODE_SENT, turn.view.account_id
        case SetNewPassword():
            yield Actor.PILGRIM, Action.PASSWORD_SET, holder
        case SetOwnPassword():
            yield Actor.PILGRIM, Action.PASSWORD_CHANGED, holder
        case GrantTicket():
            yield Actor.PILGRIM, Action.TICKET_GRANTED, holder
        case DropCode():
            yield from ((Actor.PILGRIM, Action.CODE_CANCELLED, each) for each in turn.dropped)
        case BurnCode():
            assert turn.attempt is not None
            yield from ((Actor.BOT, Action.CODE_BURNED, each) for each in turn.attempt.account_ids)
        case LockAccount():
            yield from ((Actor.BOT, Action.RECOVERY_LOCKED, each) for each in turn.locked)
        case OptOut():
            yield from ((Actor.PILGRIM, Action.OPTED_OUT, each) for each in _registered(connection, turn))
        case OptIn():
            if turn.view.opted_out_at is not None:
                yield from ((Actor.PILGRIM, Action.OPTED_IN, each) for each in _registered(connection, turn))
        case Say() | Hint() | Shrug() | Notify() | NotifyFormer() | TellFakher():
            pass  # they tell of what has its row already
        case SendConfirmation() | UseConfirmation() | BurnConfirmation() | SendCodeToHolder() | UnlockRecovery():
            pass  # staff's: audited_staff tells of them
        case MoveChange() | HoldMobile() | SetMobile() | TellOldMobile() | TellNewMobile() | TellStaff() | RaiseAlarm():
            pass  # so do these, or who lets the time pass
        case _:
            assert_never(effect)
