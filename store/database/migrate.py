"""Brings a database's tables to what tables/ says, step by step (Alembic)."""

import time
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import OperationalError

from store.database.dialect import one_at_a_time
from store.database.engine import DEADLOCK, Store

FOLDER = Path(__file__).parent.parent / "migrations"
# Any number will do, so long as it is this one: two hosts that start at once migrate one after the other.
ADVISORY_LOCK = 7041326
# The schema of the oldest release that one can go back to, 0.2.0.
OLDEST = "0011"
# How long a migration waits, attempt by attempt, for a table that others use, and how long it lets them go first.
# A text locks its conversation and reads staff, a migration may do both the other way round. The text that waits for it
# has waited longer, so it would be the one to find the deadlock and to be undone, a second after it began to wait
# (deadlock_timeout): the first attempts give way before that. The last ones wait long enough for an autovacuum to be
# cancelled for them.
SOON, LATE = 0.3, 2.0
LOCK_SECONDS, PAUSE_SECONDS = (SOON,) * 10 + (LATE,) * 5, 1.0
# Who waited too long, and who waited for somebody that waited for it.
GIVEN_WAY = {"55P03", DEADLOCK}  # lock_not_available


class NewerDatabase(Exception):
    """The database's schema is of a newer release than this code."""


class NoWayBack(Exception):
    """The schema can't be brought back to that revision."""


def upgrade(store: Store, revision: str = "head") -> None:
    """Bring the schema to a revision, in one transaction; two at once are one after the other.

    NewerDatabase where this code does not know its revision. A service goes on meanwhile: see `_migrate`.
    """
    _migrate(store, lambda config: command.upgrade(config, revision))


def downgrade(store: Store, revision: str) -> None:
    """Bring the schema back to that of an older release: what only the newer one's tables and columns hold is lost.

    NoWayBack where no release had that revision, or the schema is not beyond it; NewerDatabase as above.
    """
    steps_back(store, revision)
    _migrate(store, lambda config: command.downgrade(config, revision))


def steps_back(store: Store, revision: str) -> list[str]:
    """What a downgrade undoes, newest first: each migration's number and what it is about."""
    scripts, now = _scripts(), current(store)
    known = [script.revision for script in scripts.walk_revisions()]
    if revision not in known or revision < OLDEST:
        raise NoWayBack(f"{revision}: no release to go back to has this schema; the oldest is {OLDEST}")
    if not now or now <= revision:
        raise NoWayBack(f"{revision}: the schema is at {now or 'nothing'}, which is not newer")
    undone = [script for script in scripts.walk_revisions() if revision < script.revision <= now]
    return [f"{script.revision}  {script.doc}" for script in undone]


def _migrate(store: Store, work: Callable[[Config], None]) -> None:
    """Do it under a lock of its own. While it waits for a table all others wait behind it, so each wait is short."""
    config = _config()
    for attempt, seconds in enumerate(LOCK_SECONDS, 1):
        try:
            with store.writing() as connection:
                if not store.is_sqlite:
                    connection.execute(text("SET LOCAL statement_timeout = 0"))
                    connection.execute(text("SET LOCAL lock_timeout = 0"))  # another host may take its time
                    one_at_a_time(connection, ADVISORY_LOCK)
                    connection.execute(text(f"SET LOCAL lock_timeout = {round(seconds * 1000)}"))
                _refuse_newer(connection)
                config.attributes["connection"] = connection
                work(config)
        except OperationalError as error:
            if attempt == len(LOCK_SECONDS) or getattr(error.orig, "sqlstate", "") not in GIVEN_WAY:
                raise
            time.sleep(PAUSE_SECONDS)
        else:
            return


def _refuse_newer(connection: Connection) -> None:
    found = _current(connection)
    if found and found not in {script.revision for script in _scripts().walk_revisions()}:
        raise NewerDatabase(
            f"DATABASE_URL: the database has the schema {found} of a newer release, this one knows {newest()} and "
            "older; start the newer release, or have it bring the schema back with flask db downgrade"
        )


def current(store: Store) -> str:
    """The database's revision; empty where it has none. NewerDatabase where this code does not know it."""
    with store.reading() as connection:
        _refuse_newer(connection)
        return _current(connection)


def _current(connection: Connection) -> str:
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or ""


def revise(message: str) -> None:
    """Write a new migration from what tables/ says more than the migrations make, seen in a database made for it."""
    config = _config()
    with TemporaryDirectory() as folder, closing(Store(f"sqlite:///{folder}/made.db")) as store:
        upgrade(store)
        with store.reading() as connection:
            config.attributes["connection"] = connection
            command.revision(config, message, autogenerate=True, rev_id=f"{int(newest()) + 1:04d}")


def newest() -> str:
    """The newest revision."""
    return _scripts().get_current_head() or ""


def is_current(store: Store) -> bool:
    """Whether the schema is at the newest revision. NewerDatabase where it is beyond."""
    return current(store) == newest()


def is_empty(store: Store) -> bool:
    """Whether a database has no table at all, or is not there yet. SQLite's file is not made by looking."""
    if store.is_sqlite and not Path(store.url.database or "").exists():
        return True
    with store.reading() as connection:
        return not inspect(connection).get_table_names()


@cache
def _scripts() -> ScriptDirectory:
    """The migrations that this code has: to read them takes longer than what most commands do."""
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
