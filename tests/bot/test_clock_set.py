"""A clock that is set, back or forth, stops no job and no text, and makes no code live longer."""

import time
from datetime import datetime, timedelta

import pytest
from sqlalchemy import insert, select, update

from bot.build import Bot
from bot.credentials import bearer
from bot.fakher.service import Caller, TicketGone
from bot.jobs import LEAP_SECONDS
from bot.ports import Inbound, Reason, SendFailed
from store import accounts, codes, console_sessions, mobile_changes, outbound_messages, rate_limits, staff
from store.database.engine import Store
from store.mobile_changes import NewChange
from store.service import circuit_breakers, clock_set_back, heartbeats
from store.staff import NewMember
from store.tables import (
    AccountRow,
    CloseReason,
    CodeRow,
    MobileChangeRow,
    PolledMessageRow,
    PollRoundRow,
    WebhookEventRow,
    table,
)
from tests.support.parts import Carrier, StoppedClock
from tests.support.people import CHIEF, ZAHRA, settled
from webhooks import create_app


def test_every_job_runs_soon_after_the_clock_was_set(bot: Bot) -> None:
    bot.jobs.start()
    try:
        scheduler = bot.jobs._scheduler
        assert scheduler is not None
        for job in scheduler.get_jobs():  # as it stands once the clock is an hour behind
            job.modify(next_run_time=job.next_run_time + timedelta(hours=1))
        before = {job.id: job.next_run_time for job in scheduler.get_jobs()}
        bot.jobs.reschedule()
        after = {job.id: job.next_run_time for job in scheduler.get_jobs()}
        assert after.keys() == before.keys()
        assert all(before[name] - after[name] > timedelta(minutes=59) for name in after)
    finally:
        bot.jobs.stop()


def test_a_heartbeat_from_the_future_is_none(bot: Bot, clock: StoppedClock) -> None:
    with bot.store.writing() as connection:
        heartbeats.beat(connection, "heartbeat", clock() + timedelta(hours=1))
    wrong = create_app(bot).test_client().get("/readyz").get_json()["wrong"]
    assert "scheduler: no heartbeat for a minute" in wrong


HOUR = timedelta(hours=1)
CODE = table(CodeRow)


def hear(bot: Bot, words: str) -> object:
    return bot.hear(Inbound("simulated", f"M{bot.clock()}{words}", ZAHRA["mobile"], words))


def test_a_text_that_was_to_be_tried_again_is_tried_soon_after_the_clock_was_set_back(
    bot: Bot, clock: StoppedClock, carrier: Carrier
) -> None:
    settled(bot)
    hear(bot, "HELP")  # a reply, which lives long enough
    carrier.failures = [SendFailed(Reason.BUSY, permanent=False)]
    clock.forward(minutes=5)
    bot.courier.deliver_due()
    clock.forward(minutes=-5)
    assert bot.courier.deliver_due() == 0 and carrier.sent == []
    bot.jobs.mend_times()
    assert bot.courier.deliver_due() == 1 and len(carrier.sent) == 1


def test_a_code_of_the_time_that_was_too_far_ahead_lives_no_hour_longer(bot: Bot, clock: StoppedClock) -> None:
    settled(bot)
    clock.forward(hours=1)
    hear(bot, f"RESET {ZAHRA['national_id']}")
    clock.forward(hours=-1)
    bot.jobs.mend_times()
    bot.jobs.close_codes()
    with bot.store.reading() as connection:
        assert connection.execute(select(CODE.c.close_reason)).scalars().all() == [CloseReason.EXPIRED]
    hear(bot, f"RESET {ZAHRA['national_id']}")
    with bot.store.reading() as connection:
        assert codes.newest_of(connection, 1, clock() - HOUR) is not None, "and a new one may be asked for"


def test_what_a_token_may_call_is_counted_anew(store: Store, clock: StoppedClock) -> None:
    with store.writing() as connection:
        for _ in range(3):
            rate_limits.count(connection, "token", clock() + HOUR)
        assert clock_set_back.mend(connection, clock()) == 1
        assert rate_limits.count(connection, "token", clock() + timedelta(minutes=1)).calls == 1


def test_a_gateway_is_probed_again(store: Store, clock: StoppedClock) -> None:
    pause = timedelta(seconds=15)
    with store.writing() as connection:
        circuit_breakers.fail(connection, "twilio", 5, 5, clock() + HOUR, pause)
        assert not circuit_breakers.claim_probe(connection, "twilio", clock() + pause, pause)
        clock_set_back.mend(connection, clock())
        assert circuit_breakers.claim_probe(connection, "twilio", clock(), pause)


def polled(at: datetime) -> dict[str, object]:
    return {"gateway": "g", "provider_id": "1", "sealed": b"x", "stored_at": at, "next_attempt_at": at, "attempts": 0}


@pytest.mark.parametrize(
    ("row", "ahead"),
    [
        (PollRoundRow, timedelta(minutes=10)),
        (PolledMessageRow, timedelta(minutes=10)),
        (WebhookEventRow, timedelta(hours=2)),
    ],
    ids=lambda it: getattr(it, "__name__", ""),
)
def test_what_waits_is_due_now_and_what_may_wait_is_left(
    bot: Bot, clock: StoppedClock, row: type[PollRoundRow], ahead: timedelta
) -> None:
    settled(bot)
    of = table(row)
    values: dict[type, dict[str, object]] = {
        PollRoundRow: {"name": "g", "cursor": ""},
        PolledMessageRow: polled(clock()),
        WebhookEventRow: {
            "id": "e",
            "event": "password.changed",
            "account_id": 1,
            "happened_at": clock(),
            "attempts": 1,
        },
    }
    with bot.store.writing() as connection:
        connection.execute(insert(of), values[row] | {"next_attempt_at": clock() + ahead})
        assert clock_set_back.is_seen(connection, clock())
        assert clock_set_back.mend(connection, clock()) == 1
        assert connection.execute(select(of.c.next_attempt_at)).scalars().all() == [clock()]
        assert not clock_set_back.is_seen(connection, clock())
    clock.forward(seconds=-30)
    assert bot.jobs.mend_times() == 0, "clocks of hosts may be some seconds apart"


DAY = timedelta(days=1)
OF_FAKHER = Caller("t", "fakher")
ACCOUNT, CHANGE = table(AccountRow), table(MobileChangeRow)
NEW = "+989171112233"


def test_a_code_from_before_the_clock_was_set_back_lives_no_longer(bot: Bot, clock: StoppedClock) -> None:
    """Five minutes old, and the clock set back by five: it lies within what a new one may, and would live on."""
    settled(bot)
    hear(bot, f"RESET {ZAHRA['national_id']}")
    clock.forward(minutes=5)
    bot.jobs.mend_times()
    clock.forward(minutes=-5)
    bot.jobs.clock_was_set(timedelta(minutes=-5))
    assert bot.jobs.mend_times() == 1
    clock.forward(minutes=4, seconds=59)
    with bot.store.reading() as connection:
        assert connection.execute(select(CODE.c.expires_at)).scalar_one() > clock()
    clock.forward(seconds=2)
    assert bot.jobs.close_codes() == 1


@pytest.mark.parametrize(("age", "back"), [(5, timedelta(minutes=5)), (0, HOUR), (9, DAY)])
def test_a_ticket_lives_no_longer(bot: Bot, clock: StoppedClock, age: float, back: timedelta) -> None:
    settled(bot)
    hear(bot, f"RESET {ZAHRA['national_id']}")
    verdict = bot.fakher.verify_code(OF_FAKHER, ZAHRA["national_id"], "100001")
    assert verdict.ticket
    clock.forward(minutes=age)
    bot.jobs.mend_times()
    clock.now -= back
    bot.jobs.clock_was_set(-back)
    bot.jobs.mend_times()
    for minutes in (6, back.total_seconds() / 60):
        clock.forward(minutes=minutes)
        with pytest.raises(TicketGone):
            bot.fakher.set_password(OF_FAKHER, verdict.ticket.text, "saffron and copper pot")


def test_a_process_that_begins_finds_what_was_made_while_the_clock_was_ahead(bot: Bot, clock: StoppedClock) -> None:
    """A generated password lives for 72 hours at most, and codes of a time to come use up no budget of now."""
    settled(bot)
    clock.forward(days=2)
    for _ in range(5):
        clock.forward(minutes=2)
        hear(bot, f"RESET {ZAHRA['national_id']}")
    hear(bot, "100005")
    clock.forward(days=-2)
    assert bot.jobs.mend_times() > 0
    with bot.store.reading() as connection:
        account = accounts.find(connection, national_id=ZAHRA["national_id"])
    assert account and account.password_expires_at == clock() + timedelta(hours=72)
    clock.forward(hours=1, minutes=1)
    assert hear(bot, f"RESET {ZAHRA['national_id']}") == "asked"


def test_replies_are_not_capped_for_what_was_said_in_a_time_to_come(
    bot: Bot, clock: StoppedClock, carrier: Carrier
) -> None:
    clock.forward(days=1)
    for number in range(5):
        hear(bot, f"what {number}")
    clock.forward(days=-1)
    bot.courier.deliver_due()
    carrier.sent.clear()
    hear(bot, "what now")
    bot.courier.deliver_due()
    assert len(carrier.sent) == 1


def test_codes_of_a_time_to_come_are_no_flood_of_now(bot: Bot, clock: StoppedClock) -> None:
    settled(bot)
    clock.forward(hours=1)
    hear(bot, f"RESET {ZAHRA['national_id']}")
    with bot.store.reading() as connection:
        at = clock() - timedelta(minutes=1)
        assert outbound_messages.codes_between(connection, at, clock()) == 1
        clock.forward(hours=-1)
        assert outbound_messages.codes_between(connection, clock() - timedelta(minutes=1), clock()) == 0


@pytest.mark.parametrize("ahead", [timedelta(minutes=20), HOUR, DAY])
def test_a_session_of_a_time_to_come_is_over_for_good(bot: Bot, clock: StoppedClock, ahead: timedelta) -> None:
    session = bearer.make(bot.parts.random_source)
    with bot.store.writing() as connection:
        number = staff.put(connection, NewMember(**CHIEF))
        console_sessions.begin(connection, session.id, number, session.digest, clock() + ahead)
    assert bot.console.login(session.text) is None
    clock.now += ahead
    assert bot.console.login(session.text) is None, "nor when its time has come"


def change(bot: Bot, at: datetime) -> datetime:
    """A change of mobile that was approved at this time; when it is due."""
    with bot.store.writing() as connection:
        by = staff.put(connection, NewMember(**CHIEF))
        account = accounts.find(connection, national_id=ZAHRA["national_id"])
        assert account
        due_at = at + DAY
        row = NewChange(account.id, account.mobile, NEW, "12345", by, "held", at, due_at)
        mobile_changes.propose(connection, row)
        connection.execute(update(CHANGE).values(approved_at=at, approved_by=by))
    return due_at


def mobile(bot: Bot) -> str:
    bot.jobs.safely(next(job for job in bot.jobs.all() if job.name == "mobiles"))
    with bot.store.reading() as connection:
        found = accounts.find(connection, national_id=ZAHRA["national_id"])
    assert found
    return found.mobile


@pytest.mark.parametrize("leap", [HOUR, DAY, timedelta(days=400)])
def test_a_clock_that_leaps_leaves_the_old_mobile_its_day_to_object(
    bot: Bot, clock: StoppedClock, leap: timedelta
) -> None:
    settled(bot)
    change(bot, clock())
    clock.forward(hours=2)
    clock.now += leap
    for _ in range(2):  # as every process does
        bot.jobs.clock_was_set(leap)
    assert mobile(bot) == ZAHRA["mobile"]
    clock.forward(hours=21, minutes=59)
    assert mobile(bot) == ZAHRA["mobile"]
    clock.forward(minutes=2)
    assert mobile(bot) == NEW


def test_a_change_that_was_approved_in_a_time_to_come_waits_no_more_than_a_day(bot: Bot, clock: StoppedClock) -> None:
    settled(bot)
    change(bot, clock() + 30 * DAY)
    bot.jobs.mend_times()
    clock.forward(hours=23, minutes=59)
    assert mobile(bot) == ZAHRA["mobile"]
    clock.forward(minutes=2)
    assert mobile(bot) == NEW


def test_nothing_is_dropped_by_its_age_for_a_day_after_a_leap(bot: Bot, clock: StoppedClock) -> None:
    settled(bot)
    hear(bot, f"RESET {ZAHRA['national_id']}")
    bot.jobs.close_codes()
    leap = timedelta(days=3000)
    clock.now += leap
    bot.jobs.clock_was_set(leap)
    assert bot.jobs.forget() == 0
    bot.jobs._leapt_at = time.monotonic() - LEAP_SECONDS
    assert bot.jobs.forget() > 0
