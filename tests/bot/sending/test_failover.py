"""A gateway that fails: whom texts go by instead, how soon, and how it is found well again."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import count

import pytest
import structlog
from sqlalchemy import select

from bot.build import Bot, build
from bot.gateways.twilio import Twilio
from bot.platform.clock import system_clock
from bot.platform.http_client import HttpClient
from bot.ports import Gateway, Inbound, Outbound, Reason, SendFailed
from bot.sending.failover import FOR_GOOD, LIMIT, PAUSE
from store import outbound_messages
from store.database.engine import Store
from store.outbound_messages import NewMessage
from store.service import circuit_breakers, counters
from store.tables import DeliveryStatus, MessageKind, OutboundMessageRow, table
from tests.conftest import MakeBot
from tests.providers import twilio_standin
from tests.providers.twilio_standin import ACCOUNT, SENDER, TOKEN, TwilioStandIn
from tests.support.parts import Carrier, StoppedClock, eventually, settings
from tests.support.people import ZAHRA, settled

MESSAGE = table(OutboundMessageRow)
DOWN = SendFailed(Reason.BUSY, permanent=False, code="500")
HANGS = SendFailed(Reason.TIMEOUT, permanent=False)
NOT_A_MOBILE = SendFailed(Reason.NOT_A_MOBILE, permanent=True)
UNREACHABLE = SendFailed(Reason.UNREACHABLE, permanent=False)
NUMBERS = count()


def ask(bot: Bot, words: str = "رمز 0012345679", sender: str = ZAHRA["mobile"], gateway: str = "first") -> None:
    bot.hear(Inbound(gateway, f"F{next(NUMBERS)}", sender, words))


def write(bot: Bot, number: int = 1, kind: MessageKind = MessageKind.CODE, inbound_gateway: str = "first") -> None:
    """Texts that wait to be sent, each with a code in it where it is one."""
    now = bot.clock()
    phrase, secret = ("code", bot.keyring.seal("482913")) if kind is MessageKind.CODE else ("help", None)
    text = NewMessage(
        kind=int(kind),
        phone=ZAHRA["mobile"],
        language="en",
        phrase=phrase,
        parameters={"minutes": "10"},
        secret=secret,
        code_id=None,
        account_id=None,
        inbound_gateway=inbound_gateway,
        request_received_at=now,
        expires_at=now + timedelta(minutes=10),
    )
    with bot.store.writing() as connection:
        for _ in range(number):
            outbound_messages.queue(connection, [text], now, None)


def tally(bot: Bot, name: str, label: str) -> int:
    with bot.store.reading() as connection:
        return counters.every(connection).get((name, label), 0)


def ended(bot: Bot) -> tuple[int, str, bytes | None] | None:
    """How the newest text has ended: its status, why, and what is left of its secret; None while it has not."""
    columns = (MESSAGE.c.status, MESSAGE.c.error, MESSAGE.c.secret)
    with bot.store.reading() as connection:
        row = connection.execute(select(*columns).order_by(MESSAGE.c.id.desc()).limit(1)).one()
    return None if row.status == DeliveryStatus.QUEUED else (row.status, row.error, row.secret)


def break_down(bot: Bot, gateway: Carrier, failure: SendFailed = DOWN) -> None:
    """Fail as often as it takes to open the breaker, and go on failing."""
    gateway.failures = [failure] * 999
    write(bot, LIMIT)
    bot.courier.deliver_due()


class TestMovingOn:
    def test_a_slow_failure_is_not_waited_for_twice(
        self, make_bot: MakeBot, clock: StoppedClock, second: Carrier
    ) -> None:
        class Hanging(Carrier):
            def send(self, text: Outbound) -> str:
                clock.forward(seconds=8)
                raise HANGS

        bot = make_bot(gateways=[Hanging("first"), second])
        write(bot)
        bot.courier.deliver_due()
        clock.forward(seconds=1)
        bot.courier.deliver_due()
        assert len(second.sent) == 1

    def test_a_text_that_is_wrong_in_itself_goes_nowhere_else(self, pair: Bot, first: Carrier, second: Carrier) -> None:
        first.failures = [NOT_A_MOBILE]
        write(pair)
        pair.courier.deliver_due()
        assert second.sent == []

    @pytest.mark.parametrize("reason", sorted(FOR_GOOD))
    def test_a_number_that_every_gateway_refuses_for_good_ends_with_its_reason(
        self, pair: Bot, first: Carrier, second: Carrier, clock: StoppedClock, reason: Reason
    ) -> None:
        first.failures = [SendFailed(reason, permanent=False)] * 9
        second.failures = [DOWN, *first.failures]
        write(pair)
        for _ in range(2):  # the second is busy: that is no refusal
            pair.courier.deliver_due()
            assert ended(pair) is None
            clock.forward(seconds=15)
        for _ in range(2):
            pair.courier.deliver_due()
            clock.forward(seconds=15)
        assert ended(pair) == (DeliveryStatus.FAILED, reason, None)
        assert len(first.failures) >= 7, "it was not asked on and on"

    def test_one_gateway_alone_is_not_asked_twice_of_a_number_on_its_list(
        self, make_bot: MakeBot, first: Carrier, clock: StoppedClock
    ) -> None:
        bot = make_bot(gateways=[first])
        first.failures = [SendFailed(Reason.BLOCKED, permanent=False)]
        write(bot)
        bot.courier.deliver_due()
        clock.forward(seconds=60)
        bot.courier.deliver_due()
        assert (ended(bot), first.sent) == ((DeliveryStatus.FAILED, Reason.BLOCKED, None), [])

    def test_a_number_on_one_list_is_reached_by_another(
        self, pair: Bot, first: Carrier, second: Carrier, clock: StoppedClock
    ) -> None:
        first.failures = [SendFailed(Reason.BLOCKED, permanent=False)]
        write(pair)
        pair.courier.deliver_due()
        clock.forward(seconds=1)
        pair.courier.deliver_due()
        assert [len(each.sent) for each in (first, second)] == [0, 1]

    def test_every_move_is_counted(self, pair: Bot, first: Carrier, clock: StoppedClock) -> None:
        first.failures = [DOWN] * 2
        write(pair)
        for seconds in (0, 1, 2):
            clock.forward(seconds=seconds)
            pair.courier.deliver_due()
        assert tally(pair, "send_failed", "first busy") == 2
        assert tally(pair, "switched", "first second") == 1


class TestBreakers:
    def test_a_dead_gateway_is_not_tried_for_every_text(self, pair: Bot, first: Carrier, second: Carrier) -> None:
        break_down(pair, first)
        tried = len(first.failures)
        write(pair, 20)
        pair.courier.deliver_due()
        assert (len(first.failures), len(second.sent)) == (tried, 20)

    def test_one_that_fails_now_and_then_stays_in_use(self, pair: Bot, first: Carrier) -> None:
        for _ in range(LIMIT):
            first.failures = [DOWN] * (LIMIT - 1)
            write(pair, LIMIT)
            pair.courier.deliver_due()
        write(pair)
        sent = len(first.sent)
        pair.courier.deliver_due()
        assert len(first.sent) > sent

    def test_two_that_hang_are_enough(self, pair: Bot, first: Carrier, second: Carrier) -> None:
        first.failures = [HANGS] * 2
        write(pair, 2)
        pair.courier.deliver_due()
        write(pair)
        pair.courier.deliver_due()
        assert len(second.sent) == 1

    @pytest.mark.parametrize("failure", [NOT_A_MOBILE, UNREACHABLE])
    def test_what_is_the_texts_own_fault_opens_none(self, pair: Bot, first: Carrier, failure: SendFailed) -> None:
        first.failures = [failure] * (3 * LIMIT)
        write(pair, 3 * LIMIT)
        pair.courier.deliver_due()
        write(pair)
        pair.courier.deliver_due()
        assert len(first.sent) == 1

    def test_another_process_knows_at_once(self, pair: Bot, make_bot: MakeBot, first: Carrier, second: Carrier) -> None:
        other = make_bot(gateways=[first, second])
        break_down(pair, first)
        tried = len(first.failures)
        write(other)
        other.courier.deliver_due()
        assert (len(first.failures), len(second.sent)) == (tried, 1)

    def test_a_copy_of_a_code_brings_it_back_and_nobody_waits(
        self, pair: Bot, first: Carrier, second: Carrier, clock: StoppedClock
    ) -> None:
        break_down(pair, first)
        first.failures = []
        clock.forward(seconds=PAUSE.total_seconds() - 0.1)
        write(pair)
        pair.courier.deliver_due()
        assert first.sent == []
        clock.forward(seconds=0.1)
        write(pair)
        pair.courier.deliver_due()
        sent = len(second.sent)
        assert [text.text for text in first.sent] == [second.sent[-1].text]
        write(pair, 3)
        pair.courier.deliver_due()
        assert (len(first.sent), len(second.sent)) == (4, sent)

    def test_one_process_probes_it_once_a_pause(
        self, pair: Bot, make_bot: MakeBot, first: Carrier, second: Carrier, clock: StoppedClock
    ) -> None:
        other = make_bot(gateways=[first, second])
        break_down(pair, first)
        for _ in range(3):
            clock.forward(seconds=PAUSE.total_seconds())
            tried = len(first.failures)
            for bot in (pair, other, pair, other):
                write(bot, 3)
                bot.courier.deliver_due()
            assert len(first.failures) == tried - 1

    def test_a_probe_is_never_what_may_be_said_but_once(self, pair: Bot, first: Carrier, clock: StoppedClock) -> None:
        break_down(pair, first)
        clock.forward(seconds=1)
        pair.courier.deliver_due()  # what waits goes by the second
        clock.forward(seconds=PAUSE.total_seconds())
        tried = len(first.failures)
        for kind in (MessageKind.REPLY, MessageKind.NOTICE):
            write(pair, 3, kind)
            pair.courier.deliver_due()
        assert len(first.failures) == tried

    def test_no_text_waits_for_a_breaker_where_all_are_open(
        self, pair: Bot, first: Carrier, second: Carrier, clock: StoppedClock
    ) -> None:
        second.failures = [DOWN] * 999
        break_down(pair, first)
        for _ in range(6):
            clock.forward(seconds=2)
            pair.courier.deliver_due()
        with pair.store.reading() as connection:
            assert all(each.opened_at for each in circuit_breakers.every(connection).values())
        first.failures, second.failures = [], []
        ask(pair)
        pair.courier.deliver_due()
        assert any("100001" in text.text for text in first.sent + second.sent)
        for _ in range(40):
            clock.forward(seconds=1)
            pair.courier.deliver_due()
        with pair.store.reading() as connection:
            assert set(connection.execute(select(MESSAGE.c.status)).scalars()) == {DeliveryStatus.ACCEPTED}

    def test_one_gateway_alone_is_tried_whatever_its_breaker_says(
        self, make_bot: MakeBot, first: Carrier, clock: StoppedClock
    ) -> None:
        bot = make_bot(gateways=[first])
        break_down(bot, first)
        first.failures = []
        write(bot)
        bot.courier.deliver_due()
        assert len(first.sent) == 1

    def test_opening_and_closing_are_logged_and_counted(self, pair: Bot, first: Carrier, clock: StoppedClock) -> None:
        with structlog.testing.capture_logs() as logs:
            break_down(pair, first)
            first.failures = []
            clock.forward(seconds=PAUSE.total_seconds())
            write(pair)
            pair.courier.deliver_due()
            pair.courier.deliver_due()
        seen = [(line["event"], line["log_level"]) for line in logs if line["event"].startswith("gateway_")]
        assert seen == [("gateway_down", "error"), ("gateway_back", "warning")]
        assert (tally(pair, "gateway_opened", "first"), tally(pair, "gateway_closed", "first")) == (1, 1)

    def test_the_secret_of_a_text_that_moved_is_erased_as_ever(
        self, pair: Bot, first: Carrier, clock: StoppedClock
    ) -> None:
        first.failures = [DOWN] * 2
        ask(pair)
        for seconds in (0, 1, 2):
            clock.forward(seconds=seconds)
            pair.courier.deliver_due()
        with pair.store.reading() as connection:
            row = connection.execute(select(MESSAGE)).one()
        assert (row.status, row.gateway, row.secret) == (DeliveryStatus.ACCEPTED, "second", None)


class Second(Twilio):
    """A second provider that speaks HTTP."""

    name = "second"


@dataclass
class Wire:
    """A bot over two stand-ins, its courier running."""

    bot: Bot
    first: TwilioStandIn
    second: TwilioStandIn

    def seconds_to_the_code(self, sender: str = ZAHRA["mobile"]) -> float:
        """How long a code that is asked for now takes to reach the second provider."""
        already, began = len(self.second.taken), time.monotonic()
        ask(self.bot, sender=sender, gateway="twilio")
        assert self.second.wait(lambda: len(self.second.taken) > already, 30)
        return time.monotonic() - began


@pytest.mark.process
class TestOverHttp:
    """What a pilgrim waits for, over real connections: 15 s while nothing is known, 2 s then, and room for noise."""

    @pytest.fixture
    def wires(self, sqlite_url: str) -> Iterator[Callable[[str], Wire]]:
        first, second = TwilioStandIn().start(), TwilioStandIn().start()
        bots: list[Bot] = []
        http = HttpClient()

        def wire(first_url: str = "") -> Wire:
            account = {"TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_AUTH_TOKEN": TOKEN, "TWILIO_SENDER": SENDER}
            of = [settings(**account, TWILIO_API_URL=url) for url in (first_url or first.url, second.url)]
            gateways: list[Gateway] = [Twilio(of[0], http), Second(of[1], http)]
            chosen = settings(RESEND_AFTER_SECONDS="0", CODES_PER_HOUR="99", CODES_PER_DAY="99")
            bot = build(chosen, clock=system_clock, gateways=gateways, store=Store(sqlite_url))
            bots.append(settled(bot))
            bot.courier.start()
            return Wire(bot, first, second)

        yield wire
        first.stop()
        second.stop()
        for bot in bots:
            bot.courier.stop()
            bot.store.close()
        http.close()

    @pytest.mark.parametrize(
        "trouble", [twilio_standin.SERVER_ERROR, twilio_standin.Hang(), None], ids=["500", "hangs", "refuses"]
    )
    def test_the_code_arrives_by_the_second(
        self, wires: Callable[[str], Wire], trouble: twilio_standin.Trouble | None, record_property: Callable[..., None]
    ) -> None:
        wire = wires("" if trouble else "http://127.0.0.1:1")
        if trouble:
            wire.first.trouble(trouble, None)
        slowest = wire.seconds_to_the_code()
        while not wire.bot.courier.failover.is_open("twilio"):
            slowest = max(slowest, wire.seconds_to_the_code())
        then = max(wire.seconds_to_the_code() for _ in range(5))
        record_property("seconds", (slowest, then))
        print(f"\nfirst {slowest:.1f} s, once the breaker is open {then:.2f} s")
        assert slowest < 15
        assert then < 2

    def test_the_first_is_used_again_when_it_is_back(self, wires: Callable[[str], Wire]) -> None:
        wire = wires("")
        wire.first.trouble(twilio_standin.SERVER_ERROR, None)
        while not wire.bot.courier.failover.is_open("twilio"):
            wire.seconds_to_the_code()
        wire.first.mend()

        def is_back() -> bool:
            ask(wire.bot, gateway="twilio")
            time.sleep(0.2)
            return not wire.bot.courier.failover.is_open("twilio")

        assert eventually(is_back, PAUSE.total_seconds() + 10)
        already = len(wire.first.taken)
        ask(wire.bot, gateway="twilio")
        assert wire.first.wait(lambda: len(wire.first.taken) > already)
