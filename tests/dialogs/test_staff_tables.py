"""The staff table and the table of a change of mobile: total, without traps; and how orders are listened to."""

from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from itertools import product

import pytest

from dialogs import classify_staff
from dialogs.classify import HINTS_PER_HOUR, SHRUGS_PER_HOUR, classify
from dialogs.parsing.parse import parse
from dialogs.staff_vocabulary import (
    ChangeEvent,
    ChangeState,
    Confirmation,
    HoldMobile,
    MoveChange,
    NewMobile,
    Reach,
    SendCodeToHolder,
    SetMobile,
    StaffEvent,
    StaffFacts,
    StaffState,
    TellOldMobile,
    UnlockRecovery,
    UseConfirmation,
)
from dialogs.tables.machine import lasts, step
from dialogs.vocabulary import (
    AnyEvent,
    Asker,
    CodeResult,
    Event,
    Facts,
    Hint,
    Intent,
    Naming,
    ParsedMessage,
    Say,
    SendCode,
    SetNewPassword,
    SetOwnPassword,
    Shrug,
    State,
)

ID = "0012345679"
IN_SCOPE = StaffFacts(reach=Reach.IN_SCOPE)
STAFF_FACTS = [
    StaffFacts(reach, is_own, locked, silent, held, too_often, new_mobile, confirmation)
    for reach, is_own, locked, silent, held, too_often, new_mobile, confirmation in product(
        Reach, *[(False, True)] * 5, NewMobile, (None, *Confirmation)
    )
]
SILENT = {StaffEvent.UNANSWERED, StaffEvent.TIMED_OUT}
DOES_SOMETHING = (SendCodeToHolder, UnlockRecovery, MoveChange)


@pytest.mark.parametrize(
    ("state", "event"), [*product(StaffState, StaffEvent), *product(ChangeState, ChangeEvent)], ids=str
)
def test_it_has_an_arrow_for_every_event_in_every_state(state: StrEnum, event: StrEnum) -> None:
    target, _ = step(state, event)
    assert target in type(state)


@pytest.mark.parametrize(("begin", "events"), [(StaffState.AT_REST, StaffEvent), (ChangeState.NONE, ChangeEvent)])
def test_it_reaches_every_state_and_every_one_ends(begin: StrEnum, events: type[StrEnum]) -> None:
    reached, new = {begin}, {begin}
    while new:
        new = {step(state, event)[0] for state in new for event in events} - reached
        reached |= new
    assert reached == set(type(begin))
    for state in reached - {begin}:
        assert lasts(state)
        assert step(state, events["TIMED_OUT"])[0] is begin
    assert lasts(begin) is None


def test_it_lasts_as_long_as_promised() -> None:
    assert {lasts(state) for state in StaffState} == {None, timedelta(minutes=10)}
    assert lasts(ChangeState.PROPOSED) == timedelta(minutes=30)
    assert lasts(ChangeState.HELD) == timedelta(hours=24)


@pytest.mark.parametrize("event", sorted(set(StaffEvent) - SILENT))
@pytest.mark.parametrize("state", StaffState)
def test_it_leaves_no_order_unanswered(state: StaffState, event: StaffEvent) -> None:
    _, effects = step(state, event)
    assert any(isinstance(effect, Say | Hint | Shrug) or hasattr(effect, "phrase") for effect in effects)


@pytest.mark.parametrize("state", StaffState)
def test_it_does_nothing_but_for_a_right_confirmation_which_it_uses_up(state: StaffState) -> None:
    for event in StaffEvent:
        _, effects = step(state, event)
        if any(isinstance(effect, DOES_SOMETHING) for effect in effects):
            assert event is StaffEvent.CONFIRMED
            assert effects[0] == UseConfirmation()


@pytest.mark.parametrize("state", StaffState)
@pytest.mark.parametrize("event", StaffEvent)
def test_it_never_sets_a_password_and_sends_a_code_to_nobody_who_asks(state: StaffState, event: StaffEvent) -> None:
    assert not any(isinstance(each, SetNewPassword | SetOwnPassword | SendCode) for each in step(state, event)[1])


def test_a_mobile_is_set_only_a_day_after_a_second_one_approved_it_and_the_old_one_was_told() -> None:
    for state, event in product(ChangeState, ChangeEvent):
        target, effects = step(state, event)
        sets = any(isinstance(effect, SetMobile) for effect in effects)
        assert sets == (state is ChangeState.HELD and event is ChangeEvent.TIMED_OUT)
        if target is ChangeState.HELD and state is not ChangeState.HELD:
            assert (state, event) == (ChangeState.PROPOSED, ChangeEvent.APPROVED)
            assert effects == (HoldMobile(), TellOldMobile("mobile_changing"))


# Listening


def every_heard() -> list[ParsedMessage]:
    return [
        ParsedMessage(intent, naming, ID if naming is Naming.ONE else None, code)
        for intent, naming, code in product(Intent, Naming, (None, "314159"))
    ]


@pytest.mark.slow
def test_it_makes_one_event_of_every_text_and_all_facts() -> None:
    found: set[AnyEvent] = set()
    for heard, staff, guess in product(every_heard(), STAFF_FACTS, (None, CodeResult.NO_LIVE_CODE)):
        found.add(classify(heard, Facts(staff=staff, guess=guess)))
    found.add(
        classify(ParsedMessage(Intent.HELP), Facts(staff=IN_SCOPE, hints_this_hour=classify_staff.REPLIES_PER_HOUR))
    )
    assert set(StaffEvent) - found == {StaffEvent.TIMED_OUT}


@pytest.mark.parametrize("heard", every_heard(), ids=repr)
def test_it_hears_no_order_from_anyone_else(heard: ParsedMessage) -> None:
    for asker, state in product(Asker, State):
        assert isinstance(classify(heard, Facts(asker=asker, state=state)), Event)


def test_it_refuses_what_is_out_of_scope_alike() -> None:
    orders = [heard for heard in every_heard() if heard.intent in classify_staff.ORDERS and heard.naming is Naming.ONE]
    for heard in orders:
        outside = [it for it in STAFF_FACTS if it.reach is Reach.OUT_OF_SCOPE and not it.is_own and not it.confirmation]
        found = {classify(heard, Facts(staff=it)) for it in outside}
        assert found == ({StaffEvent.STATS_ORDERED} if heard.intent is Intent.STAFF_STATS else {StaffEvent.REFUSED})


def test_it_takes_a_reset_of_ones_own_account_for_a_recovery() -> None:
    own = replace(IN_SCOPE, is_own=True)
    reset = ParsedMessage(Intent.STAFF_RESET, Naming.ONE, ID)
    assert classify(reset, Facts(staff=own, asker=Asker.OWNER)) is Event.ASKED
    assert classify(reset, Facts(staff=own, asker=Asker.STRANGER)) is Event.ASKED_IN_VAIN


def test_it_answers_staff_often_but_not_without_end() -> None:
    status = ParsedMessage(Intent.STAFF_STATUS, Naming.ONE, ID)
    assert classify_staff.REPLIES_PER_HOUR > HINTS_PER_HOUR
    busy = Facts(staff=IN_SCOPE, hints_this_hour=classify_staff.REPLIES_PER_HOUR - 1)
    assert classify(status, busy) is StaffEvent.STATUS_ORDERED
    for heard, staff in product(every_heard(), STAFF_FACTS):
        spent = Facts(
            staff=staff, hints_this_hour=classify_staff.REPLIES_PER_HOUR, unparsed_replies_this_hour=SHRUGS_PER_HOUR
        )
        event = classify(heard, spent)
        if isinstance(event, StaffEvent):
            assert not any(isinstance(each, Hint | Shrug) for each in step(StaffState.AT_REST, event)[1]) or (
                event is StaffEvent.CONFIRMED
            )


def test_it_hears_an_order_of_staff_who_have_said_stop_and_nothing_else() -> None:
    silent = Facts(staff=IN_SCOPE, opted_out=True)
    assert classify(ParsedMessage(Intent.STAFF_STATUS, Naming.ONE, ID), silent) is StaffEvent.STATUS_ORDERED
    assert classify(ParsedMessage(Intent.HELP), silent) is Event.UNANSWERED
    assert classify(ParsedMessage(Intent.UNKNOWN), silent) is Event.UNANSWERED


@pytest.mark.parametrize("intent", [Intent.CANCEL, Intent.OPT_OUT, Intent.OPT_IN])
def test_it_leaves_the_words_that_hold_everywhere_to_the_recovery_table(intent: Intent) -> None:
    for staff in STAFF_FACTS:
        if staff.confirmation is None:
            assert isinstance(classify(ParsedMessage(intent), Facts(staff=staff)), Event)


@pytest.mark.parametrize(
    "words", ["لغو", "نه", "نه من نبودم", "نمی‌خواهم", "no", "NO!", "not me", "لا", "na", "CANCEL", "STOP"]
)
def test_it_hears_an_objection(words: str) -> None:
    event = classify(parse(words), Facts(mobile_held=True))
    assert event is (Event.OBJECTED_BY_STOP if words == "STOP" else Event.OBJECTED)
    assert classify(parse(words), Facts()) not in {Event.OBJECTED, Event.OBJECTED_BY_STOP}


@pytest.mark.parametrize("words", ["سلام", "ok", "باشه", "راهنما", "رمز 0012345679", "👍", ""])
def test_it_takes_nothing_else_for_an_objection(words: str) -> None:
    assert classify(parse(words), Facts(mobile_held=True)) not in {Event.OBJECTED, Event.OBJECTED_BY_STOP}


@pytest.mark.parametrize(
    ("words", "mobile"),
    [
        ("موبایل 8052916372 09121234567", "09121234567"),
        ("MOBILE 09121234567 8052916372", "09121234567"),
        ("موبایل ۸۰۵۲۹۱۶۳۷۲ ۹۱۲۱۲۳۴۵۶۷", "9121234567"),
        ("mobile 8052916372 +98 912 123 4567", "989121234567"),
        ("mobile 8052916372 00989121234567", "00989121234567"),
        ("mobile 8052916372", None),
        ("mobile 8052916372 4471", None),
        ("mobile 8052916372 09121234567 09131234567", None),
    ],
)
def test_it_finds_the_number_beside_the_id(words: str, mobile: str | None) -> None:
    heard = parse(words)
    assert (heard.intent, heard.national_id, heard.mobile) == (Intent.STAFF_MOBILE, "8052916372", mobile)
