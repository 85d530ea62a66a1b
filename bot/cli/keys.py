"""`flask keys accept`: the keys that a database is served with."""

import click
from flask.cli import AppGroup

from bot import settings
from bot.audit import known_keys
from bot.audit.trail import Entry, Trail
from bot.cli.common import chosen, fail, given_keys, opened, say_database
from bot.platform import clock
from bot.platform.random_source import SystemRandomSource
from dialogs.audit_vocabulary import Action, Actor

keys = AppGroup("keys", help="The keys that the database is served with.")


@keys.command("accept")
def accept_keys() -> None:
    """Serve with the keys of SECRET_KEYS from now on, though the database does not know them.

    Only where the keys that it knows are lost: passwords, codes and rows of the audit that only those could check stay
    uncheckable. Audited.
    """
    found = chosen(settings.read_for_command)
    store = opened(found)
    with store.writing() as connection:
        keyring = given_keys(found, connection)
        if keyring is None:
            fail("SECRET_KEYS: is missing")
        say_database(found)
        known_keys.accept(connection, keyring)
        trail = Trail(keyring, SystemRandomSource())
        trail.note(connection, clock.system_clock(), Entry(Actor.OPERATOR, Action.KEYS_ACCEPTED, reason=keyring.newest))
    click.echo(f"The database is served with {', '.join(keyring.checks)} from now on, {keyring.newest} in front.")
