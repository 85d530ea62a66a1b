"""The first screen answers three questions in words: is it working, is it within the minute, where is it worst.

What must stand there in five made-up situations is written down here, once.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import delete, insert

from bot.build import Bot
from bot.sending.flood_guard import Flood
from store.service import circuit_breakers, heartbeats, seasons
from store.tables import AuditRow, table
from tests.support import made_texts
from tests.support.console_browser import Browser
from tests.support.made_texts import a_text
from tests.support.parts import Carrier, StoppedClock
from tests.support.people import CHIEF, TEHRAN, employ, settled


@dataclass(frozen=True)
class Situation:
    """How things are made to stand, and the three answers: works, within the minute, where worst; and what is said."""

    make: Callable[[Bot], None]
    works: str
    minute: str
    worst: str
    said: str = ""


def quiet(bot: Bot) -> None:
    made_texts.put(bot.store, a_text(ended=9), a_text(ended=12, account_id=2))


def gateway_down(bot: Bot) -> None:
    late = [a_text(ended=95, gateway="simulated") for _ in range(6)]
    made_texts.put(bot.store, *late, *(a_text(ended=9, gateway="kannel") for _ in range(14)))
    with bot.store.writing() as connection:
        circuit_breakers.fail(connection, "simulated", 5, 5, bot.clock(), timedelta(seconds=30))


def flood(bot: Bot) -> None:
    quiet(bot)
    bot.flood_guard.flood = Flood(frozenset({"rate"}))


def province_late(bot: Bot) -> None:
    made_texts.put(bot.store, *(a_text(ended=9, account_id=1) for _ in range(95)))
    made_texts.put(bot.store, *(a_text(ended=80, account_id=2) for _ in range(5)))


def audit_broken(bot: Bot) -> None:
    quiet(bot)
    row = {"actor": "pilgrim", "who": "", "action": "code_sent", "outcome": "ok", "key_id": "k", "digest": bytes(32)}
    with bot.store.writing() as connection:
        connection.execute(delete(table(AuditRow)))
        connection.execute(insert(table(AuditRow)), {**row, "at": bot.clock() - timedelta(hours=3), "nonce": "n"})


SITUATIONS = {
    "a quiet day": Situation(quiet, "Yes, no alarm", "Yes, 100% today", "All reach the target"),
    "a gateway is down": Situation(
        gateway_down, "There is an alarm", "No, only 70.0% today", "تهران, 70.0%", "Out of order: simulated"
    ),
    "a flood": Situation(flood, "There is an alarm", "Yes, 100% today", "All reach the target", "Flood of codes"),
    "a province is late": Situation(province_late, "Yes, no alarm", "Yes, 95.0% today", "فارس, 0.0%"),
    "the audit is broken": Situation(
        audit_broken, "There is an alarm", "Yes, 100% today", "All reach the target", "The audit is not being sealed"
    ),
}


@pytest.fixture
def browser(bot: Bot, carrier: Carrier) -> Browser:
    settled(bot)
    employ(bot.store)
    return Browser(bot, carrier)


def answers(page: str) -> list[str]:
    """The answers of the three cards, as they stand in their headings."""
    return [
        re.sub("<.*?>", "", it).strip() for it in re.findall(r"<h2 id=\"h-\w+\"><small>.*?</small>(.*?)</h2>", page)
    ]


@pytest.mark.parametrize("name", SITUATIONS)
def test_the_three_answers_stand_on_the_first_screen(browser: Browser, name: str) -> None:
    browser.log_in(CHIEF["mobile"])
    it = SITUATIONS[name]
    it.make(browser.bot)
    page = browser.get("/console?lang=en").text
    assert answers(page) == [it.works, it.minute, it.worst]
    assert it.said in page


def test_nothing_today_is_said_as_such(browser: Browser) -> None:
    page = browser.log_in(CHIEF["mobile"]).get("/console?lang=en").text
    assert answers(page) == ["Yes, no alarm", "No text yet today", "No text yet today"]


def test_a_province_is_told_whether_it_works_and_no_more(browser: Browser) -> None:
    browser.log_in(TEHRAN["mobile"])
    gateway_down(browser.bot)
    page = browser.get("/console?lang=en").text
    assert "headquarters sees it" in page and "Out of order" not in page


def test_today_and_the_season_stand_side_by_side(browser: Browser) -> None:
    browser.log_in(CHIEF["mobile"])
    now = browser.bot.clock()
    with browser.bot.store.writing() as connection:
        seasons.put(connection, (now - timedelta(days=9)).date(), (now + timedelta(days=9)).date())
    before = now - timedelta(days=3)
    made_texts.put(browser.bot.store, a_text(ended=9), a_text(ended=90, request_received_at=before))
    for _ in range(2):  # read anew, and out of what is kept
        page = browser.get("/console?lang=en").text
        assert re.findall(r"<strong>([0-9.]+%)</strong>", page) == ["100%", "50.0%"]
        assert "This season" in page
        next(job for job in browser.bot.jobs.all() if job.name == "measures").run()


def test_hours_are_requests_of_their_hour(browser: Browser) -> None:
    browser.log_in(CHIEF["mobile"])
    now = browser.bot.clock()  # 12:30 in Tehran
    for hours, number in ((0, 1), (2, 3)):
        made_texts.put(browser.bot.store, *[a_text(request_received_at=now - timedelta(hours=hours))] * number)
    page = browser.get("/console?lang=en").text
    found = dict(re.findall(r"<title>(\d+–\d+): (\d+)</title>", page))
    assert {hour: number for hour, number in found.items() if number != "0"} == {"10–11": "3", "12–13": "1"}


def test_a_page_that_asks_for_itself_keeps_no_session_alive(browser: Browser, clock: StoppedClock) -> None:
    browser.log_in(CHIEF["mobile"])
    clock.forward(minutes=16)
    asking = {"X-Refresh": "1"}
    assert browser.client.get("/console", headers=asking, base_url="http://127.0.0.1:8000").status_code == 200
    clock.forward(minutes=16)
    assert browser.client.get("/console", headers=asking, base_url="http://127.0.0.1:8000").status_code == 401


def test_a_job_that_is_late_is_an_alarm(browser: Browser) -> None:
    browser.log_in(CHIEF["mobile"])
    with browser.bot.store.writing() as connection:
        heartbeats.beat(connection, "codes", browser.bot.clock() - timedelta(minutes=9))
    assert "A job is behind: expiring codes" in browser.get("/console?lang=en").text
