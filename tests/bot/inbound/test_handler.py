"""One text, one transaction: short, alone, and without waiting for anything slow."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select

from bot.build import Bot, build
from bot.ports import Inbound, Outbound
from bot.profiles.provider import SHIPPED
from dialogs.vocabulary import AnyEvent, Event
from store import conversations
from store.database.engine import Store
from store.tables import CodeRow, InboundMessageRow, OutboundMessageRow, table
from tests.conftest import MakeBot
from tests.support.parts import CHEAP, Carrier, LoadedRandomSource, StoppedClock, settings
from tests.support.people import OMID, STRANGER, ZAHRA, settle, settled
from tests.support.transcript import Player


class Watched(Store):
    """A store that knows whether one of its transactions is open."""

    open = False

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with super().writing() as connection:
            self.open = True
            try:
                yield connection
            finally:
                self.open = False


class WaryDice(LoadedRandomSource):
    """A random source that draws no password, which is hashed next, while a transaction is open."""

    def __init__(self, store: Watched) -> None:
        super().__init__()
        self.store, self.thrown = store, 0

    def password(self, length: int, alphabet: str) -> str:
        assert not self.store.open
        self.thrown += 1
        return super().password(length, alphabet)


class WaryCarrier(Carrier):
    """A carrier that takes nothing while a transaction is open."""

    store: Watched

    def send(self, text: Outbound) -> str:
        assert not self.store.open
        return super().send(text)


def test_nothing_slow_is_done_while_a_transaction_is_open(database_url: str, clock: StoppedClock) -> None:
    store = Watched(database_url)
    random_source, carrier = WaryDice(store), WaryCarrier()
    carrier.store = store
    bot = settled(build(settings(), clock=clock, random_source=random_source, gateways=[carrier], store=store))
    Player(bot, carrier, clock).play("> رمز 0012345679\n< code\n> {code}\n< new_password")
    assert random_source.thrown == 1
    store.close()


def count(bot: Bot, model: type[InboundMessageRow] | type[OutboundMessageRow] | type[CodeRow]) -> int:
    with bot.store.reading() as connection:
        return connection.execute(select(func.count()).select_from(table(model))).scalar_one()


def at_once(bot: Bot, texts: list[Inbound]) -> list[AnyEvent | None]:
    with ThreadPoolExecutor(len(texts)) as pool:
        return list(pool.map(bot.hear, texts))


def test_one_text_that_comes_twenty_times_at_once_has_one_effect(bot: Bot) -> None:
    settle(bot.store, ZAHRA)
    events = at_once(bot, [Inbound("simulated", "M1", ZAHRA["mobile"], "رمز 0012345679")] * 20)
    assert events.count(Event.ASKED) == 1
    assert events.count(None) == 19
    assert (count(bot, InboundMessageRow), count(bot, CodeRow), count(bot, OutboundMessageRow)) == (1, 1, 1)


def test_fifty_requests_at_once_make_one_code(bot: Bot) -> None:
    settle(bot.store, ZAHRA)
    texts = [Inbound("simulated", f"M{n}", ZAHRA["mobile"], "رمز 0012345679") for n in range(50)]

    events = at_once(bot, texts)
    assert events.count(Event.ASKED) == 1
    assert count(bot, CodeRow) == 1
    assert count(bot, InboundMessageRow) == 50


def test_requests_of_two_phones_at_once_make_one_live_code(bot: Bot) -> None:
    settle(bot.store, ZAHRA)
    phone_numbers = [ZAHRA["mobile"], STRANGER, OMID["mobile"]] * 5
    at_once(bot, [Inbound("simulated", f"M{n}", phone, "0012345679") for n, phone in enumerate(phone_numbers)])
    with bot.store.reading() as connection:
        code = table(CodeRow)
        live = select(func.count()).select_from(code).where(code.c.closed_at.is_(None))
        assert connection.execute(live).scalar_one() == 1
    assert count(bot, InboundMessageRow) == 15


def test_fifty_right_codes_at_once_make_one_password(bot: Bot, carrier: Carrier, clock: StoppedClock) -> None:
    settle(bot.store, ZAHRA)
    Player(bot, carrier, clock).play("> رمز 0012345679\n< code")
    texts = [Inbound("simulated", f"C{n}", ZAHRA["mobile"], "100001") for n in range(50)]
    events = at_once(bot, texts)
    assert events.count(Event.RIGHT_CODE) == 1
    bot.courier.deliver_due()
    assert sum("رمز تازه" in text.text for text in carrier.sent) == 1


@pytest.mark.parametrize("tries", [5, 9])
def test_wrong_codes_at_once_get_no_more_tries_than_there_are(
    tries: int, store: Store, clock: StoppedClock, random_source: LoadedRandomSource, carrier: Carrier
) -> None:
    chosen = settings(CODE_TRIES=str(tries))
    bot = build(chosen, clock=clock, random_source=random_source, gateways=[carrier], store=store, cost=CHEAP)
    settle(bot.store, ZAHRA)
    Player(bot, carrier, clock).play("> رمز 0012345679\n< code")
    wrong = [Inbound("simulated", f"C{n}", ZAHRA["mobile"], f"2{n:05d}") for n in range(30)]
    events = at_once(bot, wrong)
    assert events.count(Event.WRONG_CODE) == tries - 1
    assert events.count(Event.LAST_WRONG_CODE) == 1
    assert bot.hear(Inbound("simulated", "last", ZAHRA["mobile"], "100001")) in {Event.NO_LIVE_CODE, Event.UNANSWERED}


def test_what_a_provider_has_confirmed_is_done_and_not_confirmed_again(bot: Bot, carrier: Carrier) -> None:
    told = [
        bot.hear(Inbound("twilio", f"S{place}", ZAHRA["mobile"], words, is_answered=True))
        for place, words in enumerate(("STOP", "START", "STOP"))
    ]
    bot.courier.deliver_due()
    assert (told, carrier.sent) == ([Event.STOP, Event.START, Event.STOP], [])
    with bot.store.reading() as connection:
        assert conversations.has_opted_out(connection, ZAHRA["mobile"])


def test_a_text_from_a_line_of_our_own_is_met_with_silence(make_bot: MakeBot, carrier: Carrier, tmp_path: Path) -> None:
    written = (SHIPPED / "kavenegar.toml").read_text("utf-8")
    (tmp_path / "own.toml").write_text(written, "utf-8")
    provider = {"HTTP_OWN_PROFILE": str(tmp_path / "own.toml"), "HTTP_OWN_LINE": "09300000001"}
    bot = settled(make_bot(GATEWAYS="http-own", **provider, HTTP_OWN_KEY="k", HTTP_OWN_INBOUND_SECRET="s"))
    assert bot.hear(Inbound("http-own", "1", STRANGER, "HELP")) is None
    assert bot.hear(Inbound("http-own", "2", OMID["mobile"], "HELP")) is Event.HELP
    bot.courier.deliver_due()
    assert [sent.to for sent in carrier.sent] == [OMID["mobile"]]
