"""The console in a real browser: nobody kept out in any language, theme or width; the first screen; its refresh."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from bot.build import build
from bot.reports import kpi
from bot.simulation.demo import seed
from bot.simulation.state import Simulation
from store.service import circuit_breakers
from tests.support import made_season, made_texts
from tests.support.browser import Window
from tests.support.office import NARROW, TEHRAN, WIDE, Office, office
from tests.support.parts import LoadedRandomSource, StoppedClock, settings
from tests.support.places import ROOT
from webhooks import season_report

# A browser is many processes.
pytestmark = pytest.mark.process

HEAVIEST = 60_000  # bytes of a page, with its font kept
PAGES = (
    "/console",
    "/console/days",
    "/console/days?table=code",
    "/console/provinces",
    "/console/gateways",
    "/console/codes",
    "/console/texts?fate=in_time",
    "/console/search",
    "/console/audit",
    "/console/staff",
    "/nowhere",
    "/",
)
# How far what is on the page has moved without anybody having asked for it, by the browser's own measure.
SHIFTED = """() => new Promise((tell) => {
  let sum = 0;
  const sees = (list) => { for (const it of list.getEntries()) sum += it.value; };
  const observer = new PerformanceObserver(sees);
  observer.observe({ type: "layout-shift", buffered: true });
  setTimeout(() => { sees({ getEntries: () => observer.takeRecords() }); tell(sum); }, 200);
})"""


@pytest.fixture
def console(
    chromium: Browser,
    sqlite_url: str,
    simulation: Simulation,
    clock: StoppedClock,
    random_source: LoadedRandomSource,
) -> Iterator[Office]:
    bot = build(settings(DATABASE_URL=sqlite_url), random_source=random_source, simulation=simulation)
    made_season.make(bot.store, 600, clock() - timedelta(days=12), days=12)
    seed(bot.store)
    with office(chromium, bot) as found:
        yield found


def look(window: Window, path: str, language: str, widths: tuple[dict[str, int], ...]) -> list[str]:
    """What keeps people out of a page at the first of the widths, and at which of them it does not fit in.

    In both themes, which differ by their colours alone.
    """
    page = window.page
    page.set_viewport_size(widths[0])  # type: ignore[arg-type]
    page.goto(f"{path}{'&' if '?' in path else '?'}lang={language}")
    page.emulate_media(color_scheme="light")
    found = [f"{path} light: {it}" for it in window.barriers()]
    page.emulate_media(color_scheme="dark")
    found += [f"{path} dark: {it}" for it in window.barriers("color-contrast")]
    for width in widths:
        page.set_viewport_size(width)  # type: ignore[arg-type]
        found += [f"{path}: spills at {width}"] if window.spills() else []
    return found


# What one language lacks it lacks at any width, and what one width hides it hides in any language.
@pytest.mark.parametrize(("language", "widths"), [("fa", (NARROW, WIDE)), ("en", (WIDE, NARROW))])
def test_nobody_is_kept_out_at_any_width_in_any_language_or_theme(
    console: Office, language: str, widths: tuple[dict[str, int], ...]
) -> None:
    window = console.window(language, widths[0])
    assert look(window, "/console", language, widths) == []
    window.page.set_viewport_size(widths[0])  # type: ignore[arg-type]
    console.log_in(window)
    assert [barrier for path in PAGES for barrier in look(window, path, language, widths)] == []
    window.page.goto(f"/console/search?lang={language}")
    window.page.locator("#digits").fill("0042")
    window.page.keyboard.press("Enter")
    expect(window.page.locator("table")).to_have_count(4)
    assert (window.barriers(), window.spills()) == ([], 0)
    # The browser itself complains of the page that is not there.
    assert [said for said in window.complaints if "404" not in said] == []
    assert window.elsewhere() == []


@pytest.mark.parametrize("language", ["fa", "en"])
def test_the_season_s_report_keeps_nobody_out(
    console: Office, clock: StoppedClock, language: str, tmp_path: Path
) -> None:
    file, today = tmp_path / "report.html", clock().date()
    found = kpi.figures(console.bot.store, today - timedelta(days=12), today, clock())
    file.write_text(season_report.write(found, clock(), language), "utf-8")
    window = console.window(language)
    for viewport in (WIDE, NARROW):
        window.page.set_viewport_size(viewport)  # type: ignore[arg-type]
        window.page.goto(file.as_uri())
        assert (window.barriers(), window.spills()) == ([], 0)


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_what_is_printed_is_dark_on_white_and_whole(console: Office, viewport: dict[str, int]) -> None:
    window = console.window("fa", viewport)
    console.log_in(window)
    window.page.emulate_media(media="print", color_scheme="dark")
    for path in ("/console", "/console/texts?fate=in_time"):
        window.page.goto(path)
        assert window.barriers() == []  # among them: no contrast is too low
        paper = "getComputedStyle(document.body).backgroundColor"
        assert window.page.evaluate(paper) == "rgb(255, 255, 255)"
    expect(window.page.locator("tbody tr").last).to_be_visible()


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("language", ["fa", "en"])
def test_the_first_screen_needs_no_scrolling(
    console: Office, clock: StoppedClock, language: str, viewport: dict[str, int]
) -> None:
    window = console.window(language, viewport)
    console.log_in(window)
    late = [made_texts.a_text(ended=80, request_received_at=clock()) for _ in range(9)]
    made_texts.put(console.bot.store, *late)  # what is wrong takes more room
    window.page.reload()
    expect(window.page.locator("#minute .below").first).to_be_visible()
    for part in ("#works", "#minute", "#worst", "#hours"):
        box = window.page.locator(part).bounding_box()
        assert box is not None and box["y"] + box["height"] <= viewport["height"], part


def test_a_page_is_light(console: Office) -> None:
    window = console.window("fa")
    console.log_in(window)
    taken: list[int] = []
    window.page.on("response", lambda answer: taken.append(0 if "woff2" in answer.url else len(answer.body())))
    for path in PAGES:
        taken.clear()
        window.page.goto(f"{path}{'&' if '?' in path else '?'}lang=fa", wait_until="networkidle")
        names = ("base.css", "console.css", "console.js")
        kept = sum(len((ROOT / "webhooks" / "static" / name).read_bytes()) for name in names)
        assert max(taken) + kept <= HEAVIEST, path


def go_on(page: Page) -> None:
    """Have the page ask for itself now."""
    with page.expect_response(lambda answer: "x-refresh" in answer.request.headers):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_it_refreshes_itself_and_nothing_moves(console: Office, clock: StoppedClock, viewport: dict[str, int]) -> None:
    window = console.window("en", viewport)
    console.log_in(window)
    page = window.page
    page.evaluate(SHIFTED)
    place = page.get_by_role("link", name="Day by day")
    place.focus()
    page.evaluate("window.stays = true")
    with console.bot.store.writing() as connection:
        circuit_breakers.fail(connection, "simulated", 5, 5, clock(), timedelta(seconds=30))
    before = page.evaluate(SHIFTED)
    clock.forward(seconds=20)
    go_on(page)
    expect(page.locator("#works")).to_contain_text("Out of order: simulated")
    expect(place).to_be_focused()
    assert (page.evaluate(SHIFTED), page.evaluate("window.stays")) == (before, True)
    assert (window.complaints, window.elsewhere()) == ([], [])


def test_it_says_when_no_answer_comes_and_keeps_no_session_alive(console: Office, clock: StoppedClock) -> None:
    window = console.window("en")
    console.log_in(window)
    page = window.page
    page.route("**/console?*", lambda route: route.abort())
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("#lost")).to_contain_text("There is no answer")
    page.unroute("**/console?*")
    for _ in range(2):
        clock.forward(minutes=16)
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("#mobile")).to_be_visible()


def test_without_the_script_it_is_a_page_like_any_other(console: Office) -> None:
    window = console.window("en", java_script_enabled=False)
    console.log_in(window)
    expect(window.page.locator("#works")).to_contain_text("Yes, no alarm")
    window.page.get_by_role("link", name="Refresh").click()
    expect(window.page.locator("#works")).to_be_visible()


def test_a_province_sees_itself_only(console: Office) -> None:
    window = console.window("en", NARROW)
    console.log_in(window, TEHRAN)
    page = window.page
    expect(page.locator("#minute")).to_contain_text("No text yet today")
    page.get_by_role("link", name="Figures").click()
    expect(page.locator("#content")).to_contain_text(f"Province: {TEHRAN.province}")
    expect(page.locator("#content")).to_contain_text("There was no text in these days.")
    assert (page.locator("#province").count(), page.get_by_role("link", name="Audit trail").count()) == (0, 0)


def test_a_number_leads_to_its_texts_and_a_text_to_its_story(console: Office) -> None:
    window = console.window("en")
    console.log_in(window)
    page = window.page
    page.get_by_role("link", name="Figures").click()
    page.locator("#h-code ~ .pair dd a").first.click()
    expect(page.locator("h1")).to_contain_text("In time")
    page.locator("tbody button").first.click()
    expect(page.locator("#who")).to_be_visible()
    page.get_by_role("button", name="فارسی").click()
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    expect(page.locator("#who")).to_be_visible()


def test_a_period_a_file_and_the_other_language(console: Office) -> None:
    window = console.window("en")
    console.log_in(window)
    page = window.page
    page.goto("/console/days?lang=en")
    page.get_by_text("Other days, another province").click()
    for name, value in {"from_day": "31", "from_month": "8", "to_day": "31", "to_month": "6"}.items():
        page.locator(f"[name={name}]").select_option(value)
    page.get_by_role("button", name="Show").click()
    expect(page.locator("h1")).to_contain_text("30 June to 31 August 2026")  # June has no 31st, and comes first
    with page.expect_download() as coming:
        page.get_by_role("link", name="Download CSV").click()
    assert b"2026-06-30 to 2026-08-31" in Path(coming.value.path()).read_bytes()
    page.get_by_role("link", name="فارسی").click()
    expect(page.locator("h1")).to_contain_text("۹ تیر تا ۹ شهریور ۱۴۰۵")
    page.get_by_role("button", name="خروج").click()
    expect(page.locator("#mobile")).to_be_visible()
    assert re.search(r"lang=fa$", page.url)
    assert (window.complaints, window.elsewhere()) == ([], [])
