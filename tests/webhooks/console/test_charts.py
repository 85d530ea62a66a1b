"""Charts are images that say what they show: to those who see them, to those who don't, and without a style."""

from collections.abc import Callable
from xml.etree import ElementTree as Xml

import pytest

from webhooks.console import charts
from webhooks.console.charts import AXIS, MOST_BOXES, WIDTH, Bar, Hour, Step, Words

SVG = "{http://www.w3.org/2000/svg}"
SHARES = (1.0, 0.949, None, 0.95, 0.0)
BARS = [Bar(f"day {number}", share) for number, share in enumerate(SHARES, 1)]
HOURS = [Hour("0–1", 4), Hour("1–2", 0), Hour("2–3", 8, is_below=True)]
STEPS = [Step("decided", 0.5), Step("sent", 1.5), Step("delivered", 8)]
PARTS = [Step("sent", 12_000), Step("used", 9_000), Step("locked", 0)]


def words(language: str = "en", name: str = "codes") -> Words:
    return Words(name, "Codes <a day> & more", 'In "time"', language)


def days(language: str = "en") -> str:
    return charts.days(words(language), BARS, 0.95, "target", ("first", "last"))


DRAWINGS: dict[str, Callable[[str], str]] = {
    "days": days,
    "no days": lambda language: charts.days(words(language), [], 0.95, "target", ()),
    "a season": lambda language: charts.days(
        words(language), [Bar("day", 0.9), Bar("day", 1.0)] * 85, 0.95, "target", ("a", "b")
    ),
    "hours": lambda language: charts.hours(words(language), HOURS),
    "no hours": lambda language: charts.hours(words(language), []),
    "waterfall": lambda language: charts.waterfall(words(language), STEPS, "s"),
    "no waterfall": lambda language: charts.waterfall(words(language), [], "s"),
    "an instant": lambda language: charts.waterfall(words(language), [Step("decided", 0.0)], "s"),
    "funnel": lambda language: charts.funnel(words(language), PARTS),
    "no funnel": lambda language: charts.funnel(words(language), []),
    "an empty funnel": lambda language: charts.funnel(words(language), [Step("sent", 0)]),
}


@pytest.fixture(params=[(name, language) for name in DRAWINGS for language in ("en", "fa", "ar")], ids=str)
def drawn(request: pytest.FixtureRequest) -> Xml.Element:
    name, language = request.param
    return Xml.fromstring(DRAWINGS[name](language))


def boxes(drawing: Xml.Element, name: str | None = None) -> list[dict[str, float]]:
    found = [box for box in drawing.iter(f"{SVG}rect") if name in (None, box.get("class"))]
    return [{key: float(box.attrib[key]) for key in ("x", "y", "width", "height")} for box in found]


def texts(drawing: Xml.Element) -> list[str]:
    return [text.text or "" for text in drawing.iter(f"{SVG}text")]


def test_it_is_an_image_with_a_title_and_a_description(drawn: Xml.Element) -> None:
    assert (drawn.tag, drawn.get("role")) == (f"{SVG}svg", "img")
    title, description = (drawn.find(f"{SVG}{name}") for name in ("title", "desc"))
    assert title is not None and description is not None
    assert (title.text, description.text) == ("Codes <a day> & more", 'In "time"')
    assert drawn.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"


def test_it_runs_nothing_and_needs_no_style_of_its_own(drawn: Xml.Element) -> None:
    allowed = {"svg", "title", "desc", "defs", "pattern", "path", "rect", "line", "text"}
    for element in drawn.iter():
        assert element.tag.removeprefix(SVG) in allowed
        assert not [name for name in element.attrib if name == "style" or name.startswith("on") or "href" in name]


def test_nothing_is_drawn_outside_of_it(drawn: Xml.Element) -> None:
    height = float(drawn.attrib["viewBox"].split()[3])
    for box in boxes(drawn):
        assert box["x"] >= -0.01 and box["y"] >= 0
        assert box["x"] + box["width"] <= WIDTH + 0.01 and box["y"] + box["height"] <= height
    assert all(0 <= float(text.attrib["y"]) <= height for text in drawn.iter(f"{SVG}text"))


def test_two_on_a_page_share_no_name() -> None:
    drawings = [
        Xml.fromstring(charts.days(words(name=name), BARS, 0.95, "", ("", ""))) for name in ("codes", "passwords")
    ]
    names = [{it.attrib["id"] for it in drawing.iter() if "id" in it.attrib} for drawing in drawings]
    assert len(names[0]) == 3
    assert not names[0] & names[1]


def test_letters_can_be_read_on_the_narrowest_phone() -> None:
    drawing = Xml.fromstring(days())
    sizes = {float(text.attrib["font-size"]) for text in drawing.iter(f"{SVG}text")}
    assert min(sizes) * 328 / WIDTH >= 11


# Days


def test_a_day_s_bar_is_as_high_as_its_share_and_one_without_texts_has_none() -> None:
    drawing = Xml.fromstring(days())
    heights = [box["height"] for box in boxes(drawing)]
    assert heights == pytest.approx([share * charts.PLOT_HEIGHT for share in SHARES if share is not None], abs=0.01)
    assert len({box["y"] + box["height"] for box in boxes(drawing)}) == 1


def test_a_day_below_the_target_stands_out_without_its_colour() -> None:
    drawing = Xml.fromstring(days())
    below = [box for box in drawing.iter(f"{SVG}rect") if box.get("class") == "day below"]
    assert len(below) == 2 == len([it for it in drawing.iter(f"{SVG}path") if it.get("class") == "mark"])
    assert {box.get("fill") for box in below} == {"url(#codes-hatch)"}
    assert [it.get("id") for it in drawing.iter(f"{SVG}pattern")] == ["codes-hatch"]


def test_the_axis_goes_from_nothing_to_all_whatever_the_shares_are() -> None:
    drawing = Xml.fromstring(charts.days(words(), [Bar("day", 0.99)], 0.95, "", ("", "")))
    heights = [float(it.attrib["y1"]) for it in drawing.iter(f"{SVG}line") if it.get("class") == "grid"]
    assert heights == [charts.PLOT_TOP + part * charts.PLOT_HEIGHT for part in (1, 0.5, 0)]
    assert texts(drawing)[:3] == ["0%", "50%", "100%"]


def test_many_days_are_one_line_but_for_those_that_fall_short() -> None:
    many = [Bar("day", 0.9 if number == 7 else 1.0) for number in range(MOST_BOXES + 1)]
    drawing = Xml.fromstring(charts.days(words(), many, 0.95, "", ("", "")))
    (together,) = [it for it in drawing.iter(f"{SVG}path") if it.get("class") == "day"]
    assert (together.attrib["d"].count("M"), len(boxes(drawing))) == (MOST_BOXES, 1)


def test_the_target_is_a_line_at_its_height() -> None:
    (line,) = [it for it in Xml.fromstring(days()).iter(f"{SVG}line") if it.get("class") == "target"]
    assert float(line.attrib["y1"]) == float(line.attrib["y2"])
    assert float(line.attrib["y1"]) == pytest.approx(charts.PLOT_TOP + 0.05 * charts.PLOT_HEIGHT)


def test_each_bar_says_its_day_and_share_and_never_rounds_it_up() -> None:
    drawing = Xml.fromstring(charts.days(words(), [Bar("14 August", 0.94999)], 0.95, "", ("", "")))
    assert [box.findtext(f"{SVG}title") for box in drawing.iter(f"{SVG}rect")] == ["14 August: 94.9%"]


def test_it_is_read_from_the_right_in_persian_with_persian_digits() -> None:
    left, right = Xml.fromstring(days("en")), Xml.fromstring(days("fa"))
    assert (left.get("direction"), right.get("direction")) == ("ltr", "rtl")
    assert AXIS <= boxes(left)[0]["x"] < WIDTH / 2 < boxes(right)[0]["x"] < WIDTH - AXIS
    assert texts(right)[:3] == ["۰\u200f٪", "۵۰\u200f٪", "۱۰۰\u200f٪"]
    assert right.findtext(f"{SVG}rect/{SVG}title") == "day 1: ۱۰۰\u200f٪"


# Hours


def test_an_hour_is_as_high_as_its_share_of_the_busiest() -> None:
    found = boxes(Xml.fromstring(charts.hours(words(), HOURS)))
    assert [box["height"] for box in found] == pytest.approx([28, 0, 56])
    assert [box["x"] for box in found] == pytest.approx([hour * WIDTH / 24 + 1.5 for hour in range(3)], abs=0.01)


def test_an_hour_below_the_target_is_hatched() -> None:
    drawn = [it.get("class") for it in Xml.fromstring(charts.hours(words(), HOURS)).iter(f"{SVG}rect")]
    assert drawn == ["hour", "hour", "hour below"]


# Waterfall and funnel


@pytest.mark.parametrize("language", ["en", "fa"])
def test_each_step_begins_where_the_one_before_it_ends(language: str) -> None:
    found = boxes(Xml.fromstring(charts.waterfall(words(language), STEPS, "s")))
    if language == "fa":
        found = [box | {"x": WIDTH - box["x"] - box["width"]} for box in found]
    assert [box["width"] for box in found] == pytest.approx([20, 60, 320])
    assert [box["x"] for box in found] == pytest.approx([0, 20, 80])


def test_a_step_says_its_seconds() -> None:
    drawing = Xml.fromstring(charts.waterfall(words(), STEPS, "s"))
    assert texts(drawing) == ["decided: 0.5 s", "sent: 1.5 s", "delivered: 8.0 s"]


def test_a_funnel_s_parts_are_as_long_as_their_share_of_the_first() -> None:
    drawing = Xml.fromstring(charts.funnel(words(), PARTS))
    assert [box["width"] for box in boxes(drawing)] == pytest.approx([WIDTH, WIDTH * 0.75, 2])
    assert texts(drawing) == ["sent: 12,000 (100%)", "used: 9,000 (75.0%)", "locked: 0 (0.0%)"]
    assert texts(Xml.fromstring(charts.funnel(words("fa"), PARTS)))[1] == "used: ۹٬۰۰۰ (۷۵٫۰\u200f٪)"
