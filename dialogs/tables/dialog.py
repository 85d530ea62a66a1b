"""What a dialog is made of: a plain table of states, events and arrows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

from dialogs.vocabulary import Effect

STAY = None

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


class Arrow(NamedTuple, Generic[S]):
    """Where an event leads and what is done on the way."""

    target: S | None
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True)
class Dialog(Generic[S, E]):
    """A whole dialog. `anywhere` holds in every state that has no arrow of its own for the event."""

    start: S
    table: Mapping[S, Mapping[E, Arrow[S]]]
    anywhere: Mapping[E, Arrow[S]]
    lasts: Mapping[S, timedelta]
