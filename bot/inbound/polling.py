"""Asks providers for texts and receipts that they don't call us with: one process at a time, on all hosts.

Where fetching a text takes it away at the provider's, it is nowhere else then. So a batch is stored before
anything is done with it, its words encrypted; a text is heard from there, and erased when it was.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection, select
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from bot.credentials.keyring import Keyring, Unreadable
from bot.parts import Job
from bot.platform.clock import today_in_tehran
from bot.platform.log import Rarely, logger
from bot.ports import Batch, Clock, Inbound, Polled, Receipt, ReceiptRounds, SendFailed
from store import inbound_messages
from store.database.engine import Store, is_out_of_reach
from store.polling import polled_messages, polls
from store.polling.polled_messages import Fetched
from store.service import counters, heartbeats, seasons
from store.service.counters import Key

LOG = logger("polling")

# Longer than asking can take: where a process ends while it asks, another asks after that.
LEASE = timedelta(seconds=60)
HEARING_LEASE, HEARD_AT_ONCE = timedelta(seconds=15), 20
# A text that was sent so long ago is not acted upon: its sender has long given up, or asked again.
TOO_LATE = timedelta(hours=1)
# Outside the season nobody waits for an answer within seconds.
OUT_OF_SEASON = timedelta(seconds=15)
# How often to look which receipts are due to be asked for, how long a round may take, and of how many texts it asks.
ROUND, ROUND_SECONDS, ROUND_TEXTS = timedelta(seconds=5), 20.0, 1000
LONGEST_GAP = timedelta(hours=1)
# A text that could not be heard so often, over five minutes, never will be. One that met a lock or a timeout each time
# is tried for as long as it would be acted upon: the database may be at fault, and not the text.
ATTEMPTS, ATTEMPTS_OUT_OF_REACH = 20, TOO_LATE // HEARING_LEASE
# What stands in the event's place where a text was given up: it is not fetched again, and not heard.
GIVEN_UP = "given_up"
# A provider that has answered nothing for so long is out of reach: longer than a process that died holds the lease.
DEAD = timedelta(minutes=2)


def answered(gateway: str, what: str) -> str:
    """The heartbeat that says when a provider last answered, asked for `texts` or `receipts`."""
    return f"{gateway} {what}"


class Polling:
    """The jobs that ask."""

    def __init__(
        self,
        store: Store,
        keyring: Keyring,
        clock: Clock,
        gateways: Sequence[Polled],
        hear: Callable[[Inbound], object],
        note: Callable[[Receipt], object],
    ) -> None:
        """Take the gateways that can be asked, and what is done with a text and with a receipt."""
        self.store, self.keyring, self.clock = store, keyring, clock
        self.gateways, self.hear, self.note = gateways, hear, note
        self._unstored: dict[str, tuple[datetime, Batch]] = {}
        self._failed = Rarely()

    def jobs(self) -> list[Job]:
        """A job for everything that some provider is asked for. None, where all providers call."""
        texts = [each for each in self.gateways if each.texts_every is not None]
        receipts = [each for each in self.gateways if each.receipt_rounds is not None]
        return [
            *(Job(f"texts of {each.name}", 1, partial(self.fetch, each)) for each in texts),
            *(Job(f"receipts of {each.name}", 1, partial(self.ask, each)) for each in receipts),
            *([Job("fetched texts", 2, self.hear_fetched)] if texts else []),
        ]

    def fetch(self, gateway: Polled) -> int:
        """Fetch texts where it is time and no other process asks, and hear them; how many were new."""
        if gateway.name in self._unstored:  # the database was out of reach; the provider has them no more
            return self._store(gateway, *self._unstored[gateway.name])
        name = f"{gateway.name} texts"
        claimed = self._claim(name)
        if claimed is None:
            return 0
        cursor, lease_end = claimed
        try:
            batch = gateway.poll_inbound(cursor)
        except SendFailed as failed:
            self._tell(gateway, "texts", failed)
            with self.store.writing() as connection:
                polls.finish(connection, name, lease_end, self.clock() + self._pause(gateway), cursor)
                counters.count(connection, _failed(gateway, "texts", failed))
            return 0
        self._unstored[gateway.name] = (lease_end, batch)
        return self._store(gateway, lease_end, batch)

    def hear_fetched(self) -> int:
        """Hear what was fetched, here or by a process that died since; how many texts."""
        heard = 0
        while texts := self._fetched():
            for text in texts:
                if not self._hear(text):
                    return heard
                heard += 1
        return heard

    def _fetched(self) -> list[Fetched]:
        with self.store.reading() as connection:
            if not polled_messages.is_due(connection, self.clock()):
                return []
        with self.store.writing() as connection:
            return polled_messages.claim(connection, self.clock(), HEARING_LEASE, HEARD_AT_ONCE)

    def ask(self, gateway: Polled) -> int:
        """Ask for receipts where it is time and no other process asks; how many there were.

        A text is asked for at twice the age each time: often while it matters, and yet a few times only.
        """
        rounds = gateway.receipt_rounds
        name = f"{gateway.name} receipts"
        claimed = self._claim(name) if rounds else None
        if rounds is None or claimed is None:
            return 0
        now = self.clock()
        since = max(_moment(claimed[0]) or now - ROUND, now - LONGEST_GAP)
        with self.store.reading() as connection:
            names = polls.unconfirmed(connection, gateway.name, _spans(rounds, since, now), ROUND_TEXTS)
        receipts, failed = self._asked(gateway, rounds, names)
        for receipt in receipts:
            self.note(receipt)
        with self.store.writing() as connection:
            reached = since if failed else now
            polls.finish(connection, name, claimed[1], self.clock() + ROUND, reached.isoformat())
            if failed:
                counters.count(connection, _failed(gateway, "receipts", failed))
            elif names:
                self._count_answer(connection, gateway, "receipts", now)
        return len(receipts)

    def _asked(
        self, gateway: Polled, rounds: ReceiptRounds, names: Sequence[str]
    ) -> tuple[list[Receipt], SendFailed | None]:
        """The receipts of these texts, and why the provider did not answer all calls; what time forbids waits."""
        receipts: list[Receipt] = []
        ends = time.monotonic() + ROUND_SECONDS
        for first in range(0, len(names), rounds.batch):
            if time.monotonic() > ends:
                break
            try:
                receipts += gateway.poll_receipts(names[first : first + rounds.batch])
            except SendFailed as failed:
                self._tell(gateway, "receipts", failed)
                return receipts, failed
        return receipts, None

    def _count_answer(self, connection: Connection, gateway: Polled, what: str, now: datetime) -> None:
        heartbeats.beat(connection, answered(gateway.name, what), now)
        counters.count(connection, Counter({("polled", f"{gateway.name} {what}"): 1}))

    def _claim(self, name: str) -> tuple[str, datetime] | None:
        """The cursor, and when the lease on asking ends; None where it is too soon or another process has the lease."""
        now = self.clock()
        with self.store.reading() as connection:
            if not polls.is_due(connection, name, now):
                return None
        with self.store.writing() as connection:
            cursor = polls.claim(connection, name, now, LEASE)
        return None if cursor is None else (cursor, now + LEASE)

    def _store(self, gateway: Polled, lease_end: datetime, batch: Batch) -> int:
        now = self.clock()
        texts = [text.inbound for text in batch.texts if text.sent_at is None or now - text.sent_at < TOO_LATE]
        sealed = [(text.provider_id, self.keyring.seal(json.dumps([text.sender, text.text]))) for text in texts]
        pause = timedelta() if batch.is_full else self._pause(gateway)
        try:
            new = self._put(gateway, sealed, lease_end, now + pause, batch.cursor)
        except (DataError, IntegrityError):
            new = sum(self._put_singly(gateway, each) for each in sealed)
            self._put(gateway, [], lease_end, now + pause, batch.cursor)
        del self._unstored[gateway.name]
        late = len(batch.texts) - len(texts) + batch.old
        if batch.lost or late:
            LOG.warning("texts_left_out", gateway=gateway.name, without_sender=batch.lost, late=late)
        self.hear_fetched()
        return new

    def _put(
        self,
        gateway: Polled,
        sealed: Sequence[tuple[str, bytes]],
        lease_end: datetime,
        next_attempt_at: datetime,
        cursor: str,
    ) -> int:
        """Keep a batch, and say when to ask next and from where on; how many texts were new."""
        now = self.clock()
        with self.store.writing() as connection:
            new = polled_messages.put(connection, gateway.name, sealed, now)
            polls.finish(connection, f"{gateway.name} texts", lease_end, next_attempt_at, cursor)
            self._count_answer(connection, gateway, "texts", now)
        return new

    def _put_singly(self, gateway: Polled, sealed: tuple[str, bytes]) -> int:
        # One text that the database will never take must not hold up the others, nor all that come later.
        try:
            with self.store.writing() as connection:
                return polled_messages.put(connection, gateway.name, [sealed], self.clock())
        except (DataError, IntegrityError) as error:
            LOG.error("fetched_text_given_up", gateway=gateway.name, reason="not_storable", error_seen=error)
            with self.store.writing() as connection:
                counters.count(connection, Counter({("polled_given_up", f"{gateway.name} not_storable"): 1}))
            return 0

    def _hear(self, text: Fetched) -> bool:
        """Hear one text; False where the database is out of reach, so that the others had better wait.

        One that fails is heard again when its lease ends, and is given up in the end. It holds up no other, even one
        that fails as if the database were gone: that is looked at.
        """
        reason = None
        try:
            sender, words = json.loads(self.keyring.open(text.sealed))
            self.hear(Inbound(text.gateway, text.provider_id, sender, words))
        except Unreadable:
            reason = "key_removed"
        except Exception as error:
            has_no_answer = is_out_of_reach(error)
            if has_no_answer and not self._is_in_reach():
                LOG.error("database_out_of_reach", gateway=text.gateway, error_seen=error)
                return False
            LOG.error("fetched_text_failed", gateway=text.gateway, attempts=text.attempts, error_seen=error)
            if text.attempts < (ATTEMPTS_OUT_OF_REACH if has_no_answer else ATTEMPTS):
                return True
            reason = "failed"
        with self.store.writing() as connection:
            polled_messages.erase(connection, text)
            if reason is not None:
                self._give_up(connection, text.gateway, text.provider_id, reason)
        return True

    def _is_in_reach(self) -> bool:
        try:
            with self.store.writing() as connection:
                return connection.execute(select(1)).scalar() == 1
        except SQLAlchemyError:
            return False

    def _give_up(self, connection: Connection, gateway: str, provider_id: str, reason: str) -> None:
        """Note that a text will never be heard, so that a provider that lists it again has no second effect."""
        LOG.error("fetched_text_given_up", gateway=gateway, reason=reason)
        counters.count(connection, Counter({("polled_given_up", f"{gateway} {reason}"): 1}))
        inbound_messages.remember(connection, gateway, provider_id, GIVEN_UP, self.clock(), answered=False)

    def _pause(self, gateway: Polled) -> timedelta:
        every = timedelta(seconds=gateway.texts_every or 0)
        with self.store.reading() as connection:
            days = seasons.find(connection)
        is_open = days is None or days[0] <= today_in_tehran(self.clock()) <= days[1]
        return every if is_open else max(every, OUT_OF_SEASON)

    def _tell(self, gateway: Polled, what: str, failed: SendFailed) -> None:
        if times := self._failed(f"{gateway.name} {what}"):
            LOG.error(
                "poll_failed", gateway=gateway.name, what=what, reason=failed.reason, code=failed.code, times=times
            )


def _failed(gateway: Polled, what: str, failed: SendFailed) -> Counter[Key]:
    return Counter({("poll_failed", f"{gateway.name} {what} {failed.reason}"): 1})


def _moment(cursor: str) -> datetime | None:
    return datetime.fromisoformat(cursor) if cursor else None


def _spans(rounds: ReceiptRounds, since: datetime, now: datetime) -> list[tuple[datetime, datetime]]:
    """When the texts were written whose age has passed one of the ages to be asked at since the last round."""
    ages, age = [], rounds.from_seconds
    while age <= rounds.until_seconds:
        ages.append(timedelta(seconds=age))
        age *= 2
    return [(since - age, now - age) for age in ages]
