"""How many calls were refused, at which door and why: counted in memory, written down every few seconds.

A refused call must cost no write of its own: anybody can make thousands.
"""

from collections import Counter
from threading import Lock

from store.database.engine import Store
from store.service import counters
from store.service.counters import Key

NAME = "refused"


class Refusals:
    """The calls that this process has refused since it last wrote them down."""

    def __init__(self, store: Store) -> None:
        """Take the store that they are written to."""
        self.store = store
        self._lock, self._counted = Lock(), Counter[Key]()

    def count(self, door: str, reason: str) -> None:
        """Count a refused call. Both are words of ours, never a caller's."""
        with self._lock:
            self._counted[NAME, f"{door} {reason}"] += 1

    def flush(self) -> int:
        """Write down what was counted; how many calls that were. What can't be written is kept for the next time."""
        with self._lock:
            counted, self._counted = self._counted, Counter()
        if not counted:
            return 0
        try:
            with self.store.writing() as connection:
                counters.count(connection, counted)
        except Exception:
            with self._lock:
                self._counted += counted
            raise
        return counted.total()
