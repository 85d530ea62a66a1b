"""`flask staff add|list|remove`: who may order by text."""

from difflib import get_close_matches

import click
from flask.cli import AppGroup

from bot import settings
from bot.accounts import staff_entry, staff_removal
from bot.accounts.staff_entry import BadEntry
from bot.audit.trail import Entry
from bot.cli.common import chosen, fail, opened, write
from bot.platform import clock
from bot.platform.phone_numbers import PhoneNumbers
from bot.settings import Settings
from dialogs.audit_vocabulary import Action, Actor
from dialogs.parsing.normalise import place_name
from dialogs.staff_vocabulary import Role
from store import accounts
from store.database.engine import Store
from store.staff import Member, NewMember, every

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
    given = {"mobile": mobile, "role": role, "name": name, "province": province or "", "broker": broker or ""}
    try:
        member = staff_entry.read(_phone_numbers(found), **given)
    except BadEntry as bad:
        fail(f"--{bad.field}: {bad}")
    store = opened(found)
    _warn_of_places_without_accounts(store, member)
    with store.writing() as connection:
        staff_id, ended = staff_removal.put(connection, member, clock.system_clock())
        write(found, connection, Entry(Actor.OPERATOR, Action.STAFF_ADDED, reason=role, staff_id=staff_id), *ended)
    click.echo(f"{member.name} may order by text, as {role}.")


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
    try:
        return staff_entry.read_mobile(_phone_numbers(found), mobile)
    except BadEntry as bad:
        fail(f"--{bad.field}: {bad}")


def _phone_numbers(found: Settings) -> PhoneNumbers:
    return PhoneNumbers(found.default_region, found.allowed_countries, found.mobile_prefixes)


def _warn_of_places_without_accounts(store: Store, member: NewMember) -> None:
    for name, place in (("province", member.province), ("broker", member.broker)):
        if place is None:
            continue
        with store.reading() as connection:
            known = {place_name(it) for it in accounts.places(connection, name)}
        if place not in known:
            nearest = get_close_matches(place, sorted(known), 1)
            hint = f"; the nearest that one has is {nearest[0]}" if nearest else ""
            click.echo(f"Warning: --{name}: no account has {place}{hint}.", err=True)
