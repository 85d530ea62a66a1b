"""What a text asks for, read by itself: the rules, in their order."""

from collections.abc import Callable, Sequence

from dialogs.parsing.lexicon import ORDERS, OTHER_BUSINESS, REQUESTS, Meaning
from dialogs.parsing.numbers import Number
from dialogs.parsing.own_password import offered
from dialogs.parsing.tokens import Tokens, read
from dialogs.vocabulary import Intent, Naming, ParsedMessage

# How many words may stand beside those that decide, most often such as mean nothing here.
_FEW = 3
_MANY = 8

# STOP and START are the point of a text as short as this.
_SHORT = 3

_OPT_OUT_NUMBER, _OPT_IN_NUMBER = "11", "12"
# From a number written without its zero to one with a country's code and the zeros before it.
_MOBILE_DIGITS = range(10, 16)

_QUESTION_MARKS = frozenset("?؟")


def parse(text: str, code_length: int = 6) -> ParsedMessage:
    """What a text means by itself. Any text at all has a meaning, if only UNKNOWN."""
    said = read(text, code_length)
    intent = next((intent for holds, intent in _RULES if holds(said)), Intent.UNKNOWN)
    naming = _naming(said, intent)
    brings_password = offered(text, code_length) is not None
    return ParsedMessage(
        intent=intent,
        naming=naming,
        national_id=next(iter(said.ids)) if naming is Naming.ONE else None,
        code=said.code if intent in _WITH_CODE else None,
        language=said.language if said.words or not brings_password else None,  # a password is in none
        own_password=intent is Intent.CHANGE and _brings_password(said),
        password_follows=naming is not Naming.ONE and brings_password,
        mobile=_mobile(said) if intent is Intent.STAFF_MOBILE else None,
        objects=_objects(said),
    )


def _opts_out(said: Tokens) -> bool:
    short = len(said.words) <= _SHORT
    if short and said.is_just(_OPT_OUT_NUMBER):
        return not said.words or said.says(Meaning.STOP, Meaning.CANCEL, Meaning.MESSAGES)
    if short and said.says(Meaning.STOP) and not said.strange:
        return not said.says_any(REQUESTS | OTHER_BUSINESS)
    refused = said.says(Meaning.REFUSAL) and said.says(Meaning.MESSAGES) and not said.says(Meaning.ONE_TIME)
    return refused and not said.has_strange(beyond=_FEW) and not said.says_any(REQUESTS)


def _cancels(said: Tokens) -> bool:
    if said.says_any(OTHER_BUSINESS) or said.has_strange(beyond=1) or len(said.words) > _MANY:
        return False
    return said.says(Meaning.CANCEL) or (said.says(Meaning.DECLINED) and not said.says_any(REQUESTS))


def _negates(said: Tokens) -> bool:
    return said.says(Meaning.NEGATION, Meaning.DECLINED)


def _advertises(said: Tokens) -> bool:
    """Whether it is a bank's message or an advertisement, and not a request that mentions money."""
    plaint = said.says(Meaning.LOST) and said.says(Meaning.PASSWORD)
    return said.says(Meaning.MONEY) and not (plaint or _is_plain_order(said))


def _is_plain_order(said: Tokens) -> bool:
    if said.count(Meaning.MONEY) > 1 or said.has_strange(beyond=_FEW):
        return False
    return said.says_any(ORDERS) and said.naming is Naming.ONE


def _wants_stats(said: Tokens) -> bool:
    return said.says(Meaning.STATS) and not (said.strange or said.numbers or said.says_any(REQUESTS))


def _wants_status(said: Tokens) -> bool:
    return said.says(Meaning.STATUS) and said.names_somebody and not said.says_any(OTHER_BUSINESS)


def _wants_unlock(said: Tokens) -> bool:
    return said.says(Meaning.UNLOCK) and said.names_somebody and not said.says_any(OTHER_BUSINESS)


def _wants_mobile(said: Tokens) -> bool:
    """Whether it is about the mobile of somebody who is named, and asks for no password."""
    if said.naming is Naming.NOBODY or said.says_any(REQUESTS - {Meaning.CHANGE} | OTHER_BUSINESS):
        return False
    return said.says(Meaning.MOBILE) and not said.has_strange(beyond=_FEW)


def _mobile(said: Tokens) -> str | None:
    """The one number beside the ID that is long enough for a mobile's."""
    found = {each.digits for each in said.numbers if not each.national_id and len(each.digits) in _MOBILE_DIGITS}
    return found.pop() if len(found) == 1 else None


def _objects(said: Tokens) -> bool:
    if said.numbers or said.has_strange(beyond=1) or len(said.words) > _FEW:
        return False
    return said.says(Meaning.NO, Meaning.DECLINED, Meaning.NEGATION, Meaning.REFUSAL)


def _asks_after_nobody(said: Tokens) -> bool:
    return said.says(Meaning.STATUS, Meaning.UNLOCK) and not said.names_somebody


def _wants_help(said: Tokens) -> bool:
    if said.names_somebody or said.has_strange(beyond=_FEW):
        return False
    return said.says(Meaning.HELP) or _is_question_mark(said)


def _is_question_mark(said: Tokens) -> bool:
    return not said.pieces and not _QUESTION_MARKS.isdisjoint(said.folded)


def _wants_change(said: Tokens) -> bool:
    if not said.says(Meaning.CHANGE):
        return False
    if said.code or said.says_any(REQUESTS - {Meaning.CHANGE}):
        return True
    if said.says(Meaning.CONTACT) or said.says_any(OTHER_BUSINESS):
        return False
    return not said.has_strange(beyond=_FEW if said.names_somebody else 1)


def _wants_reset(said: Tokens) -> bool:
    return said.says(Meaning.RESET) and said.names_somebody


def _brings_code(said: Tokens) -> bool:
    if said.code is None or said.has_strange(beyond=_FEW) or said.says_any(OTHER_BUSINESS):
        return False
    if said.ids:  # both are there: whoever asks for nothing hands back the code
        return not said.says_any(REQUESTS)
    if said.says(Meaning.NATIONAL_ID):
        return False
    return said.says(Meaning.ONE_TIME) or not said.says_any(REQUESTS | {Meaning.SLIP})


def _wants_recovery(said: Tokens) -> bool:
    if said.says(Meaning.PASSWORD, Meaning.RECOVERY, Meaning.RESET):
        return said.naming is Naming.ONE or said.says(Meaning.LOST) or _is_to_the_point(said)
    if said.says_any(OTHER_BUSINESS):
        return False
    if said.says(Meaning.LOST):
        return not said.has_strange(beyond=_FEW if said.names_somebody else 1)
    return said.says(Meaning.SLIP) and (said.names_somebody or not said.strange)


def _is_to_the_point(said: Tokens) -> bool:
    return not said.has_strange(beyond=_MANY) and said.count(Meaning.ELSEWHERE) <= 1


def _lacks_code(said: Tokens) -> bool:
    """Whether it speaks of a code and brings none: whoever is waiting for one wants a recovery."""
    if said.numbers or said.says_any(OTHER_BUSINESS):
        return False
    return said.says(Meaning.ONE_TIME) and not said.has_strange(beyond=1)


def _names_itself(said: Tokens) -> bool:
    """Whether it is a national ID and little else."""
    if said.says_any(OTHER_BUSINESS):
        return False
    if said.ids:
        return not said.has_strange(beyond=_FEW) and not any(map(_is_other_number, said.numbers))
    if said.says(Meaning.NATIONAL_ID):
        return said.names_somebody and not said.has_strange(beyond=_FEW)
    return not said.strange and len(said.numbers) == 1 and _is_near_id(said.numbers[0])


def _is_other_number(number: Number) -> bool:
    return number.is_attempt and not (number.national_id or number.is_mobile or len(number.digits) == 10)


def _is_near_id(number: Number) -> bool:
    if number.touched or number.money or number.is_mobile:
        return False
    return 8 <= len(number.digits) <= 12 and not (len(number.digits) == 11 and number.digits[0] == "0")


def _opts_in(said: Tokens) -> bool:
    if said.is_just(_OPT_IN_NUMBER):
        return not said.words or said.says(Meaning.START)
    if said.strange or said.numbers or said.says_any(OTHER_BUSINESS):
        return False
    return said.says(Meaning.START) and len(said.words) < _SHORT


# From the top: the first rule that holds says what the text means.
_RULES: Sequence[tuple[Callable[[Tokens], bool], Intent]] = (
    (_opts_out, Intent.OPT_OUT),
    (_cancels, Intent.CANCEL),
    (_negates, Intent.UNKNOWN),
    (_advertises, Intent.UNKNOWN),
    (_wants_stats, Intent.STAFF_STATS),
    (_wants_status, Intent.STAFF_STATUS),
    (_wants_unlock, Intent.STAFF_UNLOCK),
    (_asks_after_nobody, Intent.UNKNOWN),
    (_wants_help, Intent.HELP),
    (_wants_mobile, Intent.STAFF_MOBILE),
    (_wants_change, Intent.CHANGE),
    (_wants_reset, Intent.STAFF_RESET),
    (_brings_code, Intent.CODE),
    (_wants_recovery, Intent.RECOVER),
    (_lacks_code, Intent.RECOVER),
    (_names_itself, Intent.RECOVER),
    (_opts_in, Intent.OPT_IN),
)

_WITH_CODE = {Intent.CODE, Intent.RECOVER, Intent.CHANGE, Intent.STAFF_RESET}
_FOR_NOBODY = {Intent.HELP, Intent.CANCEL, Intent.OPT_OUT, Intent.OPT_IN, Intent.STAFF_STATS, Intent.UNKNOWN}


def _naming(said: Tokens, intent: Intent) -> Naming:
    """Whom the text names, where that matters to what it asks for. A code is no attempt at an ID."""
    if intent in _FOR_NOBODY or (intent is Intent.CODE and not said.ids):
        return Naming.NOBODY
    return said.naming


def _brings_password(said: Tokens) -> bool:
    """Whether a password of the sender's own comes with the code: unknown words or another number after it."""
    if said.code is None:
        return False
    if any(number.touched for number in said.numbers):
        return True
    after = max(number.end for number in said.numbers if number.digits == said.code)
    others = [number.start for number in said.numbers if not number.national_id]
    return any(start >= after for start in [*others, *(piece.start for piece in said.strange)])
