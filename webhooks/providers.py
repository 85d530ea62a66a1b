"""Texts and receipts. Nothing is answered before its commit; replies go out by the gateways' own ways."""

from collections.abc import Callable, Mapping
from typing import cast
from urllib.parse import parse_qsl

from flask import Blueprint, Response, request
from werkzeug.datastructures import MultiDict

from bot.build import Bot
from bot.platform.log import Rarely, logger
from bot.ports import Answer, Call, Gateway, Malformed
from webhooks import database_errors
from webhooks.database_errors import DATABASE_ERRORS, RETRY_AFTER_SECONDS

LOG = logger("webhooks")

FORBIDDEN = Answer(403, "not signed, or not by the provider")
OUT_OF_REACH = Answer(503, "try again soon")


def routes(bot: Bot) -> Blueprint:
    """The routes of every gateway that is switched on; other gateways' are not there."""
    blueprint, refused = Blueprint("inbound", __name__), Rarely()
    for gateway in bot.gateways.values():
        path = f"/webhooks/{gateway.name}"
        hear, note = _hearing(bot, gateway, refused), _noting(bot, gateway, refused)
        # A provider that can send nothing but what it is told has its secret at the end of the path.
        end = "/<_secret>" if getattr(gateway, "has_secret_in_path", False) else ""
        blueprint.add_url_rule(f"{path}/sms{end}", f"{gateway.name}_sms", hear, methods=gateway.methods)
        blueprint.add_url_rule(f"{path}/receipts{end}", f"{gateway.name}_receipts", note, methods=gateway.methods)
    return blueprint


def _hearing(bot: Bot, gateway: Gateway, refused: Rarely) -> Callable[..., Response]:
    def work(call: Call) -> Answer:
        for text in gateway.read_texts(call):
            bot.hear(text)
        return gateway.heard

    return lambda **_path: _answer(bot, gateway, work, refused)


def _noting(bot: Bot, gateway: Gateway, refused: Rarely) -> Callable[..., Response]:
    def work(call: Call) -> Answer:
        for receipt in gateway.read_receipts(call):
            bot.note(receipt)
        return gateway.noted

    return lambda **_path: _answer(bot, gateway, work, refused)


def _answer(bot: Bot, gateway: Gateway, work: Callable[[Call], Answer], refused: Rarely) -> Response:
    call = _call(bot.settings.public_url)
    if not gateway.is_authentic(call):
        # A wrong PUBLIC_URL or secret would else go unnoticed. Limited, so that nobody can fill the log.
        if times := refused(gateway.name):
            LOG.warning("refused", gateway=gateway.name, times=times)
        return _response(FORBIDDEN)
    try:
        return _response(work(call))
    except Malformed as error:
        return _response(Answer(400, str(error)))
    except DATABASE_ERRORS as error:
        database_errors.log(error)
        response = _response(OUT_OF_REACH)
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response


def _call(public_url: str) -> Call:
    # The provider signs the address that it was given; the Host header is whatever a caller likes.
    url = public_url.rstrip("/") + request.path
    if request.query_string:
        url += "?" + request.query_string.decode("latin-1")
    body = request.get_data()  # first: a form that was read leaves nothing of it
    return Call(url, cast("Mapping[str, str]", request.headers), request.form, _query(), body)


def _query() -> Mapping[str, str]:
    # request.args would break on bytes that are not UTF-8.
    asked = request.query_string.decode("utf-8", "replace")
    return MultiDict(parse_qsl(asked, keep_blank_values=True))


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, content_type=answer.content_type)
