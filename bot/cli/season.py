"""`flask season show|set|clear`: when the Umrah operation is on."""

from datetime import datetime

import click
from flask.cli import AppGroup

from bot import settings
from bot.cli.common import chosen, fail, note, opened
from bot.platform import clock
from bot.reports.date_range import both
from dialogs.audit_vocabulary import Action
from store.service import seasons

season = AppGroup("season", help="The Umrah operation: outside it the bot answers with the opening date.")


@season.command("show")
def show_season() -> None:
    """Show the season, and when the next one usually opens."""
    store = opened(chosen(settings.read_for_command))
    with store.reading() as connection:
        days = seasons.find(connection)
    today = clock.today_in_tehran(clock.system_clock())
    if days is None:
        click.echo("No season is set: the bot is always open.")
    else:
        opens, closes = days
        state = "open" if opens <= today <= closes else "closed"
        click.echo(f"opens  {both(opens)}\ncloses {both(closes)}\ntoday  {both(today)}: {state}")
    first = clock.next_rabi_al_awwal(today)
    click.echo(f"The next 1 Rabi' al-Awwal is {both(first)}; Iran's calendar can differ by a day, so confirm it.")


@season.command("set")
@click.option("--opens", type=click.DateTime(["%Y-%m-%d"]), required=True, help="First day, Gregorian.")
@click.option("--closes", type=click.DateTime(["%Y-%m-%d"]), required=True, help="Last day, Gregorian.")
def set_season(opens: datetime, closes: datetime) -> None:
    """Set the season's first and last day; it holds at once."""
    for option, day in (("--opens", opens), ("--closes", closes)):
        if day.year not in clock.GREGORIAN_YEARS:
            fail(f"{option}: {day:%Y-%m-%d} is not a Gregorian day of our time, such as 2026-08-14")
    if closes < opens:
        fail("--closes: is before --opens")
    found = chosen(settings.read_for_command)
    store = opened(found)
    with store.writing() as connection:
        seasons.put(connection, opens.date(), closes.date())
        note(found, connection, Action.SEASON_SET, f"{opens:%Y-%m-%d} to {closes:%Y-%m-%d}")
    click.echo(f"The bot is open from {both(opens.date())} to {both(closes.date())}.")


@season.command("clear")
def clear_season() -> None:
    """Set no season: the bot is always open."""
    found = chosen(settings.read_for_command)
    store = opened(found)
    with store.writing() as connection:
        seasons.clear(connection)
        note(found, connection, Action.SEASON_CLEARED)
    click.echo("No season is set: the bot is always open.")
