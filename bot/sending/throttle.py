"""How fast texts leave this process: one after another, evenly, never more than its share of a second's texts."""

import time
from collections.abc import Callable
from threading import Lock


class Throttle:
    """A turn for every text. What was not used is not saved up: an operator counts each second by itself."""

    def __init__(
        self,
        per_second: float,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take the rate, and a clock that counts seconds."""
        self.seconds = 1 / per_second
        self._now, self._sleep = now, sleep
        self._next, self._hand = 0.0, Lock()

    def wait(self) -> None:
        """Return when it is this text's turn."""
        with self._hand:
            turn = max(self._next, self._now())
            self._next = turn + self.seconds
        self._sleep(max(0.0, turn - self._now()))
