"""Sends what the outbox holds: at once after the commit that wrote it, else when a sweep finds it.

A text that this process writes it claims as it writes it, and hands to its own senders after the commit.
The senders only talk to providers. One more thread, the clerk, talks to the database: it writes down what
became of texts, several in one transaction, and claims what others left.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from queue import Empty, PriorityQueue, SimpleQueue
from threading import Event as Flag
from threading import Lock, Thread
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, IntegrityError

from bot.credentials.keyring import Keyring, Unreadable
from bot.log import logger
from bot.ports import Clock, Gateway, Outbound, Reason, SendFailed
from bot.sending.failover import Failover
from bot.sending.throttle import Throttle
from dialogs.replies.phrases import say
from dialogs.tables.recovery import VERSION
from dialogs.vocabulary import State
from store import conversations, counters, outbound_messages
from store.counters import Key
from store.database.engine import Store
from store.outbound_messages import ClaimedMessage
from store.tables import MessageKind

LOG = logger("courier")

SENDERS = 8
# Texts in hand beyond which a new one is left for whoever has time for it first: no more than can leave while
# their leases last.
ROOM, ROOM_SECONDS = 32, 3
LEASE = timedelta(seconds=15)
# The longest that one attempt can take: a text is begun only while so much of its lease is left.
SEND_SECONDS = timedelta(seconds=11)
# A pilgrim waits a minute, so retries are seconds apart. The last delay repeats until the text's time is up.
DELAYS = (1, 2, 4, 8, 15, 30)
# What became of texts is written down so often, and what others left is looked for so often, in seconds.
BOOKS, SWEEP = 0.05, 1.0
LAST_WORDS = 5.0
# While one text after another comes in, a text to be sent stands back until it is so old: what is not heard
# may be lost, what is heard will be sent. "After another" is within so many seconds of the end of hearing one, however
# long that took: else a slow moment would let the senders loose, and they would make it slower.
POLITE, EXPECTED = timedelta(seconds=3), 0.01
SECRETS = {MessageKind.CODE: "code", MessageKind.PASSWORD: "password"}


@dataclass(frozen=True)
class SendResult:
    """What became of one attempt to send a text: the provider's id, or why not; and how many seconds it took.

    A probe is a copy of a text that another gateway has taken: it tells of the gateway, not of the text.
    """

    text: ClaimedMessage
    gateway: str
    provider_id: str | None = None
    failure: SendFailed | None = None
    seconds: float = 0.0
    is_probe: bool = False


class Courier:
    """Carries texts from the outbox to the gateways."""

    def __init__(
        self, store: Store, gateways: Sequence[Gateway], keyring: Keyring, clock: Clock, per_second: float = 100.0
    ) -> None:
        """Take the gateways in their failover order, and how many texts may leave this process in a second."""
        self.store, self.keyring, self.clock = store, keyring, clock
        self.gateways = {gateway.name: gateway for gateway in gateways}
        self.failover = Failover(list(self.gateways))
        self.throttle = Throttle(per_second)
        self.room = max(1, min(ROOM, int(per_second * ROOM_SECONDS)))
        self._texts: PriorityQueue[tuple[int, int, ClaimedMessage | None]] = PriorityQueue()
        self._numbers = count()
        self._outcomes: SimpleQueue[SendResult] = SimpleQueue()
        self._unnoted: list[SendResult] = []
        self._in_hand, self._hand = 0, Lock()
        self._hearing, self._quiet_until = 0, 0.0
        self._stopping = Flag()
        self._clerk: Thread | None = None
        self._senders: list[Thread] = []

    def start(self) -> None:
        """Begin to send, in threads of its own."""
        self._senders = [Thread(target=self._send_on, name=f"sender-{n}", daemon=True) for n in range(SENDERS)]
        self._clerk = Thread(target=self._keep_books, name="clerk", daemon=True)
        for thread in (*self._senders, self._clerk):
            thread.start()

    def stop(self) -> None:
        """Send what is in hand and due, then end; what can't be sent in time is left to another process."""
        self._stopping.set()
        if self._clerk:
            self._clerk.join()

    def is_alive(self) -> bool:
        """Whether every thread runs."""
        return self._clerk is not None and all(thread.is_alive() for thread in (*self._senders, self._clerk))

    def has_room(self) -> bool:
        """Whether a text that is written now can be sent at once by this process."""
        return self._clerk is not None and not self._stopping.is_set() and self._in_hand < self.room

    def write(self, connection: Connection, rows: Iterable[dict[str, Any]], now: datetime) -> list[ClaimedMessage]:
        """Write texts to be sent; those that this process is to `take` after the commit."""
        lease = LEASE if self.has_room() else None
        texts = [outbound_messages.queue(connection, row, now, lease) for row in rows]
        return texts if lease else []

    def take(self, texts: Iterable[ClaimedMessage]) -> None:
        """Send texts that this process has claimed."""
        for text in texts:
            with self._hand:
                self._in_hand += 1
            self._texts.put((text.kind, next(self._numbers), text))

    @contextmanager
    def hushed(self, seconds: float = EXPECTED) -> Iterator[None]:
        """Have texts to be sent stand back while one is heard, and for so many seconds after: another may follow."""
        with self._hand:
            self._hearing += 1
        try:
            yield
        finally:
            with self._hand:
                self._hearing -= 1
            self._quiet_until = max(self._quiet_until, time.monotonic() + seconds)

    def deliver_due(self) -> int:
        """Send all that is due, here and now, in this thread; how many attempts there were."""
        attempts = 0
        while claimed := self._exchange(SENDERS):
            for text in claimed:
                self._unnoted.append(outcome := self._send(text))
                self._unnoted += self._probe(outcome)
            attempts += len(claimed)
        return attempts

    def _send_on(self) -> None:
        while True:
            _, _, text = self._texts.get()
            if text is None:
                return
            self._stand_back(text)
            self.throttle.wait()
            if self.clock() + SEND_SECONDS <= text.next_attempt_at:
                self._outcomes.put(outcome := self._send(text))
                for probed in self._probe(outcome):
                    with self._hand:
                        self._in_hand += 1
                    self._outcomes.put(probed)
            else:  # it lay too long: its lease may end while it is sent
                with self._hand:
                    self._in_hand -= 1

    def _stand_back(self, text: ClaimedMessage) -> None:
        while self._is_hushed() and self.clock() - text.created_at < POLITE:
            time.sleep(0.02)

    def _is_hushed(self) -> bool:
        return self._hearing > 0 or time.monotonic() < self._quiet_until

    def _keep_books(self) -> None:
        next_sweep = time.monotonic()
        while not self._stopping.is_set():
            self._gather(BOOKS)
            sweeping = time.monotonic() >= next_sweep
            room = self.room - self._in_hand if sweeping else 0
            found = self._exchange_safely(room)
            if room > 0 and not found:  # where there was one there may be more
                next_sweep = time.monotonic() + SWEEP
        self._finish()

    def _finish(self) -> None:
        """Send what is due, for a few seconds at most; then wait for what is on its way."""
        deadline = time.monotonic() + LAST_WORDS
        while time.monotonic() < deadline and (self._exchange_safely(self.room - self._in_hand) or self._in_hand):
            self._gather(BOOKS)
        for _ in self._senders:
            self._texts.put((-1, next(self._numbers), None))
        for thread in self._senders:
            thread.join()
        self._gather(0)
        self._exchange_safely(0)

    def _gather(self, patience: float) -> None:
        """Collect outcomes for so many seconds, so that one transaction serves several."""
        time.sleep(patience)
        while True:
            try:
                self._unnoted.append(self._outcomes.get_nowait())
            except Empty:
                return
            with self._hand:
                self._in_hand -= 1

    def _exchange_safely(self, most: int) -> int:
        try:
            claimed = self._exchange(most)
        except Exception as error:  # the database may come back: nothing gathered is lost
            LOG.error("courier_failed", error_seen=error)
            self._stopping.wait(SWEEP)
            return 0
        self.take(claimed)
        return len(claimed)

    def _exchange(self, most: int) -> list[ClaimedMessage]:
        """Write down what became of texts, and claim up to so many others."""
        now = self.clock()
        if most > 0 and not self._look(now):
            most = 0
        if not self._unnoted and most <= 0 and not self.failover.is_probe_due(now):
            return []
        try:
            with self.store.writing() as connection:
                self.failover.claim_probes(connection, now)
                self._note(connection, self._unnoted, now)
                claimed = outbound_messages.claim(connection, now, most, LEASE) if most > 0 else []
        except (DataError, IntegrityError):
            self._note_singly(now)
            return []
        self._unnoted = []
        return claimed

    def _note_singly(self, now: datetime) -> None:
        # One outcome that the database refuses must not hold up the others; its text goes again after its lease.
        while self._unnoted:
            outcome = self._unnoted[0]
            try:
                with self.store.writing() as connection:
                    self._note(connection, [outcome], now)
            except (DataError, IntegrityError) as error:
                LOG.error("outcome_refused", text=outcome.text.id, gateway=outcome.gateway, error_seen=error)
            self._unnoted.pop(0)

    def _look(self, now: datetime) -> bool:
        """See how the gateways fare, and whether a text is due. Without the write lock: most sweeps find nothing."""
        with self.store.reading() as connection:
            self.failover.look(connection)
            return outbound_messages.is_due(connection, now)

    def _send(self, text: ClaimedMessage) -> SendResult:
        return self._try(text, self.failover.choose(text))

    def _probe(self, sent: SendResult) -> list[SendResult]:
        """A copy of what one gateway took, to see whether another is back: nobody waits for one that may hang."""
        name = self.failover.take_probe(sent.text, sent.gateway) if sent.failure is None else None
        return [replace(self._try(sent.text, name), is_probe=True)] if name else []

    def _try(self, text: ClaimedMessage, name: str) -> SendResult:
        provider_id = failure = None
        began = self.clock()
        try:
            provider_id = self.gateways[name].send(self._outbound(text))
        except SendFailed as failed:
            failure = failed
        except Unreadable:
            failure = SendFailed(Reason.KEY_REMOVED, permanent=True)
        except Exception as error:  # a gateway's own mistake must not lose the text
            LOG.error("gateway_broken", gateway=name, error_seen=error)
            failure = SendFailed(Reason.UNKNOWN, permanent=False)
        return SendResult(text, name, provider_id, failure, (self.clock() - began).total_seconds())

    def _outbound(self, text: ClaimedMessage) -> Outbound:
        parameters = dict(text.parameters)
        if text.secret is not None:
            parameters[SECRETS[MessageKind(text.kind)]] = self.keyring.open(text.secret)
        validity = max(1, int((text.expires_at - self.clock()).total_seconds()))
        words = say(text.phrase, text.language, parameters)
        made_of = (text.phrase, text.language, parameters, text.attempts)
        return Outbound(text.id, MessageKind(text.kind), text.phone, words, validity, *made_of)

    def _note(self, connection: Connection, outcomes: list[SendResult], now: datetime) -> None:
        texts = [outcome for outcome in outcomes if not outcome.is_probe]
        accepted = [outcome for outcome in texts if outcome.failure is None]
        if accepted:
            outbound_messages.accept(
                connection, [{"text": it.text.id, "by": it.gateway, "as": it.provider_id, "at": now} for it in accepted]
            )
        happened: Counter[Key] = Counter()
        for outcome in texts:
            if outcome.failure is not None:
                happened += self._note_failure(connection, outcome, outcome.failure, now)
        happened += self.failover.note(connection, [(it.gateway, _reason(it)) for it in outcomes], now)
        if happened:
            counters.count(connection, happened)
            self.failover.look(connection)

    def _note_failure(self, connection: Connection, it: SendResult, failure: SendFailed, now: datetime) -> Counter[Key]:
        text, happened = it.text, Counter({("send_failed", f"{it.gateway} {failure.reason}"): 1})
        delay = DELAYS[min(text.attempts, len(DELAYS)) - 1]
        following, consecutive_failures = self.failover.after(text, it.gateway, it.seconds, delay)
        LOG.warning(
            "send_failed",
            text=text.id,
            phrase=text.phrase,
            gateway=it.gateway,
            attempt=text.attempts,
            reason=failure.reason,
            code=failure.code,
            permanent=failure.permanent,
            next=None if failure.permanent else following,
        )
        told = {"text": text.id, "why": failure.reason}
        if failure.permanent:
            outbound_messages.give_up(connection, [{**told, "by": it.gateway, "at": now}])
        else:
            again = {"at": now + timedelta(seconds=delay), "next": following, "failures": consecutive_failures}
            outbound_messages.retry(connection, [told | again])
            if following != it.gateway:
                happened["switched", f"{it.gateway} {following}"] += 1
        if failure.reason is Reason.OPTED_OUT:
            conversations.opt_out(connection, text.phone, now, State.IDLE, VERSION)
        return happened


def _reason(outcome: SendResult) -> Reason | None:
    return outcome.failure.reason if outcome.failure else None
