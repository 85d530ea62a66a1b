"""A phone in the terminal: texts go in by the simulated carrier's signed webhook, as a provider's would."""

import sys
import time
from threading import Event, Thread

import click

from bot.build import Bot
from dialogs.replies.segments import size
from webhooks import create_app
from webhooks.simulator.mobile import Phone

# How long to wait for an answer that another process may be sending.
ANSWER_SECONDS = 1.5
GLANCE_SECONDS = 0.2


def chat(bot: Bot, number: str) -> None:
    """Text what is typed, line by line, and show every text that the number receives, until the input ends."""
    phone, closed = Phone(bot, number, create_app(bot)), Event()
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
    status, _ = phone.text(words)
    if status != 200:
        click.echo(f"(the webhook answered {status})", err=True)
    phone.bot.courier.deliver_due()
    deadline = time.monotonic() + ANSWER_SECONDS
    while not _show(phone) and time.monotonic() < deadline:
        time.sleep(0.05)
    _show(phone)


def _watch(phone: Phone, closed: Event) -> None:
    while not closed.wait(GLANCE_SECONDS):
        _show(phone)


def _show(phone: Phone) -> bool:
    new = phone.arrivals()
    for message in new:
        measured = size(message.text)
        texts = "1 text" if measured.segments == 1 else f"{measured.segments} texts"
        click.echo(f"{message.text}\n  [{measured.units}/{measured.limit} {measured.encoding}, {texts}]\n")
    return bool(new)
