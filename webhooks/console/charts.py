"""Charts as SVG, drawn here: no script, no style of their own, and words for readers who can't see them.

Libraries for charts draw in the browser by a script of their own, most with styles in the page, which the pages'
policy forbids, and each is heavier than a page may be.

The caller brings all words, and says what classes look like; attributes say enough for a page without any. What
stands out does so by its shape and its mark, and not by its colour alone. Numbers are in the language's digits.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.etree import ElementTree as Xml

from webhooks.console.formatting import Formatter

# A chart is as wide as its place. On the narrowest phones, 360 pixels, its letters are 12 pixels high.
WIDTH, FONT = 400, 14
BAND, BAR, GAP = 40, 14, 5
# The axis stands at the side that reading begins at.
AXIS, PLOT_TOP, PLOT_HEIGHT = 44, 12, 110
MARK = 9
# So many days have a box each, which tells its share. More are drawn as one line: a page stays light.
MOST_BOXES = 62
HOURS, HOURS_HEIGHT = 24, 60
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

    @property
    def formatter(self) -> Formatter:
        """Writes its numbers."""
        return Formatter(self.language)


@dataclass(frozen=True)
class Bar:
    """A day's share in time, from 0 to 1, under the day's name; None where there was nothing to share."""

    name: str
    share: float | None


@dataclass(frozen=True)
class Hour:
    """What was asked for in an hour; whether its share in time is below the target."""

    name: str
    number: int
    is_below: bool = False


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

    def line(self, y: float, name: str, begin: float = 0, dashes: str = "6 4") -> None:
        """A broken line, from `begin` to the other side."""
        ends = sorted((WIDTH - begin, 0.0) if self.words.is_right_to_left else (begin, WIDTH))
        place = {"x1": _plain(ends[0]), "x2": _plain(ends[1]), "y1": _plain(y), "y2": _plain(y), "class": name}
        Xml.SubElement(self.root, "line", place | {"stroke": "currentColor", "stroke-dasharray": dashes})

    def boxes(self, places: Sequence[tuple[float, float, float, float]], name: str) -> None:
        """Many boxes (x, y, width, height) as one element."""
        left = [WIDTH - x - width if self.words.is_right_to_left else x for x, _, width, _ in places]
        drawn = "".join(
            f"M{_plain(x)} {_plain(y)}h{_plain(width)}v{_plain(height)}h-{_plain(width)}z"
            for x, (_, y, width, height) in zip(left, places, strict=True)
        )
        Xml.SubElement(self.root, "path", {"d": drawn, "class": name, "fill": "currentColor"})

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


def days(words: Words, bars: Sequence[Bar], target: float, target_label: str, ends: Sequence[str]) -> str:
    """A bar a day over an axis from 0 to 100, with a line at the target. A day below it is hatched and marked.

    `ends` are what the first and the last day are called.
    """
    drawing = _Drawing(words, PLOT_TOP + PLOT_HEIGHT + 2 * FONT + 14)
    _hatch(drawing)
    floor = PLOT_TOP + PLOT_HEIGHT
    for part in (0.0, 0.5, 1.0):
        drawing.line(floor - part * PLOT_HEIGHT, "grid", AXIS, "1 3")
        drawing.text(AXIS - 6, floor - part * PLOT_HEIGHT + 5, words.formatter.share(part, 0), "label", at="end")
    width = (WIDTH - AXIS) / max(1, len(bars))
    _bars(drawing, bars, target, width)
    drawing.line(floor - target * PLOT_HEIGHT, "target", AXIS)
    if bars:
        drawing.text(AXIS, floor + FONT + 4, ends[0], "label")
    if len(bars) > 1:
        drawing.text(WIDTH, floor + FONT + 4, ends[-1], "label", at="end")
    drawing.text(WIDTH / 2, floor + 2 * FONT + 8, f"- - - {target_label}", "label", at="middle")
    return drawing.svg()


def _bars(drawing: _Drawing, bars: Sequence[Bar], target: float, width: float) -> None:
    gap, many = min(3, width / 4), len(bars) > MOST_BOXES
    together = []
    for place, bar in enumerate(bars):
        if bar.share is None:
            continue
        x, height = AXIS + place * width, bar.share * PLOT_HEIGHT
        box = (x + gap / 2, PLOT_TOP + PLOT_HEIGHT - height, width - gap, height)
        if many and bar.share >= target:
            together.append(box)
        else:
            _day(drawing, bar, target, box)
    if together:
        drawing.boxes(together, "day")


def _day(drawing: _Drawing, bar: Bar, target: float, box: tuple[float, float, float, float]) -> None:
    x, top, width, height = box
    below = (bar.share or 0) < target
    look = {"fill": f"url(#{_hatch_of(drawing)})", "stroke": "currentColor"} if below else {"fill": "currentColor"}
    drawn = drawing.rect(x, top, width, height, "day below" if below else "day", **look)
    Xml.SubElement(drawn, "title").text = f"{bar.name}: {drawing.words.formatter.share(bar.share)}"
    if below:
        drawing.mark(x + width / 2, top - 2, max(3, min(MARK, width)))


def hours(words: Words, bars: Sequence[Hour]) -> str:
    """A bar an hour of one day, as high as its share of the highest; it fills whatever room it is given.

    What stands at its axes is the page's: letters would be stretched.
    """
    drawing = _Drawing(words, HOURS_HEIGHT)
    drawing.root.set("preserveAspectRatio", "none")
    _hatch(drawing)
    most, width = max([bar.number for bar in bars], default=0) or 1, WIDTH / HOURS
    for place, bar in enumerate(bars):
        height = bar.number / most * (HOURS_HEIGHT - 4)
        look = (
            {"fill": f"url(#{_hatch_of(drawing)})", "stroke": "currentColor"}
            if bar.is_below
            else {"fill": "currentColor"}
        )
        name = "hour below" if bar.is_below else "hour"
        box = drawing.rect(place * width + 1.5, HOURS_HEIGHT - height, width - 3, height, name, **look)
        Xml.SubElement(box, "title").text = f"{bar.name}: {words.formatter.number(bar.number)}"
    drawing.line(HOURS_HEIGHT - 0.5, "grid", dashes="1 0")
    return drawing.svg()


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
        label = f"{step.name}: {words.formatter.number(step.value, 1)} {unit}"
        length = step.value / whole * WIDTH
        _row(drawing, place, label, begin, max(length, 2), "step")
        begin += length
    return drawing.svg()


def funnel(words: Words, steps: Sequence[Step]) -> str:
    """Parts of the first step: each as long as its share of it."""
    drawing = _Drawing(words, max(1, len(steps)) * BAND)
    whole = steps[0].value if steps and steps[0].value else 1
    for place, step in enumerate(steps):
        share = words.formatter.share(step.value / whole)
        label = f"{step.name}: {words.formatter.number(step.value)} ({share})"
        _row(drawing, place, label, 0, max(step.value / whole * WIDTH, 2), "whole" if place == 0 else "part")
    return drawing.svg()


def _row(drawing: _Drawing, place: int, label: str, begin: float, length: float, name: str) -> None:
    top = place * BAND
    drawing.text(0, top + FONT, label, "label")
    box = drawing.rect(min(begin, WIDTH - length), top + FONT + GAP, length, BAR, name, fill="currentColor")
    Xml.SubElement(box, "title").text = label
