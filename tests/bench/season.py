"""A season of a million texts: how long its figures and the console's pages take, beside reading its texts once."""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

from sqlalchemy import text
from werkzeug.test import TestResponse

from bot.build import build
from bot.platform.clock import midnight
from bot.reports import kpi
from bot.reports.rollup import Rollup
from store import stats_periods
from store.database import migrate
from store.database.engine import Store
from store.service import heartbeats
from store.views.delivery_stats import Scope
from tests.support import databases, made_season
from tests.support.console_browser import Browser
from tests.support.parts import Carrier, StoppedClock, settings
from tests.support.people import CHIEF, employ

TEXTS = int(os.environ.get("BENCH_SEASON", "1000000"))
ROUNDS = 3
FIRST, DAY = date(2026, 8, 14), timedelta(days=1)
LAST = FIRST + (made_season.DAYS - 1) * DAY
NOW = midnight(LAST) + timedelta(hours=17)


def main() -> None:
    """Make a season on SQLite, and then on PostgreSQL, count it, and ask for its figures and pages in turn."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{Path(folder) / 'made_season.db'}")
        migrate.upgrade(store)
        _measure(store)
    with databases.postgresql() as fresh:
        _measure(Store(fresh()))


def _measure(store: Store) -> None:
    made_season.make(store, TEXTS, midnight(FIRST))
    if not store.is_sqlite:  # as it keeps them by itself
        with store.writing() as connection:
            connection.execute(text("ANALYZE"))
    _tell(store)
    store.close()


def _tell(store: Store) -> None:
    floor = _seconds(lambda: _read_whole(store))
    print(f"a season of {TEXTS:,} texts: read once in {floor:.2f} s ({store.url.get_backend_name()})")

    def tell(what: str, ask: Callable[[], object], rounds: int = ROUNDS) -> None:
        taken = _seconds(ask, rounds)
        print(f"  {what}: {taken:.3f} s, ratio {taken / floor:.2f}", flush=True)

    tell("counting all of it, once", lambda: Rollup(store, lambda: NOW).run(), 1)
    for what, ask in _questions(store).items():
        tell(what, ask)
    for what, ask in _pages(store).items():
        tell(f"page: {what}", ask)
    _note_late(store)
    whole = "the season, its first day to be counted again"
    tell(f"{whole} by nobody", lambda: kpi.figures(store, FIRST, LAST, NOW))
    with store.writing() as connection:
        heartbeats.beat(connection, "measures", NOW)
    tell(f"{whole} within the minute", lambda: kpi.figures(store, FIRST, LAST, NOW))


def _questions(store: Store) -> dict[str, Callable[[], object]]:
    def figures(first: date = FIRST, last: date = LAST, scope: Scope | None = None) -> Callable[[], object]:
        return lambda: kpi.figures(store, first, last, NOW, scope or Scope())

    return {
        "the season": figures(),
        "a month": figures(FIRST, FIRST + 29 * DAY),
        "the last day": figures(LAST, LAST),
        "the season of a province": figures(scope=Scope("province 03")),
        "the season of a broker": figures(scope=Scope(broker="broker 003")),
        "what stands now": lambda: kpi.now_of(store),
        "a minute's counting, with nothing to do": lambda: Rollup(store, lambda: NOW).run(),
    }


def _pages(store: Store) -> dict[str, Callable[[], object]]:
    """The console's pages, as headquarters sees them."""
    carrier = Carrier()
    bot = build(settings(), clock=StoppedClock(NOW), gateways=[carrier], store=store)
    employ(store)
    chief = Browser(bot, carrier).log_in(CHIEF["mobile"])
    season_asked = f"from={FIRST}&to={LAST}"

    def get(path: str) -> Callable[[], object]:
        return lambda: _good(chief.get(path))

    def find(digits: str) -> Callable[[], object]:
        return lambda: _good(chief.post("/console/search", digits=digits))

    return {
        "the first screen": get("/console?lang=fa"),
        "the season, day by day": get(f"/console/days?lang=fa&{season_asked}"),
        "the season by province": get(f"/console/provinces?lang=fa&{season_asked}"),
        "the season of a province": get(f"/console/days?lang=fa&{season_asked}&province=province 03"),
        "the last day": get(f"/console/days?lang=fa&from={LAST}&to={LAST}"),
        "the texts that came late": get(f"/console/texts?lang=fa&{season_asked}&fate=late"),
        "the season as a file": get(f"/console/figures.csv?{season_asked}"),
        "four last digits": find("1234"),
        "a whole ID and its story": find(f"{TEXTS // 8:010d}"),
        "the audit trail": get("/console/audit?lang=fa"),
        "the audit trail up to a day": get(f"/console/audit?lang=fa&to={FIRST}&staff=on"),
    }


def _good(answer: TestResponse) -> None:
    assert answer.status_code == 200, answer.status


def _note_late(store: Store) -> None:
    """A receipt for the first day, which has a tenth of all texts: they are read anew until it is counted again."""
    with store.writing() as connection:
        stats_periods.note_late(connection, midnight(FIRST) + timedelta(hours=9), NOW)


def _read_whole(store: Store) -> None:
    with store.reading() as connection:
        connection.execute(text("SELECT sum(status), max(phone) FROM outbound_message")).all()


def _seconds(ask: Callable[[], object], rounds: int = ROUNDS) -> float:
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
