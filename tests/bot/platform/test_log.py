"""What is logged rarely, so that nobody can fill the log, and nothing that is wrong stays silent."""

import json
from io import StringIO

from flask import Flask

from bot.build import Bot
from bot.platform.log import Rarely
from webhooks import create_app


def said(printed: StringIO) -> list[tuple[str, int]]:
    lines = [json.loads(line) for line in printed.getvalue().splitlines()]
    return [(line["gateway"], line["times"]) for line in lines if line.get("event") == "refused"]


def test_it_says_at_most_once_a_minute_how_often_each_kind_happened() -> None:
    seconds = [0.0]
    refused, told = Rarely(lambda: seconds[0]), []
    for at, gateway in ((0, "twilio"), (1, "twilio"), (2, "kannel"), (59, "twilio"), (60, "twilio"), (61, "twilio")):
        seconds[0] = at
        told.append((gateway, refused(gateway)))
    assert [it for it in told if it[1]] == [("twilio", 1), ("kannel", 1), ("twilio", 3)]


def test_a_call_that_is_not_the_gateway_s_is_said(bot: Bot, printed: StringIO) -> None:
    app: Flask = create_app(bot)
    assert app.test_client().post("/webhooks/simulated/sms").status_code == 403
    assert said(printed) == [("simulated", 1)]
