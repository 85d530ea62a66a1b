"""A desk where files of accounts are imported: on both databases, and on SQLite alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.database.engine import Store
from tests.support.import_desk import Desk
from tests.support.parts import StoppedClock


@pytest.fixture
def desk(store: Store, tmp_path: Path, clock: StoppedClock) -> Desk:
    """On both databases: what the database has a part in."""
    return Desk(store, tmp_path, clock)


@pytest.fixture
def reader(sqlite_url: str, tmp_path: Path, clock: StoppedClock) -> Iterator[Desk]:
    """On SQLite: what is decided before the database is asked."""
    store = Store(sqlite_url)
    yield Desk(store, tmp_path, clock)
    store.close()
