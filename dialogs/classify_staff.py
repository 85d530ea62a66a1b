"""What a staff member's text orders: the text and the facts make one event, or none where it is no order."""

from dialogs.staff_vocabulary import Confirmation, NewMobile, Reach, StaffEvent, StaffFacts
from dialogs.vocabulary import Intent, Naming, ParsedMessage

# Replies an hour to one staff member, besides those to orders that were carried out: a busy clerk's. Who forges the
# number can't have the clerk texted without end.
REPLIES_PER_HOUR = 120

ORDERS = {Intent.STAFF_RESET, Intent.STAFF_UNLOCK, Intent.STAFF_STATUS, Intent.STAFF_STATS, Intent.STAFF_MOBILE}

_CONFIRMED = {
    Confirmation.RIGHT: StaffEvent.CONFIRMED,
    Confirmation.IN_VAIN: StaffEvent.CONFIRMED_IN_VAIN,
    Confirmation.TOO_OFTEN: StaffEvent.CONFIRMED_TOO_OFTEN,
    Confirmation.WRONG: StaffEvent.WRONG_CONFIRMATION,
    Confirmation.LAST: StaffEvent.LAST_WRONG_CONFIRMATION,
}
_NAMED_WRONGLY = {
    Naming.NOBODY: StaffEvent.NAMED_NOBODY,
    Naming.INVALID: StaffEvent.NAMED_INVALID,
    Naming.SEVERAL: StaffEvent.NAMED_SEVERAL,
    Naming.FOREIGN: StaffEvent.REFUSED,
}
_NEW_MOBILE = {
    NewMobile.MISSING: StaffEvent.MOBILE_ORDERED_WITHOUT_NUMBER,
    NewMobile.FIRST: StaffEvent.MOBILE_ORDERED,
    NewMobile.AGAIN: StaffEvent.MOBILE_ORDERED_AGAIN,
    NewMobile.BY_SECOND: StaffEvent.MOBILE_ORDERED_BY_SECOND,
}


def is_order(heard: ParsedMessage, facts: StaffFacts) -> bool:
    """Whether the text orders something. A reset of one's own account is a recovery, as anyone's is."""
    if heard.own_password:
        return False
    return heard.intent in ORDERS and not (heard.intent is Intent.STAFF_RESET and facts.is_own)


def confirmed(confirmation: Confirmation) -> StaffEvent:
    """What it is that a confirmation code was texted back."""
    return _CONFIRMED[confirmation]


def ordered(heard: ParsedMessage, facts: StaffFacts) -> StaffEvent:
    """The one event that an order is."""
    if heard.intent is Intent.STAFF_STATS:
        return StaffEvent.STATS_ORDERED
    if heard.naming is not Naming.ONE:
        return _NAMED_WRONGLY[heard.naming]
    if facts.reach is not Reach.IN_SCOPE:
        return StaffEvent.REFUSED
    if heard.intent is Intent.STAFF_STATUS:
        return StaffEvent.STATUS_ORDERED
    return StaffEvent.REFUSED_TOO_OFTEN if facts.too_often else _to_confirm(heard, facts)


def _to_confirm(heard: ParsedMessage, facts: StaffFacts) -> StaffEvent:
    if heard.intent is Intent.STAFF_UNLOCK:
        return StaffEvent.UNLOCK_ORDERED if facts.locked else StaffEvent.UNLOCK_OF_OPEN_ORDERED
    if facts.held:
        return StaffEvent.ORDERED_WHILE_HELD
    return _NEW_MOBILE[facts.new_mobile] if heard.intent is Intent.STAFF_MOBILE else _reset(facts)


def _reset(facts: StaffFacts) -> StaffEvent:
    if facts.locked:
        return StaffEvent.RESET_OF_LOCKED_ORDERED
    return StaffEvent.RESET_OF_SILENT_ORDERED if facts.silent else StaffEvent.RESET_ORDERED
