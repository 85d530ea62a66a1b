"""A worker that comes up slowly: its master hears that it is not stuck, and does not end it for that."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

from gunicorn.config import Config
from gunicorn.glogging import Logger

from tests.support.parts import eventually
from webhooks.server import ReadingWorker


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
