"""`flask accounts import`: the holders of accounts."""

import sys
from pathlib import Path

import click
from flask.cli import AppGroup
from sqlalchemy.exc import SQLAlchemyError

from bot import clock, settings
from bot.accounts.csv_import import BadFile, Import
from bot.cli.common import chosen, fail, keys_of, note, opened
from bot.phone_numbers import PhoneNumbers
from store.audit import Action

SOME_REJECTED = 3
accounts = AppGroup("accounts", help="The holders of accounts.")


@accounts.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--rejects",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Where bad rows go, with line and reason.  [default: FILE with .rejects.csv]",
)
def import_accounts(file: Path, rejects: Path | None) -> None:
    """Add or update accounts from FILE, a CSV in UTF-8.

    Columns: national_id, username, mobile; and if you like full_name, province, broker, language (fa, en, ar),
    password, active (true or false). Exits with 0 if every row went in, with 3 if some were rejected.
    """
    found = chosen(settings.read)
    aside = rejects or file.with_suffix(".rejects.csv")
    if aside.resolve() == file.resolve():
        fail("--rejects: would overwrite the file that is being read")
    store = opened(found)
    with store.reading() as connection:
        keyring = keys_of(found, connection)
    job = Import(
        store,
        PhoneNumbers(found.default_region, found.allowed_countries, found.mobile_prefixes),
        keyring,
        clock.system_clock,
    )
    try:
        with click.progressbar(length=file.stat().st_size, label="Reading", file=sys.stderr) as bar:
            tally = job.run(file, aside, lambda read: bar.update(read - bar.pos))
    except BadFile as bad:
        fail(f"{file.name}: {bad}")
    except SQLAlchemyError as error:
        fail(f"DATABASE_URL: the import stopped ({type(error).__name__}); what went in stays, so run it again", 1)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}", 1)
    with store.writing() as connection:
        note(found, connection, Action.ACCOUNTS_IMPORTED, f"{tally.taken} taken, {tally.rejected} rejected")
    click.echo(f"{tally.taken} accounts added or updated.")
    if tally.rejected:
        fail(f"{tally.rejected} rows rejected: {aside}", SOME_REJECTED)
