"""How often things happen in this process, and how long they take: counted in memory, written down every few seconds.

What is counted so must cost no write of its own: anybody can make thousands of refused calls. So a process that is
killed takes the last seconds' counts with it; whatever has to be exact is read from the rows themselves.
"""

from collections import Counter
from collections.abc import Sequence
from threading import Lock

from store.database.engine import Store
from store.service import counters
from store.service.counters import Key

# Upper bounds in seconds. Both control points are to take under sixty.
DELIVERY_BUCKETS = (1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 300.0, 600.0)
HTTP_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BEYOND = "+Inf"
# A histogram's sum has a row of its own, in whole seconds: what is over waits for the next time.
SUM = "_sum"


class Counting:
    """What this process has counted since it last wrote it down."""

    def __init__(self, store: Store) -> None:
        """Take the store that it is written to."""
        self.store = store
        self._lock, self._counted = Lock(), Counter[Key]()
        self._seconds: dict[Key, float] = {}

    def count(self, name: str, *label: str) -> None:
        """Count something. All are words of ours, never a caller's."""
        with self._lock:
            self._counted[name, " ".join(label)] += 1

    def took(self, name: str, label: str, seconds: float, buckets: Sequence[float]) -> None:
        """Count how long something took, by the first bucket that holds it."""
        bucket = next((str(each) for each in buckets if seconds <= each), BEYOND)
        with self._lock:
            self._counted[name, f"{label} {bucket}"] += 1
            key = (f"{name}{SUM}", label)
            self._seconds[key] = self._seconds.get(key, 0.0) + seconds

    def flush(self) -> int:
        """Write down what was counted; how many things. What can't be written is kept for the next time."""
        with self._lock:
            counted, self._counted = self._counted, Counter()
            whole = Counter({key: int(seconds) for key, seconds in self._seconds.items() if seconds >= 1})
            for key, seconds in whole.items():
                self._seconds[key] -= seconds
        if not counted and not whole:
            return 0
        try:
            with self.store.writing() as connection:
                counters.count(connection, counted + whole)
        except Exception:
            with self._lock:
                self._counted += counted
                for key, seconds in whole.items():
                    self._seconds[key] += seconds
            raise
        return counted.total()
