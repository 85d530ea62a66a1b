"""A database as a release before made it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from store.database.engine import Store


@pytest.fixture
def former(request: pytest.FixtureRequest, backend: str, tmp_path: Path) -> Iterator[Store]:
    """A database without any table, on SQLite or PostgreSQL, to be brought to a revision of before."""
    url = f"sqlite:///{tmp_path}/former.db"
    if backend == "postgresql":
        url = request.getfixturevalue("fresh_postgresql")()
    store = Store(url)
    if not store.is_sqlite:
        with store.writing() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
    yield store
    store.close()


@pytest.fixture
def one_connection(postgresql_url: str) -> Iterator[Store]:
    """A store on PostgreSQL whose every statement goes over the same connection."""
    store = Store(postgresql_url, pool_size=1)
    yield store
    store.close()
