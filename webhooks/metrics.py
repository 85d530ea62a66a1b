"""The figures that Prometheus collects, asked of the database at every scrape: all processes tell the same.

What MEASURES.md counts as what holds here too; bot/cli/templates/rules.yml has the alarms that go by these.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from bot.build import Bot
from bot.inbound.polling import answered
from bot.platform.clock import today_in_tehran
from bot.platform.version import VERSION
from bot.sending.flood_guard import GUARDS
from bot.settings import key_ids
from store import audit, outbound_messages, webhook_events
from store.service import circuit_breakers, counters, heartbeats, seasons
from store.service.counters import Key
from store.service.counting import BEYOND, DELIVERY_BUCKETS, HTTP_BUCKETS, SUM
from store.views import text_list

WINDOW = timedelta(hours=1)
# What is counted in the store, in all processes together, and the words of its labels.
COUNTED = {
    "heard": ("Texts heard, by what they turned out to mean", ["gateway", "event"]),
    "alarm": ("Alarms of the log", ["alarm"]),
    "send_failed": ("Attempts that a gateway did not take", ["gateway", "reason"]),
    "switched": ("Texts that moved on to another gateway", ["gateway", "to"]),
    "gateway_opened": ("How often a gateway was found out of order", ["gateway"]),
    "gateway_closed": ("How often it was found well again", ["gateway"]),
    "undelivered": ("Texts that a gateway took, and that did not arrive", ["gateway", "reason"]),
    "sent_again": ("Codes that did not arrive and were sent once more", ["gateway", "to"]),
    "refused": ("Calls that were refused", ["door", "reason"]),
    "polled": ("Answers of a provider that is asked for texts or receipts", ["gateway", "what"]),
    "polled_given_up": ("Texts of its answers that could not be heard, and are not tried again", ["gateway", "reason"]),
    "poll_failed": ("Askings that it did not answer", ["gateway", "what", "reason"]),
    "receipt_unknown": ("Receipts for texts that nobody knows", ["gateway"]),
}
# A counter that begins at one has not risen, to Prometheus: these begin at nought.
NOUGHTS = {("alarm", alarm): 0 for alarm in ("account_locked", "staff_limit", "staff_locked_out", "console_closed")}
STEPS = ("code", "password")
AREAS = ("api", "console")
# The share of the disk under a folder that is free, from 0 to 1.
FreeShare = Callable[[Path], float]


def free_share(folder: Path) -> float:
    """The share of a folder's disk that is free."""
    usage = shutil.disk_usage(folder)
    return usage.free / usage.total


def exposition(bot: Bot, free: FreeShare = free_share) -> Callable[[], bytes]:
    """What writes the figures of a bot in Prometheus's text format."""
    registry = CollectorRegistry()
    registry.register(StoreCollector(bot, free))
    return lambda: generate_latest(registry)


class StoreCollector(Collector):
    """What the store says, asked afresh at every scrape, so that all processes tell the same."""

    def __init__(self, bot: Bot, free: FreeShare = free_share) -> None:
        """Take the bot whose store is asked, and what tells how full a disk is."""
        self.bot, self.free = bot, free

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing beforehand: the figures need the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All figures, where the store answers; `ramz_up` says whether it does."""
        yield InfoMetricFamily("ramz_build", "Which release this is", {"version": VERSION})
        up = GaugeMetricFamily("ramz_up", "1 where the database answers")
        try:
            with self.bot.store.reading() as connection:
                yield from self._figures(connection, self.bot.clock())
            up.add_metric([], 1)
        except SQLAlchemyError:
            up.add_metric([], 0)
        yield up

    def _figures(self, connection: Connection, now: datetime) -> list[Metric]:
        counted = NOUGHTS | counters.every(connection)
        return [
            *self._texts(connection, now),
            *self._points(connection, now),
            *self._ages(connection, now),
            *self._jobs(connection, now),
            *self._gateways(connection),
            *self._service(connection, now),
            *_counted(counted),
            _histogram("delivery", "From a text heard to the delivery of its answer", "step", STEPS, counted),
            _histogram("http", "From a whole request to its answer", "door", self._doors(), counted),
        ]

    def _doors(self) -> Sequence[str]:
        return (*AREAS, *self.bot.gateways)

    def _texts(self, connection: Connection, now: datetime) -> list[Metric]:
        texts = GaugeMetricFamily("ramz_texts", "Texts of the last hour, by how far they have come", labels=["rank"])
        for status, number in outbound_messages.count_by_status(connection, now - WINDOW).items():
            texts.add_metric([status.name.lower()], number)
        waiting = GaugeMetricFamily(
            "ramz_waiting_texts", "Texts that have not left: due, or in a process's hands", labels=["kind", "state"]
        )
        for (kind, is_due), number in outbound_messages.waiting(connection, now).items():
            waiting.add_metric([kind.name.lower(), "due" if is_due else "later"], number)
        return [texts, waiting]

    def _points(self, connection: Connection, now: datetime) -> list[Metric]:
        share = GaugeMetricFamily(
            "ramz_in_time_share", "Delivered within 60 s, of the last hour's texts whose fate is known", labels=["step"]
        )
        measured = GaugeMetricFamily("ramz_measured_texts", "How many texts that share is of", labels=["step"])
        for subject, (in_time, missed) in text_list.in_time_and_missed(connection, now - WINDOW, now).items():
            measured.add_metric([subject], in_time + missed)
            if in_time + missed:
                share.add_metric([subject], in_time / (in_time + missed))
        return [share, measured]

    def _ages(self, connection: Connection, now: datetime) -> list[Metric]:
        waiting = {
            "ramz_oldest_unsent_seconds": ("the text that waits longest", outbound_messages.oldest_queued(connection)),
            "ramz_oldest_untold_event_seconds": (
                "the event that Fakher has not taken yet",
                webhook_events.oldest_waiting(connection),
            ),
            "ramz_oldest_unsealed_row_seconds": (
                "the audit's oldest row that is not sealed",
                audit.oldest_waiting(connection),
            ),
        }
        return [
            GaugeMetricFamily(name, f"Age of {what}", value=(now - since).total_seconds() if since else 0)
            for name, (what, since) in waiting.items()
        ]

    def _jobs(self, connection: Connection, now: datetime) -> list[Metric]:
        ages = GaugeMetricFamily("ramz_job_age_seconds", "Time since a job last ran to its end", labels=["job"])
        polled = {answered(name, what): (name, what) for name in self.bot.gateways for what in ("texts", "receipts")}
        asked = GaugeMetricFamily(
            "ramz_poll_age_seconds", "Time since a provider that is asked last answered", labels=["gateway", "what"]
        )
        for job, at in heartbeats.last(connection).items():
            family, labels = (asked, polled[job]) if job in polled else (ages, [job])
            family.add_metric(list(labels), (now - at).total_seconds())
        overdue = GaugeMetricFamily(
            "ramz_job_ill_after_seconds", "The age from which on a job is overdue", labels=["job"]
        )
        for job, span in self.bot.jobs.overdue_after().items():
            overdue.add_metric([job], span.total_seconds())
        return [ages, asked, overdue]

    def _gateways(self, connection: Connection) -> list[Metric]:
        standings = circuit_breakers.every(connection)
        down = GaugeMetricFamily("ramz_gateway_down", "1 where texts pass a gateway by", labels=["gateway"])
        for name in self.bot.gateways:
            standing = standings.get(name)
            down.add_metric([name], 1 if standing and standing.opened_at else 0)
        flood = GaugeMetricFamily(
            "ramz_flood", "1 while strangers' requests wait, by what has seen it", labels=["guard"]
        )
        for guard in GUARDS:
            flood.add_metric([guard], 1 if guard in self.bot.flood_guard.flood.alarms else 0)
        return [down, flood]

    def _service(self, connection: Connection, now: datetime) -> list[Metric]:
        season, today = seasons.find(connection), today_in_tehran(now)
        is_open = season is None or season[0] <= today <= season[1]
        keys = GaugeMetricFamily("ramz_key", "1 for each key that this host knows", labels=["id", "newest"])
        for number, name in enumerate(key_ids(self.bot.settings.secret_keys)):
            keys.add_metric([name, "no" if number else "yes"], 1)
        store = self.bot.store
        folder = Path(store.url.database or "").absolute().parent if store.is_sqlite else Path.cwd()
        return [
            GaugeMetricFamily("ramz_season_open", "1 while the bot gives codes", value=float(is_open)),
            GaugeMetricFamily("ramz_time_seconds", "This host's clock", value=now.timestamp()),
            GaugeMetricFamily(
                "ramz_disk_free_share", "Free on the database's disk; else this host's", value=self.free(folder)
            ),
            keys,
        ]


def _counted(counted: Mapping[Key, int]) -> Iterator[CounterMetricFamily]:
    for name, (description, labels) in COUNTED.items():
        family = CounterMetricFamily(f"ramz_{name}", description, labels=labels)
        for (counted_name, label), number in counted.items():
            if counted_name == name:
                family.add_metric(label.split(), number)
        yield family


def _histogram(
    name: str, description: str, label: str, values: Sequence[str], counted: Mapping[Key, int]
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(f"ramz_{name}_seconds", description, labels=[label])
    bounds = [*map(str, DELIVERY_BUCKETS if name == "delivery" else HTTP_BUCKETS), BEYOND]
    for value in values:
        total, buckets = 0, []
        for bound in bounds:
            total += counted.get((f"{name}_seconds", f"{value} {bound}"), 0)
            buckets.append((bound, float(total)))
        family.add_metric([value], buckets, counted.get((f"{name}_seconds{SUM}", value), 0))
    return family
