"""For the operator: alive, able to serve, and the figures that Prometheus collects."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from flask import Blueprint, Response, jsonify
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from bot.audit import known_keys
from bot.build import Bot
from bot.inbound.polling import DEAD, answered
from bot.jobs import STALE
from bot.platform.version import VERSION
from bot.ports import Polled
from store import outbound_messages
from store.service import heartbeats
from webhooks.metrics import exposition

# A text that has waited this long is a control point missed.
TOO_LONG = timedelta(seconds=60)
# Prometheus's text format.
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def routes(bot: Bot) -> Blueprint:
    """/healthz, /readyz and /metrics."""
    blueprint = Blueprint("health", __name__)
    told = exposition(bot)

    @blueprint.get("/healthz")
    def alive() -> Response:
        return jsonify(alive=True)

    @blueprint.get("/readyz")
    def ready() -> tuple[Response, int]:
        wrong = _faults(bot)
        return jsonify(ready=not wrong, wrong=wrong, version=VERSION), 503 if wrong else 200

    @blueprint.get("/metrics")
    def metrics() -> Response:
        return Response(told(), content_type=METRICS_TYPE)

    return blueprint


def _faults(bot: Bot) -> list[str]:
    faults = [] if bot.courier.is_alive() else ["courier: not running"]
    try:
        with bot.store.reading() as connection:
            connection.execute(text("SELECT 1"))
            beats, oldest = heartbeats.last(connection), outbound_messages.oldest_queued(connection)
            if known_keys.fault(connection, bot.keyring):
                faults.append("keys: SECRET_KEYS are not those that the database is served with")
    except SQLAlchemyError:
        return [*faults, "database: out of reach, or not migrated"]
    now = bot.clock()
    if "heartbeat" not in beats or abs(now - beats["heartbeat"]) > STALE:  # one from the future is none
        faults.append("scheduler: no heartbeat for a minute")
    if oldest is not None and now - oldest > TOO_LONG:
        faults.append("courier: a text has waited for over a minute")
    return faults + _unanswered(bot, beats, now)


def _unanswered(bot: Bot, beats: Mapping[str, datetime], now: datetime) -> list[str]:
    """The providers that are asked for texts, and have not answered for too long."""
    asked = [each.name for each in bot.gateways.values() if isinstance(each, Polled) and each.texts_every is not None]
    last = {name: beats.get(answered(name, "texts")) for name in asked}
    return [
        f"polling: {name} has answered nothing for two minutes"
        for name, at in last.items()
        if at is None or abs(now - at) > DEAD
    ]
