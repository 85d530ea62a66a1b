"""A browser at the console, without a screen: it keeps cookies, and proves its forms."""

import re

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from bot.build import Bot
from tests.support.parts import Carrier
from webhooks import create_app

CODE = re.compile(r"(?<!\d)\d{6}(?!\d)")


class Browser:
    """Somebody's browser, with its cookies. Several may ask one application, which takes a while to be made."""

    def __init__(self, bot: Bot, carrier: Carrier, app: Flask | None = None) -> None:
        self.bot, self.carrier = bot, carrier
        self.client: FlaskClient = (app or create_app(bot)).test_client()
        self.page = self.client.get("/console?lang=en", base_url=bot.settings.public_url)

    def get(self, path: str) -> TestResponse:
        answer = self.client.get(path, base_url=self.bot.settings.public_url)
        if "proof" in answer.text:
            self.page = answer
        return answer

    def post(self, path: str, **form: str) -> TestResponse:
        found = re.search(r'name="proof" value="(\w+)"', self.page.text)
        given = {"proof": found[1] if found else "", **form}
        answer = self.client.post(f"{path}?lang=en", data=given, base_url=self.bot.settings.public_url)
        if answer.status_code < 400 and "proof" in answer.text:
            self.page = answer
        return answer

    def turn_to(self, bot: Bot) -> None:
        """Have another process answer the same browser from now on."""
        self.bot, self.client.application = bot, create_app(bot)

    def ask(self, mobile: str) -> TestResponse:
        answer = self.post("/console/code", mobile=mobile)
        self.bot.courier.deliver_due()
        return answer

    def code(self) -> str:
        found = CODE.search(self.carrier.sent[-1].text)
        assert found
        return found[0]

    def log_in(self, mobile: str) -> "Browser":
        self.ask(mobile)
        assert self.post("/console/login", mobile=mobile, code=self.code()).status_code == 303
        assert "Log out" in self.get("/console?lang=en").text
        return self
