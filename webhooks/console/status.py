"""Whether anything is wrong now, in words: texts that wait, jobs, gateways that are out of order, floods, the audit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.build import Bot
from bot.reports import kpi
from bot.reports.kpi import TARGET_SECONDS, Now
from webhooks.console.formatting import Formatter

TOO_LONG = timedelta(seconds=TARGET_SECONDS)


@dataclass(frozen=True)
class Status:
    """The present state: what is wrong, in words, and the other figures of its health, each as name and value."""

    alarms: Sequence[str]
    facts: Sequence[tuple[str, str]]


def read(bot: Bot, formatter: Formatter, now: datetime) -> Status:
    """The present state of the whole service: it is of no province."""
    standing = kpi.now_of(bot.store)
    return Status(list(_alarms(bot, formatter, standing, now)), list(_facts(bot, formatter, standing, now)))


def _alarms(bot: Bot, formatter: Formatter, standing: Now, now: datetime) -> Iterator[str]:
    words = formatter.words
    for guard in sorted(bot.flood_guard.flood.alarms):
        yield formatter.word("guards", guard)
    for name in _down(bot, standing):
        yield f"{words['passed_by']}: {name}"
    since = {
        "waits_long": standing.oldest_unsent,
        "event_waits_long": standing.oldest_untold,
        "unsealed": standing.oldest_unsealed,
    }
    for what, at in since.items():
        if at is not None and now - at > TOO_LONG:
            yield f"{words[what]}: {formatter.age(at, now)}"
    for job in bot.jobs.overdue(standing.heartbeats, now):
        yield f"{words['job_late']}: {formatter.word('jobs_of', job)}"


def _facts(bot: Bot, formatter: Formatter, standing: Now, now: datetime) -> Iterator[tuple[str, str]]:
    words, oldest = formatter.words, standing.oldest_unsent
    yield words["oldest"], words["none_waits"] if oldest is None else formatter.age(oldest, now)
    down = _down(bot, standing)
    gateways = (f"{name} {words['passed_by_short' if name in down else 'well']}" for name in bot.gateways)
    yield words["gateways"], f"{words['comma']} ".join(gateways)
    late, jobs = bot.jobs.overdue(standing.heartbeats, now), formatter.number(len(standing.heartbeats))
    yield (
        words["jobs"],
        words["jobs_late" if late else "jobs_well"].format(formatter.number(len(late)) if late else jobs),
    )


def _down(bot: Bot, standing: Now) -> list[str]:
    health = {name: standing.gateways.get(name) for name in bot.gateways}
    return [name for name, how in health.items() if how is not None and how.opened_at is not None]
