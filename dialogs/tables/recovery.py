"""The recovery table: state, event, next state, effects. The diagram in README.md is drawn from it."""

from datetime import timedelta

from dialogs.staff_vocabulary import ChangeEvent, MoveChange
from dialogs.tables.dialog import STAY, Arrow, Dialog
from dialogs.vocabulary import (
    BurnCode,
    DropCode,
    Event,
    FakherEvent,
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
    State,
    TellFakher,
)

TABLE: dict[State, dict[Event, Arrow[State]]] = {
    State.IDLE: {
        Event.ASKED_TO_CHANGE_WITHOUT_ID: Arrow(State.AWAITING_ID, (OptIn(), Shrug("ask_national_id_to_change"))),
        Event.ASKED_WITHOUT_ID: Arrow(State.AWAITING_ID, (OptIn(), Shrug("ask_national_id"))),
        Event.ASKED_WITH_INVALID_ID: Arrow(State.AWAITING_ID, (OptIn(), Hint("invalid_national_id"))),
        Event.NOT_UNDERSTOOD: Arrow(STAY, (Shrug("help"),)),
    },
    State.AWAITING_ID: {
        Event.ASKED_FROM_OTHER_PHONE: Arrow(State.IDLE, (OptIn(), SendCode(), Hint("neutral"))),
        Event.ASKED_IN_VAIN: Arrow(State.IDLE, (OptIn(), Hint("neutral"))),
        Event.NOT_UNDERSTOOD: Arrow(STAY, (Shrug("ask_national_id"),)),
    },
    State.AWAITING_CODE: {
        Event.NOT_UNDERSTOOD: Arrow(STAY, (Shrug("ask_code"),)),
    },
    State.AWAITING_CODE_TO_CHANGE: {
        Event.NOT_UNDERSTOOD: Arrow(STAY, (Shrug("ask_code"),)),
    },
    State.AWAITING_NEW_PASSWORD: {
        Event.NOT_UNDERSTOOD: Arrow(STAY, (Shrug("ask_new_password"),)),
    },
}

_CHANGED = (SetOwnPassword(), Notify("password_changed"), TellFakher(FakherEvent.PASSWORD_CHANGED))

ANYWHERE: dict[Event, Arrow[State]] = {
    Event.ASKED: Arrow(State.AWAITING_CODE, (OptIn(), SendCode())),
    Event.ASKED_TOO_SOON: Arrow(State.AWAITING_CODE, (OptIn(), Hint("code_already_sent"))),
    Event.ASKED_TOO_OFTEN: Arrow(STAY, (OptIn(), Hint("too_many_codes"))),
    Event.ASKED_FROM_OTHER_PHONE: Arrow(STAY, (OptIn(), SendCode(), Hint("neutral"))),
    Event.ASKED_FROM_OTHER_PHONE_UNHEARD: Arrow(STAY, (OptIn(), SendCode())),
    Event.ASKED_UNHEARD: Arrow(STAY, (OptIn(),)),
    Event.ASKED_IN_VAIN: Arrow(STAY, (OptIn(), Hint("neutral"))),
    Event.ASKED_WITHOUT_ID: Arrow(STAY, (OptIn(), Shrug("ask_national_id"))),
    Event.ASKED_WITH_INVALID_ID: Arrow(STAY, (OptIn(), Hint("invalid_national_id"))),
    Event.ASKED_WITH_SEVERAL_IDS: Arrow(STAY, (OptIn(), Hint("one_id_only"))),
    Event.ASKED_WITH_FOREIGN_ID: Arrow(STAY, (OptIn(), Hint("refer_office"))),
    Event.ASKED_BEFORE_SEASON: Arrow(STAY, (OptIn(), Hint("season_opens"))),
    Event.ASKED_OUT_OF_SEASON: Arrow(STAY, (OptIn(), Hint("season_closed"))),
    Event.ASKED_TO_CHANGE: Arrow(State.AWAITING_CODE_TO_CHANGE, (OptIn(), SendCode())),
    Event.ASKED_TO_CHANGE_AT_FAKHER: Arrow(State.AWAITING_CODE_TO_CHANGE, (OptIn(), SendCode("code_for_fakher"))),
    Event.ASKED_TO_CHANGE_TOO_SOON: Arrow(State.AWAITING_CODE_TO_CHANGE, (OptIn(), Hint("code_already_sent"))),
    Event.ASKED_TO_CHANGE_WITHOUT_ID: Arrow(STAY, (OptIn(), Shrug("ask_national_id_to_change"))),
    Event.RIGHT_CODE: Arrow(
        State.IDLE, (SetNewPassword(), NotifyFormer("password_changed"), TellFakher(FakherEvent.PASSWORD_RECOVERED))
    ),
    Event.RIGHT_CODE_TO_CHANGE: Arrow(State.AWAITING_NEW_PASSWORD, (GrantTicket(), Say("ask_new_password"))),
    Event.RIGHT_CODE_AND_PASSWORD: Arrow(State.IDLE, _CHANGED),
    Event.RIGHT_CODE_AND_SHORT_PASSWORD: Arrow(State.AWAITING_NEW_PASSWORD, (GrantTicket(), Say("password_too_short"))),
    Event.RIGHT_CODE_AND_COMMON_PASSWORD: Arrow(
        State.AWAITING_NEW_PASSWORD, (GrantTicket(), Say("password_too_common"))
    ),
    Event.RIGHT_CODE_AND_PERSONAL_PASSWORD: Arrow(
        State.AWAITING_NEW_PASSWORD, (GrantTicket(), Say("password_too_personal"))
    ),
    Event.NEW_PASSWORD: Arrow(State.IDLE, _CHANGED),
    Event.SHORT_PASSWORD: Arrow(STAY, (Hint("password_too_short"),)),
    Event.COMMON_PASSWORD: Arrow(STAY, (Hint("password_too_common"),)),
    Event.PERSONAL_PASSWORD: Arrow(STAY, (Hint("password_too_personal"),)),
    Event.PASSWORD_TOO_LATE: Arrow(State.IDLE, (Hint("no_live_code"),)),
    Event.OFFERED_OWN_PASSWORD: Arrow(STAY, (Hint("own_password_at_fakher"),)),
    Event.WRONG_CODE: Arrow(STAY, (Say("wrong_code"),)),
    Event.LAST_WRONG_CODE: Arrow(State.IDLE, (BurnCode(), Say("code_burned"))),
    Event.LOCKING_WRONG_CODE: Arrow(
        State.IDLE,
        (BurnCode(), LockAccount(), Say("recovery_locked"), TellFakher(FakherEvent.RECOVERY_LOCKED)),
    ),
    Event.NO_LIVE_CODE: Arrow(State.IDLE, (Hint("no_live_code"),)),
    Event.HELP: Arrow(STAY, (Shrug("help"),)),
    Event.CANCEL: Arrow(State.IDLE, (DropCode(), Shrug("cancelled"))),
    Event.CANCEL_UNHEARD: Arrow(State.IDLE, (DropCode(),)),
    Event.NOTHING_TO_CANCEL: Arrow(STAY, (Shrug("nothing_to_cancel"),)),
    Event.OBJECTED: Arrow(State.IDLE, (MoveChange(ChangeEvent.OBJECTED), Say("mobile_kept"))),
    Event.STOP: Arrow(State.IDLE, (DropCode(), OptOut(), Shrug("opted_out"))),
    Event.STOP_UNHEARD: Arrow(State.IDLE, (DropCode(), OptOut())),
    Event.OBJECTED_BY_STOP: Arrow(
        State.IDLE, (MoveChange(ChangeEvent.OBJECTED), DropCode(), OptOut(), Say("opted_out"))
    ),
    Event.START: Arrow(STAY, (OptIn(), Shrug("opted_in"))),
    Event.START_UNHEARD: Arrow(STAY, (OptIn(),)),
    Event.UNANSWERED: Arrow(STAY),
    Event.TIMED_OUT: Arrow(State.IDLE),
}

# How long a state holds. One that awaits a code lasts as long as a code can, one that awaits a password as long as
# the right to choose it.
LASTS: dict[State, timedelta] = {
    State.AWAITING_ID: timedelta(minutes=10),
    State.AWAITING_CODE: timedelta(minutes=10),
    State.AWAITING_CODE_TO_CHANGE: timedelta(minutes=10),
    State.AWAITING_NEW_PASSWORD: timedelta(minutes=10),
}

RECOVERY = Dialog(State.IDLE, TABLE, ANYWHERE, LASTS)

# Raised when a state is renamed or dropped; RENAMED then says what an older row's state is called now.
VERSION = 2
RENAMED: dict[str, State] = {}
