"""One service: `flask serve` with its master and workers, started, ended, killed, frozen."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psutil  # type: ignore[import-untyped]
import requests

from tests.support import forked, lifeline
from tests.support.forked import Forked
from tests.support.places import ROOT

# On a machine that has a lot else to do; nothing waits for so long where it has not.
READY_SECONDS, END_SECONDS = 300.0, 120.0
PRELOADED = "LD_PRELOAD"
KEPT = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH")


class NotReady(Exception):
    """A service did not come up, or did not end, in time."""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def environment(settings: dict[str, str]) -> dict[str, str]:
    """Settings, and nothing of this process's own but what Python needs."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {**kept, "NO_PROXY": "*", "PYTHONDONTWRITEBYTECODE": "1", **settings}


def until(holds: Callable[[], bool], seconds: float, why: str) -> None:
    """Wait until something holds; NotReady, with the reason, where it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise NotReady(why)
        time.sleep(0.05)


def _anew(environment: dict[str, str], log: Path) -> "subprocess.Popen[bytes]":
    """A service for which the loader has something to do."""
    command = [sys.executable, "-m", "flask", "serve"]
    with log.open("ab") as out:
        return lifeline.hold(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT))


@dataclass
class Host:
    """A service of a world. `settings` may change between an end and a start."""

    name: str
    settings: dict[str, str] = field(repr=False)
    folder: Path
    port: int = field(default_factory=free_port)
    process: "Forked | subprocess.Popen[bytes] | None" = None
    orphans: list[int] = field(default_factory=list)  # workers whose master was killed
    statuses: list[int] = field(default_factory=list)  # with which it ended when it was asked to

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def printed(self) -> str:
        """All that its processes have written."""
        return (self.folder / f"{self.name}.log").read_text("utf-8", "replace")

    def start(self) -> None:
        """Begin, and wait until it says that it is ready."""
        whole = environment({**self.settings, "PORT": str(self.port)})
        log = self.folder / f"{self.name}.log"
        self.process = (
            _anew(whole, log)
            if PRELOADED in whole
            else forked.start("serve", folder=ROOT, environment=whole, out=log, err=log)
        )
        until(self._is_up, READY_SECONDS, f"{self.name} is not ready")

    def _is_up(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise NotReady(f"{self.name} ended with {self.process.returncode} as it was started")
        # An orphan answers at the same port until it finds that its master is gone.
        return not any(map(psutil.pid_exists, self.orphans)) and self.is_ready()

    def is_ready(self) -> bool:
        """Whether it says so."""
        with suppress(requests.RequestException):
            return requests.get(f"{self.address}/readyz", timeout=5, proxies={"http": ""}).status_code == 200
        return False

    def workers(self) -> list[int]:
        """Its workers' ids."""
        if self.process is None:
            return []
        with suppress(psutil.NoSuchProcess):
            return [child.pid for child in psutil.Process(self.process.pid).children()]
        return []

    def everyone(self) -> list[int]:
        """Its master's id and its workers'."""
        return [self.process.pid, *self.workers()] if self.process else []

    def stop(self) -> None:
        """End it as an operator does."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.statuses.append(self.process.wait(END_SECONDS))
        except subprocess.TimeoutExpired:
            self.kill()
            raise NotReady(f"{self.name} did not end at SIGTERM") from None

    def restart(self, **changes: str) -> None:
        """End it, and begin anew with other settings."""
        self.stop()
        self.settings |= changes
        self.start()

    def kill(self) -> None:
        """End master and workers at once, as a power cut does."""
        pids = self.everyone()
        for pid in pids:
            send(pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait(END_SECONDS)
        until(lambda: not any(map(psutil.pid_exists, pids)), END_SECONDS, f"{self.name} does not die")

    def kill_master(self) -> None:
        """End the master alone."""
        assert self.process is not None
        self.orphans = self.workers()
        send(self.process.pid, signal.SIGKILL)
        self.process.wait(END_SECONDS)

    def one(self, rng: Random) -> int | None:
        """One of its workers; None while there is none."""
        found = self.workers()
        return rng.choice(found) if found else None


def send(pid: int, what: signal.Signals) -> None:
    """Send a signal to a process that may be gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, what)
