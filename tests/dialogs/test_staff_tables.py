"""The staff table and the table of a change of mobile: total, without traps; and how orders are listened to."""

from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from itertools import product

import pytest

from dialogs import classify_staff
from dialogs.audit_vocabulary import Record, RecordOrder
from dialogs.classify import classify
from dialogs.limits import HINTS_PER_HOUR, STAFF_REPLIES_PER_HOUR, UNPARSED_PER_HOUR
from dialogs.parsing.parse import from_staff, parse
from dialogs.reply_caps import LAST_REPLY, within_reply_caps
from dialogs.staff_vocabulary import (
    ChangeEvent,
    ChangeState,
    CloseOrder,
    Command,
    HoldMobile,
    LockStaff,
    MoveChange,
    NewMobile,
    Reach,
    SendCodeToAccount,
    SetMobile,
    StaffEvent,
    StaffFacts,
    StaffState,
    TellOldMobile,
    UnlockRecovery,
)
from dialogs.tables.machine import after_order, lasts, step
from dialogs.vocabulary import (
    AnyEvent,
    Asker,
    CodePurpose,
    CodeResult,
    Event,
    Facts,
    Intent,
    Naming,
    ParsedMessage,
    Reply,
    SendCode,
    SetNewPassword,
    SetOwnPassword,
    State,
)
from tests.cases import for_each

ID = "0012345679"
IN_SCOPE = StaffFacts(reach=Reach.IN_SCOPE)
STAFF_FACTS = [
    StaffFacts(
        reach=reach,
        is_own=is_own,
        locked=locked,
        silent=silent,
        held=held,
        resets_used_up=resets_used_up,
        codes_used_up=codes_used_up,
        locked_out=locked_out,
        new_mobile=new_mobile,
    )
    for reach, new_mobile in product(Reach, NewMobile)
    for is_own, locked, silent, held, resets_used_up, codes_used_up, locked_out in product((False, True), repeat=7)
]
ACTS = {Intent.STAFF_RESET, Intent.STAFF_UNLOCK, Intent.STAFF_MOBILE}
SILENT = {StaffEvent.TIMED_OUT}
DOES_SOMETHING = (SendCodeToAccount, UnlockRecovery, MoveChange)


@for_each(("state", "event"), [*product(StaffState, StaffEvent), *product(ChangeState, ChangeEvent)])
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


@for_each("event", sorted(set(StaffEvent) - SILENT))
@for_each("state", StaffState)
def test_it_leaves_no_order_unanswered(state: StaffState, event: StaffEvent) -> None:
    _, effects = step(state, event)
    assert any(isinstance(effect, Reply) or hasattr(effect, "phrase") for effect in effects)


@pytest.mark.parametrize("state", StaffState)
def test_it_does_nothing_but_for_a_right_confirmation_which_it_uses_up(state: StaffState) -> None:
    for event in StaffEvent:
        _, effects = step(state, event)
        if any(isinstance(effect, DOES_SOMETHING) for effect in effects):
            assert event is StaffEvent.CONFIRMED
            assert CloseOrder() in effects
            assert not any(isinstance(effect, LockStaff) for effect in effects)


@for_each("state", StaffState)
@for_each("event", StaffEvent)
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


def confirming(result: CodeResult, staff: StaffFacts) -> AnyEvent:
    """What a confirmation code is heard as."""
    facts = Facts(staff=staff, result=result, purpose=CodePurpose.STAFF_ORDER)
    return classify(ParsedMessage(Intent.CODE, code="314159"), facts)


@pytest.mark.slow
def test_it_makes_one_event_of_every_text_and_all_facts() -> None:
    found: set[AnyEvent] = set()
    for heard, staff, result in product(every_heard(), STAFF_FACTS, (None, CodeResult.NO_LIVE_CODE)):
        found.add(classify(heard, Facts(staff=staff, result=result)))
    for staff, result, command in product(STAFF_FACTS, CodeResult, Command):
        found.add(confirming(result, replace(staff, command=command)))
    assert set(StaffEvent) - found == {StaffEvent.TIMED_OUT}


def test_it_confirms_nothing_out_of_scope_and_nothing_about_ones_own_account() -> None:
    for staff, command in product(STAFF_FACTS, Command):
        event = confirming(CodeResult.RIGHT, replace(staff, command=command))
        if staff.is_own or staff.reach is Reach.OUT_OF_SCOPE:
            assert event is StaffEvent.CONFIRMED_OUT_OF_SCOPE


def test_it_approves_only_what_another_one_has_proposed() -> None:
    for staff in STAFF_FACTS:
        event = confirming(CodeResult.RIGHT, replace(staff, command=Command.APPROVE_MOBILE))
        assert event is not StaffEvent.CONFIRMED or staff.new_mobile is NewMobile.BY_SECOND


@pytest.mark.parametrize("command", [Command.RESET, Command.PROPOSE_MOBILE])
def test_it_confirms_no_code_and_no_other_mobile_while_one_is_held(command: Command) -> None:
    held = replace(IN_SCOPE, held=True, command=command)
    assert confirming(CodeResult.RIGHT, held) is StaffEvent.CONFIRMED_WHILE_HELD
    assert confirming(CodeResult.RIGHT, replace(held, held=False)) is StaffEvent.CONFIRMED


@pytest.mark.parametrize("intent", sorted(ACTS - {Intent.STAFF_RESET}))
def test_it_refuses_an_order_about_ones_own_account(intent: Intent) -> None:
    order = ParsedMessage(intent, Naming.ONE, ID)
    for staff in STAFF_FACTS:
        if staff.is_own and staff.reach is Reach.IN_SCOPE and not staff.locked_out:
            assert classify(order, Facts(staff=staff)) is StaffEvent.OWN_ACCOUNT_ORDERED


@pytest.mark.parametrize("intent", sorted(classify_staff.ORDERS))
def test_it_takes_no_order_of_one_who_is_locked_out(intent: Intent) -> None:
    out = replace(IN_SCOPE, locked_out=True)
    for naming in Naming:
        assert classify(ParsedMessage(intent, naming, ID), Facts(staff=out)) is StaffEvent.LOCKED_OUT


@for_each("heard", every_heard())
def test_it_hears_no_order_from_anyone_else(heard: ParsedMessage) -> None:
    for asker, state in product(Asker, State):
        assert isinstance(classify(heard, Facts(asker=asker, state=state)), Event)


def test_it_refuses_what_is_out_of_scope_alike() -> None:
    orders = [heard for heard in every_heard() if heard.intent in classify_staff.ORDERS and heard.naming is Naming.ONE]
    for heard in orders:
        outside = [it for it in STAFF_FACTS if it.reach is Reach.OUT_OF_SCOPE and not it.is_own and not it.locked_out]
        found = {classify(heard, Facts(staff=it)) for it in outside}
        assert found == ({StaffEvent.STATS_ORDERED} if heard.intent is Intent.STAFF_STATS else {StaffEvent.REFUSED})


def test_it_takes_a_reset_of_ones_own_account_for_a_recovery() -> None:
    own = replace(IN_SCOPE, is_own=True)
    reset = ParsedMessage(Intent.STAFF_RESET, Naming.ONE, ID)
    assert classify(reset, Facts(staff=own, asker=Asker.OWNER)) is Event.ASKED
    assert classify(reset, Facts(staff=own, asker=Asker.STRANGER)) is Event.ASKED_IN_VAIN


def test_it_answers_staff_often_but_not_without_end() -> None:
    status = ParsedMessage(Intent.STAFF_STATUS, Naming.ONE, ID)
    assert STAFF_REPLIES_PER_HOUR > HINTS_PER_HOUR
    assert classify(status, Facts(staff=IN_SCOPE)) is StaffEvent.STATUS_ORDERED
    for event, number in product(StaffEvent, (0, STAFF_REPLIES_PER_HOUR - 1, STAFF_REPLIES_PER_HOUR)):
        facts = Facts(staff=IN_SCOPE, hints_this_hour=number, unparsed_replies_this_hour=UNPARSED_PER_HOUR)
        effects = step(StaffState.AT_REST, event)[1]
        left = within_reply_caps(effects, facts)
        assert [it for it in left if not isinstance(it, Reply)] == [it for it in effects if not isinstance(it, Reply)]
        capped = [it.phrase for it in left if isinstance(it, Reply) and it.per_hour is not None]
        assert not capped or number < STAFF_REPLIES_PER_HOUR
        assert not capped or (capped == [LAST_REPLY]) == (number == STAFF_REPLIES_PER_HOUR - 1)


def test_what_a_confirmation_led_to_is_said_however_much_was_said_before() -> None:
    spent = Facts(staff=IN_SCOPE, hints_this_hour=999, unparsed_replies_this_hour=999)
    for state, event in product(set(StaffState) - {StaffState.AT_REST}, StaffEvent):
        if "CONFIRM" in event.name and event not in {
            StaffEvent.NO_LIVE_CONFIRMATION,
            StaffEvent.CONFIRMATION_UNDER_UNKNOWN_KEY,
        }:
            effects = within_reply_caps(step(state, event)[1], spent)
            assert any(isinstance(effect, Reply) for effect in effects), (state, event)


@for_each("event", sorted(set(StaffEvent) - {StaffEvent.TIMED_OUT}))
@for_each("state", StaffState)
def test_it_writes_every_order_and_every_confirmation_down_once(state: StaffState, event: StaffEvent) -> None:
    rows = [effect for effect in step(state, event)[1] if isinstance(effect, Record | RecordOrder)]
    assert len(rows) == (event not in {StaffEvent.HELP, StaffEvent.NOT_UNDERSTOOD})


def test_it_hears_an_order_of_staff_who_have_said_stop_and_nothing_else() -> None:
    silent = Facts(staff=IN_SCOPE, opted_out=True)
    assert classify(ParsedMessage(Intent.STAFF_STATUS, Naming.ONE, ID), silent) is StaffEvent.STATUS_ORDERED
    assert classify(ParsedMessage(Intent.HELP), silent) is Event.UNANSWERED
    assert classify(ParsedMessage(Intent.UNKNOWN), silent) is Event.UNANSWERED


@pytest.mark.parametrize("intent", [Intent.CANCEL, Intent.OPT_OUT, Intent.OPT_IN])
def test_it_leaves_the_words_that_hold_everywhere_to_the_recovery_table(intent: Intent) -> None:
    for staff in STAFF_FACTS:
        assert isinstance(classify(ParsedMessage(intent), Facts(staff=staff)), Event)


@pytest.mark.parametrize(
    "words", ["لغو", "نه", "نه من نبودم", "نمی‌خواهم", "no", "NO!", "not me", "لا", "na", "CANCEL", "STOP"]
)
def test_it_hears_an_objection(words: str) -> None:
    event = classify(parse(words), Facts(mobile_held=True))
    assert event is (Event.OBJECTED_BY_STOP if words == "STOP" else Event.OBJECTED)
    assert classify(parse(words), Facts()) not in {Event.OBJECTED, Event.OBJECTED_BY_STOP}


WAITING = {
    "بازنشانی": State.AWAITING_ID_TO_RESET,
    "RESET": State.AWAITING_ID_TO_RESET,
    "إعادة تعيين": State.AWAITING_ID_TO_RESET,
    "رفع": State.AWAITING_ID_TO_UNLOCK,
    "unlock please": State.AWAITING_ID_TO_UNLOCK,
    "وضعیت": State.AWAITING_ID_FOR_STATUS,
    "vaziat": State.AWAITING_ID_FOR_STATUS,
}


@pytest.mark.parametrize(("word", "state"), WAITING.items())
def test_a_staff_word_alone_waits_for_its_id_as_if_both_were_one_text(word: str, state: State) -> None:
    facts = Facts(staff=StaffFacts(reach=Reach.IN_SCOPE, locked=True))
    event = classify(parse(word), facts)
    assert step(State.IDLE, event)[0] is state
    for named in (f"{ID}", f"کد ملی {ID}", "0012345678", f"{ID} 0012345679"):
        together = classify(parse(f"{word} {named}"), facts)
        assert classify(parse(named), replace(facts, state=state)) is together
        assert isinstance(together, StaffEvent)
        misread = together in {StaffEvent.NAMED_INVALID, StaffEvent.NAMED_SEVERAL}
        assert after_order(state, together) is (state if misread else State.IDLE)
    # Of who is not of staff it means nothing, and with a keyword it is a recovery.
    assert classify(parse(f"{ID}"), Facts(state=state)) is Event.ASKED_IN_VAIN
    assert classify(parse(f"رمز {ID}"), replace(facts, state=state)) is Event.ASKED_IN_VAIN


def test_the_wait_for_an_orders_id_is_short() -> None:
    for state in set(WAITING.values()):
        assert (lasts(state) or timedelta.max) <= timedelta(minutes=3)


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
    heard = from_staff(parse(words))
    assert (heard.intent, heard.national_id, heard.mobile) == (Intent.STAFF_MOBILE, "8052916372", mobile)
