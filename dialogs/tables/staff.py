"""The staff table: what provincial users, brokers and headquarters can order by text.

A sender's number can be forged, so an order that does anything is confirmed by a code to the staff member's own
number. CANCEL, STOP and START, and whatever is no order, are the recovery table's: staff are pilgrims too.
"""

from datetime import timedelta

from dialogs.audit_vocabulary import Action, Outcome, Record, RecordOrder
from dialogs.limits import STAFF_REPLIES_PER_HOUR, UNPARSED_PER_HOUR
from dialogs.staff_vocabulary import (
    ChangeEvent,
    CloseOrder,
    LockStaff,
    MoveChange,
    RaiseAlarm,
    SendCodeToAccount,
    SendConfirmation,
    StaffEvent,
    StaffState,
    UnlockRecovery,
)
from dialogs.tables.dialog import STAY, Arrow, Dialog
from dialogs.vocabulary import BurnCode, OptIn, Reply


def _hint(phrase: str) -> Reply:
    return Reply(phrase, STAFF_REPLIES_PER_HOUR)


def _done() -> RecordOrder:
    return RecordOrder(Outcome.OK, "confirmed")


def _ordered(reason: str = "ordered") -> RecordOrder:
    return RecordOrder(Outcome.OK, reason)


def _refused(reason: str) -> RecordOrder:
    return RecordOrder(Outcome.REFUSED, reason)


def _not_carried_out(phrase: str, reason: str) -> Arrow[StaffState]:
    return Arrow(StaffState.AT_REST, (CloseOrder(done=False), Reply(phrase), _refused(reason)))


_NO_LIVE = (_hint("staff_no_live_code"), Record(Action.CODE_TRIED, Outcome.FAILED, "no_live_code"))

_TABLE: dict[StaffState, dict[StaffEvent, Arrow[StaffState]]] = {
    StaffState.AT_REST: {
        StaffEvent.CONFIRMED: Arrow(STAY, _NO_LIVE),
    },
    StaffState.CONFIRMING_RESET: {
        StaffEvent.CONFIRMED: Arrow(
            StaffState.AT_REST, (SendCodeToAccount(), CloseOrder(), Reply("staff_reset_done"), _done())
        ),
    },
    StaffState.CONFIRMING_UNLOCK: {
        StaffEvent.CONFIRMED: Arrow(
            StaffState.AT_REST, (CloseOrder(), UnlockRecovery(), Reply("staff_unlock_done"), _done())
        ),
    },
    StaffState.CONFIRMING_PROPOSAL: {
        StaffEvent.CONFIRMED: Arrow(
            StaffState.AT_REST,
            (CloseOrder(), MoveChange(ChangeEvent.PROPOSED), Reply("staff_mobile_proposed"), _done()),
        ),
    },
    StaffState.CONFIRMING_APPROVAL: {
        StaffEvent.CONFIRMED: Arrow(
            StaffState.AT_REST,
            (CloseOrder(), MoveChange(ChangeEvent.APPROVED), Reply("staff_mobile_approved"), _done()),
        ),
    },
}

_ANYWHERE: dict[StaffEvent, Arrow[StaffState]] = {
    StaffEvent.RESET_ORDERED: Arrow(
        StaffState.CONFIRMING_RESET, (OptIn(), SendConfirmation("code_to_reset"), _ordered())
    ),
    StaffEvent.RESET_OF_LOCKED_ORDERED: Arrow(STAY, (OptIn(), _hint("staff_locked"), _refused("locked"))),
    StaffEvent.RESET_OF_SILENT_ORDERED: Arrow(STAY, (OptIn(), _hint("staff_silent"), _refused("opted_out"))),
    StaffEvent.UNLOCK_ORDERED: Arrow(
        StaffState.CONFIRMING_UNLOCK, (OptIn(), SendConfirmation("code_to_unlock"), _ordered())
    ),
    StaffEvent.UNLOCK_OF_OPEN_ORDERED: Arrow(STAY, (OptIn(), _hint("staff_not_locked"), _refused("not_locked"))),
    StaffEvent.STATUS_ORDERED: Arrow(STAY, (OptIn(), _hint("staff_status"), _ordered("told"))),
    StaffEvent.STATS_ORDERED: Arrow(STAY, (OptIn(), _hint("staff_stats"), _ordered("told"))),
    StaffEvent.MOBILE_ORDERED: Arrow(
        StaffState.CONFIRMING_PROPOSAL, (OptIn(), SendConfirmation("code_to_propose_mobile"), _ordered())
    ),
    StaffEvent.MOBILE_ORDERED_BY_SECOND: Arrow(
        StaffState.CONFIRMING_APPROVAL,
        (OptIn(), SendConfirmation("code_to_approve_mobile"), _ordered("ordered_by_second")),
    ),
    StaffEvent.MOBILE_ORDERED_AGAIN: Arrow(
        STAY, (OptIn(), _hint("staff_mobile_needs_second"), _refused("needs_second"))
    ),
    StaffEvent.MOBILE_ORDERED_WITHOUT_NUMBER: Arrow(
        STAY, (OptIn(), _hint("staff_mobile_needs_number"), _refused("no_number"))
    ),
    StaffEvent.ORDERED_WHILE_HELD: Arrow(STAY, (OptIn(), _hint("staff_mobile_held"), _refused("held"))),
    StaffEvent.REFUSED: Arrow(STAY, (OptIn(), _hint("staff_denied"), _refused("out_of_scope"))),
    StaffEvent.OWN_ACCOUNT_ORDERED: Arrow(STAY, (OptIn(), _hint("staff_denied"), _refused("own_account"))),
    StaffEvent.LOCKED_OUT: Arrow(STAY, (OptIn(), _hint("staff_locked_out"), _refused("locked_out"))),
    StaffEvent.REFUSED_TOO_OFTEN: Arrow(
        STAY, (OptIn(), RaiseAlarm("staff_limit"), _hint("staff_too_often"), _refused("too_often"))
    ),
    StaffEvent.NAMED_INVALID: Arrow(STAY, (OptIn(), _hint("invalid_national_id"), _refused("invalid_id"))),
    StaffEvent.NAMED_SEVERAL: Arrow(STAY, (OptIn(), _hint("one_id_only"), _refused("several_ids"))),
    StaffEvent.NAMED_NOBODY: Arrow(STAY, (OptIn(), _hint("staff_help"), _refused("no_id"))),
    StaffEvent.CONFIRMED_OUT_OF_SCOPE: _not_carried_out("staff_denied", "out_of_scope"),
    StaffEvent.CONFIRMED_WHILE_HELD: _not_carried_out("staff_denied", "held"),
    StaffEvent.CONFIRMED_RESET_OF_LOCKED: _not_carried_out("staff_denied", "locked"),
    StaffEvent.CONFIRMED_RESET_OF_SILENT: _not_carried_out("staff_denied", "opted_out"),
    StaffEvent.CONFIRMED_WITHOUT_PROPOSAL: _not_carried_out("staff_denied", "no_proposal"),
    StaffEvent.CONFIRMED_TOO_OFTEN: Arrow(
        StaffState.AT_REST,
        (CloseOrder(done=False), RaiseAlarm("staff_limit"), Reply("staff_too_often"), _refused("too_often")),
    ),
    StaffEvent.WRONG_CONFIRMATION: Arrow(STAY, (Reply("wrong_code"), RecordOrder(Outcome.FAILED, "wrong"))),
    StaffEvent.LAST_WRONG_CONFIRMATION: Arrow(
        StaffState.AT_REST,
        (BurnCode(), Reply("staff_code_burned"), RecordOrder(Outcome.FAILED, "last_wrong")),
    ),
    StaffEvent.LOCKING_WRONG_CONFIRMATION: Arrow(
        StaffState.AT_REST,
        (
            BurnCode(),
            LockStaff(),
            RaiseAlarm("staff_locked_out"),
            Reply("staff_locked_out"),
            RecordOrder(Outcome.FAILED, "locking_wrong"),
        ),
    ),
    StaffEvent.NO_LIVE_CONFIRMATION: Arrow(STAY, _NO_LIVE),
    StaffEvent.CONFIRMATION_UNDER_UNKNOWN_KEY: Arrow(
        STAY, (_hint("send_again_soon"), Record(Action.CODE_TRIED, Outcome.REFUSED, "unknown_key"))
    ),
    StaffEvent.HELP: Arrow(STAY, (_hint("staff_help"),)),
    StaffEvent.NOT_UNDERSTOOD: Arrow(STAY, (Reply("staff_help", UNPARSED_PER_HOUR),)),
    StaffEvent.TIMED_OUT: Arrow(StaffState.AT_REST),
}

# As long as a confirmation code can be good.
_LASTS: dict[StaffState, timedelta] = {
    state: timedelta(minutes=10) for state in StaffState if state is not StaffState.AT_REST
}

STAFF = Dialog(StaffState.AT_REST, _TABLE, _ANYWHERE, _LASTS)
