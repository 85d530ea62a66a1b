"""The jobs: each harmless twice and anywhere, none of them needed for an answer, none that ends the others."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from io import StringIO
from threading import Thread
from threading import enumerate as threads
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text, update

from bot.audit.hash_chain import TOLD
from bot.build import Bot, build
from bot.jobs import STALE
from bot.parts import Job
from bot.platform.clock import system_clock
from bot.ports import Inbound
from dialogs.limits import CODES_PER_MINUTE
from dialogs.vocabulary import AnyEvent, Event
from store import inbound_messages, outbound_messages, simulated_messages
from store.database.engine import Store
from store.service import heartbeats
from store.tables import (
    METADATA,
    CloseReason,
    CodeRow,
    ConversationRow,
    DeliveryStatus,
    InboundMessageRow,
    MessageKind,
    OutboundMessageRow,
    SimulatedMessageRow,
    table,
)
from tests.conftest import MakeBot
from tests.support.parts import NOON, Carrier, LoadedRandomSource, StoppedClock, eventually, settings
from tests.support.people import OMID, STRANGER, ZAHRA, settled

CODE, CONVERSATION, MESSAGE = table(CodeRow), table(ConversationRow), table(OutboundMessageRow)
NAMES = [
    *("codes", "conversations", "outbox", "staff", "mobiles"),
    *(
        "early_receipts",
        "events",
        "audit",
        "audit_log",
        "flood",
        "checkpoint",
        "measures",
        "forget",
        "clock",
        "heartbeat",
        "counting",
    ),
]


class Talk:
    """Texts of one phone after another."""

    def __init__(self, bot: Bot) -> None:
        self.bot, self.number = bot, 0

    def __call__(self, phone: str, words: str) -> AnyEvent | None:
        self.number += 1
        return self.bot.hear(Inbound("simulated", f"M{self.number}", phone, words))


@pytest.fixture
def talk(bot: Bot) -> Talk:
    return Talk(settled(bot))


def run_all(bot: Bot) -> None:
    for job in bot.jobs.all():
        job.run()


def everything(store: Store) -> dict[str, list[Any]]:
    """All rows of all tables but the heartbeats, which are meant to change."""
    with store.reading() as connection:
        tables = [each for each in METADATA.sorted_tables if each.name != "heartbeat"]
        return {each.name: [tuple(row) for row in connection.execute(select(each))] for each in tables}


def rows(store: Store, of: Any) -> list[Any]:
    with store.reading() as connection:
        return list(connection.execute(select(of)))


def busy(talk: Talk) -> None:
    """A store with something for every job to do."""
    talk(ZAHRA["mobile"], f"رمز {ZAHRA['national_id']}")
    talk(OMID["mobile"], "RESET")
    talk(STRANGER, "سلام")


# Twice, and everywhere


def test_there_is_a_job_for_everything_that_must_be_swept(bot: Bot) -> None:
    assert sorted(job.name for job in bot.jobs.all()) == sorted(NAMES)
    assert all(job.seconds > 0 for job in bot.jobs.all())
    heartbeat = next(job for job in bot.jobs.all() if job.name == "heartbeat")
    assert timedelta(seconds=heartbeat.seconds * 3) <= STALE


@pytest.mark.parametrize("name", NAMES)
def test_a_job_run_twice_does_no_more_than_once(talk: Talk, clock: StoppedClock, name: str) -> None:
    busy(talk)
    job = next(job for job in talk.bot.jobs.all() if job.name == name)
    for later in (timedelta(0), timedelta(minutes=11), timedelta(days=500)):
        clock.now += later
        job.run()
        once = everything(talk.bot.store)
        job.run()
        assert everything(talk.bot.store) == once


def test_jobs_find_nothing_to_do_in_an_empty_store(bot: Bot) -> None:
    before = everything(bot.store)
    run_all(bot)
    assert everything(bot.store) == before


def test_every_process_may_run_every_job_at_once(
    make_bot: MakeBot,
    talk: Talk,
    clock: StoppedClock,
    database_url: str,
    random_source: LoadedRandomSource,
    carrier: Carrier,
) -> None:
    busy(talk)
    clock.forward(minutes=11)
    others = [Store(database_url) for _ in range(3)]
    bots = [
        build(settings(), clock=clock, random_source=random_source, gateways=[carrier], store=store) for store in others
    ]
    errors: list[Exception] = []

    def work(bot: Bot) -> None:
        try:
            for _ in range(3):
                run_all(bot)
        except Exception as error:
            errors.append(error)

    workers = [Thread(target=work, args=(bot,)) for bot in (*bots, *bots)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for store in others:
        store.close()
    assert errors == []
    assert [row.close_reason for row in rows(talk.bot.store, CODE)] == [CloseReason.EXPIRED]


# Once for all


def test_the_audit_s_end_is_told_once_an_hour_however_many_processes_there_are(
    talk: Talk, clock: StoppedClock, printed: StringIO
) -> None:
    chain = talk.bot.audit_chain

    def told() -> int:
        return printed.getvalue().count('"audit_sealed"')

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: chain.log_end(), range(18)))
    assert told() == 1
    clock.forward(minutes=59)
    assert chain.log_end() is None
    clock.forward(minutes=1)
    assert chain.log_end() is not None and chain.log_end() is None
    assert told() == 2
    clock.forward(hours=-5)  # set back: nobody waits for the old time to come again
    assert chain.log_end() is not None


def test_a_process_that_dies_before_it_has_told_the_audit_s_end_leaves_it_to_another(
    talk: Talk, clock: StoppedClock
) -> None:
    with suppress(RuntimeError), talk.bot.store.writing() as connection:
        assert heartbeats.claim(connection, TOLD, clock(), timedelta(hours=1))
        raise RuntimeError("killed")
    assert talk.bot.audit_chain.log_end() is not None


# Failing


def test_a_job_that_fails_is_logged_and_stays_where_it_is(bot: Bot, printed: StringIO) -> None:
    def fail() -> None:
        raise RuntimeError("09121234567")

    bot.jobs.safely(Job("unlucky", 1, fail))
    assert '"job": "unlucky"' in printed.getvalue()
    assert '"error": "RuntimeError"' in printed.getvalue()
    assert "0912" not in printed.getvalue()


def test_a_job_whose_table_is_gone_harms_no_other(bot: Bot, printed: StringIO) -> None:
    with bot.store.writing() as connection:
        connection.execute(text("DROP TABLE outbound_message"))
    for job in bot.jobs.all():
        bot.jobs.safely(job)
    failed = [name for name in NAMES if f'"job": "{name}"' in printed.getvalue()]
    assert failed == ["outbox", "staff", "flood", "measures", "forget", "clock"]
    bot.jobs.beat()
    with bot.store.reading() as connection:
        assert set(heartbeats.last(connection)) == {*NAMES, TOLD} - set(failed)


@pytest.mark.slow
def test_the_scheduler_outlives_a_job_that_keeps_failing(sqlite_url: str, printed: StringIO) -> None:
    bot = build(settings(), random_source=LoadedRandomSource(), gateways=[Carrier()], store=Store(sqlite_url))
    with bot.store.writing() as connection:
        connection.execute(text("DROP TABLE outbound_message"))
    bot.jobs.start()
    try:
        assert eventually(lambda: printed.getvalue().count('"job": "outbox"') >= 2)
    finally:
        bot.jobs.stop()
        bot.store.close()


def test_a_bot_that_stops_leaves_no_thread_behind(sqlite_url: str, carrier: Carrier) -> None:
    before = set(threads())
    bot = build(settings(), random_source=LoadedRandomSource(), gateways=[carrier], store=Store(sqlite_url))
    bot.start()
    assert set(threads()) - before
    bot.stop()
    assert eventually(lambda: not set(threads()) - before)


def test_stopping_what_never_began_is_no_error(bot: Bot) -> None:
    bot.jobs.stop()
    bot.courier.stop()


# Expiry with no sweep


@pytest.mark.parametrize(("seconds", "event"), [(599, Event.RIGHT_CODE), (600, Event.NO_LIVE_CODE)])
@pytest.mark.parametrize("swept", [False, True])
def test_a_code_ends_at_its_time_swept_or_not(
    talk: Talk, clock: StoppedClock, seconds: int, event: Event, swept: bool
) -> None:
    talk(ZAHRA["mobile"], f"رمز {ZAHRA['national_id']}")
    clock.forward(seconds=seconds)
    if swept:
        run_all(talk.bot)
    assert talk(ZAHRA["mobile"], "100001") is event


@pytest.mark.parametrize("swept", [False, True])
def test_a_conversation_ends_at_its_time_swept_or_not(talk: Talk, clock: StoppedClock, swept: bool) -> None:
    talk(ZAHRA["mobile"], "رمز")
    clock.forward(minutes=10)
    if swept:
        run_all(talk.bot)
    assert talk(ZAHRA["mobile"], "انصراف") is Event.NOTHING_TO_CANCEL


def test_a_sweep_does_not_touch_what_still_holds(talk: Talk, clock: StoppedClock) -> None:
    talk(ZAHRA["mobile"], "رمز")
    clock.forward(minutes=9, seconds=59)
    run_all(talk.bot)
    assert talk(ZAHRA["mobile"], "انصراف") is Event.CANCEL


def test_an_expired_code_is_closed_and_its_unsent_text_erased(talk: Talk, clock: StoppedClock) -> None:
    talk(ZAHRA["mobile"], f"رمز {ZAHRA['national_id']}")
    clock.forward(minutes=10)
    assert talk.bot.jobs.close_codes() == 1
    (code,), (letter,) = rows(talk.bot.store, CODE), rows(talk.bot.store, MESSAGE)
    assert (code.close_reason, code.closed_at) == (CloseReason.EXPIRED, clock.now)
    assert (letter.status, letter.secret) == (DeliveryStatus.DROPPED, None)


def test_a_code_without_a_try_is_closed_as_burned(talk: Talk) -> None:
    talk(ZAHRA["mobile"], f"رمز {ZAHRA['national_id']}")
    with talk.bot.store.writing() as connection:
        connection.execute(update(CODE).values(tries_left=0))
    assert talk.bot.jobs.close_codes() == 1
    assert [code.close_reason for code in rows(talk.bot.store, CODE)] == [CloseReason.BURNED]


def test_a_text_out_of_time_is_dropped(talk: Talk, clock: StoppedClock, carrier: Carrier) -> None:
    talk(STRANGER, "راهنما")
    clock.forward(minutes=10)
    assert talk.bot.jobs.drop_expired_messages() == 1
    assert talk.bot.jobs.drop_expired_messages() == 0
    talk.bot.courier.deliver_due()
    assert carrier.sent == []


# Floods


def send_codes(store: Store, number: int, at: datetime) -> None:
    row = {
        "kind": int(MessageKind.CODE),
        "phone": "+989120000000",
        "language": "fa",
        "phrase": "code",
        "parameters": {},
        "inbound_gateway": "simulated",
        "request_received_at": at,
        "created_at": at,
        "expires_at": at + timedelta(minutes=10),
        "next_attempt_at": at,
        "attempts": 1,
        "status": int(DeliveryStatus.ACCEPTED),
    }
    with store.writing() as connection:
        connection.execute(insert(MESSAGE), [row] * number)


def test_a_flood_holds_back_what_strangers_ask_for_and_nobody_else(
    talk: Talk, clock: StoppedClock, carrier: Carrier, printed: StringIO
) -> None:
    bot = talk.bot
    send_codes(bot.store, CODES_PER_MINUTE, clock.now)
    assert not bot.flood_guard.look().alarms
    send_codes(bot.store, 1, clock.now)
    assert bot.flood_guard.look().alarms
    assert bot.flood_guard.look().alarms
    assert printed.getvalue().count("flood_alarm") == 1
    assert talk(STRANGER, f"رمز {OMID['national_id']}") is Event.ASKED_IN_VAIN
    assert talk(ZAHRA["mobile"], f"رمز {ZAHRA['national_id']}") is Event.ASKED
    assert talk(ZAHRA["mobile"], "100002") is Event.RIGHT_CODE
    clock.forward(seconds=61)
    assert not bot.flood_guard.look().alarms
    assert printed.getvalue().count("flood_over") == 1
    assert talk(STRANGER, f"رمز {OMID['national_id']}") is Event.ASKED_FROM_OTHER_PHONE


def test_a_flood_is_more_than_a_season_can_want() -> None:
    assert CODES_PER_MINUTE >= 1000


# Heartbeat


def test_the_heartbeat_says_when_each_job_last_came_to_its_end(bot: Bot, clock: StoppedClock) -> None:
    codes, flood = (next(job for job in bot.jobs.all() if job.name == name) for name in ("codes", "flood"))
    bot.jobs.safely(codes)
    clock.forward(seconds=10)
    bot.jobs.safely(flood)
    bot.jobs.beat()
    with bot.store.reading() as connection:
        beats = heartbeats.last(connection)
    assert beats == {"codes": NOON, "flood": clock.now, "heartbeat": clock.now}


def test_the_heart_beats_as_soon_as_the_jobs_begin(bot: Bot) -> None:
    bot.jobs.start()
    bot.jobs.stop()
    with bot.store.reading() as connection:
        assert "heartbeat" in heartbeats.last(connection)


# Forgetting


def test_every_job_runs_soon_after_the_start(bot: Bot) -> None:
    """A process that is replaced every hour would else never forget anything."""
    bot.jobs.start()
    assert bot.jobs._scheduler
    first = {job.id: job.next_run_time for job in bot.jobs._scheduler.get_jobs()}
    bot.jobs.stop()
    assert set(first) == set(NAMES)
    assert max(first.values()) - system_clock() <= timedelta(seconds=10)


def test_a_job_is_overdue_when_it_missed_two_rounds_and_a_minute(bot: Bot) -> None:
    def overdue(**ago: int) -> list[str]:
        return bot.jobs.overdue({job: NOON - timedelta(seconds=seconds) for job, seconds in ago.items()}, NOON)

    assert overdue(codes=80, forget=7260, measures=180, heartbeat=80) == []
    assert overdue(codes=81, forget=7261, measures=181, heartbeat=81) == ["codes", "forget", "heartbeat", "measures"]
    assert overdue(gone=99_999) == []


def test_the_jobs_begin_though_the_database_is_out_of_reach(bot: Bot, printed: StringIO) -> None:
    with bot.store.writing() as connection:
        connection.execute(text("DROP TABLE heartbeat"))
    bot.jobs.start()
    bot.jobs.stop()
    assert "job_failed" in printed.getvalue()


def test_it_forgets_what_no_longer_matters_but_never_an_opt_out(talk: Talk, clock: StoppedClock) -> None:
    talk(STRANGER, "راهنما")
    talk(ZAHRA["mobile"], "لغو11")
    clock.forward(days=29)
    talk.bot.jobs.forget()
    assert {row.phone for row in rows(talk.bot.store, CONVERSATION)} == {STRANGER, ZAHRA["mobile"]}
    clock.forward(days=2)
    talk.bot.jobs.forget()
    assert {row.phone for row in rows(talk.bot.store, CONVERSATION)} == {ZAHRA["mobile"]}
    assert talk(ZAHRA["mobile"], "راهنما") is Event.UNANSWERED
    assert talk(STRANGER, f"رمز {ZAHRA['national_id']}") is Event.ASKED_IN_VAIN
    assert talk(ZAHRA["mobile"], f"رمز {ZAHRA['national_id']}") is Event.ASKED


def test_it_forgets_ids_of_texts_when_no_provider_can_send_them_again(bot: Bot, clock: StoppedClock) -> None:
    with bot.store.writing() as connection:
        inbound_messages.remember(connection, "twilio", "SM1", "help", clock.now, answered=True)
        inbound_messages.remember(connection, "twilio", "SM2", "help", clock.now + timedelta(days=3), answered=True)
    clock.forward(days=401)
    bot.jobs.forget()
    assert [row.provider_id for row in rows(bot.store, table(InboundMessageRow))] == ["SM2"]


def test_it_empties_the_simulated_phones_after_a_day(bot: Bot, clock: StoppedClock) -> None:
    with bot.store.writing() as connection:
        simulated_messages.deliver(connection, STRANGER, "S1", b"sealed", clock.now)
        simulated_messages.deliver(connection, STRANGER, "S2", b"sealed", clock.now + timedelta(hours=2))
    clock.forward(hours=25)
    bot.jobs.forget()
    assert [row.provider_id for row in rows(bot.store, table(SimulatedMessageRow))] == ["S2"]


@pytest.mark.parametrize(
    "status", [DeliveryStatus.ACCEPTED, DeliveryStatus.SENT, DeliveryStatus.FAILED, DeliveryStatus.DELIVERED]
)
def test_it_forgets_a_text_of_a_season_long_past_even_if_no_receipt_ever_came(
    bot: Bot, clock: StoppedClock, status: DeliveryStatus
) -> None:
    send_codes(bot.store, 1, clock.now)
    with bot.store.writing() as connection:
        connection.execute(update(MESSAGE).values(status=int(status)))
    clock.forward(days=401)
    bot.jobs.forget()
    assert rows(bot.store, MESSAGE) == []


def test_it_keeps_texts_for_a_whole_season_and_unsent_ones_until_they_are_dropped(
    talk: Talk, clock: StoppedClock
) -> None:
    send_codes(talk.bot.store, 2, clock.now)
    with talk.bot.store.writing() as connection:
        connection.execute(update(MESSAGE).values(status=int(DeliveryStatus.DELIVERED)))
        oldest = connection.execute(select(func.max(MESSAGE.c.id))).scalar_one()
        connection.execute(update(MESSAGE).where(MESSAGE.c.id == oldest).values(status=int(DeliveryStatus.QUEUED)))
    clock.forward(days=399)
    talk.bot.jobs.forget()
    assert len(rows(talk.bot.store, MESSAGE)) == 2
    clock.forward(days=2)
    talk.bot.jobs.forget()
    assert [row.status for row in rows(talk.bot.store, MESSAGE)] == [DeliveryStatus.QUEUED]
    with talk.bot.store.writing() as connection:
        outbound_messages.drop_expired(connection, clock.now)
    talk.bot.jobs.forget()
    assert rows(talk.bot.store, MESSAGE) == []
