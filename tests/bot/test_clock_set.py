"""A clock that is set, back or forth, stops no job and no text, and makes no code live longer."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import insert, select

from bot.build import Bot
from bot.ports import Inbound, Reason, SendFailed
from store import codes, rate_limits
from store.database.engine import Store
from store.service import circuit_breakers, clock_set_back, heartbeats
from store.tables import CloseReason, CodeRow, PolledMessageRow, PollRoundRow, WebhookEventRow, table
from tests.support.parts import Carrier, StoppedClock
from tests.support.people import ZAHRA, settled
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
