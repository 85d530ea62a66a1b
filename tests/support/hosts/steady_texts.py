"""Texts that come in at a steady rate, as a provider hands them over: again and again, until one is answered by 200."""

import heapq
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Condition, Thread

import requests

from tests.providers.twilio_standin import PUBLIC_URL, new_sid, post_text

SENDERS = 24
# How soon a provider tries once more, in seconds, and how long it waits for an answer.
AGAIN, PATIENCE = 0.3, 5.0


@dataclass
class SteadyTexts:
    """One text each of many phones, over several services in turn."""

    addresses: Sequence[str]
    texts: Sequence[tuple[str, str]]  # sender and words
    per_second: int = 50
    answered: dict[str, float] = field(default_factory=dict)  # by sender, in seconds after the first was due
    statuses: Counter[int] = field(default_factory=Counter)

    def run(self, happens: Callable[[], object], after: float) -> float:
        """Send all of them; meanwhile let something happen. When that was, in seconds after the first was due."""
        began, self._changed = time.monotonic(), Condition()
        self._due = [(number / self.per_second, 0, number, new_sid()) for number in range(len(self.texts))]
        threads = [Thread(target=self._send, args=(began,), daemon=True) for _ in range(SENDERS)]
        for thread in threads:
            thread.start()
        time.sleep(after)
        at = time.monotonic() - began
        happens()
        for thread in threads:
            thread.join()
        return at

    def _send(self, began: float) -> None:
        with requests.Session() as session:
            while True:
                with self._changed:
                    if len(self.answered) == len(self.texts):
                        return
                    found = heapq.heappop(self._due) if self._due else None
                if found is None:
                    time.sleep(0.05)
                    continue
                due, tries, number, sid = found
                time.sleep(max(0.0, began + due - time.monotonic()))
                status = self._one(session, number, tries, sid)
                at = time.monotonic() - began
                with self._changed:
                    self.statuses[status] += 1
                    if status == 200:
                        self.answered[self.texts[number][0]] = at
                    else:
                        heapq.heappush(self._due, (at + AGAIN, tries + 1, number, sid))

    def _one(self, session: requests.Session, number: int, tries: int, sid: str) -> int:
        address, (sender, words) = self.addresses[(number + tries) % len(self.addresses)], self.texts[number]
        try:
            return post_text(session, address, PUBLIC_URL, sender, words, sid, timeout=PATIENCE)
        except requests.RequestException:
            return 0

    def longest_wait(self, at: float) -> float:
        """The longest that a text, due after a moment or waiting at it, had to wait from then on for its 200."""
        due = {sender: number / self.per_second for number, (sender, _) in enumerate(self.texts)}
        return max(answered - max(due[sender], at) for sender, answered in self.answered.items())
