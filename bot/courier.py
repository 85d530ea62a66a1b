"""Sends what the outbox holds: at once after the commit that wrote it, else when a sweep finds it.

One thread talks to the database: it notes what became of texts and claims as many as there are idle
senders, both in one transaction. The senders only talk to providers.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from threading import Event as Flag
from threading import Thread

from sqlalchemy import Connection

from bot.keys import Keys, Unreadable
from bot.log import logger
from bot.ports import Clock, Gateway, Outbound, SendFailed
from dialogs.phrases import say
from dialogs.recovery import VERSION
from dialogs.vocabulary import State
from store import conversations, outbox
from store.engine import Store
from store.outbox import Claimed
from store.tables import Kind

LOG = logger("courier")

SENDERS = 8
# Longer than a send can take, so that nobody else takes over a text that is on its way.
LEASE = timedelta(seconds=15)
# A pilgrim waits a minute, so retries are seconds apart. The last delay repeats until the text's time is up.
DELAYS = (1, 2, 4, 8, 15, 30)
TRIES_BEFORE_NEXT_GATEWAY = 2
SWEEP_SECONDS = 1.0
LAST_WORDS_SECONDS = 5.0
SECRETS = {Kind.CODE: "code", Kind.PASSWORD: "password"}


@dataclass(frozen=True)
class Outcome:
    """What became of one attempt to send a text: the provider's id, or why not."""

    text: Claimed
    gateway: str
    provider_id: str | None = None
    failure: SendFailed | None = None


class Courier:
    """Carries texts from the outbox to the gateways."""

    def __init__(self, store: Store, gateways: Sequence[Gateway], keys: Keys, clock: Clock) -> None:
        """Take the gateways in their failover order."""
        self.store, self.keys, self.clock = store, keys, clock
        self.gateways = {gateway.name: gateway for gateway in gateways}
        self._bell: SimpleQueue[Outcome | None] = SimpleQueue()
        self._rung = Flag()
        self._stopping = Flag()
        self._unnoted: list[Outcome] = []
        self._in_flight = 0
        self._thread: Thread | None = None
        self._pool: ThreadPoolExecutor | None = None

    def start(self) -> None:
        """Begin to send, in threads of its own."""
        self._pool = ThreadPoolExecutor(SENDERS, thread_name_prefix="sender")
        self._thread = Thread(target=self._run, name="courier", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Send what is due and in hand, then end; what can't be sent in time is left to another process."""
        self._stopping.set()
        self._ring()
        if self._thread and self._pool:
            self._thread.join()
            self._pool.shutdown()

    def wake(self) -> None:
        """Say that a text was queued."""
        if not self._rung.is_set():
            self._ring()

    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def deliver_due(self) -> int:
        """Send all that is due, here and now, in this thread; how many attempts there were."""
        attempts = 0
        while claimed := self._exchange([], SENDERS):
            self._unnoted += [self._send(text) for text in claimed]
            attempts += len(claimed)
        return attempts

    def _ring(self) -> None:
        self._rung.set()
        self._bell.put(None)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._turn(SWEEP_SECONDS)
        deadline = time.monotonic() + LAST_WORDS_SECONDS
        while self._turn(0.05) and time.monotonic() < deadline:
            pass
        self._drain()

    def _turn(self, patience: float) -> bool:
        """One round; whether there was anything to do."""
        outcomes = self._gathered(patience)
        try:
            claimed = self._exchange(outcomes, SENDERS - self._in_flight)
        except Exception as error:  # the database may come back: nothing gathered is lost
            LOG.error("courier_failed", error_seen=error)
            time.sleep(min(patience, 1.0))
            return True
        for text in claimed:
            self._in_flight += 1
            assert self._pool is not None
            self._pool.submit(self._send_and_tell, text)
        return bool(claimed or self._in_flight)

    def _gathered(self, patience: float) -> list[Outcome]:
        found: list[Outcome | None] = []
        try:
            found.append(self._bell.get(timeout=patience))
            while True:
                found.append(self._bell.get_nowait())
        except Empty:
            self._rung.clear()
        outcomes = [outcome for outcome in found if outcome is not None]
        self._in_flight -= len(outcomes)
        return outcomes

    def _drain(self) -> None:
        while self._in_flight:
            outcomes = self._gathered(1.0)
            try:
                self._exchange(outcomes, 0)
            except Exception as error:
                LOG.error("courier_failed", error_seen=error)

    def _exchange(self, outcomes: list[Outcome], idle: int) -> list[Claimed]:
        """Note what became of texts, and claim as many as can be sent at once."""
        self._unnoted += outcomes
        now = self.clock()
        if not self._unnoted and not self._is_due(now, idle):
            return []
        with self.store.writing() as connection:
            self._note(connection, self._unnoted, now)
            claimed = outbox.claim(connection, now, idle, LEASE) if idle else []
        self._unnoted = []
        return claimed

    def _is_due(self, now: datetime, idle: int) -> bool:
        # Looked at without the write lock: most rounds find nothing.
        if not idle:
            return False
        with self.store.reading() as connection:
            return outbox.is_due(connection, now)

    def _send_and_tell(self, text: Claimed) -> None:
        self._bell.put(self._send(text))

    def _send(self, text: Claimed) -> Outcome:
        gateway = self._gateway_for(text)
        try:
            return Outcome(text, gateway.name, gateway.send(self._outbound(text)))
        except SendFailed as failure:
            return Outcome(text, gateway.name, failure=failure)
        except Unreadable:
            return Outcome(text, gateway.name, failure=SendFailed("key_removed", permanent=True))
        except Exception as error:  # a gateway's own mistake must not lose the text
            LOG.error("gateway_broken", gateway=gateway.name, error_seen=error)
            return Outcome(text, gateway.name, failure=SendFailed("broken", permanent=False))

    def _gateway_for(self, text: Claimed) -> Gateway:
        """The gateway that the text's turn has come to: first the one that the answered text came in by."""
        order = sorted(self.gateways, key=lambda name: name != text.origin)
        turn = (text.attempts - 1) // TRIES_BEFORE_NEXT_GATEWAY
        return self.gateways[order[turn % len(order)]]

    def _outbound(self, text: Claimed) -> Outbound:
        parameters = dict(text.parameters)
        if text.secret is not None:
            parameters[SECRETS[Kind(text.kind)]] = self.keys.open(text.secret)
        validity = max(1, int((text.expires_at - self.clock()).total_seconds()))
        return Outbound(text.id, Kind(text.kind), text.phone, say(text.phrase, text.language, parameters), validity)

    def _note(self, connection: Connection, outcomes: list[Outcome], now: datetime) -> None:
        accepted = [outcome for outcome in outcomes if outcome.failure is None]
        if accepted:
            outbox.accept(
                connection, [{"text": it.text.id, "by": it.gateway, "as": it.provider_id, "at": now} for it in accepted]
            )
        for outcome in outcomes:
            if outcome.failure is not None:
                self._note_failure(connection, outcome, outcome.failure, now)

    def _note_failure(self, connection: Connection, outcome: Outcome, failure: SendFailed, now: datetime) -> None:
        text = outcome.text
        LOG.warning(
            "send_failed",
            text=text.id,
            phrase=text.phrase,
            gateway=outcome.gateway,
            attempt=text.attempts,
            reason=failure.reason,
            permanent=failure.permanent,
        )
        if failure.permanent:
            outbox.give_up(connection, [{"text": text.id, "by": outcome.gateway, "at": now, "why": failure.reason}])
        else:
            delay = DELAYS[min(text.attempts, len(DELAYS)) - 1]
            outbox.retry(connection, [{"text": text.id, "at": now + timedelta(seconds=delay), "why": failure.reason}])
        if failure.opted_out:
            conversations.opt_out(connection, text.phone, now, State.IDLE, VERSION)
