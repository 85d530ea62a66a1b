"""One engine, two databases. Reading never takes SQLite's write lock; writing takes it at once and lets go soon."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError

OutOfReach = OperationalError
"""Raised when the database cannot be reached, or its lock not be had in time."""

# In seconds. A provider waits 15 s; a writer that has not had its turn by then had better say so.
BUSY_TIMEOUT = 5
CONNECT_TIMEOUT = 2


class Store:
    """A database, and the two ways in: `reading` and `writing`."""

    def __init__(self, url: str, pool_size: int = 16) -> None:
        """Prepare the engine for a database URL; nothing is opened before the first use."""
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = self._sqlite() if self.is_sqlite else self._postgresql(pool_size)

    def _sqlite(self) -> Engine:
        if self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(self.url, connect_args={"timeout": BUSY_TIMEOUT, "check_same_thread": False})
        event.listen(engine, "connect", _tune)
        event.listen(engine, "begin", _begin)
        return engine

    def _postgresql(self, pool_size: int) -> Engine:
        timeouts = {"connect_timeout": CONNECT_TIMEOUT, "options": f"-c lock_timeout={BUSY_TIMEOUT}s"}
        return create_engine(self.url, pool_size=pool_size, pool_timeout=BUSY_TIMEOUT, connect_args=timeouts)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one moment of the database and changes nothing."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that commits at the end, or leaves no trace. No network and no slow hash inside."""
        with self.engine.connect().execution_options(writing=True) as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()


def was_cut_off(error: DBAPIError) -> bool:
    """Whether a connection died under the statement, so that a second one may do better."""
    return error.connection_invalidated


def _tune(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # sqlite3 would begin by itself, deferred, and hide it
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    # A transaction that reads first and writes later fails at once where another has written in between.
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
