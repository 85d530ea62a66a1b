"""The console's figures, as a page and as a file: both control points, codes, errors, what stands now."""

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
from store.tables import CloseReason
from store.views.delivery_stats import IN_TIME, LATE_TEXTS, Scope, Subject
from webhooks import html
from webhooks.console import charts, status
from webhooks.console.charts import Bar, Step
from webhooks.console.formatting import Row, Table, Teller

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
    teller, asked = Teller(html.language_asked()), read(bot, login)
    found, now = kpi.figures(bot.store, asked.first, asked.last, bot.clock(), asked.scope), bot.clock()
    answer = html.page(
        "console.html",
        teller.language,
        login=login,
        proof=proof(login.session.secret),
        asked=asked,
        shown={"first": teller.day(asked.first), "last": teller.day(asked.last)},
        fields=_fields(teller, asked),
        as_of=teller.moment(now),
        presets=[(days, _last(days, now)) for days in PRESETS],
        points=[_point(teller, found, point) for point in POINTS],
        provinces=sorted(name for name in found.points[Subject.CODE].provinces if name),
        funnel=_funnel(teller, found),
        errors=_errors(teller, found),
        others=_others(teller, found),
        standing=status.told(bot, teller, now) if login.sees_all else None,
        teller=teller,
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
    province = "".join(filter(str.isprintable, request.args.get("province", ""))).strip()[:LONGEST_PROVINCE]
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


def _fields(teller: Teller, asked: Asked) -> list[str]:
    """The days as the form shows them: as they were written where they were wrong, else in the language's calendar."""
    if asked.fault:
        return [asked.written["from"], asked.written["to"]]
    days = (asked.first, asked.last)
    return [jalali(day) if teller.language == "fa" else day.isoformat() for day in days]


def _last(days: int, now: datetime) -> dict[str, str]:
    today = today_in_tehran(now)
    return {"from": (today - timedelta(days=days - 1)).isoformat(), "to": today.isoformat()}


def _point(teller: Teller, found: Figures, point: Subject) -> dict[str, Any]:
    views, words = found.points[point], teller.words
    whole = views.whole
    title = words["points"][point.value]
    return {
        "id": point.value,
        "title": title,
        "texts": whole.texts,
        "share": teller.share(whole.share),
        "is_below": whole.is_below,
        "facts": list(_facts(teller, whole)),
        "days_chart": _days_chart(teller, point, title, views),
        "days": _days(teller, views),
        "provinces": _parts(teller, words["by_province"], words["province"], views.provinces),
        "gateways": _parts(teller, words["by_gateway"], words["gateway"], views.gateways),
        "steps": [_steps(teller, point, whole, when) for when in (IN_TIME, LATE_TEXTS) if whole.waterfall(when)],
    }


def _facts(teller: Teller, whole: Point) -> Iterator[tuple[str, str]]:
    words = teller.words["facts"]
    for percent in PERCENTILES:
        seconds = whole.percentile(percent)
        yield f"p{percent}", "–" if seconds is None else f"{teller.number(seconds)} {teller.words['second']}"
    yield words["known"], teller.number(whole.in_time + whole.missed)
    for name in ("in_time", "late", "failed", "pending", "no_receipt", "open", "withdrawn"):
        yield words[name], teller.number(getattr(whole, name))
    yield words["at_least"], teller.share(whole.share_at_least)


def _days_chart(teller: Teller, point: Subject, title: str, views: Views) -> str:
    words = teller.words
    said = charts.Words(f"days-{point.value}", f"{title}: {words['by_day']}", words["days_described"], teller.language)
    bars = [Bar(day, each.share) for day, each in views.days.items()]
    label = f"{words['target']} {teller.share(TARGET_SHARE)}"
    return charts.days(said, bars, TARGET_SHARE, label, "jalali" if teller.language == "fa" else "gregorian")


def _days(teller: Teller, views: Views) -> Table:
    days = [(teller.day(day), each) for day, each in views.days.items() if each.texts]
    return _table(teller, teller.words["by_day"], teller.words["day"], days)


def _parts(teller: Teller, title: str, head: str, parts: dict[str, Point]) -> Table:
    named = [(name or teller.words["unknown"], each) for name, each in sorted(parts.items())]
    return _table(teller, title, head, named)


def _table(teller: Teller, title: str, head: str, named: list[tuple[str, Point]]) -> Table:
    words = teller.words
    rows = [_row(teller, name, each) for name, each in named]
    percentiles = (f"p{percent} ({words['second']})" for percent in PERCENTILES)
    below = frozenset(at for at, (_, each) in enumerate(named) if each.is_below)
    return Table(title, (head, words["texts"], words["share"], *percentiles, words["no_receipt"]), rows, below)


def _row(teller: Teller, name: str, point: Point) -> Row:
    seconds = (teller.number(point.percentile(percent)) for percent in PERCENTILES)
    return (name, teller.number(point.texts), teller.share(point.share), *seconds, teller.number(point.no_receipt))


def _steps(teller: Teller, point: Subject, whole: Point, when: str) -> tuple[str, Table]:
    words = teller.words
    steps = [(words["steps"][name], seconds) for name, seconds in whole.waterfall(when)]
    title = words["waterfall"][when]
    said = charts.Words(f"steps-{point.value}-{when}", title, words["steps_described"], teller.language)
    drawn = charts.waterfall(said, [Step(*step) for step in steps], words["second"])
    rows: list[Row] = [(name, teller.number(seconds, 2)) for name, seconds in steps]
    return drawn, Table(title, (words["step"], words["second"]), rows)


def _funnel(teller: Teller, found: Figures) -> tuple[str, Table] | None:
    words, sent = teller.words, found.codes_sent
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
        Step(teller.word("fates", close_reason), found.codes[close_reason])
        for close_reason in fates
        if found.codes.get(close_reason)
    ]
    said = charts.Words("funnel", words["funnel"], words["funnel_described"], teller.language)
    rows: list[Row] = [(it.name, teller.number(it.value), teller.share(it.value / sent)) for it in steps]
    rows.append((words["locked"], teller.number(found.locked), ""))
    return charts.funnel(said, steps), Table(words["funnel"], (words["fate"], words["codes"], "%"), rows)


def _errors(teller: Teller, found: Figures) -> Table:
    ordered = sorted(found.errors.items(), key=lambda it: -it[1])
    rows: list[Row] = [
        (teller.word("errors_of", reason), gateway, teller.number(number)) for (gateway, reason), number in ordered
    ]
    words = teller.words
    return Table(words["errors"], (words["reason"], words["gateway"], words["texts"]), rows)


def _others(teller: Teller, found: Figures) -> list[tuple[str, str]]:
    # Where codes were sent, the locked accounts stand with what became of those.
    rows = [] if found.codes_sent else [(teller.words["locked"], teller.number(found.locked))]
    if found.unanswered is not None:
        rows.append((teller.words["unanswered"], teller.number(found.unanswered)))
    return rows
