"""`flask audit verify|rekey|show`: who did or tried what."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
from flask.cli import AppGroup
from sqlalchemy import Connection, Row

from bot import settings
from bot.audit import rows as audit_rows
from bot.audit.hash_chain import Chain, Proof
from bot.audit.trail import Trail
from bot.cli.common import chosen, fail, keys_of, opened, say_database, writing_keys
from bot.platform import clock
from bot.platform.csv_export import sheet
from bot.platform.phone_numbers import PhoneNumbers
from bot.platform.random_source import SystemRandomSource
from bot.settings import Settings
from dialogs.audit_vocabulary import Action
from dialogs.parsing.normalise import fold, national_id
from store import accounts, audit, staff
from store.audit import AuditFilter

# The last place that there is room for.
LAST_PLACE = 2**31 - 1

commands = AppGroup("audit", help="Who did or tried what: rows that are chained, so that a change shows.")


@commands.command("verify")
@click.option("--seal", "kept", metavar="SEQ:HEX", help="A seal that was kept, from the log: it must be in the chain.")
def verify_audit(kept: str | None) -> None:
    """Seal what is not sealed yet, then prove every row. Exits with 1, and says which row, where one is not right."""
    seal = _seal(kept) if kept is not None else None
    found = chosen(settings.read_for_command)
    chain = _chain(found)
    proof = chain.prove()
    if proof.sealed:
        say_database(found)
    if seal is not None and not chain.holds(*seal):
        proof.faults.append(f"seq {seal[0]} has not the seal that was kept: rows were removed or changed")
    _tell(proof)


@commands.command("rekey")
def rekey_audit() -> None:
    """Before a key leaves SECRET_KEYS: prove every row, and hand on to the newest key what older ones prove."""
    found = chosen(settings.read_for_command)
    chain = _chain(found)
    say_database(found)
    with chain.store.writing() as connection:
        writing_keys(found, connection)
    _tell(chain.rekey())
    click.echo(f"The key {chain.keyring.newest} now vouches for what was written under others: they can be taken out.")


@commands.command("show")
@click.option("--account", "person", metavar="NATIONAL_ID", help="About whose account.")
@click.option("--staff", "mobile", metavar="MOBILE", help="By which staff member, removed or not, or about them.")
@click.option(
    "--action",
    type=click.Choice([each.value for each in Action]),
    metavar="ACTION",
    help="Of one action, such as staff_reset.",
)
@click.option("--from", "first", metavar="DAY", help="First day.")
@click.option("--to", "final", metavar="DAY", help="Last day.")
@click.option("--last", type=click.IntRange(1), help="Only so many of the last rows.  [default: all]")
@click.option("--csv", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write a CSV in place of lines.")
def show_audit(
    person: str | None,
    mobile: str | None,
    action: str | None,
    first: str | None,
    final: str | None,
    last: int | None,
    file: Path | None,
) -> None:
    """Show what was done or tried, the oldest first, by Tehran's clock. What is named must all hold.

    A DAY is Gregorian, such as 2026-11-24, or Jalali, such as 1405-09-03: the year tells.
    """
    since, until = _moment("--from", first), _moment("--to", final, days=1)
    found = chosen(settings.read_for_command)
    with opened(found).reading() as connection:
        account_id = _account(connection, person) if person is not None else None
        staff_id = _member(found, connection, mobile) if mobile is not None else None
        wanted = AuditFilter(account_id, staff_id, action, since, until)
        rows = audit.matching(connection, wanted, last)
    if file is not None:
        _write(file, rows)
    else:
        for row in rows:
            click.echo(_line(row))
        if not rows:
            click.echo(
                "Nothing was done or tried about this account." if person else "Nothing of this was done or tried."
            )


def _moment(option: str, written: str | None, days: int = 0) -> datetime | None:
    try:
        return clock.midnight(clock.read_day(written) + timedelta(days=days)) if written is not None else None
    except ValueError as error:
        fail(f"{option}: {written} {error}")


def _account(connection: Connection, person: str) -> int:
    account = accounts.find(connection, national_id=national_id(fold(person)) or "")
    if account is None:
        fail("No account has this national ID", 1)
    return account.id


def _member(found: Settings, connection: Connection, written: str) -> int:
    phone_numbers = PhoneNumbers(found.default_region, found.allowed_countries, found.mobile_prefixes)
    mobile = phone_numbers.mobile(fold(written))
    staff_id = staff.ever(connection, mobile) if mobile else None
    if staff_id is None:
        fail("No staff member has, or had, this number", 1)
    return staff_id


def _line(row: Row[Any]) -> str:
    said = (f"{row.actor} {row.who}".strip(), row.action, row.outcome, row.reason, row.ref)
    return "  ".join([f"{row.at.astimezone(clock.TEHRAN):%Y-%m-%d %H:%M:%S}", *filter(None, said)])


def _write(file: Path, rows: Sequence[Row[Any]]) -> None:
    try:
        file.write_text(sheet(audit_rows.table(rows)), "utf-8", newline="")
    except OSError as error:
        fail(f"--csv: {file}: {error.strerror}", 1)
    click.echo(f"{len(rows)} rows written to {file}.")


def _seal(written: str) -> tuple[int, bytes]:
    found = re.fullmatch("([0-9]{1,10}):([0-9a-f]{64})", written.strip().lower())
    if found is None or int(found[1]) > LAST_PLACE:
        fail("--seal: must be a place in the chain, a colon, and 64 hexadecimal digits, as the log has them")
    return int(found[1]), bytes.fromhex(found[2])


def _chain(found: Settings) -> Chain:
    store = opened(found)
    with store.reading() as connection:
        keyring = keys_of(found, connection)
    if keyring is None:
        fail("SECRET_KEYS: is needed, to prove the audit by")
    return Chain(store, clock.system_clock, Trail(keyring, SystemRandomSource()))


def _tell(proof: Proof) -> None:
    for fault in proof.faults:
        click.echo(fault)
    if proof.faults:
        fail("The audit is broken.", 1)
    click.echo(f"unbroken: {proof.rows} rows, newest seal {proof.end.seal.hex() or 'none'} at seq {proof.end.seq}")
