"""A worker that comes up slowly: its master hears that it is not stuck, and does not end it for that."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

from gunicorn.config import Config
from gunicorn.glogging import Logger

from tests.support.parts import eventually
from webhooks.server import STANDSTILL_SECONDS, STUCK_SECONDS, Master, ReadingWorker, memory_folder


@contextmanager
def worker(load: Callable[["ReadingWorker"], object]) -> Iterator[ReadingWorker]:
    """One whose bot is made by a function; never run."""
    config, app = Config(), SimpleNamespace()
    made: ReadingWorker = ReadingWorker(1, os.getppid(), [], app, 5, config, Logger(config))
    app.wsgi = lambda: load(made)
    try:
        yield made
    finally:
        made.tmp.close()


def test_while_it_makes_its_bot_it_is_not_stuck() -> None:
    def slowly(made: ReadingWorker) -> str:
        for _ in range(2):
            said = made.tmp.last_update()
            assert eventually(lambda said=said: made.tmp.last_update() != said, 10)  # type: ignore[misc]
        return "the bot"

    with worker(slowly) as made:
        made.load_wsgi()
        assert made.wsgi == "the bot"


def test_once_it_is_made_nobody_speaks_for_it() -> None:
    with worker(lambda made: "the bot") as made:
        made.load_wsgi()
        said = made.tmp.last_update()
        assert not eventually(lambda: made.tmp.last_update() != said, 1.5)


def test_it_says_so_in_memory_and_waits_for_no_disk(tmp_path: Path) -> None:
    assert memory_folder(tmp_path) == str(tmp_path)
    assert memory_folder(tmp_path / "nowhere") is None


def master() -> Master:
    """One with a worker of which nothing was heard for too long; never run."""
    made = Master.__new__(Master)
    made.timeout, made.ended = STUCK_SECONDS, []
    said = SimpleNamespace(last_update=lambda: time.monotonic() - STUCK_SECONDS - 1)
    made.WORKERS = {1: SimpleNamespace(tmp=said, aborted=False)}
    made.log = SimpleNamespace(critical=lambda *_words: None)
    made.kill_worker = lambda pid, sig: made.ended.append(pid)
    return made


def test_a_worker_that_stands_still_is_ended() -> None:
    made = master()
    made._looked_at = time.monotonic() - STANDSTILL_SECONDS / 2
    made.murder_workers()
    assert made.ended == [1]


def test_a_master_that_stood_still_itself_ends_nobody_for_that() -> None:
    made = master()
    made._looked_at = time.monotonic() - STANDSTILL_SECONDS - 1
    for _ in range(3):
        made.murder_workers()
    assert made.ended == []
    made._patient_until = time.monotonic()
    made.murder_workers()
    assert made.ended == [1], "they have had their time anew"
