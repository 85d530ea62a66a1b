"""`flask audit verify|rekey|show`: who did or tried what."""

import re

import click
from flask.cli import AppGroup

from bot import clock, settings
from bot.audit.hash_chain import Chain, Proof
from bot.audit.trail import Trail
from bot.cli.common import chosen, fail, keys_of, opened
from bot.random_source import SystemRandomSource
from dialogs.parsing.normalise import fold, national_id
from store import accounts, audit

# The last place that there is room for.
LAST_PLACE = 2**31 - 1

commands = AppGroup("audit", help="Who did or tried what: rows that are chained, so that a change shows.")


@commands.command("verify")
@click.option("--seal", "kept", metavar="SEQ:HEX", help="A seal that was kept, from the log: it must be in the chain.")
def verify_audit(kept: str | None) -> None:
    """Seal what is not sealed yet, then prove every row. Exits with 1, and says which row, where one is not right."""
    seal = _seal(kept) if kept is not None else None
    chain = _chain()
    proof = chain.prove()
    if seal is not None and not chain.holds(*seal):
        proof.faults.append(f"seq {seal[0]} has not the seal that was kept: rows were removed or changed")
    _tell(proof)


@commands.command("rekey")
def rekey_audit() -> None:
    """Before a key leaves SECRET_KEYS: prove every row, and hand on to the newest key what older ones prove."""
    chain = _chain()
    _tell(chain.rekey())
    click.echo(f"The key {chain.keyring.newest} now vouches for what was written under others: they can be taken out.")


@commands.command("show")
@click.option("--account", "person", required=True, metavar="NATIONAL_ID", help="Whose account.")
@click.option("--last", type=click.IntRange(1), help="Only so many of the last rows.")
def show_audit(person: str, last: int | None) -> None:
    """Show what was done or tried about an account, the oldest first, by Tehran's clock."""
    store = opened(chosen(settings.read_for_command))
    with store.reading() as connection:
        account = accounts.find(connection, national_id=national_id(fold(person)) or "")
        rows = audit.about(connection, account.id, last) if account else []
    if account is None:
        fail("No account has this national ID", 1)
    for row in rows:
        said = (f"{row.actor} {row.who}".strip(), row.action, row.outcome, row.reason, row.ref)
        click.echo("  ".join([f"{row.at.astimezone(clock.TEHRAN):%Y-%m-%d %H:%M:%S}", *filter(None, said)]))
    if not rows:
        click.echo("Nothing was done or tried about this account.")


def _seal(written: str) -> tuple[int, bytes]:
    found = re.fullmatch("([0-9]{1,10}):([0-9a-f]{64})", written.strip().lower())
    if found is None or int(found[1]) > LAST_PLACE:
        fail("--seal: must be a place in the chain, a colon, and 64 hexadecimal digits, as the log has them")
    return int(found[1]), bytes.fromhex(found[2])


def _chain() -> Chain:
    found = chosen(settings.read_for_command)
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
