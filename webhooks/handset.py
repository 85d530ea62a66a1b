"""One mobile on the simulated carrier: it texts by the carrier's signed webhook, and confirms what reaches it."""

from threading import Lock

from flask import Flask

from bot.build import Bot
from bot.gateways.simulated import HEADER, Message, Simulated


class Phone:
    """A mobile, its number, and what has reached it."""

    def __init__(self, bot: Bot, number: str, app: Flask) -> None:
        """Take a bot that runs on the simulated gateway, and its application."""
        gateway = bot.gateways["simulated"]
        assert isinstance(gateway, Simulated)
        self.bot, self.number, self.gateway = bot, number, gateway
        self.client = app.test_client()
        self.seen = max((message.id for message in gateway.screen(number)), default=0)
        self._lock = Lock()

    def text(self, words: str) -> int:
        """Text the bot; the webhook's status."""
        return self._call("sms", {"from": self.number, "id": f"R{self.bot.dice.token()}", "text": words})

    def screen(self) -> list[Message]:
        """All that has reached the phone, oldest first; each text is confirmed by a receipt."""
        shown = self.gateway.screen(self.number)
        for message in shown:
            self._confirm(message)
        return shown

    def arrivals(self) -> list[Message]:
        """What has reached the phone since it was last asked."""
        with self._lock:
            new = self.gateway.screen(self.number, self.seen)
            for message in new:
                self.seen = message.id
                self._confirm(message)
        return new

    def _confirm(self, message: Message) -> None:
        self._call("receipts", {"id": message.provider_id, "status": "delivered"})

    def _call(self, what: str, form: dict[str, str]) -> int:
        path = f"/webhooks/simulated/{what}"
        url = self.bot.settings.public_url.rstrip("/") + path
        return self.client.post(path, data=form, headers={HEADER: self.gateway.sign(url, form)}).status_code
