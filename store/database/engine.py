"""One engine, two databases. Reading never takes SQLite's write lock; writing takes it at once, for a short time.

On either database a transaction is begun here and nowhere else, and only where something is written or several
statements must fit together. A read that stands alone needs none. On PostgreSQL it would cost two round trips and end
in a ROLLBACK, at which psycopg forgets every statement that it has prepared.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from store.database.prepared import BATCH, begin_with, flush, forget

OutOfReach = OperationalError
"""Raised when the database cannot be reached, or its lock not be had in time."""

# In seconds. A provider waits 15 s; a writer that has no lock by then fails, and the provider tries again.
BUSY_TIMEOUT = 3
CONNECT_TIMEOUT = 2
# The longest that PostgreSQL works on one statement, and that it lets a transaction lie: longer than any should take.
STATEMENT_TIMEOUT, IDLE_TIMEOUT = 30, 15
TIMEOUTS = {
    "lock_timeout": BUSY_TIMEOUT,
    "statement_timeout": STATEMENT_TIMEOUT,
    "idle_in_transaction_session_timeout": IDLE_TIMEOUT,
}
# Whether a server that says nothing any more is still there: its host may have lost its power, which no packet tells.
KEEPALIVES = {"keepalives_idle": 3, "keepalives_interval": 1, "keepalives_count": 3, "tcp_user_timeout": 6_000}
GLANCE = 0.0005
# How long a checkpoint that cuts the log is tried.
SCRUB_SECONDS = 10.0
_MAKING = Lock()
# The write-ahead log's pages beyond which a commit moves them into the database itself: only where the job that does
# it else, `checkpoint`, has stopped. 16 MB.
MOST_PAGES = 4_000
OWNER_ONLY = 0o600
# The table by which a database is known for one of Ramz's.
OURS = "alembic_version"
_FILLED = """
SELECT quote_ident(relname) FROM pg_class
WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace AND pg_relation_size(oid) > 0
"""
# https://www.postgresql.org/docs/current/errcodes-appendix.html
DEADLOCK, DISK_FULL, LOCK_NOT_HAD = "40P01", "53100", "55P03"


class Store:
    """A database, and the ways in: `reading`, `writing`, and `still` for what must fit together."""

    def __init__(self, url: str, pool_size: int = 16, synchronous: Literal["normal", "full"] = "normal") -> None:
        """Prepare the engine for a database URL; nothing is opened before the first use.

        With `full`, SQLite waits at every commit until it is on the disk: it then survives a power cut, too.
        """
        self.url, self._synchronous = make_url(url), synchronous
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._lock = _WriteLock()
        self._write_lock: AbstractContextManager[object] = self._lock if self.is_sqlite else nullcontext()
        self.engine = self._sqlite() if self.is_sqlite else self._postgresql(pool_size)
        event.listen(self.engine, "before_cursor_execute", _flush)
        event.listen(self.engine, "rollback", forget)
        self._writer = self.engine.execution_options(writing=True)
        self._still = self.engine.execution_options(still=True)
        self._log_seen: tuple[int, int] | None = None

    def _sqlite(self) -> Engine:
        if self._file:
            _make_folder(self._file.parent)
        # The connection used last has the pages in its cache, unless another process has written since.
        pooling = {"pool_use_lifo": True} if self._file else {}
        engine = create_engine(
            self.url,
            hide_parameters=True,
            connect_args={"timeout": BUSY_TIMEOUT, "check_same_thread": False},
            **pooling,
        )
        event.listen(engine, "do_connect", self._make_file)
        event.listen(engine, "connect", self._tune)
        event.listen(engine, "begin", self._begin)
        return engine

    def _begin(self, connection: Connection) -> None:
        # A transaction that reads first and writes later fails at once where another has written in between.
        # One that only reads needs none: each statement has a snapshot of its own.
        if connection.get_execution_options().get("writing", False):
            _begin_writing(connection.connection.dbapi_connection, self._lock.deadline)
        elif connection.get_execution_options().get("still", False):
            connection.exec_driver_sql("BEGIN")

    @property
    def _file(self) -> Path | None:
        """SQLite's file; None where the database is in memory or elsewhere."""
        name = self.url.database or ""
        return None if not self.is_sqlite or not name or name.startswith((":", "file:")) else Path(name)

    def _make_file(self, *_connecting: object) -> None:
        """Make a new database's file readable by its owner alone; SQLite gives what it keeps beside it the same mode.

        A file that is there is never opened here: closing it would end all locks that this process holds on it
        (POSIX), and another process could then take away the log that is written to
        (https://www.sqlite.org/howtocorrupt.html, 2.2). So it is made exclusively, and before anybody connects.
        """
        if self._file:
            with _MAKING, suppress(OSError):  # what can't be made can't be opened either, and SQLite says why
                os.close(os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_EXCL, OWNER_ONLY))

    def _tune(self, connection: Any, _record: object) -> None:
        connection.isolation_level = None  # sqlite3 would begin by itself, deferred, and hide it
        # Another program's file, named by mistake, is left as it is: its header says how it is written to.
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for pragma in (
            *["journal_mode = WAL"] * (not tables or OURS in tables),
            f"synchronous = {self._synchronous}",
            "foreign_keys = ON",
            "secure_delete = ON",
            f"wal_autocheckpoint = {MOST_PAGES}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    def _postgresql(self, pool_size: int) -> Engine:
        is_pooled = self.url.query.get("pooler") == "transaction"
        engine = create_engine(
            self.url.difference_update_query(["pooler"]),
            hide_parameters=True,
            isolation_level="AUTOCOMMIT",  # _begin begins what is to be a transaction
            pool_size=pool_size,
            pool_timeout=BUSY_TIMEOUT,
            pool_use_lifo=True,  # the connection used last has its statements prepared
            connect_args=self._connecting(is_pooled=is_pooled),
            execution_options={"is_pooled": is_pooled},
        )
        event.listen(engine, "begin", _begin_postgresql)
        return engine

    def _connecting(self, *, is_pooled: bool) -> dict[str, Any]:
        """How the driver connects. A pooler passes on no session's own settings or statements, so there are none."""
        how: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT, **KEEPALIVES}
        if is_pooled:
            how["prepare_threshold"] = None
        else:
            how["options"] = " ".join(f"-c {name}={seconds}s" for name, seconds in TIMEOUTS.items())
        has_several = "," in (self.url.host or "") or isinstance(self.url.query.get("host"), tuple)
        if has_several and "target_session_attrs" not in self.url.query:
            how["target_session_attrs"] = "read-write"
        return how

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that changes nothing. Two statements on it may read different states; see `still`."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def still(self) -> Iterator[Connection]:
        """A read-only transaction: all of its statements see one and the same state of the database (a snapshot)."""
        with self._still.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that commits at the end, or leaves no trace. No network and no slow hash inside.

        Prepared statements that need no answer yet wait in it, and are carried out at the latest before it commits.
        """
        # Threads of one process wait here, where a wait ends as soon as the lock is free; see _begin_writing.
        with self._write_lock, self._writer.connect() as connection:
            connection.execution_options(**{BATCH: []})
            with connection.begin():
                yield connection
                flush(connection)

    def checkpoint(self) -> int:
        """Move what SQLite's write-ahead log holds into the database; how many bytes the log still has on the disk.

        A commit that had to do it would take ten times as long. While others write, the log is begun anew over what
        was moved; once nothing has been written since the last call, it is cut to nothing, so that what was erased
        from the database is nowhere. On PostgreSQL there is nothing to do.
        """
        log = self._file and self._file.with_name(f"{self._file.name}-wal")
        if log is None or not log.exists() or not log.stat().st_size:
            return 0
        seen = (log.stat().st_mtime_ns, log.stat().st_size)
        mode = "TRUNCATE" if seen == self._log_seen else "PASSIVE"
        self._log_seen = seen
        with self.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout = 0")  # a writer must not wait for this
            connection.exec_driver_sql(f"PRAGMA wal_checkpoint({mode})")
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {BUSY_TIMEOUT * 1000}")
        return log.stat().st_size if log.exists() else 0

    def scrub(self, seconds: float = SCRUB_SECONDS) -> bool:
        """Leave nothing of what was deleted where the database's files can be read; whether that was done.

        SQLite has written zeros over it (secure_delete), but for what its log still holds, which is cut to nothing
        here; where others write all the time it may be False, and `checkpoint` does it as soon as they pause. On
        PostgreSQL the planner's samples are drawn anew; rows that nobody can read any more go as autovacuum comes.
        """
        if not self.is_sqlite:
            self.analyze()
            return True
        deadline = time.monotonic() + seconds
        while not self._is_log_cut():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def analyze(self) -> None:
        """Have PostgreSQL plan by what its tables hold now, where they were filled at once; on SQLite nothing is to do.

        It would find out by itself within a minute, and read tables through until then. Those that hold nothing are
        left out: one that it has not looked at it takes for larger than one that it has seen empty.
        """
        if not self.is_sqlite:
            with self.engine.connect() as connection:
                names = connection.exec_driver_sql(_FILLED).scalars().all()
                if names:
                    connection.exec_driver_sql(f"ANALYZE {', '.join(names)}")

    def _is_log_cut(self) -> bool:
        with self.engine.connect() as connection:
            busy, *_ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        return not busy

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


class _WriteLock:
    """A lock that is waited for BUSY_TIMEOUT seconds; OutOfReach after that.

    `deadline` is until when its holder may wait for SQLite's own, which other processes have too: both waits together
    take no longer than one. It is by the monotonic clock.
    """

    def __init__(self) -> None:
        self._lock, self.deadline = Lock(), 0.0

    def __enter__(self) -> None:
        deadline = time.monotonic() + BUSY_TIMEOUT
        if not self._lock.acquire(timeout=BUSY_TIMEOUT):
            raise OutOfReach("waiting for the write lock", None, TimeoutError())
        self.deadline = deadline

    def __exit__(self, *_error: object) -> None:
        self._lock.release()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise OutOfReach("making the database's folder", None, error) from error


def was_cut_off(error: DBAPIError) -> bool:
    """Whether a connection died under the statement, so that a second one may do better."""
    return error.connection_invalidated


def was_deadlocked(error: DBAPIError) -> bool:
    """Whether PostgreSQL undid the transaction because it and another one waited for each other."""
    return getattr(error.orig, "sqlstate", None) == DEADLOCK


def is_disk_full(error: BaseException) -> bool:
    """Whether the database has no room to write in."""
    cause = getattr(error, "orig", None)
    return getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL or (
        getattr(cause, "sqlstate", None) == DISK_FULL
    )


def is_locked(error: BaseException) -> bool:
    """Whether another has held a lock for longer than is waited."""
    cause = getattr(error, "orig", None)
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
    return isinstance(cause, TimeoutError) or getattr(cause, "sqlstate", None) == LOCK_NOT_HAD


def is_out_of_reach(error: BaseException) -> bool:
    """Whether the database failed (gone, busy, full), and not the statement, which would fail again.

    A column that is missing, say, is no outage. SQLite's driver calls both by one name, so its code tells.
    """
    if isinstance(error, NoConnectionFree) or (isinstance(error, DBAPIError) and was_cut_off(error)):
        return True
    cause = getattr(error, "orig", None)
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_BUSY) & 0xFF != sqlite3.SQLITE_ERROR
    return isinstance(error, OperationalError)


# The server's connection is another one in the next transaction, so its settings end with this one.
_BEGIN_POOLED = ["BEGIN", *(f"SET LOCAL {name} = '{seconds}s'" for name, seconds in TIMEOUTS.items())]


def _begin_postgresql(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("writing", False):
        begin_with(connection, *(_BEGIN_POOLED if options.get("is_pooled", False) else ["BEGIN"]))
    elif options.get("still", False):
        begin_with(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ")


def _flush(connection: Connection, *_about: object) -> None:
    """What SQLAlchemy itself executes comes after what was to be executed before it."""
    flush(connection)


def _begin_writing(connection: Any, deadline: float) -> None:
    # SQLite's own wait sleeps longer and longer, up to a tenth of a second, while the lock lies free.
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
