"""The phone page in a real browser: a whole recovery, faults, both languages, two widths, accessibility."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Route, expect
from sqlalchemy import select

from bot.build import Bot, build
from bot.simulation.demo import mobiles, seed
from bot.simulation.state import DELAY, DOWN, Simulation
from dialogs.staff_vocabulary import StaffState
from dialogs.vocabulary import State
from store.database.engine import Store
from store.tables import OutboundMessageRow, table
from tests.bot.inbound.test_transcripts import titled
from tests.support.browser import Window, browsing, served
from tests.support.databases import Fresh
from tests.support.parts import Carrier, LoadedRandomSource, StoppedClock, eventually, settings
from tests.support.people import settled
from tests.support.transcript import Player
from webhooks import create_app

# A browser is many processes.
pytestmark = pytest.mark.process

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
ZAHRA, OMID, FATIMA = mobiles()[:3]
FIRST, SECOND = "1", "2"
PATIENCE = 20_000  # milliseconds, for a machine that is busy

expect.set_options(timeout=PATIENCE)


@dataclass
class Desk:
    """The page before somebody who tries the bot."""

    window: Window
    clock: StoppedClock
    bot: Bot

    def phone(self, place: str = FIRST) -> Locator:
        return self.window.page.locator(f'[data-phone="{place}"]')

    def press(self, chip: str, place: str = FIRST) -> None:
        self.phone(place).locator(f'[data-chip="{chip}"]').click()

    def bubbles(self, place: str = FIRST) -> Locator:
        return self.phone(place).locator(".bubble:not(.mine)")

    def code(self, place: str = FIRST) -> Locator:
        return self.phone(place).locator(".code").last

    def expect_state(self, state: StrEnum, place: str = FIRST) -> None:
        expect(self.phone(place).locator("[data-state]")).to_contain_text(state.name)
        lit = self.window.page.locator(f'[data-box="{state.name}"]')
        expect(lit).to_have_class(re.compile(r"\blit\b"))
        expect(lit.locator(f'[data-at="{place}"]')).to_be_visible()

    def has_failed(self) -> bool:
        """Whether an attempt to send a text has been written down as failed."""
        text = table(OutboundMessageRow)
        with self.bot.store.reading() as connection:
            return connection.execute(select(text.c.id).where(text.c.error.is_not(None))).first() is not None

    def copied(self) -> str:
        self.window.page.locator("#copy").click()
        expect(self.window.page.locator("#transcript")).to_be_visible()
        return self.window.page.locator("#transcript textarea").input_value()


@dataclass
class Town:
    """A bot that is served, and browsers that open its page."""

    bot: Bot
    clock: StoppedClock
    home: str
    browser: Browser
    open: ExitStack

    def desk(
        self,
        language: str = "en",
        viewport: dict[str, int] | None = None,
        second: str | None = OMID.number,
        **options: Any,
    ) -> Desk:
        """The page, as it opens but for whose phone the second one is; None leaves that as it is."""
        window = browsing(self.browser, self.home, viewport=viewport or WIDE, **options)
        desk = Desk(self.open.enter_context(window), self.clock, self.bot)
        desk.window.page.set_default_timeout(PATIENCE)
        desk.window.page.goto(f"/phone?lang={language}")
        if second:
            desk.phone(SECOND).locator("select").select_option(second)
        return desk


@pytest.fixture
def town(
    chromium: Browser,
    sqlite_url: str,
    simulation: Simulation,
    clock: StoppedClock,
    random_source: LoadedRandomSource,
) -> Iterator[Town]:
    """A bot whose clock stands still but for what a test or the page moves it on by."""
    bot = build(settings(DATABASE_URL=sqlite_url), random_source=random_source, simulation=simulation)
    seed(bot.store)
    bot.start()
    with ExitStack() as opened:
        opened.callback(bot.stop)
        home = opened.enter_context(served(create_app(bot)))
        yield Town(bot, clock, home, chromium, opened)


@pytest.fixture
def desk(town: Town) -> Iterator[Desk]:
    desk = town.desk()
    yield desk
    assert desk.window.complaints == []
    assert desk.window.elsewhere() == []


def test_the_first_minute_of_a_newcomer(desk: Desk) -> None:
    desk.press("request")
    desk.expect_state(State.AWAITING_CODE)
    desk.code().click()
    expect(desk.bubbles()).to_have_count(2)
    expect(desk.bubbles().nth(1)).to_contain_text(re.compile("[a-z2-9]{4}(?:-[a-z2-9]{4}){2}"))
    expect(desk.bubbles().locator(".tick.delivered")).to_have_count(2)
    expect(desk.phone().locator(".mine .tick.delivered")).to_have_count(2)
    expect(desk.bubbles().first).to_contain_text("61/70 UCS-2")
    expect(desk.phone().locator("[data-event]")).to_have_text("RIGHT_CODE")
    desk.expect_state(State.IDLE)


def test_another_phone_makes_the_registered_one_ring(desk: Desk) -> None:
    desk.press("another", SECOND)
    expect(desk.code(FIRST)).to_be_visible()
    expect(desk.bubbles(SECOND)).to_have_count(1)
    expect(desk.code(SECOND)).to_have_count(0)
    desk.expect_state(State.IDLE, SECOND)


def test_staff_reset_over_the_two_phones(town: Town) -> None:
    desk = town.desk(second=None)
    desk.press("reset", SECOND)
    desk.expect_state(StaffState.CONFIRMING_RESET, SECOND)
    desk.code(SECOND).click()
    desk.expect_state(StaffState.AT_REST, SECOND)
    expect(desk.bubbles(SECOND)).to_have_count(2)
    desk.code(FIRST).click()
    expect(desk.bubbles(FIRST)).to_contain_text([re.compile("."), re.compile("[a-z2-9]{4}(?:-[a-z2-9]{4}){2}")])
    assert desk.window.barriers() == []
    assert desk.window.complaints == []


def test_phones_are_switched_and_keep_what_they_have(desk: Desk) -> None:
    desk.press("request")
    expect(desk.bubbles()).to_have_count(1)
    desk.phone().locator("select").select_option(FATIMA.number)
    expect(desk.bubbles()).to_have_count(0)
    desk.press("request")
    expect(desk.phone().locator(".mine")).to_contain_text(FATIMA.national_id)
    expect(desk.bubbles()).to_have_count(1)
    desk.phone().locator("select").select_option(ZAHRA.number)
    expect(desk.phone().locator(".mine")).to_contain_text(ZAHRA.national_id)
    expect(desk.bubbles()).to_have_count(1)


def test_the_chips_say_what_they_promise(desk: Desk) -> None:
    understood = desk.phone(SECOND).locator("[data-event]")
    for chip, event in (
        ("persian_digits", "ASKED"),
        ("request", "ASKED_TOO_SOON"),
        ("wrong_digit", "ASKED_WITH_INVALID_ID"),
        ("empty", "NOT_UNDERSTOOD"),
        ("long", "NOT_UNDERSTOOD"),
        ("stop", "STOP"),
    ):
        desk.press(chip, SECOND)
        expect(understood).to_have_text(event)
    long = desk.phone(SECOND).locator(".mine").filter(has_text="24 texts")
    expect(long).to_contain_text("1600 UCS-2")
    expect(desk.phone(SECOND).locator(".mine")).to_have_count(6)
    desk.press("reset", FIRST)  # from a pilgrim's phone it is a recovery
    desk.expect_state(State.AWAITING_CODE, FIRST)


def test_a_text_can_be_typed_and_sent_by_keyboard_alone(desk: Desk) -> None:
    field = desk.phone().get_by_label("Text to the bot")
    field.focus()
    desk.window.page.keyboard.type("help")
    desk.window.page.keyboard.press("Enter")
    expect(desk.bubbles()).to_have_count(1)
    expect(field).to_be_focused()
    expect(field).to_have_value("")


def test_words_are_shown_as_words(desk: Desk) -> None:
    desk.phone().get_by_label("Text to the bot").fill("<img src=x onerror=alert(1)>")
    desk.phone().get_by_role("button", name="Send").click()
    expect(desk.phone().locator(".mine p")).to_have_text("<img src=x onerror=alert(1)>")


def test_ten_minutes_later_the_code_is_of_no_use(desk: Desk) -> None:
    desk.press("request")
    expect(desk.code()).to_be_visible()
    desk.window.page.get_by_role("button", name="Ten minutes later").click()
    expect(desk.window.page.locator("#ahead")).to_have_text("10 min ahead")
    desk.expect_state(State.IDLE)
    expect(desk.window.page.locator('[data-rows="1"] [data-table="codes"]')).to_contain_text("expired")
    desk.code().click()
    expect(desk.phone().locator("[data-event]")).to_have_text("NO_LIVE_CODE")


def test_two_tabs_see_one_clock_and_the_same_faults(town: Town) -> None:
    one, other = town.desk(), town.desk()
    one.window.page.get_by_role("button", name="Ten minutes later").click()
    one.window.page.get_by_label("Takes texts, does not deliver").check()
    expect(other.window.page.locator("#ahead")).to_have_text("10 min ahead")
    expect(other.window.page.get_by_label("Takes texts, does not deliver")).to_be_checked()


def test_a_switch_stays_as_it_was_set_while_something_else_is_awaited(desk: Desk) -> None:
    page, held = desk.window.page, list[Route]()
    page.route("**/phone/later", lambda route: held.append(route))  # noqa: PLW0108  # a bound method takes no mark
    page.get_by_role("button", name="Ten minutes later").click()
    switch = page.get_by_label("Takes texts, does not deliver")
    switch.check()
    for _ in range(3):
        with page.expect_response("**/phone/now"):
            pass
    expect(switch).to_be_checked()
    with page.expect_response("**/phone/faults") as answer:
        held[0].continue_()
    assert answer.value.json() == {"faults": ["undelivered"]}
    with page.expect_response("**/phone/now"):
        pass
    expect(switch).to_be_checked()


def test_a_carrier_that_hands_in_twice_changes_nothing(desk: Desk) -> None:
    desk.window.page.get_by_label("Hands in everything twice").check()
    desk.press("request")
    desk.code().click()
    expect(desk.bubbles().locator(".tick.delivered")).to_have_count(2)
    expect(desk.bubbles()).to_have_count(2)


def test_what_is_not_delivered_is_said_to_have_failed(desk: Desk) -> None:
    desk.window.page.get_by_label("Takes texts, does not deliver").check()
    desk.press("wrong_digit")  # a code would be sent once more
    expect(desk.bubbles().locator(".tick.failed")).to_be_visible()
    expect(desk.bubbles()).to_contain_text("could not be delivered")
    expect(desk.code()).to_have_count(0)


def test_a_lost_receipt_leaves_a_text_as_accepted(desk: Desk) -> None:
    desk.window.page.get_by_label("Loses receipts").check()
    desk.press("request")
    expect(desk.code()).to_be_visible()
    expect(desk.bubbles().locator(".tick.accepted")).to_be_visible()


def test_a_late_text_and_a_gateway_that_comes_back(desk: Desk) -> None:
    desk.window.page.get_by_label("Brings texts 8 seconds late").check()
    desk.press("request")
    expect(desk.bubbles().locator(".tick.accepted")).to_be_visible()
    desk.clock.now += DELAY
    expect(desk.bubbles().locator(".tick.delivered")).to_be_visible()
    desk.window.page.get_by_label("Brings texts 8 seconds late").uncheck()
    down = desk.window.page.get_by_label("First gateway down for 10 seconds")
    down.check()
    desk.press("wrong_digit")
    expect(desk.bubbles().locator(".tick.queued")).to_be_visible()
    assert eventually(desk.has_failed), "it is tried again by the clock as it is when that is written"
    desk.clock.now += DOWN
    expect(down).not_to_be_checked()
    desk.clock.now += timedelta(seconds=5)
    expect(desk.bubbles().locator(".tick.delivered")).to_have_count(2)


def test_what_was_tried_is_copied_as_a_test_that_passes(
    desk: Desk, fresh_sqlite: Fresh, random_source: LoadedRandomSource, carrier: Carrier
) -> None:
    began = desk.clock.now
    desk.press("request")
    expect(desk.code()).to_be_visible()
    desk.press("another", SECOND)
    expect(desk.bubbles(SECOND)).to_have_count(1)
    desk.window.page.get_by_role("button", name="Ten minutes later").click()
    desk.code().click()
    expect(desk.phone().locator("[data-event]")).to_have_text("NO_LIVE_CODE")
    desk.press("request")
    expect(desk.phone().locator(".code")).to_have_count(2)
    desk.code().click()
    expect(desk.phone().locator("[data-event]")).to_have_text("RIGHT_CODE")
    ((_, lines),) = titled(desk.copied())
    assert "+ 10 min" in lines
    assert "< fa new_password" in lines
    clock, store = StoppedClock(began), Store(fresh_sqlite())
    fresh = settled(build(settings(), clock=clock, random_source=random_source, gateways=[carrier], store=store))
    Player(fresh, carrier, clock).play(lines)
    store.close()


def test_without_javascript_it_says_what_to_do(town: Town) -> None:
    desk = town.desk(second=None, java_script_enabled=False)
    expect(desk.window.page.locator("noscript code")).to_contain_text("flask chat --from 09121234567")


def test_it_says_when_the_bot_is_gone_and_when_it_is_back(town: Town) -> None:
    desk = town.desk()
    lost = desk.window.page.get_by_role("alert")
    expect(lost).to_have_count(0)
    desk.window.page.route("**/phone/now", lambda route: route.abort())
    expect(lost).to_be_visible()
    desk.window.page.unroute("**/phone/now")
    expect(lost).to_have_count(0)


# What one language lacks it lacks at any width, and what one width hides it hides in any language.
@pytest.mark.parametrize(("language", "viewport"), [("fa", NARROW), ("en", WIDE)], ids=["fa-360", "en-1280"])
def test_it_keeps_nobody_out(town: Town, language: str, viewport: dict[str, int]) -> None:
    desk = town.desk(language, viewport)
    expect(desk.window.page.locator("html")).to_have_attribute("dir", "rtl" if language == "fa" else "ltr")
    assert desk.window.barriers() == [], "empty"
    desk.press("request")
    desk.code().click()
    desk.press("long", SECOND)
    expect(desk.bubbles().locator(".tick.delivered")).to_have_count(2)
    expect(desk.bubbles(SECOND)).to_have_count(1)
    assert desk.window.barriers() == []
    assert desk.window.spills() == 0
    desk.copied()
    assert desk.window.barriers() == [], "with the transcript open"
    assert desk.window.complaints == []
    assert desk.window.elsewhere() == []


def test_its_language_is_switched_on_the_page(town: Town) -> None:
    desk = town.desk("fa")
    desk.window.page.get_by_role("link", name="English").click()
    expect(desk.window.page.get_by_role("heading", name="Two phones")).to_be_visible()
    desk.window.page.get_by_role("link", name="فارسی").click()
    expect(desk.window.page.get_by_role("heading", name="دو گوشی")).to_be_visible()


def test_its_font_is_ours(desk: Desk) -> None:
    desk.window.page.wait_for_function("document.fonts.check('1rem Vazirmatn') && document.fonts.status === 'loaded'")
    assert any(url.endswith(".woff2") for url in desk.window.requests)


def test_nothing_of_a_person_stands_in_an_address(desk: Desk) -> None:
    desk.press("request")
    expect(desk.code()).to_be_visible()
    asked = [url.removeprefix(desk.window.home).split("?v=")[0] for url in desk.window.requests]
    assert [path for path in asked if re.search(r"\d{5}", path)] == []
