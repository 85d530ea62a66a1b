"""The jobs that every process runs at intervals (APScheduler).

Every process runs every job: each is harmless twice, and no answer depends on one.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from threading import Event, Thread

from apscheduler.schedulers.background import BackgroundScheduler

from bot.parts import Job, Parts
from bot.platform.clock import system_clock
from bot.platform.log import logger
from dialogs.vocabulary import State
from store import codes, conversations, expiry, outbound_messages
from store.database.engine import is_out_of_reach
from store.service import clock_set_back, heartbeats

LOG = logger("jobs")

# A job may be late by this before its run is left out; the scheduler's own default is a second.
GRACE_SECONDS = 60
STALE = timedelta(seconds=60)
# The longest that a job waits for its first run: a process that is replaced every hour must forget too.
FIRST_RUN_SECONDS = 10
# How often the clock is compared with a monotonic one, in seconds, and how far the two may differ.
CLOCK_LOOK_SECONDS, CLOCK_JUMP = 2.0, timedelta(seconds=5)
# After a leap forth by so much nothing is dropped by its age for so many seconds: it may be the clock that is wrong.
CLOCK_LEAP, LEAP_SECONDS = timedelta(days=1), 86_400.0


class Jobs:
    """The sweeps, and the heartbeat that tells whether they run."""

    def __init__(
        self, parts: Parts, more: Sequence[Job], defer_changes: Callable[[timedelta], object] = lambda _: None
    ) -> None:
        """Take the jobs of the services, and what has changes of mobiles wait; the store's own jobs stand here."""
        self.more, self._defer_changes = more, defer_changes
        self.parts, self.store, self.clock = parts, parts.store, parts.clock
        self._scheduler: BackgroundScheduler | None = None
        self._stopping = Event()
        self._ended: dict[str, datetime] = {}
        # How far the clock was set back, as far as this process has seen; None once that is mended.
        self._set_back: timedelta | None = timedelta()
        self._leapt_at: float | None = None  # by the monotonic clock

    def all(self) -> list[Job]:
        """Every job."""
        return [
            Job("codes", 10, self.close_codes),
            Job("conversations", 300, self.end_conversations),
            # Its name is a heartbeat's row and a metric's label: operators' alarms go by it.
            Job("outbox", 2, self.drop_expired_messages),
            Job("checkpoint", 1, self.store.checkpoint),
            Job("forget", 3600, self.forget),
            Job("clock", 5, self.mend_times),
            Job("heartbeat", 10, self.beat),
            *self.more,
        ]

    def start(self) -> None:
        """Run the jobs in a thread of their own."""
        options = {"coalesce": True, "misfire_grace_time": GRACE_SECONDS, "max_instances": 1}
        self._scheduler = BackgroundScheduler(timezone="UTC", job_defaults=options)
        for job in self.all():
            first = system_clock() + timedelta(seconds=min(job.seconds, FIRST_RUN_SECONDS))
            self._scheduler.add_job(
                self.safely, "interval", (job,), seconds=job.seconds, id=job.name, next_run_time=first
            )
        self._scheduler.start()
        Thread(target=self._watch_clock, name="clock", daemon=True).start()
        self.safely(Job("heartbeat", 0, self.beat))  # at once; a database out of reach must not stop the start

    def _watch_clock(self) -> None:
        """Have every job run soon after the clock was set: the scheduler would wait until the old time is reached."""
        began, steady = system_clock(), time.monotonic()
        while not self._stopping.wait(CLOCK_LOOK_SECONDS):
            expected = began + timedelta(seconds=time.monotonic() - steady)
            jump = system_clock() - expected
            if abs(jump) > CLOCK_JUMP:
                began, steady = system_clock(), time.monotonic()
                self.clock_was_set(jump)
                self.reschedule()

    def clock_was_set(self, jump: timedelta) -> None:
        """Take in that the clock was set, forth or (below zero) back."""
        LOG.error("clock_set", seconds=round(jump.total_seconds()))
        if jump >= CLOCK_LEAP:
            self._leapt_at = time.monotonic()
        if jump < timedelta():
            self._set_back = max(-jump, self._set_back or timedelta())
        else:
            self.safely(Job("mobiles", 0, partial(self._defer_changes, jump)))

    def reschedule(self) -> None:
        """Run every job soon, and then at its rounds from now on."""
        if self._scheduler is None:
            return
        for job in self.all():
            first = system_clock() + timedelta(seconds=min(job.seconds, FIRST_RUN_SECONDS))
            self._scheduler.reschedule_job(job.name, trigger="interval", seconds=job.seconds)
            self._scheduler.modify_job(job.name, next_run_time=first)

    def stop(self) -> None:
        """End after what runs now."""
        self._stopping.set()
        if self._scheduler:
            self._scheduler.shutdown(wait=True)
            self._scheduler = None

    def overdue(self, ended: Mapping[str, datetime], now: datetime) -> list[str]:
        """The jobs that last ran to their end over two of their rounds and a minute ago."""
        late = self.overdue_after()
        return sorted(name for name, at in ended.items() if name in late and now - at > late[name])

    def overdue_after(self) -> dict[str, timedelta]:
        """How long ago each job may have run to its end: two of its rounds and a minute."""
        return {job.name: 2 * timedelta(seconds=job.seconds) + STALE for job in self.all()}

    def safely(self, job: Job) -> None:
        """Run a job. Whatever it raises is logged and not raised: an error would end the scheduler's thread."""
        try:
            job.run()
            self._ended[job.name] = self.clock()
        except Exception as error:
            if is_out_of_reach(error):
                LOG.error("database_out_of_reach", job=job.name, error_seen=error)
            else:
                LOG.error("job_failed", job=job.name, error_seen=error)

    def close_codes(self) -> int:
        """Close codes whose time is up, and erase what still waits of them."""
        with self.store.writing() as connection:
            return codes.close_expired(connection, self.clock())

    def end_conversations(self) -> int:
        """Bring overdue conversations to rest."""
        with self.store.writing() as connection:
            return conversations.end_overdue(connection, self.clock(), State.IDLE)

    def drop_expired_messages(self) -> int:
        """Drop texts that are out of time, with their secrets."""
        with self.store.reading() as connection:
            if outbound_messages.oldest_queued(connection) is None:
                return 0
        with self.store.writing() as connection:
            return outbound_messages.drop_expired(connection, self.clock())

    def mend_times(self) -> int:
        """After the clock was set back: end what would else wait, or be good, for as long as it was ahead."""
        now, back, mended = self.clock(), self._set_back, 0
        with self.store.reading() as connection:
            is_seen = clock_set_back.is_seen(connection, now, back)
        if is_seen:
            with self.store.writing() as connection:
                mended = clock_set_back.mend(connection, now, back)
        if self._set_back == back:
            self._set_back = None
        return mended

    def forget(self) -> int:
        """Drop rows that no longer matter; not while it may be a clock that is wrong by which they do not."""
        if self._leapt_at is not None and time.monotonic() - self._leapt_at < LEAP_SECONDS:
            return 0
        return expiry.drop(self.store, self.clock(), self.parts.settings.retention)

    def beat(self) -> None:
        """Write down when each job last ran to its end."""
        ended = self._ended | {"heartbeat": self.clock()}
        with self.store.writing() as connection:
            for job, at in ended.items():
                heartbeats.beat(connection, job, at)
