"""What the commands share: their settings, their database, what the audit says of them, and how they end."""

import os
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import NoReturn

import click
from sqlalchemy import Connection
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from bot import settings
from bot.audit import known_keys
from bot.audit.trail import Entry, Trail
from bot.credentials.keyring import Keyring
from bot.platform import clock
from bot.platform.random_source import SystemRandomSource
from bot.settings import BadSettings, Settings
from bot.simulation.demo import lives_in
from dialogs.audit_vocabulary import Action, Actor
from store.database import migrate
from store.database.engine import Store, is_disk_full, is_locked, was_cut_off

USAGE = 2


def fail(message: str, status: int = USAGE) -> NoReturn:
    """Say what is wrong and end."""
    click.echo(message, err=True)
    sys.exit(status)


def chosen(read: Callable[[Mapping[str, str]], Settings]) -> Settings:
    """The settings, read from the environment, or an end that names every fault. Names that look misspelt are said."""
    for warning in settings.misspelt(os.environ):
        click.echo(f"Warning: {warning}", err=True)
    try:
        return read(os.environ)
    except BadSettings as bad:
        fail("\n".join(bad.faults))


def database(found: Settings) -> Store:
    """The database of one command, closed when it ends; or an end that says why not."""
    try:
        store = Store(found.database_url)
    except SQLAlchemyError as error:
        fail(f"DATABASE_URL: the database can't be reached ({cause(error)})", 1)
    click.get_current_context().call_on_close(store.close)
    return store


def existing(found: Settings) -> Store:
    """The database of one command, or an end where SQLite's file is not there: a slip in its name makes none."""
    file = Path(make_url(found.database_url).database or "")
    if found.database_url.startswith("sqlite") and _is_missing(file):
        fail(f"DATABASE_URL: there is no database at {file}")
    return database(found)


def _is_missing(file: Path) -> bool:
    """Whether a file is not there; where its folder is none, or not to be entered, SQLite says why better."""
    try:
        file.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def cause(error: SQLAlchemyError) -> str:
    """Why the database can't be reached, in its driver's words; of a statement that failed, only the kind of error.

    A driver that can't connect names host, port, user and database; a folder that can't be made, its path. A
    statement's error may quote what is in a row.
    """
    if is_disk_full(error):
        return "its disk is full"
    if is_locked(error):
        return "another program has held its lock too long"
    if isinstance(error, DBAPIError) and was_cut_off(error):
        return "its connection was cut off"
    kind = type(error).__name__
    if not isinstance(error, DBAPIError) or (error.statement is not None and not isinstance(error.orig, OSError)):
        return kind
    words = " ".join(str(error.orig).split())
    # A password with an @ in it, written as it is, ends in what is taken for the host's name.
    return words if words and words.isprintable() and "@" not in words else kind


def opened(found: Settings) -> Store:
    """The database, or an end that says how to bring it up to date."""
    store = existing(found)
    try:
        current = migrate.is_current(store)
    except migrate.NewerDatabase as newer:
        fail(str(newer))
    except SQLAlchemyError as error:
        fail(f"DATABASE_URL: the database can't be reached ({cause(error)})", 1)
    if not current:
        fail("The database has not the newest schema. Run: flask db upgrade (an installed service: ramz db upgrade)", 1)
    return store


def upgraded(found: Settings) -> Store:
    """The database, brought to the newest schema."""
    store = database(found)
    try:
        migrate.upgrade(store)
    except migrate.NewerDatabase as newer:
        fail(str(newer))
    except SQLAlchemyError as error:
        fail(f"DATABASE_URL: the database can't be reached or migrated ({cause(error)})", 1)
    return store


def say_database(found: Settings) -> None:
    """Say on stderr which database is changed, without its password: a forgotten setting must show."""
    click.echo(f"database: {make_url(found.database_url).render_as_string(hide_password=True)}", err=True)


def guard(command: click.Command) -> None:
    """Have a command, or all of a group, end in one line where the database fails it, and never with 1, a finding's."""
    if isinstance(command, click.Group):
        for each in command.commands.values():
            guard(each)
    if command.callback is not None:
        command.callback = _guarded(command.callback)


def _guarded(work: Callable[..., object]) -> Callable[..., object]:
    @wraps(work)
    def run(*args: object, **options: object) -> object:
        try:
            return work(*args, **options)
        except SQLAlchemyError as error:
            fail(f"DATABASE_URL: the database is busy or broken ({cause(error)}); run it again")

    return run


def note(
    found: Settings,
    connection: Connection,
    action: Action,
    reason: str | None = None,
    *,
    ref: str | None = None,
    staff_id: int | None = None,
) -> None:
    """Write down what the operator does, within the transaction that does it."""
    write(found, connection, Entry(Actor.OPERATOR, action, reason=reason, ref=ref, staff_id=staff_id))


def write(found: Settings, connection: Connection, *entries: Entry) -> None:
    """Write rows of the audit, within the transaction that does what they tell of. Keys that are wrong undo it."""
    if not entries:
        return
    say_database(found)
    keyring = writing_keys(found, connection)
    if keyring is None:
        click.echo("SECRET_KEYS: is not set, so this is not in the audit", err=True)
        return
    Trail(keyring, SystemRandomSource()).note(connection, clock.system_clock(), *entries)


def writing_keys(found: Settings, connection: Connection) -> Keyring | None:
    """The keys that a command writes under, if there are any; or an end where the service goes by others."""
    keyring = given_keys(found, connection)
    if keyring is not None and (fault := known_keys.join(connection, keyring)) is not None:
        fail(f"{fault}. Nothing was done")
    return keyring


def keys_of(found: Settings, connection: Connection) -> Keyring | None:
    """The keys that a command goes by, if there are any; or an end where the database does not know them."""
    keyring = given_keys(found, connection)
    if keyring is not None and (fault := known_keys.fault(connection, keyring)) is not None:
        fail(fault)
    return keyring


def given_keys(found: Settings, connection: Connection) -> Keyring | None:
    """The keys of SECRET_KEYS, or in the database of `make run` those that it has made; else none."""
    text = found.secret_keys
    if not text and settings.KEPT_KEYS.exists() and lives_in(connection):
        text = settings.KEPT_KEYS.read_text("utf-8").strip()
    return Keyring.of(settings.read_keys(text)) if text else None


def serving(store: Store, keyring: Keyring) -> None:
    """Begin to serve with these keys, or end where the database does not know them."""
    with store.writing() as connection:
        fault = known_keys.admit(connection, keyring)
        if fault is not None:
            fail(fault)
