"""The dialog's table and its reading of facts: total, without traps, and drawn as it is."""

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import fields, replace
from datetime import timedelta
from itertools import product
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from bot.build import Bot
from bot.cli.diagram import with_diagrams
from bot.ports import Inbound
from bot.sending.messages import variant
from dialogs.audit_vocabulary import Record
from dialogs.classify import brings_password, classify, hands_back_code, is_request
from dialogs.limits import HINTS_PER_HOUR, REPLIES_WITHOUT_ID_PER_HOUR, STAFF_REPLIES_PER_HOUR, UNPARSED_PER_HOUR
from dialogs.replies.phrases import languages
from dialogs.reply_caps import LAST_REPLY, OPTED_IN, within_reply_caps
from dialogs.tables.dialog import STAY, Arrow
from dialogs.tables.machine import DIALOGS, lasts, mermaid, revive, step
from dialogs.tables.recovery import RECOVERY, RENAMED
from dialogs.vocabulary import (
    Allowance,
    AnyEvent,
    Asker,
    CodePurpose,
    CodeResult,
    Effect,
    Event,
    Facts,
    FakherEvent,
    Intent,
    Naming,
    Notify,
    NotifyFormer,
    OptIn,
    OptOut,
    OwnPasswordVerdict,
    ParsedMessage,
    Reply,
    Season,
    SendCode,
    SetNewPassword,
    SetOwnPassword,
    State,
    TellFakher,
)
from store.tables import ConversationRow, table
from tests.cases import for_each
from tests.support.parts import Carrier, settings
from tests.support.people import ZAHRA, settled
from tests.support.places import ROOT

README = ROOT / "README.md"
ID = "0012345679"
CODE = "314159"

TABLE, ANYWHERE, LASTS = RECOVERY.table, RECOVERY.anywhere, RECOVERY.lasts
REPLIES = (Reply, SendCode, SetNewPassword, Notify)
SILENT = {Event.UNANSWERED, Event.TIMED_OUT, Event.CODE_WHILE_OPTED_OUT}

HEARD = [
    ParsedMessage(intent, naming, ID if naming is Naming.ONE else None, code, None, own, follows)
    for intent, naming, code, own, follows in product(Intent, Naming, (None, CODE), (False, True), (False, True))
]
FACTS = [
    Facts(season=season, asker=asker, allowance=allowance, in_dialog=in_dialog, result=result, opted_out=opted_out)
    for season, asker, allowance, in_dialog, result, opted_out in product(
        Season, Asker, Allowance, (False, True), (None, *CodeResult), (False, True)
    )
]
# What an hour's replies leave of a cap: nothing was said, one less than it, all of it.
COUNTED: list[dict[str, Any]] = [
    {"named_this_hour": named, "unparsed_replies_this_hour": unparsed, "hints_this_hour": hinted}
    for named, unparsed, hinted in product(
        (False, True),
        (0, UNPARSED_PER_HOUR - 1, UNPARSED_PER_HOUR),
        (0, HINTS_PER_HOUR - 1, HINTS_PER_HOUR),
    )
]
FACTS_OF_A_MOVE = [Facts(mobile_held=True)]
# What matters where a password is changed.
FACTS_OF_A_CHANGE = [
    Facts(
        state=state,
        asker=Asker.OWNER,
        allowance=allowance,
        in_dialog=True,
        result=result,
        purpose=purpose,
        was_last_try=was_last_try,
        password=password,
        own_password_allowed=allowed,
        named_this_hour=True,
    )
    for state, allowance, result, purpose, was_last_try, password, allowed in product(
        State,
        Allowance,
        (None, *CodeResult),
        (CodePurpose.RECOVERY, CodePurpose.CHANGE),
        (False, True),
        (None, *OwnPasswordVerdict),
        (False, True),
    )
]
# What only a staff member's text can be, in the dialog with them as pilgrims.
FROM_STAFF = {event for event in Event if event.name.endswith("_ORDERED_WITHOUT_ID")}
# What was done, and what a code led to: said however much was said before.
ALWAYS_SAID = {
    Event.CANCEL: "cancelled",
    Event.STOP: "opted_out",
    Event.OBJECTED_BY_STOP: "opted_out",
    Event.START: "opted_in",
    Event.OBJECTED: "mobile_kept",
    Event.LAST_RIGHT_CODE: "no_live_code",
    Event.WRONG_CODE: "wrong_code",
    Event.LAST_WRONG_CODE: "code_burned",
    Event.LOCKING_WRONG_CODE: "recovery_locked",
    Event.RIGHT_CODE_FOR_FAKHER: "own_password_at_fakher",
    Event.RIGHT_CODE_WITHOUT_PASSWORD: "ask_code_with_password",
    Event.RIGHT_CODE_AND_SHORT_PASSWORD: "password_too_short",
    Event.RIGHT_CODE_AND_COMMON_PASSWORD: "password_too_common",
    Event.RIGHT_CODE_AND_PERSONAL_PASSWORD: "password_too_personal",
}


def effects_of(event: Event) -> list[tuple[Effect, ...]]:
    """What an event does, in every state."""
    return [step(state, event)[1] for state in State]


def phrases_of(effects: tuple[Effect, ...]) -> set[str]:
    return {effect.phrase for effect in effects if hasattr(effect, "phrase")}


def said(event: AnyEvent, facts: Facts) -> list[str]:
    """The phrases with which an event is answered within the caps."""
    _, effects = step(facts.state, event)
    return [effect.phrase for effect in within_reply_caps(effects, facts) if isinstance(effect, Reply)]


def every_arrow() -> Iterator[Arrow[Any]]:
    for dialog in DIALOGS.values():
        yield from dialog.anywhere.values()
        for arrows in dialog.table.values():
            yield from arrows.values()


# The table


@for_each("state", State)
@for_each("event", Event)
def test_it_has_an_arrow_for_every_event_in_every_state(state: State, event: Event) -> None:
    target, effects = step(state, event)
    assert target in State
    assert all(isinstance(effect, get_args(Effect)) for effect in effects)


def test_it_reaches_every_state_from_idle() -> None:
    reached, new = {State.IDLE}, {State.IDLE}
    while new:
        new = {step(state, event)[0] for state in new for event in Event} - reached
        reached |= new
    assert reached == set(State)


@pytest.mark.parametrize("state", sorted(set(State) - {State.IDLE}))
def test_it_ends_every_state_but_idle_by_itself(state: State) -> None:
    span = lasts(state)
    assert span is not None
    assert timedelta(0) < span <= timedelta(minutes=10)
    assert step(state, Event.TIMED_OUT) == (State.IDLE, ())


def test_it_lets_idle_last_for_ever() -> None:
    assert lasts(State.IDLE) is None
    assert set(LASTS) == set(State) - {State.IDLE}


@for_each("event", [Event.HELP, Event.CANCEL, Event.STOP])
@for_each("state", State)
def test_it_answers_help_exit_and_stop_in_every_state_alike(state: State, event: Event) -> None:
    target, effects = step(state, event)
    assert any(isinstance(effect, REPLIES) for effect in effects)
    assert effects == step(State.IDLE, event)[1]
    assert target is (state if event is Event.HELP else State.IDLE)


@for_each("event", sorted(set(Event) - SILENT))
def test_it_leaves_no_text_unanswered(event: Event) -> None:
    for effects in effects_of(event):
        assert any(isinstance(effect, REPLIES) for effect in effects)


@pytest.mark.parametrize("event", sorted(SILENT))
def test_it_changes_nothing_where_it_is_silent(event: Event) -> None:
    assert all(isinstance(effect, Record) for effects in effects_of(event) for effect in effects)


def test_it_still_sends_the_code_that_a_busy_clerk_asks_for_and_says_nothing() -> None:
    spent = Facts(named_this_hour=True, hints_this_hour=HINTS_PER_HOUR)
    done = within_reply_caps(step(State.IDLE, Event.ASKED_FROM_OTHER_PHONE)[1], spent)
    assert SendCode() in done and OptIn() in done
    assert not any(isinstance(effect, Reply) for effect in done)


@given(st.sampled_from(State), st.sampled_from(Event), st.sampled_from(FACTS), st.sampled_from(COUNTED))
def test_it_does_without_a_word_all_that_it_does_with_one(
    state: State, event: Event, some: Facts, counted: dict[str, Any]
) -> None:
    effects, facts = step(state, event)[1], replace(some, **counted)
    done = [effect for effect in within_reply_caps(effects, facts) if not isinstance(effect, Reply)]
    assert done == [effect for effect in effects if not isinstance(effect, Reply)]


@for_each("state", State)
@for_each("event", Event)
def test_it_says_that_a_stop_has_ended_only_where_it_ends_it(state: State, event: Event) -> None:
    spent = Facts(opted_out=True, named_this_hour=True, unparsed_replies_this_hour=99, hints_this_hour=99)
    done = within_reply_caps(step(state, event)[1], spent)
    assert (OPTED_IN in done) <= (OptIn() in done)


@for_each("event", sorted(Event))
def test_it_is_silent_after_what_it_says_to_anyone_and_never_about_what_was_done(event: Event) -> None:
    spent = Facts(unparsed_replies_this_hour=99, hints_this_hour=99)
    assert said(event, spent) == ([ALWAYS_SAID[event]] if event in ALWAYS_SAID else [])
    for effects in effects_of(event):
        capped = [effect for effect in effects if isinstance(effect, Reply) and effect.per_hour is not None]
        to_staff = {STAFF_REPLIES_PER_HOUR} if event in FROM_STAFF else set()
        assert all(effect.per_hour in {UNPARSED_PER_HOUR, HINTS_PER_HOUR} | to_staff for effect in capped)


def test_the_neutral_reply_stands_before_the_code() -> None:
    for effects in effects_of(Event.ASKED_FROM_OTHER_PHONE):
        words = [effect for effect in effects if isinstance(effect, Reply | SendCode)]
        assert words == [Reply("neutral", HINTS_PER_HOUR), SendCode()]


def test_it_says_the_same_to_a_stranger_whether_a_code_goes_out_or_not() -> None:
    for state in State:
        sent, vain = step(state, Event.ASKED_FROM_OTHER_PHONE), step(state, Event.ASKED_IN_VAIN)
        assert sent[0] is vain[0]
        spoken = [
            [each for each in effects if not isinstance(each, SendCode | Record)] for effects in (sent[1], vain[1])
        ]
        assert spoken[0] == spoken[1]


def test_it_sets_a_password_only_for_a_right_code_in_the_same_text() -> None:
    setting = {event for event in Event for effects in effects_of(event) if SetNewPassword() in effects}
    assert setting == {Event.RIGHT_CODE}
    choosing = {event for event in Event for effects in effects_of(event) if SetOwnPassword() in effects}
    assert choosing == {Event.RIGHT_CODE_AND_PASSWORD}


@pytest.mark.parametrize("state", State)
def test_a_right_code_that_sets_nothing_leaves_the_dialog_where_it_is(state: State) -> None:
    for event in Event:
        if event.name.startswith("RIGHT_CODE_") and event is not Event.RIGHT_CODE_AND_PASSWORD:
            target, effects = step(state, event)
            # Where both are asked for, both are awaited.
            is_asked_for = event is Event.RIGHT_CODE_WITHOUT_PASSWORD
            assert target is (State.AWAITING_CODE_TO_CHANGE if is_asked_for else state)
            assert {type(effect) for effect in effects} == {Reply, Record}


def test_it_gives_notice_and_tells_fakher_of_every_password() -> None:
    for event in Event:
        for effects in effects_of(event):
            new, own = SetNewPassword() in effects, SetOwnPassword() in effects
            assert (Notify("password_changed") in effects) == own
            assert (NotifyFormer("password_changed") in effects) == new
            told = [effect.event for effect in effects if isinstance(effect, TellFakher)]
            assert (FakherEvent.PASSWORD_RECOVERED in told) == new
            assert (FakherEvent.PASSWORD_CHANGED in told) == own
            # That recovery is locked, the effect itself tells, about each account.
            assert FakherEvent.RECOVERY_LOCKED not in told


def test_it_takes_only_a_persons_own_request_or_start_as_consent() -> None:
    consenting = {event for event in Event for effects in effects_of(event) if OptIn() in effects}
    assert consenting == {e for e in Event if e.name.startswith("ASKED")} | {Event.START} | FROM_STAFF


def test_it_is_pure() -> None:
    before = deepcopy((TABLE, ANYWHERE))
    first = [step(state, event) for state in State for event in Event]
    assert [step(state, event) for state in State for event in Event] == first
    assert before == (TABLE, ANYWHERE)


@given(st.lists(st.sampled_from(Event)))
def test_it_walks_anywhere_and_comes_to_rest(events: list[Event]) -> None:
    state = State.IDLE
    for event in events:
        state, _ = step(state, event)
        assert (lasts(state) is None) == (state is State.IDLE)
    assert step(state, Event.TIMED_OUT)[0] is State.IDLE


# Stored states


@pytest.mark.parametrize("state", State)
def test_it_knows_its_own_states_again(state: State) -> None:
    assert revive(state.value) is state


@pytest.mark.parametrize("name", ["", "awaiting_fingerprint", "IDLE ", "idle\0", "'; --"])
def test_it_takes_a_dropped_or_unreadable_state_for_idle(name: str) -> None:
    assert revive(name) is State.IDLE


def test_it_renames_only_what_is_gone() -> None:
    assert not set(RENAMED) & {state.value for state in State}
    assert all(revive(name) is state for name, state in RENAMED.items())


def test_it_hears_a_phone_whose_stored_state_no_release_knows(bot: Bot, carrier: Carrier) -> None:
    settled(bot).hear(Inbound("simulated", "M1", ZAHRA["mobile"], "راهنما"))
    conversation = table(ConversationRow)
    with bot.store.writing() as connection:
        connection.execute(update(conversation).values(state="awaiting_fingerprint"))
    assert bot.hear(Inbound("simulated", "M2", ZAHRA["mobile"], f"رمز {ID}")) is Event.ASKED


# Phrases


def test_it_says_just_the_phrases_that_the_language_files_have() -> None:
    by_the_way = {"new_password", "code_to_console", "code_to_put_staff", "code_to_remove_staff"}
    by_the_way |= {"staff_undelivered", "staff_taken_on", "staff_status_with_resets", LAST_REPLY}
    said = by_the_way.union(*(phrases_of(arrow.effects) for arrow in every_arrow()))
    said |= {phrase for phrase in languages()["fa"]["phrases"] if phrase.startswith("state_")}  # they stand in another
    chosen = [settings(), settings(FAKHER_DOMAIN="fakher.haj.ir", SUPPORT_PHONE="")]
    said |= {variant(phrase, each) for phrase in said for each in chosen}
    for language, book in languages().items():
        written = set(book["phrases"])
        assert said - written == set(), f"{language} lacks phrases"
        assert written - said == set(), f"{language} has phrases that nobody says"


# Listening


EVERY = [*FACTS, *FACTS_OF_A_CHANGE, *FACTS_OF_A_MOVE]


@pytest.mark.slow
def test_it_makes_exactly_one_event_of_every_text_and_all_facts() -> None:
    heard_of = {classify(heard, facts) for heard in HEARD for facts in EVERY}
    assert heard_of == set(Event) - {Event.TIMED_OUT} - FROM_STAFF


@given(st.sampled_from(HEARD), st.sampled_from(EVERY), st.sampled_from(COUNTED))
def test_what_was_said_this_hour_makes_no_other_event(
    heard: ParsedMessage, facts: Facts, counted: dict[str, Any]
) -> None:
    assert classify(heard, replace(facts, **counted)) is classify(heard, facts)


def test_it_says_nothing_to_an_opted_out_phone_but_to_its_own_request_or_start() -> None:
    for heard, facts in product(HEARD, (facts for facts in FACTS if facts.opted_out)):
        event = classify(heard, facts)
        if is_request(heard) or heard.intent is Intent.OPT_IN:
            continue
        assert event in SILENT, f"{heard} {facts}"


def test_it_answers_what_another_bot_may_have_said_three_times_an_hour() -> None:
    assert UNPARSED_PER_HOUR == REPLIES_WITHOUT_ID_PER_HOUR == 3
    unparsed = {
        event
        for event in Event
        for effects in effects_of(event)
        for each in effects
        if isinstance(each, Reply) and each.per_hour == UNPARSED_PER_HOUR
    }
    assert {Event.NOT_UNDERSTOOD, Event.HELP, Event.NOTHING_TO_START, Event.ASKED_WITHOUT_ID} < unparsed
    for event, number in product(unparsed, range(5)):
        said_then = said(event, Facts(unparsed_replies_this_hour=number))
        assert len(said_then) == (number < UNPARSED_PER_HOUR)
        assert (said_then == [LAST_REPLY]) == (number == UNPARSED_PER_HOUR - 1)


@pytest.mark.parametrize(("unparsed", "hints"), [(3, 0), (2, 1), (1, 2), (0, 3)])
def test_it_gives_three_replies_in_all_to_a_phone_that_names_nobody(unparsed: int, hints: int) -> None:
    spent = Facts(in_dialog=True, unparsed_replies_this_hour=unparsed, hints_this_hour=hints)
    one_less = replace(spent, unparsed_replies_this_hour=max(unparsed - 1, 0), hints_this_hour=hints - (not unparsed))
    for event in set(Event) - SILENT - set(ALWAYS_SAID):
        assert said(event, spent) == []
        assert set(said(event, one_less)) <= {LAST_REPLY}


def test_it_confirms_every_stop_that_stops_something_and_every_start_that_starts() -> None:
    spent = Facts(unparsed_replies_this_hour=99, hints_this_hour=99)
    assert classify(ParsedMessage(Intent.OPT_OUT), spent) is Event.STOP
    assert classify(ParsedMessage(Intent.OPT_IN), replace(spent, opted_out=True)) is Event.START
    assert (said(Event.STOP, spent), said(Event.START, spent)) == (["opted_out"], ["opted_in"])
    assert said(classify(ParsedMessage(Intent.OPT_IN), spent), spent) == []


def test_it_hints_no_more_than_its_cap_allows_and_says_so_at_the_end() -> None:
    for number in range(12):
        facts = Facts(named_this_hour=True, hints_this_hour=number)
        expected = ["neutral"] * (number < HINTS_PER_HOUR - 1) + [LAST_REPLY] * (number == HINTS_PER_HOUR - 1)
        assert said(Event.ASKED_IN_VAIN, facts) == said(Event.ASKED_FROM_OTHER_PHONE, facts) == expected


def test_it_holds_no_code_or_password_back_because_of_a_cap() -> None:
    spent = Facts(unparsed_replies_this_hour=99, hints_this_hour=99)
    named = ParsedMessage(Intent.RECOVER, Naming.ONE, ID)
    assert classify(named, replace(spent, asker=Asker.OWNER)) is Event.ASKED
    right = replace(spent, result=CodeResult.RIGHT, purpose=CodePurpose.RECOVERY)
    assert classify(ParsedMessage(Intent.CODE, code=CODE), right) is Event.RIGHT_CODE
    assert classify(named, replace(spent, asker=Asker.OTHER_PHONE)) is Event.ASKED_FROM_OTHER_PHONE
    for event in (Event.ASKED, Event.ASKED_FROM_OTHER_PHONE):
        assert SendCode() in within_reply_caps(step(State.IDLE, event)[1], spent)


@pytest.mark.parametrize("season", [Season.OPENS_LATER, Season.CLOSED])
def test_it_says_the_same_to_everybody_out_of_season(season: Season) -> None:
    requests = [heard for heard in HEARD if is_request(heard)]
    closed = [f for f in FACTS if f.season is season and f.result is None]
    assert len({classify(heard, facts) for heard in requests for facts in closed}) == 1


@pytest.mark.parametrize("season", Season)
def test_it_lets_an_open_conversation_go_on_out_of_season(season: Season) -> None:
    for intent, result, event in [
        (Intent.CODE, CodeResult.RIGHT, Event.RIGHT_CODE),
        (Intent.HELP, None, Event.HELP),
        (Intent.OPT_OUT, None, Event.STOP),
        (Intent.CANCEL, None, Event.CANCEL),
    ]:
        facts = Facts(season=season, result=result, in_dialog=True)
        assert classify(ParsedMessage(intent, code=CODE if result else None), facts) is event


def test_it_tells_a_stranger_nothing_about_an_account() -> None:
    named = ParsedMessage(Intent.RECOVER, Naming.ONE, ID)
    for some, counted in product(FACTS, COUNTED):
        facts = replace(some, **counted)
        if facts.asker is Asker.STRANGER and facts.season is Season.OPEN and facts.result is None:
            other = replace(facts, asker=Asker.OTHER_PHONE, allowance=Allowance.YES)
            assert classify(named, facts) is Event.ASKED_IN_VAIN
            assert said(Event.ASKED_IN_VAIN, facts) == said(classify(named, other), other)


@pytest.mark.parametrize("intent", [Intent.STAFF_STATUS, Intent.STAFF_UNLOCK, Intent.STAFF_STATS])
def test_it_does_not_understand_staff_words_of_others(intent: Intent) -> None:
    assert classify(ParsedMessage(intent, Naming.ONE, ID), Facts(asker=Asker.OWNER)) is Event.NOT_UNDERSTOOD


def test_it_takes_a_staff_reset_of_others_for_a_recovery() -> None:
    for facts in FACTS:
        heard = [ParsedMessage(intent, Naming.ONE, ID) for intent in (Intent.STAFF_RESET, Intent.RECOVER)]
        assert len({classify(each, facts) for each in heard}) == 1


def hands_back(
    heard: ParsedMessage,
    state: State = State.IDLE,
    *,
    live: bool = True,
    allowed: bool = False,
    opted_out: bool = False,
) -> bool:
    return hands_back_code(heard, state, has_live_code=live, own_password_allowed=allowed, opted_out=opted_out)


def test_it_takes_a_code_beside_a_keyword_for_one_only_where_one_is_awaited() -> None:
    spoken = ParsedMessage(Intent.RECOVER, Naming.INVALID, code=CODE)
    assert hands_back(spoken)
    assert not hands_back(spoken, live=False)
    assert hands_back(ParsedMessage(Intent.CODE, code=CODE), live=False)
    assert hands_back(ParsedMessage(Intent.RECOVER, Naming.ONE, ID, CODE))
    assert not hands_back(ParsedMessage(Intent.RECOVER, Naming.ONE, ID, CODE), live=False)
    assert hands_back(ParsedMessage(Intent.UNKNOWN, code=CODE))


def test_it_spends_no_code_on_a_password_that_it_would_not_take() -> None:
    named = ParsedMessage(Intent.CHANGE, code=CODE, own_password=True)
    assert hands_back(named, allowed=True)
    assert not hands_back(named)
    follows = ParsedMessage(Intent.UNKNOWN, code=CODE, password_follows=True)
    assert hands_back(follows, State.AWAITING_CODE_TO_CHANGE, allowed=True)
    assert not hands_back(follows, State.AWAITING_CODE_TO_CHANGE)
    assert hands_back(follows, State.AWAITING_CODE)  # to recover: what follows is no password


@for_each("heard", HEARD)
def test_it_spends_no_try_on_a_text_from_a_phone_that_has_said_stop(heard: ParsedMessage) -> None:
    for state, allowed in product(State, (True, False)):
        assert not hands_back(heard, state, allowed=allowed, opted_out=True)


@pytest.mark.parametrize("state", State)
def test_it_takes_no_text_without_a_code_for_a_password(state: State) -> None:
    for heard in HEARD:
        if not (heard.own_password or heard.password_follows):
            assert not brings_password(heard, state, own_password_allowed=True)


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize("state", State)
def test_a_right_code_to_change_brings_no_password_by_itself(state: State, allowed: bool) -> None:
    facts = Facts(
        state=state, result=CodeResult.RIGHT, purpose=CodePurpose.CHANGE, in_dialog=True, own_password_allowed=allowed
    )
    expected = Event.RIGHT_CODE_WITHOUT_PASSWORD if allowed else Event.RIGHT_CODE_FOR_FAKHER
    assert classify(ParsedMessage(Intent.CODE, code=CODE), facts) is expected
    used_up = replace(facts, was_last_try=True)
    assert classify(ParsedMessage(Intent.CODE, code=CODE), used_up) is Event.LAST_RIGHT_CODE
    assert classify(ParsedMessage(Intent.CODE, code=CODE), replace(facts, purpose=CodePurpose.RECOVERY)) is (
        Event.RIGHT_CODE
    )


@given(st.lists(st.tuples(st.sampled_from(HEARD), st.sampled_from(Asker), st.sampled_from(Allowance)), max_size=60))
def test_it_keeps_its_caps_and_its_silence_on_every_walk(
    texts: list[tuple[ParsedMessage, Asker, Allowance]],
) -> None:
    state, opted_out, named, hinted, unparsed = State.IDLE, False, False, 0, 0
    for heard, asker, allowance in texts:
        named = named or (is_request(heard) and heard.naming is Naming.ONE)
        facts = Facts(
            state=state,
            asker=asker,
            allowance=allowance,
            in_dialog=state is not State.IDLE,
            opted_out=opted_out,
            named_this_hour=named,
            unparsed_replies_this_hour=unparsed,
            hints_this_hour=hinted,
        )
        event = classify(heard, facts)
        state, decided = step(state, event)
        effects = within_reply_caps(decided, facts)
        spoken = [effect for effect in effects if isinstance(effect, Reply)]
        assert not (opted_out and spoken) or is_request(heard) or heard.intent is Intent.OPT_IN
        hinted += sum(effect.per_hour == HINTS_PER_HOUR for effect in spoken)
        unparsed += sum(effect.per_hour == UNPARSED_PER_HOUR for effect in spoken)
        opted_out = OptOut() in effects or (opted_out and OptIn() not in effects)
        assert hinted <= HINTS_PER_HOUR and unparsed <= UNPARSED_PER_HOUR
        assert named or hinted + unparsed <= REPLIES_WITHOUT_ID_PER_HOUR


# Secrets


@for_each("heard", [ParsedMessage(i, Naming.ONE, ID, CODE, "fa", own) for i in Intent for own in (True, False)])
def test_it_shows_no_part_of_a_text(heard: ParsedMessage) -> None:
    for shown in (repr(heard), str(heard), f"{heard}", repr((heard,))):
        assert ID not in shown
        assert CODE not in shown


def test_its_effects_can_hold_nothing_but_words_of_the_tables() -> None:
    words = {"phrase", "purpose", "per_hour", "event", "alarm", "action", "outcome", "reason", "done"}
    assert {field.name for kind in get_args(Effect) for field in fields(kind)} == words


# The drawing


STAYS = re.compile(r"(?P<source>\w+) : (?P<label>\w+ / .+|\w+)")
LEADS = re.compile(r"(?P<source>\w+) --> (?P<target>\w+) : (?P<labels>.+)")


def drawn(line: str) -> Iterator[tuple[str, str, str]]:
    """The arrows that a line of the drawing stands for: whence, whither, and what for."""
    leads, stays = LEADS.fullmatch(line), STAYS.fullmatch(line)
    if leads:
        yield from ((leads["source"], leads["target"], label) for label in leads["labels"].split("<br>"))
    elif stays:
        yield stays["source"], stays["source"], stays["label"]
    else:
        raise AssertionError(f"nothing of a drawing: {line}")


def caption(event: Event, effects: tuple[Effect, ...]) -> str:
    given = [[it for it in vars(each).values() if it not in (None, "", "code", "ok", "recovery")] for each in effects]
    done = ", ".join(" ".join(map(str, [type(each).__name__, *it])) for each, it in zip(effects, given, strict=True))
    return f"{event.name} / {done}" if done else event.name


def test_it_draws_every_arrow_and_nothing_else() -> None:
    tables = {**{state.name: arrows for state, arrows in TABLE.items()}, "ANYWHERE": ANYWHERE}
    arrows = [
        (source, source if it.target is STAY else it.target.name, caption(event, it.effects))
        for source, row in tables.items()
        for event, it in row.items()
    ]
    names = [(source, source, source) for source in tables]
    first, begin, *lines = map(str.strip, mermaid().splitlines())
    assert (first, begin) == ("stateDiagram-v2", "[*] --> IDLE")
    assert sorted(arrow for line in lines for arrow in drawn(line)) == sorted(arrows + names)


def test_the_readme_shows_the_present_drawing() -> None:
    text = README.read_text("utf-8")
    assert with_diagrams(text) == text, "the drawing is stale: run make diagram"
