"""What stands now: what waits, what runs, what is out of order."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from bot.build import Bot
from bot.reports import kpi
from bot.reports.kpi import TARGET_SECONDS
from store.circuit_breakers import GatewayHealth
from webhooks.console.formatting import Row, Table, Teller

TOO_LONG = timedelta(seconds=TARGET_SECONDS)


def told(bot: Bot, teller: Teller, now: datetime) -> dict[str, Any]:
    """What stands now, for headquarters."""
    standing = kpi.now_of(bot.store)
    oldest, gateways = standing.oldest_unsent, {name: standing.gateways.get(name) for name in bot.gateways}
    down = [name for name, how in gateways.items() if how is not None and how.opened_at is not None]
    late = bot.jobs.overdue(standing.heartbeats, now)
    return {
        "oldest": teller.words["none_waits"] if oldest is None else teller.age(oldest, now),
        "alarms": [
            *(teller.word("guards", guard) for guard in sorted(bot.flood_guard.flood.alarms)),
            *_waits(teller, {"waits_long": oldest, "event_waits_long": standing.oldest_untold}, now),
            *(f"{teller.words['passed_by']}: {name}" for name in down),
            *(f"{teller.words['job_late']}: {teller.word('jobs_of', job)}" for job in late),
        ],
        "jobs": _jobs(teller, standing.heartbeats, now),
        "gateways": _gateways(teller, gateways),
    }


def _waits(teller: Teller, since: dict[str, datetime | None], now: datetime) -> Iterator[str]:
    for what, at in since.items():
        if at is not None and now - at > TOO_LONG:
            yield f"{teller.words[what]}: {teller.age(at, now)}"


def _jobs(teller: Teller, beats: dict[str, datetime], now: datetime) -> Table:
    rows: list[Row] = [(teller.word("jobs_of", job), teller.age(at, now)) for job, at in sorted(beats.items())]
    return Table(teller.words["jobs"], (teller.words["job"], teller.words["ran"]), rows)


def _gateways(teller: Teller, gateways: dict[str, GatewayHealth | None]) -> Table:
    words = teller.words

    def row(name: str, how: GatewayHealth | None) -> Row:
        is_down = how is not None and how.opened_at is not None
        return name, words["passed_by" if is_down else "well"], teller.number(how.failures if how else 0)

    head = (words["gateway"], words["state"], words["failures"])
    return Table(words["gateways"], head, [row(*each) for each in gateways.items()])
