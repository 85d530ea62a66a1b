"""The console's first screen: is it working, is it within the minute, where is it worst.

It asks for itself anew every few seconds, by a script of ours; without the script it is a page like any other.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from flask import Response

from bot.accounts.console_login import Login, proof
from bot.build import Bot
from bot.reports import kpi
from bot.reports.date_range import USUAL_DAYS
from bot.reports.kpi import POINTS, PastDays, Point, Today
from store.service import seasons
from store.views.delivery_stats import Subject
from store.views.text_list import Fate
from webhooks import html
from webhooks.console import charts, status
from webhooks.console.charts import Hour
from webhooks.console.formatting import Formatter

WORST = 3
# Fewer texts say little of a place, unless no place has more.
ENOUGH = 5
HOUR_MARKS = (0, 6, 12, 18, 24)
REFRESH_SECONDS = 20


@dataclass(frozen=True)
class Place:
    """A province or a gateway, and how it does today at both control points together."""

    name: str
    share: str
    is_below: bool
    href: str


class Overview:
    """The first screen. What days that are over came to is kept in memory."""

    def __init__(self, bot: Bot) -> None:
        """Take the bot whose figures are shown."""
        self.bot, self.past = bot, PastDays(bot.store)

    def show(self, bot: Bot, login: Login) -> Response:
        """The page."""
        formatter, now = Formatter(html.language_asked()), bot.clock()
        today = kpi.today_of(bot.store, now, login.scope)
        first, season = self._season(today, login, now)
        found = today.figures.points
        provinces = _worst(formatter, {it: found[it].provinces for it in POINTS}, "province", today.figures.first)
        gateways = _worst(formatter, {it: found[it].gateways for it in POINTS}, "gateway", today.figures.first)
        places = [("province", provinces)] if login.sees_all else []
        places.append(("gateway", gateways))
        standing = status.read(bot, formatter, now)
        return html.page(
            "console.html",
            formatter.language,
            login=login,
            proof=proof(login.session.secret),
            standing=standing if login.sees_all else None,
            works=_works(formatter, standing.alarms),
            minute=_minute(formatter, [found[point].whole for point in POINTS]),
            worst=_worst_of_all(formatter, provinces if login.sees_all else [], gateways),
            points=[_point(formatter, point, found[point].whole, season[point]) for point in POINTS],
            since=first,
            places=places,
            hours=_hours(formatter, today),
            requests=formatter.number(sum(hour.texts for hour in today.hours)),
            hour_marks=[formatter.digits(hour) for hour in HOUR_MARKS],
            most=formatter.number(max(hour.texts for hour in today.hours)),
            today=formatter.day(today.figures.first),
            as_of=formatter.clock(now),
            refresh=REFRESH_SECONDS,
            formatter=formatter,
        )

    def _season(self, today: Today, login: Login, now: datetime) -> tuple[str, dict[Subject, Point]]:
        """What the longer time is called, and both control points over it, today with it."""
        day = today.figures.first
        with self.bot.store.reading() as connection:
            season = seasons.find(connection)
        is_on = season is not None and season[0] <= day <= season[1]
        first = season[0] if season and is_on else day - timedelta(days=USUAL_DAYS - 1)
        past: Mapping[Subject, Point] = {point: Point() for point in POINTS}
        if first < day:
            past = self.past.points(first, day - timedelta(days=1), now, login.scope)
        whole = {it: Point(past[it].counts + today.figures.points[it].whole.counts) for it in POINTS}
        return "season" if is_on else "month", whole


def _works(formatter: Formatter, alarms: Sequence[str]) -> tuple[str, bool]:
    words = formatter.words
    if not alarms:
        return words["works_yes"], True
    return words["works_no_1" if len(alarms) == 1 else "works_no"].format(formatter.number(len(alarms))), False


def _minute(formatter: Formatter, points: Sequence[Point]) -> tuple[str, bool | None]:
    """Whether both control points are within the minute today, by the worse of them; None where nothing is known."""
    shares = [point.share for point in points if point.share is not None]
    if not shares:
        return formatter.words["minute_none"], None
    is_below = any(point.is_below for point in points)
    return formatter.words["minute_no" if is_below else "minute_yes"].format(formatter.share(min(shares))), not is_below


def _worst_of_all(formatter: Formatter, *kinds: Sequence[Place]) -> tuple[str, bool | None]:
    """Where it is worst today, if anywhere falls short: the province before the gateway."""
    for places in kinds:
        if places and places[0].is_below:
            return f"{places[0].name}{formatter.words['comma']} {places[0].share}", False
    return (formatter.words["worst_none"], True) if any(kinds) else (formatter.words["minute_none"], None)


def _worst(formatter: Formatter, parts: Mapping[Subject, Mapping[str, Point]], kind: str, day: date) -> list[Place]:
    """The places that do worst today, the worst first."""
    counts: dict[str, Counter[str]] = {}
    for named in parts.values():
        for name, point in named.items():
            counts.setdefault(name, Counter()).update(point.counts)
    known = {name: point for name, found in counts.items() if (point := Point(found)).share is not None}
    enough = {name: it for name, it in known.items() if it.in_time + it.missed >= ENOUGH} or known
    ordered = sorted(enough.items(), key=lambda it: (it[1].share or 0, it[0]))
    return [_place(formatter, name, point, kind, day) for name, point in ordered[:WORST]]


def _place(formatter: Formatter, name: str, point: Point, kind: str, day: date) -> Place:
    words = {"from": day.isoformat(), "to": day.isoformat()}
    if kind == "province":
        href = html.address("console.days" if name else "console.provinces", formatter.language, **words, province=name)
    else:
        href = html.address("console.texts", formatter.language, **words, gateway=name, fate=Fate.MISSED)
    return Place(name or formatter.words["unknown"], formatter.share(point.share), point.is_below, href)


def _point(formatter: Formatter, point: Subject, today: Point, season: Point) -> dict[str, Any]:
    within = today.percentile(95)
    return {
        "title": formatter.words["points_short"][point.value],
        "shares": [(formatter.share(it.share), it.is_below) for it in (today, season)],
        "within": formatter.seconds(within),
    }


def _hours(formatter: Formatter, today: Today) -> str:
    words = formatter.words
    said = charts.Words("hours", words["requests_today"], words["hours_described"], formatter.language)
    bars = [Hour(formatter.digits(f"{at}–{at + 1}"), it.texts, it.is_below) for at, it in enumerate(today.hours)]
    return charts.hours(said, bars)
