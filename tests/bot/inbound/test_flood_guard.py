"""The flood guard: what it takes for a flood, what it then holds back, and when it is over."""

from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
import structlog
from sqlalchemy import insert

from bot.build import Bot
from bot.ports import Inbound
from bot.sending.flood_guard import ENOUGH, LATELY, UNDECIDED, far_above
from dialogs.limits import CODES_PER_MINUTE_ABROAD
from dialogs.vocabulary import AnyEvent, CodePurpose, Event
from store.database.engine import Store
from store.tables import (
    AccountRow,
    CloseReason,
    CodeRow,
    DeliveryStatus,
    MessageKind,
    OutboundMessageRow,
    RequestedBy,
    table,
)
from tests.conftest import MakeBot
from tests.support.parts import StoppedClock
from tests.support.people import OMID, STRANGER, ZAHRA, settled

MESSAGE, CODE, ACCOUNT = table(OutboundMessageRow), table(CodeRow), table(AccountRow)
NUMBERS = count()
DECIDED = UNDECIDED + timedelta(minutes=1)


def send_codes(store: Store, at: datetime, *, used: int = 0, unused: int = 0, phone: str = ZAHRA["mobile"]) -> None:
    """Codes that were texted then, and what has become of them."""
    fates: list[CloseReason | None] = [CloseReason.USED] * used
    fates += [list(CloseReason)[1 + number % (len(CloseReason) - 1)] for number in range(unused)]
    ids = [f"f{next(NUMBERS):021d}" for _ in fates]
    codes: list[dict[str, Any]] = [
        {
            "id": name,
            "account_id": 1,
            "phone": phone,
            "purpose": CodePurpose.RECOVERY,
            "requested_by": RequestedBy.OTHER_PHONE,
            "key_id": "k1",
            "digest": bytes(32),
            "tries_left": 5,
            "created_at": at,
            "expires_at": at + timedelta(minutes=10),
            "closed_at": at + timedelta(minutes=10),
            "close_reason": close_reason,
        }
        for name, close_reason in zip(ids, fates, strict=True)
    ]
    texts = [
        {
            "kind": int(MessageKind.CODE),
            "phone": phone,
            "language": "fa",
            "phrase": "code",
            "parameters": {},
            "code_id": name,
            "inbound_gateway": "simulated",
            "request_received_at": at,
            "created_at": at,
            "expires_at": at + timedelta(minutes=10),
            "next_attempt_at": at,
            "attempts": 1,
            "status": int(DeliveryStatus.ACCEPTED),
        }
        for name in ids
    ]
    if not ids:
        return
    with store.writing() as connection:
        connection.execute(insert(CODE), codes)
        connection.execute(insert(MESSAGE), texts)


def hear(bot: Bot, sender: str, words: str) -> AnyEvent | None:
    return bot.hear(Inbound("simulated", f"F{next(NUMBERS)}", sender, words))


@pytest.fixture
def known(bot: Bot, clock: StoppedClock) -> Bot:
    """A bot of whose codes three quarters are usually used."""
    settled(bot)
    send_codes(bot.store, clock.now - timedelta(days=3), used=300, unused=100)
    return bot


def test_far_above_is_halfway_to_all() -> None:
    assert [far_above(usual) for usual in (0.0, 0.25, 0.5, 0.9)] == [0.5, 0.625, 0.75, 0.95]


@pytest.mark.parametrize(
    ("used", "unused", "flooded"),
    [(75, 25, False), (40, 60, False), (36, 64, True), (0, 100, True), (0, ENOUGH - 1, False), (0, 0, False)],
)
def test_hardly_any_used_is_a_flood(known: Bot, clock: StoppedClock, used: int, unused: int, flooded: bool) -> None:
    send_codes(known.store, clock.now - DECIDED, used=used, unused=unused)
    assert bool(known.flood_guard.look().alarms) is flooded


def test_it_is_measured_by_what_is_usual_here(bot: Bot, clock: StoppedClock) -> None:
    settled(bot)
    send_codes(bot.store, clock.now - timedelta(days=3), used=40, unused=160)
    send_codes(bot.store, clock.now - DECIDED, used=15, unused=85)
    assert not bot.flood_guard.look().alarms


def test_a_young_service_takes_half_for_usual(bot: Bot, clock: StoppedClock) -> None:
    settled(bot)
    send_codes(bot.store, clock.now - DECIDED, used=30, unused=70)
    assert not bot.flood_guard.look().alarms
    send_codes(bot.store, clock.now - DECIDED, unused=60)
    assert bot.flood_guard.look().alarms


def test_codes_that_may_still_be_used_say_nothing(known: Bot, clock: StoppedClock) -> None:
    send_codes(known.store, clock.now - UNDECIDED + timedelta(seconds=1), unused=500)
    assert not known.flood_guard.look().alarms


def test_strangers_requests_wait_and_all_else_goes_on(known: Bot, clock: StoppedClock) -> None:
    send_codes(known.store, clock.now - DECIDED, unused=ENOUGH)
    known.flood_guard.look()
    assert hear(known, STRANGER, f"رمز {OMID['national_id']}") is Event.ASKED_IN_VAIN
    assert hear(known, STRANGER, "HELP") is Event.HELP
    assert hear(known, ZAHRA["mobile"], f"رمز {ZAHRA['national_id']}") is Event.ASKED
    assert hear(known, ZAHRA["mobile"], "100002") is Event.RIGHT_CODE


def test_it_is_over_by_itself_and_both_are_told(known: Bot, clock: StoppedClock) -> None:
    send_codes(known.store, clock.now - DECIDED, unused=ENOUGH)
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            known.flood_guard.look()
        clock.forward(seconds=LATELY.total_seconds())
        assert not known.flood_guard.look().alarms
    told = [(line["event"], line["guard"], line["log_level"]) for line in logs]
    assert told == [("flood_alarm", "unused", "error"), ("flood_over", "unused", "error")]
    assert hear(known, STRANGER, f"رمز {OMID['national_id']}") is Event.ASKED_FROM_OTHER_PHONE


def test_every_process_sees_it(known: Bot, make_bot: MakeBot, clock: StoppedClock) -> None:
    other = make_bot()
    send_codes(known.store, clock.now - DECIDED, unused=ENOUGH)
    assert other.flood_guard.look().alarms


def test_a_flood_abroad_holds_back_that_country_alone(make_bot: MakeBot, clock: StoppedClock) -> None:
    bot = settled(make_bot(ALLOWED_COUNTRIES="IR,IQ"))
    with bot.store.writing() as connection:
        abroad = {"national_id": "4271467685", "username": "ali", "mobile": "+9647701234567", "language": "ar"}
        connection.execute(insert(ACCOUNT).values(**abroad, active=True, failures=0))
    send_codes(bot.store, clock.now, unused=CODES_PER_MINUTE_ABROAD, phone="+9647701234567")
    assert not bot.flood_guard.look().alarms
    send_codes(bot.store, clock.now, unused=1, phone="+9647701234567")
    assert bot.flood_guard.look().alarms
    assert hear(bot, STRANGER, "رمز 4271467685") is Event.ASKED_IN_VAIN
    assert hear(bot, STRANGER, f"رمز {OMID['national_id']}") is Event.ASKED_FROM_OTHER_PHONE


def test_as_many_at_home_are_none(bot: Bot, clock: StoppedClock) -> None:
    settled(bot)
    send_codes(bot.store, clock.now, unused=CODES_PER_MINUTE_ABROAD + 1)
    assert not bot.flood_guard.look().alarms
