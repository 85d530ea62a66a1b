"""The whole way over a real Kannel: an operator's phones, bearerbox, smsbox, the service, and back."""

import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import select

from bot.credentials.passwords import ALPHABET
from bot.ports import Reason
from store import accounts
from store.database.engine import Store
from store.tables import CloseReason, CodeRow, DeliveryStatus, InboundMessageRow, MessageKind, OutboundMessageRow, table
from tests.bot.cli.test_commands import typed
from tests.providers import smpp_operator
from tests.providers.smpp_operator import SmppOperator
from tests.support import lifeline
from tests.support.databases import Fresh
from tests.support.parts import KEYS, NOON, eventually
from tests.system.test_service import Pilgrim, Process, free_port, pilgrims, serve, without_times

BEARERBOX, SMSBOX = (
    shutil.which("bearerbox", path="/usr/sbin:/usr/bin"),
    shutil.which("smsbox", path="/usr/sbin:/usr/bin"),
)
INSTALLED = bool(BEARERBOX and SMSBOX)
pytestmark = pytest.mark.process

SHORT_CODE, SECRET, PASSWORD = "3000555", "a-secret%that+kannel-knows", 'a-"password"\\of-kannel'
CODE = re.compile(r"(?<!\d)\d{6}(?!\d)", re.ASCII)
WORD = re.compile(rf"^[{ALPHABET}]{{4}}(?:-[{ALPHABET}]{{4}}){{2}}$", re.MULTILINE)
MESSAGE, INBOUND, CODES = table(OutboundMessageRow), table(InboundMessageRow), table(CodeRow)
PEOPLE = pilgrims()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Box:
    """One of Kannel's processes."""

    command: str
    folder: Path
    port: int  # where it listens once it is ready
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        with (self.folder / "stderr").open("ab") as errors:
            command = [self.command, "-v", "4", str(self.folder / "kannel.conf")]
            # In a group of its own: an smsbox that has lost its bearerbox begins anew as another process.
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, start_new_session=True
            )
        assert eventually(lambda: is_open(self.port), 60), (self.folder / "stderr").read_text("utf-8", "replace")

    def end(self) -> None:
        """End it as a power cut does."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(20)


@dataclass
class Kannel:
    """Both boxes, on free ports."""

    folder: Path
    operator: SmppOperator
    service_port: int
    ports: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ports = {name: free_port() for name in ("admin_port", "smsbox_port", "sendsms_port")}
        for spool in ("store", "receipts"):
            (self.folder / spool).mkdir()
        lifeline.hold_all_on(self.folder)
        (self.folder / "kannel.conf").write_text(self._printed(), "utf-8")
        self.bearerbox = Box(str(BEARERBOX), self.folder, self.ports["smsbox_port"])
        self.smsbox = Box(str(SMSBOX), self.folder, self.ports["sendsms_port"])

    def _printed(self) -> str:
        """What `flask deploy kannel` prints, but for its waits, which a test has no time for."""
        (self.folder / "smpp-password").write_text(PASSWORD, "utf-8")
        options = {
            "--smpp": f"127.0.0.1:{self.operator.port}",
            "--smpp-user": "ramz",
            "--smpp-password-file": str(self.folder / "smpp-password"),
            "--admin-port": str(self.ports["admin_port"]),
            "--smsbox-port": str(self.ports["smsbox_port"]),
            "--spools": str(self.folder),
            "--logs": str(self.folder),
        }
        words = [word for option in options.items() for word in option]
        found = typed("deploy", "kannel", *words, **self.settings(), DATABASE_URL="sqlite:////tmp/x.db")
        assert found.exit_code == 0, found.output
        waits = {"sms-resend-freq = 10": 1, "http-queue-delay = 2": 1, "enquire-link-interval = 30": 5, "delay = 5": 1}
        text = found.stdout
        for wait, seconds in waits.items():
            assert wait in text
            text = text.replace(wait, f"{wait.rpartition(' ')[0]} {seconds}")
        return text

    def settings(self) -> dict[str, str]:
        """The service's settings that have to do with it."""
        return {
            "SECRET_KEYS": KEYS,
            "GATEWAYS": "kannel",
            "PUBLIC_URL": f"http://127.0.0.1:{self.service_port}",
            "PORT": str(self.service_port),
            "KANNEL_SEND_URL": self.send_url,
            "KANNEL_USER": "ramz",
            "KANNEL_PASSWORD": PASSWORD,
            "KANNEL_SENDER": SHORT_CODE,
            "KANNEL_INBOUND_SECRET": SECRET,
        }

    @property
    def send_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['sendsms_port']}/cgi-bin/sendsms"

    def start(self) -> None:
        """Start both, and wait for the operator's line."""
        self.bearerbox.start()
        self.smsbox.start()
        assert self.operator.wait(self.operator.is_bound)

    def stop(self) -> None:
        self.smsbox.end()
        self.bearerbox.end()

    def written(self) -> str:
        """All that both have written, texts on their way excepted."""
        files = [
            file
            for file in self.folder.glob("*")
            if file.is_file() and file.name not in {"kannel.conf", "smpp-password"}
        ]
        return "".join(file.read_text("utf-8", "replace") for file in files)


@dataclass
class Line:
    """The service, Kannel and the operator."""

    operator: SmppOperator
    kannel: Kannel
    database_url: str
    port: int
    folder: Path
    process: Process | None = None

    def start(self) -> None:
        settings = {"DATABASE_URL": self.database_url, **self.kannel.settings()}
        self.process = serve(settings, self.folder / "printed")
        assert eventually(self.is_ready, 60), self.printed

    @property
    def printed(self) -> str:
        return (self.folder / "printed").read_text("utf-8")

    def is_ready(self) -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/readyz", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)

    def some(self, number: int, language: str = "fa") -> list[Pilgrim]:
        """Pilgrims with accounts, whom nobody has texted for yet."""
        found = [next(PEOPLE) for _ in range(number)]
        rows = [
            {"national_id": it.national_id, "username": it.national_id, "mobile": it.mobile, "language": language}
            for it in found
        ]
        store = Store(self.database_url)
        with store.writing() as connection:
            accounts.put(connection, rows, NOON)
        store.close()
        return found

    def text(self, pilgrim: Pilgrim, words: str) -> None:
        self.operator.text(pilgrim.mobile, SHORT_CODE, words)

    def codes(self, pilgrim: Pilgrim) -> list[str]:
        return [code for text in self.operator.texts_to(pilgrim.mobile) for code in CODE.findall(text)]

    def passwords(self, pilgrim: Pilgrim) -> list[str]:
        return [word for text in self.operator.texts_to(pilgrim.mobile) for word in WORD.findall(text)]

    def rows(self, statement: Any) -> list[Any]:
        store = Store(self.database_url)
        with store.reading() as connection:
            found = list(connection.execute(statement).all())
        store.close()
        return found

    def has_failed(self, pilgrim: Pilgrim, reason: Reason) -> bool:
        """Whether the first text to a pilgrim has failed for this reason, and holds no secret any more."""
        texts = select(MESSAGE.c.status, MESSAGE.c.error, MESSAGE.c.secret).where(MESSAGE.c.phone == pilgrim.mobile)
        return [tuple(row) for row in self.rows(texts.order_by(MESSAGE.c.id))][:1] == [
            (DeliveryStatus.FAILED, reason, None)
        ]

    def heard(self) -> int:
        return len(self.rows(select(INBOUND.c.provider_id)))


@contextmanager
def line_on(database_url: str, folder: Path) -> Iterator[Line]:
    port = free_port()
    with SmppOperator() as operator:
        kannel = Kannel(folder, operator, port)
        line = Line(operator, kannel, database_url, port, folder)
        try:
            line.start()
            kannel.start()
            yield line
        finally:
            kannel.stop()
            line.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def line(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Line]:
    if not INSTALLED and not os.environ.get("CI"):
        pytest.skip("Kannel is not installed: apt-get install kannel kannel-extras")
    assert INSTALLED, "Kannel is needed here: see .ci/run"
    fresh: Fresh = request.getfixturevalue(f"fresh_{request.param}")
    with line_on(fresh(), tmp_path) as line:
        yield line


def test_a_password_is_recovered(line: Line) -> None:
    (pilgrim,) = line.some(1)
    line.text(pilgrim, f"رمز {pilgrim.national_id}")
    assert line.operator.wait(lambda: line.codes(pilgrim)), line.printed
    (text,) = line.operator.texts_to(pilgrim.mobile)
    code = line.codes(pilgrim)[0]
    assert text == f"کد فاخر: {code}\nتا ۱۰ دقیقه همین‌جا پس بفرستید. به کسی ندهید."
    line.text(pilgrim, code)
    assert line.operator.wait(lambda: len(line.operator.texts_to(pilgrim.mobile)) == 2), line.printed
    assert len(line.passwords(pilgrim)) == 1
    assert {(it.sender, it.coding) for it in line.operator.texts} == {(SHORT_CODE, smpp_operator.UCS2)}
    texts = select(MESSAGE.c.status, MESSAGE.c.secret).where(MESSAGE.c.phone == pilgrim.mobile)
    assert eventually(lambda: {tuple(row) for row in line.rows(texts)} == {(DeliveryStatus.DELIVERED, None)}, 60), (
        line.rows(texts)
    )


def test_the_operators_reasons_reach_the_outbox(line: Line) -> None:
    barred = smpp_operator.Fate(smpp_operator.UNDELIVERABLE, smpp_operator.BARRED)
    late, well = smpp_operator.Fate(smpp_operator.EXPIRED), smpp_operator.Fate()
    refusal = smpp_operator.NO_SUCH_ADDRESS
    for close_reason, refusals, reason in [
        (barred, [], Reason.BLOCKED),
        (late, [], Reason.EXPIRED),
        (well, [refusal], Reason.REFUSED),
    ]:
        (pilgrim,) = line.some(1, "en")
        line.operator.fate, line.operator.refusals = close_reason, refusals
        line.text(pilgrim, f"RESET {pilgrim.national_id}")
        assert eventually(partial(line.has_failed, pilgrim, reason), 60), reason


def test_nothing_is_lost_that_was_heard_when_the_boxes_die(line: Line) -> None:
    """What the bot answered with 200 is served once both are back; Kannel or the operator may lose other texts."""
    people = line.some(12)
    with ThreadPoolExecutor(len(people)) as pool:
        asked = [pool.submit(line.text, it, f"رمز {it.national_id}") for it in people]
        assert eventually(lambda: line.heard() >= 3, 60), line.printed
        line.kannel.bearerbox.end()
        line.kannel.bearerbox.start()
        line.kannel.smsbox.end()
        line.kannel.smsbox.start()
        for text in asked:
            text.result()
    heard = {row.phone for row in line.rows(select(MESSAGE.c.phone))}
    served = [it for it in people if it.mobile in heard]
    assert len(served) >= 3
    assert line.operator.wait(lambda: all(line.codes(it) for it in served), 60), line.printed
    # A copy may come twice, where a box died between a text and its answer, but of one and the same code.
    assert all(len(set(line.codes(it))) == 1 for it in served)
    # Of these: what a box had kept on its disk may still come in.
    mine = CODES.c.phone.in_([it.mobile for it in served])
    assert len(line.rows(select(CODES.c.id).where(mine))) == len(served)
    for pilgrim in served:
        line.text(pilgrim, line.codes(pilgrim)[0])
    assert line.operator.wait(lambda: all(line.passwords(it) for it in served), 60), line.printed
    assert all(len(line.passwords(it)) == 1 for it in served)
    assert line.rows(select(CODES.c.close_reason).where(mine).distinct()) == [(CloseReason.USED,)]
    passwords = select(MESSAGE.c.status).where(MESSAGE.c.kind == int(MessageKind.PASSWORD))
    assert eventually(lambda: line.rows(passwords) == [(DeliveryStatus.DELIVERED,)] * len(served), 30), line.rows(
        passwords
    )
    assert "Traceback" not in line.printed


def test_nobody_reads_along(line: Line) -> None:
    """Neither Kannel's logs nor the service's hold a number, a text or a secret of what has gone through."""
    (pilgrim,) = line.some(1)
    line.operator.refusals = [smpp_operator.THROTTLED]
    line.text(pilgrim, f"رمز {pilgrim.national_id}")
    assert line.operator.wait(lambda: line.codes(pilgrim), 60), line.printed
    code = line.codes(pilgrim)[0]
    line.text(pilgrim, code)
    assert line.operator.wait(lambda: line.passwords(pilgrim)), line.printed
    seen = without_times(line.kannel.written() + line.printed)
    assert "Receive SMS" in seen and "Sent SMS" in seen
    for private in (code, pilgrim.national_id, pilgrim.mobile[3:], line.passwords(pilgrim)[0], SECRET, "فاخر"):
        assert private not in seen
