"""How long an answer takes tells nothing of whether there is an account."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import count, cycle
from statistics import median

import pytest
from sqlalchemy import func, select

from bot.build import Bot, build
from bot.credentials import one_time_codes, passwords
from bot.credentials.one_time_codes import DrawnCode
from dialogs.parsing.normalise import national_id
from dialogs.vocabulary import CodePurpose
from store import accounts, codes
from store.database.engine import Store
from store.tables import CodeRow, table
from tests.support.parts import NOON, Carrier, LoadedRandomSource, StoppedClock, settings
from tests.support.people import CHIEF, STRANGER, employ
from tests.webhooks.api.test_api import NO_LIVE_CODE, OTHER, OWN, REFUSED, THEIR_OWN, Desk

pytestmark = pytest.mark.alone

CALLS, HASHES = 500, 120  # of each kind
CLOSE = 0.10
# What differs does so in every round; a machine that does other things meanwhile spoils one.
ROUNDS = 3
PEOPLE = 25  # so many of each kind that no limit is met
RIGHT, WRONG = "482913", "482914"


def ids(first: int, number: int) -> list[str]:
    """National IDs whose check digits are right."""
    stems = range(first, first + number)
    return [f"{stem}{digit}" for stem in stems for digit in range(10) if national_id(f"{stem}{digit}")]


KNOWN, WITH_A_CODE, UNKNOWN = ids(100_000_000, PEOPLE), ids(300_000_000, PEOPLE), ids(500_000_000, PEOPLE)


def live_code(bot: Bot, person: str) -> None:
    """A code in somebody's hand, with more tries than a code has."""
    with bot.store.writing() as connection:
        holder = accounts.find(connection, national_id=person)
        assert holder
        drawn = DrawnCode(bot.parts.random_source.token(), RIGHT, b"")
        code = one_time_codes.new(
            drawn, bot.keyring, bot.settings, bot.clock(), CodePurpose.RECOVERY, holder.mobile, account_id=holder.id
        )
        codes.issue(connection, replace(code, tries_left=CALLS * ROUNDS))


@pytest.fixture
def desk(sqlite_url: str) -> Iterator[Desk]:
    """A desk where many are known; half of them have a code in their hands."""
    carrier, clock = Carrier(), StoppedClock()
    with closing(Store(sqlite_url)) as store:
        desk = Desk(
            build(settings(), clock=clock, random_source=LoadedRandomSource(), gateways=[carrier], store=store),
            carrier,
            clock,
        )
        with store.writing() as connection:
            people = [
                {"national_id": person, "username": f"leader{person}", "mobile": f"+98912{number:07d}"}
                for number, person in enumerate(KNOWN + WITH_A_CODE)
            ]
            accounts.put(connection, people, NOON)
        for person in WITH_A_CODE:
            live_code(desk.bot, person)
        yield desk


def medians(known: Callable[[], object], unknown: Callable[[], object], calls: int) -> tuple[float, float]:
    """How long a call takes about somebody known and about nobody, the two mixed by chance."""
    each = {"known": known, "unknown": unknown}
    taken: dict[str, list[float]] = {name: [] for name in each}
    turns = list(each) * calls
    random.Random(7).shuffle(turns)
    for call in each.values():
        call()  # the first of each prepares its statements
    for turn in turns:
        start = time.perf_counter()
        each[turn]()
        taken[turn].append(time.perf_counter() - start)
    return median(taken["known"]), median(taken["unknown"])


def alike(
    known: Callable[[], object],
    unknown: Callable[[], object],
    forward: Callable[[], object],
    calls: int = CALLS,
    close: float = CLOSE,
) -> None:
    shown = []
    for _ in range(ROUNDS):
        forward()  # so that no limit is met
        about_known, about_unknown = medians(known, unknown, calls)
        shown.append(f"known {about_known * 1e6:.0f} µs, unknown {about_unknown * 1e6:.0f} µs")
        print(shown[-1], f"known/unknown {about_known / about_unknown:.3f}")
        if abs(about_known - about_unknown) / min(about_known, about_unknown) < close:
            return
    pytest.fail(f"they differ in every round: {'; '.join(shown)}")


def alike_at(
    desk: Desk, known: Callable[[str], None], unknown: Callable[[str], None], people: list[str], calls: int = CALLS
) -> None:
    some, others = cycle(people), cycle(UNKNOWN)
    alike(lambda: known(next(some)), lambda: unknown(next(others)), lambda: desk.clock.forward(seconds=61), calls)


def test_a_code_is_refused_as_quickly_for_who_has_none(desk: Desk) -> None:
    def ask(person: str) -> None:
        assert desk.try_code(WRONG, person) == NO_LIVE_CODE

    alike_at(desk, ask, ask, KNOWN)


def test_a_wrong_code_is_refused_as_quickly_as_an_unknown_id(desk: Desk) -> None:
    def ask(person: str) -> None:
        assert desk.try_code(WRONG, person)["reason"] == "wrong_code"

    def ask_about_nobody(person: str) -> None:
        assert desk.try_code(WRONG, person) == NO_LIVE_CODE

    alike_at(desk, ask, ask_about_nobody, WITH_A_CODE)


def test_a_wrong_password_is_refused_as_quickly_as_an_unknown_name(desk: Desk) -> None:
    new = passwords.hashed(desk.bot.keyring, OWN)
    with desk.bot.store.writing() as connection:
        for person in KNOWN:
            holder = accounts.find(connection, national_id=person)
            assert holder
            accounts.set_password(connection, holder.id, new.hash, new.key_id, None)
    assert desk.login(OWN, national_id=KNOWN[0]) == THEIR_OWN

    def ask(person: str) -> None:
        assert desk.login(OTHER, national_id=person) == REFUSED

    # A hash takes ten times as long as all the rest, and always as long: a few of them tell.
    alike_at(desk, ask, ask, KNOWN, HASHES)


# The console's door. What is written for nobody is undone, which costs a little less than to keep it.

LOGINS, NEAR = 200, 0.25


@pytest.fixture
def clerks(desk: Desk) -> list[str]:
    """The mobiles of many staff members."""
    mobiles = [f"+98913{number:07d}" for number in range(LOGINS + 1)]
    employ(desk.bot.store, *({**CHIEF, "mobile": mobile} for mobile in mobiles))
    return mobiles


def test_a_code_to_log_in_is_asked_for_as_quickly_by_anybody(desk: Desk, clerks: list[str]) -> None:
    bot, numbers, turns = desk.bot, count(), cycle(clerks)

    def ask(mobile: str) -> None:
        bot.console.ask(mobile, f"address {next(numbers)}", "fa")

    def another_day() -> None:
        desk.clock.forward(days=1)
        bot.jobs.close_codes()

    alike(lambda: ask(next(turns)), lambda: ask(STRANGER), another_day, LOGINS, NEAR)
    code = table(CodeRow)
    counted = select(func.count()).where(code.c.purpose == CodePurpose.CONSOLE)
    with bot.store.reading() as connection:
        assert connection.execute(counted).scalar_one() > LOGINS


def test_a_code_to_log_in_is_tried_as_quickly_by_anybody(desk: Desk, clerks: list[str]) -> None:
    bot, numbers, turns = desk.bot, count(), cycle(clerks)

    asked = dict[str, list[str]]()

    def enter(mobile: str) -> None:
        mine = asked.get(mobile, ["t" * 22])
        assert bot.console.enter(mobile, "000000", f"address {next(numbers)}", mine) is None

    alike(lambda: enter(next(turns)), lambda: enter(STRANGER), lambda: None, LOGINS)
    for mobile in (*clerks, STRANGER):
        asked[mobile] = [bot.console.ask(mobile, f"address {next(numbers)}", "fa")]
    alike(lambda: enter(next(turns)), lambda: enter(STRANGER), lambda: None, LOGINS)
