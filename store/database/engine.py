"""One engine, two databases. Reading never takes SQLite's write lock; writing takes it at once and lets go soon."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError

OutOfReach = OperationalError
"""Raised when the database cannot be reached, or its lock not be had in time."""

# In seconds. A provider waits 15 s; a writer that has not had its turn by then had better say so.
BUSY_TIMEOUT = 3
CONNECT_TIMEOUT = 2
GLANCE = 0.0005


class Store:
    """A database, and the ways in: `reading`, `writing`, and `still` for what must fit together."""

    def __init__(self, url: str, pool_size: int = 16) -> None:
        """Prepare the engine for a database URL; nothing is opened before the first use."""
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._turn: AbstractContextManager[object] = _Turn() if self.is_sqlite else nullcontext()
        self.engine = self._sqlite() if self.is_sqlite else self._postgresql(pool_size)
        self._writer = self.engine.execution_options(writing=True)
        still: dict[str, Any] = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        self._still = self.engine.execution_options(still=True, **still)

    def _sqlite(self) -> Engine:
        if self.url.database:
            _make_folder(Path(self.url.database).parent)
        engine = create_engine(
            self.url, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT, "check_same_thread": False}
        )
        event.listen(engine, "connect", _tune)
        event.listen(engine, "begin", _begin)
        return engine

    def _postgresql(self, pool_size: int) -> Engine:
        timeouts = {"connect_timeout": CONNECT_TIMEOUT, "options": f"-c lock_timeout={BUSY_TIMEOUT}s"}
        return create_engine(
            self.url, hide_parameters=True, pool_size=pool_size, pool_timeout=BUSY_TIMEOUT, connect_args=timeouts
        )

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one moment of the database and changes nothing."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def still(self) -> Iterator[Connection]:
        """A connection all of whose statements see the same moment of the database, and change nothing."""
        with self._still.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that commits at the end, or leaves no trace. No network and no slow hash inside."""
        # Threads of one process take turns here, where a wait ends as soon as it can; see _begin_writing.
        with self._turn, self._writer.connect() as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()


class _Turn:
    """A lock that is not waited for beyond the time that SQLite's own would be."""

    def __init__(self) -> None:
        self._lock = Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=BUSY_TIMEOUT):
            raise OutOfReach("waiting for a turn to write", None, TimeoutError())

    def __exit__(self, *_error: object) -> None:
        self._lock.release()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutOfReach("making the database's folder", None, error) from error


def was_cut_off(error: DBAPIError) -> bool:
    """Whether a connection died under the statement, so that a second one may do better."""
    return error.connection_invalidated


def _tune(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # sqlite3 would begin by itself, deferred, and hide it
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    # A transaction that reads first and writes later fails at once where another has written in between.
    # One that only reads needs none: every statement sees one moment by itself.
    if connection.get_execution_options().get("writing", False):
        _begin_writing(connection.connection.dbapi_connection)
    elif connection.get_execution_options().get("still", False):
        connection.exec_driver_sql("BEGIN")


def _begin_writing(connection: Any) -> None:
    # SQLite's own wait sleeps longer and longer, up to a tenth of a second, while the lock lies free.
    deadline = time.monotonic() + BUSY_TIMEOUT
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        while not _begun(connection, deadline):
            time.sleep(GLANCE)
    finally:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT * 1000}")


def _begun(connection: Any, deadline: float) -> bool:
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if time.monotonic() > deadline:
            raise OutOfReach("BEGIN IMMEDIATE", None, error) from error
        return False
    return True
