"""For the operator: alive, able to serve, and the figures that Prometheus collects."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from flask import Blueprint, Response, jsonify
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from bot.audit import known_keys
from bot.build import Bot
from bot.inbound.polling import DEAD, answered
from bot.jobs import STALE
from bot.ports import Polled
from bot.sending.flood_guard import GUARDS
from bot.version import VERSION
from store import audit, outbound_messages, webhook_events
from store.service import circuit_breakers, counters, heartbeats
from store.service.circuit_breakers import GatewayHealth
from store.service.counters import Key

# A text that has waited this long is a control point missed.
TOO_LONG = timedelta(seconds=60)
WINDOW = timedelta(hours=1)
# What is counted in the store, in all processes together, and the words of its labels.
COUNTED = {
    "send_failed": ("Attempts that a gateway did not take", ["gateway", "reason"]),
    "switched": ("Texts that moved on to another gateway", ["gateway", "to"]),
    "gateway_opened": ("How often a gateway was found out of order", ["gateway"]),
    "gateway_closed": ("How often it was found well again", ["gateway"]),
    "undelivered": ("Texts that a gateway took, and that did not arrive", ["gateway", "reason"]),
    "sent_again": ("Codes that did not arrive and were sent once more", ["gateway", "to"]),
    "alarm": ("Alarms about people, as the log has them", ["alarm"]),
    "refused": ("Calls that were refused", ["door", "reason"]),
    "polled": ("Answers of a provider that is asked for texts or receipts", ["gateway", "what"]),
    "poll_failed": ("Askings that it did not answer", ["gateway", "what", "reason"]),
    "receipt_unknown": ("Receipts for texts that nobody knows", ["gateway"]),
}


def routes(bot: Bot) -> Blueprint:
    """/healthz, /readyz and /metrics."""
    blueprint = Blueprint("health", __name__)
    registry = CollectorRegistry()
    registry.register(Figures(bot))

    @blueprint.get("/healthz")
    def alive() -> Response:
        return jsonify(alive=True)

    @blueprint.get("/readyz")
    def ready() -> tuple[Response, int]:
        wrong = _faults(bot)
        return jsonify(ready=not wrong, wrong=wrong, version=VERSION), 503 if wrong else 200

    @blueprint.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

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


class Figures(Collector):
    """What the store says, asked afresh at every scrape, so that all processes tell the same."""

    def __init__(self, bot: Bot) -> None:
        """Take the bot whose store is asked."""
        self.bot = bot

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing beforehand: the figures need the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Texts of the last hour, the oldest that waits, the jobs' last runs; `ramz_up` says if the store answers."""
        yield _build_info()
        up = GaugeMetricFamily("ramz_up", "1 where the database answers")
        try:
            yield from self._figures()
            up.add_metric([], 1)
        except SQLAlchemyError:
            up.add_metric([], 0)
        yield up

    def _figures(self) -> list[Metric]:
        now = self.bot.clock()
        with self.bot.store.reading() as connection:
            statuses = outbound_messages.count_by_status(connection, now - WINDOW)
            oldest, beats = outbound_messages.oldest_queued(connection), heartbeats.last(connection)
            untold, unsealed = webhook_events.oldest_waiting(connection), audit.oldest_waiting(connection)
            counted, standings = counters.every(connection), circuit_breakers.every(connection)
        texts = GaugeMetricFamily("ramz_texts", "Texts of the last hour, by how far they have come", labels=["rank"])
        for status, number in statuses.items():
            texts.add_metric([status.name.lower()], number)
        age = GaugeMetricFamily("ramz_oldest_unsent_seconds", "Age of the text that waits longest")
        age.add_metric([], (now - oldest).total_seconds() if oldest else 0)
        events = GaugeMetricFamily("ramz_oldest_untold_event_seconds", "Age of the event that Fakher has not taken yet")
        events.add_metric([], (now - untold).total_seconds() if untold else 0)
        loose = GaugeMetricFamily(
            "ramz_oldest_unsealed_row_seconds", "Age of the audit's oldest row that is not sealed"
        )
        loose.add_metric([], (now - unsealed).total_seconds() if unsealed else 0)
        jobs = GaugeMetricFamily("ramz_job_age_seconds", "Time since a job last ran to its end", labels=["job"])
        polled = {answered(name, what): (name, what) for name in self.bot.gateways for what in ("texts", "receipts")}
        asked = GaugeMetricFamily(
            "ramz_poll_age_seconds", "Time since a provider that is asked last answered", labels=["gateway", "what"]
        )
        for job, at in beats.items():
            family, labels = (asked, polled[job]) if job in polled else (jobs, [job])
            family.add_metric(list(labels), (now - at).total_seconds())
        return [texts, age, events, loose, jobs, asked, *self._gateways(standings), self._flood(), *_counted(counted)]

    def _gateways(self, standings: Mapping[str, GatewayHealth]) -> list[GaugeMetricFamily]:
        down = GaugeMetricFamily("ramz_gateway_down", "1 where texts pass a gateway by", labels=["gateway"])
        for name in self.bot.gateways:
            standing = standings.get(name)
            down.add_metric([name], 1 if standing and standing.opened_at else 0)
        return [down]

    def _flood(self) -> GaugeMetricFamily:
        flood = GaugeMetricFamily(
            "ramz_flood", "1 while strangers' requests wait, by what has seen it", labels=["guard"]
        )
        for guard in GUARDS:
            flood.add_metric([guard], 1 if guard in self.bot.flood_guard.flood.alarms else 0)
        return flood


def _build_info() -> InfoMetricFamily:
    return InfoMetricFamily("ramz_build", "Which release this is", {"version": VERSION})


def _counted(counted: Mapping[Key, int]) -> Iterator[CounterMetricFamily]:
    for name, (description, labels) in COUNTED.items():
        family = CounterMetricFamily(f"ramz_{name}", description, labels=labels)
        for (counted_name, label), number in counted.items():
            if counted_name == name:
                family.add_metric(label.split(), number)
        yield family
