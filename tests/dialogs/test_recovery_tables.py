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
from dialogs.classify import (
    HINTS_PER_HOUR,
    REPLIES_TO_WHO_NAMES_NOBODY,
    SHRUGS_PER_HOUR,
    UNHEARD,
    classify,
    is_guess,
    is_password,
    is_request,
)
from dialogs.replies.phrases import languages
from dialogs.tables.dialog import STAY, Arrow
from dialogs.tables.machine import DIALOGS, lasts, mermaid, revive, step
from dialogs.tables.recovery import ANYWHERE, LASTS, RENAMED, TABLE
from dialogs.vocabulary import (
    Allowance,
    Asker,
    CodeResult,
    Effect,
    Event,
    Facts,
    FakherEvent,
    GrantTicket,
    Hint,
    Intent,
    LockAccount,
    Naming,
    Notify,
    OptIn,
    OptOut,
    ParsedMessage,
    PasswordVerdict,
    Say,
    Season,
    SendCode,
    SetNewPassword,
    SetOwnPassword,
    Shrug,
    State,
    TellFakher,
)
from store.tables import ConversationRow, table
from tests.support.parts import Carrier, settings
from tests.support.people import ZAHRA, settled
from tests.support.places import ROOT

README = ROOT / "README.md"
ID = "0012345679"
CODE = "314159"

REPLIES = (Say, Hint, Shrug, SendCode, SetNewPassword, Notify)
SILENT = {Event.UNANSWERED, Event.TIMED_OUT}
WORDS = (Say, Hint, Shrug)

HEARD = [
    ParsedMessage(intent, naming, ID if naming is Naming.ONE else None, code, None, own, follows)
    for intent, naming, code, own, follows in product(Intent, Naming, (None, CODE), (False, True), (False, True))
]
FACTS = [
    Facts(
        season=season,
        asker=asker,
        allowance=allowance,
        in_dialog=in_dialog,
        guess=guess,
        opted_out=opted_out,
        named_this_hour=named,
        stop_confirmed_this_hour=named,
        unparsed_replies_this_hour=shrugged,
        hints_this_hour=hinted,
    )
    for season, asker, allowance, in_dialog, guess, opted_out, named, shrugged, hinted in product(
        Season,
        Asker,
        Allowance,
        (False, True),
        (None, *CodeResult),
        (False, True),
        (False, True),
        (0, SHRUGS_PER_HOUR - 1, SHRUGS_PER_HOUR),
        (0, HINTS_PER_HOUR - 1, HINTS_PER_HOUR),
    )
]
FACTS_OF_A_MOVE = [Facts(mobile_held=True, hints_this_hour=hinted) for hinted in (0, HINTS_PER_HOUR)]
# What matters where a password is changed. One that comes with its code is not too late.
FACTS_OF_A_CHANGE = [
    Facts(
        state=state,
        asker=Asker.OWNER,
        allowance=allowance,
        in_dialog=True,
        guess=guess,
        offer=offer,
        own_password_allowed=allowed,
        named_this_hour=True,
        hints_this_hour=hinted,
    )
    for state, allowance, guess, offer, allowed, hinted in product(
        State,
        Allowance,
        (None, *CodeResult),
        (None, *PasswordVerdict),
        (False, True),
        (HINTS_PER_HOUR - 1, HINTS_PER_HOUR),
    )
    if guess is None or offer is not PasswordVerdict.TOO_LATE
]


def effects_of(event: Event) -> list[tuple[Effect, ...]]:
    """What an event does, in every state."""
    return [step(state, event)[1] for state in State]


def phrases_of(effects: tuple[Effect, ...]) -> set[str]:
    return {effect.phrase for effect in effects if hasattr(effect, "phrase")}


def every_arrow() -> Iterator[Arrow[Any]]:
    for dialog in DIALOGS.values():
        yield from dialog.anywhere.values()
        for arrows in dialog.table.values():
            yield from arrows.values()


# The table


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
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


@pytest.mark.parametrize("event", [Event.HELP, Event.CANCEL, Event.STOP])
@pytest.mark.parametrize("state", State)
def test_it_answers_help_exit_and_stop_in_every_state_alike(state: State, event: Event) -> None:
    target, effects = step(state, event)
    assert any(isinstance(effect, REPLIES) for effect in effects)
    assert effects == step(State.IDLE, event)[1]
    assert target is (state if event is Event.HELP else State.IDLE)


@pytest.mark.parametrize("event", sorted(set(Event) - SILENT - set(UNHEARD.values())))
def test_it_leaves_no_text_unanswered(event: Event) -> None:
    for effects in effects_of(event):
        assert any(isinstance(effect, REPLIES) for effect in effects)


@pytest.mark.parametrize("event", sorted(SILENT))
def test_it_does_nothing_where_it_is_silent(event: Event) -> None:
    assert set(effects_of(event)) == {()}


def test_it_still_sends_the_code_that_a_busy_clerk_asks_for_and_says_nothing() -> None:
    assert set(effects_of(Event.ASKED_FROM_OTHER_PHONE_UNHEARD)) == {(OptIn(), SendCode())}


@pytest.mark.parametrize("event", sorted(UNHEARD))
def test_it_does_without_a_word_what_it_does_with_one(event: Event) -> None:
    for effects in effects_of(event):
        done = tuple(effect for effect in effects if not isinstance(effect, WORDS))
        assert done in set(effects_of(UNHEARD[event]))


@pytest.mark.parametrize("event", sorted(event for event in Event if event not in UNHEARD))
def test_it_does_nothing_but_speak_where_silence_may_follow(event: Event) -> None:
    spoken = [effects for effects in effects_of(event) if any(isinstance(effect, Hint | Shrug) for effect in effects)]
    assert all(len(effects) == 1 for effects in spoken)


def test_it_says_the_same_to_a_stranger_whether_a_code_goes_out_or_not() -> None:
    for state in State:
        sent, vain = step(state, Event.ASKED_FROM_OTHER_PHONE), step(state, Event.ASKED_IN_VAIN)
        assert sent[0] is vain[0]
        assert [effect for effect in sent[1] if effect != SendCode()] == list(vain[1])


def test_it_sets_a_password_only_for_a_right_code_or_by_the_right_that_one_gave() -> None:
    setting = {event for event in Event for effects in effects_of(event) if SetNewPassword() in effects}
    assert setting == {Event.RIGHT_CODE}
    choosing = {event for event in Event for effects in effects_of(event) if SetOwnPassword() in effects}
    assert choosing == {Event.RIGHT_CODE_AND_PASSWORD, Event.NEW_PASSWORD}
    granting = {event for event in Event for effects in effects_of(event) if GrantTicket() in effects}
    assert {event.name.partition("_AND_")[0] for event in granting} == {"RIGHT_CODE", "RIGHT_CODE_TO_CHANGE"}


def test_it_gives_notice_and_tells_fakher_of_every_password() -> None:
    for event in Event:
        for effects in effects_of(event):
            new, own = SetNewPassword() in effects, SetOwnPassword() in effects
            assert (Notify("password_changed") in effects) == (new or own)
            told = [effect.event for effect in effects if isinstance(effect, TellFakher)]
            assert (FakherEvent.PASSWORD_RECOVERED in told) == new
            assert (FakherEvent.PASSWORD_CHANGED in told) == own
            assert (FakherEvent.RECOVERY_LOCKED in told) == (LockAccount() in effects)


def test_it_takes_only_a_persons_own_request_or_start_as_consent() -> None:
    consenting = {event for event in Event for effects in effects_of(event) if OptIn() in effects}
    assert consenting == {e for e in Event if e.name.startswith("ASKED")} | {Event.START, Event.START_UNHEARD}


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
        connection.execute(update(conversation).values(state="awaiting_fingerprint", table_version=99))
    assert bot.hear(Inbound("simulated", "M2", ZAHRA["mobile"], f"رمز {ID}")) is Event.ASKED


# Phrases


def test_it_says_just_the_phrases_that_the_language_files_have() -> None:
    by_the_way = {"new_password", "code_to_console", "staff_undelivered", "staff_status_with_resets"}
    said = by_the_way.union(*(phrases_of(arrow.effects) for arrow in every_arrow()))
    said |= {phrase for phrase in languages()["fa"]["phrases"] if phrase.startswith("state_")}  # they stand in another
    chosen = [settings(), settings(FAKHER_DOMAIN="fakher.haj.ir", SUPPORT_PHONE="")]
    said |= {variant(phrase, each) for phrase in said for each in chosen}
    for language, book in languages().items():
        written = set(book["phrases"])
        assert said - written == set(), f"{language} lacks phrases"
        assert written - said == set(), f"{language} has phrases that nobody says"


# Listening


@pytest.mark.slow
def test_it_makes_exactly_one_event_of_every_text_and_all_facts() -> None:
    every = [*FACTS, *FACTS_OF_A_CHANGE, *FACTS_OF_A_MOVE]
    heard_of = {classify(heard, facts) for heard in HEARD for facts in every}
    assert heard_of == set(Event) - {Event.TIMED_OUT}


@pytest.mark.slow
def test_it_says_nothing_to_an_opted_out_phone_but_to_its_own_request_or_start() -> None:
    for heard, facts in product(HEARD, (facts for facts in FACTS if facts.opted_out)):
        event = classify(heard, facts)
        if is_request(heard) or heard.intent is Intent.OPT_IN:
            continue
        assert event is Event.UNANSWERED, f"{heard} {facts}"


@pytest.mark.slow
def test_it_answers_what_another_bot_may_have_said_three_times_an_hour() -> None:
    assert SHRUGS_PER_HOUR == REPLIES_TO_WHO_NAMES_NOBODY == 3
    spent = [facts for facts in FACTS if facts.unparsed_replies_this_hour >= SHRUGS_PER_HOUR]
    shrugs = {event for event in Event for effects in effects_of(event) for e in effects if isinstance(e, Shrug)}
    assert {Event.NOT_UNDERSTOOD, Event.HELP, Event.START, Event.CANCEL, Event.ASKED_WITHOUT_ID} < shrugs
    assert not {classify(heard, facts) for heard in HEARD for facts in spent} & (shrugs - {Event.STOP})
    assert classify(ParsedMessage(Intent.UNKNOWN), Facts(unparsed_replies_this_hour=2)) is Event.NOT_UNDERSTOOD


def test_it_gives_three_replies_in_all_to_a_phone_that_names_nobody() -> None:
    words = {event for event in Event for effects in effects_of(event) for e in effects if isinstance(e, Hint | Shrug)}
    for shrugged, hinted in ((3, 0), (2, 1), (1, 2), (0, 3)):
        facts = Facts(in_dialog=True, unparsed_replies_this_hour=shrugged, hints_this_hour=hinted)
        unnamed = [heard for heard in HEARD if heard.naming is not Naming.ONE]
        assert not {classify(heard, facts) for heard in unnamed} & (words - {Event.STOP})


def test_it_confirms_one_stop_an_hour() -> None:
    spent = Facts(unparsed_replies_this_hour=99, hints_this_hour=99)
    assert classify(ParsedMessage(Intent.OPT_OUT), spent) is Event.STOP
    assert classify(ParsedMessage(Intent.OPT_OUT), replace(spent, stop_confirmed_this_hour=True)) is Event.STOP_UNHEARD


@pytest.mark.slow
def test_it_hints_no_more_than_its_cap_allows() -> None:
    hints = {event for event in Event for effects in effects_of(event) for e in effects if isinstance(e, Hint)}
    spent = [facts for facts in [*FACTS, *FACTS_OF_A_CHANGE] if facts.hints_this_hour >= HINTS_PER_HOUR]
    assert not {classify(heard, facts) for heard in HEARD for facts in spent} & hints


def test_it_holds_no_code_or_password_back_because_of_a_cap() -> None:
    spent = Facts(unparsed_replies_this_hour=99, hints_this_hour=99)
    named = ParsedMessage(Intent.RECOVER, Naming.ONE, ID)
    assert classify(named, replace(spent, asker=Asker.OWNER)) is Event.ASKED
    assert classify(ParsedMessage(Intent.CODE, code=CODE), replace(spent, guess=CodeResult.RIGHT)) is Event.RIGHT_CODE
    assert classify(ParsedMessage(Intent.OPT_OUT), spent) is Event.STOP
    assert classify(named, replace(spent, asker=Asker.OTHER_PHONE)) is Event.ASKED_FROM_OTHER_PHONE_UNHEARD


@pytest.mark.parametrize("season", [Season.OPENS_LATER, Season.CLOSED])
def test_it_says_the_same_to_everybody_out_of_season(season: Season) -> None:
    requests = [heard for heard in HEARD if is_request(heard)]
    closed = [
        f
        for f in FACTS
        if f.season is season and f.guess is None and f.unparsed_replies_this_hour + f.hints_this_hour < 3
    ]
    assert len({classify(heard, facts) for heard in requests for facts in closed}) == 1


@pytest.mark.parametrize("season", Season)
def test_it_lets_an_open_conversation_go_on_out_of_season(season: Season) -> None:
    for intent, guess, event in [
        (Intent.CODE, CodeResult.RIGHT, Event.RIGHT_CODE),
        (Intent.HELP, None, Event.HELP),
        (Intent.OPT_OUT, None, Event.STOP),
        (Intent.CANCEL, None, Event.CANCEL),
    ]:
        facts = Facts(season=season, guess=guess, in_dialog=True)
        assert classify(ParsedMessage(intent, code=CODE if guess else None), facts) is event


def test_it_tells_a_stranger_nothing_about_an_account() -> None:
    named = ParsedMessage(Intent.RECOVER, Naming.ONE, ID)
    for facts in FACTS:
        if facts.asker is Asker.STRANGER and facts.season is Season.OPEN and facts.guess is None:
            spent = facts.hints_this_hour >= HINTS_PER_HOUR
            if facts.named_this_hour:
                assert classify(named, facts) is (Event.ASKED_UNHEARD if spent else Event.ASKED_IN_VAIN)


@pytest.mark.parametrize("intent", [Intent.STAFF_STATUS, Intent.STAFF_UNLOCK, Intent.STAFF_STATS])
def test_it_does_not_understand_staff_words_of_others(intent: Intent) -> None:
    assert classify(ParsedMessage(intent, Naming.ONE, ID), Facts(asker=Asker.OWNER)) is Event.NOT_UNDERSTOOD


def test_it_takes_a_staff_reset_of_others_for_a_recovery() -> None:
    for facts in FACTS:
        heard = [ParsedMessage(intent, Naming.ONE, ID) for intent in (Intent.STAFF_RESET, Intent.RECOVER)]
        assert len({classify(each, facts) for each in heard}) == 1


def guessed(heard: ParsedMessage, state: State = State.IDLE, *, live: bool = True, allowed: bool = False) -> bool:
    return is_guess(heard, state, has_live_code=live, own_password_allowed=allowed)


def test_it_takes_a_code_beside_a_keyword_for_a_guess_only_where_one_is_awaited() -> None:
    spoken = ParsedMessage(Intent.RECOVER, Naming.INVALID, code=CODE)
    assert guessed(spoken)
    assert not guessed(spoken, live=False)
    assert guessed(ParsedMessage(Intent.CODE, code=CODE), live=False)
    assert not guessed(ParsedMessage(Intent.RECOVER, Naming.ONE, ID, CODE))


def test_it_spends_no_code_on_a_password_that_it_would_not_take() -> None:
    named = ParsedMessage(Intent.CHANGE, code=CODE, own_password=True)
    assert guessed(named, allowed=True)
    assert not guessed(named)
    follows = ParsedMessage(Intent.UNKNOWN, code=CODE, password_follows=True)
    assert guessed(follows, State.AWAITING_CODE_TO_CHANGE, allowed=True)
    assert not guessed(follows, State.AWAITING_CODE_TO_CHANGE)
    assert not guessed(follows, State.AWAITING_CODE, allowed=True)


def test_it_takes_any_text_but_a_global_word_or_an_id_for_the_awaited_password() -> None:
    spoken = [heard for heard in HEARD if not heard.own_password]
    taken = {heard.intent for heard in spoken if is_password(heard, State.AWAITING_NEW_PASSWORD)}
    assert taken == set(Intent) - {Intent.HELP, Intent.CANCEL, Intent.OPT_OUT, Intent.OPT_IN}
    assert not any(is_password(heard, State.AWAITING_NEW_PASSWORD) for heard in spoken if heard.naming is Naming.ONE)
    assert not any(is_password(heard, state) for heard in HEARD for state in set(State) - {State.AWAITING_NEW_PASSWORD})


@pytest.mark.parametrize("allowed", [False, True])
def test_it_asks_for_a_password_only_where_such_are_taken(allowed: bool) -> None:
    changing = Facts(state=State.AWAITING_CODE_TO_CHANGE, guess=CodeResult.RIGHT, own_password_allowed=allowed)
    expected = Event.RIGHT_CODE_TO_CHANGE if allowed else Event.RIGHT_CODE
    assert classify(ParsedMessage(Intent.CODE, code=CODE), changing) is expected
    awaited = Facts(state=State.AWAITING_NEW_PASSWORD, own_password_allowed=allowed)
    expected = Event.NOT_UNDERSTOOD if allowed else Event.OFFERED_OWN_PASSWORD
    assert classify(ParsedMessage(Intent.UNKNOWN), awaited) is expected


@given(st.lists(st.tuples(st.sampled_from(HEARD), st.sampled_from(Asker), st.sampled_from(Allowance)), max_size=60))
def test_it_keeps_its_caps_and_its_silence_on_every_walk(
    texts: list[tuple[ParsedMessage, Asker, Allowance]],
) -> None:
    state, opted_out, named, stopped, hinted, shrugged = State.IDLE, False, False, False, 0, 0
    for heard, asker, allowance in texts:
        named = named or (is_request(heard) and heard.naming is Naming.ONE)
        facts = Facts(
            state=state,
            asker=asker,
            allowance=allowance,
            in_dialog=state is not State.IDLE,
            opted_out=opted_out,
            named_this_hour=named,
            stop_confirmed_this_hour=stopped,
            unparsed_replies_this_hour=shrugged,
            hints_this_hour=hinted,
        )
        event = classify(heard, facts)
        state, effects = step(state, event)
        assert not (opted_out and effects) or is_request(heard) or heard.intent is Intent.OPT_IN
        hinted += sum(isinstance(effect, Hint) for effect in effects)
        shrugged += sum(isinstance(effect, Shrug) for effect in effects)
        stopped = stopped or event is Event.STOP
        opted_out = OptOut() in effects or (opted_out and OptIn() not in effects)
        assert hinted <= HINTS_PER_HOUR and shrugged <= SHRUGS_PER_HOUR + stopped
        assert named or hinted + shrugged <= REPLIES_TO_WHO_NAMES_NOBODY + stopped


# Secrets


@pytest.mark.parametrize(
    "heard", [ParsedMessage(i, Naming.ONE, ID, CODE, "fa", own) for i in Intent for own in (True, False)]
)
def test_it_shows_no_part_of_a_text(heard: ParsedMessage) -> None:
    for shown in (repr(heard), str(heard), f"{heard}", repr((heard,))):
        assert ID not in shown
        assert CODE not in shown


def test_its_effects_can_hold_nothing_but_a_phrases_key() -> None:
    for kind in get_args(Effect):
        assert [field.name for field in fields(kind)] in ([], ["phrase"], ["event"], ["alarm"])


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
    done = ", ".join(" ".join([type(effect).__name__, *vars(effect).values()]) for effect in effects)
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
