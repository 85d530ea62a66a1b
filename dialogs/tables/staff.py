"""The staff table: what provincial users, brokers and headquarters can order by text.

A sender's number can be forged, so an order that does anything is confirmed by a code to the staff member's own
number. CANCEL, STOP and START, and whatever is no order, are the recovery table's: staff are pilgrims too.
"""

from datetime import timedelta

from dialogs.staff_vocabulary import (
    BurnConfirmation,
    ChangeEvent,
    MoveChange,
    RaiseAlarm,
    SendCodeToHolder,
    SendConfirmation,
    StaffEvent,
    StaffState,
    UnlockRecovery,
    UseConfirmation,
)
from dialogs.tables.dialog import STAY, Arrow, Dialog
from dialogs.vocabulary import Hint, OptIn, Say, Shrug

_TABLE: dict[StaffState, dict[StaffEvent, Arrow[StaffState]]] = {
    StaffState.AT_REST: {
        StaffEvent.CONFIRMED: Arrow(STAY, (Hint("staff_no_live_code"),)),
    },
    StaffState.CONFIRMING_RESET: {
        StaffEvent.CONFIRMED: Arrow(
            StaffState.AT_REST, (UseConfirmation(), SendCodeToHolder(), Say("staff_reset_done"))
        ),
    },
    StaffState.CONFIRMING_UNLOCK: {
        StaffEvent.CONFIRMED: Arrow(
            StaffState.AT_REST, (UseConfirmation(), UnlockRecovery(), Say("staff_unlock_done"))
        ),
    },
    StaffState.CONFIRMING_PROPOSAL: {
        StaffEvent.CONFIRMED: Arrow(
            StaffState.AT_REST,
            (UseConfirmation(), MoveChange(ChangeEvent.PROPOSED), Say("staff_mobile_proposed")),
        ),
    },
    StaffState.CONFIRMING_APPROVAL: {
        StaffEvent.CONFIRMED: Arrow(
            StaffState.AT_REST,
            (UseConfirmation(), MoveChange(ChangeEvent.APPROVED), Say("staff_mobile_approved")),
        ),
    },
}

_ANYWHERE: dict[StaffEvent, Arrow[StaffState]] = {
    StaffEvent.RESET_ORDERED: Arrow(StaffState.CONFIRMING_RESET, (OptIn(), SendConfirmation("code_to_reset"))),
    StaffEvent.RESET_OF_LOCKED_ORDERED: Arrow(STAY, (OptIn(), Hint("staff_locked"))),
    StaffEvent.RESET_OF_SILENT_ORDERED: Arrow(STAY, (OptIn(), Hint("staff_silent"))),
    StaffEvent.UNLOCK_ORDERED: Arrow(StaffState.CONFIRMING_UNLOCK, (OptIn(), SendConfirmation("code_to_unlock"))),
    StaffEvent.UNLOCK_OF_OPEN_ORDERED: Arrow(STAY, (OptIn(), Hint("staff_not_locked"))),
    StaffEvent.STATUS_ORDERED: Arrow(STAY, (OptIn(), Hint("staff_status"))),
    StaffEvent.STATS_ORDERED: Arrow(STAY, (OptIn(), Hint("staff_stats"))),
    StaffEvent.MOBILE_ORDERED: Arrow(
        StaffState.CONFIRMING_PROPOSAL, (OptIn(), SendConfirmation("code_to_propose_mobile"))
    ),
    StaffEvent.MOBILE_ORDERED_BY_SECOND: Arrow(
        StaffState.CONFIRMING_APPROVAL, (OptIn(), SendConfirmation("code_to_approve_mobile"))
    ),
    StaffEvent.MOBILE_ORDERED_AGAIN: Arrow(STAY, (OptIn(), Hint("staff_mobile_needs_second"))),
    StaffEvent.MOBILE_ORDERED_WITHOUT_NUMBER: Arrow(STAY, (OptIn(), Hint("staff_mobile_needs_number"))),
    StaffEvent.ORDERED_WHILE_HELD: Arrow(STAY, (OptIn(), Hint("staff_mobile_held"))),
    StaffEvent.REFUSED: Arrow(STAY, (OptIn(), Hint("staff_denied"))),
    StaffEvent.REFUSED_TOO_OFTEN: Arrow(STAY, (OptIn(), RaiseAlarm("staff_limit"), Hint("staff_too_often"))),
    StaffEvent.NAMED_INVALID: Arrow(STAY, (OptIn(), Hint("invalid_national_id"))),
    StaffEvent.NAMED_SEVERAL: Arrow(STAY, (OptIn(), Hint("one_id_only"))),
    StaffEvent.NAMED_NOBODY: Arrow(STAY, (OptIn(), Hint("staff_help"))),
    StaffEvent.CONFIRMED_IN_VAIN: Arrow(StaffState.AT_REST, (UseConfirmation(), Say("staff_denied"))),
    StaffEvent.CONFIRMED_TOO_OFTEN: Arrow(
        StaffState.AT_REST, (UseConfirmation(), RaiseAlarm("staff_limit"), Say("staff_too_often"))
    ),
    StaffEvent.WRONG_CONFIRMATION: Arrow(STAY, (Say("wrong_code"),)),
    StaffEvent.LAST_WRONG_CONFIRMATION: Arrow(StaffState.AT_REST, (BurnConfirmation(), Say("staff_code_burned"))),
    StaffEvent.NO_LIVE_CONFIRMATION: Arrow(STAY, (Hint("staff_no_live_code"),)),
    StaffEvent.HELP: Arrow(STAY, (Hint("staff_help"),)),
    StaffEvent.NOT_UNDERSTOOD: Arrow(STAY, (Shrug("staff_help"),)),
    StaffEvent.UNANSWERED: Arrow(STAY),
    StaffEvent.TIMED_OUT: Arrow(StaffState.AT_REST),
}

# As long as a confirmation code can be good.
_LASTS: dict[StaffState, timedelta] = {
    state: timedelta(minutes=10) for state in StaffState if state is not StaffState.AT_REST
}

STAFF = Dialog(StaffState.AT_REST, _TABLE, _ANYWHERE, _LASTS)
