"""One mobile on the simulated carrier: it texts by the carrier's signed webhook, and confirms what reaches it."""

from threading import Lock
from urllib.parse import urlencode

from flask import Flask

from bot.build import Bot
from bot.gateways.simulated import HEADER, Message, Simulated
from bot.simulation.state import CarrierFault


class Phone:
    """A mobile, its number, and what has reached it."""

    def __init__(self, bot: Bot, number: str, app: Flask) -> None:
        """Take a bot that runs on the simulated gateway, and its application."""
        gateway = bot.gateways["simulated"]
        assert isinstance(gateway, Simulated)
        self.bot, self.number, self.gateway = bot, number, gateway
        self.client = app.test_client()
        self.seen = {message.id for message in gateway.screen(number)}
        self._lock = Lock()
        self.called = ""  # the last call that the carrier made for it, as HTTP writes it; its signature left out

    def text(self, words: str) -> tuple[int, str]:
        """Text the bot; the webhook's status, and the carrier's name of the text."""
        name = f"R{self.bot.parts.random_source.token()}"
        return self._call("sms", {"from": self.number, "id": name, "text": words}), name

    def screen(self) -> list[Message]:
        """All that has reached the phone, oldest first; each text is confirmed by a receipt, as the carrier will."""
        for form in self.gateway.receipts(self.number):
            self._call("receipts", form)
        return self.gateway.screen(self.number)

    def arrivals(self) -> list[Message]:
        """What has reached the phone since it was last asked."""
        with self._lock:
            new = [message for message in self.screen() if message.id not in self.seen]
            self.seen.update(message.id for message in new)
        return new

    def _call(self, what: str, form: dict[str, str]) -> int:
        path = f"/webhooks/simulated/{what}"
        url = self.bot.settings.public_url.rstrip("/") + path
        headers = {HEADER: self.gateway.sign(url, form)}
        self.called = f"POST {url}\n{HEADER}: …\nContent-Type: application/x-www-form-urlencoded\n\n{urlencode(form)}"
        statuses = [self.client.post(path, data=form, headers=headers).status_code for _ in range(self._times())]
        return statuses[0]

    def _times(self) -> int:
        return 2 if CarrierFault.DUPLICATE in self.gateway.faults() else 1
