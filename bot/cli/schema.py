"""`flask db`: the database's schema."""

import click
from flask.cli import AppGroup

from bot import settings
from bot.cli.common import chosen, existing, fail, say_database, upgraded
from store.database import migrate

db = AppGroup("db", help="The database's schema.")


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
