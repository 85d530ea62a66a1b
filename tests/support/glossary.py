"""The names that the dialog, the store and the settings are written in, by what they are."""

from enum import Enum
from typing import get_args

from bot.settings import Settings
from dialogs.staff_vocabulary import ChangeEvent, ChangeState, StaffEvent, StaffState
from dialogs.vocabulary import Effect, Event, State
from store.tables import METADATA


def _members(*enums: type[Enum]) -> frozenset[str]:
    return frozenset(member.name for each in enums for member in each)


STATES = _members(State, StaffState, ChangeState)
EVENTS = _members(Event, StaffEvent, ChangeEvent)
EFFECTS = frozenset(effect.__name__ for effect in get_args(Effect))
TABLES = frozenset(METADATA.tables)
SETTINGS = frozenset(name.upper() for name in Settings.model_fields)

BY_HEADING = {
    "People and things": TABLES,
    "States": STATES,
    "What a pilgrim's text turns out to mean (events)": _members(Event),
    "What a staff member's text turns out to mean (events)": _members(StaffEvent),
    "What happens to a change of mobile (events)": _members(ChangeEvent),
    "What is done (effects)": EFFECTS,
    "Settings": SETTINGS,
}
