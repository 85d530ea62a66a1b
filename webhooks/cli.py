"""The commands that need the web application: `flask serve`, `flask trial`, `flask chat`, `flask kpi report`."""

import os
import signal
import sys
import webbrowser
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType

import click
from sqlalchemy import Connection
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.serving import make_server

from bot import settings
from bot.audit import known_keys
from bot.build import build
from bot.cli.common import cause, chosen, database, fail, guard, opened, serving, upgraded
from bot.cli.kpi import figures, kpi_command
from bot.credentials.keyring import Keyring
from bot.platform import clock, log
from bot.platform.version import VERSION
from bot.settings import Settings, key_ids, read_keys
from bot.simulation.demo import PEOPLE, STAFF, lives_in, seed
from bot.simulation.state import Simulation
from store.database.migrate import is_empty
from webhooks import create_app, html, printing, season_report
from webhooks.server import Server, fault_of_address
from webhooks.terminal import chat

# The report is written, but no browser could print it.
NOT_PRINTED = 3
LOG = log.logger("service")


@click.command("serve")
def serve() -> None:
    """Serve real people, with settings from the environment. Exits with 2 if any is missing or bad."""
    found = chosen(settings.read_for_service)
    if fault := fault_of_address(found.host, found.port):
        fail(fault)
    store = upgraded(found)
    with store.reading() as connection:
        if set(found.gateways) != {"simulated"} and lives_in(connection):
            fail("DATABASE_URL: holds the made-up people of `make run`, whose numbers somebody may have; name another")
    serving(store, Keyring.of(read_keys(found.secret_keys)))
    store.close()
    for provider in found.providers.values():
        for warning in provider.warnings:
            click.echo(warning, err=True)
    log.set_up()
    LOG.info("serving", **_about(found))
    Server(found).run()


def _about(found: Settings) -> dict[str, object]:
    """What the log says of a service as it starts: nothing secret."""
    url = make_url(found.database_url)
    places = {name: value for name, value in url.query.items() if name in {"host", "port"}}
    return {
        "version": VERSION,
        "database": url.set(password=None, query=places).render_as_string(),
        "gateways": found.gateways,
        "keys": key_ids(found.secret_keys),
        "address": f"{found.host}:{found.port}",
        "workers": found.workers,
    }


@click.command("trial")
def trial() -> None:
    """Serve made-up people on the simulated carrier. No text leaves this machine."""
    found = _simulated_only()
    _refuse_another_database(found)
    log.set_up()
    bot = build(found, store=upgraded(found), simulation=Simulation())
    serving(bot.store, bot.keyring)
    seed(bot.store)
    Simulation().end_faults()
    try:
        server = make_server(found.host, found.port, create_app(bot), threaded=True)
    except (OSError, SystemExit):
        fail(f"PORT: {found.port} can't be used; is the bot running already?", 1)
    signal.signal(signal.SIGTERM, _interrupt)
    bot.start()
    click.echo(_how_to_try(found.port))
    if has_screen(os.environ, sys.platform) and sys.stdin.isatty() and sys.stdout.isatty():
        webbrowser.open(_page(found.port))
    with suppress(KeyboardInterrupt):  # from SIGTERM; at Ctrl-C the server ends by itself
        server.serve_forever()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server.server_close()
    bot.stop()
    click.echo("\nStopped.")


def has_screen(environment: Mapping[str, str], platform: str) -> bool:
    """Whether a browser would open in a window of its own, and not in this terminal. Never in a check."""
    windows = platform in {"darwin", "win32"} or any(environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    return windows and not environment.get("CI")


def _page(port: int) -> str:
    return f"http://127.0.0.1:{port}/phone"


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _simulated_only() -> Settings:
    found = chosen(settings.read_for_trial)
    if found.gateways != ("simulated",):
        fail("GATEWAYS: a real gateway is set; this command is for the simulated carrier only")
    return found


def _refuse_another_database(found: Settings) -> None:
    """End where the database is one that no trial has made: nobody's real table gets made-up people."""
    store = database(found)
    try:
        if not is_empty(store):
            with store.reading() as connection:
                _refuse_real_people(connection)
    except SQLAlchemyError as error:
        fail(f"DATABASE_URL: the database can't be reached ({cause(error)})", 1)
    store.close()


def _refuse_real_people(connection: Connection) -> None:
    """End where a trial has not made the database: what it has to send is no simulated carrier's."""
    if not lives_in(connection):
        fail("DATABASE_URL: names a database that make run did not make; it is left as it is")


def _how_to_try(port: int) -> str:
    people = "\n".join(f"  {_local(it.mobile)}   {it.national_id}   {it.about}" for it in PEOPLE)
    members = "\n".join(f"  {_local(it.mobile)}   staff        {it.about}" for it in STAFF)
    first = PEOPLE[0]
    return f"""\
Ramz is running on http://127.0.0.1:{port} with the simulated carrier. Ctrl-C stops it.

  mobile        national ID  who
{people}
{members}

Text it from another terminal:

  .venv/bin/flask chat --from {_local(first.mobile)}
  رمز {first.national_id}

It sends a code; type the code, and it sends a new password. As staff, text: ریست {first.national_id}
The phone page: {_page(port)}
The console, for headquarters and the province: http://127.0.0.1:{port}/console; the code arrives on their phone.
"""


def _local(mobile: str) -> str:
    return f"0{mobile.removeprefix('+98')}"


@click.command("chat")
@click.option("--from", "mobile", required=True, help="Your number, such as 09121234567.")
def chat_command(mobile: str) -> None:
    """Text the bot from this terminal, and see every text that the number receives."""
    found = _simulated_only()
    log.set_up()
    bot = build(found, store=opened(found), simulation=Simulation())
    number = bot.phone_numbers.mobile(mobile)
    if number is None:
        fail(f"--from: not a mobile number of {', '.join(found.allowed_countries)}")
    with bot.store.reading() as connection:
        # Whoever serves by the simulated carrier says so; a shell that lacks the service's settings does not.
        if not chosen(settings.read).gateways:
            _refuse_real_people(connection)
        if (fault := known_keys.fault(connection, bot.keyring)) is not None:
            fail(fault)
    chat(bot, number)


@kpi_command.command("report")
@click.option("--from", "first", metavar="DAY", help="First day.  [default: the season's, else 30 days ago]")
@click.option("--to", "last", metavar="DAY", help="Last day.  [default: the season's, else today]")
@click.option("--html", "page", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Write it here.")
@click.option(
    "--pdf", type=click.Path(dir_okay=False, path_type=Path), help="Print it here too, by a browser that is here."
)
@click.option("--language", type=click.Choice(sorted(html.LANGUAGES)), default="fa", show_default=True)
def report_command(first: str | None, last: str | None, page: Path, pdf: Path | None, language: str) -> None:
    """Write the season's report, for a director to read: one HTML file, and a PDF of it.

    Exits with 3 where the HTML is written and no PDF could be made of it.
    """
    store, now = opened(chosen(settings.read_for_command)), clock.system_clock()
    written = season_report.write(figures(store, first, last, now), now, language)
    try:
        page.write_text(written, "utf-8")
        click.echo(f"Written to {page}.")
        if pdf is not None:
            printing.to_pdf(page, pdf, printing.browser())
            click.echo(f"Printed to {pdf}.")
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}", 1)
    except printing.NoPrinter as none:
        fail(f"--pdf: {none}", NOT_PRINTED)


guard(report_command)

COMMANDS: tuple[click.Command, ...] = (serve, trial, chat_command)
