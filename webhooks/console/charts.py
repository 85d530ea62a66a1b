"""Charts as SVG, drawn here: no script, no style of their own, and the same for who can't see them.

The caller brings all words, and says what classes look like; attributes say enough for a page without any. What
stands out does so by its shape and its mark, and not by its colour alone. Numbers are in the language's digits.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from xml.etree import ElementTree as Xml

from bot.clock import shown
from bot.reports.kpi import per_cent

# A chart is as wide as its place. On the narrowest phones, 360 pixels, its letters are 12 pixels high.
WIDTH, FONT = 400, 14
BAND, BAR, GAP = 40, 14, 5
PLOT_TOP, PLOT_HEIGHT = 12, 110
MARK = 9
PERSIAN = str.maketrans("0123456789.,%", "۰۱۲۳۴۵۶۷۸۹٫٬٪")
RIGHT_TO_LEFT = ("fa", "ar")


@dataclass(frozen=True)
class Words:
    """What a chart says of itself: a title, a description, and in which language. A page's names differ."""

    name: str
    title: str
    description: str
    language: str = "en"

    @property
    def is_right_to_left(self) -> bool:
        """Whether it is read from the right."""
        return self.language in RIGHT_TO_LEFT

    def number(self, value: float, digits: int = 0, unit: str = "") -> str:
        """A number with its unit, in the language's digits."""
        written = f"{value:,.{digits}f}{unit}"
        return written.translate(PERSIAN) if self.language in RIGHT_TO_LEFT else written


@dataclass(frozen=True)
class Bar:
    """A day's share in time, from 0 to 1; None where there was nothing to share."""

    day: date
    share: float | None


@dataclass(frozen=True)
class Step:
    """A part of something: what it is called, and how much of it there is."""

    name: str
    value: float


@dataclass
class _Drawing:
    """An image that grows element by element. `x` is counted from the side that reading begins at."""

    words: Words
    height: int
    root: Xml.Element = field(init=False)

    def __post_init__(self) -> None:
        names = {part: f"{self.words.name}-{part}" for part in ("title", "desc")}
        self.root = Xml.Element("svg", {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {WIDTH} {self.height}",
            "width": "100%",
            "role": "img",
            "class": "chart",
            "lang": self.words.language,
            "direction": "rtl" if self.words.is_right_to_left else "ltr",
            "aria-labelledby": " ".join(names.values()),
        })  # fmt: skip
        Xml.SubElement(self.root, "title", {"id": names["title"]}).text = self.words.title
        Xml.SubElement(self.root, "desc", {"id": names["desc"]}).text = self.words.description

    def rect(self, x: float, y: float, width: float, height: float, name: str, **attributes: str) -> Xml.Element:
        """A box, with a class and how it looks without one."""
        left = WIDTH - x - width if self.words.is_right_to_left else x
        box = {"x": _plain(left), "y": _plain(y), "width": _plain(width), "height": _plain(height), "class": name}
        return Xml.SubElement(self.root, "rect", box | attributes)

    def line(self, y: float, name: str) -> None:
        """A broken line from side to side."""
        ends = {"x1": "0", "x2": str(WIDTH), "y1": _plain(y), "y2": _plain(y), "class": name}
        Xml.SubElement(self.root, "line", ends | {"stroke": "currentColor", "stroke-dasharray": "6 4"})

    def text(self, x: float, y: float, words: str, name: str, *, at: str = "start") -> None:
        """Words that start, end or lie around `x`."""
        left = WIDTH - x if self.words.is_right_to_left else x
        place = {"x": _plain(left), "y": _plain(y), "text-anchor": at, "font-size": str(FONT), "class": name}
        Xml.SubElement(self.root, "text", place | {"fill": "currentColor"}).text = words

    def mark(self, x: float, y: float, size: float) -> None:
        """A triangle that points down at a place."""
        left = WIDTH - x if self.words.is_right_to_left else x
        corners = f"M{_plain(left)} {_plain(y)} l{_plain(-size / 2)} {_plain(-size)} h{_plain(size)} z"
        Xml.SubElement(self.root, "path", {"d": corners, "class": "mark", "fill": "currentColor"})

    def svg(self) -> str:
        """The image, to be put into a page."""
        return Xml.tostring(self.root, encoding="unicode")


def _plain(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")


def days(words: Words, bars: Sequence[Bar], target: float, target_label: str, calendar: str = "jalali") -> str:
    """A bar a day, with a line at the target. A day below it is hatched and has a mark upon it."""
    drawing = _Drawing(words, PLOT_TOP + PLOT_HEIGHT + 2 * FONT + 14)
    _hatch(drawing)
    floor = PLOT_TOP + PLOT_HEIGHT
    width = WIDTH / max(1, len(bars))
    for place, bar in enumerate(bars):
        _day(drawing, bar, target, place * width, width, calendar)
    drawing.line(floor - target * PLOT_HEIGHT, "target")
    drawing.text(0, floor + FONT + 4, _date(words, bars[0].day, calendar) if bars else "", "label")
    if len(bars) > 1:
        drawing.text(WIDTH, floor + FONT + 4, _date(words, bars[-1].day, calendar), "label", at="end")
    drawing.text(WIDTH / 2, floor + 2 * FONT + 8, f"- - - {target_label}", "label", at="middle")
    return drawing.svg()


def _day(drawing: _Drawing, bar: Bar, target: float, x: float, width: float, calendar: str) -> None:
    if bar.share is None:
        return
    words, height = drawing.words, bar.share * PLOT_HEIGHT
    below, top = bar.share < target, PLOT_TOP + PLOT_HEIGHT - height
    gap = min(3, width / 4)
    look = {"fill": f"url(#{_hatch_of(drawing)})", "stroke": "currentColor"} if below else {"fill": "currentColor"}
    box = drawing.rect(x + gap / 2, top, width - gap, height, "day below" if below else "day", **look)
    share = words.number(per_cent(bar.share), 1, "%")
    Xml.SubElement(box, "title").text = f"{_date(words, bar.day, calendar)}: {share}"
    if below:
        drawing.mark(x + width / 2, top - 2, max(3, min(MARK, width)))


def _date(words: Words, day: date, calendar: str) -> str:
    written = shown(day, calendar)
    return written.translate(PERSIAN) if words.is_right_to_left else written


def _hatch_of(drawing: _Drawing) -> str:
    return f"{drawing.words.name}-hatch"


def _hatch(drawing: _Drawing) -> None:
    pattern = {"id": _hatch_of(drawing), "width": "4", "height": "4", "patternUnits": "userSpaceOnUse"}
    hatch = Xml.SubElement(Xml.SubElement(drawing.root, "defs"), "pattern", pattern)
    Xml.SubElement(hatch, "path", {"d": "M0 4 4 0", "stroke": "currentColor", "stroke-width": "1"})


def waterfall(words: Words, steps: Sequence[Step], unit: str) -> str:
    """Steps that follow each other in time: each begins where the one before it ends. Values are seconds."""
    drawing = _Drawing(words, max(1, len(steps)) * BAND)
    whole = sum(step.value for step in steps) or 1
    begin = 0.0
    for place, step in enumerate(steps):
        label = f"{step.name}: {words.number(step.value, 1)} {unit}"
        length = step.value / whole * WIDTH
        _row(drawing, place, label, begin, max(length, 2), "step")
        begin += length
    return drawing.svg()


def funnel(words: Words, steps: Sequence[Step]) -> str:
    """Parts of the first step: each as long as its share of it."""
    drawing = _Drawing(words, max(1, len(steps)) * BAND)
    whole = steps[0].value if steps and steps[0].value else 1
    for place, step in enumerate(steps):
        share = words.number(per_cent(step.value / whole), 1, "%")
        label = f"{step.name}: {words.number(step.value)} ({share})"
        _row(drawing, place, label, 0, max(step.value / whole * WIDTH, 2), "whole" if place == 0 else "part")
    return drawing.svg()


def _row(drawing: _Drawing, place: int, label: str, begin: float, length: float, name: str) -> None:
    top = place * BAND
    drawing.text(0, top + FONT, label, "label")
    box = drawing.rect(min(begin, WIDTH - length), top + FONT + GAP, length, BAR, name, fill="currentColor")
    Xml.SubElement(box, "title").text = label
