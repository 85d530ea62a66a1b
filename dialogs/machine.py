"""The machine that runs a dialog's table: one pure step, and the drawing of it."""

from collections.abc import Iterator, Mapping
from datetime import timedelta

from dialogs.recovery import ANYWHERE, LASTS, RENAMED, STAY, TABLE, Arrow
from dialogs.vocabulary import Effect, Event, State


def step(state: State, event: Event) -> tuple[State, tuple[Effect, ...]]:
    """The next state, and the effects to carry out. Pure and total."""
    arrow = TABLE[state].get(event) or ANYWHERE[event]
    return (state if arrow.target is STAY else arrow.target), arrow.effects


def revive(name: str) -> State:
    """The state that a stored name means today: itself, its new name, or IDLE."""
    known = {state.value: state for state in State}
    return known.get(name) or RENAMED.get(name, State.IDLE)


def lasts(state: State) -> timedelta | None:
    """How long a state holds before it ends by itself; None for ever."""
    return LASTS.get(state)


def mermaid() -> str:
    """The dialog as a Mermaid state diagram.

    In a state's box stand its name and what is answered without leaving it; one arrow stands for
    all that leads from one state to another.
    """
    return "\n".join(("stateDiagram-v2", *_drawing()))


def _drawing() -> Iterator[str]:
    yield f"    [*] --> {State.IDLE.name}"
    yield from _lines("ANYWHERE", ANYWHERE)
    for state, arrows in TABLE.items():
        yield from _lines(state.name, arrows)


def _lines(source: str, arrows: Mapping[Event, Arrow]) -> Iterator[str]:
    yield f"    {source} : {source}"
    leading: dict[str, list[str]] = {}
    for event, arrow in arrows.items():
        if arrow.target is STAY:
            yield f"    {source} : {_label(event, arrow)}"
        else:
            leading.setdefault(arrow.target.name, []).append(_label(event, arrow))
    for target, labels in leading.items():
        yield f"    {source} --> {target} : {'<br>'.join(labels)}"


def _label(event: Event, arrow: Arrow) -> str:
    return f"{event.name} / {', '.join(map(_caption, arrow.effects))}".rstrip(" /")


def _caption(effect: Effect) -> str:
    return " ".join((type(effect).__name__, *vars(effect).values()))
