"""The rate at which texts leave, and who goes first."""

import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Thread

import pytest

from bot.build import Bot, build
from bot.platform.clock import system_clock
from bot.ports import Outbound
from bot.sending.throttle import Throttle
from store.database.engine import Store
from store.tables import DeliveryStatus, MessageKind, OutboundMessageRow, table
from tests.support.parts import Carrier, eventually, settings
from tests.support.people import ZAHRA

MESSAGE = table(OutboundMessageRow)


class Ticking:
    """A clock that only those who wait move on."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def test_texts_leave_one_after_another() -> None:
    clock = Ticking()
    throttle = Throttle(4, clock, clock.sleep)
    turns = []
    for _ in range(5):
        throttle.wait()
        turns.append(clock.seconds)
    assert turns == [100.0, 100.25, 100.5, 100.75, 101.0]


def test_a_slot_of_a_new_rate_is_an_interval_away() -> None:
    clock = Ticking()
    throttle = Throttle(4, clock, clock.sleep)
    throttle.wait()
    clock.seconds += 0.1
    throttle.set(10, until=200.0)
    throttle.wait()
    assert clock.seconds == pytest.approx(100.2)


def test_no_text_leaves_once_a_rate_holds_no_more() -> None:
    clock = Ticking()
    throttle = Throttle(100, clock, clock.sleep)
    throttle.set(100, until=101.0)
    turns = list[float]()
    while throttle.wait() and not turns[100:]:
        turns.append(clock.seconds)
        if len(turns) == 50:
            clock.seconds = 101.0
            Thread(target=throttle.close).start()
    assert len(turns) == 50


def test_what_was_not_used_is_not_saved_up() -> None:
    clock = Ticking()
    throttle = Throttle(4, clock, clock.sleep)
    throttle.wait()
    clock.seconds += 60
    began = clock.seconds
    for _ in range(5):
        throttle.wait()
    assert clock.seconds == began + 1


@dataclass
class Timed(Carrier):
    """A carrier that remembers when each text came."""

    at: list[tuple[float, MessageKind]] = field(default_factory=list)

    def send(self, text: Outbound) -> str:
        self.at.append((time.monotonic(), text.kind))
        return super().send(text)


def queue(bot: Bot, number: int, kind: MessageKind) -> None:
    """Texts that other processes have left behind."""
    now = bot.clock()
    phrase, secret = ("code", bot.keyring.seal("482913")) if kind is MessageKind.CODE else ("help", None)
    row = {
        "kind": int(kind),
        "phone": ZAHRA["mobile"],
        "language": "en",
        "phrase": phrase,
        "parameters": {"minutes": "10"},
        "secret": secret,
        "inbound_gateway": "simulated",
        "request_received_at": now,
        "created_at": now,
        "expires_at": now + timedelta(minutes=10),
        "next_attempt_at": now,
        "attempts": 0,
        "status": int(DeliveryStatus.QUEUED),
    }
    with bot.store.writing() as connection:
        connection.execute(MESSAGE.insert(), [row] * number)


@contextmanager
def service(url: str, processes: int, per_second: int) -> Iterator[tuple[list[Bot], Timed]]:
    """A service of several processes, over one carrier."""
    carrier, chosen = Timed(), settings(MESSAGES_PER_SECOND=str(per_second))
    bots = [
        build(chosen, clock=system_clock, gateways=[carrier], store=Store(url), processes=processes)
        for _ in range(processes)
    ]
    try:
        yield bots, carrier
    finally:
        for bot in bots:
            bot.courier.stop()
            bot.store.close()


@pytest.mark.paced
@pytest.mark.parametrize("processes", [1, 2])
def test_codes_do_not_wait_for_notices(sqlite_url: str, processes: int) -> None:
    """At 100 a second 300 codes take three seconds, and two more are for whatever was in hand before them."""
    with service(sqlite_url, processes, 100) as (bots, carrier):
        queue(bots[0], 1_500, MessageKind.NOTICE)
        for bot in bots:
            bot.courier.start()
        assert eventually(lambda: len(carrier.at) > 50, 10)
        queue(bots[0], 300, MessageKind.CODE)
        began = time.monotonic()
        assert eventually(lambda: sum(text.kind is MessageKind.CODE for text in carrier.sent) == 300, 30)
        codes = [at for at, kind in carrier.at if kind is MessageKind.CODE]
        every = sorted(at for at, _ in carrier.at)
    print(f"\n{processes} processes: the last of 300 codes left after {max(codes) - began:.1f} s")
    assert max(codes) - began < 5
    busiest = max(bisect_left(every, start + 1) - place for place, start in enumerate(every))
    assert busiest <= 115, "what a busy machine held up may come a moment later"


@pytest.mark.paced
def test_a_slow_rate_is_kept_and_nothing_is_claimed_in_vain(sqlite_url: str) -> None:
    with service(sqlite_url, 1, 2) as (bots, carrier):
        (bot,) = bots
        queue(bot, 5, MessageKind.REPLY)
        bot.courier.start()
        assert eventually(lambda: len(carrier.at) == 5, 15)
        times = [at for at, _ in carrier.at]
        assert times[-1] - times[0] > 1.9
        assert bot.courier.room == 6
