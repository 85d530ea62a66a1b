"""`flask db`: the database's schema, and its move from SQLite to PostgreSQL."""

from contextlib import closing
from pathlib import Path

import click
from flask.cli import AppGroup
from sqlalchemy.exc import SQLAlchemyError

from bot import settings
from bot.cli.common import cause, chosen, existing, fail, say_database, upgraded
from bot.platform.processes import HostProcesses
from store.database import migrate, transfer
from store.database.engine import Store
from store.service import send_shares

db = AppGroup("db", help="The database: its schema, and its move to another.")


@db.command("upgrade")
def upgrade() -> None:
    """Bring the schema to the newest migration."""
    found = chosen(settings.read_for_command)
    upgraded(found)
    say_database(found)
    click.echo(f"The schema is at {migrate.newest()}.")


@db.command("downgrade")
@click.argument("revision")
@click.option("--yes", is_flag=True, help="Do it; without this, what would be undone is only listed.")
def downgrade(revision: str, *, yes: bool) -> None:
    """Bring the schema back to REVISION, an older release's. Stop every process first."""
    found = chosen(settings.read_for_command)
    store = existing(found)
    try:
        undone = migrate.steps_back(store, revision)
        say_database(found)
        click.echo("\n".join(["Undone, with all that is kept there alone:", *undone]), err=not yes)
        if not yes:
            fail("Nothing is changed yet. Stop every process, keep a backup, and say it again with --yes")
        migrate.downgrade(store, revision)
    except (migrate.NoWayBack, migrate.NewerDatabase) as no:
        fail(str(no))
    click.echo(f"The schema is at {revision}.")


@db.command("revise")
@click.argument("message")
def revise(message: str) -> None:
    """Write a migration from what store/tables/ says more than the migrations make. For developers."""
    migrate.revise(message)


@db.command("copy")
@click.argument("file", type=click.Path(path_type=Path))
def copy(file: Path) -> None:
    """Copy all that SQLite's FILE holds into DATABASE_URL, which holds nothing yet. Stop the service first."""
    found = chosen(settings.read_for_command)
    if not file.is_file():
        fail(f"{file}: there is no such file")
    with closing(Store(f"sqlite:///{file}")) as source:
        _refuse(file, source)
        target = upgraded(found)
        say_database(found)
        try:
            copied = transfer.transfer(source, target)
        except transfer.NotEmpty as no:
            fail(f"DATABASE_URL: the database holds something already (table {no}). Nothing was copied")
        except transfer.Unwritable as no:
            name, why = no.args
            fail(f"{file}: a row of the table {name} is not taken ({why}). Nothing was copied", 1)
        target.analyze()
    for name, rows in copied.items():
        if rows:
            click.echo(f"{rows:>9,} {name}")
    click.echo(f"{sum(copied.values()):>9,} rows are copied; the file is as it was. Prove them: flask audit verify")


def _refuse(file: Path, source: Store) -> None:
    """End where a file is not to be copied: it is another program's, of another release, or in use.

    A lease of before the machine's last start is nobody's, whatever has its number by now.
    """
    here = HostProcesses()
    try:
        if not migrate.current(source):
            fail(f"{file}: this is not a database of Ramz's")
        if not migrate.is_current(source):
            fail(f"{file}: it has not the newest schema. Run: DATABASE_URL=sqlite:///{file.resolve()} flask db upgrade")
        with source.writing() as connection:
            held = [it for it in send_shares.held(connection) if it.host == here.host]
        running = [it.pid for it in held if it.pid is not None and here.exists(it.pid)]
    except migrate.NewerDatabase as newer:
        fail(str(newer).replace("DATABASE_URL", str(file)))
    except SQLAlchemyError as error:
        fail(f"{file}: it can't be read ({cause(error)})", 1)
    if running:
        fail(f"{file}: a service uses it (process {running[0]}). Stop it first; nothing was copied")
