"""`flask` commands in processes of their own, forked from one that has imported all that they need.

To import it takes almost two seconds of work, to fork what has imported it a fiftieth of one. What comes of it is a
process like any other, with its own arguments, environment, folder, output and signals. That a shell can begin one is
tried where that is the point: wherever a test starts `python -m flask` itself, or a service `anew`.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from flask.cli import main

from tests.support import lifeline
from tests.support.parts import PATIENCE_SECONDS

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["wsgi", "webhooks.server", __name__])


class Forked:
    """A running command: of what subprocess.Popen shows, what tests ask for."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float = PATIENCE_SECONDS) -> int:
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("flask", timeout)
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(*words: str, folder: Path, environment: dict[str, str], out: Path, err: Path) -> Forked:
    """Start a command that writes to the end of two files, which may be the same."""
    process = CONTEXT.Process(target=_be, args=(words, folder, environment, out, err), daemon=True)
    process.start()
    return lifeline.hold(Forked(process))


def run(*words: str, folder: Path, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    with tempfile.TemporaryDirectory(prefix="forked") as place:
        out, err = Path(place, "out"), Path(place, "err")
        process = start(*words, folder=folder, environment=environment, out=out, err=err)
        try:
            status = process.wait()
        finally:
            process.kill()
        return subprocess.CompletedProcess(words, status, out.read_text("utf-8"), err.read_text("utf-8"))


def _be(words: tuple[str, ...], folder: Path, environment: dict[str, str], out: Path, err: Path) -> None:
    """Become a command."""
    for path, number in ((out, 1), (err, 2)):
        written = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(written, number)
        os.close(written)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["flask", *words]
    main()
