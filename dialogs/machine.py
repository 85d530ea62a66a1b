"""The machine that runs a dialog's table: one pure step, and the drawing of it."""

from collections.abc import Iterable, Iterator
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
    """The dialog as a Mermaid state diagram."""
    return "\n".join(("stateDiagram-v2", *_drawing()))


def _drawing() -> Iterator[str]:
    yield "    direction LR"
    yield f"    [*] --> {State.IDLE.name}"
    yield "    state ANYWHERE {"
    yield from (f"        {state.name}" for state in State)
    yield "    }"
    for state, arrows in TABLE.items():
        yield from _lines(state.name, state.name, arrows.items())
    yield from _lines("ANYWHERE", "ANYWHERE", ANYWHERE.items())


def _lines(source: str, stay: str, arrows: Iterable[tuple[Event, Arrow]]) -> Iterator[str]:
    for event, arrow in arrows:
        target = stay if arrow.target is STAY else arrow.target.name
        label = "<br>".join((event.name, *map(_caption, arrow.effects)))
        yield f"    {source} --> {target}: {label}"


def _caption(effect: Effect) -> str:
    phrase = getattr(effect, "phrase", "")
    return f"{type(effect).__name__} {phrase}".rstrip()
