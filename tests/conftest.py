"""Fixtures: both databases, and a bot made of them with a stopped clock, a known random source and a carrier
that remembers."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import structlog
from playwright.sync_api import Browser

from bot.build import Bot, build
from bot.platform import log
from bot.settings import Settings
from bot.simulation.state import Simulation
from store.database.engine import Store
from tests.support import browser, databases
from tests.support.databases import Emptied, Fresh
from tests.support.parts import CHEAP, Carrier, LoadedRandomSource, StoppedClock, settings
from tests.support.people import settled


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="SQLite only, no process started, nothing slow")


def _refuse_processes(event: str, _arguments: object) -> None:
    if event == "subprocess.Popen":
        raise RuntimeError("a test of make test-fast starts a process: mark it with process")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --fast, leave out what needs PostgreSQL, processes, time, or the machine to itself."""
    if config.getoption("--fast"):
        left_out = [item for item in items if _is_long(item)]
        items[:] = [item for item in items if not _is_long(item)]
        # From here on: what shares the tests out over the cores has started its own by now.
        sys.addaudithook(_refuse_processes)
        config.hook.pytest_deselected(items=left_out)


def _is_long(item: pytest.Item) -> bool:
    marked = any(item.get_closest_marker(mark) for mark in ("alone", "paced", "process", "slow"))
    takes = {"fresh_postgresql", "postgresql_url"} & set(getattr(item, "fixturenames", ()))
    return marked or bool(takes) or "postgresql" in item.name


@pytest.fixture(scope="session")
def fresh_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    return databases.sqlite(tmp_path_factory.mktemp("databases"))


@pytest.fixture(scope="session")
def fresh_postgresql() -> Iterator[Fresh]:
    with databases.postgresql() as fresh:
        yield fresh


@pytest.fixture(scope="session")
def emptied_sqlite(fresh_sqlite: Fresh) -> Iterator[Emptied]:
    with closing(Emptied(fresh_sqlite)) as emptied:
        yield emptied


@pytest.fixture(scope="session")
def emptied_postgresql(fresh_postgresql: Fresh) -> Iterator[Emptied]:
    with closing(Emptied(fresh_postgresql)) as emptied:
        yield emptied


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    """Which database a test is about; most are about both."""
    return str(request.param)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, backend: str) -> str:
    """A database of a test's own; the store's, where it has one."""
    if "store" in request.fixturenames:
        store: Store = request.getfixturevalue("store")
        return store.url.render_as_string(hide_password=False)
    fresh: Fresh = request.getfixturevalue(f"fresh_{backend}")
    return fresh()


@pytest.fixture
def sqlite_url(fresh_sqlite: Fresh) -> str:
    return fresh_sqlite()


@pytest.fixture
def postgresql_url(fresh_postgresql: Fresh) -> str:
    return fresh_postgresql()


@pytest.fixture
def store(request: pytest.FixtureRequest, backend: str) -> Store:
    """An empty store, the same that other tests have had before."""
    emptied: Emptied = request.getfixturevalue(f"emptied_{backend}")
    return emptied()


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser.chromium()
    with browser.started(tmp_path_factory.mktemp("chromium")) as started:
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
            found,
            clock=clock,
            random_source=random_source,
            gateways=carriers,
            store=store,
            simulation=simulation,
            cost=CHEAP,
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
