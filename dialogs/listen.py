"""What a text means, given what is known: a text and the facts make exactly one event."""

from dialogs.vocabulary import Allowance, Asker, Event, Facts, Guess, Heard, Intent, Naming, Season

# Replies an hour to one phone. What is not understood may be another bot's chatter, and two bots
# must not talk for ever; a clerk who helps several pilgrims from one phone needs more.
SHRUGS_PER_HOUR = 3
HINTS_PER_HOUR = 10

# Outside staff, a staff word for a reset is a request like any other; the rest are not understood.
_REQUESTS = {Intent.RECOVER, Intent.CHANGE, Intent.STAFF_RESET}

_NAMED_WRONGLY = {
    Naming.NOBODY: Event.ASKED_WITHOUT_ID,
    Naming.INVALID: Event.ASKED_WITH_INVALID_ID,
    Naming.SEVERAL: Event.ASKED_WITH_SEVERAL_IDS,
    Naming.FOREIGN: Event.ASKED_WITH_FOREIGN_ID,
}
_OUT_OF_SEASON = {Season.OPENS_LATER: Event.ASKED_BEFORE_SEASON, Season.CLOSED: Event.ASKED_OUT_OF_SEASON}
_FROM_OWNER = {
    Allowance.YES: Event.ASKED,
    Allowance.TOO_SOON: Event.ASKED_TOO_SOON,
    Allowance.TOO_OFTEN: Event.ASKED_TOO_OFTEN,
}
_GUESSED = {
    Guess.RIGHT: Event.RIGHT_CODE,
    Guess.WRONG: Event.WRONG_CODE,
    Guess.LAST: Event.LAST_WRONG_CODE,
    Guess.LOCKING: Event.LOCKING_WRONG_CODE,
    Guess.NO_LIVE_CODE: Event.NO_LIVE_CODE,
}
_SAID = {Intent.HELP: Event.HELP, Intent.OPT_OUT: Event.STOP, Intent.OPT_IN: Event.START}

# What is left of an event for a phone that has had its replies for the hour.
_HINTED = {
    Event.ASKED_FROM_OTHER_PHONE: Event.ASKED_FROM_OTHER_PHONE_UNHEARD,
    Event.ASKED_IN_VAIN: Event.UNANSWERED,
    Event.ASKED_TOO_SOON: Event.UNANSWERED,
    Event.ASKED_TOO_OFTEN: Event.UNANSWERED,
    Event.ASKED_WITHOUT_ID: Event.UNANSWERED,
    Event.ASKED_WITH_INVALID_ID: Event.UNANSWERED,
    Event.ASKED_WITH_SEVERAL_IDS: Event.UNANSWERED,
    Event.ASKED_WITH_FOREIGN_ID: Event.UNANSWERED,
    Event.ASKED_BEFORE_SEASON: Event.UNANSWERED,
    Event.ASKED_OUT_OF_SEASON: Event.UNANSWERED,
    Event.OFFERED_OWN_PASSWORD: Event.UNANSWERED,
    Event.NO_LIVE_CODE: Event.UNANSWERED,
    Event.HELP: Event.UNANSWERED,
    Event.NOTHING_TO_CANCEL: Event.UNANSWERED,
    Event.START: Event.UNANSWERED,
}


def is_request(heard: Heard) -> bool:
    """Whether the text asks for a code."""
    return heard.intent in _REQUESTS and not is_offer(heard)


def is_guess(heard: Heard, has_live_code: bool) -> bool:
    """Whether the text hands back a code.

    A keyword with a run as long as a code is a guess only where a code is awaited; else
    the run is taken for a mistyped national ID.
    """
    if heard.code is None or is_offer(heard):
        return False
    return heard.intent is Intent.CODE or (has_live_code and is_request(heard) and heard.naming is not Naming.ONE)


def is_offer(heard: Heard) -> bool:
    """Whether the text brings a password of the sender's own."""
    return heard.own_password


def listen(heard: Heard, facts: Facts) -> Event:
    """The one event that the text is. `facts.guess` is there just when `is_guess` holds."""
    if facts.opted_out and not (is_request(heard) or heard.intent is Intent.OPT_IN):
        return Event.UNANSWERED
    event = _meaning(heard, facts)
    if event is Event.NOT_UNDERSTOOD and facts.shrugged_this_hour >= SHRUGS_PER_HOUR:
        return Event.UNANSWERED
    if facts.hinted_this_hour >= HINTS_PER_HOUR and not facts.opted_out:
        return _HINTED.get(event, event)
    return event


def _meaning(heard: Heard, facts: Facts) -> Event:
    if facts.guess is not None:
        return _GUESSED[facts.guess]
    if is_offer(heard):
        return Event.OFFERED_OWN_PASSWORD
    if is_request(heard):
        return _request(heard, facts)
    if heard.intent is Intent.CANCEL:
        return Event.CANCEL if facts.in_dialog else Event.NOTHING_TO_CANCEL
    return _SAID.get(heard.intent, Event.NOT_UNDERSTOOD)


def _request(heard: Heard, facts: Facts) -> Event:
    if facts.season is not Season.OPEN:
        return _OUT_OF_SEASON[facts.season]
    if heard.naming is not Naming.ONE:
        return _NAMED_WRONGLY[heard.naming]
    if facts.asker is Asker.OWNER:
        return _FROM_OWNER[facts.allowance]
    if facts.asker is Asker.OTHER_PHONE and facts.allowance is Allowance.YES:
        return Event.ASKED_FROM_OTHER_PHONE
    return Event.ASKED_IN_VAIN
