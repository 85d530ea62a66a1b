"""`flask db`: the database's schema."""

import click
from flask.cli import AppGroup

from bot import settings
from bot.cli.common import chosen, database, say_database, upgraded
from store.database import migrate

db = AppGroup("db", help="The database's schema.")


@db.command("upgrade")
def upgrade() -> None:
    """Bring the schema to the newest migration."""
    found = chosen(settings.read_for_command)
    upgraded(found)
    say_database(found)
    click.echo(f"The schema is at {migrate.newest()}.")


@db.command("revise")
@click.argument("message")
def revise(message: str) -> None:
    """Write a migration from what store/tables/ says more than the database has. For developers."""
    migrate.revise(database(chosen(settings.read_for_command)), message)
