"""HTTP in, HTTP out, no rules of the dialog.

providers.py  texts and receipts, from every gateway by one pair of routes
api/          Fakher's API
console/      both control points for staff
simulator/    two phones in the browser, under the simulated carrier only
html.py       what every page for people has: words, fonts, styles, a strict policy
error_pages.py  the first page, and what people read in place of an error
database_errors.py  what is answered and logged where the database fails a call
season_report.py  the season's report, as one HTML file
printing.py   a page as PDF, by the machine's browser
health.py     alive, able to serve
metrics.py    the figures for Prometheus
terminal.py   a phone in the terminal
server.py     gunicorn around it all: a master, and a bot in each of its workers
request_reader.py  waitress in each worker: requests are read whole before they are answered
cli.py        the commands that need the web application
"""

import time
from collections.abc import Callable

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from bot.build import Bot
from bot.platform.log import logger
from store.service.counting import HTTP_BUCKETS
from webhooks import database_errors, error_pages, health, html, providers
from webhooks.api import endpoints
from webhooks.console import login
from webhooks.simulator import phone

LOG = logger("webhooks")

# A text is at most 1,600 characters; with a provider's other fields that is a few kilobytes.
LARGEST_BODY = 64 * 1024

# Why a call is refused, by the status of the answer. An address that is not there (404) is not counted.
REFUSED = {
    400: "malformed",
    401: "token",
    403: "forbidden",
    405: "method",
    410: "gone",
    413: "too_large",
    415: "media_type",
    422: "invalid",
    429: "rate",
}


def create_app(bot: Bot) -> Flask:
    """The web application around a bot."""
    app = Flask("webhooks")
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    app.url_map.merge_slashes = False  # an address has one spelling, and a proxy's rule for it none to be got past by
    app.register_blueprint(providers.routes(bot))
    app.register_blueprint(endpoints.routes(bot))
    app.register_blueprint(health.routes(bot))
    html.set_up(app)
    app.register_blueprint(error_pages.routes())
    app.register_blueprint(login.routes(bot))
    if "simulated" in bot.gateways:
        app.register_blueprint(phone.routes(bot))
    app.register_error_handler(Exception, _broken)
    app.before_request(_note_begin)
    app.after_request(_counting(bot))
    return app


def _note_begin() -> None:
    g.began = time.monotonic()


def _counting(bot: Bot) -> Callable[[Response], Response]:
    """What counts every refused call, and how long each took, by the door that it came to."""

    def count(response: Response) -> Response:
        reason = REFUSED.get(response.status_code)
        door = _door(request.path, bot)
        if door is not None:
            bot.counting.took("http_seconds", door, time.monotonic() - g.began, HTTP_BUCKETS)
        if reason is not None and door is not None:
            bot.counting.count("refused", door, reason)
        return response

    return count


def _door(path: str, bot: Bot) -> str | None:
    area, _, rest = path.strip("/").partition("/")
    if area == "webhooks":
        gateway = rest.partition("/")[0]
        return gateway if gateway in bot.gateways else None
    return area if area in {"api", "console", "phone"} else None


def _broken(error: Exception) -> HTTPException | Response:
    of_api = request.path.startswith(endpoints.AREA)
    if isinstance(error, HTTPException):
        if of_api:
            return endpoints.problem_of(error)
        return error_pages.error(error.code or 500) if error_pages.is_for_people() else error
    if isinstance(error, database_errors.DATABASE_ERRORS) and error_pages.is_for_people():
        database_errors.log(error)
        return error_pages.error(503)
    # Flask would log the error's own words, and those may quote a text.
    LOG.error("request_broken", error_seen=error)
    if of_api:
        return endpoints.broken()
    if error_pages.is_for_people():
        return error_pages.error(500)
    return Response("something is wrong here", 500, content_type="text/plain; charset=utf-8")
