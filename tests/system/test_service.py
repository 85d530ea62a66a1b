"""The service as its operator runs it: real processes, real HTTP, a stand-in for Twilio, both databases."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any, Union

import psutil  # type: ignore[import-untyped]
import pytest
import requests
from sqlalchemy import select
from sqlalchemy.engine import make_url

from bot.credentials import bearer
from bot.platform.clock import system_clock
from bot.platform.random_source import SystemRandomSource
from bot.platform.version import VERSION
from store import accounts, tokens
from store.database.engine import Store
from store.tables import AccountRow, CloseReason, CodeRow, DeliveryStatus, MessageKind, OutboundMessageRow, table
from tests.providers import twilio_standin
from tests.providers.twilio_standin import (
    ACCOUNT,
    PUBLIC_URL,
    SENDER,
    TOKEN,
    TwilioStandIn,
    new_sid,
    post_text,
    receipt_form,
    settings_at,
)
from tests.support import forked, lifeline
from tests.support.databases import Fresh
from tests.support.forked import Forked
from tests.support.parts import KEYS, NOON, PATIENCE_SECONDS, eventually
from tests.support.people import UNKNOWN_ID
from tests.support.places import ROOT

pytestmark = pytest.mark.process

SMS, RECEIPTS = "/webhooks/twilio/sms", "/webhooks/twilio/receipts"
CODE = re.compile(r"(?<!\d)\d{6}(?!\d)", re.ASCII)
PASSWORD = re.compile(r"^[a-z2-9]{4}(?:-[a-z2-9]{4}){2}$", re.MULTILINE)
MESSAGE, CODES, ACCOUNTS = table(OutboundMessageRow), table(CodeRow), table(AccountRow)
API_SECRET = "the secret of an API key"


@dataclass(frozen=True)
class Pilgrim:
    """Somebody with an account and a phone."""

    national_id: str
    mobile: str


def pilgrims() -> Iterator[Pilgrim]:
    """As many as one wants, each with an ID whose check digit is right."""
    for number in count(1):
        nine = f"{number * 7919 + 100_000_000:09d}"
        rest = sum(int(digit) * (10 - place) for place, digit in enumerate(nine)) % 11
        yield Pilgrim(f"{nine}{rest if rest < 2 else 11 - rest}", f"+98912{number:07d}")


PEOPLE = pilgrims()


def some(database_url: str, number: int) -> list[Pilgrim]:
    """Pilgrims whom nobody has texted for yet, put into a database."""
    found = [next(PEOPLE) for _ in range(number)]
    rows = [
        {"national_id": it.national_id, "username": it.national_id, "mobile": it.mobile, "language": "en"}
        for it in found
    ]
    store = Store(database_url)
    with store.writing() as connection:
        accounts.put(connection, rows, NOON)
    store.close()
    return found


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


def environment(**settings: str) -> dict[str, str]:
    """Nothing of this process's own but what Python needs."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "NO_PROXY": "*", **settings}


Process = Union[Forked, "subprocess.Popen[str]"]


def serve(settings: dict[str, str], printed: Path, root: Path = ROOT, *, anew: bool = False) -> Process:
    """Start the service; what it prints goes to the end of a file. Code of elsewhere is always started anew."""
    own = environment(**settings)
    if not anew and root == ROOT:
        return forked.start("serve", folder=root, environment=own, out=printed, err=printed)
    command = [sys.executable, "-m", "flask", "serve"]
    with printed.open("a", encoding="utf-8") as out:
        return lifeline.hold(
            subprocess.Popen(command, cwd=root, env=own, text=True, stdout=out, stderr=subprocess.STDOUT)
        )


# Log events that come where nothing is wrong.
SAID_OF_ITSELF = ('"serving"', '"audit_sealed"')


@dataclass
class Service:
    """`flask serve`, its database, and Twilio's side of it."""

    database_url: str
    standin: TwilioStandIn
    folder: Path
    port: int = field(default_factory=free_port)
    more: dict[str, str] = field(default_factory=dict)
    root: Path = ROOT  # where the code is that runs
    anew: bool = False  # started as a shell does
    process: Process | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def printed(self) -> str:
        """All that its processes have written, from its first start on."""
        path = self.folder / "printed"
        return path.read_text("utf-8") if path.exists() else ""

    @property
    def troubles(self) -> list[str]:
        """What it has written, but for what it says of itself: what it serves, and each hour the audit's end."""
        return [line for line in self.printed.splitlines() if not any(it in line for it in SAID_OF_ITSELF)]

    def start(self) -> None:
        own = {"DATABASE_URL": self.database_url, "SECRET_KEYS": KEYS, "PORT": str(self.port)}
        self.process = serve(
            {**own, **settings_at(self.standin.url), **self.more}, self.folder / "printed", self.root, anew=self.anew
        )
        assert eventually(self.is_ready), self.printed

    def is_ready(self) -> bool:
        try:
            return requests.get(f"{self.address}/readyz", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def workers(self) -> list[int]:
        assert self.process is not None
        return [child.pid for child in psutil.Process(self.process.pid).children()]

    def stop(self) -> int:
        """End it as an operator does; its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        """End it as a power cut does: the master and every worker, one after the other."""
        assert self.process is not None
        for pid in [self.process.pid, *self.workers()]:
            os.kill(pid, signal.SIGKILL)
        self.process.wait(PATIENCE_SECONDS)
        assert eventually(self.is_free)

    def is_free(self) -> bool:
        """Whether its port can be listened on again."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            return probe.connect_ex(("127.0.0.1", self.port)) != 0

    def text(self, sender: str, words: str, sid: str | None = None) -> int:
        with requests.Session() as session:
            return post_text(session, self.address, PUBLIC_URL, sender, words, sid)

    def at_once(self, texts: Sequence[tuple[str, str, str]]) -> list[int]:
        """Several texts (sender, words, id) at the same moment; their statuses."""
        with ThreadPoolExecutor(len(texts)) as pool:
            return list(pool.map(lambda text: self.text(*text), texts))

    def code(self, pilgrim: Pilgrim, seconds: float = PATIENCE_SECONDS) -> str:
        """The newest code that a pilgrim's phone has been sent."""
        assert self.standin.wait(lambda: self.codes(pilgrim), seconds), self.printed
        return self.codes(pilgrim)[-1]

    def codes(self, pilgrim: Pilgrim) -> list[str]:
        return [code for text in self.standin.texts_to(pilgrim.mobile) for code in CODE.findall(text)]

    def passwords(self, pilgrim: Pilgrim) -> list[str]:
        return [word for text in self.standin.texts_to(pilgrim.mobile) for word in PASSWORD.findall(text)]

    def rows(self, statement: Any) -> list[Any]:
        store = Store(self.database_url)
        with store.reading() as connection:
            found = list(connection.execute(statement).all())
        store.close()
        return found


@contextmanager
def service_on(database_url: str, folder: Path, **options: Any) -> Iterator[Service]:
    with TwilioStandIn() as standin:
        service = Service(database_url, standin, folder, **options)
        try:
            service.start()
            yield service
        finally:
            standin.mend()
            if service.process and service.process.poll() is None:
                service.stop()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all the tests that leave it well."""
    fresh: Fresh = request.getfixturevalue(f"fresh_{request.param}")
    with service_on(fresh(), tmp_path_factory.mktemp("service")) as service:
        yield service


class TestSettings:
    def refused(self, tmp_path: Path, **settings: str) -> tuple[int, str]:
        """The exit status of a service that can't start, and what it wrote to stderr."""
        settings = {"DATABASE_URL": f"sqlite:///{tmp_path / 'x.db'}", "PORT": str(free_port()), **settings}
        done = forked.run("serve", folder=ROOT, environment=environment(**settings))
        assert done.stdout == ""
        assert not (tmp_path / "x.db").exists(), "it must not have begun"
        return done.returncode, done.stderr

    def test_it_names_every_setting_that_is_missing(self, tmp_path: Path) -> None:
        assert self.refused(tmp_path) == (2, "GATEWAYS: missing\nSECRET_KEYS: missing\n")
        status, err = self.refused(tmp_path, GATEWAYS="twilio", SECRET_KEYS=KEYS)
        assert status == 2
        named = {line.partition(":")[0] for line in err.splitlines()}
        assert named == {"TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_SENDER"}

    def test_it_names_every_setting_that_is_bad_and_every_one_that_is_missing_at_once(self, tmp_path: Path) -> None:
        missing_file = str(tmp_path / "nothing here")
        bad = {
            "SECRET_KEYS": "k1:c2hvcnQtc2VjcmV0",
            "GATEWAYS": "twilio,pigeon",
            "DATABASE_URL": "mysql://operator:hunter2@db/ramz",
            "PUBLIC_URL": "ramz.example.ir",
            "PORT": "http",
            "CODE_LENGTH": "4",
            "CODE_TTL_SECONDS": "601",
            "ALLOWED_COUNTRIES": "Iran",
            "OTHER_PHONES": "perhaps",
            "TWILIO_AUTH_TOKEN_FILE": missing_file,
            "TWILIO_API_KEY_SECRET": API_SECRET,
        }
        status, err = self.refused(tmp_path, **bad)
        assert status == 2
        lines = err.splitlines()
        for name in [*bad, "TWILIO_ACCOUNT_SID", "TWILIO_SENDER"]:
            assert any(name in line for line in lines), f"{name} is not named:\n{err}"
        for value in ("c2hvcnQtc2VjcmV0", "hunter2", API_SECRET):
            assert value not in err
        assert "Traceback" not in err

    @pytest.mark.parametrize(
        ("settings", "named"),
        [
            ({"GATEWAYS": "simulated,twilio"}, "GATEWAYS"),
            ({"GATEWAYS": "simulated", "SECRET_KEYS": KEYS.replace("k1:", "trial:")}, "SECRET_KEYS"),
        ],
    )
    def test_it_is_not_started_for_real_people_with_what_is_for_trials(
        self, tmp_path: Path, settings: dict[str, str], named: str
    ) -> None:
        whole = {
            "SECRET_KEYS": KEYS,
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_AUTH_TOKEN": TOKEN,
            "TWILIO_SENDER": SENDER,
            **settings,
        }
        status, err = self.refused(tmp_path, **whole)
        assert status == 2
        assert [line.partition(":")[0] for line in err.splitlines()] == [named]

    def test_it_says_so_when_the_database_is_out_of_reach(self, tmp_path: Path) -> None:
        url = f"postgresql+psycopg://operator:hunter2@127.0.0.1:{free_port()}/ramz"
        status, err = self.refused(tmp_path, DATABASE_URL=url, GATEWAYS="simulated", SECRET_KEYS=KEYS)
        assert status == 1
        assert err.startswith("DATABASE_URL:") and len(err.splitlines()) == 1
        assert "hunter2" not in err


class TestAtWork:
    def test_it_says_what_it_is_in_its_first_line(self, service: Service) -> None:
        line = json.loads(service.printed.splitlines()[0])
        url = make_url(service.database_url)
        assert (line["event"], line["version"], line["gateways"], line["keys"]) == (
            "serving", VERSION, ["twilio"], ["k1"],
        )  # fmt: skip
        assert line["database"].startswith(url.get_backend_name()) and str(url.database) in line["database"]
        assert KEYS.partition(":")[2] not in service.printed and TOKEN not in service.printed

    def test_a_password_is_recovered(self, service: Service) -> None:
        (pilgrim,) = some(service.database_url, 1)
        assert service.text(pilgrim.mobile, f"RESET {pilgrim.national_id}") == 200
        code = service.code(pilgrim)
        self.confirm(service, pilgrim)
        assert service.text(pilgrim.mobile, code) == 200
        assert service.standin.wait(lambda: len(service.standin.texts_to(pilgrim.mobile)) == 2)
        (password,) = service.passwords(pilgrim)
        assert password.isascii()
        (account,) = service.rows(select(ACCOUNTS).where(ACCOUNTS.c.mobile == pilgrim.mobile))
        assert account.password_hash.startswith("$argon2id$") and account.password_expires_at is not None
        texts = (
            select(MESSAGE.c.status, MESSAGE.c.secret).where(MESSAGE.c.phone == pilgrim.mobile).order_by(MESSAGE.c.id)
        )
        expected = [(DeliveryStatus.DELIVERED, None), (DeliveryStatus.ACCEPTED, None)]
        assert eventually(lambda: [tuple(row) for row in service.rows(texts)] == expected)

    def confirm(self, service: Service, pilgrim: Pilgrim) -> None:
        """Twilio reports the pilgrim's texts as delivered, to the address that each of them asked for."""
        for message in list(service.standin.taken):
            if message.to == pilgrim.mobile:
                path = message.form["StatusCallback"].removeprefix(PUBLIC_URL)
                with requests.Session() as session:
                    form = receipt_form(message.sid, "delivered")
                    assert twilio_standin.post(session, service.address, PUBLIC_URL, path, form) == 204

    def test_20_replays_of_one_text_make_one_code_and_one_text(self, service: Service) -> None:
        (pilgrim,) = some(service.database_url, 1)
        sid, words = new_sid(), f"RESET {pilgrim.national_id}"
        assert set(service.at_once([(pilgrim.mobile, words, sid)] * 20)) == {200}
        service.code(pilgrim)
        assert set(service.at_once([(pilgrim.mobile, words, sid)] * 5)) == {200}
        time.sleep(1.2)  # whatever a sweep would find
        assert len(service.standin.texts_to(pilgrim.mobile)) == 1
        assert len(service.rows(select(CODES).where(CODES.c.phone == pilgrim.mobile))) == 1

    def test_50_right_codes_at_once_set_one_password(self, service: Service) -> None:
        (pilgrim,) = some(service.database_url, 1)
        service.text(pilgrim.mobile, f"RESET {pilgrim.national_id}")
        code = service.code(pilgrim)
        assert set(service.at_once([(pilgrim.mobile, code, new_sid()) for _ in range(50)])) == {200}
        assert service.standin.wait(lambda: service.passwords(pilgrim))
        waiting = select(MESSAGE).where(
            MESSAGE.c.phone == pilgrim.mobile, MESSAGE.c.status == int(DeliveryStatus.QUEUED)
        )
        assert eventually(lambda: not service.rows(waiting))
        assert len(service.passwords(pilgrim)) == 1
        written = select(MESSAGE.c.phrase).where(
            MESSAGE.c.phone == pilgrim.mobile, MESSAGE.c.kind == int(MessageKind.PASSWORD)
        )
        assert len(service.rows(written)) == 1
        assert service.rows(select(CODES.c.close_reason).where(CODES.c.phone == pilgrim.mobile)) == [
            (CloseReason.USED,)
        ]

    @pytest.mark.alone
    def test_codes_are_out_within_a_second_at_20_requests_a_second(
        self, service: Service, record_property: Callable[[str, object], None]
    ) -> None:
        a_second, seconds = 20, 8
        people = some(service.database_url, a_second * seconds)
        began: dict[str, float] = {}
        start = time.monotonic() + 0.2

        def ask(number: int) -> int:
            pilgrim, due = people[number], start + number / a_second
            time.sleep(max(0.0, due - time.monotonic()))
            began[pilgrim.mobile] = due  # not when a thread was free: a queue here would count, too
            return service.text(pilgrim.mobile, f"RESET {pilgrim.national_id}")

        with ThreadPoolExecutor(40) as pool:
            assert set(pool.map(ask, range(len(people)))) == {200}
        mine = {pilgrim.mobile for pilgrim in people}
        assert service.standin.wait(lambda: len({it.to for it in service.standin.taken} & mine) == len(mine))
        taken = {message.to: message.at for message in reversed(list(service.standin.taken))}
        waits = sorted(taken[mobile] - at for mobile, at in began.items())
        p95 = waits[int(len(waits) * 0.95) - 1]
        shown = f"from webhook to provider: median {median(waits):.3f} s, p95 {p95:.3f} s, longest {waits[-1]:.3f} s"
        record_property("latency", shown)
        print(shown)
        assert p95 < 1.0, shown


CROWD = 12  # so many that what is printed would hold something of one of them
PIECES = ("Traceback", "Warning", "fakher", "RESET", "Your new", KEYS, TOKEN, "national")


NO_CHUNKS = (b"zz\r\n", b"3\r\nabcXX0\r\n\r\n")
CUT_OFF = (b"10\r\nabc", b"FFFFFFFFFFFF\r\nabc")


class TestABodyInChunks:
    """Nothing tells beforehand how long it is, or whether it ends."""

    def status(self, service: Service, path: str, body: bytes, *headers: str) -> int:
        lines = (f"POST {path} HTTP/1.1", "Host: ramz", "Transfer-Encoding: chunked", "Connection: close", *headers)
        with socket.create_connection(("127.0.0.1", service.port), timeout=20) as caller:
            caller.sendall("\r\n".join((*lines, "", "")).encode() + body)
            caller.shutdown(socket.SHUT_WR)
            with caller.makefile("rb") as answer:
                return int((answer.readline().split() or [b"", b"0"])[1])

    @pytest.mark.parametrize("body", NO_CHUNKS)
    def test_one_whose_chunks_are_none_is_the_callers_fault(self, service: Service, body: bytes) -> None:
        token = self.token(service)
        json = (f"Authorization: Bearer {token}", "Content-Type: application/json")
        assert self.status(service, "/api/v1/passwords/verify", body, *json) == 422
        assert self.status(service, SMS, body, "Content-Type: application/x-www-form-urlencoded") == 400

    @pytest.mark.parametrize("body", CUT_OFF)
    def test_one_that_is_cut_off_has_no_answer(self, service: Service, body: bytes) -> None:
        assert self.status(service, SMS, body, "Content-Type: application/x-www-form-urlencoded") == 0

    def test_one_whose_chunks_are_right_is_read(self, service: Service) -> None:
        said = b'{"national_id":"0012345679","password":"saffron"}'
        headers = (f"Authorization: Bearer {self.token(service)}", "Content-Type: application/json")
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(said), said)
        assert self.status(service, "/api/v1/passwords/verify", body, *headers) == 200

    def token(self, service: Service) -> str:
        made, now = bearer.make(SystemRandomSource()), system_clock()
        store = Store(service.database_url)
        with store.writing() as connection:
            tokens.issue(connection, made.id, "fakher", made.digest, now, now + timedelta(days=1))
        store.close()
        return made.text


class TestWhatItPrints:
    def test_it_is_nothing_about_anyone(self, service: Service) -> None:
        """Recoveries that go well, then all troubles at once."""
        self.recover(service, some(service.database_url, CROWD))
        known, other = some(service.database_url, 2)
        service.standin.trouble(twilio_standin.UNAVAILABLE, 2)
        service.standin.trouble(twilio_standin.NOT_A_MOBILE, 1)
        service.text(known.mobile, f"RESET {known.national_id}")
        service.text(other.mobile, f"رمز {known.national_id}")
        service.text("+989300000009", f"رمز {UNKNOWN_ID}")
        service.text(known.mobile, "\x00\r\n{code} %s my secret words 123456")
        form = twilio_standin.text_form(known.mobile, f"RESET {known.national_id}")
        for path in (SMS, RECEIPTS, f"/{known.national_id}", f"/webhooks/{known.mobile}"):
            requests.post(service.address + path, params=form, data=form, timeout=10)
            requests.get(service.address + path, params=form, timeout=10)
        with requests.Session() as session:
            unknown = receipt_form("SM-nobody", "delivered")
            assert twilio_standin.post(session, service.address, PUBLIC_URL, f"{RECEIPTS}?ref=999999", unknown) == 204
        assert eventually(lambda: "send_failed" in service.printed and "receipt_unknown" in service.printed)
        assert eventually(
            lambda: not service.rows(select(MESSAGE.c.id).where(MESSAGE.c.status == int(DeliveryStatus.QUEUED)))
        )
        self.holds_nothing(service)

    def recover(self, service: Service, people: list[Pilgrim]) -> None:
        service.at_once([(it.mobile, f"RESET {it.national_id}", new_sid()) for it in people])
        service.at_once([(it.mobile, service.code(it), new_sid()) for it in people])
        assert service.standin.wait(lambda: all(service.passwords(it) for it in people)), service.printed

    def holds_nothing(self, service: Service) -> None:
        printed = service.printed
        phones = {message.to for message in service.standin.calls} | {"+989300000009"}
        bodies = [message.body for message in service.standin.calls]
        codes = {code for body in bodies for code in CODE.findall(body)}
        passwords = {word for body in bodies for word in PASSWORD.findall(body)}
        ids = {row.national_id for row in service.rows(select(ACCOUNTS.c.national_id))} | {UNKNOWN_ID}
        assert min(len(phones), len(codes), len(passwords), len(ids)) >= CROWD
        assert not [phone for phone in phones if phone.removeprefix("+98") in printed]
        assert not [it for it in codes if re.search(rf"(?<!\d){it}(?!\d)", without_times(printed))]
        assert not [it for it in ids | passwords if it in printed]
        assert not [piece for piece in PIECES if piece in printed], printed
        assert not [line for line in printed.splitlines() if not line.startswith("{")], "JSON lines, and nothing else"


def without_times(printed: str) -> str:
    """What was printed without the microseconds of its times, which are six digits as well."""
    return re.sub(r"\d\d:\d\d:\d\d\.\d{6}", "", printed)


class TestStopping:
    @pytest.mark.parametrize("database", ["sqlite", "postgresql"])
    def test_it_finishes_what_is_in_hand(self, database: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
        fresh: Fresh = request.getfixturevalue(f"fresh_{database}")
        with service_on(fresh(), tmp_path) as service:
            people = some(service.database_url, 12)
            service.standin.trouble(twilio_standin.Slow(0.5), None)
            asked = [(it.mobile, f"RESET {it.national_id}", new_sid()) for it in people]
            assert set(service.at_once(asked)) == {200}
            assert service.stop() == 0
            assert all(len(service.codes(pilgrim)) == 1 for pilgrim in people)
            assert service.rows(select(MESSAGE.c.status, MESSAGE.c.secret).distinct()) == [
                (DeliveryStatus.ACCEPTED, None)
            ]
            assert service.troubles == []


class TestSuddenDeath:
    @pytest.mark.parametrize(
        ("database", "trouble"),
        [("sqlite", twilio_standin.Hang()), ("postgresql", twilio_standin.UNAVAILABLE)],
    )
    def test_nobody_loses_an_answer(
        self, database: str, trouble: twilio_standin.Trouble, request: pytest.FixtureRequest, tmp_path: Path
    ) -> None:
        fresh: Fresh = request.getfixturevalue(f"fresh_{database}")
        with service_on(fresh(), tmp_path) as service:
            people = some(service.database_url, 20)
            asked = [(it.mobile, f"RESET {it.national_id}", new_sid()) for it in people]
            service.standin.trouble(trouble, None)
            assert set(service.at_once(asked[:10])) == {200}
            assert service.standin.wait(lambda: len(service.standin.calls) >= 5)

            os.kill(service.workers()[0], signal.SIGKILL)
            assert eventually(lambda: len(service.workers()) == 2)
            assert set(service.at_once(asked[10:])) <= {200}
            assert service.standin.wait(lambda: len(service.standin.calls) >= 10)

            service.kill()
            assert service.standin.taken == []
            service.start()
            service.standin.mend()
            codes = {pilgrim: service.code(pilgrim, 30) for pilgrim in people}

            assert set(service.at_once(asked)) == {200}, "Twilio, who may have seen no answer, sends all of them again"
            for _ in range(2):
                assert set(service.at_once([(it.mobile, code, new_sid()) for it, code in codes.items()])) == {200}
            assert service.standin.wait(lambda: all(service.passwords(pilgrim) for pilgrim in people))
            waiting = select(MESSAGE.c.id).where(MESSAGE.c.status == int(DeliveryStatus.QUEUED))
            assert eventually(lambda: not service.rows(waiting))
            assert all(len(set(service.passwords(it))) == 1 for it in people)
            assert all(len(set(service.codes(it))) == 1 for it in people)
            assert service.stop() == 0
            assert "Traceback" not in service.printed
