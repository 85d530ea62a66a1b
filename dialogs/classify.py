"""What a text means, given what is known: a text and the facts make exactly one event."""

from dialogs import classify_staff
from dialogs.parsing.parse import from_staff
from dialogs.staff_vocabulary import StaffEvent
from dialogs.tables.machine import step
from dialogs.vocabulary import (
    Allowance,
    AnyEvent,
    Asker,
    CodeResult,
    Event,
    Facts,
    Hint,
    Intent,
    Naming,
    ParsedMessage,
    PasswordVerdict,
    Season,
    Shrug,
    State,
)

# Replies an hour to one phone. Whoever names nobody may be another bot, whatever it says, and two bots must not
# talk for ever: they have no right ID. A clerk who helps several pilgrims from one phone needs more.
SHRUGS_PER_HOUR = 3
HINTS_PER_HOUR = 10
REPLIES_TO_WHO_NAMES_NOBODY = 3

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
_GUESSED = {
    CodeResult.RIGHT: Event.RIGHT_CODE,
    CodeResult.WRONG: Event.WRONG_CODE,
    CodeResult.LAST: Event.LAST_WRONG_CODE,
    CodeResult.LOCKING: Event.LOCKING_WRONG_CODE,
    CodeResult.NO_LIVE_CODE: Event.NO_LIVE_CODE,
}
_WITH_RIGHT_CODE = {
    PasswordVerdict.GOOD: Event.RIGHT_CODE_AND_PASSWORD,
    PasswordVerdict.SHORT: Event.RIGHT_CODE_AND_SHORT_PASSWORD,
    PasswordVerdict.COMMON: Event.RIGHT_CODE_AND_COMMON_PASSWORD,
    PasswordVerdict.PERSONAL: Event.RIGHT_CODE_AND_PERSONAL_PASSWORD,
}
_OFFERED = {
    PasswordVerdict.GOOD: Event.NEW_PASSWORD,
    PasswordVerdict.SHORT: Event.SHORT_PASSWORD,
    PasswordVerdict.COMMON: Event.COMMON_PASSWORD,
    PasswordVerdict.PERSONAL: Event.PERSONAL_PASSWORD,
    PasswordVerdict.TOO_LATE: Event.PASSWORD_TOO_LATE,
}
_GLOBAL = {Intent.HELP, Intent.CANCEL, Intent.OPT_OUT, Intent.OPT_IN}
_SAID = {Intent.HELP: Event.HELP, Intent.OPT_OUT: Event.STOP, Intent.OPT_IN: Event.START}

_OBJECTIONS = {Intent.CANCEL: Event.OBJECTED, Intent.OPT_OUT: Event.OBJECTED_BY_STOP}
_AT_REST = {Intent.HELP: StaffEvent.HELP, Intent.UNKNOWN: StaffEvent.NOT_UNDERSTOOD}

# What is left of an event for a phone that has had its replies for the hour: what it wants is done, unsaid.
UNHEARD = {
    Event.ASKED_FROM_OTHER_PHONE: Event.ASKED_FROM_OTHER_PHONE_UNHEARD,
    Event.ASKED_IN_VAIN: Event.ASKED_UNHEARD,
    Event.ASKED_TOO_SOON: Event.ASKED_UNHEARD,
    Event.ASKED_TOO_OFTEN: Event.ASKED_UNHEARD,
    Event.ASKED_WITHOUT_ID: Event.ASKED_UNHEARD,
    Event.ASKED_WITH_INVALID_ID: Event.ASKED_UNHEARD,
    Event.ASKED_WITH_SEVERAL_IDS: Event.ASKED_UNHEARD,
    Event.ASKED_WITH_FOREIGN_ID: Event.ASKED_UNHEARD,
    Event.ASKED_BEFORE_SEASON: Event.ASKED_UNHEARD,
    Event.ASKED_OUT_OF_SEASON: Event.ASKED_UNHEARD,
    Event.ASKED_TO_CHANGE_TOO_SOON: Event.ASKED_UNHEARD,
    Event.ASKED_TO_CHANGE_WITHOUT_ID: Event.ASKED_UNHEARD,
    Event.CANCEL: Event.CANCEL_UNHEARD,
    Event.STOP: Event.STOP_UNHEARD,
    Event.START: Event.START_UNHEARD,
}

_ORDERS_HINTED = dict.fromkeys(
    (
        StaffEvent.RESET_OF_LOCKED_ORDERED,
        StaffEvent.RESET_OF_SILENT_ORDERED,
        StaffEvent.UNLOCK_OF_OPEN_ORDERED,
        StaffEvent.STATUS_ORDERED,
        StaffEvent.STATS_ORDERED,
        StaffEvent.MOBILE_ORDERED_AGAIN,
        StaffEvent.MOBILE_ORDERED_WITHOUT_NUMBER,
        StaffEvent.ORDERED_WHILE_HELD,
        StaffEvent.REFUSED,
        StaffEvent.REFUSED_TOO_OFTEN,
        StaffEvent.NAMED_INVALID,
        StaffEvent.NAMED_SEVERAL,
        StaffEvent.NAMED_NOBODY,
        StaffEvent.NO_LIVE_CONFIRMATION,
        StaffEvent.HELP,
    ),
    StaffEvent.UNANSWERED,
)


def is_request(heard: ParsedMessage) -> bool:
    """Whether the text asks for a code."""
    return heard.intent in _REQUESTS and not heard.own_password


def is_guess(heard: ParsedMessage, state: State, *, has_live_code: bool, own_password_allowed: bool) -> bool:
    """Whether the text hands back a code, and a try is to be spent.

    Where one is out to the phone, a lone run as long as a code is one, whatever stands
    beside it; elsewhere it must be all that the text is about. A code with a password of
    one's own is a guess only where such passwords are taken: else it would be spent in vain.
    """
    if brings_password(heard, state):
        return own_password_allowed
    if heard.code is None or (state is State.AWAITING_NEW_PASSWORD and not has_live_code):
        return False
    return has_live_code or heard.intent is Intent.CODE


def brings_password(heard: ParsedMessage, state: State) -> bool:
    """Whether the text brings a code and a password of the sender's own at once."""
    return heard.own_password or (heard.password_follows and state is State.AWAITING_CODE_TO_CHANGE)


def is_password(heard: ParsedMessage, state: State) -> bool:
    """Whether the text, as it is, is the password that is awaited. Words that hold everywhere are not."""
    if state is not State.AWAITING_NEW_PASSWORD or heard.own_password:
        return False
    return heard.intent not in _GLOBAL and heard.naming is not Naming.ONE


def classify(heard: ParsedMessage, facts: Facts) -> AnyEvent:
    """The one event that the text is. `guess` and `offer` are there just when the text makes them."""
    heard = from_staff(heard) if facts.staff else heard
    order = _order(heard, facts)
    if order is not None:
        return order
    if facts.opted_out and not (is_request(heard) or heard.intent is Intent.OPT_IN):
        return Event.UNANSWERED
    event = _meaning(heard, facts)
    return UNHEARD.get(event, Event.UNANSWERED) if _is_said_often_enough(event, facts) else event


def _is_said_often_enough(event: Event, facts: Facts) -> bool:
    """Whether the reply to an event is beyond what a phone gets in an hour. A first STOP is always confirmed."""
    if event is Event.STOP:
        return facts.stop_confirmed_this_hour
    kinds = {type(effect) for effect in step(facts.state, event)[1]}
    if kinds.isdisjoint({Hint, Shrug}):
        return False
    shrugged, hinted = facts.unparsed_replies_this_hour, facts.hints_this_hour
    if not (facts.named_this_hour or facts.staff) and shrugged + hinted >= REPLIES_TO_WHO_NAMES_NOBODY:
        return True
    return shrugged >= SHRUGS_PER_HOUR if Shrug in kinds else hinted >= _most_hints(facts)


def _most_hints(facts: Facts) -> int:
    return HINTS_PER_HOUR if facts.staff is None else classify_staff.REPLIES_PER_HOUR


def _order(heard: ParsedMessage, facts: Facts) -> StaffEvent | None:
    """What a staff member orders or confirms; None for whatever anybody might text."""
    if facts.staff is None:
        return None
    event = _ordered(heard, facts)
    if event is StaffEvent.NOT_UNDERSTOOD and facts.unparsed_replies_this_hour >= SHRUGS_PER_HOUR:
        return StaffEvent.UNANSWERED
    return _ORDERS_HINTED.get(event, event) if event and facts.hints_this_hour >= _most_hints(facts) else event


def _ordered(heard: ParsedMessage, facts: Facts) -> StaffEvent | None:
    assert facts.staff is not None
    # A right code of one's own account, or a wrong one, is spoken of first: it is the one that fails.
    if facts.staff.confirmation is not None and facts.guess in {None, CodeResult.NO_LIVE_CODE}:
        return classify_staff.confirmed(facts.staff.confirmation)
    if classify_staff.is_order(heard, facts.staff):
        return classify_staff.ordered(heard, facts.staff)
    return None if facts.opted_out or facts.state is not State.IDLE else _at_rest(heard, facts)


def _at_rest(heard: ParsedMessage, facts: Facts) -> StaffEvent | None:
    if facts.guess is CodeResult.NO_LIVE_CODE:
        return StaffEvent.NO_LIVE_CONFIRMATION
    if facts.guess is not None or facts.mobile_held:
        return None
    return _AT_REST.get(heard.intent)


def _meaning(heard: ParsedMessage, facts: Facts) -> Event:
    if facts.guess is not None and not (facts.guess is CodeResult.WRONG and _asks_all_the_same(heard)):
        return _guess(facts.guess, heard, facts)
    if facts.mobile_held and (heard.objects or heard.intent in _OBJECTIONS):
        return _OBJECTIONS.get(heard.intent, Event.OBJECTED)
    if facts.offer is not None:
        return _OFFERED[facts.offer]
    if brings_password(heard, facts.state) or is_password(heard, facts.state):
        return Event.OFFERED_OWN_PASSWORD if not facts.own_password_allowed else Event.NOT_UNDERSTOOD
    return _request(heard, facts) if is_request(heard) else _said(heard, facts)


def _asks_all_the_same(heard: ParsedMessage) -> bool:
    """Whether a wrong code stands beside a keyword and an ID: it is a request, though a try is spent."""
    return heard.naming is Naming.ONE and is_request(heard)


def _said(heard: ParsedMessage, facts: Facts) -> Event:
    if heard.intent is Intent.CANCEL:
        return Event.CANCEL if facts.in_dialog else Event.NOTHING_TO_CANCEL
    return _SAID.get(heard.intent, Event.NOT_UNDERSTOOD)


def _guess(guess: CodeResult, heard: ParsedMessage, facts: Facts) -> Event:
    if guess is not CodeResult.RIGHT or not facts.own_password_allowed:
        return _GUESSED[guess]
    if facts.offer is not None:
        return _WITH_RIGHT_CODE[facts.offer]
    changing = heard.own_password or facts.state is State.AWAITING_CODE_TO_CHANGE
    return Event.RIGHT_CODE_TO_CHANGE if changing else Event.RIGHT_CODE


def _request(heard: ParsedMessage, facts: Facts) -> Event:
    changing = heard.intent is Intent.CHANGE
    if facts.season is not Season.OPEN:
        return _OUT_OF_SEASON[facts.season]
    if heard.naming is not Naming.ONE:
        return _NAMED_WRONGLY_TO_CHANGE[heard.naming] if changing else _NAMED_WRONGLY[heard.naming]
    if facts.asker is Asker.OWNER:
        return _to_change(facts) if changing else _FROM_OWNER[facts.allowance]
    if facts.asker is Asker.OTHER_PHONE and facts.allowance is Allowance.YES:
        return Event.ASKED_FROM_OTHER_PHONE
    return Event.ASKED_IN_VAIN


def _to_change(facts: Facts) -> Event:
    if facts.allowance is Allowance.YES and not facts.own_password_allowed:
        return Event.ASKED_TO_CHANGE_AT_FAKHER
    return _FROM_OWNER_TO_CHANGE[facts.allowance]
