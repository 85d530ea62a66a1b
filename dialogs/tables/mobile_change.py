"""The table of a change of registered mobile: two staff members, a warning to the old one, a day's delay.

The registered mobile receives the codes, so no one person can change it, nor without the old mobile's knowing. While
the change is held, codes go to neither mobile, and the old one can stop it.
"""

from datetime import timedelta

from dialogs.staff_vocabulary import (
    ChangeEvent,
    ChangeState,
    HoldMobile,
    SetMobile,
    TellNewMobile,
    TellOldMobile,
    TellStaff,
)
from dialogs.tables.dialog import STAY, Arrow, Dialog

_TABLE: dict[ChangeState, dict[ChangeEvent, Arrow[ChangeState]]] = {
    ChangeState.NONE: {
        ChangeEvent.PROPOSED: Arrow(ChangeState.PROPOSED),
    },
    ChangeState.PROPOSED: {
        ChangeEvent.PROPOSED: Arrow(ChangeState.PROPOSED),  # another number: it takes the place of the first
        ChangeEvent.APPROVED: Arrow(ChangeState.HELD, (HoldMobile(), TellOldMobile("mobile_changing"))),
        ChangeEvent.OVERTAKEN: Arrow(ChangeState.NONE),
        ChangeEvent.WITHDRAWN: Arrow(ChangeState.NONE),
        ChangeEvent.TIMED_OUT: Arrow(ChangeState.NONE),
    },
    ChangeState.HELD: {
        ChangeEvent.OBJECTED: Arrow(ChangeState.NONE, (TellStaff("staff_mobile_stopped"),)),
        ChangeEvent.OVERTAKEN: Arrow(ChangeState.NONE),
        ChangeEvent.WITHDRAWN: Arrow(ChangeState.NONE),
        ChangeEvent.TIMED_OUT: Arrow(
            ChangeState.NONE,
            (SetMobile(), TellOldMobile("mobile_changed"), TellNewMobile("mobile_registered")),
        ),
    },
}

# What comes too late, or twice, changes nothing.
_ANYWHERE: dict[ChangeEvent, Arrow[ChangeState]] = {event: Arrow(STAY) for event in ChangeEvent}

_LASTS: dict[ChangeState, timedelta] = {
    ChangeState.PROPOSED: timedelta(minutes=30),
    ChangeState.HELD: timedelta(hours=24),
}

MOBILE_CHANGE = Dialog(ChangeState.NONE, _TABLE, _ANYWHERE, _LASTS)
