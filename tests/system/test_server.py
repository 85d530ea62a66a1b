"""The server under callers that would stop it: slow, silent, broken, lying; how it starts, stops and is replaced."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread
from urllib.parse import urlencode

import psutil  # type: ignore[import-untyped]
import pytest
import requests
from sqlalchemy import select

from store.tables import SendShareRow, table
from tests.providers import twilio_standin
from tests.providers.twilio_standin import PUBLIC_URL, TOKEN, new_sid, settings_at, text_form
from tests.support import forked, slow_callers
from tests.support.databases import Fresh
from tests.support.parts import KEYS, PATIENCE_SECONDS, eventually
from tests.support.places import ROOT
from tests.support.slow_callers import SENT
from tests.system.test_service import SMS, Pilgrim, Service, environment, free_port, service_on, some
from webhooks.request_reader import BODY_WITHIN, HEADERS_WITHIN

pytestmark = pytest.mark.process

FORTY, EIGHT = 40, 8
SHARE = table(SendShareRow)
SOON = 3.0
MEGABYTE = 1024
# A secret, a number and an ID, as they stand in what Kannel calls.
QUERY = "?secret=hunter2hunter2&from=%2B989120000077&text=0012345679"


@pytest.fixture(scope="module")
def service(fresh_sqlite: Fresh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service_on(fresh_sqlite(), tmp_path_factory.mktemp("server")) as service:
        # A process that has just joined has its share of the rate within two seconds.
        shares = select(SHARE.c.process).where(SHARE.c.per_second > 0)
        assert eventually(lambda: len(service.rows(shares)) == len(service.workers()))
        yield service


def is_helped_soon(service: Service) -> None:
    """A pilgrim's text is answered, and the code is at the provider, in time."""
    (pilgrim,) = some(service.database_url, 1)
    began = time.monotonic()
    assert service.text(pilgrim.mobile, f"RESET {pilgrim.national_id}") == 200
    assert time.monotonic() - began < SOON
    service.code(pilgrim)
    assert time.monotonic() - began < SOON


def asked(service: Service, sent: bytes) -> bytes:
    """All that is answered to some bytes."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as caller:
        caller.sendall(sent)
        with caller.makefile("rb") as answer:
            return answer.read()


def status_of(answer: bytes) -> int:
    return int(answer.split(maxsplit=2)[1])


def signed(pilgrim: Pilgrim) -> bytes:
    """A pilgrim's text as Twilio sends it, byte by byte."""
    form = text_form(pilgrim.mobile, f"RESET {pilgrim.national_id}", new_sid())
    body = urlencode(form).encode()
    signature = twilio_standin.sign(TOKEN, PUBLIC_URL + SMS, form)
    head = (
        f"POST {SMS} HTTP/1.1\r\nHost: ramz\r\nX-Twilio-Signature: {signature}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class TestSlowCallers:
    @pytest.mark.parametrize("sent", SENT.values(), ids=SENT.keys())
    def test_forty_of_them_cost_a_pilgrim_nothing(self, service: Service, sent: bytes) -> None:
        workers = service.workers()
        with slow_callers.callers(service.port, FORTY, sent):
            for _ in range(3):
                is_helped_soon(service)
        assert service.workers() == workers

    def test_eight_slow_bodies_through_a_proxy_cost_a_pilgrim_nothing(self, service: Service) -> None:
        sent = SENT["send half a body"]
        with slow_callers.relay(service.port) as port, slow_callers.dripping(port, EIGHT, sent):
            for _ in range(3):
                is_helped_soon(service)

    def test_each_has_its_time_and_no_more_and_no_worker_is_lost(self, service: Service) -> None:
        workers, began = service.workers(), time.monotonic()
        limits = [HEADERS_WITHIN, HEADERS_WITHIN, BODY_WITHIN, BODY_WITHIN]
        with ThreadPoolExecutor(len(SENT)) as pool:
            found = list(pool.map(lambda sent, limit: self.stays(service, sent, limit), SENT.values(), limits))
        assert found == [True] * len(SENT)
        assert time.monotonic() - began < BODY_WITHIN + SOON
        assert service.workers() == workers
        assert service.troubles == [], "no worker was lost, and nothing else went wrong"

    def stays(self, service: Service, sent: bytes, limit: float) -> bool:
        """Whether callers are heard out for as long as they may take, and not much longer."""
        with slow_callers.callers(service.port, EIGHT, sent) as found:
            began = time.monotonic()
            early = any(slow_callers.ended(each, 0.01) for each in found)
            late = all(slow_callers.ended(each, began + limit + SOON - time.monotonic()) for each in found)
            return not early and late and time.monotonic() - began > limit - 1

    def test_one_that_drips_has_no_more_time_than_one_that_is_silent(self, service: Service) -> None:
        with slow_callers.dripping(service.port, 1, SENT["send half a header"]) as (caller,):
            assert slow_callers.ended(caller, HEADERS_WITHIN + SOON)

    def test_a_text_that_comes_in_pieces_is_heard(self, service: Service) -> None:
        (pilgrim,) = some(service.database_url, 1)
        whole = signed(pilgrim)
        with socket.create_connection(("127.0.0.1", service.port), timeout=20) as caller:
            for start in range(0, len(whole), 100):
                caller.sendall(whole[start : start + 100])
                time.sleep(0.05)
            with caller.makefile("rb") as answer:
                assert status_of(answer.read()) == 200
        service.code(pilgrim)


MALFORMED = {
    "no version": f"GET /webhooks/kannel/sms{QUERY} HTTP/x.y\r\n\r\n",
    "spaces": f"GET /webhooks/kannel/sms {QUERY} HTTP/1.1\r\n\r\n",
    "no method": f"{QUERY}\r\n\r\n",
    "small letters": f"get /webhooks/kannel/sms{QUERY} HTTP/1.1\r\n\r\n",
    "a bare line feed": f"GET /webhooks/kannel/sms{QUERY}\nX: y HTTP/1.1\r\n\r\n",
    "a header without a name": f"GET / HTTP/1.1\r\n: {QUERY}\r\n\r\n",
    "a header with a space": f"GET / HTTP/1.1\r\nX{QUERY} Y: z\r\n\r\n",
    "a length that is none": f"POST / HTTP/1.1\r\nContent-Length: {QUERY}\r\n\r\n",
}


class TestWhatIsNoRequest:
    @pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED.keys())
    def test_it_is_answered_400_and_quoted_nowhere(self, service: Service, sent: str) -> None:
        assert status_of(asked(service, sent.encode())) == 400
        assert_unquoted(service)

    def test_headers_without_end_are_refused(self, service: Service) -> None:
        assert status_of(asked(service, b"GET / HTTP/1.1\r\nX: " + b"x" * 40_000)) == 431

    def test_a_caller_that_goes_away_is_quoted_nowhere(self, service: Service) -> None:
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", service.port)) as caller:
                caller.sendall(f"GET /readyz{QUERY} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # cut off, not ended
        is_helped_soon(service)
        assert_unquoted(service)


def assert_unquoted(service: Service) -> None:
    assert not [it for it in ("hunter2", "9120000077", "0012345679") if it in service.printed], service.printed


class TestBodies:
    HEAD = "POST /api/v1/passwords/verify HTTP/1.1\r\nHost: ramz\r\nAuthorization: Bearer x\r\n"
    FORM = f"POST {SMS} HTTP/1.1\r\nHost: ramz\r\nContent-Type: application/x-www-form-urlencoded\r\n"

    @pytest.mark.parametrize("size", [64 * 1024 + 1, 1024 * 1024, 2**40])
    def test_one_that_is_too_long_is_refused(self, service: Service, size: int) -> None:
        body = b"x" * min(size, 1024 * 1024)
        answer = asked(service, f"{self.FORM}Content-Length: {size}\r\n\r\n".encode() + body[: size % 2**40])
        assert status_of(answer) == 413

    def test_one_in_chunks_that_is_too_long_is_refused(self, service: Service) -> None:
        sent = f"{self.FORM}Transfer-Encoding: chunked\r\n\r\n10001\r\n".encode() + b"x" * 0x10001
        assert status_of(asked(service, sent)) == 413

    def test_one_that_is_just_short_enough_is_read(self, service: Service) -> None:
        sent = f"{self.FORM}Content-Length: 65536\r\n\r\n".encode() + b"x" * 65536
        assert status_of(asked(service, sent)) == 403

    def test_one_that_waits_to_be_asked_for_is_asked_for(self, service: Service) -> None:
        with socket.create_connection(("127.0.0.1", service.port), timeout=20) as caller:
            caller.sendall(f"{self.FORM}Expect: 100-continue\r\nContent-Length: 3\r\n\r\n".encode())
            assert caller.recv(100).startswith(b"HTTP/1.1 100 ")
            caller.sendall(b"a=b")
            with caller.makefile("rb") as answer:
                assert status_of(answer.read()) == 403


MOVED = {
    "SCRIPT_NAME": "/x",
    "SCRIPT-NAME": "/x",
    "PATH_INFO": "/metrics",
    "PATH-INFO": "/metrics",
    "REQUEST_URI": "/metrics",
    "X-Forwarded-Prefix": "/x",
    "X-Forwarded-Path": "/metrics",
    "X-Forwarded-Host": "elsewhere.example",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-For": "127.0.0.1",
    "X-Script-Name": "/x",
    "X-Original-URL": "/metrics",
    "X-Rewrite-URL": "/metrics",
    "Forwarded": "for=127.0.0.1;host=elsewhere.example",
}


class TestHeaders:
    @pytest.mark.parametrize("name", MOVED)
    def test_none_of_them_moves_a_route(self, service: Service, name: str) -> None:
        headers = {name: MOVED[name]}
        for path, status in (("/nowhere", 404), ("/x/metrics", 404), ("/healthz", 200)):
            answer = requests.get(service.address + path, headers=headers, timeout=10)
            assert (answer.status_code, "ramz_up" in answer.text) == (status, False)

    @pytest.mark.parametrize("name", MOVED)
    def test_none_of_them_makes_a_signature_wrong(self, service: Service, name: str) -> None:
        (pilgrim,) = some(service.database_url, 1)
        head, _, body = signed(pilgrim).partition(b"\r\n\r\n")
        assert status_of(asked(service, head + f"\r\n{name}: {MOVED[name]}\r\n\r\n".encode() + body)) == 200


class TestStopping:
    def test_it_finishes_a_text_that_is_still_on_its_way_in(self, fresh_sqlite: Fresh, tmp_path: Path) -> None:
        with service_on(fresh_sqlite(), tmp_path) as service:
            (pilgrim,) = some(service.database_url, 1)
            whole = signed(pilgrim)
            with (
                slow_callers.callers(service.port, FORTY, b""),
                slow_callers.callers(service.port, 1, whole[:-20]) as (caller,),
            ):
                assert service.process is not None
                service.process.send_signal(signal.SIGTERM)
                time.sleep(0.5)
                caller.sendall(whole[-20:])
                with caller.makefile("rb") as answer:
                    assert status_of(answer.read()) == 200
                assert service.process.wait(PATIENCE_SECONDS) == 0
            assert len(service.codes(pilgrim)) == 1
            assert service.troubles == []

    def test_workers_are_replaced_one_after_the_other_upon_a_hangup(self, fresh_sqlite: Fresh, tmp_path: Path) -> None:
        with service_on(fresh_sqlite(), tmp_path) as service:
            before = set(service.workers())
            people, over, statuses = some(service.database_url, 200), Event(), list[int]()

            def text_on() -> None:
                for pilgrim in people:
                    if over.is_set():
                        return
                    statuses.append(service.text(pilgrim.mobile, f"RESET {pilgrim.national_id}"))

            thread = Thread(target=text_on)
            thread.start()
            assert service.process is not None
            service.process.send_signal(signal.SIGHUP)
            assert eventually(lambda: len(service.workers()) == 2 and not before & set(service.workers()))
            over.set()
            thread.join()
            assert len(statuses) > 1 and set(statuses) == {200}


class TestSuddenDeath:
    def test_a_worker_that_is_killed_is_replaced(self, fresh_sqlite: Fresh, tmp_path: Path) -> None:
        with service_on(fresh_sqlite(), tmp_path) as service:
            assert eventually(lambda: len(service.workers()) == 2)
            first, second = service.workers()
            os.kill(first, signal.SIGKILL)
            is_helped_soon(service)
            assert eventually(lambda: len(service.workers()) == 2 and first not in service.workers())
            assert second in service.workers()

    def test_workers_of_a_master_that_is_killed_lose_nothing_and_go(self, fresh_sqlite: Fresh, tmp_path: Path) -> None:
        with service_on(fresh_sqlite(), tmp_path) as service:
            workers = service.workers()
            service.standin.trouble(twilio_standin.UNAVAILABLE, None)
            people = some(service.database_url, 5)
            assert {service.text(it.mobile, f"RESET {it.national_id}") for it in people} == {200}
            assert service.process is not None
            service.process.kill()
            service.process.wait(PATIENCE_SECONDS)
            assert eventually(lambda: not any(psutil.pid_exists(pid) for pid in workers), 20)
            service.standin.mend()
            service.start()
            for pilgrim in people:
                service.code(pilgrim)


class TestStarting:
    def refused(self, service: Service, **changed: str) -> tuple[int, list[str]]:
        settings = {
            "DATABASE_URL": service.database_url,
            "SECRET_KEYS": KEYS,
            "PORT": str(free_port()),
            **settings_at(service.standin.url),
            **changed,
        }
        done = forked.run("serve", folder=ROOT, environment=environment(**settings))
        assert done.stdout == ""
        return done.returncode, done.stderr.splitlines()

    @pytest.mark.parametrize("host", ["192.0.2.7", "nowhere.invalid", "2001:db8::7"])
    def test_an_address_that_is_not_here_is_named(self, service: Service, host: str) -> None:
        assert self.refused(service, HOST=host) == (2, [f"HOST: {host} is not an address of this machine"])

    def test_a_port_in_use_ends_it(self, service: Service) -> None:
        status, _ = self.refused(service, PORT=str(service.port))
        assert status == 1
        is_helped_soon(service)

    @pytest.mark.alone
    def test_a_worker_is_small_and_starts_soon(
        self, fresh_sqlite: Fresh, tmp_path: Path, record_property: Callable[[str, object], None]
    ) -> None:
        floor, began = bare_seconds(), time.monotonic()
        with service_on(fresh_sqlite(), tmp_path, anew=True) as service:
            assert eventually(lambda: len(service.workers()) == 2)
            wall, spent = time.monotonic() - began, cpu_seconds(service)
            sizes = [megabytes(pid) for pid in service.workers()]
        shown = (
            f"ready after {wall:.2f} s, {spent:.2f} of them work, {spent / floor:.1f} times its libraries' import; "
            f"a worker has {max(sizes):.0f} MB (PSS)"
        )
        record_property("start", shown)
        print(shown)
        assert spent < 3 * floor, shown
        assert max(sizes) < 100, shown


LIBRARIES = "flask.cli, sqlmodel, twilio.rest, cryptography.fernet, argon2, phonenumbers, structlog, zxcvbn"


def bare_seconds() -> float:
    """The work of importing what the service is made of, and nothing else."""
    before = os.times()
    subprocess.run([sys.executable, "-c", f"import {LIBRARIES}"], check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def cpu_seconds(service: Service) -> float:
    assert service.process is not None
    whole = psutil.Process(service.process.pid)
    times = [each.cpu_times() for each in (whole, *whole.children())]
    return float(sum(it.user + it.system for it in times))


def megabytes(pid: int) -> float:
    """The proportional set size of a process."""
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / MEGABYTE
