"""Brings a database's tables to what tables/ says, step by step (Alembic)."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from store.database.engine import Store

FOLDER = Path(__file__).parent.parent / "migrations"
# Any number will do, so long as it is this one: two hosts that start at once migrate one after the other.
ADVISORY_LOCK = 7041326


def upgrade(store: Store, revision: str = "head") -> None:
    """Bring the schema to a revision, in one transaction; two at once are one after the other."""
    config = _config()
    with store.writing() as connection:
        if not store.is_sqlite:
            connection.execute(text("SET LOCAL lock_timeout = 0"))  # another host may take its time
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": ADVISORY_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def revise(store: Store, message: str) -> None:
    """Write a new migration from the difference between tables/ and a database."""
    config = _config()
    with store.reading() as connection:
        config.attributes["connection"] = connection
        number = f"{len(list((FOLDER / 'versions').glob('[0-9]*.py'))) + 1:04d}"
        command.revision(config, message, autogenerate=True, rev_id=number)


def newest() -> str:
    """The newest revision."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def is_current(store: Store) -> bool:
    """Whether the schema is at the newest revision."""
    with store.reading() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return False
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == newest()


def is_empty(store: Store) -> bool:
    """Whether a database has no table at all, or is not there yet. SQLite's file is not made by looking."""
    if store.is_sqlite and not Path(store.url.database or "").exists():
        return True
    with store.reading() as connection:
        return not inspect(connection).get_table_names()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
