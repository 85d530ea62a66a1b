"""The words of what staff order: states, events, effects, and what is known when they text."""

from dataclasses import dataclass
from enum import StrEnum, auto


class Role(StrEnum):
    """Whose accounts a staff member may work on."""

    PROVINCIAL = auto()  # their own province's
    BROKER = auto()  # their own pilgrims'
    HEADQUARTERS = auto()  # everybody's


class Command(StrEnum):
    """What a confirmation code carries out."""

    RESET = auto()
    UNLOCK = auto()
    PROPOSE_MOBILE = auto()
    APPROVE_MOBILE = auto()


class StaffState(StrEnum):
    """What a staff member is being asked to confirm. It lasts as long as the confirmation code."""

    AT_REST = auto()
    CONFIRMING_RESET = auto()
    CONFIRMING_UNLOCK = auto()
    CONFIRMING_PROPOSAL = auto()
    CONFIRMING_APPROVAL = auto()


CONFIRMING = {
    Command.RESET: StaffState.CONFIRMING_RESET,
    Command.UNLOCK: StaffState.CONFIRMING_UNLOCK,
    Command.PROPOSE_MOBILE: StaffState.CONFIRMING_PROPOSAL,
    Command.APPROVE_MOBILE: StaffState.CONFIRMING_APPROVAL,
}


class StaffEvent(StrEnum):
    """What a text from a staff member's number turned out to order."""

    RESET_ORDERED = auto()
    RESET_OF_LOCKED_ORDERED = auto()  # recovery is closed: it is to be unlocked first
    RESET_OF_SILENT_ORDERED = auto()  # the registered mobile has said STOP
    UNLOCK_ORDERED = auto()
    UNLOCK_OF_OPEN_ORDERED = auto()  # recovery is not closed
    STATUS_ORDERED = auto()
    STATS_ORDERED = auto()
    MOBILE_ORDERED = auto()
    MOBILE_ORDERED_BY_SECOND = auto()  # another staff member has proposed this same number
    MOBILE_ORDERED_AGAIN = auto()  # by the one who proposed it
    MOBILE_ORDERED_WITHOUT_NUMBER = auto()  # or with one that can't be texted, or is registered already
    ORDERED_WHILE_HELD = auto()  # the mobile is being changed: codes go to neither
    REFUSED = auto()  # out of scope, unknown or inactive
    OWN_ACCOUNT_ORDERED = auto()  # the account that is registered on the staff member's own mobile
    LOCKED_OUT = auto()  # too many wrong confirmations in a row: an operator adds the staff member again
    REFUSED_TOO_OFTEN = auto()
    NAMED_INVALID = auto()
    NAMED_SEVERAL = auto()
    NAMED_NOBODY = auto()  # in an order to change a mobile

    # A confirmation code, texted back.
    CONFIRMED = auto()
    CONFIRMED_OUT_OF_SCOPE = auto()  # what was right when the order was given no longer is
    CONFIRMED_WHILE_HELD = auto()
    CONFIRMED_RESET_OF_LOCKED = auto()
    CONFIRMED_RESET_OF_SILENT = auto()
    CONFIRMED_WITHOUT_PROPOSAL = auto()  # the proposal is over, or of somebody who is no longer of staff
    CONFIRMED_TOO_OFTEN = auto()
    WRONG_CONFIRMATION = auto()
    LAST_WRONG_CONFIRMATION = auto()
    LOCKING_WRONG_CONFIRMATION = auto()  # the staff member's last failure in a row
    NO_LIVE_CONFIRMATION = auto()
    CONFIRMATION_UNDER_UNKNOWN_KEY = auto()  # this process lacks the key that made the code: no try is spent

    HELP = auto()
    NOT_UNDERSTOOD = auto()
    TIMED_OUT = auto()


class ChangeState(StrEnum):
    """Where a change of an account's registered mobile stands."""

    NONE = auto()
    PROPOSED = auto()  # by one staff member
    HELD = auto()  # approved by a second one; codes go to neither mobile


class ChangeEvent(StrEnum):
    """An event of a change of a registered mobile."""

    PROPOSED = auto()
    APPROVED = auto()
    OBJECTED = auto()  # the old mobile has texted back
    WITHDRAWN = auto()  # who proposed or approved it is no longer of staff
    OVERTAKEN = auto()  # the account's mobile is another one meanwhile, by an import
    TIMED_OUT = auto()


@dataclass(frozen=True)
class SendConfirmation:
    """A confirmation code to the staff member's own number, in a phrase; it voids the older one."""

    phrase: str


@dataclass(frozen=True)
class CloseOrder:
    """The order's code is used up; `done` says that the order is carried out."""

    done: bool = True


@dataclass(frozen=True)
class LockStaff:
    """No order of this staff member's is taken until an operator adds them again."""


@dataclass(frozen=True)
class SendCodeToAccount:
    """A one-time password to the registered mobile of the account that the order names."""


@dataclass(frozen=True)
class UnlockRecovery:
    """Codes work for the account again."""


@dataclass(frozen=True)
class MoveChange:
    """An event for the change of the account's mobile, which its own table decides (tables/mobile_change.py)."""

    event: ChangeEvent


@dataclass(frozen=True)
class RaiseAlarm:
    """A line in the log that operators are woken by."""

    alarm: str


@dataclass(frozen=True)
class HoldMobile:
    """Codes for the account go to neither mobile, and those that are out are void."""


@dataclass(frozen=True)
class SetMobile:
    """The new mobile is the registered one."""


@dataclass(frozen=True)
class TellOldMobile:
    """A phrase to the mobile that was registered before."""

    phrase: str


@dataclass(frozen=True)
class TellNewMobile:
    """A phrase to the mobile that is registered from now on."""

    phrase: str


@dataclass(frozen=True)
class TellStaff:
    """A phrase to the staff members who proposed and approved."""

    phrase: str


StaffEffect = SendConfirmation | CloseOrder | LockStaff | SendCodeToAccount | UnlockRecovery | RaiseAlarm
ChangeEffect = HoldMobile | SetMobile | TellOldMobile | TellNewMobile | TellStaff


class Reach(StrEnum):
    """Whether a staff member may work on the account that is named."""

    IN_SCOPE = auto()
    OUT_OF_SCOPE = auto()  # or unknown, or inactive


class NewMobile(StrEnum):
    """What the number in an order to change the mobile is."""

    MISSING = auto()
    FIRST = auto()  # nobody has proposed it
    AGAIN = auto()
    BY_SECOND = auto()


@dataclass(frozen=True)
class StaffFacts:
    """All that is known of a staff member and of the account that the order names, now or when it was given."""

    command: Command | None = None  # of the order that a right code has just confirmed
    reach: Reach = Reach.OUT_OF_SCOPE
    is_own: bool = False  # the account that is registered on this very phone
    locked: bool = False
    silent: bool = False
    held: bool = False
    resets_used_up: bool = False
    codes_used_up: bool = False
    locked_out: bool = False
    new_mobile: NewMobile = NewMobile.MISSING
