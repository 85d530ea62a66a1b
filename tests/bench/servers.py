"""Servers to be measured: started, waited for until every worker works, weighed, and stopped."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psutil  # type: ignore[import-untyped]

from tests.bench import load

READY_WITHIN = 60
# A server is warm when a wave of requests is no faster than the one before by more than this, and every worker
# has had a fair share of the work.
WAVE, WAVES, GAIN, SHARE = 200, 6, 1.1, 0.25


@dataclass
class Server:
    """A server's process; `ready_after` is how many seconds passed until it first said that it is ready."""

    process: subprocess.Popen[bytes]
    port: int
    workers: int
    ready_after: float

    def warm_up(self, requests: Iterator[bytes], at_once: int = 8) -> int:
        """Send waves of requests until the rate rises no more and every worker takes part; how many were sent."""
        before, rate = self._worked(), 0.0
        for number in range(WAVES):
            wave = load.closed(self.port, [next(requests) for _ in range(WAVE)], at_once)
            assert not wave.failed, f"{wave.failed} requests failed while warming up"
            now = self._worked()
            if wave.rate < rate * GAIN and self._all_work(before, now):
                return (number + 1) * WAVE
            before, rate = now, max(rate, wave.rate)
        return WAVES * WAVE

    def memory(self) -> list[float]:
        """What every process that the server has begun takes up, in MB: pages that are shared count by their share."""
        return [child.memory_full_info().pss / 1e6 for child in self._children()]

    def _children(self) -> Sequence[psutil.Process]:
        found: Sequence[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return found

    def _worked(self) -> dict[int, float]:
        return {child.pid: sum(child.cpu_times()[:2]) for child in self._children()}

    def _all_work(self, before: dict[int, float], now: dict[int, float]) -> bool:
        grown = sorted((spent - before.get(pid, 0.0) for pid, spent in now.items()), reverse=True)[: self.workers]
        return len(grown) == self.workers and grown[-1] >= SHARE * sum(grown) / self.workers


@contextmanager
def serving(command: list[str], environment: Callable[[int], dict[str, str]], workers: int) -> Iterator[Server]:
    """A server on a free port, which its environment is made for; ready, and stopped at the end."""
    port, began = free_port(), time.monotonic()
    process = subprocess.Popen(command, env=os.environ | environment(port), stdout=subprocess.DEVNULL)
    try:
        while not load.answers_200(port, load.get("/readyz")):
            assert process.poll() is None, f"{command} has ended"
            if time.monotonic() > began + READY_WITHIN:
                raise TimeoutError(command)
            time.sleep(0.02)
        yield Server(process, port, workers, time.monotonic() - began)
    finally:
        process.terminate()
        process.wait(60)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
