"""The machine that runs a dialog's table: one pure step, and the drawing of it."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import timedelta
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

from dialogs.staff_vocabulary import ChangeState, StaffEvent, StaffState
from dialogs.tables.dialog import STAY, Arrow, Dialog
from dialogs.tables.mobile_change import MOBILE_CHANGE
from dialogs.tables.recovery import AFTER_ORDER, MISREAD, RECOVERY, RENAMED
from dialogs.tables.staff import STAFF
from dialogs.vocabulary import Effect, State

S = TypeVar("S", bound=StrEnum)

DIALOGS: Mapping[type[StrEnum], Dialog[Any, Any]] = {State: RECOVERY, StaffState: STAFF, ChangeState: MOBILE_CHANGE}


_BY_NAME = {state.value: state for state in State}


def step(state: S, event: StrEnum) -> tuple[S, tuple[Effect, ...]]:
    """The next state, and the effects to carry out, by the table that the state is of. Pure and total."""
    dialog = DIALOGS[type(state)]
    arrow = dialog.table[state].get(event) or dialog.anywhere[event]
    return (state if arrow.target is STAY else arrow.target), arrow.effects


def after_order(state: State, event: StaffEvent) -> State:
    """Where an order, or what was meant for one, leaves the dialog with a staff member as a pilgrim."""
    return state if event in MISREAD else AFTER_ORDER.get(state, state)


def revive(name: str) -> State:
    """The state that a stored name means today: itself, its new name, or IDLE."""
    return _BY_NAME.get(name) or RENAMED.get(name, State.IDLE)


def lasts(state: StrEnum) -> timedelta | None:
    """How long a state holds before it ends by itself; None for ever."""
    return DIALOGS[type(state)].lasts.get(state)


class Way(NamedTuple):
    """An arrow from one state to another; from None, where it leads there from any state without one of its own."""

    source: StrEnum | None
    event: StrEnum
    target: StrEnum


def ways(dialog: Dialog[Any, Any] = RECOVERY) -> list[Way]:
    """Every arrow of a dialog, but for those that keep the state."""
    tables: list[tuple[StrEnum | None, Mapping[Any, Arrow[Any]]]] = [(None, dialog.anywhere), *dialog.table.items()]
    return [
        Way(source, event, arrow.target)
        for source, arrows in tables
        for event, arrow in arrows.items()
        if arrow.target is not STAY
    ]


def mermaid(dialog: Dialog[Any, Any] = RECOVERY) -> str:
    """A dialog as a Mermaid state diagram.

    In a state's box stand its name and what is answered without leaving it; one arrow stands for
    all that leads from one state to another.
    """
    return "\n".join(("stateDiagram-v2", *_drawing(dialog)))


def _drawing(dialog: Dialog[Any, Any]) -> Iterator[str]:
    yield f"    [*] --> {dialog.start.name}"
    yield from _lines("ANYWHERE", dialog.anywhere)
    for state, arrows in dialog.table.items():
        yield from _lines(state.name, arrows)


def _lines(source: str, arrows: Mapping[Any, Arrow[Any]]) -> Iterator[str]:
    yield f"    {source} : {source}"
    leading: dict[str, list[str]] = {}
    for event, arrow in arrows.items():
        if arrow.target is STAY:
            yield f"    {source} : {_label(event, arrow)}"
        else:
            leading.setdefault(arrow.target.name, []).append(_label(event, arrow))
    for target, labels in leading.items():
        yield f"    {source} --> {target} : {'<br>'.join(labels)}"


def _label(event: StrEnum, arrow: Arrow[Any]) -> str:
    return f"{event.name} / {', '.join(map(_caption, arrow.effects))}".rstrip(" /")


def _caption(effect: Effect) -> str:
    """An effect as one reads it: its name and what it is given, but for what it would be given anyway."""
    given = (value for each in fields(effect) if (value := getattr(effect, each.name)) != each.default)
    return " ".join((type(effect).__name__, *map(str, given)))
