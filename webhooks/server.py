"""The bot for real people: gunicorn around the application, a bot in every worker."""

from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from bot import log
from bot.build import build
from bot.settings import Settings
from webhooks import create_app

# Longer than a text's send can take, so that a stop waits for what is in hand.
GRACEFUL_SECONDS = 20
# A worker that answers nothing for so long is replaced; the store gives up waiting well before. Workers of a
# master that was killed notice in half this time, while a new one tries for five seconds to have their port.
STUCK_SECONDS = 9


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
        app.extensions["bot"] = bot
        bot.start()
        return app


def _stop(_server: object, worker: Any) -> None:
    app = getattr(worker.app, "callable", None)
    if app is not None:
        app.extensions["bot"].stop()
