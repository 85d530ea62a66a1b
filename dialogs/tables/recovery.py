"""The recovery table: state, event, next state, effects. The diagram in README.md is drawn from it."""

from datetime import timedelta

from dialogs.audit_vocabulary import Action, Outcome, Record, RecordOrder
from dialogs.limits import HINTS_PER_HOUR, STAFF_REPLIES_PER_HOUR, UNPARSED_PER_HOUR
from dialogs.staff_vocabulary import ChangeEvent, MoveChange, StaffEvent
from dialogs.tables.dialog import STAY, Arrow, Dialog
from dialogs.vocabulary import (
    BurnCode,
    CodePurpose,
    DropCode,
    Event,
    FakherEvent,
    LockAccount,
    Notify,
    NotifyFormer,
    OptIn,
    OptOut,
    Reply,
    SendCode,
    SetNewPassword,
    SetOwnPassword,
    State,
    TellFakher,
)


def _hint(phrase: str) -> Reply:
    return Reply(phrase, HINTS_PER_HOUR)


def _unparsed(phrase: str) -> Reply:
    return Reply(phrase, UNPARSED_PER_HOUR)


def _requested(reason: str = "") -> Record:
    return Record(Action.CODE_REQUESTED, Outcome.OK, reason)


def _not_sent(reason: str) -> Record:
    return Record(Action.CODE_REQUESTED, Outcome.REFUSED, reason)


def _tried(reason: str = "") -> Record:
    return Record(Action.CODE_TRIED, Outcome.OK, reason)


def _wrong(reason: str) -> Record:
    return Record(Action.CODE_TRIED, Outcome.FAILED, reason)


_WITHOUT_ID = (OptIn(), _unparsed("ask_national_id"), _not_sent("no_id"))
_TO_CHANGE_WITHOUT_ID = (OptIn(), _unparsed("ask_national_id_to_change"), _not_sent("no_id"))
_WITH_INVALID_ID = (OptIn(), _hint("invalid_national_id"), _not_sent("invalid_id"))
# The reply leaves before the code, so that its time does not tell whether there is an account.
_FROM_OTHER_PHONE = (OptIn(), _hint("neutral"), SendCode(), _requested("other_phone"))
_TOO_SOON = (OptIn(), _hint("code_already_sent"), _not_sent("too_soon"))
_IN_VAIN = (OptIn(), _hint("neutral"), _not_sent("in_vain"))

_ORDERED_WITHOUT_ID = (
    OptIn(),
    Reply("staff_help", STAFF_REPLIES_PER_HOUR),
    RecordOrder(Outcome.REFUSED, "no_id"),
)
_AT_REST = {
    Event.ASKED_TO_CHANGE_WITHOUT_ID: Arrow(State.AWAITING_ID, _TO_CHANGE_WITHOUT_ID),
    Event.ASKED_WITHOUT_ID: Arrow(State.AWAITING_ID, _WITHOUT_ID),
    Event.ASKED_WITH_INVALID_ID: Arrow(State.AWAITING_ID, _WITH_INVALID_ID),
    Event.NOT_UNDERSTOOD: Arrow(STAY, (_unparsed("help"),)),
}

_TABLE: dict[State, dict[Event, Arrow[State]]] = {
    State.IDLE: _AT_REST,
    State.AWAITING_ID: {
        Event.ASKED_FROM_OTHER_PHONE: Arrow(State.IDLE, _FROM_OTHER_PHONE),
        Event.ASKED_IN_VAIN: Arrow(State.IDLE, _IN_VAIN),
        Event.NOT_UNDERSTOOD: Arrow(STAY, (_unparsed("ask_national_id"),)),
    },
    State.AWAITING_CODE: {
        Event.NOT_UNDERSTOOD: Arrow(STAY, (_unparsed("ask_code"),)),
    },
    State.AWAITING_CODE_TO_CHANGE: {
        # The text that brought the code asked for a password beside it, and holds still.
        Event.ASKED_TOO_SOON: Arrow(STAY, _TOO_SOON),
        Event.NOT_UNDERSTOOD: Arrow(STAY, (_unparsed("ask_code"),)),
    },
    # Staff are pilgrims too: whatever is no ID alone means what it means at rest.
    State.AWAITING_ID_TO_RESET: _AT_REST,
    State.AWAITING_ID_TO_UNLOCK: _AT_REST,
    State.AWAITING_ID_FOR_STATUS: _AT_REST,
}

# What a wrong code leads to, by text and at Fakher alike.
LAST_WRONG: tuple[BurnCode | LockAccount, ...] = (BurnCode(),)
LOCKING_WRONG: tuple[BurnCode | LockAccount, ...] = (BurnCode(), LockAccount())

_ANYWHERE: dict[Event, Arrow[State]] = {
    Event.ASKED: Arrow(State.AWAITING_CODE, (OptIn(), SendCode(), _requested())),
    Event.ASKED_TOO_SOON: Arrow(State.AWAITING_CODE, _TOO_SOON),
    Event.ASKED_TOO_OFTEN: Arrow(STAY, (OptIn(), _hint("too_many_codes"), _not_sent("too_often"))),
    Event.ASKED_FROM_OTHER_PHONE: Arrow(STAY, _FROM_OTHER_PHONE),
    Event.ASKED_IN_VAIN: Arrow(STAY, _IN_VAIN),
    Event.ASKED_WITHOUT_ID: Arrow(STAY, _WITHOUT_ID),
    Event.ASKED_WITH_INVALID_ID: Arrow(STAY, _WITH_INVALID_ID),
    Event.ASKED_WITH_SEVERAL_IDS: Arrow(STAY, (OptIn(), _hint("one_id_only"), _not_sent("several_ids"))),
    Event.ASKED_WITH_FOREIGN_ID: Arrow(STAY, (OptIn(), _hint("refer_office"), _not_sent("foreign_id"))),
    Event.ASKED_BEFORE_SEASON: Arrow(STAY, (OptIn(), _hint("season_opens"), _not_sent("out_of_season"))),
    Event.ASKED_OUT_OF_SEASON: Arrow(STAY, (OptIn(), _hint("season_closed"), _not_sent("out_of_season"))),
    Event.ASKED_TO_CHANGE: Arrow(
        State.AWAITING_CODE_TO_CHANGE,
        (OptIn(), SendCode("code_with_password", CodePurpose.CHANGE), _requested("to_change")),
    ),
    Event.ASKED_TO_CHANGE_AT_FAKHER: Arrow(
        State.AWAITING_CODE_TO_CHANGE,
        (OptIn(), SendCode("code_for_fakher", CodePurpose.CHANGE), _requested("to_change")),
    ),
    Event.ASKED_TO_CHANGE_TOO_SOON: Arrow(State.AWAITING_CODE_TO_CHANGE, _TOO_SOON),
    Event.ASKED_TO_CHANGE_WITHOUT_ID: Arrow(STAY, _TO_CHANGE_WITHOUT_ID),
    Event.RIGHT_CODE: Arrow(
        State.IDLE,
        (
            SetNewPassword(),
            NotifyFormer("password_changed"),
            TellFakher(FakherEvent.PASSWORD_RECOVERED),
            _tried(),
        ),
    ),
    Event.RIGHT_CODE_FOR_FAKHER: Arrow(STAY, (Reply("own_password_at_fakher"), _tried("for_fakher"))),
    Event.RIGHT_CODE_WITHOUT_PASSWORD: Arrow(
        State.AWAITING_CODE_TO_CHANGE, (Reply("ask_code_with_password"), _tried("without_password"))
    ),
    Event.RIGHT_CODE_AND_PASSWORD: Arrow(
        State.IDLE,
        (
            SetOwnPassword(),
            Notify("password_changed"),
            TellFakher(FakherEvent.PASSWORD_CHANGED),
            _tried("with_password"),
        ),
    ),
    Event.RIGHT_CODE_AND_SHORT_PASSWORD: Arrow(STAY, (Reply("password_too_short"), _tried("with_short_password"))),
    Event.RIGHT_CODE_AND_COMMON_PASSWORD: Arrow(STAY, (Reply("password_too_common"), _tried("with_common_password"))),
    Event.RIGHT_CODE_AND_PERSONAL_PASSWORD: Arrow(
        STAY, (Reply("password_too_personal"), _tried("with_personal_password"))
    ),
    Event.OFFERED_OWN_PASSWORD: Arrow(
        STAY,
        (_hint("own_password_at_fakher"), Record(Action.PASSWORD_OFFERED, Outcome.REFUSED, "not_by_text")),
    ),
    Event.LAST_RIGHT_CODE: Arrow(State.IDLE, (Reply("no_live_code"), _tried("last_try"))),
    Event.WRONG_CODE: Arrow(STAY, (Reply("wrong_code"), _wrong("wrong"))),
    Event.LAST_WRONG_CODE: Arrow(State.IDLE, (*LAST_WRONG, Reply("code_burned"), _wrong("last_wrong"))),
    Event.LOCKING_WRONG_CODE: Arrow(State.IDLE, (*LOCKING_WRONG, Reply("recovery_locked"), _wrong("locking_wrong"))),
    Event.NO_LIVE_CODE: Arrow(State.IDLE, (_hint("no_live_code"), _wrong("no_live_code"))),
    Event.CODE_UNDER_UNKNOWN_KEY: Arrow(
        STAY, (_hint("send_again_soon"), Record(Action.CODE_TRIED, Outcome.REFUSED, "unknown_key"))
    ),
    Event.CODE_WHILE_OPTED_OUT: Arrow(STAY, (Record(Action.CODE_TRIED, Outcome.REFUSED, "opted_out"),)),
    Event.HELP: Arrow(STAY, (_unparsed("help"),)),
    Event.CANCEL: Arrow(State.IDLE, (DropCode(), Reply("cancelled"))),
    Event.NOTHING_TO_CANCEL: Arrow(STAY, (_unparsed("nothing_to_cancel"),)),
    Event.OBJECTED: Arrow(State.IDLE, (Reply("mobile_kept"), MoveChange(ChangeEvent.OBJECTED))),
    Event.STOP: Arrow(State.IDLE, (DropCode(), OptOut(), Reply("opted_out"))),
    Event.OBJECTED_BY_STOP: Arrow(
        State.IDLE, (Reply("opted_out"), MoveChange(ChangeEvent.OBJECTED), DropCode(), OptOut())
    ),
    Event.START: Arrow(STAY, (OptIn(), Reply("opted_in"))),
    Event.NOTHING_TO_START: Arrow(STAY, (_unparsed("opted_in"),)),
    Event.RESET_ORDERED_WITHOUT_ID: Arrow(State.AWAITING_ID_TO_RESET, _ORDERED_WITHOUT_ID),
    Event.UNLOCK_ORDERED_WITHOUT_ID: Arrow(State.AWAITING_ID_TO_UNLOCK, _ORDERED_WITHOUT_ID),
    Event.STATUS_ORDERED_WITHOUT_ID: Arrow(State.AWAITING_ID_FOR_STATUS, _ORDERED_WITHOUT_ID),
    Event.UNANSWERED: Arrow(STAY),
    Event.TIMED_OUT: Arrow(State.IDLE),
}

# How long a state holds. One that awaits a code lasts as long as a code can; one in which an ID alone is an order, no
# longer than it takes to look the ID up.
_LASTS: dict[State, timedelta] = {
    State.AWAITING_ID: timedelta(minutes=10),
    State.AWAITING_CODE: timedelta(minutes=10),
    State.AWAITING_CODE_TO_CHANGE: timedelta(minutes=10),
    State.AWAITING_ID_TO_RESET: timedelta(minutes=3),
    State.AWAITING_ID_TO_UNLOCK: timedelta(minutes=3),
    State.AWAITING_ID_FOR_STATUS: timedelta(minutes=3),
}

RECOVERY = Dialog(State.IDLE, _TABLE, _ANYWHERE, _LASTS)

# An order ends the wait for its ID; one that could not be read does not.
AFTER_ORDER: dict[State, State] = {
    State.AWAITING_ID_TO_RESET: State.IDLE,
    State.AWAITING_ID_TO_UNLOCK: State.IDLE,
    State.AWAITING_ID_FOR_STATUS: State.IDLE,
}
MISREAD = {StaffEvent.NAMED_INVALID, StaffEvent.NAMED_SEVERAL, StaffEvent.HELP, StaffEvent.NOT_UNDERSTOOD}

# What a state that an older row holds is called now, where it was renamed.
RENAMED: dict[str, State] = {}
