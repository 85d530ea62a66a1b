"""Fixtures: both databases, and a bot made of them with a stopped clock, loaded dice and a carrier that remembers."""

import logging
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import structlog
from playwright.sync_api import Playwright

from bot import log
from bot.build import Bot, build
from bot.settings import Settings
from bot.simulation.state import Simulation
from store.database.engine import Store
from tests.support import browser, databases
from tests.support.databases import Fresh
from tests.support.parts import Carrier, LoadedRandomSource, StoppedClock, settings
from tests.support.people import settled


@pytest.fixture(scope="session")
def fresh_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    return databases.sqlite(tmp_path_factory.mktemp("databases"))


@pytest.fixture(scope="session")
def fresh_postgresql() -> Iterator[Fresh]:
    with databases.postgresql() as fresh:
        yield fresh


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    fresh: Fresh = request.getfixturevalue(f"fresh_{request.param}")
    return fresh()


@pytest.fixture
def sqlite_url(fresh_sqlite: Fresh) -> str:
    return fresh_sqlite()


@pytest.fixture
def postgresql_url(fresh_postgresql: Fresh) -> str:
    return fresh_postgresql()


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    store = Store(database_url, pool_size=60)
    yield store
    store.close()


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    browser.chromium()
    with browser.playwright() as started:
        yield started


@pytest.fixture
def printed() -> Iterator[StringIO]:
    """All that is logged, as a service logs it, but at the level that tells most."""
    root, stream = logging.getLogger(), StringIO()
    handlers, level = root.handlers[:], root.level
    log.set_up(stream)
    root.setLevel(1)
    yield stream
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def random_source() -> LoadedRandomSource:
    return LoadedRandomSource()


@pytest.fixture
def carrier() -> Carrier:
    return Carrier()


MakeBot = Callable[..., Bot]


@pytest.fixture
def make_bot(store: Store, clock: StoppedClock, random_source: LoadedRandomSource, carrier: Carrier) -> MakeBot:
    """A bot on a fresh database. Settings by their names in the environment; `gateways` in place of the one carrier.

    With a trial, the simulated carrier as the trial bends it.
    """

    def make(
        chosen: Settings | None = None,
        gateways: list[Any] | None = None,
        simulation: Simulation | None = None,
        **changes: str,
    ) -> Bot:
        carriers = None if simulation else gateways or [carrier]
        found = chosen or settings(**changes)
        return build(
            found, clock=clock, random_source=random_source, gateways=carriers, store=store, simulation=simulation
        )

    return make


@pytest.fixture
def simulation(tmp_path: Path, clock: StoppedClock) -> Simulation:
    return Simulation(tmp_path / "trial.json", clock)


@pytest.fixture
def first() -> Carrier:
    return Carrier("first")


@pytest.fixture
def second() -> Carrier:
    return Carrier("second")


@pytest.fixture
def pair(make_bot: MakeBot, first: Carrier, second: Carrier) -> Bot:
    """A bot that knows everybody, and two carriers, in this order."""
    return settled(make_bot(gateways=[first, second]))


@pytest.fixture
def bot(make_bot: MakeBot) -> Bot:
    return make_bot()
