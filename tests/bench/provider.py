"""The provider as the benchmark sees it: when which text came in."""

import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread

from tests.bench import load


@dataclass(frozen=True)
class Arrival:
    """A text at the provider: the monotonic time, and the code in it, `-` where it has none."""

    at: float
    code: str


class Provider:
    """A sink in a process of its own. `arrivals` has texts by their number; `first`, when a number's first came in."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Take the sink's process, which prints its port first."""
        assert process.stdout is not None
        self.port = int(process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"
        self.arrivals: defaultdict[str, SimpleQueue[Arrival]] = defaultdict(SimpleQueue)
        self.first: dict[str, float] = {}
        Thread(target=self._read, args=(process.stdout,), daemon=True).start()

    def _read(self, lines: Iterator[str]) -> None:
        for line in lines:
            at, number, code = line.split()
            self.first.setdefault(number, float(at))
            self.arrivals[number].put(Arrival(float(at), code))

    def forget(self) -> None:
        """Begin anew: the next database has the same people."""
        self.arrivals.clear()
        self.first.clear()

    def answer_after(self, seconds: float) -> None:
        """Have it answer so late from now on."""
        load.answers_200(self.port, load.get(f"/delay/{seconds}"))

    def has_had(self, numbers: list[str], within: float = 120.0) -> float:
        """Wait until each of the numbers has had a text; when the last one had. TimeoutError after so many seconds."""
        deadline = time.monotonic() + within
        while not all(number in self.first for number in numbers):
            if time.monotonic() > deadline:
                raise TimeoutError("texts are still waiting")
            time.sleep(0.05)
        return max(self.first[number] for number in numbers)


@contextmanager
def started() -> Iterator[Provider]:
    """A provider, ended at the end."""
    command = [sys.executable, "-m", "tests.bench.sink"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Provider(process)
        finally:
            process.terminate()
