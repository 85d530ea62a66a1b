"""What a staff member's text orders or confirms: the text and the facts make one event, or none where it is neither."""

from dialogs.staff_vocabulary import Command, NewMobile, Reach, StaffEvent, StaffFacts
from dialogs.vocabulary import CodeResult, Intent, Naming, ParsedMessage

ORDERS = {Intent.STAFF_RESET, Intent.STAFF_UNLOCK, Intent.STAFF_STATUS, Intent.STAFF_STATS, Intent.STAFF_MOBILE}

_BY_RESULT = {
    CodeResult.WRONG: StaffEvent.WRONG_CONFIRMATION,
    CodeResult.LAST_WRONG: StaffEvent.LAST_WRONG_CONFIRMATION,
    CodeResult.LOCKING_WRONG: StaffEvent.LOCKING_WRONG_CONFIRMATION,
    CodeResult.NO_LIVE_CODE: StaffEvent.NO_LIVE_CONFIRMATION,
    CodeResult.UNKNOWN_KEY: StaffEvent.CONFIRMATION_UNDER_UNKNOWN_KEY,
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


def is_order(message: ParsedMessage, facts: StaffFacts) -> bool:
    """Whether the text orders something. A reset of one's own account is a recovery, as anyone's is."""
    if message.own_password:
        return False
    return message.intent in ORDERS and not (message.intent is Intent.STAFF_RESET and facts.is_own)


def ordered(message: ParsedMessage, facts: StaffFacts) -> StaffEvent:
    """The one event that an order is."""
    if facts.locked_out:
        return StaffEvent.LOCKED_OUT
    if message.intent is Intent.STAFF_STATS:
        return StaffEvent.STATS_ORDERED
    if message.naming is not Naming.ONE:
        return _NAMED_WRONGLY[message.naming]
    if facts.reach is not Reach.IN_SCOPE:
        return StaffEvent.REFUSED
    if message.intent is Intent.STAFF_STATUS:
        return StaffEvent.STATUS_ORDERED
    return _to_confirm(message, facts)


def confirmed(result: CodeResult, facts: StaffFacts) -> StaffEvent:
    """The one event that a confirmation code is. What it confirms must still be right: much may have changed since."""
    if result is not CodeResult.RIGHT:
        return _BY_RESULT[result]
    if facts.reach is not Reach.IN_SCOPE or facts.is_own:
        return StaffEvent.CONFIRMED_OUT_OF_SCOPE
    if facts.command is Command.RESET:
        return _confirmed_reset(facts)
    if facts.command is Command.APPROVE_MOBILE and facts.new_mobile is not NewMobile.BY_SECOND:
        return StaffEvent.CONFIRMED_WITHOUT_PROPOSAL
    if facts.command is Command.PROPOSE_MOBILE and facts.held:
        return StaffEvent.CONFIRMED_WHILE_HELD
    return StaffEvent.CONFIRMED


def _to_confirm(message: ParsedMessage, facts: StaffFacts) -> StaffEvent:
    if facts.is_own:
        return StaffEvent.OWN_ACCOUNT_ORDERED
    if facts.codes_used_up or (message.intent is Intent.STAFF_RESET and facts.resets_used_up):
        return StaffEvent.REFUSED_TOO_OFTEN
    if message.intent is Intent.STAFF_UNLOCK:
        return StaffEvent.UNLOCK_ORDERED if facts.locked else StaffEvent.UNLOCK_OF_OPEN_ORDERED
    if facts.held:
        return StaffEvent.ORDERED_WHILE_HELD
    return _NEW_MOBILE[facts.new_mobile] if message.intent is Intent.STAFF_MOBILE else _reset(facts)


def _reset(facts: StaffFacts) -> StaffEvent:
    if facts.locked:
        return StaffEvent.RESET_OF_LOCKED_ORDERED
    return StaffEvent.RESET_OF_SILENT_ORDERED if facts.silent else StaffEvent.RESET_ORDERED


def _confirmed_reset(facts: StaffFacts) -> StaffEvent:
    if facts.resets_used_up:
        return StaffEvent.CONFIRMED_TOO_OFTEN
    if facts.held:
        return StaffEvent.CONFIRMED_WHILE_HELD
    if facts.locked:
        return StaffEvent.CONFIRMED_RESET_OF_LOCKED
    return StaffEvent.CONFIRMED_RESET_OF_SILENT if facts.silent else StaffEvent.CONFIRMED
