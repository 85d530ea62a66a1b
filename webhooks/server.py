"""The bot for real people: a master that keeps some workers alive, a bot in each, and readers that no caller can stop.

Gunicorn starts, replaces and stops the workers; within each, request_reader.py reads.
"""

import errno
import gc
import os
import socket
import time
from functools import partial
from pathlib import Path
from threading import Event, Thread
from types import FrameType
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker

from bot.build import build
from bot.platform import log
from bot.settings import Settings
from webhooks import LARGEST_BODY, create_app
from webhooks.request_reader import RequestReader

# Longer than a text's send can take, so that a stop waits for what is in hand.
GRACEFUL_SECONDS = 20
# A worker of which nothing is heard for so long is replaced: it stands still. It is heard of as long as it reads, and
# has not been answering in vain for long; see RequestReader.is_moving.
STUCK_SECONDS = 9
# The master looks once a second. If it has not for so long, it stood still itself.
STANDSTILL_SECONDS = 3.0
# How long a worker may take to come up: on a machine with too much to do, the seconds above are not enough, and one
# that is ended for it would only be begun again.
BEGIN_SECONDS = 120
# At a stop: how long requests in hand are waited for, and those that are still on their way in.
ANSWER_SECONDS, UNREAD_SECONDS = 8.0, 2.0
# How soon a worker notices that its master is gone. A new one tries for five seconds to have their port.
LOOK_SECONDS = 1.0
# What the reader refuses is counted at this door: it has not been read so far that another could be told.
DOOR = "server"
# More of them fight for one interpreter, fewer wait for one slow page or one locked row.
THREADS = 4


class ReadingWorker(Worker):  # type: ignore[misc]  # gunicorn has no types
    """One process with a bot in it: one thread reads what comes in, some answer."""

    reader: RequestReader | None = None

    def load_wsgi(self) -> None:
        """Make the bot. Meanwhile the master is told that this worker is not stuck, for a time."""
        made = Event()
        notifying = Thread(target=self._notify_master, args=(made,), name="notifying", daemon=True)
        notifying.start()
        try:
            super().load_wsgi()
        finally:
            made.set()
            notifying.join()

    def _notify_master(self, made: Event) -> None:
        for _ in range(BEGIN_SECONDS):
            self.notify()
            if made.wait(1.0):
                return

    def run(self) -> None:
        """Serve until told to stop, or until the master is gone; then finish what is in hand."""
        refused = partial(self.wsgi.extensions["bot"].counting.count, "refused", DOOR)
        reader = RequestReader(self.wsgi, [each.sock for each in self.sockets], THREADS, LARGEST_BODY, refused)
        self.reader = reader
        while self.alive and os.getppid() == self.ppid:
            reader.read(LOOK_SECONDS)
            if reader.is_moving():
                self.notify()
        reader.finish(ANSWER_SECONDS, UNREAD_SECONDS)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop soon."""
        super().handle_exit(sig, frame)
        if self.reader is not None:
            self.reader.wake()


class Master(Arbiter):  # type: ignore[misc]
    """Begins workers, and ends those of which nothing is heard; unless it has heard nothing because it stood still too.

    A machine that was suspended, or had no time for anybody, wakes them in any order.
    """

    _looked_at = _patient_until = 0.0

    def murder_workers(self) -> None:
        """End workers that are stuck. After a standstill of its own it gives all of them their time anew."""
        now = time.monotonic()
        if now - self._looked_at > STANDSTILL_SECONDS:
            self._patient_until = now + STUCK_SECONDS
        self._looked_at = now
        if now >= self._patient_until:
            super().murder_workers()


class Server(BaseApplication):  # type: ignore[misc]
    """Workers that each hear, send and sweep; none is the leader."""

    def __init__(self, settings: Settings) -> None:
        """Take the settings of the service."""
        self.settings = settings
        super().__init__()

    def load_config(self) -> None:
        """Gunicorn's own settings, from ours."""
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        chosen: dict[str, Any] = {
            "bind": f"{host}:{self.settings.port}",
            "workers": self.settings.workers,
            "worker_class": ReadingWorker,
            "graceful_timeout": GRACEFUL_SECONDS,
            "timeout": STUCK_SECONDS,
            "worker_tmp_dir": memory_folder(),
            "worker_exit": _stop,
            "loglevel": "warning",
            "control_socket_disable": True,
        }
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def run(self) -> None:
        """Serve until told to stop."""
        Master(self).run()

    def load(self) -> Flask:
        """The application of one worker, its threads running."""
        log.set_up()
        bot = build(self.settings, processes=self.settings.workers)
        app = create_app(bot)
        app.extensions["bot"] = bot
        bot.start()
        # What is there now stays: the collector would walk it again and again, and keep every thread waiting.
        gc.collect()
        gc.freeze()
        return app


def memory_folder(path: Path = Path("/dev/shm")) -> str | None:  # noqa: S108
    """Where a worker says that it is not stuck: in memory, or None where no such folder may be written to.

    On a disk it may have to wait for what others write there, for seconds, and is ended for that.
    """
    return str(path) if path.is_dir() and os.access(path, os.W_OK) else None


def _stop(_server: object, worker: Any) -> None:
    app = getattr(worker.app, "callable", None)
    if app is not None:
        app.extensions["bot"].stop()


def fault_of_address(host: str, port: int) -> str | None:
    """Why nothing can ever listen there, as a line that names the setting. A port in use may soon be free: no fault."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except PermissionError:
        return f"PORT: {port} may not be listened on by this user"
    except (OSError, UnicodeError) as error:
        in_use = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        return None if in_use else f"HOST: {host} is not an address of this machine"
    return None
