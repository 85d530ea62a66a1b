"""A phone in the terminal: texts go in by the simulated carrier's signed webhook, as a provider's would."""

import sys
import time
from threading import Event as Flag
from threading import Lock, Thread

import click
from flask.testing import FlaskClient

from bot.build import Bot
from bot.gateways.simulated import HEADER, Message, Simulated
from dialogs.segments import size
from webhooks import create_app

# How long to wait for an answer that another process may be sending.
PATIENCE_SECONDS = 1.5
GLANCE_SECONDS = 0.2


class Phone:
    """One mobile, its number, and what has reached it."""

    def __init__(self, bot: Bot, number: str) -> None:
        """Take a bot that runs on the simulated gateway."""
        gateway = bot.gateways["simulated"]
        assert isinstance(gateway, Simulated)
        self.bot, self.number, self.gateway = bot, number, gateway
        self.client: FlaskClient = create_app(bot).test_client()
        self.seen = max((message.id for message in gateway.screen(number)), default=0)
        self._lock = Lock()

    def text(self, words: str) -> int:
        """Text the bot; the webhook's status."""
        return self._call("sms", {"from": self.number, "id": f"R{self.bot.dice.token()}", "text": words})

    def arrivals(self) -> list[Message]:
        """What has arrived since last asked, each confirmed by a receipt."""
        with self._lock:
            new = self.gateway.screen(self.number, self.seen)
            for message in new:
                self.seen = message.id
                self._call("receipts", {"id": message.provider_id, "status": "delivered"})
        return new

    def _call(self, what: str, form: dict[str, str]) -> int:
        path = f"/webhooks/simulated/{what}"
        url = self.bot.settings.public_url.rstrip("/") + path
        return self.client.post(path, data=form, headers={HEADER: self.gateway.sign(url, form)}).status_code


def chat(bot: Bot, number: str) -> None:
    """Text what is typed, line by line, and show every text that the number receives, until the input ends."""
    phone, closed = Phone(bot, number), Flag()
    watcher = Thread(target=_watch, args=(phone, closed), daemon=True)
    if sys.stdin.isatty():
        click.echo(f"You are {number}. Type a text and press Enter; Ctrl-D ends.")
        watcher.start()
    try:
        for line in sys.stdin:
            _exchange(phone, line.rstrip("\n"))
    except KeyboardInterrupt:
        click.echo()
    finally:
        closed.set()


def _exchange(phone: Phone, words: str) -> None:
    status = phone.text(words)
    if status != 200:
        click.echo(f"(the webhook answered {status})", err=True)
    phone.bot.courier.deliver_due()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not _show(phone) and time.monotonic() < deadline:
        time.sleep(0.05)
    _show(phone)


def _watch(phone: Phone, closed: Flag) -> None:
    while not closed.wait(GLANCE_SECONDS):
        _show(phone)


def _show(phone: Phone) -> bool:
    new = phone.arrivals()
    for message in new:
        measured = size(message.text)
        texts = "1 text" if measured.segments == 1 else f"{measured.segments} texts"
        click.echo(f"{message.text}\n  [{measured.units}/{measured.limit} {measured.encoding}, {texts}]\n")
    return bool(new)
