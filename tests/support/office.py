"""The console as staff meet it: a bot that is served, its carrier, and a browser that logs in by the code it brings."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from playwright.sync_api import Browser, expect

from bot.build import Bot
from bot.gateways.simulated import Simulated
from bot.simulation.demo import STAFF, StaffPerson
from tests.support.browser import Window, browsing, served
from tests.support.parts import eventually
from webhooks import create_app
from webhooks.simulator.transcript import code_in

WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 360, "height": 740}
TEHRAN, CHIEF = STAFF[0], STAFF[2]
PATIENCE = 20_000  # milliseconds, for a machine that is busy

expect.set_options(timeout=PATIENCE)


@dataclass
class Office:
    """A bot that is served on the simulated carrier, and browsers that open its console."""

    bot: Bot
    home: str
    browser: Browser
    open: ExitStack = field(default_factory=ExitStack)

    def window(self, language: str, viewport: dict[str, int] = WIDE, **options: Any) -> Window:
        """The console's first page."""
        window = self.open.enter_context(browsing(self.browser, self.home, viewport=viewport, **options))
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

    def log_in(self, window: Window, member: StaffPerson = CHIEF) -> None:
        """Log somebody in at the page that is shown, which is the first one or another of the login."""
        window.page.locator("#mobile").fill(f"0{member.mobile.removeprefix('+98')}")
        window.page.keyboard.press("Enter")
        window.page.locator("#code").fill(self.code(member.mobile))
        window.page.keyboard.press("Enter")
        expect(window.page.locator("#overview")).to_be_visible()


@contextmanager
def office(browser: Browser, bot: Bot, app: Flask | None = None) -> Iterator[Office]:
    """Serve a bot by its application, or by one that can do more."""
    bot.start()
    with ExitStack() as opened:
        opened.callback(bot.stop)
        yield Office(bot, opened.enter_context(served(app or create_app(bot))), browser, opened)
