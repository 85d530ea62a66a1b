"""How fast texts leave this process: one after another, evenly, never more than its share of a second's texts."""

import time
from collections.abc import Callable
from threading import Lock


class Throttle:
    """A slot for every text. Unused slots are not saved up: an operator counts each second by itself."""

    def __init__(
        self,
        per_second: float,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take the rate, and a clock that counts seconds."""
        self.seconds = 1 / per_second
        self._now, self._sleep = now, sleep
        self._next, self._lock = 0.0, Lock()

    def wait(self) -> None:
        """Wait for the next free slot: `seconds` after the one before it, or at once."""
        with self._lock:
            slot = max(self._next, self._now())
            self._next = slot + self.seconds
        self._sleep(max(0.0, slot - self._now()))
