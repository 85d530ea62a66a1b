"""The console in a real browser: the code from the carrier, a period, a file, both languages, two widths."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Playwright, expect

from bot.build import Bot, build
from bot.gateways.simulated import Simulated
from bot.simulation.demo import STAFF, StaffPerson, seed
from bot.simulation.state import Simulation
from tests.support import made_season
from tests.support.browser import Window, browsing, served
from tests.support.parts import LoadedRandomSource, StoppedClock, eventually, settings
from webhooks import create_app
from webhooks.simulator.transcript import code_in

# A browser is many processes.
pytestmark = pytest.mark.process

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
TEHRAN, CHIEF = STAFF[0], STAFF[2]
PATIENCE = 20_000  # milliseconds, for a machine that is busy

expect.set_options(timeout=PATIENCE)


@dataclass
class Office:
    """A bot with a season behind it that is served, and browsers that open its console."""

    bot: Bot
    home: str
    playwright: Playwright
    profiles: Path
    open: ExitStack

    def window(self, language: str, viewport: dict[str, int]) -> Window:
        """The console's first page. No script runs."""
        profile = self.profiles / f"profile-{language}-{viewport['width']}"
        window = self.open.enter_context(browsing(self.playwright, profile, self.home, viewport=viewport))
        window.page.set_default_timeout(PATIENCE)
        window.page.goto(f"/console?lang={language}")
        return window

    def code(self, mobile: str) -> str:
        """The newest code that the carrier brought to a mobile."""
        carrier = self.bot.gateways["simulated"]
        assert isinstance(carrier, Simulated)
        assert eventually(lambda: carrier.screen(mobile))
        found = code_in(carrier.screen(mobile)[-1].text, self.bot.settings.code_length)
        assert found
        return found

    def log_in(self, window: Window, clerk: StaffPerson = CHIEF) -> None:
        window.page.locator("#mobile").fill(f"0{clerk.mobile.removeprefix('+98')}")
        window.page.keyboard.press("Enter")
        window.page.locator("#code").fill(self.code(clerk.mobile))
        window.page.keyboard.press("Enter")
        expect(window.page.locator("#from")).to_be_visible()


@pytest.fixture
def office(
    playwright: Playwright,
    sqlite_url: str,
    simulation: Simulation,
    clock: StoppedClock,
    random_source: LoadedRandomSource,
    tmp_path: Path,
) -> Iterator[Office]:
    bot = build(settings(DATABASE_URL=sqlite_url), random_source=random_source, simulation=simulation)
    made_season.make(bot.store, 600, clock() - timedelta(days=12), days=12)
    seed(bot.store)
    bot.start()
    with ExitStack() as opened:
        opened.callback(bot.stop)
        home = opened.enter_context(served(create_app(bot)))
        (tmp_path / "profiles").mkdir()
        yield Office(bot, home, playwright, tmp_path / "profiles", opened)


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("language", ["fa", "en"])
def test_nobody_is_kept_out_at_any_width_in_any_language(
    office: Office, language: str, viewport: dict[str, int], tmp_path: Path
) -> None:
    window = office.window(language, viewport)
    assert (window.barriers(), window.spills()) == ([], 0)
    office.log_in(window)
    expect(window.page.locator("svg.chart")).not_to_have_count(0)
    window.page.screenshot(path=tmp_path / f"console-{language}.png", full_page=True)
    assert (window.barriers(), window.spills()) == ([], 0)
    window.page.emulate_media(media="print")
    expect(window.page.locator("nav")).to_be_hidden()
    expect(window.page.locator("form.period")).to_be_hidden()
    window.page.screenshot(path=tmp_path / f"print-{language}.png", full_page=True)
    window.page.emulate_media(media="screen")
    window.page.goto(f"/console/audit?lang={language}")
    expect(window.page.locator("tbody tr")).to_have_count(100)
    window.page.screenshot(path=tmp_path / f"audit-{language}.png")
    assert (window.barriers(), window.spills()) == ([], 0)
    window.page.goto(f"/console/search?lang={language}")
    window.page.locator("#digits").fill("0042")
    window.page.keyboard.press("Enter")
    expect(window.page.locator("table")).to_have_count(4)
    window.page.screenshot(path=tmp_path / f"story-{language}.png", full_page=True)
    assert (window.barriers(), window.spills()) == ([], 0)
    assert (window.complaints, window.elsewhere()) == ([], [])


def test_a_province_sees_itself_only(office: Office) -> None:
    chief, tehran = office.window("en", WIDE), office.window("en", NARROW)
    office.log_in(chief)
    office.log_in(tehran, TEHRAN)
    page = tehran.page
    expect(page.locator("#content")).to_contain_text(f"Province: {TEHRAN.province}")
    expect(page.locator("#content")).to_contain_text("There was no text in these days.")
    assert (page.locator("#province").count(), page.get_by_role("link", name="Audit trail").count()) == (0, 0)
    chief.page.locator("#province").select_option("province 03")
    chief.page.get_by_role("button", name="Show").click()
    expect(chief.page.locator("#content")).to_contain_text("Province: province 03")
    expect(chief.page.get_by_role("region", name="By province").first.locator("tbody tr")).to_have_count(1)


def test_a_period_a_file_and_the_other_language(office: Office) -> None:
    window = office.window("en", WIDE)
    office.log_in(window)
    window.page.locator("#from").fill("1405-06-01")
    window.page.locator("#to").fill("1405-06-09")
    window.page.keyboard.press("Enter")
    expect(window.page.locator("h1")).to_contain_text("2026/08/23 (1405/06/01) to 2026/08/31 (1405/06/09)")
    with window.page.expect_download() as coming:
        window.page.get_by_role("link", name="Download CSV").click()
    written = Path(coming.value.path()).read_bytes()
    assert written.startswith(b"\xef\xbb\xbfcontrol_point,")
    assert b"2026-08-23 to 2026-08-31" in written
    window.page.get_by_role("link", name="فارسی").click()
    expect(window.page.locator("html")).to_have_attribute("dir", "rtl")
    expect(window.page.locator("h1")).to_contain_text("۱۴۰۵/۰۶/۰۱")
    window.page.get_by_role("button", name="خروج").click()
    expect(window.page.locator("#mobile")).to_be_visible()
    assert re.search(r"lang=fa$", window.page.url)
    assert (window.complaints, window.elsewhere()) == ([], [])
