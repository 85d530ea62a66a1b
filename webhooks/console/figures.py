"""The console's figures over days: by day, by province, by gateway, of codes and errors; and as a file."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from flask import Response, request

from bot.accounts.console_login import Login, proof
from bot.build import Bot
from bot.platform.csv_export import sheet
from bot.reports import kpi, kpi_report
from bot.reports.kpi import PERCENTILES, POINTS, TARGET_SHARE, Figures, Point, Views
from store.views.delivery_stats import IN_TIME, LATE_TEXTS, Subject
from store.views.text_list import Fate
from webhooks import html
from webhooks.console import charts, period
from webhooks.console.charts import Bar, Step
from webhooks.console.formatting import UNBROKEN, Cell, Formatter, Link, Row, Table

# A page stays light: so many days stand in a table, and its next page has the others.
DAYS_SHOWN = 31
PAGES = ("days", "provinces", "gateways", "codes")


class FiguresPage:
    """One of the pages of figures while it is put together: what was asked for, and what was found."""

    def __init__(self, bot: Bot, login: Login, name: str) -> None:
        """Read the address, and the figures."""
        self.bot, self.login, self.name = bot, login, name
        self.formatter, self.asked = Formatter(html.language_asked()), period.read(bot, login)
        self.now = bot.clock()
        self.found = kpi.figures(bot.store, self.asked.first, self.asked.last, self.now, self.asked.scope)

    def answer(self, **context: Any) -> Response:
        """The page."""
        formatter, endpoint = self.formatter, f"console.{self.name}"
        answer = html.page(
            "console_figures.html",
            formatter.language,
            login=self.login,
            proof=proof(self.login.session.secret),
            asked=self.asked,
            page=self.name,
            pages=[(f"console.{name}", formatter.words["pages"][name]) for name in PAGES],
            period=period.form(self.bot, self.login, formatter, self.asked, endpoint),
            as_of=formatter.moment(self.now),
            formatter=formatter,
            **context,
        )
        answer.status_code = 400 if self.asked.fault else 200
        return answer

    def texts(self, number: int, **words: str) -> Cell:
        """A number that leads to the texts that it counts."""
        written = self.formatter.number(number)
        if not number or words.get("province") == "":  # what has no province can't be asked for by one
            return written
        return Link(written, html.address("console.texts", self.formatter.language, **(self.asked.address | words)))

    def points(self) -> Iterator[tuple[Subject, str, Views]]:
        """Both control points, with their titles."""
        for point in POINTS:
            yield point, self.formatter.words["points"][point.value], self.found.points[point]


def days(bot: Bot, login: Login) -> Response:
    """Both control points, whole and day by day."""
    page = FiguresPage(bot, login, "days")
    return page.answer(points=[_whole(page, *each) for each in page.points()])


def provinces(bot: Bot, login: Login) -> Response:
    """Both control points by province, the worst first."""
    page = FiguresPage(bot, login, "provinces")
    return page.answer(
        tables=[_parts(page, point, title, views.provinces, "province") for point, title, views in page.points()]
    )


def gateways(bot: Bot, login: Login) -> Response:
    """Both control points by gateway, the worst first, and the steps on the way."""
    page = FiguresPage(bot, login, "gateways")
    tables = [_parts(page, point, title, views.gateways, "gateway") for point, title, views in page.points()]
    steps = [
        _steps(page.formatter, point, title, views.whole, when)
        for point, title, views in page.points()
        for when in (IN_TIME, LATE_TEXTS)
        if views.whole.waterfall(when)
    ]
    return page.answer(tables=tables, drawings=steps)


def codes(bot: Bot, login: Login) -> Response:
    """What became of codes, and why texts were not delivered."""
    page = FiguresPage(bot, login, "codes")
    drawn = _funnel(page.formatter, page.found)
    return page.answer(
        drawings=[drawn] if drawn else [], tables=[_errors(page)], others=_others(page.formatter, page.found)
    )


def csv(bot: Bot, login: Login) -> Response:
    """The same figures as a file, as `flask kpi --csv` writes it."""
    asked = period.read(bot, login)
    if asked.fault:
        return days(bot, login)
    found = kpi.figures(bot.store, asked.first, asked.last, bot.clock(), asked.scope)
    answer = Response(sheet(kpi_report.rows(found)).encode(), content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="ramz-{asked.first}-{asked.last}.csv"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _whole(page: FiguresPage, point: Subject, title: str, views: Views) -> dict[str, Any]:
    formatter, whole = page.formatter, views.whole
    shown = request.args.get("table") == point.value
    return {
        "id": point.value,
        "title": title,
        "texts": whole.texts,
        "share": formatter.share(whole.share),
        "is_below": whole.is_below,
        "facts": list(_facts(page, point, whole)),
        "chart": days_chart(formatter, point, title, views),
        "table": _days(page, point, title, views) if shown else None,
        "others": _other_days(page, point, views) if shown else [],
        "to_table": html.address("console.days", formatter.language, table=point.value, **page.asked.address),
    }


def _facts(page: FiguresPage, point: Subject, whole: Point) -> Iterator[tuple[str, Cell]]:
    formatter = page.formatter
    words = formatter.words["facts"]
    for percent in PERCENTILES:
        yield formatter.words["percentiles"][str(percent)], formatter.seconds(whole.percentile(percent))
    yield words["known"], formatter.number(whole.in_time + whole.missed)
    for fate in (Fate.IN_TIME, Fate.LATE, Fate.FAILED, Fate.PENDING, Fate.NO_RECEIPT, Fate.OPEN, Fate.WITHDRAWN):
        yield words[fate], page.texts(getattr(whole, fate), point=point, fate=fate)
    yield words["at_least"], formatter.share(whole.share_at_least)


def days_chart(formatter: Formatter, point: Subject, title: str, views: Views) -> str:
    """A bar a day, as high as the day's share in time."""
    words = formatter.words
    said = charts.Words(
        f"days-{point.value}", f"{title}: {words['by_day']}", words["days_described"], formatter.language
    )
    bars = [Bar(formatter.day(day), each.share) for day, each in views.days.items()]
    ends = [formatter.day(day) for day in (next(iter(views.days)), next(reversed(views.days)))]
    return charts.days(said, bars, TARGET_SHARE, f"{words['target']} {formatter.share(TARGET_SHARE, 0)}", ends)


def _days_with_texts(views: Views) -> list[tuple[date, Point]]:
    """The newest first."""
    return [(day, each) for day, each in reversed(views.days.items()) if each.texts]


def _days(page: FiguresPage, point: Subject, title: str, views: Views) -> Table:
    skipped = _skipped()
    shown = _days_with_texts(views)[skipped : skipped + DAYS_SHOWN]
    words = page.formatter.words
    named: list[tuple[Cell, Point, dict[str, str]]] = []
    for day, each in shown:
        only = {"from": day.isoformat(), "to": day.isoformat()}
        address = html.address("console.provinces", page.formatter.language, **(page.asked.address | only))
        named.append((Link(page.formatter.day(day).replace(" ", UNBROKEN), address), each, only))
    return _table(page, point, f"{title}: {words['by_day']}", words["day"], named)


def _other_days(page: FiguresPage, point: Subject, views: Views) -> list[Link]:
    skipped, number = _skipped(), len(_days_with_texts(views))
    found = [("newer", skipped - DAYS_SHOWN), ("earlier", skipped + DAYS_SHOWN)]
    formatter, address = page.formatter, page.asked.address | {"table": point.value}
    return [
        Link(formatter.words[name], html.address("console.days", formatter.language, **address, skip=str(max(0, skip))))
        for name, skip in found
        if -DAYS_SHOWN < skip < number
    ]


def _skipped() -> int:
    return min(max(0, request.args.get("skip", 0, int)), 10_000)


def _parts(page: FiguresPage, point: Subject, title: str, parts: dict[str, Point], kind: str) -> Table:
    words = page.formatter.words
    worst_first = sorted(parts.items(), key=lambda it: (1.0 if it[1].share is None else it[1].share, it[0]))
    named: list[tuple[Cell, Point, dict[str, str]]] = [
        (name or words["unknown"], each, {kind: name}) for name, each in worst_first
    ]
    # A province is chosen by its name; what has none, and what is outside one's scope, leads nowhere.
    return _table(page, point, f"{title}: {words[f'by_{kind}']}", words[kind], named)


def _table(
    page: FiguresPage, point: Subject, title: str, head: str, named: Sequence[tuple[Cell, Point, dict[str, str]]]
) -> Table:
    words = page.formatter.words
    rows = [_row(page, point, *each) for each in named]
    within = (words["percentiles"][str(percent)] for percent in PERCENTILES)
    below = frozenset(at for at, (_, each, _) in enumerate(named) if each.is_below)
    return Table(
        title, (head, words["share"], words["texts"], words["missed"], words["no_receipt"], *within), rows, below
    )


def _row(page: FiguresPage, point: Subject, name: Cell, it: Point, only: dict[str, str]) -> Row:
    formatter = page.formatter
    return (
        name,
        formatter.bar(it.share),
        formatter.number(it.texts),
        page.texts(it.missed, point=point, fate=Fate.MISSED, **only),
        page.texts(it.no_receipt, point=point, fate=Fate.NO_RECEIPT, **only),
        *(formatter.seconds(it.percentile(percent)) for percent in PERCENTILES),
    )


def _steps(formatter: Formatter, point: Subject, title: str, whole: Point, when: str) -> tuple[str, str]:
    words = formatter.words
    steps = [Step(words["steps"][name], seconds) for name, seconds in whole.waterfall(when)]
    name = f"{title}: {words['waterfall'][when]}"
    said = charts.Words(f"steps-{point.value}-{when}", name, words["steps_described"], formatter.language)
    return name, charts.waterfall(said, steps, words["second"])


def _funnel(formatter: Formatter, found: Figures) -> tuple[str, str] | None:
    words, sent = formatter.words, found.codes_sent
    if not sent:
        return None
    steps = [Step(words["fates"]["sent"], sent)]
    ordered = sorted(found.codes.items(), key=lambda it: -it[1])
    steps += [Step(formatter.word("fates", fate), number) for fate, number in ordered if number]
    said = charts.Words("funnel", words["funnel"], words["funnel_described"], formatter.language)
    return words["funnel"], charts.funnel(said, steps)


def _errors(page: FiguresPage) -> Table:
    words = page.formatter.words
    ordered = sorted(page.found.errors.items(), key=lambda it: -it[1])
    rows: list[Row] = [
        (page.formatter.word("errors_of", reason), gateway, page.texts(number, error=reason, gateway=gateway))
        for (gateway, reason), number in ordered
    ]
    return Table(words["errors"], (words["reason"], words["gateway"], words["texts"]), rows)


def _others(formatter: Formatter, found: Figures) -> list[tuple[str, str]]:
    rows = [(formatter.words["locked"], formatter.number(found.locked))]
    if found.unanswered is not None:
        rows.append((formatter.words["unanswered"], formatter.number(found.unanswered)))
    return rows
