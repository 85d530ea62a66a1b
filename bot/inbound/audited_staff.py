"""Which rows of the audit a staff member's text leaves, and what befalls a change of mobile."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bot.audit.trail import Entry, masked
from bot.inbound.context import MessageContext
from bot.inbound.staff_context import StaffContext
from dialogs.parsing.parse import from_staff
from dialogs.staff_vocabulary import ChangeEvent, Command, MoveChange, SendCodeToHolder, StaffEvent
from dialogs.vocabulary import Effect, Intent
from store.audit import Action, Actor, Outcome


class Mark(NamedTuple):
    """What came of an order. What was ordered is in the text, or in what waited for its code."""

    outcome: Outcome
    reason: str


# None: it is no order.
EVENTS: dict[StaffEvent, Mark | None] = {
    StaffEvent.RESET_ORDERED: Mark(Outcome.OK, "ordered"),
    StaffEvent.RESET_OF_LOCKED_ORDERED: Mark(Outcome.REFUSED, "locked"),
    StaffEvent.RESET_OF_SILENT_ORDERED: Mark(Outcome.REFUSED, "opted_out"),
    StaffEvent.UNLOCK_ORDERED: Mark(Outcome.OK, "ordered"),
    StaffEvent.UNLOCK_OF_OPEN_ORDERED: Mark(Outcome.REFUSED, "not_locked"),
    StaffEvent.STATUS_ORDERED: Mark(Outcome.OK, "told"),
    StaffEvent.STATS_ORDERED: Mark(Outcome.OK, "told"),
    StaffEvent.MOBILE_ORDERED: Mark(Outcome.OK, "ordered"),
    StaffEvent.MOBILE_ORDERED_BY_SECOND: Mark(Outcome.OK, "ordered_by_second"),
    StaffEvent.MOBILE_ORDERED_AGAIN: Mark(Outcome.REFUSED, "needs_second"),
    StaffEvent.MOBILE_ORDERED_WITHOUT_NUMBER: Mark(Outcome.REFUSED, "no_number"),
    StaffEvent.ORDERED_WHILE_HELD: Mark(Outcome.REFUSED, "held"),
    StaffEvent.REFUSED: Mark(Outcome.REFUSED, "out_of_scope"),
    StaffEvent.REFUSED_TOO_OFTEN: Mark(Outcome.REFUSED, "too_often"),
    StaffEvent.NAMED_INVALID: Mark(Outcome.REFUSED, "invalid_id"),
    StaffEvent.NAMED_SEVERAL: Mark(Outcome.REFUSED, "several_ids"),
    StaffEvent.NAMED_NOBODY: Mark(Outcome.REFUSED, "no_id"),
    StaffEvent.CONFIRMED: Mark(Outcome.OK, "confirmed"),
    StaffEvent.CONFIRMED_IN_VAIN: Mark(Outcome.REFUSED, "in_vain"),
    StaffEvent.CONFIRMED_TOO_OFTEN: Mark(Outcome.REFUSED, "too_often"),
    StaffEvent.WRONG_CONFIRMATION: Mark(Outcome.FAILED, "wrong"),
    StaffEvent.LAST_WRONG_CONFIRMATION: Mark(Outcome.FAILED, "last_wrong"),
    StaffEvent.NO_LIVE_CONFIRMATION: Mark(Outcome.FAILED, "no_live_code"),
    StaffEvent.HELP: None,
    StaffEvent.NOT_UNDERSTOOD: None,
    StaffEvent.UNANSWERED: None,
    StaffEvent.TIMED_OUT: None,
}
_ORDERED = {
    Intent.STAFF_RESET: Action.STAFF_RESET,
    Intent.STAFF_UNLOCK: Action.STAFF_UNLOCK,
    Intent.STAFF_STATUS: Action.STAFF_STATUS,
    Intent.STAFF_STATS: Action.STAFF_STATS,
    Intent.STAFF_MOBILE: Action.MOBILE_CHANGE_PROPOSED,
}
_CONFIRMED = {
    Command.RESET: Action.STAFF_RESET,
    Command.UNLOCK: Action.STAFF_UNLOCK,
    Command.PROPOSE_MOBILE: Action.MOBILE_CHANGE_PROPOSED,
    Command.APPROVE_MOBILE: Action.MOBILE_CHANGE_APPROVED,
}


def entries(turn: MessageContext, desk: StaffContext, event: StaffEvent, effects: Sequence[Effect]) -> Iterator[Entry]:
    """The rows that an order leaves: one for the order, and one for the code that it sends to a pilgrim."""
    mark = EVENTS[event]
    account_id = desk.account.id if desk.account else None
    if mark is not None:
        action, who = _action(turn, desk, event), masked(desk.member.mobile)
        ref = desk.new_ref or (desk.pending.ref if desk.pending and desk.confirmation else None)
        about = account_id if desk.account or not desk.pending else desk.pending.account_id
        yield Entry(Actor.STAFF, action, mark.outcome, mark.reason, who, about, desk.member.id, ref)
    if SendCodeToHolder() in effects:
        yield Entry(Actor.BOT, Action.CODE_SENT, account_id=account_id, staff_id=desk.member.id)


def stopped(turn: MessageContext, effects: Sequence[Effect]) -> Iterator[Entry]:
    """A row for every change of mobile that the old mobile has stopped."""
    if MoveChange(ChangeEvent.OBJECTED) in effects:
        who = masked(turn.text.phone)
        for change in turn.stopped:
            yield Entry(
                Actor.PILGRIM, Action.MOBILE_CHANGE_STOPPED, who=who, account_id=change.account_id, ref=change.ref
            )


def _action(turn: MessageContext, desk: StaffContext, event: StaffEvent) -> Action:
    if event is StaffEvent.NO_LIVE_CONFIRMATION:
        return Action.CODE_TRIED
    if desk.confirmation is not None and desk.pending is not None:
        return _CONFIRMED[Command(desk.pending.command)]
    by_second = event is StaffEvent.MOBILE_ORDERED_BY_SECOND
    return Action.MOBILE_CHANGE_APPROVED if by_second else _ORDERED[from_staff(turn.text.heard).intent]
