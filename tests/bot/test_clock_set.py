"""A clock that is set, back or forth, stops no job, and a heartbeat from the future is none."""

from datetime import timedelta

from bot.build import Bot
from store.service import heartbeats
from tests.support.parts import StoppedClock
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
