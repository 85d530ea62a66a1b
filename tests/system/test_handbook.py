"""OPERATING.md's tasks, walked by its own words: its commands run in a shell, on a real service and a real PostgreSQL.

What a test can't have (systemd, other users of the system) is stood in for by a few lines of shell.
"""

import base64
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import quote

import pytest
import requests
from sqlalchemy import select
from sqlalchemy.engine import make_url

from bot.build import Bot
from bot.ports import Inbound
from store import staff
from store.database.engine import Store
from store.tables import AccountRow, table
from tests.bot.cli.test_commands import around, typed
from tests.bot.cli.test_deploy import printed, tools_of
from tests.conftest import MakeBot
from tests.providers import kannel_standin
from tests.providers.kannel_standin import KannelStandIn
from tests.providers.twilio_standin import TwilioStandIn, settings_at
from tests.support import forked
from tests.support.databases import SQLITE_ONLY
from tests.support.parts import KEYS, Carrier, eventually
from tests.support.people import CHIEF, ZAHRA, employ, settled
from tests.support.places import ROOT
from tests.system.test_backup import played
from tests.system.test_service import Pilgrim, Service, some

pytestmark = pytest.mark.process
HANDBOOK = (ROOT / "OPERATING.md").read_text("utf-8")
ACCOUNT, NUMBERS = table(AccountRow), count()
HEAD = CHIEF | {"mobile": "+989111110005", "name": "Head"}
NEW_KEY = "k2:" + base64.b64encode(bytes(range(32, 64))).decode()
STAND_INS = {
    "systemctl": 'case "$*" in "start ramz-backup") exec ramz-backup "$BACKUPS" ;; esac',
    "runuser": 'export PGUSER="$2"; shift 3; exec "$@"',  # -u USER -- COMMAND
    "ramz": 'exec flask "$@"',
}


def block(heading: str, number: int = 0) -> str:
    """A block of commands under a heading of the handbook."""
    part = HANDBOOK.split(f"\n## {heading}\n")[1].split("\n## ", maxsplit=1)[0]
    found = re.findall(r"^```\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)[number]
    return str(found)


class Machine:
    """A shell in which the handbook's commands are there."""

    def __init__(self, folder: Path, url: str, **settings: str) -> None:
        self.folder, self.url, self.settings = folder, url, {"DATABASE_URL": url, "SECRET_KEYS": KEYS, **settings}
        self.programs = folder / "programs"
        self.programs.mkdir()
        forked.programs(self.programs, app=ROOT / "wsgi.py")
        for name, script in STAND_INS.items():
            self._put(name, f"#!/bin/sh\n{script}\n")
        self._put("ramz-backup", forked.in_script(printed("backup", DATABASE_URL=url).stdout, self.programs))

    def _put(self, name: str, script: str) -> None:
        (self.programs / name).write_text(script, "utf-8")
        (self.programs / name).chmod(0o755)

    @property
    def backups(self) -> Path:
        return self.folder / "backups"

    def run(self, script: str, **more: str) -> str:
        """What a script prints; each of its lines must do."""
        tools = tools_of(self.url)["PATH"]
        path = {"PATH": f"{self.programs}{os.pathsep}{tools}", "BACKUPS": str(self.backups)}
        ran = subprocess.run(
            ["sh", "-eu", "-c", script],
            cwd=self.folder,
            env=around({**self.settings, **path, **more}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, f"{script}\n{ran.stdout}{ran.stderr}"
        return ran.stdout


@pytest.fixture
def postgresql(postgresql_url: str, tmp_path: Path) -> Iterator[Machine]:
    """A machine with an empty PostgreSQL, on which the handbook makes its role and database."""
    server = str(make_url(postgresql_url).query["host"])
    url = f"postgresql+psycopg://ramz@/ramz?host={server}"
    machine = Machine(tmp_path, url, PGHOST=server, PGUSER="postgres", **settings_at("http://127.0.0.1:9"))
    try:
        yield machine
    finally:
        aside = machine.run(
            "psql -Atd postgres -c \"SELECT datname FROM pg_database WHERE datname LIKE 'ramz_aside%'\""
        )
        for database in ("ramz", "ramz_restored", *aside.split()):
            machine.run(f"dropdb --force --if-exists {database}")
        machine.run("dropuser --if-exists ramz")


def test_restore_and_practise_it(postgresql: Machine) -> None:
    create = re.search(r"^ramz deploy postgresql .*$", block("The first day", 1), re.MULTILINE)
    assert create is not None
    postgresql.run(f"{create[0]}\nramz db upgrade")
    played(postgresql.url)
    postgresql.run("systemctl start ramz-backup")
    (file,) = postgresql.backups.iterdir()
    script = block("Restore, and practise it").replace("/var/lib/ramz/backups/FILE.dump", str(file))
    assert str(file) in script
    assert "unbroken" in postgresql.run(script)
    time.sleep(1.1)  # what is put aside bears the second
    assert "unbroken" in postgresql.run(script), "it may be begun again"
    with closing(Store(postgresql.url)) as store, store.reading() as connection:
        assert ZAHRA["mobile"] in connection.execute(select(ACCOUNT.c.mobile)).scalars().all()


def test_the_season_ends(sqlite_url: str, tmp_path: Path) -> None:
    machine = Machine(tmp_path, sqlite_url)
    played(sqlite_url)
    days = ("--opens", "2026-08-14", "--closes", "2026-12-11")
    assert typed("season", "set", *days, DATABASE_URL=sqlite_url).exit_code == 0
    script = block("The season ends").replace("install -d -o ramz", "install -d")
    script = script.replace("/var/lib/ramz", str(tmp_path)).replace(" /root/", f" {tmp_path}/kept.db")
    said = machine.run(script)
    assert "There are no tokens." in said and "2026-08-14" in said
    for name in ("season.csv", "season.html", "season.pdf"):
        assert (tmp_path / "reports" / name).stat().st_size > 100, name
    assert (tmp_path / "kept.db").exists()


@contextmanager
def serving(url: str, standin: TwilioStandIn, folder: Path, keys: str, **more: str) -> Iterator[Service]:
    service = Service(url, standin, folder, more={"SECRET_KEYS": keys, **more})
    service.start()
    try:
        yield service
    finally:
        service.stop()


def test_a_key_has_leaked(sqlite_url: str, tmp_path: Path) -> None:
    both = f"{NEW_KEY},{KEYS}"
    with TwilioStandIn() as standin:
        with serving(sqlite_url, standin, tmp_path, KEYS) as service:
            (pilgrim,) = some(sqlite_url, 1)
            service.text(pilgrim.mobile, f"RESET {pilgrim.national_id}")
            leaked = service.code(pilgrim)
        alone = typed("serve", DATABASE_URL=sqlite_url, **settings_at(standin.url) | {"SECRET_KEYS": NEW_KEY})
        assert alone.exit_code == 2 and "SECRET_KEYS" in alone.stderr
        with serving(sqlite_url, standin, tmp_path, both):
            assert typed("audit", "rekey", DATABASE_URL=sqlite_url, SECRET_KEYS=both).exit_code == 0
        with serving(sqlite_url, standin, tmp_path, NEW_KEY) as service:
            service.text(pilgrim.mobile, leaked)
            (other,) = some(sqlite_url, 1)
            service.text(other.mobile, f"RESET {other.national_id}")
            service.text(other.mobile, service.code(other))
            assert standin.wait(lambda: service.passwords(other)) and not service.passwords(pilgrim)
    verified = typed("audit", "verify", DATABASE_URL=sqlite_url, SECRET_KEYS=NEW_KEY)
    assert verified.exit_code == 0 and "unbroken" in verified.stdout, verified.output


def text(bot: Bot, sender: str, words: str) -> None:
    bot.hear(Inbound("simulated", f"H{next(NUMBERS)}", sender, words))
    bot.courier.deliver_due()


@SQLITE_ONLY
def test_a_staff_phone_is_lost(make_bot: MakeBot, carrier: Carrier, database_url: str) -> None:
    bot = settled(make_bot())
    employ(bot.store, CHIEF)
    mobile = CHIEF["mobile"]
    text(bot, mobile, f"RESET {ZAHRA['national_id']}")
    (code,) = re.findall(r"\d{6}", carrier.sent[-1].text)
    assert typed("staff", "remove", "--mobile", mobile, DATABASE_URL=database_url).exit_code == 0
    before = len(carrier.sent)
    text(bot, mobile, code)
    assert ZAHRA["mobile"] not in [it.to for it in carrier.sent[before:]], "the order has ended"
    shown = typed("audit", "show", "--staff", mobile, "--from", "2026-09-01", DATABASE_URL=database_url)
    assert shown.exit_code == 0 and "reset" in shown.stdout, shown.output
    add = ["--mobile", mobile, "--role", CHIEF["role"], "--name", CHIEF["name"]]
    assert typed("staff", "add", *add, DATABASE_URL=database_url).exit_code == 0
    with bot.store.reading() as connection:
        assert [it.mobile for it in staff.every(connection)] == [mobile]


@contextmanager
def staffed(url: str, standin: TwilioStandIn, folder: Path) -> Iterator[Service]:
    """A service, with staff who each have the phone of somebody in Tehran."""
    with closing(Store(url)) as store:
        employ(store, CHIEF, HEAD)
    with serving(url, standin, folder, KEYS) as service:
        yield service


def test_a_wrong_mobile_is_on_file(sqlite_url: str, tmp_path: Path) -> None:
    (pilgrim,) = some(sqlite_url, 1)
    new, newer = "+989171112233", "+989171112244"
    with TwilioStandIn() as standin, staffed(sqlite_url, standin, tmp_path) as service:
        for member in (CHIEF, HEAD):
            service.text(member["mobile"], f"MOBILE {pilgrim.national_id} {new}")
            service.text(member["mobile"], service.code(Pilgrim("", member["mobile"])))
        assert standin.wait(lambda: standin.texts_to(pilgrim.mobile)), "the old mobile is told"
        told = len(standin.texts_to(pilgrim.mobile))
        assert not standin.texts_to(new)
        service.text(pilgrim.mobile, f"RESET {pilgrim.national_id}")
        assert standin.wait(lambda: len(standin.texts_to(pilgrim.mobile)) > told)
        assert not service.codes(pilgrim), "until the day is over no code goes to either"
        people = tmp_path / "people.csv"
        people.write_text(
            f"national_id,username,mobile\n{pilgrim.national_id},{pilgrim.national_id},{newer}\n", "utf-8"
        )
        machine = Machine(tmp_path, sqlite_url)
        (command,) = re.findall(r"`(ramz accounts import [^`]*)`", words_of("A wrong mobile is on file"))
        assert "1 registered mobiles changed" in machine.run(command.replace("FILE.csv", str(people)))
        assert standin.wait(lambda: standin.texts_to(newer)), "the new one is told"
        # At once; but what the two had begun is ended by a job, and keeps codes back until then.
        now_his = Pilgrim(pilgrim.national_id, newer)
        assert eventually(
            lambda: (
                service.text(newer, f"RESET {pilgrim.national_id}") == 200
                and standin.wait(lambda: service.codes(now_his), 2)
            )
        )
        assert "mobile_changed" in machine.run(f"ramz audit show --account {pilgrim.national_id}")


def test_the_provider_changes_sides(sqlite_url: str, tmp_path: Path) -> None:
    pilgrim, other, third = some(sqlite_url, 3)
    (check,) = re.findall(r"`(ramz gateways check [^`]*)`", words_of("The provider changes sides"))

    def texted(service: Service, who: Pilgrim, name: str) -> None:
        secret = quote(kannel_standin.SECRET, safe="")
        address = f"{service.address}/webhooks/kannel/sms?secret={secret}&id={name}"
        headers = {"X-Kannel-From": who.mobile, "X-Kannel-To": kannel_standin.SENDER}
        said = f"RESET {who.national_id}"
        assert requests.post(address, data=said.encode(), headers=headers, timeout=15).status_code == 200

    with TwilioStandIn() as standin, KannelStandIn() as kannel:
        own = settings_of(kannel)
        with serving(sqlite_url, standin, tmp_path, KEYS) as service:
            service.text(pilgrim.mobile, f"RESET {pilgrim.national_id}")
            assert service.code(pilgrim)
        with serving(sqlite_url, standin, tmp_path, KEYS, GATEWAYS="twilio,kannel", **own) as service:
            machine = Machine(tmp_path, sqlite_url, **settings_at(standin.url, GATEWAYS="twilio,kannel", **own))
            machine.run(check.replace("NAME", "kannel").replace("MOBILE", "09120000001"))
            assert kannel.texts_to("+989120000001"), "that text came"
            texted(service, other, "K1")
            assert eventually(lambda: kannel.texts_to(other.mobile)), "what came in by the new one it also answers"
            assert not standin.texts_to(other.mobile)
        with serving(sqlite_url, standin, tmp_path, KEYS, GATEWAYS="kannel,twilio", **own) as service:
            assert service.text(third.mobile, f"RESET {third.national_id}") == 200, "the old one is still heard"
        with serving(sqlite_url, standin, tmp_path, KEYS, GATEWAYS="kannel", **own) as service:
            assert service.text(third.mobile, f"RESET {third.national_id}") == 404


def words_of(heading: str) -> str:
    """What stands under a heading of the handbook, in one line."""
    return " ".join(HANDBOOK.split(f"\n## {heading}\n")[1].split("\n## ", maxsplit=1)[0].split())


def settings_of(kannel: KannelStandIn) -> dict[str, str]:
    return {
        "KANNEL_SEND_URL": kannel.url,
        "KANNEL_USER": kannel_standin.USER,
        "KANNEL_PASSWORD": kannel_standin.PASSWORD,
        "KANNEL_SENDER": kannel_standin.SENDER,
        "KANNEL_INBOUND_SECRET": kannel_standin.SECRET,
    }
