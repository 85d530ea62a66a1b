"""`flask tokens create|list|revoke`: Fakher's API tokens."""

from datetime import datetime, timedelta

import click
from flask.cli import AppGroup

from bot import settings
from bot.audit.trail import Entry
from bot.cli.common import chosen, fail, note, opened, write
from bot.credentials import bearer
from bot.platform import clock
from bot.platform.random_source import SystemRandomSource
from dialogs.audit_vocabulary import Action, Actor
from store import tokens

LONGEST_NAME = 60
commands = AppGroup("tokens", help="Fakher's API tokens.")


@commands.command("create")
@click.option("--name", required=True, help="Whose it is, to find it again.")
@click.option("--days", type=click.IntRange(1, 3650), default=90, show_default=True, help="How long it is good.")
def create_token(name: str, days: int) -> None:
    """Make a token and show it: this once, alone on the last line."""
    if not (name.isprintable() and 0 < len(name.strip()) <= LONGEST_NAME):
        fail(f"--name: must be 1 to {LONGEST_NAME} printable characters")
    found, now = chosen(settings.read_for_command), clock.system_clock()
    store = opened(found)
    new, expires_at = bearer.make(SystemRandomSource()), now + timedelta(days=days)
    with store.writing() as connection:
        tokens.issue(connection, new.id, name.strip(), new.digest, now, expires_at)
        note(found, connection, Action.TOKEN_CREATED, ref=new.id)
    click.echo(f"Token {new.id} for {name.strip()}, good until {_minute(expires_at)}. It is not shown again:", err=True)
    click.echo(new.text)


@commands.command("list")
def list_tokens() -> None:
    """List the tokens: id, name, state, when it ends, when it was last used."""
    store, now = opened(chosen(settings.read_for_command)), clock.system_clock()
    with store.reading() as connection:
        found = tokens.every(connection)
    for it in found:
        state = "revoked" if it.revoked_at else "expired" if it.expires_at <= now else "in force"
        used = _minute(it.last_used_at) if it.last_used_at else "never"
        click.echo(f"{it.id}  {it.name}  {state}  until {_minute(it.expires_at)}  last used {used}")
    if not found:
        click.echo("There are no tokens.")


@commands.command("revoke")
@click.argument("token", required=False, metavar="NAME|ID")
@click.option("--name", help="The name, in place of the argument.")
def revoke_token(token: str | None, name: str | None) -> None:
    """End the token with this id, or all of this name; it holds at once."""
    which = token or name
    if not which:
        fail("Say which token: its name or its id")
    found = chosen(settings.read_for_command)
    store = opened(found)
    with store.writing() as connection:
        ended = tokens.revoke(connection, which, clock.system_clock())
        write(found, connection, *(Entry(Actor.OPERATOR, Action.TOKEN_REVOKED, ref=each) for each in ended))
    if not ended:
        fail(f"No token in force has the name or id {which}", 1)
    click.echo(f"{len(ended)} revoked.")


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(clock.TEHRAN):%Y-%m-%d %H:%M} Tehran"
