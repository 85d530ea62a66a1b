"""The season's report: one HTML file that needs no other, to be read and printed by the director who answers for it.

What it says is bot/reports/kpi.py's figures; here they become sentences, tables, and a bar a day.
"""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from flask import Flask, render_template

from bot.platform.version import VERSION
from bot.reports.kpi import PERCENTILES, POINTS, TARGET_SECONDS, TARGET_SHARE, Figures, Point, Views
from store.views.delivery_stats import Subject
from webhooks import html
from webhooks.console import figures
from webhooks.console.formatting import Formatter

STATIC = Path(__file__).parent / "static"
FONT = "vazirmatn-33.0.3.woff2"
WORST = 5
# A share of few texts says little of a place, so it is shown but not called below the target.
FEW = 20


@dataclass(frozen=True)
class Line:
    """A row of a table: what it is of, then each control point's texts, share in time and seconds of 95 in 100."""

    name: str
    cells: Sequence[str]
    is_below: bool = False


class Report:
    """The report in one language."""

    def __init__(self, found: Figures, now: datetime, language: str) -> None:
        """Take the figures, when they were asked for, and the language."""
        self.found, self.now, self.formatter = found, now, Formatter(language)
        self.number, self.share = self.formatter.number, self.formatter.share
        self.seconds, self.day = self.formatter.seconds, self.formatter.day
        self.words: Any = html.words(language)["report"]

    @property
    def _comma(self) -> str:
        return f"{self.formatter.words['comma']} "

    def html(self) -> str:
        """The whole file."""
        font = base64.b64encode((STATIC / FONT).read_bytes()).decode()
        app = Flask("webhooks")
        html.set_up(app)
        with app.app_context():
            return render_template(
                "season_report.html",
                lang=self.formatter.language,
                dir=html.LANGUAGES[self.formatter.language],
                words=self.words,
                style=(STATIC / "season_report.css").read_text("utf-8"),
                font=font,
                version=VERSION,
                days=self.formatter.span(self.found.first, self.found.last),
                made_at=self.formatter.moment(self.now),
                points=[self._point(number, each) for number, each in enumerate(POINTS, 1)],
                numbers=list(self._numbers()),
                provinces=self._parts("provinces"),
                gateways=self._parts("gateways"),
                by_day=list(self._by_day()),
                failures=list(self._failures()),
                fates=list(self._fates()),
                is_empty=self.found.is_empty,
            )

    # The two control points

    def _point(self, number: int, subject: Subject) -> dict[str, Any]:
        views = self.found.points[subject]
        whole = views.whole
        return {
            "id": subject.value,
            "title": self.words["points"][subject.value],
            "number": self.number(number),
            "share": self.share(whole.share),
            "is_below": whole.is_below,
            "verdict": self._verdict(whole),
            "facts": list(self._facts(whole)),
            "chart": figures.days_chart(self.formatter, subject, self.words["points"][subject.value], views),
            "days": self._days(views),
        }

    def _verdict(self, whole: Point) -> str:
        if whole.share is None:
            return str(self.words["no_texts"])
        known = whole.in_time + whole.missed
        sentence = self.words["verdict"].format(
            in_time=self.number(whole.in_time), known=self.number(known), target=self.share(TARGET_SHARE, 0)
        )
        return (
            f"{sentence} {self.words['below' if whole.is_below else 'met'].format(target=self.share(TARGET_SHARE, 0))}"
        )

    def _facts(self, whole: Point) -> Iterator[tuple[str, str]]:
        words = self.words["facts"]
        yield words["half"], self.seconds(whole.percentile(50))
        yield words["most"], self.seconds(whole.percentile(95))
        for name in ("late", "failed", "pending", "no_receipt", "withdrawn"):
            yield words[name], self.number(getattr(whole, name))
        yield words["at_least"], self.share(whole.share_at_least)

    def _days(self, views: Views) -> str:
        """How many days missed the target, and which were the worst."""
        told = [(day, each) for day, each in views.days.items() if each.share is not None]
        below = [(day, each) for day, each in told if each.is_below and each.texts >= FEW]
        if not below:
            return str(self.words["no_day_below"].format(days=self.number(len(told))))
        worst = sorted(below, key=lambda it: it[1].share or 0)[:WORST]
        named = self._comma.join(f"{self.day(day)}: {self.share(each.share)}" for day, each in worst)
        return str(
            self.words["days_below"].format(below=self.number(len(below)), days=self.number(len(told)), worst=named)
        )

    # Numbers, tables, sentences

    def _numbers(self) -> Iterator[tuple[str, str, str]]:
        first, second = (self.found.points[point].whole for point in POINTS)
        delivered = second.in_time + second.late
        words = self.words["numbers"]
        yield self.number(delivered), words["visits"], words["visits_about"]
        yield self.number(self.found.codes_sent), words["codes"], ""
        yield self.number(self.found.codes.get("used", 0)), words["used"], ""
        yield self.number(first.failed + second.failed), words["failed"], ""
        yield self.number(self.found.locked), words["locked"], ""

    def _parts(self, name: str) -> list[Line]:
        first, second = (getattr(self.found.points[point], name) for point in POINTS)
        whole = {each: (first.get(each, Point()), second.get(each, Point())) for each in first.keys() | second.keys()}
        ordered = sorted(whole.items(), key=lambda it: (-it[1][0].texts - it[1][1].texts, it[0]))
        return [self._line(each or self.words["unknown"], *pair) for each, pair in ordered]

    def _by_day(self) -> Iterator[Line]:
        first, second = (self.found.points[point].days for point in POINTS)
        for day in first:
            if first[day].texts or second[day].texts:
                yield self._line(self.day(day), first[day], second[day])

    def _line(self, name: str, *pair: Point) -> Line:
        cells = [
            cell
            for each in pair
            for cell in (self.number(each.texts), self.share(each.share), self.seconds(each.percentile(95)))
        ]
        return Line(name, cells, any(each.is_below and each.texts >= FEW for each in pair))

    def _failures(self) -> Iterator[str]:
        """What was not delivered, a sentence a reason, the commonest first; gateways of one reason together."""
        reasons: dict[str, dict[str, int]] = {}
        for (gateway, reason), number in self.found.errors.items():
            reasons.setdefault(reason, {})[gateway] = number
        for reason, gateways in sorted(reasons.items(), key=lambda it: (-sum(it[1].values()), it[0])):
            parts = self._comma.join(
                f"{gateway} {self.number(number)}" for gateway, number in sorted(gateways.items()) if gateway
            )
            whole = self.number(sum(gateways.values()))
            yield self.words["failure"].format(
                number=whole, reason=self.formatter.word("errors_of", reason), gateways=parts
            )

    def _fates(self) -> Iterator[tuple[str, str, str]]:
        sent = self.found.codes_sent
        for fate, number in sorted(self.found.codes.items(), key=lambda it: (-it[1], it[0])):
            yield self.formatter.word("fates", fate), self.number(number), self.share(number / sent if sent else None)


def write(found: Figures, now: datetime, language: str) -> str:
    """The report of some figures as an HTML file; `TARGET_SECONDS` is the card's minute."""
    assert TARGET_SECONDS == 60 and PERCENTILES[1] == 95  # as its words say
    return Report(found, now, language).html()
