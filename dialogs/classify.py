"""What a text means, given what is known: a text and the facts make exactly one event."""

from dataclasses import replace

from dialogs import classify_staff
from dialogs.audit_vocabulary import Action, Outcome, Record
from dialogs.limits import STARTS_PER_HOUR
from dialogs.parsing.parse import from_staff
from dialogs.staff_vocabulary import StaffEvent
from dialogs.vocabulary import (
    Allowance,
    AnyEvent,
    Asker,
    CodePurpose,
    CodeResult,
    Event,
    Evidence,
    Facts,
    Intent,
    Naming,
    OwnPasswordVerdict,
    ParsedMessage,
    Season,
    State,
)

# Outside staff, a staff word for a reset is a request like any other, and so is an ID with a number; the rest are
# not understood.
_REQUESTS = {Intent.RECOVER, Intent.CHANGE, Intent.STAFF_RESET, Intent.STAFF_MOBILE}

_NAMED_WRONGLY = {
    Naming.NOBODY: Event.ASKED_WITHOUT_ID,
    Naming.INVALID: Event.ASKED_WITH_INVALID_ID,
    Naming.SEVERAL: Event.ASKED_WITH_SEVERAL_IDS,
    Naming.FOREIGN: Event.ASKED_WITH_FOREIGN_ID,
}
_NAMED_WRONGLY_TO_CHANGE = _NAMED_WRONGLY | {Naming.NOBODY: Event.ASKED_TO_CHANGE_WITHOUT_ID}
_OUT_OF_SEASON = {Season.OPENS_LATER: Event.ASKED_BEFORE_SEASON, Season.CLOSED: Event.ASKED_OUT_OF_SEASON}
_FROM_OWNER = {
    Allowance.YES: Event.ASKED,
    Allowance.TOO_SOON: Event.ASKED_TOO_SOON,
    Allowance.TOO_OFTEN: Event.ASKED_TOO_OFTEN,
}
_FROM_OWNER_TO_CHANGE = {
    Allowance.YES: Event.ASKED_TO_CHANGE,
    Allowance.TOO_SOON: Event.ASKED_TO_CHANGE_TOO_SOON,
    Allowance.TOO_OFTEN: Event.ASKED_TOO_OFTEN,
}
_BY_RESULT = {
    CodeResult.RIGHT: Event.RIGHT_CODE,
    CodeResult.WRONG: Event.WRONG_CODE,
    CodeResult.LAST_WRONG: Event.LAST_WRONG_CODE,
    CodeResult.LOCKING_WRONG: Event.LOCKING_WRONG_CODE,
    CodeResult.NO_LIVE_CODE: Event.NO_LIVE_CODE,
    CodeResult.UNKNOWN_KEY: Event.CODE_UNDER_UNKNOWN_KEY,
}
_WITH_RIGHT_CODE = {
    OwnPasswordVerdict.GOOD: Event.RIGHT_CODE_AND_PASSWORD,
    OwnPasswordVerdict.SHORT: Event.RIGHT_CODE_AND_SHORT_PASSWORD,
    OwnPasswordVerdict.COMMON: Event.RIGHT_CODE_AND_COMMON_PASSWORD,
    OwnPasswordVerdict.PERSONAL: Event.RIGHT_CODE_AND_PERSONAL_PASSWORD,
}
_USING_CODE = {Event.RIGHT_CODE, Event.RIGHT_CODE_AND_PASSWORD}
_OBJECTIONS = {Intent.CANCEL: Event.OBJECTED, Intent.OPT_OUT: Event.OBJECTED_BY_STOP}
# The audit's row for a try that was spent on a text which is a request all the same.
WRONG_BESIDE_REQUEST = Record(Action.CODE_TRIED, Outcome.FAILED, "wrong")
# What an ID alone is part of, where a staff member's word came before it.
_ORDER_AWAITED = {
    State.AWAITING_ID_TO_RESET: Intent.STAFF_RESET,
    State.AWAITING_ID_TO_UNLOCK: Intent.STAFF_UNLOCK,
    State.AWAITING_ID_FOR_STATUS: Intent.STAFF_STATUS,
}
_ORDERED_WITHOUT_ID = {
    Intent.STAFF_RESET: Event.RESET_ORDERED_WITHOUT_ID,
    Intent.STAFF_UNLOCK: Event.UNLOCK_ORDERED_WITHOUT_ID,
    Intent.STAFF_STATUS: Event.STATUS_ORDERED_WITHOUT_ID,
}
_STAFF_AT_REST = {Intent.HELP: StaffEvent.HELP, Intent.UNKNOWN: StaffEvent.NOT_UNDERSTOOD}


def as_staff_send_it(message: ParsedMessage, state: State) -> ParsedMessage:
    """The text, as it is to be understood from staff: an ID alone belongs to the order whose word came before it."""
    message = from_staff(message)
    awaited = _ORDER_AWAITED.get(state)
    is_alone = message.intent is Intent.RECOVER and Evidence.ASKS not in message.evidence
    return replace(message, intent=awaited) if awaited and is_alone else message


def is_request(message: ParsedMessage) -> bool:
    """Whether the text asks for a code."""
    return message.intent in _REQUESTS and not message.own_password


def hands_back_code(
    message: ParsedMessage, state: State, *, has_live_code: bool, own_password_allowed: bool, opted_out: bool
) -> bool:
    """Whether a try is to be spent on the text.

    Where a code is out to the phone, a lone run as long as one is a try, whatever stands beside it; elsewhere it must
    be all that the text is about. A code with a password of one's own is a try only where such passwords are taken:
    else it would be spent for nothing.
    """
    if opted_out:
        return False
    if brings_password(message, state, own_password_allowed=own_password_allowed):
        return own_password_allowed
    if message.code is None:
        return False
    return has_live_code or message.intent is Intent.CODE


def tries_beside_request(message: ParsedMessage, facts: Facts) -> bool:
    """Whether a wrong code stands beside a keyword and an ID: it is a request, though a try is spent."""
    return facts.result is CodeResult.WRONG and message.naming is Naming.ONE and is_request(message)


def brings_password(message: ParsedMessage, state: State, *, own_password_allowed: bool) -> bool:
    """Whether the text brings a code and a password of the sender's own at once.

    Several words, which may be ordinary talk, are one only where both were asked for in one text.
    """
    if message.own_password:
        return True
    if state is not State.AWAITING_CODE_TO_CHANGE:
        return False
    return message.password_follows or (message.phrase_follows and own_password_allowed)


def classify(message: ParsedMessage, facts: Facts) -> AnyEvent:
    """The one event that the text is."""
    message = as_staff_send_it(message, facts.state) if facts.staff else message
    of_staff = _of_staff(message, facts)
    if of_staff is not None:
        return of_staff
    if facts.opted_out and not (is_request(message) or _starts_again(message, facts)):
        return Event.CODE_WHILE_OPTED_OUT if message.intent is Intent.CODE else Event.UNANSWERED
    return _of_pilgrim(message, facts)


def _starts_again(message: ParsedMessage, facts: Facts) -> bool:
    return message.intent is Intent.OPT_IN and facts.starts_this_hour < STARTS_PER_HOUR


def _of_staff(message: ParsedMessage, facts: Facts) -> AnyEvent | None:
    """What a staff member orders or confirms; None for what any phone might text."""
    if facts.staff is None:
        return None
    if facts.result is not None and facts.purpose is CodePurpose.STAFF_ORDER:
        return classify_staff.confirmed(facts.result, facts.staff)
    if classify_staff.is_order(message, facts.staff):
        names_nobody = message.naming is Naming.NOBODY and not facts.staff.locked_out
        awaiting = _ORDERED_WITHOUT_ID.get(message.intent) if names_nobody else None
        return awaiting or classify_staff.ordered(message, facts.staff)
    is_at_rest = facts.state is State.IDLE or facts.state in _ORDER_AWAITED
    return _at_rest(message, facts) if is_at_rest and not facts.opted_out else None


def _at_rest(message: ParsedMessage, facts: Facts) -> StaffEvent | None:
    if facts.result is CodeResult.NO_LIVE_CODE:
        return StaffEvent.NO_LIVE_CONFIRMATION
    if facts.result is not None or facts.mobile_held:
        return None
    return _STAFF_AT_REST.get(message.intent)


def _of_pilgrim(message: ParsedMessage, facts: Facts) -> Event:
    if facts.result is not None and not tries_beside_request(message, facts):
        return _code(facts.result, facts)
    if facts.mobile_held and (message.objects or message.intent in _OBJECTIONS):
        return _OBJECTIONS.get(message.intent, Event.OBJECTED)
    if brings_password(message, facts.state, own_password_allowed=facts.own_password_allowed):
        return Event.OFFERED_OWN_PASSWORD if not facts.own_password_allowed else Event.NOT_UNDERSTOOD
    return _request(message, facts) if is_request(message) else _command(message, facts)


def _command(message: ParsedMessage, facts: Facts) -> Event:
    if message.intent is Intent.CANCEL:
        return Event.CANCEL if facts.in_dialog else Event.NOTHING_TO_CANCEL
    if message.intent is Intent.OPT_IN:
        return Event.START if facts.opted_out else Event.NOTHING_TO_START
    return {Intent.HELP: Event.HELP, Intent.OPT_OUT: Event.STOP}.get(message.intent, Event.NOT_UNDERSTOOD)


def _code(result: CodeResult, facts: Facts) -> Event:
    if result is not CodeResult.RIGHT:
        return _BY_RESULT[result]
    event = _right_code(facts)
    return Event.LAST_RIGHT_CODE if facts.was_last_try and event not in _USING_CODE else event


def _right_code(facts: Facts) -> Event:
    if facts.password is not None:
        return _WITH_RIGHT_CODE[facts.password]
    if facts.purpose is not CodePurpose.CHANGE:
        return Event.RIGHT_CODE
    return Event.RIGHT_CODE_WITHOUT_PASSWORD if facts.own_password_allowed else Event.RIGHT_CODE_FOR_FAKHER


def _request(message: ParsedMessage, facts: Facts) -> Event:
    changing = message.intent is Intent.CHANGE
    if facts.season is not Season.OPEN:
        return _OUT_OF_SEASON[facts.season]
    if message.naming is not Naming.ONE:
        return _NAMED_WRONGLY_TO_CHANGE[message.naming] if changing else _NAMED_WRONGLY[message.naming]
    if facts.asker is Asker.OWNER:
        return _to_change(facts) if changing else _FROM_OWNER[facts.allowance]
    if facts.asker is Asker.OTHER_PHONE and facts.allowance is Allowance.YES:
        return Event.ASKED_FROM_OTHER_PHONE
    return Event.ASKED_IN_VAIN


def _to_change(facts: Facts) -> Event:
    if facts.allowance is Allowance.YES and not facts.own_password_allowed:
        return Event.ASKED_TO_CHANGE_AT_FAKHER
    return _FROM_OWNER_TO_CHANGE[facts.allowance]
