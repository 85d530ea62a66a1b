"""A phone in the browser, under the simulated carrier only: texts go in by its signed webhook, as in production."""

from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, redirect, render_template, request
from werkzeug.wrappers import Response as Answer

from bot.build import Bot
from bot.demo import PEOPLE
from dialogs.segments import size
from webhooks.handset import Phone

POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"


def routes(bot: Bot) -> Blueprint:
    """/phone, to look at and to text from."""
    blueprint = Blueprint("phone", __name__)

    @blueprint.get("/phone")
    def show() -> Response:
        number = bot.phones.mobile(request.args.get("from", PEOPLE[0].mobile))
        shown = Phone(bot, number, current_app).screen() if number else []
        texts = [(message, size(message.text)) for message in reversed(shown)]
        response = Response(render_template("phone.html", number=number, texts=texts, people=PEOPLE))
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["Cache-Control"] = "no-store"
        return response

    @blueprint.post("/phone")
    def text() -> Answer:
        number = bot.phones.mobile(request.form.get("from", ""))
        if number is not None:
            Phone(bot, number, current_app).text(request.form.get("text", ""))
        return redirect(f"/phone?{urlencode({'from': number or '?'})}", 303)

    return blueprint
