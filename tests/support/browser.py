"""A browser to look at pages with: Debian's Chromium, driven by Playwright, which downloads none of its own.

Best without a head, which is less than half of the work for the same pages: the same Chromium, without the parts that
need a screen. CHROMIUM names another, and else the first on PATH is taken. Where there is none, tests are skipped; in a
check they fail.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, Request, sync_playwright
from werkzeug.serving import make_server

from tests.support import lifeline
from tests.support.places import TESTS

AXE = TESTS / "vendor" / "axe-core-4.14.1.min.js"
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SERIOUS = {"serious", "critical"}


def chromium() -> str:
    """Where the browser is; skips, or in a check fails, where there is none."""
    found = os.environ.get("CHROMIUM") or next((it for name in BROWSERS if (it := shutil.which(name))), None)
    if found:
        return found
    reason = "no Chromium: set CHROMIUM or install the package chromium-headless-shell, or chromium"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def started(folder: Path) -> Iterator[Browser]:
    """The browser, for a whole run; a folder that its processes are known by."""
    lifeline.hold_all_on(folder)
    with sync_playwright() as playwright:
        # No folder for a cache: windows that shared one on the disk waited for each other.
        flags = [*FLAGS, f"--crash-dumps-dir={folder}"]
        yield playwright.chromium.launch(executable_path=chromium(), args=flags, chromium_sandbox=False)


@contextmanager
def served(app: Flask, port: int = 0) -> Iterator[str]:
    """An application on a port of this machine, while it is looked at; its address."""
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Window:
    """A page in a browser, and all that it complained of and asked for."""

    page: Page
    home: str
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda said: self._note(said.type, said.text))
        self.page.on("pageerror", lambda error: self._note("error", str(error)))
        self.page.on("request", self._requested)

    def _note(self, kind: str, words: str) -> None:
        if kind in {"error", "warning"}:
            self.complaints.append(words)

    def _requested(self, request: Request) -> None:
        self.requests.append(request.url)

    def elsewhere(self) -> list[str]:
        """The requests that left this page's own host."""
        return [url for url in self.requests if not url.startswith((self.home, "data:", "blob:"))]

    def barriers(self, *rules: str) -> list[str]:
        """What axe finds that keeps people out, at level serious or above: rule and element. By all rules, or some."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.read_text("utf-8"))
        chosen: dict[str, Any] = {"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {})
        found: dict[str, Any] = self.page.evaluate("(chosen) => axe.run(chosen)", chosen)
        return [
            f"{rule['id']}: {node['target']} {node['failureSummary']}"
            for rule in found["violations"]
            if rule["impact"] in SERIOUS
            for node in rule["nodes"]
        ]

    def spills(self) -> int:
        """How many pixels of the page lie beside the window, to be reached by scrolling sideways only."""
        spilt: int = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return spilt


@contextmanager
def browsing(browser: Browser, home: str, **options: Any) -> Iterator[Window]:
    """A window that shares nothing with another. Options are the context's: viewport, locale, javascript."""
    context = browser.new_context(base_url=home, **options)
    try:
        yield Window(context.new_page(), home)
    finally:
        context.close()
