"""The present state: texts that wait, jobs, gateways that are out of order."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from bot.build import Bot
from bot.reports import kpi
from bot.reports.kpi import TARGET_SECONDS
from store.service.circuit_breakers import GatewayHealth
from webhooks.console.formatting import Formatter, Row, Table

TOO_LONG = timedelta(seconds=TARGET_SECONDS)


def told(bot: Bot, formatter: Formatter, now: datetime) -> dict[str, Any]:
    """The present state, in words, for the page of figures. Headquarters alone see it: it is of no province."""
    standing = kpi.now_of(bot.store)
    oldest, gateways = standing.oldest_unsent, {name: standing.gateways.get(name) for name in bot.gateways}
    down = [name for name, how in gateways.items() if how is not None and how.opened_at is not None]
    late = bot.jobs.overdue(standing.heartbeats, now)
    return {
        "oldest": formatter.words["none_waits"] if oldest is None else formatter.age(oldest, now),
        "alarms": [
            *(formatter.word("guards", guard) for guard in sorted(bot.flood_guard.flood.alarms)),
            *_waits(formatter, {"waits_long": oldest, "event_waits_long": standing.oldest_untold}, now),
            *(f"{formatter.words['passed_by']}: {name}" for name in down),
            *(f"{formatter.words['job_late']}: {formatter.word('jobs_of', job)}" for job in late),
        ],
        "jobs": _jobs(formatter, standing.heartbeats, now),
        "gateways": _gateways(formatter, gateways),
    }


def _waits(formatter: Formatter, since: dict[str, datetime | None], now: datetime) -> Iterator[str]:
    for what, at in since.items():
        if at is not None and now - at > TOO_LONG:
            yield f"{formatter.words[what]}: {formatter.age(at, now)}"


def _jobs(formatter: Formatter, beats: dict[str, datetime], now: datetime) -> Table:
    rows: list[Row] = [(formatter.word("jobs_of", job), formatter.age(at, now)) for job, at in sorted(beats.items())]
    return Table(formatter.words["jobs"], (formatter.words["job"], formatter.words["ran"]), rows)


def _gateways(formatter: Formatter, gateways: dict[str, GatewayHealth | None]) -> Table:
    words = formatter.words

    def row(name: str, how: GatewayHealth | None) -> Row:
        is_down = how is not None and how.opened_at is not None
        return name, words["passed_by" if is_down else "well"], formatter.number(how.failures if how else 0)

    head = (words["gateway"], words["state"], words["failures"])
    return Table(words["gateways"], head, [row(*each) for each in gateways.items()])
