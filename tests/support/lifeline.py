"""Servers end with the run that began them, however it ends: by itself, by Ctrl-C, by a time limit, by kill -9.

A small process stands beside every process of the run, at the other end of a pipe. When the pipe closes, which no way
of dying prevents, it ends what it was told of and is still there.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import psutil  # type: ignore[import-untyped]

from tests.support.places import ROOT

assert __spec__ is not None
MODULE = __spec__.name  # its name, also where it runs as a program
# Seconds that a server has to end by itself, before it is killed.
GRACE = 1
Fact = dict[str, Any]


class Started(Protocol):
    """A process, whoever has started it."""

    @property
    def pid(self) -> int:
        """Its number."""


P = TypeVar("P", bound=Started)


@cache
def _pipe() -> int:
    reading, writing = os.pipe()
    # In a session of its own, so that a Ctrl-C in the terminal does not end it with the run.
    _watchman(reading).returncode = 0  # it outlives this process, and is not waited for
    os.close(reading)
    return writing


def _watchman(told: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", MODULE],
        cwd=ROOT,
        stdin=told,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _tell(**fact: object) -> None:
    os.write(_pipe(), json.dumps(fact).encode() + b"\n")


def hold(process: P) -> P:
    """A process that is to end with this one, with all that it has started."""
    with suppress(psutil.NoSuchProcess):
        _tell(pid=process.pid, born=psutil.Process(process.pid).create_time())
    return process


def hold_all_on(folder: Path | str, *, remove: bool = False) -> None:
    """Every process whose command line names a folder is to end with this one, and the folder to go, if need be."""
    _tell(folder=str(folder), remove=remove)


def main(told: Iterable[str]) -> None:
    """Listen until the pipe closes, then end what is left."""
    facts = [json.loads(line) for line in told]
    met: set[psutil.Process] = set()
    for end in (psutil.Process.terminate, psutil.Process.kill):
        _end(facts, met, end)
    for fact in facts:
        if fact.get("remove"):
            shutil.rmtree(fact["folder"], ignore_errors=True)


def _end(facts: list[Fact], met: set[psutil.Process], end: Callable[[psutil.Process], None]) -> None:
    deadline, told = time.monotonic() + GRACE, set[psutil.Process]()
    while time.monotonic() < deadline:
        # Whoever has lost its parent is not found as its child any more.
        met |= set(_named(facts))
        left = {process for process in met if _lives(process)}
        if not left:
            return
        for process in left - told:
            with suppress(psutil.NoSuchProcess):
                end(process)
        told |= left
        time.sleep(0.05)


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _named(facts: list[Fact]) -> Iterator[psutil.Process]:
    known = {(fact["pid"], fact["born"]) for fact in facts if "pid" in fact}
    folders = [str(fact["folder"]) for fact in facts if "folder" in fact]
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            words = " ".join(process.cmdline())
            if (process.pid, process.create_time()) in known or any(folder in words for folder in folders):
                yield from (it for it in [process, *process.children(recursive=True)] if not _is_another(it))


def _is_another(process: psutil.Process) -> bool:
    """Whether a process is such a watchman itself, of a run within this one: it ends when it has done its work."""
    return MODULE in process.cmdline()


if __name__ == "__main__":
    main(sys.stdin)
