"""The console's figures, as a page and as a file: both control points, codes, errors, the present state."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from flask import Response, request

from bot.build import Bot
from bot.clock import jalali, read_day, today_in_tehran
from bot.console_login import Login, proof
from bot.csv_export import sheet
from bot.reports import kpi, kpi_report
from bot.reports.date_range import BadPeriod, period
from bot.reports.kpi import PERCENTILES, POINTS, TARGET_SHARE, Figures, Point, Views
from dialogs.parsing.normalise import place_name
from store.tables import CloseReason
from store.views.delivery_stats import IN_TIME, LATE_TEXTS, Scope, Subject
from webhooks import html
from webhooks.console import charts, status
from webhooks.console.charts import Bar, Step
from webhooks.console.formatting import Formatter, Row, Table

PRESETS = (1, 7, 30)
LONGEST_PROVINCE = 60


@dataclass(frozen=True)
class Asked:
    """What was asked for: days, province, and what was wrong with it."""

    first: date
    last: date
    scope: Scope
    fault: str = ""
    written: Mapping[str, str] = field(default_factory=dict)

    @property
    def address(self) -> dict[str, str]:
        """What an address says to ask the same again."""
        found = {"from": self.first.isoformat(), "to": self.last.isoformat()}
        return found | ({"province": self.scope.province} if self.scope.province else {})


def show(bot: Bot, login: Login) -> Response:
    """The page of figures."""
    formatter, asked = Formatter(html.language_asked()), read(bot, login)
    found, now = kpi.figures(bot.store, asked.first, asked.last, bot.clock(), asked.scope), bot.clock()
    answer = html.page(
        "console.html",
        formatter.language,
        login=login,
        proof=proof(login.session.secret),
        asked=asked,
        shown={"first": formatter.day(asked.first), "last": formatter.day(asked.last)},
        fields=_fields(formatter, asked),
        as_of=formatter.moment(now),
        presets=[(days, _last(days, now)) for days in PRESETS],
        points=[_point(formatter, found, point) for point in POINTS],
        provinces=sorted(name for name in found.points[Subject.CODE].provinces if name),
        funnel=_funnel(formatter, found),
        errors=_errors(formatter, found),
        others=_others(formatter, found),
        standing=status.told(bot, formatter, now) if login.sees_all else None,
        formatter=formatter,
    )
    answer.status_code = 400 if asked.fault else 200
    return answer


def csv(bot: Bot, login: Login) -> Response:
    """The same figures as a file, as `flask kpi --csv` writes it."""
    asked = read(bot, login)
    if asked.fault:
        return show(bot, login)
    found = kpi.figures(bot.store, asked.first, asked.last, bot.clock(), asked.scope)
    answer = Response(sheet(kpi_report.rows(found)).encode(), content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="ramz-{asked.first}-{asked.last}.csv"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


def read(bot: Bot, login: Login) -> Asked:
    """What an address asks for, within the scope of whoever asks."""
    written = {name: request.args.get(name, "").strip() for name in ("from", "to")}
    province = place_name(request.args.get("province", "")[:LONGEST_PROVINCE])
    # A province can be chosen by headquarters only; nobody leaves their scope by an address.
    scope = Scope(province=province) if province and login.sees_all else login.scope
    today = today_in_tehran(bot.clock())
    end = "from"
    try:
        first = read_day(written["from"]) if written["from"] else None
        end = "to"
        last = read_day(written["to"]) if written["to"] else None
        return Asked(*period(bot.store, first, last, today), scope, written=written)
    except BadPeriod as bad:
        fault = "bad_order" if bad.end == "to" else "too_long"
    except ValueError:
        fault = f"bad_{end}"
    return Asked(*period(bot.store, today, today, today), scope, fault, written)


def _fields(formatter: Formatter, asked: Asked) -> list[str]:
    """The days as the form shows them: as they were written where they were wrong, else in the language's calendar."""
    if asked.fault:
        return [asked.written["from"], asked.written["to"]]
    days = (asked.first, asked.last)
    return [jalali(day) if formatter.language == "fa" else day.isoformat() for day in days]


def _last(days: int, now: datetime) -> dict[str, str]:
    today = today_in_tehran(now)
    return {"from": (today - timedelta(days=days - 1)).isoformat(), "to": today.isoformat()}


def _point(formatter: Formatter, found: Figures, point: Subject) -> dict[str, Any]:
    views, words = found.points[point], formatter.words
    whole = views.whole
    title = words["points"][point.value]
    return {
        "id": point.value,
        "title": title,
        "texts": whole.texts,
        "share": formatter.share(whole.share),
        "is_below": whole.is_below,
        "facts": list(_facts(formatter, whole)),
        "days_chart": _days_chart(formatter, point, title, views),
        "days": _days(formatter, views),
        "provinces": _parts(formatter, words["by_province"], words["province"], views.provinces),
        "gateways": _parts(formatter, words["by_gateway"], words["gateway"], views.gateways),
        "steps": [_steps(formatter, point, whole, when) for when in (IN_TIME, LATE_TEXTS) if whole.waterfall(when)],
    }


def _facts(formatter: Formatter, whole: Point) -> Iterator[tuple[str, str]]:
    words = formatter.words["facts"]
    for percent in PERCENTILES:
        seconds = whole.percentile(percent)
        yield f"p{percent}", "–" if seconds is None else f"{formatter.number(seconds)} {formatter.words['second']}"
    yield words["known"], formatter.number(whole.in_time + whole.missed)
    for name in ("in_time", "late", "failed", "pending", "no_receipt", "open", "withdrawn"):
        yield words[name], formatter.number(getattr(whole, name))
    yield words["at_least"], formatter.share(whole.share_at_least)


def _days_chart(formatter: Formatter, point: Subject, title: str, views: Views) -> str:
    words = formatter.words
    said = charts.Words(
        f"days-{point.value}", f"{title}: {words['by_day']}", words["days_described"], formatter.language
    )
    bars = [Bar(day, each.share) for day, each in views.days.items()]
    label = f"{words['target']} {formatter.share(TARGET_SHARE)}"
    return charts.days(said, bars, TARGET_SHARE, label, "jalali" if formatter.language == "fa" else "gregorian")


def _days(formatter: Formatter, views: Views) -> Table:
    days = [(formatter.day(day), each) for day, each in views.days.items() if each.texts]
    return _table(formatter, formatter.words["by_day"], formatter.words["day"], days)


def _parts(formatter: Formatter, title: str, head: str, parts: dict[str, Point]) -> Table:
    named = [(name or formatter.words["unknown"], each) for name, each in sorted(parts.items())]
    return _table(formatter, title, head, named)


def _table(formatter: Formatter, title: str, head: str, named: list[tuple[str, Point]]) -> Table:
    words = formatter.words
    rows = [_row(formatter, name, each) for name, each in named]
    percentiles = (f"p{percent} ({words['second']})" for percent in PERCENTILES)
    below = frozenset(at for at, (_, each) in enumerate(named) if each.is_below)
    return Table(title, (head, words["texts"], words["share"], *percentiles, words["no_receipt"]), rows, below)


def _row(formatter: Formatter, name: str, point: Point) -> Row:
    seconds = (formatter.number(point.percentile(percent)) for percent in PERCENTILES)
    return (
        name,
        formatter.number(point.texts),
        formatter.share(point.share),
        *seconds,
        formatter.number(point.no_receipt),
    )


def _steps(formatter: Formatter, point: Subject, whole: Point, when: str) -> tuple[str, Table]:
    words = formatter.words
    steps = [(words["steps"][name], seconds) for name, seconds in whole.waterfall(when)]
    title = words["waterfall"][when]
    said = charts.Words(f"steps-{point.value}-{when}", title, words["steps_described"], formatter.language)
    drawn = charts.waterfall(said, [Step(*step) for step in steps], words["second"])
    rows: list[Row] = [(name, formatter.number(seconds, 2)) for name, seconds in steps]
    return drawn, Table(title, (words["step"], words["second"]), rows)


def _funnel(formatter: Formatter, found: Figures) -> tuple[str, Table] | None:
    words, sent = formatter.words, found.codes_sent
    if not sent:
        return None
    fates = [
        CloseReason.USED,
        CloseReason.EXPIRED,
        CloseReason.BURNED,
        CloseReason.VOIDED,
        CloseReason.CANCELLED,
        "live",
    ]
    steps = [Step(words["fates"]["sent"], sent)]
    steps += [
        Step(formatter.word("fates", close_reason), found.codes[close_reason])
        for close_reason in fates
        if found.codes.get(close_reason)
    ]
    said = charts.Words("funnel", words["funnel"], words["funnel_described"], formatter.language)
    rows: list[Row] = [(it.name, formatter.number(it.value), formatter.share(it.value / sent)) for it in steps]
    rows.append((words["locked"], formatter.number(found.locked), ""))
    return charts.funnel(said, steps), Table(words["funnel"], (words["fate"], words["codes"], "%"), rows)


def _errors(formatter: Formatter, found: Figures) -> Table:
    ordered = sorted(found.errors.items(), key=lambda it: -it[1])
    rows: list[Row] = [
        (formatter.word("errors_of", reason), gateway, formatter.number(number))
        for (gateway, reason), number in ordered
    ]
    words = formatter.words
    return Table(words["errors"], (words["reason"], words["gateway"], words["texts"]), rows)


def _others(formatter: Formatter, found: Figures) -> list[tuple[str, str]]:
    # Where codes were sent, the locked accounts stand with what became of those.
    rows = [] if found.codes_sent else [(formatter.words["locked"], formatter.number(found.locked))]
    if found.unanswered is not None:
        rows.append((formatter.words["unanswered"], formatter.number(found.unanswered)))
    return rows
