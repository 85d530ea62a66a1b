"""`flask` commands in processes of their own, forked from one that has imported all that they need.

To import it takes almost two seconds of work, to fork what has imported it a fiftieth of one. What comes of it is a
process like any other, with its own arguments, environment, folder, output and signals. For scripts there are
`programs`, which a shell starts by their names. That a shell can begin one of its own is tried where that is the point:
wherever a test starts `python -m flask` itself, or a service or a script `anew`.
"""

import json
import multiprocessing
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Never

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


def run(
    *words: str, folder: Path, environment: dict[str, str], seconds: float = PATIENCE_SECONDS
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end; subprocess.TimeoutExpired where it has none in so many seconds."""
    with tempfile.TemporaryDirectory(prefix="forked") as place:
        out, err = Path(place, "out"), Path(place, "err")
        process = start(*words, folder=folder, environment=environment, out=out, err=err)
        try:
            status = process.wait(seconds)
        finally:
            process.kill()
        return subprocess.CompletedProcess(words, status, out.read_text("utf-8"), err.read_text("utf-8"))


def _be(words: tuple[str, ...], folder: Path, environment: dict[str, str], out: Path, err: Path) -> None:
    """Become a command."""
    for path, number in ((out, 1), (err, 2)):
        written = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(written, number)
        os.close(written)
    _run(["flask", *words], folder, environment)


def _run(words: list[str], folder: Path | str, environment: dict[str, str]) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    program, *sys.argv = words[0], *words
    if program == "flask":
        main()
    else:  # python -c CODE …
        _, _, code, *sys.argv[1:] = words
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})


# What a shell starts in the place of `flask` and `python`: it hands its arguments, its folder, its environment and its
# open files to the warm process, and ends as the command does.
PROGRAM = """#!/bin/sh
exec {python} -IS -c '
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as door:
    door.connect(sys.argv[1])
    socket.send_fds(door, [b"+"], [0, 1, 2])
    door.sendall(json.dumps([sys.argv[2:], os.getcwd(), dict(os.environ)]).encode())
    door.shutdown(socket.SHUT_WR)
    said = door.recv(1)
sys.exit(said[0] if said else 70)
' {door} {words} "$@"
"""


def programs(folder: Path, *, app: Path) -> None:
    """Put the programs `flask`, of this application, and `python`, which knows `-c` alone, into a folder."""
    for name, words in {"flask": ["flask", "--app", str(app)], "python": ["python"]}.items():
        script = PROGRAM.format(python=shlex.quote(sys.executable), door=shlex.quote(_door()), words=shlex.join(words))
        (folder / name).write_text(script, "utf-8")
        (folder / name).chmod(0o755)


def in_script(script: str, folder: Path) -> str:
    """What `flask deploy` has printed, with those programs in the place of this installation's own."""
    for name in ("python", "flask"):
        script, found = re.subn(rf"(?<=\b{name}=)\S+", str(folder / name), script, count=1)
        assert found, f"it names no {name}"
    return script


@cache
def _door() -> str:
    """Where a warm process waits for programs, for as long as this one runs."""
    path = Path(tempfile.mkdtemp(prefix="door")) / "s"
    lifeline.hold_all_on(path.parent, remove=True)
    door = socket.socket(socket.AF_UNIX)
    door.bind(str(path))
    door.listen()
    process = CONTEXT.Process(target=_serve, args=(door,), daemon=True)
    process.start()
    lifeline.hold(Forked(process))
    door.close()
    return str(path)


def _serve(door: socket.socket) -> Never:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait for the commands
    while True:
        caller, _ = door.accept()
        if not os.fork():
            door.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            caller.sendall(bytes([_status(caller)]))
            os._exit(0)
        caller.close()


def _status(caller: socket.socket) -> int:
    """Run what a program asks for in a process of its own, to its end; its status, as a shell has it."""
    _, files, _, _ = socket.recv_fds(caller, 1, 3)
    with caller.makefile("rb") as read:
        words, folder, environment = json.load(read)
    if not (pid := os.fork()):
        caller.close()
        _end(words, folder, environment, files)
    ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return ended if ended >= 0 else 128 - ended


def _end(words: list[str], folder: str, environment: dict[str, str], files: Sequence[int]) -> Never:
    """Be the command, and end with its status."""
    status = 1
    try:
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  # it stays open
        _run(words, folder, environment)
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
