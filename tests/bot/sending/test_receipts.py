"""Receipts: what follows when a provider says that a text did not arrive."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import func, select, update

from bot.build import Bot
from bot.platform.clock import today_in_tehran
from bot.ports import Inbound, Outbound, Reason, Receipt, SendFailed
from bot.reports import kpi
from bot.sending.receipts import LOOKS, MOST
from dialogs.vocabulary import Event
from store import codes, outbound_messages
from store.service import counters
from store.tables import CodeRow, ConversationRow, DeliveryStatus, MessageKind, OutboundMessageRow, table
from tests.conftest import MakeBot
from tests.support.parts import Carrier, StoppedClock
from tests.support.people import STRANGER, ZAHRA, settled
from webhooks import create_app

MESSAGE, CODE, CONVERSATION = table(OutboundMessageRow), table(CodeRow), table(ConversationRow)
REQUEST = "رمز 0012345679"
NUMBERS = count()
HELD = SendFailed(Reason.OPTED_OUT, permanent=True, code="21610")
TERMINAL = [Reason.NOT_A_MOBILE, Reason.BLOCKED, Reason.SPAM, Reason.EXPIRED]
PASSING = [Reason.UNREACHABLE, Reason.BUSY, Reason.UNKNOWN, Reason.REFUSED, Reason.TIMEOUT]


def text(bot: Bot, words: str, sender: str = ZAHRA["mobile"], gateway: str = "first") -> Event | None:
    event = bot.hear(Inbound(gateway, f"R{next(NUMBERS)}", sender, words))
    bot.courier.deliver_due()
    assert event is None or isinstance(event, Event)
    return event


def rows(bot: Bot) -> list[Any]:
    with bot.store.reading() as connection:
        return list(connection.execute(select(MESSAGE).order_by(MESSAGE.c.id)).all())


def code_row(bot: Bot) -> Any:
    with bot.store.reading() as connection:
        return connection.execute(select(CODE)).one()


def fail(bot: Bot, row: Any, reason: Reason = Reason.UNREACHABLE) -> bool:
    known = bot.note(Receipt(row.gateway, row.provider_id, DeliveryStatus.FAILED, reason, row.id, "30003"))
    bot.courier.deliver_due()
    return known


def digits(carrier: Carrier) -> str:
    (found,) = re.findall(r"\d{6}", carrier.sent[-1].text)
    return str(found)


class TestACodeThatDidNotArrive:
    def test_it_goes_out_once_more_by_the_next_gateway(self, pair: Bot, first: Carrier, second: Carrier) -> None:
        text(pair, REQUEST)
        assert fail(pair, rows(pair)[0])
        assert (len(first.sent), len(second.sent)) == (1, 1)
        failed, again = rows(pair)
        assert (failed.status, failed.error) == (DeliveryStatus.FAILED, "unreachable")
        assert (again.status, again.gateway, again.resend_of) == (DeliveryStatus.ACCEPTED, "second", failed.id)
        assert (again.request_received_at, again.expires_at) == (failed.request_received_at, failed.expires_at)
        assert failed.secret is None and again.secret is None

    def test_it_is_one_code_in_the_figures(self, pair: Bot, clock: StoppedClock) -> None:
        text(pair, REQUEST)
        fail(pair, rows(pair)[0])
        today = today_in_tehran(clock())
        assert kpi.figures(pair.store, today, today, clock()).codes == {"live": 1}
        with pair.store.reading() as connection:
            assert codes.use_of(connection, clock() - timedelta(minutes=1), clock()).sent == 1

    def test_its_digits_are_others_and_good(self, pair: Bot, first: Carrier, second: Carrier) -> None:
        text(pair, REQUEST)
        older = digits(first)
        fail(pair, rows(pair)[0])
        assert digits(second) != older
        assert text(pair, older) is Event.WRONG_CODE
        assert text(pair, digits(second)) is Event.RIGHT_CODE

    def test_it_is_the_same_code_still(self, pair: Bot, second: Carrier, clock: StoppedClock) -> None:
        text(pair, REQUEST)
        text(pair, "999999")
        before = code_row(pair)
        clock.forward(seconds=250)
        fail(pair, rows(pair)[0])
        after = code_row(pair)
        same = (
            "id",
            "account_id",
            "phone",
            "requested_by",
            "purpose",
            "tries_left",
            "created_at",
            "expires_at",
            "closed_at",
        )
        assert all(getattr(before, name) == getattr(after, name) for name in same)
        assert (before.closed_at, after.closed_at) == (None, None)
        assert (before.tries_left, before.digest == after.digest) == (4, False)
        assert second.sent[-1].validity == 350
        assert "۶" in second.sent[-1].text, "six minutes are left, rounded up"

    def test_it_does_not_count_against_its_owner(
        self, make_bot: MakeBot, first: Carrier, second: Carrier, clock: StoppedClock
    ) -> None:
        bot = settled(make_bot(gateways=[first, second], CODES_PER_HOUR="2"))
        text(bot, REQUEST)
        fail(bot, rows(bot)[0])
        clock.forward(seconds=61)
        assert text(bot, REQUEST) is Event.ASKED

    def test_once_and_no_more(self, pair: Bot, first: Carrier, second: Carrier) -> None:
        text(pair, REQUEST)
        for _ in range(3):
            fail(pair, rows(pair)[0])
        fail(pair, rows(pair)[1])
        assert (len(first.sent), len(second.sent)) == (1, 1)
        assert [row.status for row in rows(pair)] == [DeliveryStatus.FAILED, DeliveryStatus.FAILED]

    @pytest.mark.parametrize("reason", [*TERMINAL, *PASSING])
    def test_another_gateway_may_do_whatever_the_reason(self, pair: Bot, second: Carrier, reason: Reason) -> None:
        text(pair, REQUEST)
        fail(pair, rows(pair)[0], reason)
        assert len(second.sent) == 1

    @pytest.mark.parametrize(
        ("reason", "texts"), [*((reason, 1) for reason in TERMINAL), *((reason, 2) for reason in PASSING)]
    )
    def test_the_only_gateway_tries_again_where_that_may_help(
        self, make_bot: MakeBot, first: Carrier, reason: Reason, texts: int
    ) -> None:
        bot = settled(make_bot(gateways=[first]))
        text(bot, REQUEST)
        fail(bot, rows(bot)[0], reason)
        assert len(first.sent) == texts

    @pytest.mark.parametrize("end", ["used", "cancelled", "expired", "burned", "stopped"])
    def test_not_where_the_code_is_dead(
        self, pair: Bot, first: Carrier, second: Carrier, clock: StoppedClock, end: str
    ) -> None:
        text(pair, REQUEST)
        ends: dict[str, Callable[[], object]] = {
            "used": lambda: text(pair, digits(first)),
            "cancelled": lambda: text(pair, "لغو"),
            "stopped": lambda: text(pair, "STOP"),
            "expired": lambda: clock.forward(seconds=600),
            "burned": lambda: [text(pair, "999999") for _ in range(5)],
        }
        ends[end]()
        fail(pair, rows(pair)[0])
        assert second.sent == []

    def test_not_where_a_newer_code_has_taken_its_place(self, pair: Bot, second: Carrier, clock: StoppedClock) -> None:
        text(pair, REQUEST)
        clock.forward(seconds=61)
        text(pair, REQUEST)
        fail(pair, rows(pair)[0])
        assert second.sent == []

    def test_other_texts_are_not_sent_twice(self, pair: Bot, second: Carrier) -> None:
        text(pair, "HELP")
        fail(pair, rows(pair)[0])
        assert second.sent == []

    def test_a_receipt_that_is_older_than_the_acceptance_does_the_same(self, pair: Bot, second: Carrier) -> None:
        pair.hear(Inbound("first", f"R{next(NUMBERS)}", ZAHRA["mobile"], REQUEST))
        (row,) = rows(pair)
        with pair.store.writing() as connection:
            outbound_messages.claim(connection, row.created_at, 1, timedelta(seconds=30))
        assert pair.note(Receipt("first", "P-early", DeliveryStatus.FAILED, Reason.UNREACHABLE, row.id))
        pair.courier.deliver_due()
        assert len(second.sent) == 1

    def test_a_delivered_one_stays_delivered(self, pair: Bot, second: Carrier) -> None:
        text(pair, REQUEST)
        (row,) = rows(pair)
        pair.note(Receipt("first", row.provider_id, DeliveryStatus.DELIVERED))
        assert fail(pair, row)
        assert (rows(pair)[0].status, second.sent) == (DeliveryStatus.DELIVERED, [])

    def test_it_goes_at_once_where_the_courier_runs(self, pair: Bot, second: Carrier) -> None:
        text(pair, REQUEST)
        pair.courier.start()
        pair.note(Receipt("first", rows(pair)[0].provider_id, DeliveryStatus.FAILED, Reason.UNREACHABLE))
        pair.courier.stop()
        assert len(second.sent) == 1


class TestAStopThatTheProviderHolds:
    def opted_out(self, bot: Bot) -> bool:
        with bot.store.reading() as connection:
            mine = select(func.count()).where(
                CONVERSATION.c.phone == ZAHRA["mobile"], CONVERSATION.c.opted_out_at.is_not(None)
            )
            return bool(connection.execute(mine).scalar_one())

    def test_it_is_remembered(self, pair: Bot) -> None:
        text(pair, REQUEST, STRANGER)
        fail(pair, next(row for row in rows(pair) if row.kind == MessageKind.CODE), Reason.OPTED_OUT)
        assert self.opted_out(pair)

    def test_what_a_stranger_asked_for_goes_no_other_way(self, pair: Bot, second: Carrier) -> None:
        text(pair, REQUEST, STRANGER)
        fail(pair, next(row for row in rows(pair) if row.kind == MessageKind.CODE), Reason.OPTED_OUT)
        assert second.sent == []

    def test_what_the_phone_itself_asked_for_does(self, pair: Bot, second: Carrier) -> None:
        text(pair, REQUEST)
        fail(pair, rows(pair)[0], Reason.OPTED_OUT)
        assert [sent.to for sent in second.sent] == [ZAHRA["mobile"]]

    def test_and_its_code_is_taken(self, pair: Bot, second: Carrier) -> None:
        text(pair, REQUEST)
        fail(pair, rows(pair)[0], Reason.OPTED_OUT)
        assert text(pair, digits(second)) is Event.RIGHT_CODE

    def test_nor_is_it_held_against_what_the_phone_asks_for_where_the_text_is_refused(
        self, pair: Bot, first: Carrier, second: Carrier, clock: StoppedClock
    ) -> None:
        first.failures = [HELD]
        text(pair, REQUEST)
        clock.forward(seconds=2)
        pair.courier.deliver_due()
        assert text(pair, digits(second)) is Event.RIGHT_CODE

    def test_what_protects_the_account_goes_another_way(
        self, pair: Bot, first: Carrier, second: Carrier, clock: StoppedClock
    ) -> None:
        text(pair, REQUEST)
        first.failures = [HELD]
        text(pair, digits(first))
        clock.forward(seconds=2)
        pair.courier.deliver_due()
        assert [sent.phrase for sent in second.sent] == ["new_password"]
        assert self.opted_out(pair)

    def test_a_reply_goes_no_other_way(self, pair: Bot, first: Carrier, second: Carrier, clock: StoppedClock) -> None:
        first.failures = [HELD]
        text(pair, "HELP")
        clock.forward(seconds=2)
        pair.courier.deliver_due()
        assert (second.sent, self.opted_out(pair)) == ([], True)

    def test_what_every_provider_refuses_ends(
        self, pair: Bot, first: Carrier, second: Carrier, clock: StoppedClock
    ) -> None:
        first.failures, second.failures = [HELD], [HELD]
        text(pair, REQUEST)
        clock.forward(seconds=2)
        pair.courier.deliver_due()
        assert [row.status for row in rows(pair)] == [DeliveryStatus.FAILED]
        assert self.opted_out(pair)


class TestWhatHasArrived:
    @pytest.mark.parametrize("status", [DeliveryStatus.DELIVERED, DeliveryStatus.DROPPED])
    def test_it_never_becomes_failed_by_being_given_up(
        self, pair: Bot, clock: StoppedClock, status: DeliveryStatus
    ) -> None:
        """The receipt of a text whose sending was thought to have failed comes before that is noted."""
        text(pair, REQUEST)
        (sent,) = rows(pair)
        assert pair.note(Receipt("first", sent.provider_id, status, None, sent.id))
        before = rows(pair)
        with pair.store.writing() as connection:
            given_up = {"text": sent.id, "by": "second", "at": clock(), "why": "timeout"}
            outbound_messages.give_up(connection, [given_up])
        assert rows(pair) == before
        assert before[0].status == status

    def test_what_has_not_is_given_up(self, pair: Bot, clock: StoppedClock) -> None:
        text(pair, REQUEST)
        with pair.store.writing() as connection:
            outbound_messages.give_up(connection, [{"text": rows(pair)[0].id, "by": "x", "at": clock(), "why": "y"}])
        assert rows(pair)[0].status == DeliveryStatus.FAILED


class TestCounting:
    def counted(self, bot: Bot) -> dict[tuple[str, str], int]:
        with bot.store.reading() as connection:
            return counters.every(connection)

    def test_a_receipt_for_nobodys_text_is_taken_and_counted(self, pair: Bot) -> None:
        for _ in range(2):
            assert not pair.note(Receipt("first", "P-unknown", DeliveryStatus.DELIVERED, ref=12))
        assert self.counted(pair) == {("receipt_unknown", "first"): 2}

    def test_so_is_what_did_not_arrive_and_what_followed(self, pair: Bot) -> None:
        text(pair, REQUEST)
        for _ in range(2):
            fail(pair, rows(pair)[0])
        assert self.counted(pair) == {("undelivered", "first unreachable"): 1, ("sent_again", "first second"): 1}

    def test_any_process_tells_of_all(self, pair: Bot, make_bot: MakeBot, first: Carrier, second: Carrier) -> None:
        text(pair, REQUEST)
        fail(pair, rows(pair)[0])
        pair.note(Receipt("first", "P-unknown", DeliveryStatus.DELIVERED, ref=12))
        other = make_bot(gateways=[first, second])
        told = create_app(other).test_client().get("/metrics").text
        for line in (
            'ramz_undelivered_total{gateway="first",reason="unreachable"} 1.0',
            'ramz_sent_again_total{gateway="first",to="second"} 1.0',
            'ramz_receipt_unknown_total{gateway="first"} 1.0',
            'ramz_gateway_down{gateway="first"} 0.0',
            'ramz_flood{guard="unused"} 0.0',
        ):
            assert line in told


@dataclass
class Hasty(Carrier):
    """A provider that calls with a receipt before it has answered the call by which it was given the text."""

    note: Callable[[Receipt], bool] = lambda _: False
    tells: Sequence[DeliveryStatus] = (DeliveryStatus.DELIVERED,)

    def send(self, text: Outbound) -> str:
        name = super().send(text)
        for status in self.tells:
            reason = Reason.UNREACHABLE if status is DeliveryStatus.FAILED else None
            assert not self.note(Receipt(self.name, name, status, reason))
        return name


class TestAReceiptThatComesBeforeTheAnswer:
    """It bears the provider's id alone, which nobody knows until the call by which the text was given has ended."""

    @pytest.fixture
    def hasty(self, make_bot: MakeBot, second: Carrier) -> tuple[Bot, Hasty]:
        carrier = Hasty("first")
        bot = settled(make_bot(gateways=[carrier, second]))
        carrier.note = bot.note
        return bot, carrier

    def test_it_is_noted_once_the_text_is_known(self, hasty: tuple[Bot, Hasty], clock: StoppedClock) -> None:
        bot, _ = hasty
        text(bot, REQUEST)
        arrived_at = clock()
        assert rows(bot)[0].status == DeliveryStatus.ACCEPTED
        clock.forward(seconds=1)
        assert bot.receipts.note_early() == 1
        assert (rows(bot)[0].status, rows(bot)[0].ended_at) == (DeliveryStatus.DELIVERED, arrived_at)
        assert bot.receipts.note_early() == 0
        assert TestCounting().counted(bot) == {}

    def test_a_code_that_did_not_arrive_goes_another_way(self, hasty: tuple[Bot, Hasty], second: Carrier) -> None:
        bot, carrier = hasty
        carrier.tells = (DeliveryStatus.SENT, DeliveryStatus.FAILED, DeliveryStatus.FAILED)
        text(bot, REQUEST)
        bot.receipts.note_early()
        bot.courier.deliver_due()
        assert text(bot, digits(second)) is Event.RIGHT_CODE

    def test_another_process_may_have_sent_the_text(
        self, hasty: tuple[Bot, Hasty], make_bot: MakeBot, second: Carrier
    ) -> None:
        bot, carrier = hasty
        other = make_bot(gateways=[carrier, second])
        carrier.note = other.note
        text(bot, REQUEST)
        assert other.receipts.note_early() == 1
        assert rows(bot)[0].status == DeliveryStatus.DELIVERED

    def test_one_that_is_for_nobodys_text_is_given_up_and_counted(self, hasty: tuple[Bot, Hasty]) -> None:
        bot, _ = hasty
        assert not bot.note(Receipt("first", "P-unknown", DeliveryStatus.DELIVERED))
        for _ in range(LOOKS):
            assert TestCounting().counted(bot) == {}
            assert bot.receipts.note_early() == 0
        assert TestCounting().counted(bot) == {("receipt_unknown", "first"): 1}

    def test_a_flood_of_them_is_not_kept(self, hasty: tuple[Bot, Hasty]) -> None:
        bot, _ = hasty
        for number in range(MOST + 3):
            bot.note(Receipt("first", f"P-unknown-{number}", DeliveryStatus.DELIVERED))
        assert TestCounting().counted(bot) == {("receipt_unknown", "first"): 3}


class TestATextThatHasMovedOn:
    """One gateway did not answer, and says later what became of the text; another is to try it."""

    @pytest.fixture
    def moved(self, pair: Bot, first: Carrier, second: Carrier, clock: StoppedClock) -> Any:
        """A new password that the second gateway will be given."""
        text(pair, REQUEST)
        first.failures += [SendFailed(Reason.TIMEOUT, permanent=False)] * 2
        text(pair, digits(first))
        clock.forward(seconds=1)
        pair.courier.deliver_due()
        row = rows(pair)[-1]
        assert (row.kind, row.status, row.gateway) == (MessageKind.PASSWORD, DeliveryStatus.QUEUED, "second")
        return row

    @pytest.mark.parametrize("gateway", ["first", "elsewhere"])
    def test_that_it_failed_there_does_not_end_it(
        self, pair: Bot, second: Carrier, clock: StoppedClock, moved: Any, gateway: str
    ) -> None:
        assert pair.note(Receipt(gateway, "P9", DeliveryStatus.FAILED, Reason.UNREACHABLE, moved.id, "30003"))
        clock.forward(seconds=5)
        pair.courier.deliver_due()
        assert [it.ref for it in second.sent] == [moved.id]
        assert rows(pair)[-1].status == DeliveryStatus.ACCEPTED

    def test_that_it_arrived_there_ends_it(self, pair: Bot, second: Carrier, clock: StoppedClock, moved: Any) -> None:
        assert pair.note(Receipt("first", "P9", DeliveryStatus.DELIVERED, ref=moved.id))
        clock.forward(seconds=5)
        pair.courier.deliver_due()
        assert (second.sent, rows(pair)[-1].status) == ([], DeliveryStatus.DELIVERED)

    @pytest.mark.parametrize("status", [DeliveryStatus.SENT, DeliveryStatus.FAILED, DeliveryStatus.DELIVERED])
    def test_one_that_nobody_has_tried_yet_has_no_receipt(
        self, pair: Bot, first: Carrier, status: DeliveryStatus
    ) -> None:
        pair.hear(Inbound("first", "R", ZAHRA["mobile"], REQUEST))
        (row,) = rows(pair)
        with pair.store.writing() as connection:
            connection.execute(update(MESSAGE).values(attempts=0, next_attempt_at=row.created_at))
        assert not pair.note(Receipt("first", "P9", status, ref=row.id))
        pair.courier.deliver_due()
        assert [it.ref for it in first.sent] == [row.id]
