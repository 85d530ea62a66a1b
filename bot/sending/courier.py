"""Sends the texts that are to be sent: at once after the commit that wrote it, else when a sweep finds it.

A text that this process writes it claims as it writes it, and hands to its own senders after the commit.
The sender threads only talk to providers. One more, the writer thread, talks to the database: it records what
became of texts, several in one transaction, and claims what others left. `deliver_due` does the same rounds in the
caller's thread.
"""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from queue import Empty, PriorityQueue, SimpleQueue
from threading import Event, Lock, Thread
from typing import NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, IntegrityError

from bot.credentials.keyring import Keyring, Unreadable
from bot.platform.log import logger
from bot.ports import Clock, Gateway, Outbound, Reason, SendFailed
from bot.sending.failover import FOR_GOOD, Failover
from bot.sending.share import Share
from dialogs.replies.phrases import say
from dialogs.vocabulary import State
from store import codes, conversations, outbound_messages
from store.database.engine import Store, is_out_of_reach
from store.outbound_messages import ClaimedMessage, NewMessage
from store.service import counters
from store.service.counters import Key
from store.tables import PROTECTIVE, MessageKind

LOG = logger("courier")

SENDERS = 16
# Texts in hand beyond which a new one is left to the first process that has room: no more than can leave while
# their leases last.
ROOM, ROOM_SECONDS = 32, 3
LEASE = timedelta(seconds=15)
# The longest that one attempt can take: a text is begun only while so much of its lease is left.
SEND_SECONDS = timedelta(seconds=11)
# A pilgrim waits a minute, so retries are seconds apart. The last delay repeats until the text's time is up.
DELAYS = (1, 2, 4, 8, 15, 30)
# What became of texts is recorded so often, and what others left is looked for so often, in seconds.
RECORD_EVERY, SWEEP_EVERY = 0.05, 1.0
# How long a stop goes on claiming what is due, in seconds.
LAST_WORDS = 5.0
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


class NextAttempt(NamedTuple):
    """Who tries a text that failed next, how many failures it brings along, and in how many seconds."""

    gateway: str
    consecutive_failures: int
    delay: float


class Courier:
    """Hands texts that are to be sent to the gateways."""

    def __init__(self, store: Store, gateways: Sequence[Gateway], keyring: Keyring, clock: Clock, share: Share) -> None:
        """Take the gateways in their failover order, and how fast texts may leave this process."""
        self.store, self.keyring, self.clock = store, keyring, clock
        self.gateways = {gateway.name: gateway for gateway in gateways}
        self.failover = Failover(list(self.gateways))
        self.share = share
        self._texts: PriorityQueue[tuple[int, int, ClaimedMessage | None]] = PriorityQueue()
        self._numbers = count()
        self._finished: SimpleQueue[SendResult] = SimpleQueue()
        self._results: list[SendResult] = []
        self._in_hand, self._lock = 0, Lock()
        self._stopping = Event()
        self._writer: Thread | None = None
        self._senders: list[Thread] = []

    @property
    def room(self) -> int:
        """How many texts may be in hand."""
        return min(ROOM, self.share.per_second * ROOM_SECONDS)

    def start(self) -> None:
        """Begin to send, in threads of its own."""
        self.share.join()
        self._senders = [Thread(target=self._send_on, name=f"sender-{n}", daemon=True) for n in range(SENDERS)]
        self._writer = Thread(target=self._write_on, name="writer", daemon=True)
        for thread in (*self._senders, self._writer):
            thread.start()

    def stop(self) -> None:
        """Send what is in hand and due, then end; what can't be sent in time is left to another process."""
        self._stopping.set()
        if self._writer:
            self._writer.join()

    def is_alive(self) -> bool:
        """Whether every thread runs."""
        return self._writer is not None and all(thread.is_alive() for thread in (*self._senders, self._writer))

    def has_room(self) -> bool:
        """Whether a text that is written now can be sent at once by this process."""
        return self._writer is not None and not self._stopping.is_set() and self._in_hand < self.room

    def write(self, connection: Connection, texts: Iterable[NewMessage], now: datetime) -> list[ClaimedMessage]:
        """Write texts to be sent; those that this process is to `take` after the commit."""
        lease = LEASE if self.has_room() else None
        claimed = outbound_messages.queue(connection, list(texts), now, lease, self.share.process)
        return claimed if lease else []

    def take(self, texts: Iterable[ClaimedMessage]) -> None:
        """Send texts that this process has claimed."""
        for text in texts:
            self._count(1)
            self._texts.put((text.kind, next(self._numbers), text))

    def deliver_due(self) -> int:
        """Send all that is due, in this thread, by the rounds that the threads make; how many attempts there were."""
        attempts = 0
        while True:
            self._drain_results()
            claimed = self._record_and_claim(self.room)
            if not claimed:
                return attempts
            self.take(claimed)
            while not self._texts.empty():
                self._send_next()
                attempts += 1

    def _send_on(self) -> None:
        while self._send_next():
            pass

    def _send_next(self) -> bool:
        """Wait for the next text in hand and send it; False where the senders are to end."""
        _, _, text = self._texts.get()
        if text is None:
            return False
        if not self.share.wait():
            self._count(-1)
            return True
        if self.clock() + SEND_SECONDS > text.next_attempt_at:  # it lay too long: its lease may end while it is sent
            self._count(-1)
            return True
        self._finished.put(result := self._send(text))
        for probed in self._probe(result):
            self._count(1)
            self._finished.put(probed)
        return True

    def _count(self, more: int) -> None:
        with self._lock:
            self._in_hand += more

    def _write_on(self) -> None:
        next_sweep = time.monotonic()
        while not self._stopping.is_set():
            time.sleep(RECORD_EVERY)  # so that one transaction serves several
            self.share.renew_if_due()
            self._drain_results()
            sweeping = time.monotonic() >= next_sweep
            room = self.room - self._in_hand if sweeping else 0
            found = self._round_safely(room)
            if room > 0 and not found:  # where there was one there may be more
                next_sweep = time.monotonic() + SWEEP_EVERY
        self._finish()

    def _finish(self) -> None:
        """Send what is due, for a few seconds at most; then wait for what is on its way."""
        deadline = time.monotonic() + LAST_WORDS
        while time.monotonic() < deadline and (self._round_safely(self.room - self._in_hand) or self._in_hand):
            time.sleep(RECORD_EVERY)
            self.share.renew_if_due()
            self._drain_results()
        self.share.leave()
        for _ in self._senders:
            self._texts.put((-1, next(self._numbers), None))
        for thread in self._senders:
            thread.join()
        self._drain_results()
        self._round_safely(0)

    def _drain_results(self) -> None:
        """Collect what the senders have finished."""
        while True:
            try:
                self._results.append(self._finished.get_nowait())
            except Empty:
                return
            self._count(-1)

    def _round_safely(self, most: int) -> int:
        try:
            claimed = self._record_and_claim(most)
        except Exception as error:  # the database may come back: no result is lost
            if is_out_of_reach(error):
                LOG.error("database_out_of_reach", error_seen=error)
            else:
                LOG.error("courier_failed", error_seen=error)
            self._stopping.wait(SWEEP_EVERY)
            return 0
        self.take(claimed)
        return len(claimed)

    def _record_and_claim(self, most: int) -> list[ClaimedMessage]:
        """Record what became of texts, and claim up to so many others."""
        now = self.clock()
        if most > 0 and not self._look(now):
            most = 0
        if not self._results and most <= 0 and not self.failover.is_probe_due(now):
            return []
        try:
            with self.store.writing() as connection:
                self.failover.claim_probes(connection, now)
                self._record(connection, self._results, now)
                claimed = outbound_messages.claim(connection, now, most, LEASE, self.share.process) if most > 0 else []
        except (DataError, IntegrityError):
            self._record_singly(now)
            return []
        self._results = []
        return claimed

    def _record_singly(self, now: datetime) -> None:
        # One outcome that the database refuses must not hold up the others; its text goes again after its lease.
        while self._results:
            outcome = self._results[0]
            try:
                with self.store.writing() as connection:
                    self._record(connection, [outcome], now)
            except (DataError, IntegrityError) as error:
                LOG.error("outcome_refused", text=outcome.text.id, gateway=outcome.gateway, error_seen=error)
            self._results.pop(0)

    def _look(self, now: datetime) -> bool:
        """Read the gateways' health, and whether a text is due. Without the write lock: most sweeps find nothing."""
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
            # Another host may have the key: the text is left to it until its time is up.
            failure = SendFailed(Reason.KEY_REMOVED, permanent=False)
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

    def _record(self, connection: Connection, outcomes: list[SendResult], now: datetime) -> None:
        texts = [outcome for outcome in outcomes if not outcome.is_probe]
        accepted = [outcome for outcome in texts if outcome.failure is None]
        if accepted:
            outbound_messages.accept(
                connection, [{"text": it.text.id, "by": it.gateway, "as": it.provider_id, "at": now} for it in accepted]
            )
        happened: Counter[Key] = Counter()
        for outcome in texts:
            if outcome.failure is not None:
                happened += self._defer(connection, outcome, outcome.failure, now)
        happened += self.failover.note(connection, [(it.gateway, _reason(it)) for it in outcomes], now)
        if happened:
            counters.count(connection, happened)
            self.failover.look(connection)

    def _defer(self, connection: Connection, it: SendResult, failure: SendFailed, now: datetime) -> Counter[Key]:
        text, happened = it.text, Counter({("send_failed", f"{it.gateway} {failure.reason}"): 1})
        is_held = failure.reason is Reason.OPTED_OUT
        is_asked_for = is_held and codes.was_asked_for(connection, text.id)
        # A STOP that one provider holds: another may take what protects the account, and what was asked for since.
        goes_on = not failure.permanent or (is_held and (is_asked_for or text.kind in PROTECTIVE))
        again = self._again(it, failure.reason) if goes_on else None
        LOG.warning(
            "send_failed",
            text=text.id,
            phrase=text.phrase,
            gateway=it.gateway,
            attempt=text.attempts,
            reason=failure.reason,
            code=failure.code,
            permanent=failure.permanent,
            next=again.gateway if again else None,
        )
        told = {"text": text.id, "why": failure.reason}
        if again is None:
            outbound_messages.give_up(connection, [{**told, "by": it.gateway, "at": now}])
        else:
            at = now + timedelta(seconds=again.delay)
            outbound_messages.retry(
                connection, [told | {"at": at, "next": again.gateway, "failures": again.consecutive_failures}]
            )
            if again.gateway != it.gateway:
                happened["switched", f"{it.gateway} {again.gateway}"] += 1
        if is_held and not (is_asked_for and again):
            conversations.opt_out(connection, text.phone, now, State.IDLE)
        return happened

    def _again(self, it: SendResult, reason: Reason) -> NextAttempt | None:
        """By which gateway a text that failed is tried next, and in how many seconds; None where by none."""
        delay = DELAYS[min(it.text.attempts, len(DELAYS)) - 1]
        if reason is Reason.KEY_REMOVED:  # no gateway was asked: all stays as it was
            return NextAttempt(it.gateway, it.text.consecutive_failures, delay)
        if reason in FOR_GOOD:
            following = self.failover.after_refusal(it.text, it.gateway)
            return NextAttempt(*following, delay) if following else None
        return NextAttempt(*self.failover.after(it.text, it.gateway, it.seconds, delay), delay)


def _reason(outcome: SendResult) -> Reason | None:
    return outcome.failure.reason if outcome.failure else None
