"""Whole seasons, played: figures are what was played, retention leaves what it must, and the database stays bounded.

PLAYED_RECOVERIES=20000 plays a season of its real size, which takes its time; see CONTRIBUTING.md.
"""

import os
from datetime import date, timedelta
from typing import TypeVar

import pytest
from sqlalchemy import func, select

from bot.build import Bot
from bot.platform.clock import days_of, today_in_tehran
from bot.reports import kpi
from store.database.engine import Store
from store.tables import METADATA
from store.views.delivery_stats import Subject
from tests.conftest import MakeBot
from tests.support.parts import StoppedClock
from tests.support.played_season import FATES, SENT_THOUGH_OVER, Season, Tally, settle_people

pytestmark = pytest.mark.slow
# A small one is played over fewer days, and counted less often, which is most of its work.
IS_WHOLE = "PLAYED_RECOVERIES" in os.environ
RECOVERIES = int(os.environ.get("PLAYED_RECOVERIES", "60"))
# The season itself, and those that follow it.
SEASONS = (RECOVERIES, *[RECOVERIES // 10 if IS_WHOLE else RECOVERIES] * 2)
DAYS, COUNTED_EVERY = (120, timedelta(hours=1)) if IS_WHOLE else (30, timedelta(days=7))
PEOPLE = max(60, RECOVERIES // 4)
LUNAR_YEAR = timedelta(days=354)
KEPT_FOR_A_WHILE = ("code", "outbound_message", "inbound_message", "reset_grant", "webhook_event")
POINTS = (Subject.CODE, Subject.PASSWORD)
FAULTS = {*FATES, "wrong code", "refused", "repeated by the provider", "asked again", "stop", "probe"}
FAULTS |= {"first is down", "second is down"}
Key = TypeVar("Key")
OUTCOMES = ("in_time", "late", "failed", "pending", "no_receipt", "open", "withdrawn")


@pytest.fixture
def backend() -> str:
    """On SQLite; what PostgreSQL does otherwise, each noun's own tests see."""
    return "sqlite"


def rows(store: Store) -> dict[str, int]:
    with store.reading() as connection:
        return {
            name: connection.execute(select(func.count()).select_from(it)).scalar_one()
            for name, it in METADATA.tables.items()
        }


def check(bot: Bot, tally: Tally, first: date) -> None:
    """The figures are the tally: whole, by day, by province and by gateway; to the second; and what became of codes."""
    found = kpi.figures(bot.store, first, first + timedelta(days=DAYS + 1), bot.clock())
    for point in POINTS:
        views, played = found.points[point], tally.points[point.value]
        assert {name: getattr(views.whole, name) for name in OUTCOMES} == {name: played[name] for name in OUTCOMES}
        delivered = played["in_time"] + played["late"]
        assert views.whole.mean == pytest.approx(tally.seconds[point.value] / delivered, abs=0.01)
        days = {day: views.days[day].texts for day in days_of(found.first, found.last) if views.days[day].texts}
        assert days == of(tally.days, point)
        assert {name: it.texts for name, it in views.provinces.items()} == of(tally.provinces, point)
        by = {name: it.in_time + it.late for name, it in views.gateways.items() if it.in_time + it.late}
        assert by == of(tally.delivered_by, point)
    assert found.codes == dict(tally.fates)


def of(counted: dict[tuple[str, Key], int], point: Subject) -> dict[Key, int]:
    return {key: number for (name, key), number in counted.items() if name == point.value}


def test_seasons_add_up_and_the_database_stays_bounded(make_bot: MakeBot, clock: StoppedClock) -> None:
    season = Season(clock, PEOPLE, COUNTED_EVERY)
    season.bot = bot = make_bot(gateways=season.gateways, MESSAGES_PER_SECOND="10000")
    settle_people(bot.store, PEOPLE)
    begin, played, grown = clock.now, [], []
    for year, recoveries in enumerate(SEASONS):
        season.wait(begin + year * LUNAR_YEAR)
        first = today_in_tehran(clock.now)
        played.append((season.play(recoveries, year, DAYS), first))
        grown.append(rows(bot.store))
        print(f"\nseason {year + 1}: {played[-1][0].points} {played[-1][0].faults}\n{grown[-1]}")
        for tally, day in played:  # those before too, though what they were counted from has gone
            check(bot, tally, day)
    happened = {fault for tally, _ in played for fault in tally.faults}
    assert happened >= FAULTS and SENT_THOUGH_OVER not in happened
    assert all(tally.points["code"]["withdrawn"] for tally, _ in played)
    assert grown[0]["conversation"] < PEOPLE, "phones that have been silent for a month are forgotten"
    for name in KEPT_FOR_A_WHILE:  # what is kept for 400 days is of two seasons at most
        assert grown[2][name] <= grown[1][name] * 1.3 and grown[1][name] <= grown[0][name] * 2.3, name
    days = (clock.now - begin).days
    assert grown[2]["stats_period"] <= days + 48, "hours become days"
    assert grown[2]["account"] == PEOPLE and grown[2]["audit"] > grown[1]["audit"] > grown[0]["audit"]
    season.wait(clock.now + timedelta(days=401))
    left = rows(bot.store)
    assert not any(left[name] for name in (*KEPT_FOR_A_WHILE, "late_receipt", "rate_limit")), left
    assert left["conversation"] <= sum(tally.faults["stop"] for tally, _ in played), "a STOP alone is remembered"
    assert left["account"] == PEOPLE and left["audit"] == grown[2]["audit"]
    for tally, day in played:
        check(bot, tally, day)
    assert sum(tally.points["password"].total() for tally, _ in played) > RECOVERIES
