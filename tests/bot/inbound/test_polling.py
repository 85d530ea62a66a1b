"""Asking providers for texts and receipts: once on all hosts, nothing lost, heard twice or left behind."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import DataError, DBAPIError, OperationalError

from bot.build import Bot
from bot.credentials.keyring import Keyring
from bot.inbound.polling import Polling, _spans
from bot.ports import Batch, Inbound, PolledText, Reason, Receipt, ReceiptRounds, SendFailed
from bot.settings import read_keys
from store.database.engine import Store
from store.polling import polled_messages, polls
from store.service import seasons
from store.tables import DeliveryStatus, InboundMessageRow, OutboundMessageRow, PolledMessageRow, PollRoundRow, table
from tests.conftest import MakeBot
from tests.support.parts import KEYS, Carrier, StoppedClock
from tests.support.people import OMID, STRANGER, ZAHRA, settled
from webhooks import create_app

WAITING, ROUND, INBOUND, MESSAGE = (
    table(PolledMessageRow),
    table(PollRoundRow),
    table(InboundMessageRow),
    table(OutboundMessageRow),
)
# A rule by which the database takes all texts but one, and how it ends.
REFUSING = {
    "sqlite": (
        """CREATE TRIGGER refusing BEFORE INSERT ON polled_message WHEN NEW.provider_id = 'refused'
        BEGIN SELECT RAISE(ABORT, 'refused'); END""",
        "DROP TRIGGER refusing",
    ),
    "postgresql": (
        "ALTER TABLE polled_message ADD CONSTRAINT refusing CHECK (provider_id <> 'refused')",
        "ALTER TABLE polled_message DROP CONSTRAINT refusing",
    ),
}
ROUNDS = ReceiptRounds(batch=2, from_seconds=20, until_seconds=3600)


@dataclass
class Provider(Carrier):
    """A carrier that is asked. Fetching a text takes it away."""

    name: str = "asked"
    waiting: list[tuple[str, str, str]] = field(default_factory=list)  # id, sender, words
    age: timedelta = timedelta()
    states: dict[str, DeliveryStatus] = field(default_factory=dict)
    asked: list[Any] = field(default_factory=list)
    silent: bool = False
    clock: StoppedClock = field(default_factory=StoppedClock)
    texts_every: int | None = 3
    receipt_rounds: ReceiptRounds | None = ROUNDS

    def poll_inbound(self, cursor: str) -> Batch:
        self.asked.append(cursor)
        if self.silent:
            raise SendFailed(Reason.TIMEOUT, permanent=False)
        told, self.waiting = self.waiting, []
        sent_at = self.clock() - self.age
        texts = [PolledText(Inbound(self.name, name, sender, words), sent_at) for name, sender, words in told]
        return Batch(texts, cursor=f"{len(self.asked)}")

    def poll_receipts(self, names: Sequence[str]) -> list[Receipt]:
        assert 0 < len(names) <= ROUNDS.batch
        self.asked.append(list(names))
        if self.silent:
            raise SendFailed(Reason.TIMEOUT, permanent=False)
        return [Receipt(self.name, name, self.states[name]) for name in names if name in self.states]


@pytest.fixture
def provider(clock: StoppedClock) -> Provider:
    return Provider(clock=clock)


@pytest.fixture
def bot(make_bot: MakeBot, provider: Provider) -> Bot:
    return settled(make_bot(gateways=[provider]))


def polling_of(bot: Bot, provider: Provider, hear: Callable[[Inbound], object] | None = None) -> Polling:
    """One process's."""
    return Polling(bot.store, bot.keyring, bot.clock, [provider], hear or bot.hear, bot.note)


@pytest.fixture
def polling(bot: Bot, provider: Provider) -> Polling:
    return polling_of(bot, provider)


@contextmanager
def refusing(store: Store) -> Iterator[None]:
    """Meanwhile the database takes no text that is called `refused`."""
    for place, statement in enumerate(REFUSING[store.engine.dialect.name]):
        with store.writing() as connection:
            connection.execute(text(statement))
        if not place:
            yield


def rows(store: Store, statement: Any) -> list[Any]:
    with store.reading() as connection:
        return list(connection.execute(statement).all())


class TestTexts:
    def test_a_text_is_fetched_heard_and_gone(self, bot: Bot, provider: Provider, polling: Polling) -> None:
        provider.waiting = [("1", ZAHRA["mobile"], f"رمز {ZAHRA['national_id']}")]
        assert polling.fetch(provider) == 1
        bot.courier.deliver_due()
        assert [sent.to for sent in provider.sent] == [ZAHRA["mobile"]]
        assert rows(bot.store, select(WAITING.c.id)) == []

    def test_the_cursor_goes_on(self, provider: Provider, polling: Polling, clock: StoppedClock) -> None:
        for _ in range(3):
            polling.fetch(provider)
            clock.forward(seconds=3)
        assert provider.asked == ["", "1", "2"]

    def test_two_processes_ask_as_often_as_one(self, bot: Bot, provider: Provider, clock: StoppedClock) -> None:
        processes = [polling_of(bot, provider) for _ in range(2)]
        for _ in range(31):
            for process in processes:
                process.fetch(provider)
            clock.forward(seconds=1)
        assert len(provider.asked) == 11

    def test_out_of_season_it_is_asked_less_often(
        self, bot: Bot, provider: Provider, polling: Polling, clock: StoppedClock
    ) -> None:
        with bot.store.writing() as connection:
            seasons.put(connection, date(2027, 1, 1), date(2027, 2, 1))
        for _ in range(31):
            polling.fetch(provider)
            clock.forward(seconds=1)
        assert len(provider.asked) == 3

    def test_the_same_text_again_has_no_second_effect(
        self, bot: Bot, provider: Provider, polling: Polling, clock: StoppedClock
    ) -> None:
        for _ in range(3):
            provider.waiting = [("1", ZAHRA["mobile"], f"رمز {ZAHRA['national_id']}")] * 2
            polling.fetch(provider)
            clock.forward(seconds=3)
        bot.courier.deliver_due()
        assert len(provider.sent) == 1

    def test_a_text_that_nobody_answers_is_not_kept(self, bot: Bot, provider: Provider, polling: Polling) -> None:
        provider.waiting = [("1", "Bank", "x"), ("2", "10004346", "y")]
        polling.fetch(provider)
        assert rows(bot.store, select(WAITING.c.id)) == []

    def test_what_waited_too_long_is_not_acted_upon(
        self, bot: Bot, provider: Provider, polling: Polling, printed: StringIO
    ) -> None:
        provider.waiting = [("1", ZAHRA["mobile"], f"رمز {ZAHRA['national_id']}")]
        provider.age = timedelta(hours=1)
        assert polling.fetch(provider) == 0
        assert rows(bot.store, select(INBOUND.c.provider_id)) == []
        assert '"late": 1' in printed.getvalue()

    def test_a_batch_is_stored_before_any_of_it_is_heard(self, bot: Bot, provider: Provider) -> None:
        seen: list[int] = []

        def dies(inbound: Inbound) -> object:
            seen.append(len(rows(bot.store, select(WAITING.c.id))))
            raise KeyboardInterrupt

        provider.waiting = [(str(n), ZAHRA["mobile"], "رمز") for n in range(5)]
        with pytest.raises(KeyboardInterrupt):
            polling_of(bot, provider, dies).fetch(provider)
        assert seen == [5]

    def test_what_a_process_that_died_has_fetched_another_hears(
        self, bot: Bot, provider: Provider, clock: StoppedClock
    ) -> None:
        def dies(inbound: Inbound) -> object:
            raise KeyboardInterrupt

        provider.waiting = [("1", ZAHRA["mobile"], f"رمز {ZAHRA['national_id']}"), ("2", OMID["mobile"], "HELP")]
        with pytest.raises(KeyboardInterrupt):
            polling_of(bot, provider, dies).fetch(provider)
        another = polling_of(bot, provider)
        assert another.hear_fetched() == 0, "they are still the first one's"
        clock.forward(seconds=15)
        assert another.hear_fetched() == 2
        assert [row.provider_id for row in rows(bot.store, select(INBOUND.c.provider_id))] == ["1", "2"]

    def test_a_turn_that_is_never_ended_is_another_process_s_after_a_minute(
        self, bot: Bot, provider: Provider, clock: StoppedClock
    ) -> None:
        with bot.store.writing() as connection:
            assert polls.claim(connection, "asked texts", clock(), timedelta(seconds=60)) == ""
            assert polls.claim(connection, "asked texts", clock(), timedelta(seconds=60)) is None
        another = polling_of(bot, provider)
        clock.forward(seconds=59)
        another.fetch(provider)
        assert provider.asked == []
        clock.forward(seconds=1)
        another.fetch(provider)
        assert provider.asked == [""]

    def test_a_database_out_of_reach_loses_nothing(self, bot: Bot, provider: Provider, clock: StoppedClock) -> None:
        down = [True, True]

        def hear(inbound: Inbound) -> object:
            if down:
                down.pop()
                raise OperationalError("", None, Exception())
            return bot.hear(inbound)

        polling = polling_of(bot, provider, hear)
        provider.waiting = [("1", ZAHRA["mobile"], f"رمز {ZAHRA['national_id']}"), ("2", OMID["mobile"], "HELP")]
        polling.fetch(provider)
        for _ in range(3):
            clock.forward(seconds=15)
            polling.hear_fetched()
        assert len(rows(bot.store, select(INBOUND.c.provider_id))) == 2
        assert rows(bot.store, select(WAITING.c.id)) == []

    def test_nor_does_one_that_is_lost_between_fetching_and_storing(
        self, bot: Bot, provider: Provider, polling: Polling, clock: StoppedClock
    ) -> None:
        provider.waiting = [("1", ZAHRA["mobile"], f"رمز {ZAHRA['national_id']}")]
        with bot.store.writing() as connection:
            connection.execute(text("ALTER TABLE polled_message RENAME TO away"))
        for _ in range(3):
            with pytest.raises(Exception, match="polled_message"):
                polling.fetch(provider)
        assert len(provider.asked) == 1, "it fetches no more while it can't store"
        with bot.store.writing() as connection:
            connection.execute(text("ALTER TABLE away RENAME TO polled_message"))
        assert polling.fetch(provider) == 1
        assert len(rows(bot.store, select(INBOUND.c.provider_id))) == 1

    def test_a_text_that_breaks_the_bot_does_not_hold_up_the_others(
        self, bot: Bot, provider: Provider, clock: StoppedClock, printed: StringIO
    ) -> None:
        def hear(inbound: Inbound) -> object:
            if inbound.provider_id == "1":
                raise ValueError("broken by 9121234567")
            return bot.hear(inbound)

        polling = polling_of(bot, provider, hear)
        provider.waiting = [("1", ZAHRA["mobile"], "x"), ("2", OMID["mobile"], "HELP")]
        polling.fetch(provider)
        assert [row.provider_id for row in rows(bot.store, select(INBOUND.c.provider_id))] == ["2"]
        for _ in range(25):
            clock.forward(seconds=15)
            polling.hear_fetched()
        assert rows(bot.store, select(WAITING.c.id)) == [], "it is given up in the end"
        assert "9121234567" not in printed.getvalue()

    @pytest.mark.parametrize("orig", [DataError, OperationalError])
    def test_nor_does_one_that_breaks_the_database_every_time_and_it_is_given_up(
        self, bot: Bot, provider: Provider, clock: StoppedClock, printed: StringIO, orig: type[DBAPIError]
    ) -> None:
        def hear(inbound: Inbound) -> object:
            if inbound.provider_id == "1":
                raise orig("by 9121234567", None, Exception("9121234567"))
            return bot.hear(inbound)

        polling = polling_of(bot, provider, hear)
        provider.waiting = [("1", ZAHRA["mobile"], "x"), ("2", OMID["mobile"], "HELP")]
        polling.fetch(provider)
        assert [row.provider_id for row in rows(bot.store, select(INBOUND.c.provider_id))] == ["2"]
        for _ in range(19 if orig is DataError else 239):
            assert rows(bot.store, select(WAITING.c.provider_id)) == [("1",)]
            clock.forward(seconds=15)
            polling.hear_fetched()
        assert rows(bot.store, select(WAITING.c.id)) == []
        figures = create_app(bot).test_client().get("/metrics").text
        assert 'ramz_polled_given_up_total{gateway="asked",reason="failed"} 1.0' in figures
        assert printed.getvalue().count("fetched_text_given_up") == 1
        assert "9121234567" not in printed.getvalue()
        provider.waiting = [("1", ZAHRA["mobile"], "x")]
        assert polling.fetch(provider) == 0, "a provider that lists it again has no second effect"

    def test_a_text_that_the_database_does_not_take_holds_up_no_other_and_no_later_one(
        self, bot: Bot, provider: Provider, polling: Polling, clock: StoppedClock
    ) -> None:
        provider.waiting = [("refused", ZAHRA["mobile"], "x"), ("2", OMID["mobile"], "HELP")]
        with refusing(bot.store):
            assert polling.fetch(provider) == 1
        clock.forward(seconds=3)
        provider.waiting = [("3", OMID["mobile"], "HELP")]
        assert polling.fetch(provider) == 1
        assert {row.provider_id for row in rows(bot.store, select(INBOUND.c.provider_id))} == {"2", "3"}
        figures = create_app(bot).test_client().get("/metrics").text
        assert 'ramz_polled_given_up_total{gateway="asked",reason="not_storable"} 1.0' in figures

    def test_words_and_senders_lie_encrypted(self, bot: Bot, provider: Provider) -> None:
        def dies(inbound: Inbound) -> object:
            raise KeyboardInterrupt

        provider.waiting = [("1", ZAHRA["mobile"], "رمز 0012345679")]
        with pytest.raises(KeyboardInterrupt):
            polling_of(bot, provider, dies).fetch(provider)
        ((sealed,),) = rows(bot.store, select(WAITING.c.sealed))
        assert b"9121234567" not in sealed and b"0012345679" not in sealed
        assert Keyring.of(read_keys(KEYS)).open(sealed)

    def test_what_nobody_could_hear_for_a_day_is_dropped(
        self, bot: Bot, provider: Provider, clock: StoppedClock
    ) -> None:
        with bot.store.writing() as connection:
            polled_messages.put(connection, "asked", [("1", b"x")], clock())
        clock.forward(hours=24)
        bot.jobs.forget()
        assert len(rows(bot.store, select(WAITING.c.id))) == 1
        clock.forward(seconds=1)
        bot.jobs.forget()
        assert rows(bot.store, select(WAITING.c.id)) == []

    def test_a_provider_that_does_not_answer_is_asked_again_and_told_of_once_a_minute(
        self, provider: Provider, polling: Polling, clock: StoppedClock, printed: StringIO
    ) -> None:
        provider.silent = True
        for _ in range(10):
            polling.fetch(provider)
            clock.forward(seconds=3)
        assert provider.asked == [""] * 10
        assert printed.getvalue().count("poll_failed") == 1

    def test_the_operator_sees_batches_failures_and_the_last_answers_age(
        self, bot: Bot, provider: Provider, polling: Polling, clock: StoppedClock
    ) -> None:
        client = create_app(bot).test_client()
        never = "polling: asked has answered nothing for two minutes"
        assert never in client.get("/readyz").get_json()["wrong"]
        for silent in (False, False, True, True, True):
            provider.silent = silent
            polling.fetch(provider)
            clock.forward(seconds=30)
        figures = client.get("/metrics").text
        assert 'ramz_polled_total{gateway="asked",what="texts"} 2.0' in figures
        assert 'ramz_poll_failed_total{gateway="asked",reason="timeout",what="texts"} 3.0' in figures
        assert 'ramz_poll_age_seconds{gateway="asked",what="texts"} 120.0' in figures
        assert never not in client.get("/readyz").get_json()["wrong"]
        clock.forward(seconds=1)
        assert never in client.get("/readyz").get_json()["wrong"]
        provider.silent = False
        polling.fetch(provider)
        assert never not in client.get("/readyz").get_json()["wrong"]


class TestReceipts:
    def sent(self, bot: Bot, provider: Provider, number: int = 1) -> list[str]:
        """The provider's names of so many texts that it took now."""
        for place in range(number):
            bot.hear(Inbound("asked", f"I{place}", f"+98930000{place:04d}", "HELP"))
        bot.courier.deliver_due()
        names = rows(bot.store, select(MESSAGE.c.provider_id).order_by(MESSAGE.c.id))
        return [row.provider_id for row in names][-number:]

    @pytest.mark.slow
    def test_a_text_is_asked_for_until_it_has_come_to_its_end(
        self, bot: Bot, provider: Provider, polling: Polling, clock: StoppedClock
    ) -> None:
        (name,) = self.sent(bot, provider)
        asked_at = []
        for second in range(0, 4000, 5):
            before = len(provider.asked)
            if second == 700:
                provider.states[name] = DeliveryStatus.DELIVERED
            polling.ask(provider)
            if len(provider.asked) > before:
                asked_at.append(second)
            clock.forward(seconds=5)
        assert asked_at == [20, 40, 80, 160, 320, 640, 1280]
        assert rows(bot.store, select(MESSAGE.c.status))[-1].status == DeliveryStatus.DELIVERED

    @pytest.mark.slow
    def test_nobody_asks_beyond_the_profiles_hours(
        self, bot: Bot, provider: Provider, polling: Polling, clock: StoppedClock
    ) -> None:
        self.sent(bot, provider)
        for _ in range(2 * 180):
            polling.ask(provider)
            clock.forward(seconds=20)
        assert len(provider.asked) == 8, "20 s, doubled while within an hour"

    def test_many_are_asked_for_in_batches(
        self, bot: Bot, provider: Provider, polling: Polling, clock: StoppedClock
    ) -> None:
        names = self.sent(bot, provider, 5)
        polling.ask(provider)
        clock.forward(seconds=20)
        polling.ask(provider)
        assert sorted(len(each) for each in provider.asked) == [1, 2, 2]
        assert {name for each in provider.asked for name in each} == set(names)

    def test_a_round_that_failed_is_asked_again(
        self, bot: Bot, provider: Provider, polling: Polling, clock: StoppedClock
    ) -> None:
        (name,) = self.sent(bot, provider)
        polling.ask(provider)
        clock.forward(seconds=20)
        provider.silent = True
        polling.ask(provider)
        provider.silent, provider.states[name] = False, DeliveryStatus.DELIVERED
        clock.forward(seconds=5)
        assert polling.ask(provider) == 1

    @given(st.lists(st.integers(1, 400), min_size=1, max_size=40))
    def test_however_rounds_fall_every_age_is_asked_at_once(self, steps: list[int]) -> None:
        clock = StoppedClock()
        written, since, hits = clock(), clock(), 0
        for step in steps:
            clock.forward(seconds=step)
            hits += sum(after < written <= until for after, until in _spans(ROUNDS, since, clock()))
            since = clock()
        ages = [20 * 2**power for power in range(8)]
        assert hits == sum(age <= (since - written).total_seconds() for age in ages)


def test_a_gateway_that_calls_brings_no_jobs(make_bot: MakeBot) -> None:
    plain, asked = make_bot(gateways=[Carrier()]), make_bot(gateways=[Provider()])
    more = {job.name for job in asked.jobs.all()} - {job.name for job in plain.jobs.all()}
    assert more == {"texts of asked", "receipts of asked", "fetched texts"}


def test_a_stranger_is_answered_as_over_any_gateway(bot: Bot, provider: Provider, polling: Polling) -> None:
    provider.waiting = [("1", STRANGER, f"RESET {ZAHRA['national_id']}")]
    polling.fetch(provider)
    bot.courier.deliver_due()
    assert [sent.to for sent in provider.sent] == [STRANGER, ZAHRA["mobile"]]
