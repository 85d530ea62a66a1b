"""`flask accounts import|forget`: the holders of accounts."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click
from flask.cli import AppGroup
from sqlalchemy.exc import SQLAlchemyError

from bot import settings
from bot.accounts.csv_import import BadFile, Import, ImportResult
from bot.accounts.csv_mobiles import MobileChanges
from bot.accounts.csv_passwords import ImportedPasswords
from bot.audit.trail import Entry, Trail
from bot.cli.common import cause, chosen, fail, note, opened, write, writing_keys
from bot.credentials.keyring import Keyring
from bot.platform import clock
from bot.platform.phone_numbers import PhoneNumbers
from bot.platform.random_source import SystemRandomSource
from bot.settings import Settings
from dialogs.audit_vocabulary import Action, Actor, Outcome
from dialogs.parsing.normalise import fold, national_id
from store import accounts as kept_accounts
from store import erasure
from store.database.engine import Store

SOME_REJECTED = 3
accounts = AppGroup("accounts", help="The holders of accounts.")


@accounts.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--rejects",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Where bad rows go, with line and reason.  [default: FILE with .rejects.csv]",
)
@click.option(
    "--change-mobiles",
    is_flag=True,
    help="Change the registered mobiles of accounts that are there, too; both are told.",
)
def import_accounts(file: Path, rejects: Path | None, change_mobiles: bool) -> None:
    """Add or update accounts from FILE, a CSV in UTF-8.

    Columns: national_id, username, mobile; and if you like full_name, province, broker, language (fa, en, ar),
    password, active (true or false). Commas, semicolons or tabs part them; a cell in quotes may hold line breaks.
    The mobile of an account that is there changes with --change-mobiles only. Exits with 0 if every row went in, with
    3 if some were rejected.
    """
    found = chosen(settings.read_for_command)
    aside = rejects or file.with_suffix(".rejects.csv")
    if rejects is None and not file.is_file():
        fail("--rejects: is needed where FILE is a pipe")
    if fault := _fault_of_rejects(aside, file):
        fail(f"--rejects: {fault}; nothing was imported")
    store = opened(found)
    with store.writing() as connection:
        keyring = writing_keys(found, connection)
    changes = _changes(keyring, found) if change_mobiles else None
    phone_numbers = PhoneNumbers(found.default_region, found.allowed_countries, found.mobile_prefixes)
    passwords = _passwords(keyring, found) if keyring else None
    job = Import(store, phone_numbers, passwords, clock.system_clock, changes)
    with _noted_if_stopped(found, store, job):
        result = _run(job, file, aside)
    with store.writing() as connection:
        note(found, connection, Action.ACCOUNTS_IMPORTED, _summary(result))
    with suppress(SQLAlchemyError):  # what was imported is in
        store.analyze()
    _say(result)
    if result.has_changed:
        fail(f"{file.name}: changed while it was read; what went in stays, so import it again", 1)
    if result.rejected:
        fail(f"{result.rejected} rows rejected: {aside}", SOME_REJECTED)


@accounts.command("forget")
@click.argument("person", metavar="ID")
def forget_account(person: str) -> None:
    """Erase the person with a national ID, everywhere but in the audit, whose rows name nobody.

    Account, password, codes, tickets, texts, changes of mobile, orders about them, and where the dialog with their
    phones stands. Nothing brings it back but an import and a backup. A phone that is another account's or a staff
    member's too stays theirs. Exits with 1 where no account has this ID.
    """
    found = chosen(settings.read_for_command)
    store = opened(found)
    with store.reading() as connection:
        account = kept_accounts.find(connection, national_id=national_id(fold(person)) or "")
        traces = erasure.traces(connection, account) if account else None
    if account is None or traces is None:
        fail("No account has this national ID", 1)
    with store.writing() as connection:
        rows = erasure.erase(connection, traces, clock.system_clock())
        write(found, connection, Entry(Actor.OPERATOR, Action.ACCOUNT_FORGOTTEN, account_id=account.id))
    click.echo(f"Forgotten: {rows} rows erased. The audit's rows stay, and name nobody.")
    if traces.shared:
        click.echo(f"{len(traces.shared)} of their phones is another's too, and stays known as that.")
    if not store.scrub():
        click.echo("Others are writing: the log of the database still holds it for some seconds.", err=True)


def _run(job: Import, file: Path, aside: Path) -> ImportResult:
    try:
        with click.progressbar(length=file.stat().st_size, label="Reading", file=sys.stderr) as bar:
            return job.run(file, aside, lambda read: bar.update(read - bar.pos))
    except BadFile as bad:
        fail(f"{file.name}: {bad}")
    except SQLAlchemyError as error:
        fail(_stopped("DATABASE_URL: the database fails", cause(error), job.result, aside), 1)
    except OSError as error:
        fail(_stopped(f"{error.filename or aside}: can't be read or written", error.strerror, job.result, aside), 1)


def _fault_of_rejects(aside: Path, file: Path) -> str | None:
    """Why rejected rows can't be put into a file, or None: found before any row is taken."""
    try:
        if aside.resolve() == file.resolve():
            return "would overwrite the file that is being read"
        if aside.exists() and not aside.is_file():
            return "is no file"
    except OSError as error:  # a name that is too long, say
        return f"{aside.name}: {error.strerror}"
    return None if os.access(aside.parent, os.W_OK | os.X_OK) else f"no file can be made in {aside.parent}"


def _stopped(what: str, why: str | None, result: ImportResult, aside: Path) -> str:
    """What the clerk is told of an import that stopped in the middle: why, what is in, and what to do."""
    so_far = result.taken + result.repeated + result.rejected
    kept = f"{result.taken} accounts went in and stay, no row after them" if so_far else "No row went in"
    put_aside = f"; {result.rejected} rows rejected so far: {aside}" if result.rejected else ""
    return (
        f"{what} ({why}), so the import stopped. {kept}{put_aside}. "
        "Mend that, then import the same file again: what went in is not added twice."
    )


@contextmanager
def _noted_if_stopped(found: Settings, store: Store, job: Import) -> Iterator[None]:
    """Write down what an import had done that stopped in the middle, by Ctrl-C too; unless the database is gone."""
    try:
        yield
    except BaseException:
        if job.result.taken or job.result.rejected:
            with suppress(SQLAlchemyError), store.writing() as connection:
                stopped = Entry(Actor.OPERATOR, Action.ACCOUNTS_IMPORTED, Outcome.FAILED, _summary(job.result))
                write(found, connection, stopped)
        raise


def _passwords(keyring: Keyring, found: Settings) -> ImportedPasswords:
    return ImportedPasswords(
        keyring,
        Trail(keyring, SystemRandomSource()),
        found.support_phone,
        found.default_language,
        bool(found.fakher_events_url),
    )


def _changes(keyring: Keyring | None, found: Settings) -> MobileChanges:
    if keyring is None:
        fail("SECRET_KEYS: is missing; --change-mobiles needs it, since each change is in the audit")
    return MobileChanges(Trail(keyring, SystemRandomSource()), found.default_language)


def _summary(result: ImportResult) -> str:
    moved = f", {result.moved} moved" if result.moved else ""  # the audit has room for forty characters
    return f"{result.taken} taken, {result.rejected} rejected{moved}"


def _say(result: ImportResult) -> None:
    click.echo(f"{result.taken} accounts added or updated.")
    if result.moved:
        click.echo(f"{result.moved} registered mobiles changed: each is in the audit, and both numbers are told.")
    if result.passwords:
        click.echo(f"{result.passwords} passwords changed: each is in the audit, and their mobiles are told.")
    if result.repeated:
        click.echo(f"{result.repeated} rows were about an account that an earlier row was about: the last one holds.")
    if result.ended:
        click.echo(f"The import ended at line {result.ended}: nothing from there on was taken.", err=True)
