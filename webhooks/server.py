"""The bot for real people: gunicorn around the application, a bot in every worker."""

from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.http.errors import ParseException

from bot import log
from bot.build import build
from bot.settings import Settings
from webhooks import create_app

# Longer than a text's send can take, so that a stop waits for what is in hand.
GRACEFUL_SECONDS = 20
# A worker that answers nothing for so long is replaced; the store gives up waiting well before. Workers of a
# master that was killed notice in half this time, while a new one tries for five seconds to have their port.
STUCK_SECONDS = 9


class Body:
    """A request's body. Where its chunks are none it fails as any stream does: gunicorn's own error knows no answer."""

    def __init__(self, body: Any) -> None:
        """Take gunicorn's."""
        self._body = body

    def read(self, size: int | None = None) -> bytes:
        """Read so many bytes, or all; OSError where they can't be."""
        try:
            read: bytes = self._body.read(size)
        except ParseException as error:
            raise OSError(type(error).__name__) from None
        return read


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """Workers that each hear, send and sweep; none is the leader."""

    def __init__(self, settings: Settings) -> None:
        """Take the settings of the service."""
        self.settings = settings
        super().__init__()

    def load_config(self) -> None:
        """Gunicorn's own settings, from ours."""
        chosen: dict[str, Any] = {
            "bind": f"{self.settings.host}:{self.settings.port}",
            "workers": self.settings.workers,
            "graceful_timeout": GRACEFUL_SECONDS,
            "timeout": STUCK_SECONDS,
            "worker_exit": _stop,
            "loglevel": "warning",
            "control_socket_disable": True,
        }
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """The application of one worker, its threads running."""
        log.set_up()
        bot = build(self.settings, processes=self.settings.workers)
        app = create_app(bot)
        app.wsgi_app = _with_body(app.wsgi_app)  # type: ignore[assignment, method-assign]
        app.extensions["bot"] = bot
        bot.start()
        return app


def _with_body(app: WSGIApplication) -> WSGIApplication:
    def call(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        return app({**environ, "wsgi.input": Body(environ["wsgi.input"])}, start)

    return call


def _stop(_server: object, worker: Any) -> None:
    app = getattr(worker.app, "callable", None)
    if app is not None:
        app.extensions["bot"].stop()
