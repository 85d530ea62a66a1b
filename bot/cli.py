"""The operator's commands: `flask db`, `accounts`, `season`, `tokens`, `audit`, `kpi` and `diagram`."""

import os
import sys
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import click
from flask.cli import AppGroup
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from bot import bearer, calendars, kpi, kpi_report, periods, settings
from bot.accounts import BadFile, Import
from bot.audit import Entry, Trail
from bot.chain import Chain, Proof
from bot.dice import SystemDice
from bot.keys import Keys
from bot.phones import Phones
from bot.settings import BadSettings, Settings
from bot.sheets import sheet
from dialogs.machine import mermaid
from dialogs.mobile_change import MOBILE_CHANGE
from dialogs.recovery import RECOVERY
from dialogs.staff import STAFF
from dialogs.table import Dialog
from dialogs.text import fold, national_id
from store import accounts as kept_accounts
from store import audit as kept_audit
from store import migrate, seasons
from store import tokens as kept_tokens
from store.audit import Action, Actor
from store.engine import Store

USAGE = 2
SOME_REJECTED = 3
LONGEST_NAME = 60


def fail(message: str, status: int = USAGE) -> NoReturn:
    """Say what is wrong and end."""
    click.echo(message, err=True)
    sys.exit(status)


def chosen(read: Callable[[Mapping[str, str]], Settings]) -> Settings:
    """The settings, read from the environment, or an end that names every fault."""
    try:
        return read(os.environ)
    except BadSettings as bad:
        fail("\n".join(bad.faults))


def database(found: Settings) -> Store:
    """The database of one command, closed when it ends; or an end that says why not."""
    try:
        store = Store(found.database_url)
    except SQLAlchemyError as error:
        fail(f"DATABASE_URL: the database can't be reached ({type(error).__name__})", 1)
    click.get_current_context().call_on_close(store.close)
    return store


def opened(found: Settings) -> Store:
    """The database, or an end that says how to bring it up to date."""
    store = database(found)
    try:
        current = migrate.is_current(store)
    except SQLAlchemyError as error:
        fail(f"DATABASE_URL: the database can't be reached ({type(error).__name__})", 1)
    if not current:
        fail("The database has not the newest schema. Run: flask db upgrade", 1)
    return store


def upgraded(found: Settings) -> Store:
    """The database, brought to the newest schema."""
    store = database(found)
    try:
        migrate.upgrade(store)
    except SQLAlchemyError as error:
        fail(f"DATABASE_URL: the database can't be reached or migrated ({type(error).__name__})", 1)
    return store


db = AppGroup("db", help="The database's schema.")


@db.command("upgrade")
def upgrade() -> None:
    """Bring the schema to the newest migration."""
    upgraded(chosen(settings.read))
    click.echo(f"The schema is at {migrate.newest()}.")


@db.command("revise")
@click.argument("message")
def revise(message: str) -> None:
    """Write a migration from what store/tables/ says more than the database has. For developers."""
    migrate.revise(database(chosen(settings.read)), message)


accounts = AppGroup("accounts", help="The holders of accounts.")


@accounts.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--rejects",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Where bad rows go, with line and reason.  [default: FILE with .rejects.csv]",
)
def import_accounts(file: Path, rejects: Path | None) -> None:
    """Add or update accounts from FILE, a CSV in UTF-8.

    Columns: national_id, username, mobile; and if you like full_name, province, broker, language (fa, en, ar),
    password, active (true or false). Exits with 0 if every row went in, with 3 if some were rejected.
    """
    found = chosen(settings.read)
    aside = rejects or file.with_suffix(".rejects.csv")
    if aside.resolve() == file.resolve():
        fail("--rejects: would overwrite the file that is being read")
    store = opened(found)
    job = Import(store, Phones(found.default_region, found.allowed_countries), _keys(found), calendars.system_clock)
    try:
        with click.progressbar(length=file.stat().st_size, label="Reading", file=sys.stderr) as bar:
            tally = job.run(file, aside, lambda read: bar.update(read - bar.pos))
    except BadFile as bad:
        fail(f"{file.name}: {bad}")
    except SQLAlchemyError as error:
        fail(f"DATABASE_URL: the import stopped ({type(error).__name__}); what went in stays, so run it again", 1)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}", 1)
    with store.writing() as connection:
        note(found, connection, Action.ACCOUNTS_IMPORTED, f"{tally.taken} taken, {tally.rejected} rejected")
    click.echo(f"{tally.taken} accounts added or updated.")
    if tally.rejected:
        fail(f"{tally.rejected} rows rejected: {aside}", SOME_REJECTED)


def note(
    found: Settings,
    connection: Connection,
    action: Action,
    reason: str | None = None,
    *,
    ref: str | None = None,
    staff_id: int | None = None,
) -> None:
    """Write down what the operator does, within the transaction that does it."""
    keys = _keys(found)
    if keys is None:
        click.echo("SECRET_KEYS: is not set, so this is not in the audit", err=True)
    else:
        entry = Entry(Actor.OPERATOR, action, reason=reason, ref=ref, staff_id=staff_id)
        Trail(keys, SystemDice()).note(connection, calendars.system_clock(), entry)


def _keys(found: Settings) -> Keys | None:
    text = found.secret_keys or (settings.KEPT_KEYS.read_text("utf-8").strip() if settings.KEPT_KEYS.exists() else "")
    return Keys.of(settings.read_keys(text)) if text else None


season = AppGroup("season", help="The Umrah operation: outside it the bot answers with the opening date.")


@season.command("show")
def show_season() -> None:
    """Show the season, and when the next one usually opens."""
    store = opened(chosen(settings.read))
    with store.reading() as connection:
        days = seasons.find(connection)
    today = calendars.today_in_tehran(calendars.system_clock())
    if days is None:
        click.echo("No season is set: the bot is always open.")
    else:
        opens, closes = days
        state = "open" if opens <= today <= closes else "closed"
        click.echo(f"opens  {_both(opens)}\ncloses {_both(closes)}\ntoday  {_both(today)}: {state}")
    first = calendars.next_rabi_al_awwal(today)
    click.echo(f"The next 1 Rabi' al-Awwal is {_both(first)}; Iran's calendar can differ by a day, so confirm it.")


@season.command("set")
@click.option("--opens", type=click.DateTime(["%Y-%m-%d"]), required=True, help="First day, Gregorian.")
@click.option("--closes", type=click.DateTime(["%Y-%m-%d"]), required=True, help="Last day, Gregorian.")
def set_season(opens: datetime, closes: datetime) -> None:
    """Set the season's first and last day; it holds at once."""
    if closes < opens:
        fail("--closes: is before --opens")
    found = chosen(settings.read)
    store = opened(found)
    with store.writing() as connection:
        seasons.put(connection, opens.date(), closes.date())
        note(found, connection, Action.SEASON_SET, f"{opens:%Y-%m-%d} to {closes:%Y-%m-%d}")
    click.echo(f"The bot is open from {_both(opens.date())} to {_both(closes.date())}.")


@season.command("clear")
def clear_season() -> None:
    """Set no season: the bot is always open."""
    found = chosen(settings.read)
    store = opened(found)
    with store.writing() as connection:
        seasons.clear(connection)
        note(found, connection, Action.SEASON_CLEARED)
    click.echo("No season is set: the bot is always open.")


def _both(day: date) -> str:
    return f"{day.isoformat()} ({calendars.jalali(day)})"


tokens = AppGroup("tokens", help="Fakher's API tokens.")


@tokens.command("create")
@click.option("--name", required=True, help="Whose it is, to find it again.")
@click.option("--days", type=click.IntRange(1, 3650), default=90, show_default=True, help="How long it is good.")
def create_token(name: str, days: int) -> None:
    """Make a token and show it: this once, alone on the last line."""
    if not (name.isprintable() and 0 < len(name.strip()) <= LONGEST_NAME):
        fail(f"--name: must be 1 to {LONGEST_NAME} printable characters")
    found, now = chosen(settings.read), calendars.system_clock()
    store = opened(found)
    new, expires_at = bearer.make(SystemDice()), now + timedelta(days=days)
    with store.writing() as connection:
        kept_tokens.issue(connection, new.id, name.strip(), new.digest, now, expires_at)
        note(found, connection, Action.TOKEN_CREATED, ref=new.id)
    click.echo(f"Token {new.id} for {name.strip()}, good until {_minute(expires_at)}. It is not shown again:", err=True)
    click.echo(new.text)


@tokens.command("list")
def list_tokens() -> None:
    """List the tokens: id, name, state, when it ends, when it was last used."""
    store, now = opened(chosen(settings.read)), calendars.system_clock()
    with store.reading() as connection:
        found = kept_tokens.every(connection)
    for it in found:
        state = "revoked" if it.revoked_at else "expired" if it.expires_at <= now else "in force"
        used = _minute(it.last_used_at) if it.last_used_at else "never"
        click.echo(f"{it.id}  {it.name}  {state}  until {_minute(it.expires_at)}  last used {used}")
    if not found:
        click.echo("There are no tokens.")


@tokens.command("revoke")
@click.argument("token", required=False, metavar="NAME|ID")
@click.option("--name", help="The name, in place of the argument.")
def revoke_token(token: str | None, name: str | None) -> None:
    """End the token with this id, or all of this name; it holds at once."""
    which = token or name
    if not which:
        fail("Say which token: its name or its id")
    found = chosen(settings.read)
    store = opened(found)
    with store.writing() as connection:
        ended = kept_tokens.revoke(connection, which, calendars.system_clock())
        for token_id in ended:
            note(found, connection, Action.TOKEN_REVOKED, ref=token_id)
    if not ended:
        fail(f"No token in force has the name or id {which}", 1)
    click.echo(f"{len(ended)} revoked.")


audit = AppGroup("audit", help="Who did or tried what: rows that are chained, so that a change shows.")


@audit.command("verify")
def verify_audit() -> None:
    """Seal what is not sealed yet, then prove every row. Exits with 1, and says which row, where one is not right."""
    _tell(_chain().prove())


@audit.command("rekey")
def rekey_audit() -> None:
    """Before a key leaves SECRET_KEYS: prove every row, and hand on to the newest key what older ones prove."""
    chain = _chain()
    _tell(chain.rekey())
    click.echo(f"The key {chain.keys.newest} now vouches for what was written under others: they can be taken out.")


@audit.command("show")
@click.option("--account", "person", required=True, metavar="NATIONAL_ID", help="Whose account.")
@click.option("--last", type=click.IntRange(1), help="Only so many of the last rows.")
def show_audit(person: str, last: int | None) -> None:
    """Show what was done or tried about an account, the oldest first, by Tehran's clock."""
    store = opened(chosen(settings.read))
    with store.reading() as connection:
        holder = kept_accounts.find(connection, national_id=national_id(fold(person)) or "")
        rows = kept_audit.about(connection, holder.id, last) if holder else []
    if holder is None:
        fail("No account has this national ID", 1)
    for row in rows:
        said = (f"{row.actor} {row.who}".strip(), row.action, row.outcome, row.reason, row.ref)
        click.echo("  ".join([f"{row.at.astimezone(calendars.TEHRAN):%Y-%m-%d %H:%M:%S}", *filter(None, said)]))
    if not rows:
        click.echo("Nothing was done or tried about this account.")


def _chain() -> Chain:
    found = chosen(settings.read)
    keys = _keys(found)
    if keys is None:
        fail("SECRET_KEYS: is needed, to prove the audit by")
    return Chain(opened(found), keys, calendars.system_clock, SystemDice())


def _tell(proof: Proof) -> None:
    for fault in proof.faults:
        click.echo(fault)
    if proof.faults:
        fail("The audit is broken.", 1)
    click.echo(f"unbroken: {proof.rows} rows, newest seal {proof.end.seal.hex() or 'none'} at seq {proof.end.seq}")


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(calendars.TEHRAN):%Y-%m-%d %H:%M} Tehran"


@click.command("kpi")
@click.option("--from", "first", metavar="DAY", help="First day.  [default: the season's, else 30 days ago]")
@click.option("--to", "last", metavar="DAY", help="Last day.  [default: the season's, else today]")
@click.option("--csv", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write a CSV too.")
def kpi_command(first: str | None, last: str | None, file: Path | None) -> None:
    """Show both control points over a period, by day, province and gateway, and what became of codes and texts.

    A DAY is Gregorian, such as 2026-11-24, or Jalali, such as 1405-09-03: the year tells.
    """
    given = {"--from": _day("--from", first), "--to": _day("--to", last)}
    store, now = opened(chosen(settings.read)), calendars.system_clock()
    begin, end = _period(store, given["--from"], given["--to"], calendars.today_in_tehran(now))
    found = kpi.figures(store, begin, end, now)
    click.echo("\n".join(kpi_report.lines(found, kpi.now_of(store), now)))
    if file is not None:
        try:
            file.write_text(sheet(kpi_report.rows(found)), "utf-8", newline="")
        except OSError as error:
            fail(f"--csv: {file}: {error.strerror}", 1)
        click.echo(f"\nWritten to {file}.")


def _day(option: str, written: str | None) -> date | None:
    try:
        return calendars.read_day(written) if written is not None else None
    except ValueError as error:
        fail(f"{option}: {written} {error}")


def _period(store: Store, first: date | None, last: date | None, today: date) -> tuple[date, date]:
    try:
        return periods.period(store, first, last, today)
    except periods.BadPeriod as bad:
        fail(f"--{bad.end}: {bad}")


END = "<!-- end of diagram -->"
DIAGRAMS: dict[str, Dialog[Any, Any]] = {"recovery": RECOVERY, "staff": STAFF, "mobile change": MOBILE_CHANGE}


def begins(name: str) -> str:
    """The mark before a dialog's diagram."""
    return f"<!-- diagram of {name}: drawn by make diagram -->"


@click.command("diagram")
@click.option("--check", is_flag=True, help="Change nothing; exit with 1 if a drawing is stale.")
def diagram(check: bool) -> None:
    """Draw the dialogs' tables into README.md."""
    readme = Path("README.md")
    text = readme.read_text("utf-8")
    drawn = with_diagrams(text)
    if check and drawn != text:
        fail("A diagram in README.md is stale. Run: make diagram", 1)
    if not check:
        readme.write_text(drawn, "utf-8")


def with_diagrams(text: str) -> str:
    """A page with the present diagrams between their marks."""
    for name, dialog in DIAGRAMS.items():
        before, mark, rest = text.partition(begins(name))
        if not mark:
            continue
        _, _, after = rest.partition(END)
        text = f"{before}{begins(name)}\n```mermaid\n{mermaid(dialog)}\n```\n{END}{after}"
    return text


COMMANDS: tuple[click.Command, ...] = (db, accounts, season, tokens, audit, kpi_command, diagram)
