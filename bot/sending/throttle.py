"""How fast texts leave this process: one after another, evenly, never more than its share of a second's texts."""

import time
from collections.abc import Callable
from threading import Event, Lock

# The longest that a wait goes on without looking whether the rate has changed.
LOOK_SECONDS = 0.05


class Throttle:
    """A slot for every text. Unused slots are not saved up: an operator counts each second by itself."""

    def __init__(
        self,
        per_second: int,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take the rate, which holds until another is `set`, and a clock that counts seconds."""
        self.per_second, self._until = per_second, float("inf")
        self._now, self._sleep = now, sleep
        self._slot = float("-inf")  # the last one that was given
        self._turn, self._lock, self._closed = Lock(), Lock(), Event()

    def set(self, per_second: int, until: float) -> None:
        """Change the rate. It holds until a moment of the clock; after that no text leaves."""
        with self._lock:
            if per_second != self.per_second:  # the slots begin anew, so that no second has too many of two rates
                self._slot = max(self._slot, self._now())
            self.per_second, self._until = per_second, until

    def wait(self) -> bool:
        """Wait for the next free slot, an interval after the one before it; False where it is closed meanwhile."""
        asked = self._now()
        with self._turn:  # one waits for the clock, the others for it
            while not self._closed.is_set():
                left = self._left(asked)
                if left <= 0:
                    return True
                self._sleep(min(left, LOOK_SECONDS))
        return False

    def close(self) -> None:
        """Let nobody wait any more."""
        self._closed.set()

    def _left(self, asked: float) -> float:
        """Seconds until a slot is free. One that is free is given."""
        with self._lock:
            now = self._now()
            if not self.per_second or now >= self._until:
                self._slot = now
                return LOOK_SECONDS
            slot = max(self._slot + 1 / self.per_second, asked)
            if slot <= now:
                self._slot = slot
            return slot - now
