"""The season's report: one HTML file that needs no other, to be read and printed by whoever answers for the figures.

What it says is bot/reports/kpi.py's figures; here they become sentences, tables, and a bar a day.
"""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from flask import Flask, render_template

from bot.platform.clock import TEHRAN, jalali, today_in_tehran
from bot.platform.version import VERSION
from bot.reports.kpi import PERCENTILES, POINTS, TARGET_SECONDS, TARGET_SHARE, Figures, Point, Views, per_cent
from store.views.delivery_stats import Subject
from webhooks import html

STATIC = Path(__file__).parent / "static"
FONT = "vazirmatn-33.0.3.woff2"
PERSIAN = str.maketrans("0123456789.,%", "۰۱۲۳۴۵۶۷۸۹٫٬٪")
CHART_WIDTH, CHART_HEIGHT = 680, 90
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
        self.found, self.now, self.language = found, now, language
        self.said: Any = html.words(language)
        self.words: Any = self.said["report"]

    def html(self) -> str:
        """The whole file."""
        font = base64.b64encode((STATIC / FONT).read_bytes()).decode()
        with Flask("webhooks").app_context():
            return render_template(
                "season_report.html",
                lang=self.language,
                dir=html.LANGUAGES[self.language],
                words=self.words,
                style=(STATIC / "season_report.css").read_text("utf-8"),
                font=font,
                version=VERSION,
                days=self._span(),
                made_at=self._moment(self.now),
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
            "number": self._number(number),
            "share": self._share(whole.share),
            "is_below": whole.is_below,
            "verdict": self._verdict(whole),
            "facts": list(self._facts(whole)),
            "chart": self._chart(views),
            "days": self._days(views),
        }

    def _verdict(self, whole: Point) -> str:
        if whole.share is None:
            return str(self.words["no_texts"])
        known = whole.in_time + whole.missed
        sentence = self.words["verdict"].format(
            in_time=self._number(whole.in_time), known=self._number(known), target=self._share(TARGET_SHARE)
        )
        return f"{sentence} {self.words['below' if whole.is_below else 'met'].format(target=self._share(TARGET_SHARE))}"

    def _facts(self, whole: Point) -> Iterator[tuple[str, str]]:
        words = self.words["facts"]
        yield words["half"], self._seconds(whole.percentile(50))
        yield words["most"], self._seconds(whole.percentile(95))
        for name in ("late", "failed", "pending", "no_receipt", "withdrawn"):
            yield words[name], self._number(getattr(whole, name))
        yield words["at_least"], self._share(whole.share_at_least)

    def _days(self, views: Views) -> str:
        """How many days missed the target, and which were the worst."""
        told = [(day, each) for day, each in views.days.items() if each.share is not None]
        below = [(day, each) for day, each in told if each.is_below and each.texts >= FEW]
        if not below:
            return str(self.words["no_day_below"].format(days=self._number(len(told))))
        worst = sorted(below, key=lambda it: it[1].share or 0)[:WORST]
        named = self.words["comma"].join(f"{self._day(day)}: {self._share(each.share)}" for day, each in worst)
        return str(
            self.words["days_below"].format(below=self._number(len(below)), days=self._number(len(told)), worst=named)
        )

    def _chart(self, views: Views) -> dict[str, Any]:
        """A bar a day, as high as the share in time; a day with few texts or none has its place."""
        width = CHART_WIDTH / max(1, len(views.days))
        bars = []
        for place, (day, each) in enumerate(views.days.items()):
            if each.share is None:
                continue
            left = CHART_WIDTH - (place + 1) * width if html.LANGUAGES[self.language] == "rtl" else place * width
            height = each.share * CHART_HEIGHT
            bars.append({
                "x": round(left + width * 0.1, 2),
                "y": round(CHART_HEIGHT - height, 2),
                "width": round(width * 0.8, 2),
                "height": round(height, 2),
                "below": each.is_below,
                "title": f"{self._day(day)}: {self._share(each.share)}",
            })  # fmt: skip
        first, *_, last = [*views.days, *views.days]
        return {
            "bars": bars,
            "target": round((1 - TARGET_SHARE) * CHART_HEIGHT, 2),
            "first": self._day(first),
            "last": self._day(last),
        }

    # Numbers, tables, sentences

    def _numbers(self) -> Iterator[tuple[str, str, str]]:
        first, second = (self.found.points[point].whole for point in POINTS)
        delivered = second.in_time + second.late
        words = self.words["numbers"]
        yield self._number(delivered), words["visits"], words["visits_about"]
        yield self._number(self.found.codes_sent), words["codes"], ""
        yield self._number(self.found.codes.get("used", 0)), words["used"], ""
        yield self._number(first.failed + second.failed), words["failed"], ""
        yield self._number(self.found.locked), words["locked"], ""

    def _parts(self, name: str) -> list[Line]:
        first, second = (getattr(self.found.points[point], name) for point in POINTS)
        whole = {each: (first.get(each, Point()), second.get(each, Point())) for each in first.keys() | second.keys()}
        ordered = sorted(whole.items(), key=lambda it: (-it[1][0].texts - it[1][1].texts, it[0]))
        return [self._line(each or self.words["unknown"], *pair) for each, pair in ordered]

    def _by_day(self) -> Iterator[Line]:
        first, second = (self.found.points[point].days for point in POINTS)
        for day in first:
            if first[day].texts or second[day].texts:
                yield self._line(self._day(day), first[day], second[day])

    def _line(self, name: str, *pair: Point) -> Line:
        cells = [
            cell
            for each in pair
            for cell in (self._number(each.texts), self._share(each.share), self._seconds(each.percentile(95)))
        ]
        return Line(name, cells, any(each.is_below and each.texts >= FEW for each in pair))

    def _failures(self) -> Iterator[str]:
        """What was not delivered, a sentence a reason, the commonest first; gateways of one reason together."""
        reasons: dict[str, dict[str, int]] = {}
        for (gateway, reason), number in self.found.errors.items():
            reasons.setdefault(reason, {})[gateway] = number
        named = self.said["console"]["errors_of"]
        for reason, gateways in sorted(reasons.items(), key=lambda it: (-sum(it[1].values()), it[0])):
            parts = self.words["comma"].join(
                f"{gateway} {self._number(number)}" for gateway, number in sorted(gateways.items()) if gateway
            )
            whole = self._number(sum(gateways.values()))
            yield self.words["failure"].format(number=whole, reason=named.get(reason, reason), gateways=parts)

    def _fates(self) -> Iterator[tuple[str, str, str]]:
        sent, named = self.found.codes_sent, self.said["console"]["fates"]
        for fate, number in sorted(self.found.codes.items(), key=lambda it: (-it[1], it[0])):
            yield named.get(fate, fate), self._number(number), self._share(number / sent if sent else None)

    # As it is written

    def _span(self) -> str:
        return f"{self._day(self.found.first)} {self.words['until']} {self._day(self.found.last)}"

    def _digits(self, written: object) -> str:
        return str(written).translate(PERSIAN) if self.language == "fa" else str(written)

    def _moment(self, at: datetime) -> str:
        return f"{self._day(today_in_tehran(at))} {self._digits(f'{at.astimezone(TEHRAN):%H:%M}')}"

    def _number(self, value: int) -> str:
        return self._digits(f"{value:,}")

    def _share(self, share: float | None) -> str:
        return "–" if share is None else self._digits(f"{per_cent(share):.1f}%")

    def _seconds(self, value: int | None) -> str:
        return "–" if value is None else f"{self._number(value)} {self.words['second']}"

    def _day(self, day: date) -> str:
        return self._digits(jalali(day) if self.language == "fa" else day.isoformat())


def write(found: Figures, now: datetime, language: str) -> str:
    """The report of some figures as an HTML file; `TARGET_SECONDS` is the card's minute."""
    assert TARGET_SECONDS == 60 and PERCENTILES[1] == 95  # as its words say
    return Report(found, now, language).html()
