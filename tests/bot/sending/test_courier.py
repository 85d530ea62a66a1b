"""Texts on their way out: when each is tried again, by which gateway, who may send it, and what is kept of it."""

import base64
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from threading import Event as Flag
from threading import Lock, Thread
from typing import Any

import pytest
from sqlalchemy import Connection, select, update
from sqlalchemy.exc import IntegrityError, OperationalError

from bot.build import Bot, build
from bot.ports import Inbound, Outbound, Reason, Receipt, SendFailed
from bot.sending.courier import LAST_WORDS, LEASE, ROOM, SENDERS
from dialogs.limits import HINTS_PER_HOUR
from dialogs.vocabulary import AnyEvent, Event
from store import outbound_messages
from store.database.engine import Store
from store.outbound_messages import NewMessage
from store.tables import CloseReason, CodeRow, ConversationRow, DeliveryStatus, MessageKind, OutboundMessageRow, table
from store.views import text_list
from store.views.delivery_stats import Subject
from tests.conftest import MakeBot
from tests.support.parts import (
    KEYS,
    NOON,
    PATIENCE_SECONDS,
    Carrier,
    LoadedRandomSource,
    StoppedClock,
    eventually,
    settings,
)
from tests.support.people import FATIMA, OMID, STRANGER, UNKNOWN_ID, ZAHRA, settle, settled

MESSAGE, CODE, CONVERSATION = table(OutboundMessageRow), table(CodeRow), table(ConversationRow)
REQUEST = "رمز 0012345679"
TEMPORARY = SendFailed(Reason.BUSY, permanent=False)
PERMANENT = SendFailed(Reason.NOT_A_MOBILE, permanent=True, code="21614")
OPTED_OUT = SendFailed(Reason.OPTED_OUT, permanent=True, code="21610")
NUMBERS = count()


def text(bot: Bot, words: str, sender: str = ZAHRA["mobile"], gateway: str = "simulated") -> AnyEvent | None:
    return bot.hear(Inbound(gateway, f"M{next(NUMBERS)}", sender, words))


def rows(store: Store) -> list[Any]:
    with store.reading() as connection:
        return list(connection.execute(select(MESSAGE).order_by(MESSAGE.c.id)).all())


def fates(store: Store) -> list[str | None]:
    with store.reading() as connection:
        return list(connection.execute(select(CODE.c.close_reason).order_by(CODE.c.created_at)).scalars())


def queue(store: Store, number: int = 1, *, lease: timedelta | None = None, **changes: Any) -> list[int]:
    """Texts in the outbox, as a process wrote them; their ids."""
    now = changes.pop("now", NOON)
    text = NewMessage(
        kind=int(MessageKind.REPLY),
        phone=ZAHRA["mobile"],
        language="en",
        phrase="help",
        parameters={},
        secret=None,
        code_id=None,
        account_id=None,
        inbound_gateway="simulated",
        request_received_at=now,
        expires_at=now + timedelta(minutes=10),
    )
    text = replace(text, **changes)
    with store.writing() as connection:
        return [it.id for it in outbound_messages.queue(connection, [text] * number, now, lease)]


@dataclass
class Slow(Carrier):
    """A carrier that takes its time: until `let_go` is set, or so many seconds."""

    seconds: float = 0.0
    let_go: Flag = field(default_factory=Flag)
    begun: list[int] = field(default_factory=list)

    def send(self, text: Outbound) -> str:
        self.begun.append(text.ref)
        self.let_go.wait(self.seconds)
        return super().send(text)


@contextmanager
def started(*bots: Bot) -> Iterator[None]:
    for bot in bots:
        bot.courier.start()
    try:
        yield
    finally:
        for bot in bots:
            bot.courier.stop()


class TestTrying:
    def test_a_text_goes_out_whole_and_is_known_by_its_providers_name(self, bot: Bot, carrier: Carrier) -> None:
        settled(bot)
        text(bot, REQUEST)
        assert bot.courier.deliver_due() == 1
        (sent,) = carrier.sent
        assert (sent.to, sent.kind, sent.validity) == (ZAHRA["mobile"], MessageKind.CODE, 600)
        assert "100001" in sent.text
        (row,) = rows(bot.store)
        assert (row.status, row.gateway, row.provider_id) == (DeliveryStatus.ACCEPTED, "simulated", f"P{row.id}")
        assert (row.accepted_at, row.attempts, row.error) == (NOON, 1, None)

    def test_a_text_is_not_sent_twice(self, bot: Bot, carrier: Carrier, clock: StoppedClock) -> None:
        settled(bot)
        text(bot, REQUEST)
        assert [bot.courier.deliver_due() for _ in range(3)] == [1, 0, 0]
        clock.forward(hours=1)
        assert bot.courier.deliver_due() == 0

    def test_it_tries_again_after_1_2_4_8_15_and_30_seconds(
        self, bot: Bot, carrier: Carrier, clock: StoppedClock
    ) -> None:
        settled(bot)
        text(bot, REQUEST)
        carrier.failures = [TEMPORARY] * 99
        assert bot.courier.deliver_due() == 1
        for seconds in (1, 2, 4, 8, 15, 30, 30, 30):
            clock.forward(seconds=seconds - 0.1)
            assert bot.courier.deliver_due() == 0, f"before {seconds} s"
            clock.forward(seconds=0.1)
            assert bot.courier.deliver_due() == 1, f"after {seconds} s"

    def test_it_gets_through_when_the_trouble_is_over(self, bot: Bot, carrier: Carrier, clock: StoppedClock) -> None:
        settled(bot)
        text(bot, REQUEST)
        carrier.failures = [TEMPORARY] * 3
        for seconds in (0, 1, 2, 4):
            clock.forward(seconds=seconds)
            bot.courier.deliver_due()
        (sent,) = carrier.sent
        assert sent.validity == 593, "what is left of the code's life"
        (row,) = rows(bot.store)
        assert (row.status, row.attempts, row.error) == (DeliveryStatus.ACCEPTED, 4, "busy")

    def test_it_stops_when_the_code_is_dead(self, bot: Bot, carrier: Carrier, clock: StoppedClock) -> None:
        settled(bot)
        text(bot, REQUEST)
        carrier.failures = [TEMPORARY] * 99
        attempts = 0
        for _ in range(700):
            attempts += bot.courier.deliver_due()
            clock.forward(seconds=1)
        assert attempts == 6 + 18  # six in the first 30 s, then one every 30 s while the code lives
        carrier.failures = []
        assert bot.courier.deliver_due() == 0
        bot.jobs.drop_expired_messages()
        (row,) = rows(bot.store)
        assert (row.status, row.secret) == (DeliveryStatus.DROPPED, None)

    def test_a_permanent_error_ends_it(self, bot: Bot, carrier: Carrier, clock: StoppedClock) -> None:
        settled(bot)
        text(bot, REQUEST)
        carrier.failures = [PERMANENT]
        assert bot.courier.deliver_due() == 1
        (row,) = rows(bot.store)
        assert (row.status, row.secret, row.error, row.ended_at) == (DeliveryStatus.FAILED, None, "not_a_mobile", NOON)
        assert (row.gateway, row.provider_id, row.accepted_at) == ("simulated", None, None)
        clock.forward(minutes=5)
        assert bot.courier.deliver_due() == 0

    def test_what_waits_goes_at_once_when_the_trouble_is_over(
        self, bot: Bot, carrier: Carrier, clock: StoppedClock
    ) -> None:
        queue(bot.store, 5)
        carrier.failures = [TEMPORARY] * 5 * 5
        for seconds in (0, 1, 2, 4, 8):
            clock.forward(seconds=seconds)
            assert bot.courier.deliver_due() == 5
        with bot.store.writing() as connection:
            outbound_messages.claim(connection, clock() + timedelta(seconds=15), 1, LEASE, "another process")
        clock.forward(seconds=1)
        queue(bot.store, now=clock())
        assert bot.courier.deliver_due() == 1, "the new one"
        assert bot.courier.deliver_due() == 4, "all but the one that another process is sending"

    def test_who_takes_a_text_now_and_then_does_not_get_them_all_at_once(
        self, bot: Bot, carrier: Carrier, clock: StoppedClock
    ) -> None:
        queue(bot.store, 5)
        carrier.failures = [TEMPORARY] * 5 * 3
        for seconds in (0, 1, 2):
            clock.forward(seconds=seconds)
            assert bot.courier.deliver_due() == 5
        clock.forward(seconds=1)
        queue(bot.store, now=clock())
        assert [bot.courier.deliver_due() for _ in range(2)] == [1, 0]

    def test_one_texts_trouble_is_not_anothers(self, bot: Bot, carrier: Carrier) -> None:
        settled(bot)
        carrier.failures = [TEMPORARY, PERMANENT]
        ids = queue(bot.store, 3)
        assert bot.courier.deliver_due() == 3
        assert [row.status for row in rows(bot.store)] == [
            DeliveryStatus.QUEUED,
            DeliveryStatus.FAILED,
            DeliveryStatus.ACCEPTED,
        ]
        assert [sent.ref for sent in carrier.sent] == ids[2:]

    def test_a_gateway_with_a_mistake_of_its_own_loses_no_text(self, store: Store, clock: StoppedClock) -> None:
        class Broken(Carrier):
            def send(self, text: Outbound) -> str:
                if not self.sent:
                    self.sent.append(text)
                    raise ZeroDivisionError
                return super().send(text)

        bot = settled(build(settings(), clock=clock, gateways=[Broken()], store=store))
        text(bot, REQUEST)
        assert bot.courier.deliver_due() == 1
        clock.forward(seconds=1)
        assert bot.courier.deliver_due() == 1
        assert rows(store)[0].status == DeliveryStatus.ACCEPTED

    def test_a_name_that_can_not_be_written_down_holds_nobody_up(self, store: Store, clock: StoppedClock) -> None:
        class Odd(Carrier):
            def send(self, text: Outbound) -> str:
                odd = ["N\x00", "L" * 99, "same", "same"]
                return odd.pop(text.ref % 4) if text.ref < 5 else super().send(text)

        bot = build(settings(), clock=clock, gateways=[Odd()], store=store)
        for ids in (queue(store, 5), queue(store, 1)):
            bot.courier.deliver_due()
            assert {row.id: row.status for row in rows(store)}[ids[-1]] == DeliveryStatus.ACCEPTED

    def test_codes_go_first_then_passwords_replies_and_notices(self, bot: Bot, carrier: Carrier) -> None:
        sealed = bot.keyring.seal("123456")
        for kind, phrase in (
            (MessageKind.NOTICE, "help"),
            (MessageKind.REPLY, "help"),
            (MessageKind.PASSWORD, "new_password"),
        ):
            secret = sealed if kind is MessageKind.PASSWORD else None
            earlier = NOON - timedelta(minutes=int(kind))  # they have waited the longer
            queue(bot.store, 2 * SENDERS, kind=int(kind), phrase=phrase, secret=secret, now=earlier)
        queue(bot.store, 2, kind=int(MessageKind.CODE), phrase="code", parameters={"minutes": "10"}, secret=sealed)
        bot.courier.deliver_due()
        kinds = [sent.kind for sent in carrier.sent]
        assert kinds == sorted(kinds)
        assert Counter(kinds) == {MessageKind.CODE: 2} | dict.fromkeys(kinds[2:], 2 * SENDERS)


class TestFailover:
    @pytest.fixture
    def first(self) -> Carrier:
        return Carrier("first")

    @pytest.fixture
    def second(self) -> Carrier:
        return Carrier("second")

    @pytest.fixture
    def pair(self, make_bot: MakeBot, first: Carrier, second: Carrier) -> Bot:
        return settled(make_bot(gateways=[first, second]))

    def test_the_first_gateway_is_used_while_it_is_well(self, pair: Bot, first: Carrier, second: Carrier) -> None:
        queue(pair.store, 3, inbound_gateway="neither")
        pair.courier.deliver_due()
        assert (len(first.sent), len(second.sent)) == (3, 0)

    def test_after_a_second_failure_the_next_gateway_takes_over(
        self, pair: Bot, first: Carrier, second: Carrier, clock: StoppedClock
    ) -> None:
        first.failures, second.failures = [TEMPORARY] * 2, [TEMPORARY] * 2
        text(pair, REQUEST, gateway="first")
        seen = []
        for seconds in (0, 1, 2, 4, 8):
            clock.forward(seconds=seconds)
            assert pair.courier.deliver_due() == 1
            seen.append((len(first.failures), len(second.failures)))
        assert seen == [(1, 2), (0, 2), (0, 1), (0, 0), (0, 0)]
        (row,) = rows(pair.store)
        assert (len(first.sent), len(second.sent), row.gateway) == (1, 0, "first"), (
            "then it is the first one's turn again"
        )

    def test_the_second_gateway_is_reached_in_seconds(
        self, pair: Bot, first: Carrier, second: Carrier, clock: StoppedClock
    ) -> None:
        first.failures = [TEMPORARY] * 99
        text(pair, REQUEST, gateway="first")
        for _ in range(10):
            pair.courier.deliver_due()
            clock.forward(seconds=1)
        assert len(second.sent) == 1
        (row,) = rows(pair.store)
        assert row.gateway == "second" and row.accepted_at - NOON <= timedelta(seconds=10)

    def test_a_reply_goes_by_the_gateway_that_the_text_came_by(
        self, pair: Bot, first: Carrier, second: Carrier
    ) -> None:
        text(pair, REQUEST, gateway="second")
        pair.courier.deliver_due()
        text(pair, "HELP", OMID["mobile"], gateway="first")
        pair.courier.deliver_due()
        assert ([sent.to for sent in second.sent], [sent.to for sent in first.sent]) == (
            [ZAHRA["mobile"]],
            [OMID["mobile"]],
        )

    def test_it_goes_by_the_other_where_that_one_fails(
        self, pair: Bot, first: Carrier, second: Carrier, clock: StoppedClock
    ) -> None:
        second.failures = [TEMPORARY] * 99
        text(pair, REQUEST, gateway="second")
        for seconds in (0, 1, 2):
            clock.forward(seconds=seconds)
            pair.courier.deliver_due()
        assert len(first.sent) == 1

    def test_a_text_that_came_by_a_gateway_since_switched_off_is_answered_by_the_first(
        self, pair: Bot, first: Carrier
    ) -> None:
        text(pair, REQUEST, gateway="long gone")
        pair.courier.deliver_due()
        assert len(first.sent) == 1


class TestSecrets:
    def test_they_are_encrypted_while_they_wait(self, bot: Bot) -> None:
        settled(bot)
        text(bot, REQUEST)
        (row,) = rows(bot.store)
        assert row.secret and b"100001" not in row.secret
        assert "100001" not in str(row)
        assert bot.keyring.open(row.secret) == "100001"

    def test_none_can_stay_in_a_text_that_has_left_or_died(self, bot: Bot) -> None:
        settled(bot)
        text(bot, REQUEST)
        for status in DeliveryStatus:
            if status is not DeliveryStatus.QUEUED:
                with pytest.raises(IntegrityError), bot.store.writing() as connection:
                    connection.execute(update(MESSAGE).values(status=int(status)))

    def ends_with(self, bot: Bot, status: DeliveryStatus, error: str | None, number: int = 0) -> None:
        row = rows(bot.store)[number]
        assert (row.status, row.secret, row.error) == (status, None, error)
        assert row.accepted_at is None or status is DeliveryStatus.ACCEPTED

    def test_they_are_erased_when_the_text_was_taken(self, bot: Bot) -> None:
        settled(bot)
        text(bot, REQUEST)
        bot.courier.deliver_due()
        self.ends_with(bot, DeliveryStatus.ACCEPTED, None)

    def test_they_are_erased_when_a_newer_code_voids_the_code(
        self, bot: Bot, carrier: Carrier, clock: StoppedClock
    ) -> None:
        settled(bot)
        text(bot, REQUEST)
        clock.forward(seconds=61)
        text(bot, REQUEST)
        self.ends_with(bot, DeliveryStatus.DROPPED, CloseReason.VOIDED)
        bot.courier.deliver_due()
        assert ["100002" in sent.text for sent in carrier.sent] == [True], "only the newer one goes out"

    @pytest.mark.parametrize("words", ["انصراف", "STOP"])
    def test_they_are_erased_when_the_owner_drops_the_code(self, bot: Bot, carrier: Carrier, words: str) -> None:
        settled(bot)
        text(bot, REQUEST)
        text(bot, words)
        self.ends_with(bot, DeliveryStatus.DROPPED, CloseReason.CANCELLED)
        bot.courier.deliver_due()
        assert not any("100001" in sent.text for sent in carrier.sent)

    def test_they_are_erased_when_the_code_is_burned(self, bot: Bot, carrier: Carrier) -> None:
        settled(bot)
        text(bot, REQUEST)
        for _ in range(5):
            text(bot, "999999")
        self.ends_with(bot, DeliveryStatus.DROPPED, CloseReason.BURNED)
        bot.courier.deliver_due()
        assert not any("100001" in sent.text for sent in carrier.sent)

    def test_they_are_erased_when_the_code_was_used_before_its_text_left(self, bot: Bot, carrier: Carrier) -> None:
        settled(bot)
        text(bot, REQUEST)
        assert text(bot, "100001") is Event.RIGHT_CODE
        self.ends_with(bot, DeliveryStatus.DROPPED, CloseReason.USED)
        bot.courier.deliver_due()
        assert not any("100001" in sent.text for sent in carrier.sent)

    def test_they_are_erased_by_a_sweep_when_the_code_has_expired(self, bot: Bot, clock: StoppedClock) -> None:
        settled(bot)
        text(bot, REQUEST)
        clock.forward(seconds=599)
        bot.jobs.close_codes()
        assert rows(bot.store)[0].secret is not None
        clock.forward(seconds=1)
        bot.jobs.close_codes()
        self.ends_with(bot, DeliveryStatus.DROPPED, CloseReason.EXPIRED)
        assert fates(bot.store) == [CloseReason.EXPIRED]

    def test_either_sweep_does_it(self, bot: Bot, clock: StoppedClock) -> None:
        settled(bot)
        text(bot, REQUEST)
        clock.forward(seconds=600)
        bot.jobs.drop_expired_messages()
        self.ends_with(bot, DeliveryStatus.DROPPED, "expired")

    def test_one_that_was_dropped_while_it_was_being_sent_is_not_queued_again(
        self, store: Store, clock: StoppedClock, random_source: LoadedRandomSource
    ) -> None:
        class Busy(Carrier):
            def send(self, sent: Outbound) -> str:
                if sent.kind is MessageKind.CODE:
                    text(bot, "انصراف")
                    raise TEMPORARY
                return super().send(sent)

        bot = settled(build(settings(), clock=clock, random_source=random_source, gateways=[Busy()], store=store))
        text(bot, REQUEST)
        bot.courier.deliver_due()
        self.ends_with(bot, DeliveryStatus.DROPPED, CloseReason.CANCELLED)
        clock.forward(seconds=60)
        assert bot.courier.deliver_due() == 0

    @pytest.mark.parametrize("comes_back", ["during the attempt", "after it"])
    def test_one_that_failed_as_far_as_is_known_has_arrived_if_its_code_came_back(
        self, store: Store, clock: StoppedClock, random_source: LoadedRandomSource, comes_back: str
    ) -> None:
        """The provider takes the text and says nothing; its owner texts the code back before it is sent again."""

        class Silent(Carrier):
            def send(self, sent: Outbound) -> str:
                taken = super().send(sent)
                if sent.kind is not MessageKind.CODE:
                    return taken
                if comes_back == "during the attempt":
                    assert text(bot, "100001") is Event.RIGHT_CODE
                raise SendFailed(Reason.TIMEOUT, permanent=False)

        silent = Silent()
        bot = settled(build(settings(), clock=clock, random_source=random_source, gateways=[silent], store=store))
        text(bot, REQUEST)
        bot.courier.deliver_due()
        if comes_back == "after it":
            assert text(bot, "100001") is Event.RIGHT_CODE
        code, _ = rows(bot.store)
        assert (code.status, code.error, code.secret, code.ended_at) == (DeliveryStatus.DELIVERED, None, None, NOON)
        with store.reading() as connection:
            found = text_list.in_time_and_missed(connection, NOON - timedelta(minutes=1), NOON + timedelta(minutes=2))
        assert found[Subject.CODE] == (1, 0)
        clock.forward(seconds=60)
        bot.courier.deliver_due()
        assert [sent.kind for sent in silent.sent] == [MessageKind.CODE, MessageKind.PASSWORD]

    @pytest.mark.parametrize("is_reported_first", [False, True])
    def test_one_that_was_dropped_while_its_provider_took_it_has_left_all_the_same(
        self,
        store: Store,
        clock: StoppedClock,
        random_source: LoadedRandomSource,
        is_reported_first: bool,
    ) -> None:
        """The code comes back, or its receipt, before this process has written down that it was taken."""

        class Quick(Carrier):
            def send(self, sent: Outbound) -> str:
                taken = super().send(sent)
                if sent.kind is MessageKind.CODE:
                    text(bot, "100001")
                    if is_reported_first:
                        bot.note(Receipt(self.name, taken, DeliveryStatus.DELIVERED, None, sent.ref))
                return taken

        bot = settled(build(settings(), clock=clock, random_source=random_source, gateways=[Quick()], store=store))
        text(bot, REQUEST)
        bot.courier.deliver_due()
        (code, _) = rows(bot.store)
        assert code.status == (DeliveryStatus.DELIVERED if is_reported_first else DeliveryStatus.ACCEPTED)
        assert (code.secret, code.error) == (None, None) and code.accepted_at
        assert fates(bot.store) == [CloseReason.USED]

    def test_a_password_is_erased_too(self, bot: Bot, carrier: Carrier) -> None:
        settled(bot)
        text(bot, REQUEST)
        bot.courier.deliver_due()
        text(bot, "100001")
        waiting = rows(bot.store)[1]
        assert waiting.phrase == "new_password" and bot.keyring.open(waiting.secret) == "aaaa-aaaa-aaab"
        bot.courier.deliver_due()
        assert "aaaa-aaaa-aaab" in carrier.sent[1].text.splitlines()
        self.ends_with(bot, DeliveryStatus.ACCEPTED, None, number=1)


class TestTheNeutralReply:
    """Its place among what is sent must not tell whether there is an account."""

    @pytest.mark.parametrize("named", [ZAHRA["national_id"], UNKNOWN_ID], ids=["known", "unknown"])
    def test_it_leaves_in_the_first_slot_known_or_not(self, bot: Bot, carrier: Carrier, named: str) -> None:
        settled(bot)
        text(bot, f"رمز {named}", STRANGER)
        bot.courier.deliver_due()
        to = [sent.to for sent in carrier.sent]
        assert to == [STRANGER, ZAHRA["mobile"]][: 1 + (named == ZAHRA["national_id"])]

    @pytest.mark.parametrize("before", [HINTS_PER_HOUR - 1, HINTS_PER_HOUR])
    @pytest.mark.parametrize("named", [ZAHRA["national_id"], UNKNOWN_ID], ids=["known", "unknown"])
    def test_nor_does_what_stands_in_its_place_when_the_hours_replies_end(
        self, bot: Bot, carrier: Carrier, before: int, named: str
    ) -> None:
        """The last reply; and that a STOP has ended, which is said beyond it."""
        settled(bot)
        for words in [f"رمز {UNKNOWN_ID}"] * before + ["STOP"] * (before == HINTS_PER_HOUR):
            text(bot, words, STRANGER)
        bot.courier.deliver_due()
        carrier.sent.clear()
        text(bot, f"رمز {named}", STRANGER)
        bot.courier.deliver_due()
        sent = [each.to for each in carrier.sent]
        assert sent == [STRANGER, ZAHRA["mobile"]][: 1 + (named == ZAHRA["national_id"])]

    def test_codes_of_others_that_wait_do_not_go_before_it(
        self, bot: Bot, carrier: Carrier, clock: StoppedClock
    ) -> None:
        settled(bot)
        named = [ZAHRA["national_id"], UNKNOWN_ID, OMID["national_id"], UNKNOWN_ID]
        strangers = [f"+98930000001{place}" for place in range(len(named))]
        for stranger, national_id in zip(strangers, named, strict=True):
            text(bot, f"رمز {national_id}", stranger)
        clock.forward(minutes=1)  # what this process had claimed is anybody's
        bot.courier.deliver_due()
        slots = [sent.to for sent in carrier.sent]
        assert slots[: len(named)] == strangers
        assert set(slots[len(named) :]) == {ZAHRA["mobile"], OMID["mobile"]}


class TestOptingOutAtTheProvider:
    def test_it_is_remembered(self, bot: Bot, carrier: Carrier) -> None:
        settled(bot)
        text(bot, REQUEST)
        carrier.failures = [OPTED_OUT]
        bot.courier.deliver_due()
        with bot.store.reading() as connection:
            opted_out = connection.execute(select(CONVERSATION.c.opted_out_at)).scalar_one()
        assert opted_out == NOON
        assert (rows(bot.store)[0].status, rows(bot.store)[0].secret) == (DeliveryStatus.FAILED, None)

    def test_it_is_remembered_of_a_phone_that_never_texted(self, bot: Bot, carrier: Carrier) -> None:
        settled(bot)
        text(bot, REQUEST, STRANGER)
        carrier.failures = [OPTED_OUT, OPTED_OUT]  # the reply to the stranger leaves before the code
        bot.courier.deliver_due()
        with bot.store.reading() as connection:
            found = select(CONVERSATION.c.opted_out_at).where(CONVERSATION.c.phone == ZAHRA["mobile"])
            assert connection.execute(found).scalar_one() == NOON

    def test_nothing_more_is_then_sent_there_at_a_strangers_wish(
        self, bot: Bot, carrier: Carrier, clock: StoppedClock
    ) -> None:
        settled(bot)
        text(bot, REQUEST)
        carrier.failures = [OPTED_OUT]
        bot.courier.deliver_due()
        clock.forward(minutes=11)
        text(bot, REQUEST, STRANGER)
        bot.courier.deliver_due()
        assert [sent.to for sent in carrier.sent] == [STRANGER]

    def test_its_owners_own_request_is_consent_again(self, bot: Bot, carrier: Carrier, clock: StoppedClock) -> None:
        settled(bot)
        text(bot, REQUEST)
        carrier.failures = [OPTED_OUT]
        bot.courier.deliver_due()
        clock.forward(minutes=2)
        assert text(bot, REQUEST) is Event.ASKED
        bot.courier.deliver_due()
        assert [sent.to for sent in carrier.sent] == [ZAHRA["mobile"]]

    def test_another_permanent_error_is_no_opting_out(self, bot: Bot, carrier: Carrier) -> None:
        settled(bot)
        text(bot, REQUEST)
        carrier.failures = [PERMANENT]
        bot.courier.deliver_due()
        with bot.store.reading() as connection:
            assert connection.execute(select(CONVERSATION.c.opted_out_at)).scalar_one() is None


class TestLeases:
    def test_a_text_that_a_dead_process_had_claimed_is_taken_over_after_its_lease(
        self, bot: Bot, carrier: Carrier, clock: StoppedClock
    ) -> None:
        queue(bot.store)
        with bot.store.writing() as connection:
            assert len(outbound_messages.claim(connection, clock(), SENDERS, LEASE)) == 1
        clock.forward(seconds=LEASE.total_seconds() - 0.1)
        assert bot.courier.deliver_due() == 0
        clock.forward(seconds=0.1)
        assert bot.courier.deliver_due() == 1
        assert (len(carrier.sent), rows(bot.store)[0].attempts) == (1, 2)

    def test_so_is_a_text_that_it_had_claimed_as_it_wrote_it(
        self, bot: Bot, carrier: Carrier, clock: StoppedClock
    ) -> None:
        queue(bot.store, lease=LEASE)
        clock.forward(seconds=LEASE.total_seconds() - 0.1)
        assert bot.courier.deliver_due() == 0
        clock.forward(seconds=0.1)
        assert bot.courier.deliver_due() == 1

    def test_a_text_in_a_living_process_is_not_taken_from_it(
        self, store: Store, clock: StoppedClock, make_bot: MakeBot
    ) -> None:
        slow = Slow(seconds=PATIENCE_SECONDS)
        one, other = make_bot(gateways=[slow]), make_bot(gateways=[Carrier()])
        settle(store)
        with started(one):
            text(one, REQUEST)
            assert eventually(lambda: slow.begun)
            clock.forward(seconds=LEASE.total_seconds() - 0.1)
            assert other.courier.deliver_due() == 0
            slow.let_go.set()
        assert (len(slow.sent), rows(store)[0].status) == (1, DeliveryStatus.ACCEPTED)

    def test_a_text_that_lay_too_long_is_left_to_whoever_takes_it_over(
        self, store: Store, clock: StoppedClock, make_bot: MakeBot
    ) -> None:
        slow = Slow(seconds=PATIENCE_SECONDS)
        bot = make_bot(gateways=[slow])
        with started(bot):
            ids = queue(store, ROOM)
            assert eventually(lambda: len(slow.begun) == SENDERS)
            clock.forward(seconds=10)  # an attempt begun now could outlast the lease
            slow.let_go.set()
            assert eventually(lambda: sum(row.status == DeliveryStatus.ACCEPTED for row in rows(store)) == SENDERS)
            assert len(slow.sent) == SENDERS
            clock.forward(seconds=5)
            assert eventually(lambda: all(row.status == DeliveryStatus.ACCEPTED for row in rows(store)))
        assert Counter(slow.begun) == Counter(ids)

    def test_two_couriers_never_send_one_text_twice(self, store: Store, clock: StoppedClock, make_bot: MakeBot) -> None:
        sent: Counter[int] = Counter()
        lock = Lock()

        class Counting(Carrier):
            def send(self, text: Outbound) -> str:
                with lock:
                    sent[text.ref] += 1
                return super().send(text)

        bots = [make_bot(gateways=[Counting()]) for _ in range(3)]
        settle(store)
        ids = queue(store, 120, now=clock())
        with started(*bots):
            hearers = [
                Thread(target=lambda it=it, n=n: [text(it, "HELP", f"+98930{n}0000{m:02d}") for m in range(20)])
                for n, it in enumerate(bots)
            ]
            for hearer in hearers:
                hearer.start()
            for hearer in hearers:
                hearer.join()
            assert eventually(lambda: len(sent) == 180)
            assert eventually(lambda: all(row.status == DeliveryStatus.ACCEPTED for row in rows(store)))
        assert set(ids) <= sent.keys()
        assert set(sent.values()) == {1}
        assert {row.attempts for row in rows(store)} == {1}

    def test_two_that_claim_at_the_same_moment_get_different_texts(self, store: Store, clock: StoppedClock) -> None:
        queue(store, 64)
        claimed: list[int] = []

        def claim() -> None:
            for _ in range(8):
                with store.writing() as connection:
                    claimed.extend(text.id for text in outbound_messages.claim(connection, clock(), 4, LEASE))

        threads = [Thread(target=claim) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(claimed) == len(set(claimed)) == 64


class Breakable(Store):
    """A store that can be put out of reach."""

    broken = False

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        if self.broken:
            raise OperationalError("BEGIN", {}, Exception("out of reach"))
        with super().writing() as connection:
            yield connection


class TestWhileTheDatabaseIsOutOfReach:
    @pytest.fixture
    def breakable(self, database_url: str) -> Iterator[Breakable]:
        store = Breakable(database_url)
        yield store
        store.close()

    def bot(self, store: Breakable, clock: Callable[[], datetime], failures: list[SendFailed]) -> tuple[Bot, Carrier]:
        class Breaking(Carrier):
            """A carrier during whose work the database goes away."""

            def send(self, text: Outbound) -> str:
                store.broken = True
                return super().send(text)

        carrier = Breaking(failures=failures)
        return settled(build(settings(), clock=clock, gateways=[carrier], store=store)), carrier

    def test_what_became_of_a_text_is_noted_later(self, breakable: Breakable, clock: StoppedClock) -> None:
        bot, carrier = self.bot(breakable, clock, [])
        text(bot, REQUEST)
        with pytest.raises(OperationalError):
            bot.courier.deliver_due()
        clock.forward(seconds=60)
        breakable.broken = False
        assert bot.courier.deliver_due() == 0
        (row,) = rows(breakable)
        assert (row.status, row.secret, len(carrier.sent)) == (DeliveryStatus.ACCEPTED, None, 1)

    def test_so_is_a_permanent_error(self, breakable: Breakable, clock: StoppedClock) -> None:
        bot, carrier = self.bot(breakable, clock, [PERMANENT])
        text(bot, REQUEST)
        with pytest.raises(OperationalError):
            bot.courier.deliver_due()
        breakable.broken = False
        clock.forward(seconds=60)
        assert bot.courier.deliver_due() == 0
        assert (rows(breakable)[0].status, carrier.sent) == (DeliveryStatus.FAILED, [])

    def test_the_threads_outlive_it_and_lose_nothing(self, breakable: Breakable, clock: StoppedClock) -> None:
        bot, carrier = self.bot(breakable, clock, [])
        with started(bot):
            text(bot, REQUEST)
            assert eventually(lambda: carrier.sent)
            time.sleep(0.3)  # it tries to note it, in vain
            assert bot.courier.is_alive()
            assert rows(breakable)[0].status == DeliveryStatus.QUEUED
            breakable.broken = False
            assert eventually(lambda: rows(breakable)[0].status == DeliveryStatus.ACCEPTED)
            text(bot, "HELP", FATIMA["mobile"])
            assert eventually(lambda: len(carrier.sent) == 2)
            breakable.broken = False
        assert [row.status for row in rows(breakable)] == [DeliveryStatus.ACCEPTED, DeliveryStatus.ACCEPTED]

    def test_it_can_be_stopped_meanwhile(self, breakable: Breakable, clock: StoppedClock) -> None:
        bot, carrier = self.bot(breakable, clock, [])
        bot.courier.start()
        text(bot, REQUEST)
        assert eventually(lambda: carrier.sent)
        began = time.monotonic()
        bot.courier.stop()
        assert time.monotonic() - began < PATIENCE_SECONDS
        assert not bot.courier.is_alive()


OTHER_KEY = "k2:" + base64.b64encode(bytes(range(1, 33))).decode()


class TestKeys:
    def test_a_text_sealed_under_an_older_key_still_goes_out(
        self, make_bot: MakeBot, carrier: Carrier, store: Store
    ) -> None:
        text(settled(make_bot()), REQUEST)
        rotated = make_bot(SECRET_KEYS=f"{OTHER_KEY},{KEYS}")
        assert rotated.courier.deliver_due() == 1
        assert "100001" in carrier.sent[0].text

    def test_a_text_under_a_key_that_this_process_lacks_is_left_to_one_that_has_it(
        self, make_bot: MakeBot, carrier: Carrier, store: Store, clock: StoppedClock
    ) -> None:
        there = settled(make_bot())
        text(there, REQUEST)
        without = make_bot(SECRET_KEYS=OTHER_KEY)
        for _ in range(3):
            assert without.courier.deliver_due() == 1
            clock.forward(seconds=30)
        (row,) = rows(store)
        assert (row.status, row.error, carrier.sent) == (DeliveryStatus.QUEUED, "key_removed", [])
        assert (there.courier.deliver_due(), len(carrier.sent)) == (1, 1)

    def test_a_text_that_nobody_has_the_key_of_ends_with_its_code(
        self, make_bot: MakeBot, carrier: Carrier, store: Store, clock: StoppedClock
    ) -> None:
        text(settled(make_bot()), REQUEST)
        without = make_bot(SECRET_KEYS=OTHER_KEY)
        without.courier.deliver_due()
        clock.forward(minutes=10)
        without.jobs.drop_expired_messages()
        (row,) = rows(store)
        assert (row.status, row.secret, row.error) == (DeliveryStatus.DROPPED, None, "key_removed")
        assert (without.courier.deliver_due(), carrier.sent) == (0, [])

    def test_a_new_request_mends_that(self, make_bot: MakeBot, carrier: Carrier, clock: StoppedClock) -> None:
        text(settled(make_bot()), REQUEST)
        without = make_bot(SECRET_KEYS=OTHER_KEY)
        without.courier.deliver_due()
        clock.forward(seconds=61)
        text(without, REQUEST)
        without.courier.deliver_due()
        assert text(without, "100002") is Event.RIGHT_CODE


class TestStartingAndStopping:
    def test_a_text_is_sent_at_once_after_its_commit(self, bot: Bot, carrier: Carrier) -> None:
        settled(bot)
        with started(bot):
            time.sleep(0.2)  # it has found nothing to do
            text(bot, REQUEST)
            assert eventually(lambda: carrier.sent)  # by this process: for any sweep it is due only after its lease

    def test_it_is_sent_while_others_are_heard(self, bot: Bot, carrier: Carrier) -> None:
        settled(bot)
        with started(bot):
            assert eventually(bot.courier.has_room)
            text(bot, REQUEST)
            heard = 1
            while not carrier.sent:
                text(bot, "HELP", f"+989300{heard:06d}")
                heard += 1
                assert heard < 1000
        assert carrier.sent[0].to == ZAHRA["mobile"]

    def test_a_text_that_another_process_left_is_found_within_seconds(self, bot: Bot, carrier: Carrier) -> None:
        with started(bot):
            time.sleep(0.2)
            queue(bot.store)
            assert eventually(lambda: carrier.sent)

    def test_more_texts_than_it_can_hold_are_all_sent(self, bot: Bot, carrier: Carrier) -> None:
        with started(bot):
            ids = queue(bot.store, 3 * ROOM + 1)
            assert eventually(lambda: len(carrier.sent) == len(ids))
        assert sorted(sent.ref for sent in carrier.sent) == ids

    def test_a_stop_finishes_what_is_on_its_way(self, make_bot: MakeBot, store: Store) -> None:
        slow = Slow(seconds=PATIENCE_SECONDS)
        bot = settled(make_bot(gateways=[slow]))
        bot.courier.start()
        text(bot, REQUEST)
        assert eventually(lambda: slow.begun)
        stop = Thread(target=bot.courier.stop)
        stop.start()
        assert not eventually(lambda: not stop.is_alive(), 0.3)
        slow.let_go.set()
        stop.join()
        assert len(slow.sent) == 1
        assert rows(store)[0].status == DeliveryStatus.ACCEPTED
        assert not bot.courier.is_alive()

    @pytest.mark.slow
    def test_a_stop_waits_as_long_as_a_provider_may_take(self, sqlite_url: str, clock: StoppedClock) -> None:
        slow = Slow(seconds=LAST_WORDS + 0.7)
        bot = settled(build(settings(), clock=clock, gateways=[slow], store=Store(sqlite_url)))
        bot.courier.start()
        text(bot, REQUEST)
        assert eventually(lambda: slow.begun)
        bot.courier.stop()
        assert rows(bot.store)[0].status == DeliveryStatus.ACCEPTED
        bot.store.close()

    def test_a_stop_sends_what_is_due(self, make_bot: MakeBot, store: Store) -> None:
        slow = Slow(seconds=0.02)
        bot = make_bot(gateways=[slow])
        bot.courier.start()
        queue(store, 40)
        bot.courier.stop()
        assert {row.status for row in rows(store)} == {DeliveryStatus.ACCEPTED}

    def test_a_stop_does_not_wait_for_what_is_to_be_tried_later(
        self, make_bot: MakeBot, carrier: Carrier, store: Store
    ) -> None:
        carrier.failures = [TEMPORARY] * 99
        bot = settled(make_bot())
        bot.courier.start()
        text(bot, REQUEST)
        assert eventually(lambda: rows(store)[0].error)
        began = time.monotonic()
        bot.courier.stop()
        assert time.monotonic() - began < LAST_WORDS
        assert rows(store)[0].status == DeliveryStatus.QUEUED

    def test_what_is_heard_after_a_stop_is_left_to_others(
        self, make_bot: MakeBot, carrier: Carrier, store: Store
    ) -> None:
        bot = settled(make_bot())
        bot.courier.start()
        bot.courier.stop()
        text(bot, REQUEST)
        assert carrier.sent == []
        assert make_bot().courier.deliver_due() == 1

    def test_it_can_be_stopped_without_a_start(self, bot: Bot) -> None:
        bot.courier.stop()
        assert not bot.courier.is_alive()
