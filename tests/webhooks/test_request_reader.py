"""What reads requests: whom it refuses is counted, and it tells who waits from who is stuck."""

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread, Timer
from typing import Any

import pytest

from tests.support.parts import eventually
from webhooks.request_reader import BODY_WITHIN, HEADERS_WITHIN, WEDGED_SECONDS, RequestReader

WHOLE = b"GET /healthz HTTP/1.1\r\nHost: ramz\r\n\r\n"
HALF_A_BODY = b"POST / HTTP/1.1\r\nHost: ramz\r\nContent-Length: 9\r\n\r\nhalf"
FEW = 4


class Door:
    """A reader at work, with a clock that is set by hand, and an application that answers when it may."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.refused, self.seconds, self.may_answer = Counter[str](), 0.0, Event()
        self.asked = Event()
        self.may_answer.set()
        self.reader = RequestReader(
            self.answer, [self.listening], 1, 100, self.count, most=FEW, now=lambda: self.seconds
        )
        self.is_over = False

    def answer(self, _environ: object, start: Any) -> list[bytes]:
        self.asked.set()
        self.may_answer.wait()
        start("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    def count(self, reason: str) -> None:
        self.refused[reason] += 1

    def work(self) -> None:
        while not self.is_over:
            self.reader.read(0.02)
        self.reader.finish(1.0, 0.0)

    def call(self, sent: bytes) -> socket.socket:
        caller = socket.create_connection(self.listening.getsockname(), timeout=10)
        caller.sendall(sent)
        return caller


@pytest.fixture
def door() -> Iterator[Door]:
    made = Door()
    thread = Thread(target=made.work)
    thread.start()
    yield made
    made.may_answer.set()
    made.is_over = True
    thread.join()
    made.listening.close()


@contextmanager
def calls(door: Door, number: int, sent: bytes) -> Iterator[list[socket.socket]]:
    found = [door.call(sent) for _ in range(number)]
    yield found
    for each in found:
        each.close()


NO_REQUEST = {
    "malformed": b"what is this?\r\n\r\n",
    "headers_too_large": b"GET / HTTP/1.1\r\nX: " + b"x" * 40_000,
}


@pytest.mark.parametrize("reason", NO_REQUEST)
def test_what_is_no_request_is_counted(door: Door, reason: str) -> None:
    with calls(door, 2, NO_REQUEST[reason]) as found:
        for each in found:
            assert each.recv(12).startswith(b"HTTP/1.")
    assert door.refused == {reason: 2}


@pytest.mark.parametrize("path", ["//metrics", "///console", "/%2Fmetrics", "/%2f/metrics"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_address_with_two_slashes_is_none(door: Door, method: str, path: str) -> None:
    """A proxy may keep /metrics from the public: another spelling of it must not get there."""
    sent = f"{method} {path} HTTP/1.1\r\nHost: ramz\r\nContent-Length: 3\r\n\r\na=b"
    with calls(door, 1, sent.encode()) as (caller,):
        assert caller.recv(12) == b"HTTP/1.1 400"
    assert door.refused == {"malformed": 1} and not door.asked.is_set()


SLOW = {"silent": (b"", HEADERS_WITHIN), "header": (b"GET /", HEADERS_WITHIN), "body": (HALF_A_BODY, BODY_WITHIN)}


@pytest.mark.parametrize(("sent", "limit"), SLOW.values(), ids=SLOW.keys())
def test_who_is_too_slow_is_counted(door: Door, sent: bytes, limit: float) -> None:
    with calls(door, 2, sent) as found:
        with calls(door, 1, WHOLE) as (whole,):
            assert whole.recv(12)  # by then the others were taken in, and what they have sent was read
        assert door.refused == {}
        door.seconds += limit + 1
        for each in found:
            assert each.recv(12) == b""
    assert door.refused == {"too_slow": 2}


def test_who_makes_room_for_others_is_counted(door: Door) -> None:
    with calls(door, FEW, b""), calls(door, 2, b""):
        assert eventually(lambda: door.refused == {"too_many": 2})


def test_who_is_answered_or_goes_away_is_not(door: Door) -> None:
    with calls(door, FEW - 2, b"GET /"):  # there is room for two more, whether or not it is noticed that they went
        pass
    with calls(door, 2, WHOLE) as found:
        for each in found:
            assert each.recv(12) == b"HTTP/1.1 200"
    assert door.refused == {}


def test_an_answer_is_sent_in_one_write(door: Door) -> None:
    """Headers alone, and then a body, are two packets, and who waits is woken twice."""
    for _ in range(5):
        door.may_answer.clear()
        with calls(door, 1, WHOLE) as (caller,):
            caller.settimeout(None)  # with one, Python looks again before it reads, and both parts may be there
            Timer(0.05, door.may_answer.set).start()
            assert caller.recv(1000).endswith(b"\r\n\r\nok")


def test_requests_that_wait_are_no_reason_to_end_it_but_those_that_wait_for_good_are(door: Door) -> None:
    door.may_answer.clear()
    with calls(door, 1, WHOLE):
        assert door.asked.wait(10)
        door.seconds += WEDGED_SECONDS - 1
        assert door.reader.is_moving()
        door.seconds += 2
        assert not door.reader.is_moving()
        door.may_answer.set()
        assert eventually(door.reader.is_moving)
