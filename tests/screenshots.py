"""Every page as it looks: in both languages and themes, wide and narrow, empty and full. `make screenshots` runs it.

All go to instance/screenshots/, to be looked at. README shows two of them, which are kept small in tests/pictures/.
"""

import logging
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect
from sqlalchemy import delete, insert, update
from sqlalchemy.exc import OperationalError

from bot.build import Bot, build
from bot.reports import kpi
from bot.simulation.demo import seed
from bot.simulation.state import Simulation
from store.service import circuit_breakers, heartbeats, seasons
from store.tables import (
    AccountRow,
    AuditRow,
    CodeRow,
    ConversationRow,
    OutboundMessageRow,
    SimulatedMessageRow,
    table,
)
from tests.support import browser, databases, made_season, made_texts
from tests.support.office import NARROW, TEHRAN, WIDE, Office, office
from tests.support.parts import LoadedRandomSource, StoppedClock, settings
from tests.support.places import ROOT, TESTS
from webhooks import create_app, season_report

SHOTS, PICTURES = ROOT / "instance" / "screenshots", TESTS / "pictures"
LANGUAGES, THEMES, WIDTHS = ("fa", "en"), ("light", "dark"), (WIDE, NARROW)
DAYS, TEXTS = 60, 6_000
LONG = "استان سیستان و بلوچستان و جزیره‌های دوردست خلیج فارس و دریای عمان"
# The provinces of Iran, so that pages are as long as in life.
PROVINCES = (
    "آذربایجان شرقی", "آذربایجان غربی", "اردبیل", "اصفهان", "البرز", "ایلام", "بوشهر", "تهران", "چهارمحال و بختیاری",
    "خراسان جنوبی", "خراسان رضوی", "خراسان شمالی", "خوزستان", "زنجان", "سمنان", "سیستان و بلوچستان", "فارس", "قزوین",
    "قم", "کردستان", "کرمان", "کرمانشاه", "کهگیلویه و بویراحمد", "گلستان", "گیلان", "لرستان", "مازندران", "مرکزی",
    "هرمزگان", "همدان", "یزد",
)  # fmt: skip
# What README shows, and which of them it is.
SHOWN = {"phone": "empty-recovery-shown-fa-1280-light", "console": "season-overview-fa-1280-light"}
PAGES = {
    "overview": "/console",
    "days": "/console/days",
    "table": "/console/days?table=code",
    "provinces": "/console/provinces",
    "gateways": "/console/gateways",
    "codes": "/console/codes",
    "texts": "/console/texts?fate=missed",
    "rows": "/console/texts?fate=in_time&skip=950",
    "search": "/console/search",
    "audit": "/console/audit",
    "staff": "/console/staff",
}
# As they are printed, A4 upright.
PRINTED, PAPER = ("overview", "days", "provinces", "audit"), {"width": 718, "height": 1000}


@dataclass
class Camera:
    """Takes pages in both languages and themes, wide and narrow."""

    page: Page
    name: str

    def take(self, name: str, path: str, then: Callable[[Page], None] | None = None, *, screen: bool = False) -> None:
        """A page, whole or as much as the first screen shows; `then` is done on it before."""
        for language in LANGUAGES:
            for viewport in WIDTHS:
                for theme in THEMES:
                    self.page.set_viewport_size(viewport)  # type: ignore[arg-type]
                    self.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
                    self.page.goto(_in(path, language))
                    if then:
                        then(self.page)
                    self._keep(f"{name}-{language}-{viewport['width']}-{theme}", whole=not screen)

    def print(self, name: str, path: str) -> None:
        """A page as it is printed."""
        self.page.set_viewport_size(PAPER)  # type: ignore[arg-type]
        for language in LANGUAGES:
            self.page.goto(_in(path, language))
            self.page.emulate_media(media="print", color_scheme="dark")
            self._keep(f"{name}-{language}-print")
        self.page.emulate_media(media="screen")

    def _keep(self, name: str, *, whole: bool = True) -> None:
        self.page.screenshot(path=SHOTS / f"{self.name}-{name}.png", full_page=whole)


def _in(path: str, language: str) -> str:
    """The address of a page in a language; a file has its language in its name."""
    return path.format(language) if path.startswith("file:") else f"{path}{'&' if '?' in path else '?'}lang={language}"


def main(*wanted: str) -> None:
    """Take all of them, or those of the situations that are named."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    SHOTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, browser.started(Path(folder)) as chromium:
        for name, prepare in SITUATIONS.items():
            if wanted and name not in wanted:
                continue
            with _served(chromium, prepare) as (found, clock):
                window = found.window("fa")
                camera = Camera(window.page, name)
                if name == "empty":
                    _take_before_login(camera, found.bot, clock)
                    for job in found.bot.jobs.all():  # the clock has been moved
                        job.run()
                window.page.goto("/console?lang=fa")
                found.log_in(window)
                if name == "wrong":
                    _go_wrong(found.bot, clock())
                _take(camera, name)
                if name == "season":
                    _take_report(camera, found.bot, clock())
                    _take_of_a_province(found)
                print(f"{name}: {len(list(SHOTS.glob(f'{name}-*')))} pages in {SHOTS.relative_to(ROOT)}", flush=True)
    _renew_pictures()


@contextmanager
def _served(chromium: Browser, prepare: Callable[[Bot, datetime], object]) -> Iterator[tuple[Office, StoppedClock]]:
    clock = StoppedClock()
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        simulation = Simulation(here / "trial.json", clock)
        url = databases.sqlite(here)()
        bot = build(settings(DATABASE_URL=url), random_source=LoadedRandomSource(), simulation=simulation)
        prepare(bot, clock())
        seed(bot.store)
        app = create_app(bot)
        app.add_url_rule("/locked", view_func=_out_of_reach)
        with office(chromium, bot, app) as found:
            yield found, clock


def _out_of_reach() -> str:
    raise OperationalError("SELECT 1", {}, sqlite3.OperationalError("database is locked"))


def _renew_pictures() -> None:
    """Put the two that README shows in their place."""
    PICTURES.mkdir(exist_ok=True)
    for name, shot in SHOWN.items():
        taken = SHOTS / f"{shot}.png"
        if taken.exists():
            (PICTURES / f"{name}.png").write_bytes(taken.read_bytes())


def _take_before_login(camera: Camera, bot: Bot, clock: StoppedClock) -> None:
    camera.take("first", "/")
    camera.take("missing", "/nowhere")
    camera.take("later", "/locked")
    camera.take("login", "/console")
    camera.take("phone", "/phone")
    camera.take("recovery", "/phone", lambda page: _recover(page, bot))
    camera.take("recovery-shown", "/phone", lambda page: _recover(page, bot), screen=True)
    camera.take("code", "/console", lambda page: _ask(page, clock, "000000"))


def _ask(page: Page, clock: StoppedClock, code: str) -> None:
    """Ask for a code, and enter another one."""
    clock.forward(minutes=61)  # so often may be tried in an hour
    page.locator("#mobile").fill(TEHRAN.mobile)
    page.keyboard.press("Enter")
    page.wait_for_selector("#code")
    page.locator("#code").fill(code)
    page.keyboard.press("Enter")
    page.wait_for_selector(".fault")


def _recover(page: Page, bot: Bot) -> None:
    """The first recovery on the first phone."""
    page.evaluate("sessionStorage.clear()")
    with bot.store.writing() as connection:
        for row in (SimulatedMessageRow, OutboundMessageRow, CodeRow, ConversationRow):
            connection.execute(delete(table(row)))
    page.reload()
    page.locator('[data-phone="1"] [data-chip="request"]').click()
    expect(page.locator('[data-phone="1"] .code').last).to_be_visible()


def _take(camera: Camera, name: str) -> None:
    camera.take("overview", "/console", screen=True)
    if name in ("empty", "season", "long"):
        for page, path in PAGES.items():
            if page != "overview":
                camera.take(page, path)
        camera.take("found", "/console/search", lambda page: _search(page, "0042" if name == "season" else "5679"))
        camera.take("nobody", "/console/search", lambda page: _search(page, "00000"))
        camera.take("too-few", "/console/search", lambda page: _search(page, "12"))
        camera.take("staff-confirm", "/console/staff", _take_on)
    if name == "season":
        for each in PRINTED:
            camera.print(each, PAGES[each])
        camera.take("story", "/console/search", _story)
        camera.take("fault", "/console/days?from=2026-09-01&to=2026-08-01")
        camera.take("other-days", "/console/days", lambda page: page.locator("#other-days summary").click())


def _search(page: Page, digits: str) -> None:
    page.locator("#digits").fill(digits)
    with page.expect_navigation():
        page.keyboard.press("Enter")


def _take_on(page: Page) -> None:
    page.locator("#name").fill("مریم نیک‌نام")
    page.locator("#mobile").fill("09123334455")
    page.locator("#place").fill("فارس")
    with page.expect_navigation():
        page.locator("button.strong").click()


def _take_report(camera: Camera, bot: Bot, now: datetime) -> None:
    """The season's report, which is a file."""
    found = kpi.figures(bot.store, (now - timedelta(days=DAYS)).date(), now.date(), now)
    for language in LANGUAGES:
        (SHOTS / f"report-{language}.html").write_text(season_report.write(found, now, language), "utf-8")
    camera.take("report", f"{SHOTS.as_uri()}/report-{{}}.html")
    camera.print("report", f"{SHOTS.as_uri()}/report-{{}}.html")


def _take_of_a_province(found: Office) -> None:
    """What somebody of a province sees, and what is not for them."""
    window = found.window("fa")
    found.log_in(window, TEHRAN)
    camera = Camera(window.page, "province")
    camera.take("overview", "/console", screen=True)
    camera.take("forbidden", "/console/audit")


def _story(page: Page) -> None:
    _search(page, "0042")
    with page.expect_navigation():
        page.locator("button[name=account]").first.click()


def _empty(bot: Bot, now: datetime) -> None:
    """Nothing has happened yet."""


def _season(bot: Bot, now: datetime) -> None:
    made_season.make(bot.store, TEXTS, now - timedelta(days=DAYS), days=DAYS)
    account = table(AccountRow)
    with bot.store.writing() as connection:
        for number, province in enumerate(PROVINCES):
            renamed = update(account).where(account.c.province == made_season.PROVINCES[number])
            connection.execute(renamed.values(province=province, full_name="زهرا احمدی"))
        several = update(account).where(account.c.id.in_([7, 8])).values(mobile="+989130000042")
        connection.execute(several)
        first = (now - timedelta(days=DAYS)).date()
        seasons.put(connection, first, first + timedelta(days=120))
        for job in bot.jobs.all():
            heartbeats.beat(connection, job.name, now)


def _long(bot: Bot, now: datetime) -> None:
    _season(bot, now)
    account = table(AccountRow)
    with bot.store.writing() as connection:
        connection.execute(update(account).values(province=LONG, full_name=f"{LONG} و همراهان", broker=LONG[:60]))


def _go_wrong(bot: Bot, now: datetime) -> None:
    """Nearly everything is wrong at once."""
    row = {"actor": "pilgrim", "who": "", "action": "code_sent", "outcome": "ok", "key_id": "k", "digest": bytes(32)}
    with bot.store.writing() as connection:
        circuit_breakers.fail(connection, "simulated", 5, 5, now, timedelta(seconds=30))
        heartbeats.beat(connection, "flood", now - timedelta(minutes=9))
        connection.execute(insert(table(AuditRow)), {**row, "at": now - timedelta(hours=3), "nonce": "n"})
    made_texts.put(bot.store, *(made_texts.a_text(ended=80, account_id=2, request_received_at=now) for _ in range(9)))


SITUATIONS: dict[str, Callable[[Bot, datetime], Any]] = {
    "empty": _empty,
    "season": _season,
    "long": _long,
    "wrong": _season,
}


if __name__ == "__main__":
    main(*sys.argv[1:])
