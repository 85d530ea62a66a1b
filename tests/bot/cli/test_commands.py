"""The operator's commands, as they are typed: what they do, what they say, and how they end."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Timer
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from click.testing import Result
from sqlalchemy import text

from bot.build import Bot
from bot.cli.diagram import DIAGRAMS, END, begins
from bot.ports import Inbound
from bot.simulation.demo import PEOPLE, seed
from dialogs.tables.machine import mermaid
from dialogs.vocabulary import AnyEvent, Event
from store.database import migrate
from store.database.engine import Store
from tests.support import forked, lifeline
from tests.support.parts import KEYS, PATIENCE_SECONDS, Carrier
from tests.support.people import ZAHRA, settle, settled
from tests.support.places import ROOT
from webhooks.cli import has_screen
from wsgi import app

TWILIO = {
    "GATEWAYS": "twilio",
    "TWILIO_ACCOUNT_SID": "AC00000000000000000000000000000000",
    "TWILIO_AUTH_TOKEN": "an-auth-token",
    "TWILIO_SENDER": "+15005550006",
}
COMMAND = [sys.executable, "-m", "flask", "--app", str(ROOT / "wsgi.py")]


def around(environment: dict[str, str]) -> dict[str, str]:
    """A process's environment: no setting but those given."""
    known = {name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ}
    return known | {"PYTHONUTF8": "1"} | environment


def flask(*words: str, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end, in a process of its own."""
    return forked.run("--app", f"{ROOT}/wsgi.py", *words, folder=folder, environment=around(environment))


@contextmanager
def running(*words: str, folder: Path, **environment: str) -> "Iterator[subprocess.Popen[str]]":
    """A command that runs until it is told to stop; killed where it doesn't."""
    # A shell's background job ignores SIGINT, and so would its children.
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [*COMMAND, *words], text=True, stdin=pipe, stdout=pipe, stderr=pipe, cwd=folder, env=around(environment)
    )
    signal.signal(signal.SIGINT, former)
    lifeline.hold(process)
    patience = Timer(PATIENCE_SECONDS, process.kill)
    patience.start()
    try:
        yield process
    finally:
        patience.cancel()
        process.kill()
        process.communicate()


def typed(*words: str, **environment: str) -> Result:
    """Run a command here and now: quicker than a process."""
    return app.test_cli_runner().invoke(args=[*words], env={"SECRET_KEYS": KEYS, **environment})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def emptied(url: str) -> str:
    """The URL of a database without any table."""
    if url.startswith("sqlite"):
        return url.replace(".db", "-empty.db")
    store = Store(url)
    with store.writing() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    store.close()
    return url


def is_current(url: str) -> bool:
    store = Store(url)
    try:
        return migrate.is_current(store)
    finally:
        store.close()


# flask


def test_help_lists_every_command() -> None:
    listed = re.findall(r"^  (\w+)  ", typed("--help").output, re.MULTILINE)
    assert {"accounts", "chat", "db", "diagram", "season", "serve", "trial"} <= set(listed)


@pytest.mark.parametrize("words", [["db"], ["accounts"], ["season"], *([name] for name in app.cli.commands)])
def test_every_command_says_what_it_is_for(words: list[str]) -> None:
    result = typed(*words, "--help")
    assert result.exit_code == 0
    assert len(result.output.splitlines()) >= 3


@pytest.mark.parametrize("words", [["season", "show"], ["accounts", "import", __file__], ["chat", "--from", "0912"]])
def test_a_bad_setting_is_named_without_a_traceback(words: list[str]) -> None:
    result = typed(*words, PORT="x", CODE_LENGTH="3", DATABASE_URL="sqlite:////dev/null/none.db")
    assert result.exit_code == 2
    assert {line.partition(":")[0] for line in result.output.splitlines()} == {"PORT", "CODE_LENGTH"}


# flask db upgrade


def test_upgrade_makes_the_schema_and_does_no_harm_twice(database_url: str) -> None:
    url = emptied(database_url)
    assert not is_current(url)
    for _ in range(2):
        result = typed("db", "upgrade", DATABASE_URL=url)
        assert (result.exit_code, result.stdout) == (0, f"The schema is at {migrate.newest()}.\n")
        assert result.stderr.startswith("database: ")
        assert is_current(url)


def test_upgrade_makes_the_folder_that_the_database_lies_in(tmp_path: Path) -> None:
    assert typed("db", "upgrade", DATABASE_URL=f"sqlite:///{tmp_path}/a/b/ramz.db").exit_code == 0


@pytest.mark.process
def test_hosts_that_start_at_once_upgrade_one_after_the_other(database_url: str, tmp_path: Path) -> None:
    url = emptied(database_url)
    with ThreadPoolExecutor(3) as pool:
        hosts = list(pool.map(lambda _: flask("db", "upgrade", folder=tmp_path, DATABASE_URL=url), range(3)))
    assert [host.returncode for host in hosts] == [0, 0, 0], [host.stderr for host in hosts]
    assert is_current(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://ramz:hunter2@127.0.0.1:1/ramz",
        "sqlite:///{folder}/file/ramz.db",
        "sqlite:///{folder}/file",
    ],
)
@pytest.mark.parametrize("words", [["db", "upgrade"], ["season", "show"]])
def test_a_database_out_of_reach_is_said_in_a_line(words: list[str], url: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a database, and no folder either", "utf-8")
    result = typed(*words, DATABASE_URL=url.format(folder=tmp_path))
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == (2 if "there is no database" in result.output else 1)
    assert result.output.startswith("DATABASE_URL: ") and result.output.count("\n") == 1
    assert "hunter2" not in result.output


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql+psycopg://ramz:hunter2@127.0.0.1:1/ramz", "127.0.0.1"),
        ("sqlite:///{folder}/file/ramz.db", "File exists"),
        ("sqlite:///{folder}", "unable to open"),
        ("postgresql+psycopg://ramz:hun@ter2@127.0.0.1:1/ramz", "OperationalError"),
    ],
)
def test_why_it_is_out_of_reach_is_said_in_the_drivers_words(url: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder", "utf-8")
    result = typed("db", "upgrade", DATABASE_URL=url.format(folder=tmp_path))
    assert words in result.output
    assert "hunter2" not in result.output and "ter2@" not in result.output


# flask season


def test_a_season_is_set_shown_and_cleared(database_url: str) -> None:
    result = typed("season", "show", DATABASE_URL=database_url)
    assert (result.exit_code, "always open" in result.output) == (0, True)
    result = typed("season", "set", "--opens", "2026-08-14", "--closes", "2027-02-01", DATABASE_URL=database_url)
    assert (result.exit_code, "2026-08-14 (1405/05/23)" in result.output) == (0, True)
    shown = typed("season", "show", DATABASE_URL=database_url).output
    assert re.search(r"opens +2026-08-14 \(1405/05/23\)", shown)
    assert re.search(r"closes +2027-02-01 \(1405/11/12\)", shown)
    assert "Rabi' al-Awwal" in shown
    assert typed("season", "clear", DATABASE_URL=database_url).exit_code == 0
    assert "always open" in typed("season", "show", DATABASE_URL=database_url).output


@pytest.mark.parametrize(
    "days",
    [
        ("2027-02-01", "2026-08-14"),
        ("2026-02-30", "2026-08-14"),
        ("1405/05/23", "1405/11/12"),
        ("14-08-2026", "2027-02-01"),
        ("soon", "later"),
        ("1405-05-23", "1405-11-12"),
        ("2026-08-14", "9999-12-31"),
        ("0001-01-01", "2027-02-01"),
        ("", ""),
    ],
)
def test_bad_days_are_refused_and_nothing_is_set(sqlite_url: str, days: tuple[str, str]) -> None:
    result = typed("season", "set", "--opens", days[0], "--closes", days[1], DATABASE_URL=sqlite_url)
    assert result.exit_code == 2
    assert "always open" in typed("season", "show", DATABASE_URL=sqlite_url).output


def test_figures_are_asked_of_what_has_been_of_a_season_without_an_end(sqlite_url: str) -> None:
    typed("season", "set", "--opens", "2020-01-01", "--closes", "2099-12-31", DATABASE_URL=sqlite_url)
    assert typed("kpi", DATABASE_URL=sqlite_url).exit_code == 0


def test_a_command_ends_in_one_line_where_the_database_fails_it(sqlite_url: str) -> None:
    busy = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    busy.execute("BEGIN IMMEDIATE")
    for words in (("season", "clear"), ("tokens", "create", "--name", "fakher")):
        result = typed(*words, DATABASE_URL=sqlite_url, SECRET_KEYS=KEYS)
        assert (result.exit_code, result.output.splitlines()[-1][:12]) == (2, "DATABASE_URL"), words
        assert isinstance(result.exception, SystemExit)
    busy.close()


@pytest.mark.process
def test_the_trial_s_key_vouches_in_the_trial_s_database_only(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "instance").mkdir()
    (tmp_path / "instance" / "secret_keys").write_text(KEYS.replace("k1:", "trial:"))

    def clear() -> str:
        return flask("season", "clear", folder=tmp_path, DATABASE_URL=sqlite_url).stderr

    assert "SECRET_KEYS: is not set" in clear()
    with closing(Store(sqlite_url)) as store:
        seed(store)
    assert clear() == f"database: {sqlite_url}\n"
    assert flask("audit", "verify", folder=tmp_path, DATABASE_URL=sqlite_url).returncode == 0


@pytest.mark.process
def test_no_real_person_is_served_out_of_the_trial_s_database(sqlite_url: str, tmp_path: Path) -> None:
    with closing(Store(sqlite_url)) as store:
        seed(store)
    result = flask("serve", folder=tmp_path, **TWILIO, SECRET_KEYS=KEYS, DATABASE_URL=sqlite_url)
    assert (result.returncode, result.stderr.startswith("DATABASE_URL: holds the made-up people")) == (2, True)


def test_a_season_of_one_day_is_a_season(sqlite_url: str) -> None:
    days = ("--opens", "2026-08-14", "--closes", "2026-08-14")
    assert typed("season", "set", *days, DATABASE_URL=sqlite_url).exit_code == 0
    assert typed("season", "set", "--opens", "2026-08-14", DATABASE_URL=sqlite_url).exit_code == 2


def test_a_season_holds_at_once_for_a_running_bot(bot: Bot, database_url: str, carrier: Carrier) -> None:
    settled(bot)

    def ask(number: int) -> AnyEvent | None:
        return bot.hear(Inbound("simulated", f"M{number}", ZAHRA["mobile"], f"رمز {ZAHRA['national_id']}"))

    typed("season", "set", "--opens", "2026-09-10", "--closes", "2027-02-01", DATABASE_URL=database_url)
    assert ask(1) is Event.ASKED_BEFORE_SEASON
    bot.courier.deliver_due()
    assert "۱۴۰۵/۰۶/۱۹" in carrier.sent[-1].text
    typed("season", "set", "--opens", "2026-01-01", "--closes", "2026-08-31", DATABASE_URL=database_url)
    assert ask(2) is Event.ASKED_OUT_OF_SEASON
    typed("season", "clear", DATABASE_URL=database_url)
    assert ask(3) is Event.ASKED


# flask chat


def next_text(process: "subprocess.Popen[str]") -> str:
    """The next text that the phone shows."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in iter(process.stdout.readline, ""):
        if re.match(r"  \[\d+/\d+ ", line):
            return "".join(lines).strip()
        lines.append(line)
    raise AssertionError(f"it ended: {lines}")


def say(process: "subprocess.Popen[str]", words: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{words}\n")
    process.stdin.flush()


@pytest.mark.process
def test_a_whole_recovery_is_chatted_from_a_terminal(sqlite_url: str, tmp_path: Path) -> None:
    store = Store(sqlite_url)
    settle(store)
    store.close()
    environment = {"DATABASE_URL": sqlite_url, "SECRET_KEYS": KEYS, "GATEWAYS": "simulated"}
    with running("chat", "--from", "09121234567", folder=tmp_path, **environment) as process:
        say(process, f"رمز {ZAHRA['national_id']}")
        (code,) = re.findall(r"[0-9]{6}", next_text(process))
        say(process, "000000" if code != "000000" else "000001")
        assert "نادرست" in next_text(process)
        say(process, code)
        assert re.search(r"^[a-z2-9]{4}(?:-[a-z2-9]{4}){2}$", next_text(process), re.MULTILINE)
        rest, complaints = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, rest.strip(), complaints) == (0, "", "")


@pytest.mark.parametrize("number", ["0912", "Zahra", "+14155550100", "02112345678", ""])
@pytest.mark.process
def test_chat_refuses_what_is_no_mobile(sqlite_url: str, number: str, tmp_path: Path) -> None:
    if number not in ("0912", ""):  # in a process twice is enough
        result = typed("chat", "--from", number, DATABASE_URL=sqlite_url)
        assert (result.exit_code, "--from" in result.output) == (2, True)
        return
    done = flask("chat", "--from", number, folder=tmp_path, DATABASE_URL=sqlite_url, SECRET_KEYS=KEYS)
    assert (done.returncode, "--from" in done.stderr, "Traceback" in done.stderr) == (2, True, False)


def test_chat_says_how_to_make_the_schema(tmp_path: Path) -> None:
    (tmp_path / "new.db").touch()
    result = typed("chat", "--from", "09121234567", DATABASE_URL=f"sqlite:///{tmp_path}/new.db")
    assert (result.exit_code, "flask db upgrade" in result.output) == (1, True)


@pytest.mark.parametrize("command", [["chat", "--from", "09121234567"], ["trial"]])
def test_nothing_is_tried_out_beside_a_real_gateway(sqlite_url: str, command: list[str]) -> None:
    result = typed(*command, DATABASE_URL=sqlite_url, **TWILIO)
    assert (result.exit_code, "GATEWAYS" in result.output) == (2, True)


# flask trial


def answers(address: str, process: "subprocess.Popen[str]") -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(address, timeout=2) as answer:
                return bool(answer.status == 200)
        except (URLError, ConnectionError):
            time.sleep(0.05)
    return False


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.process
def test_a_trial_says_whom_to_be_and_stops_without_a_traceback(tmp_path: Path, end: signal.Signals) -> None:
    port = free_port()
    with running("trial", folder=tmp_path, PORT=str(port)) as process:
        assert answers(f"http://127.0.0.1:{port}/healthz", process)
        process.send_signal(end)
        said, complained = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, complained
    assert "Traceback" not in said + complained
    for person in PEOPLE:
        assert person.national_id in said
        assert f"0{person.mobile.removeprefix('+98')}" in said
    assert f"http://127.0.0.1:{port}/phone" in said
    assert (tmp_path / "instance" / "ramz.db").exists()
    assert (tmp_path / "instance" / "secret_keys").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("environment", "platform", "opens"),
    [
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({}, "darwin", True),
        ({}, "linux", False),  # a browser there would take over the terminal
        ({"DISPLAY": ":0", "CI": "true"}, "linux", False),
    ],
)
def test_a_trial_opens_the_page_where_there_is_a_screen(
    environment: dict[str, str], platform: str, opens: bool
) -> None:
    assert has_screen(environment, platform) is opens


@pytest.mark.process
def test_a_trial_says_that_its_port_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = flask("trial", folder=tmp_path, PORT=str(port))
    assert done.returncode == 1
    assert f"PORT: {port}" in done.stderr
    assert "Traceback" not in done.stderr


# flask serve


@pytest.mark.process
def test_serve_names_all_that_is_missing_or_bad_and_exits_with_2(tmp_path: Path) -> None:
    done = flask("serve", folder=tmp_path, GATEWAYS="twilio", PORT="x", CODE_LENGTH="5")
    named = {line.partition(":")[0] for line in done.stderr.splitlines()}
    assert done.returncode == 2
    assert named == {
        "CODE_LENGTH", "DATABASE_URL", "PORT", "SECRET_KEYS", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_SENDER"
    }  # fmt: skip
    assert done.stdout == ""
    assert not (tmp_path / "instance").exists()


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"SECRET_KEYS": KEYS},
        {"SECRET_KEYS": KEYS.replace("k1:", "trial:"), "GATEWAYS": "simulated"},
        {"SECRET_KEYS": KEYS, **TWILIO, "GATEWAYS": "simulated,twilio"},
    ],
)
def test_serve_starts_nothing_half_set_or_made_for_a_trial(environment: dict[str, str], tmp_path: Path) -> None:
    result = app.test_cli_runner().invoke(
        args=["serve"], env={**environment, "DATABASE_URL": f"sqlite:///{tmp_path}/x"}
    )
    assert result.exit_code == 2
    assert KEYS.removeprefix("k1:") not in result.output
    assert not (tmp_path / "x").exists()


# flask diagram


@pytest.mark.process
def test_the_diagram_is_drawn_and_checked(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    before = "".join(f"# {name}\n\n{begins(name)}\nstale\n{END}\n\n" for name in DIAGRAMS)
    page.write_text(f"{before}after\n", "utf-8")
    checked = flask("diagram", "--check", folder=tmp_path)
    assert (checked.returncode, "make diagram" in checked.stderr) == (1, True)
    assert "stale" in page.read_text("utf-8")
    assert flask("diagram", folder=tmp_path).returncode == 0
    drawings = {name: f"```mermaid\n{mermaid(dialog)}\n```" for name, dialog in DIAGRAMS.items()}
    drawn = "".join(f"# {name}\n\n{begins(name)}\n{drawing}\n{END}\n\n" for name, drawing in drawings.items())
    assert page.read_text("utf-8") == f"{drawn}after\n"
    assert flask("diagram", "--check", folder=tmp_path).returncode == 0
