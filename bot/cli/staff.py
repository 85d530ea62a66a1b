"""`flask staff add|list|remove`: who may order by text."""

from difflib import get_close_matches

import click
from flask.cli import AppGroup

from bot import clock, settings
from bot.accounts import staff_removal
from bot.cli.common import chosen, fail, note, opened, write
from bot.phone_numbers import PhoneNumbers
from bot.settings import Settings
from dialogs.audit_vocabulary import Action
from dialogs.parsing.normalise import fold, place_name
from dialogs.staff_vocabulary import Role
from store import accounts
from store.database.engine import Store
from store.staff import Member, every, put

LONGEST_NAME, LONGEST_PLACE = 120, 60

staff = AppGroup("staff", help="Who may order by text: provincial users, brokers, headquarters.")


@staff.command("add")
@click.option("--mobile", required=True, help="The number that they text from, and that codes are sent to.")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True)
@click.option("--name", required=True)
@click.option("--province", help="For a provincial user: whose accounts, spelled as in the accounts.")
@click.option("--broker", help="For a broker: whose pilgrims, spelled as in the accounts.")
def add(mobile: str, role: str, name: str, province: str | None, broker: str | None) -> None:
    """Add a staff member, or change the one with this number."""
    found = chosen(settings.read_for_command)
    number = _number(found, mobile)
    row: dict[str, str | None] = {"mobile": number, "role": role, "name": _words("--name", name, LONGEST_NAME)}
    row |= {"province": None, "broker": None, **_place(role, province, broker)}
    store = opened(found)
    _warn_of_places_without_accounts(store, row)
    with store.writing() as connection:
        member = put(connection, row)
        note(found, connection, Action.STAFF_ADDED, role, staff_id=member)
    click.echo(f"{row['name']} may order by text, as {role}.")


@staff.command("list")
def show() -> None:
    """List who may order: mobile, role, province or broker, name."""
    for it in _every(opened(chosen(settings.read_for_command))):
        click.echo(f"{it.mobile}  {it.role}  {it.province or it.broker or '-'}  {it.name}")


@staff.command("remove")
@click.option("--mobile", required=True)
def remove(mobile: str) -> None:
    """End what a number may order; it holds at once. Its history stays."""
    found = chosen(settings.read_for_command)
    number, store = _number(found, mobile), opened(found)
    with store.writing() as connection:
        entries = staff_removal.remove(connection, number, clock.system_clock())
        if entries is None:
            fail("--mobile: no staff member has this number", 1)
        write(found, connection, *entries)
    click.echo("Removed.")


def _every(store: Store) -> list[Member]:
    with store.reading() as connection:
        found = every(connection)
    if not found:
        click.echo("There is no staff.")
    return found


def _number(found: Settings, mobile: str) -> str:
    number = PhoneNumbers(found.default_region, found.allowed_countries, found.mobile_prefixes).mobile(fold(mobile))
    if number is None:
        fail(f"--mobile: not a mobile number of {', '.join(found.allowed_countries)}")
    return number


def _place(role: str, province: str | None, broker: str | None) -> dict[str, str]:
    given = {"province": province, "broker": broker}
    wanted = {Role.PROVINCIAL: "province", Role.BROKER: "broker"}.get(Role(role))
    for name, value in given.items():
        if value and name != wanted:
            fail(f"--{name}: is not for the role {role}")
    if wanted is None:
        return {}
    return {wanted: _words(f"--{wanted}", place_name(given[wanted] or ""), LONGEST_PLACE)}


def _warn_of_places_without_accounts(store: Store, row: dict[str, str | None]) -> None:
    for name in ("province", "broker"):
        place = row[name]
        if place is None:
            continue
        with store.reading() as connection:
            known = {place_name(it) for it in accounts.places(connection, name)}
        if place not in known:
            nearest = get_close_matches(place, sorted(known), 1)
            hint = f"; the nearest that one has is {nearest[0]}" if nearest else ""
            click.echo(f"Warning: --{name}: no account has {place}{hint}.", err=True)


def _words(option: str, written: str, longest: int) -> str:
    words = " ".join(written.split())
    # The half-space is how Persian names are written, though nothing of it can be seen.
    seen = words.replace("\u200c", "")
    if not (seen.isprintable() and seen and len(words) <= longest):
        fail(f"{option}: must be 1 to {longest} printable characters")
    return words
