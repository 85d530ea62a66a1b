"""What the console's pages read does not grow with the texts of days that are over: their sums are read instead.

Rows are counted, so that a busy machine changes nothing: on PostgreSQL those that a plan's scans went over, on SQLite
the steps of its virtual machine.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from bot.build import build
from bot.reports.rollup import Rollup
from store.database.engine import Store
from tests.store.test_delivery_stats import statements
from tests.support import made_season, made_texts
from tests.support.console_browser import Browser
from tests.support.databases import Fresh
from tests.support.parts import NOON, Carrier, StoppedClock, settings
from tests.support.people import CHIEF, employ

DAYS, FEW, MANY = 3, 500, 4_000
# Days are made of hours a day after they have ended; both seasons have their sums for all the same days and places.
NOW = NOON + timedelta(days=DAYS + 2)
TODAY = [made_texts.a_text(ended=9, request_received_at=NOW - timedelta(minutes=each)) for each in range(2, 42)]
PAGES = ("/console", *(f"/console/{name}" for name in ("days", "provinces", "gateways", "codes", "audit")))


def season(url: str, texts: int) -> Browser:
    """The console of headquarters, over a season of so many texts that have been counted, and the same day today."""
    store, carrier = Store(url), Carrier()
    made_season.make(store, texts, NOON, days=DAYS, accounts=50)
    with store.writing() as connection:
        connection.execute(text("UPDATE account SET province = 'فارس'"))
    made_texts.put(store, *TODAY)
    Rollup(store, lambda: NOW).run()
    employ(store)
    bot = build(settings(), clock=StoppedClock(NOW), gateways=[carrier], store=store)
    browser = Browser(bot, carrier).log_in(CHIEF["mobile"])
    if not store.is_sqlite:  # as it keeps them by itself
        with store.writing() as connection:
            connection.execute(text("ANALYZE"))
    return browser


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def seasons(request: pytest.FixtureRequest) -> Iterator[tuple[Browser, Browser]]:
    fresh: Fresh = request.getfixturevalue(f"fresh_{request.param}")
    few, many = season(fresh(), FEW), season(fresh(), MANY)
    yield few, many
    for each in (few, many):
        each.bot.store.close()


def rows_read(store: Store, statement: str, parameters: Any) -> int:
    """How much a database goes over to answer, in its own measure."""
    return (_steps if store.is_sqlite else _rows)(store, statement, parameters)


def _steps(store: Store, statement: str, parameters: Any) -> int:
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    with store.reading() as connection:
        raw: Any = connection.connection.driver_connection
        raw.set_progress_handler(count, 1)
        connection.exec_driver_sql(statement, parameters).all()
        raw.set_progress_handler(None, 0)
    return steps


def _rows(store: Store, statement: str, parameters: Any) -> int:
    with store.reading() as connection:
        told = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters).scalar_one()
    return _scanned(told[0]["Plan"])


def _scanned(node: dict[str, Any]) -> int:
    seen = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) if "Relation Name" in node else 0
    return int(seen * node["Actual Loops"]) + sum(_scanned(each) for each in node.get("Plans", ()))


def read_for(browser: Browser, ask: Callable[[Browser], object]) -> int:
    with statements(browser.bot.store) as asked:
        ask(browser)
    return sum(rows_read(browser.bot.store, *each) for each in asked)


@pytest.mark.parametrize("path", PAGES)
def test_eight_times_the_texts_are_as_much_to_read(seasons: tuple[Browser, Browser], path: str) -> None:
    few, many = (read_for(each, lambda it: it.get(f"{path}?lang=en")) for each in seasons)
    # Among few texts, not every error and fate has occurred on every day.
    assert 0 < many < few * 1.5


def test_it_would_be_seen_if_texts_were_read(seasons: tuple[Browser, Browser]) -> None:
    def read_whole(browser: Browser) -> None:
        with browser.bot.store.reading() as connection:
            connection.execute(text("SELECT count(error) FROM outbound_message"))

    few, many = (read_for(each, read_whole) for each in seasons)
    assert many > few * 4
