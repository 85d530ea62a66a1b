"""A dialog's diagram, drawn on the server from the table: boxes, what leads into them, and from where."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from dialogs.tables.dialog import Dialog
from dialogs.tables.machine import Way, ways

# All in pixels of the drawing; it is 360 wide, so that a small phone shows it as it is.
WIDTH, RAIL, LEFT, RIGHT = 360, 12, 34, 304
TOP, HEAD, LINE, FOOT, GAP = 26, 30, 17, 6, 16


@dataclass(frozen=True)
class EventArrow:
    """An event that leads into a box, once, with an arrow from each of its sources; '' is the rail of any state."""

    event: str
    sources: tuple[str, ...]
    y: int
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Box:
    """A state, and what leads into it."""

    state: str
    y: int
    height: int
    entries: tuple[EventArrow, ...]


@dataclass(frozen=True)
class Diagram:
    """The boxes from top to bottom, and the rail beside them, if any arrow comes from any state."""

    boxes: tuple[Box, ...]
    width: int
    height: int
    rail: str


def diagram(dialog: Dialog[Any, Any]) -> Diagram:
    """A whole dialog, as its table has it."""
    leading = {state: [way for way in ways(dialog) if way.target is state] for state in dialog.table}
    tops, y = {}, TOP
    for state, found in leading.items():
        tops[state] = y
        y += _height(_by_event(found)) + GAP
    boxes = tuple(_box(state, _by_event(leading[state]), tops) for state in dialog.table)
    beside = [entry.y for box in boxes for entry in box.entries if "" in entry.sources]
    return Diagram(boxes, WIDTH, y, f"M{RAIL} {TOP - 8}V{max(beside)}" if beside else "")


def _by_event(found: Sequence[Way]) -> list[list[Way]]:
    """The ways into a box, those of one event together."""
    together: dict[StrEnum, list[Way]] = {}
    for way in found:
        together.setdefault(way.event, []).append(way)
    return list(together.values())


def _height(found: Sequence[Sequence[Way]]) -> int:
    return HEAD + LINE * len(found) + FOOT


def _box(state: StrEnum, found: Sequence[Sequence[Way]], tops: dict[StrEnum, int]) -> Box:
    top = tops[state]
    entries = tuple(_entry(ways, top + HEAD + LINE * place + LINE // 2, tops) for place, ways in enumerate(found))
    return Box(state.name, top, _height(found), entries)


def _entry(ways_of_event: Sequence[Way], y: int, tops: dict[StrEnum, int]) -> EventArrow:
    sources = tuple(way.source.name if way.source else "" for way in ways_of_event)
    return EventArrow(ways_of_event[0].event.name, sources, y, tuple(_arrow(way, y, tops) for way in ways_of_event))


def _arrow(way: Way, y: int, tops: dict[StrEnum, int]) -> str:
    if way.source is None:
        return f"M{RAIL} {y}H{LEFT - 2}"
    begin = tops[way.source] + HEAD // 2
    reach = min(RIGHT + 18 + abs(y - begin) // 12, WIDTH - 4)
    return f"M{RIGHT} {begin}C{reach} {begin} {reach} {y} {RIGHT + 2} {y}"
