"""Another bot at the other end: whatever it says, in three replies there is silence, but for what was done."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count, cycle

import pytest

from bot.build import Bot, build
from bot.ports import Inbound
from dialogs.parsing.parse import parse
from dialogs.replies.phrases import LONGEST, languages, say
from store.database.engine import Store
from tests.cases import for_each
from tests.conftest import MakeBot
from tests.support.databases import SQLITE_ONLY, Fresh
from tests.support.parts import Carrier, LoadedRandomSource, StoppedClock, settings
from tests.support.people import EVERYBODY, STRANGER, settled

REPLIES = 3
NUMBERS = count()
PHRASES = [
    say(key, language, {**LONGEST, "code": "482913", "domain": "fakher.example"})
    for language, book in languages().items()
    for key in book["phrases"]
]
# One phrase of all that are read alike: of a text the dialog knows only what was read of it.
READ = list({repr(parse(phrase)): phrase for phrase in PHRASES}.values())
ENDLESS = 40


def replies(bot: Bot, carrier: Carrier, words: str, sender: str = STRANGER) -> list[str]:
    """What the bot answers to a text; it sends nothing to anybody else."""
    before = len(carrier.sent)
    bot.hear(Inbound("simulated", f"L{next(NUMBERS)}", sender, words))
    bot.courier.deliver_due()
    assert all(text.to == sender for text in carrier.sent[before:])
    return [text.text for text in carrier.sent[before:]]


def confirmations() -> set[str]:
    """What is said whenever something was done."""
    done = ("cancelled", "opted_out", "opted_in")
    return {say(phrase, language, LONGEST) for language in languages() for phrase in done}


def uncalled_for(bot: Bot, carrier: Carrier, words: str) -> int:
    """How many replies to a text say of nothing that it was done. Of what was done there is one at most."""
    said = replies(bot, carrier, words)
    assert len(said) <= 1
    return sum(each not in confirmations() for each in said)


def talk(bot: Bot, carrier: Carrier, first: str, answer: Callable[[str], str], sender: str = STRANGER) -> int:
    """Let a bot that answers every text begin with one; how many replies it got."""
    waiting, number = [first], 0
    while waiting and number < ENDLESS:
        said = replies(bot, carrier, waiting.pop(0), sender)
        number += len(said)
        waiting += [answer(each) for each in said]
    return number


@dataclass
class Town:
    """A bot on SQLite alone, and another phone for every phrase, an hour after the last: there are many phrases."""

    bot: Bot
    carrier: Carrier
    clock: StoppedClock
    phone_numbers: "count[int]" = field(default_factory=lambda: count(1))

    def talk(self, first: str, answer: Callable[[str], str]) -> int:
        self.clock.forward(minutes=61)
        return talk(self.bot, self.carrier, first, answer, f"+98930{next(self.phone_numbers):07d}")


@pytest.fixture(scope="module")
def town(fresh_sqlite: Fresh) -> Iterator[Town]:
    clock, carrier, store = StoppedClock(), Carrier(), Store(fresh_sqlite())
    yield Town(
        settled(build(settings(), clock=clock, random_source=LoadedRandomSource(), gateways=[carrier], store=store)),
        carrier,
        clock,
    )
    store.close()


@pytest.fixture
def quick(sqlite_url: str, clock: StoppedClock, random_source: LoadedRandomSource, carrier: Carrier) -> Iterator[Bot]:
    """A bot on SQLite alone: there are many phrases."""
    store = Store(sqlite_url)
    yield settled(build(settings(), clock=clock, random_source=random_source, gateways=[carrier], store=store))
    store.close()


@for_each("phrase", READ)
@pytest.mark.slow
def test_it_ends_with_one_that_says_back_what_it_is_told(town: Town, phrase: str) -> None:
    assert town.talk(phrase, lambda told: told) <= REPLIES


@for_each("phrase", READ)
@pytest.mark.slow
def test_it_ends_with_one_that_says_one_thing_for_ever(town: Town, phrase: str) -> None:
    assert town.talk(phrase, lambda _told: phrase) <= REPLIES


@pytest.mark.parametrize(
    "words",
    ["HELP", "STOP", "START", "CANCEL", "11", "12", "لغو11", "رمز", "CHANGE", "1", "123456", "1111111111", "👍", "",
     "RESET", "STATUS 0012345679", "رمز 1111111111", "000000000000", "کد رهگیری شما 482913", "در دسترس نیستم"],
)  # fmt: skip
def test_it_ends_with_one_that_knows_a_word(quick: Bot, carrier: Carrier, words: str) -> None:
    assert talk(quick, carrier, words, lambda _told: words) <= REPLIES


@pytest.mark.parametrize(
    "turns",
    [
        ("STOP", "START"),
        ("START", "STOP"),
        ("HELP", "CANCEL"),
        ("رمز", "CANCEL"),
        ("رمز", "STOP", "START"),
        ("START", "HELP", "123456", "رمز 1111111111"),
        ("12", "11"),
        ("STOP", "رمز"),
        ("1111111111", "CANCEL", "سلام"),
    ],
)
def test_it_ends_with_one_that_says_things_in_turn(quick: Bot, carrier: Carrier, turns: tuple[str, ...]) -> None:
    words = cycle(turns)
    assert sum(uncalled_for(quick, carrier, next(words)) for _ in range(ENDLESS)) <= REPLIES


@pytest.mark.parametrize("turns", [("CANCEL",), ("STOP",), ("START",), ("HELP", "CANCEL"), ("STOP", "HELP", "CANCEL")])
def test_nothing_is_confirmed_that_changes_nothing(quick: Bot, carrier: Carrier, turns: tuple[str, ...]) -> None:
    words = cycle(turns)
    assert sum(len(replies(quick, carrier, next(words))) for _ in range(ENDLESS)) <= REPLIES


@pytest.mark.parametrize("seed", range(8))
def test_it_ends_with_one_that_says_anything(quick: Bot, carrier: Carrier, seed: int) -> None:
    random_source = random.Random(seed)
    words = [*PHRASES, "STOP", "START", "HELP", "CANCEL", "رمز", "123456", "1111111111"]
    said = sum(uncalled_for(quick, carrier, random_source.choice(words)) for _ in range(ENDLESS))
    assert said <= REPLIES


def test_a_person_is_answered_the_hour_after(quick: Bot, carrier: Carrier, clock: StoppedClock) -> None:
    assert talk(quick, carrier, "سلام", lambda told: told) == REPLIES
    clock.forward(minutes=61)
    assert replies(quick, carrier, "سلام")


@pytest.mark.parametrize("kick", ["سلام", "HELP", "STOP", "START", "رمز", "CHANGE", "482913", "1111111111", "CANCEL"])
@SQLITE_ONLY
def test_two_of_its_kind_fall_silent(
    make_bot: MakeBot, fresh_sqlite: Fresh, carrier: Carrier, clock: StoppedClock, kick: str
) -> None:
    """Each takes the other for a phone. Nobody is at home at the second: it only hears what the first says."""
    other_carrier, store = Carrier(), Store(fresh_sqlite())
    one, other = settled(make_bot()), build(settings(), clock=clock, gateways=[other_carrier], store=store)
    phone_numbers = {id(one): "+989990000001", id(other): "+989990000002"}
    heard, number = [(one, carrier, phone_numbers[id(other)], kick)], 0
    while heard and number < ENDLESS:
        bot, its, sender, words = heard.pop(0)
        said = replies(bot, its, words, sender)
        number += len(said)
        listener, listeners = (other, other_carrier) if bot is one else (one, carrier)
        heard += [(listener, listeners, phone_numbers[id(bot)], each) for each in said]
    store.close()
    assert number <= 2 * (REPLIES + 1)
    assert max(len(carrier.sent), len(other_carrier.sent)) <= REPLIES + 1  # a STOP that stops something is confirmed


@pytest.mark.parametrize(
    "sender", ["RAMZ", "Bank Melli", "11", "3000555", "+98300055", "+14155550123", "", "+982112345678"]
)
def test_nothing_is_said_to_what_is_no_mobile_of_ours(quick: Bot, carrier: Carrier, sender: str) -> None:
    for words in ("HELP", "STOP", "رمز 0012345679"):
        assert quick.hear(Inbound("simulated", f"L{next(NUMBERS)}", sender, words)) is None
    quick.courier.deliver_due()
    assert carrier.sent == []


def test_nothing_is_said_to_its_own_number(make_bot: MakeBot, carrier: Carrier) -> None:
    bot = settled(make_bot(TWILIO_SENDER="+989990000000"))
    assert talk(bot, carrier, "HELP", lambda told: told, "+989990000000") == 0


def test_a_flood_of_requests_ends_by_itself(quick: Bot, carrier: Carrier) -> None:
    """One phone asks for everybody, for ever: each account is texted twice an hour at most, and it ten times."""
    people = cycle(person["national_id"] for person in EVERYBODY)
    for _ in range(200):
        quick.hear(Inbound("simulated", f"L{next(NUMBERS)}", STRANGER, f"رمز {next(people)}"))
        quick.courier.deliver_due()
    assert sum(text.to == STRANGER for text in carrier.sent) <= 10
    assert len(carrier.sent) <= 10 + 2 * len(EVERYBODY)
