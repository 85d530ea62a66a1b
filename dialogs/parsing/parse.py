"""What a text is evidence of, and what it asks for by the order of evidence (dialogs/parsing/rules.py)."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from dialogs.parsing import commands
from dialogs.parsing.lexicon import OTHER_BUSINESS, REQUESTS, Meaning
from dialogs.parsing.numbers import Number
from dialogs.parsing.own_password import SHORTEST_CHOICE, offered
from dialogs.parsing.rules import Rule, decide
from dialogs.parsing.tokens import Tokens, read
from dialogs.vocabulary import Evidence, Intent, Naming, ParsedMessage

# How many words may stand beside those that decide, most often such as mean nothing here.
_FEW = 3
_MANY = 8

# From a number written without its zero to one with a country's code and the zeros before it.
_MOBILE_DIGITS = range(10, 16)
_NATIONAL_DIGITS = 10  # of a mobile, without its zero

_FROM_STAFF = frozenset({Evidence.FROM_STAFF})
_CODE_IS_OUT = frozenset({Evidence.CODE_IS_OUT})
_NONE: frozenset[Evidence] = frozenset()


def parse(text: str, code_length: int = 6, sender: str = "") -> ParsedMessage:
    """What a text means by itself. Any text at all has a meaning, if only UNKNOWN.

    `sender` is the number that it came from, in E.164: it is no second ID, whatever its digits are.
    """
    said = read(text, code_length, sender[-_NATIONAL_DIGITS:])
    evidence = _evidence(said)
    intent, order = decide(evidence).means, decide(evidence | _FROM_STAFF).means
    naming = _naming(said, intent, order)
    brought = offered(text, code_length) if said.numbers else None
    brings_password, brings_phrase = (brought is not None and brought.is_phrase is each for each in (False, True))
    return ParsedMessage(
        intent=intent,
        naming=naming,
        national_id=next(iter(said.ids)) if naming is Naming.ONE else None,
        code=said.code,
        language=said.language if said.words or not brings_password else None,  # a password is in none
        own_password=intent is Intent.CHANGE and (brings_password or _brings_password(said)),
        password_follows=naming is not Naming.ONE and brings_password,
        phrase_follows=naming is not Naming.ONE and brings_phrase,
        mobile=_mobile(said) if order is Intent.STAFF_MOBILE else None,
        objects=_objects(said),
        evidence=evidence,
    )


def from_staff(heard: ParsedMessage) -> ParsedMessage:
    """The same text, where staff send it."""
    return replace(heard, intent=decide(heard.evidence | _FROM_STAFF).means) if heard.evidence else heard


class Explanation(NamedTuple):
    """Which rule decided a text, and the words and numbers of it that the rule went by."""

    rule: Rule
    words: tuple[str, ...]


def explain(text: str, code_length: int = 6, sender: str = "", *, code_is_out: bool, staff: bool) -> Explanation:
    """Which rule decides a text, by which words of it. For the phone page: no other place may keep a text's words."""
    said = read(text, code_length, sender[-_NATIONAL_DIGITS:])
    facts = (_CODE_IS_OUT if code_is_out else _NONE) | (_FROM_STAFF if staff else _NONE)
    rule = decide(_evidence(said) | facts)
    return Explanation(rule, tuple(dict.fromkeys(_words(said, rule.given))))


def _words(said: Tokens, given: frozenset[Evidence]) -> list[str]:
    numbers = [it.digits for it in said.numbers if _decides(said, it, given)]
    meanings: frozenset[Meaning] = frozenset().union(*(_SHOWN.get(each, ()) for each in given))
    return [*(token.piece.text for token in said.tokens if token.meanings & meanings), *numbers]


def _decides(said: Tokens, number: Number, given: frozenset[Evidence]) -> bool:
    if number.digits == said.code:
        return not given.isdisjoint({Evidence.CODE, Evidence.BRINGS_CODE})
    if number.national_id in said.ids:
        return Evidence.ID in given
    return not given.isdisjoint({Evidence.STOP_COMMAND, Evidence.START_COMMAND, Evidence.BADLY_NAMED})


def _may_be_chosen(number: Number) -> bool:
    is_one_run = number.end - number.start == len(number.digits)  # or it may be commands: 11 and 12
    return is_one_run and len(number.digits) >= SHORTEST_CHOICE and not (number.national_id or number.is_mobile)


def _naming(said: Tokens, intent: Intent, order: Intent) -> Naming:
    """Whom the text names, where that matters to what it asks for. A code is no attempt at an ID."""
    if {intent, order} <= _FOR_NOBODY or (intent is Intent.CODE and not said.ids):
        return Naming.NOBODY
    return said.naming


_FOR_NOBODY = {Intent.HELP, Intent.CANCEL, Intent.OPT_OUT, Intent.OPT_IN, Intent.STAFF_STATS, Intent.UNKNOWN}


def _evidence(said: Tokens) -> frozenset[Evidence]:
    looked_for = (_ALWAYS if said.numbers else _WITHOUT_NUMBERS).union(*[_SHOWN_BY[it] for it in said.meanings])
    return frozenset([each for each in looked_for if _HOLDS[each](said)])


def _has_code(said: Tokens) -> bool:
    return said.code is not None


def _has_id(said: Tokens) -> bool:
    return said.naming is Naming.ONE


def _is_badly_named(said: Tokens) -> bool:
    return said.names_somebody and said.naming is not Naming.ONE


def _asks(said: Tokens) -> bool:
    return said.says_any(REQUESTS)


def _is_labelled(said: Tokens) -> bool:
    """Whether the ID is called something else, or stands among sums or in an address, and nobody asks for anything."""
    if said.naming is not Naming.ONE or said.says_any(REQUESTS) or said.says(Meaning.NATIONAL_ID):
        return False
    return any(_is_anothers(said, number) for number in said.numbers if number.national_id)


def _is_anothers(said: Tokens, number: Number) -> bool:
    before = said.before(number)
    if number.touched or (before and Meaning.LABEL in before.meanings):
        return True
    return said.says(Meaning.MONEY) and any(map(_is_sum, said.numbers))


def _is_sum(number: Number) -> bool:
    return number.money or (number.is_attempt and not (number.national_id or number.is_mobile))


def _brings_password(said: Tokens) -> bool:
    """Whether a password of the sender's own comes with the code: unknown words or another long number after it."""
    if said.code is None:
        return False
    if any(number.touched for number in said.numbers):
        return True
    after = max(number.end for number in said.numbers if number.digits == said.code)
    others = [number.start for number in said.numbers if _may_be_chosen(number)]
    return any(start >= after for start in [*others, *(piece.start for piece in said.strange)])


def _negates(said: Tokens) -> bool:
    return said.says(Meaning.NEGATION, Meaning.DECLINED, Meaning.REFUSED) or commands.disowns(said)


def _advertises(said: Tokens) -> bool:
    """Whether it is a bank's message or an advertisement, and not a request that mentions money."""
    plaint = said.says(Meaning.LOST) and said.says(Meaning.PASSWORD)
    return said.says(Meaning.MONEY) and not plaint


def _speaks_of_status(said: Tokens) -> bool:
    """Whether it speaks of somebody's status, or of being locked, where nothing is to be done about it."""
    if said.says(Meaning.STATUS):
        return True
    return said.says(Meaning.LOCK) and not (commands.unlocks(said) or said.says_any(REQUESTS))


def _wants_status(said: Tokens) -> bool:
    return said.says(Meaning.STATUS) and (said.names_somebody or commands.is_order_alone(said))


def _wants_unlock(said: Tokens) -> bool:
    return commands.unlocks(said) and (said.names_somebody or commands.is_order_alone(said))


def _wants_mobile(said: Tokens) -> bool:
    """Whether it is about the mobile of somebody who is named, and asks for no password.

    Where that mobile is there too, less need be said.
    """
    if said.naming is Naming.NOBODY or said.says_any(REQUESTS - {Meaning.CHANGE}) or said.has_strange(beyond=_FEW):
        return False
    if any(number.is_mobile and number.digits[-_NATIONAL_DIGITS:] != said.own for number in said.numbers):
        return said.says(Meaning.MOBILE, Meaning.NUMBER, Meaning.CHANGE)
    return said.says(Meaning.MOBILE) and not said.says_any(OTHER_BUSINESS)


def _mobile(said: Tokens) -> str | None:
    """The one number beside the ID that is long enough for a mobile's."""
    numbers = (each for each in said.numbers if each.national_id not in said.ids)
    found = {each.digits for each in numbers if len(each.digits) in _MOBILE_DIGITS}
    return found.pop() if len(found) == 1 else None


def _objects(said: Tokens) -> bool:
    if said.numbers or said.has_strange(beyond=1) or len(said.words) > _FEW:
        return False
    return said.says(Meaning.NO, Meaning.DECLINED, Meaning.NEGATION, Meaning.REFUSAL)


def _wants_help(said: Tokens) -> bool:
    if said.names_somebody or said.has_strange(beyond=_FEW):
        return False
    return said.says(Meaning.HELP) and not (said.says(Meaning.LOST) and said.says(Meaning.PASSWORD))


def _wants_change(said: Tokens) -> bool:
    if not said.says(Meaning.CHANGE) or commands.changes_phone(said):
        return False
    if said.code or said.says_any(REQUESTS - {Meaning.CHANGE}):
        return True
    if said.says(Meaning.CONTACT) or said.says_any(OTHER_BUSINESS):
        return False
    return not said.has_strange(beyond=_FEW if said.names_somebody else 0)


def _brings_code(said: Tokens) -> bool:
    if said.code is None or said.has_strange(beyond=_FEW) or said.says_any(OTHER_BUSINESS):
        return False
    if commands.is_advertised(said):
        return False
    if said.ids:  # both are there: a text that asks for nothing hands back the code
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
    """Whether it speaks of a code and brings none: its sender waits for one, and wants a recovery."""
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


def _says(*meanings: Meaning) -> Callable[[Tokens], bool]:
    return lambda said: said.says(*meanings)


def _wants_stats(said: Tokens) -> bool:
    return said.says(Meaning.STATS) and not (said.has_strange(beyond=1) or said.numbers or said.says_any(REQUESTS))


# What each piece of evidence is that a text can give.
_HOLDS: Mapping[Evidence, Callable[[Tokens], bool]] = {
    Evidence.CODE: _has_code,
    Evidence.ID: _has_id,
    Evidence.BADLY_NAMED: _is_badly_named,
    Evidence.LABELLED: _is_labelled,
    Evidence.STOP_COMMAND: commands.is_stop,
    Evidence.CANCEL_COMMAND: commands.is_cancel,
    Evidence.START_COMMAND: commands.is_start,
    Evidence.HELP_COMMAND: commands.is_help,
    Evidence.ORDER_ALONE: commands.is_order_alone,
    Evidence.REFUSED: commands.refuses,
    Evidence.ASKS: _asks,
    Evidence.RESET: _says(Meaning.RESET),
    Evidence.STATUS: _speaks_of_status,
    Evidence.UNLOCK: commands.unlocks,
    Evidence.STATS: _wants_stats,
    Evidence.NEGATED: _negates,
    Evidence.SELLS: _advertises,
    Evidence.WANTS_STATUS: _wants_status,
    Evidence.WANTS_UNLOCK: _wants_unlock,
    Evidence.WANTS_MOBILE: _wants_mobile,
    Evidence.WANTS_HELP: _wants_help,
    Evidence.WANTS_CHANGE: _wants_change,
    Evidence.BRINGS_CODE: _brings_code,
    Evidence.WANTS_RECOVERY: _wants_recovery,
    Evidence.LACKS_CODE: _lacks_code,
    Evidence.NAMES_ITSELF: _names_itself,
}

# The words that it takes, or some of them. Evidence that stands here is looked for only where one of them is said.
_MEANT: Mapping[Evidence, frozenset[Meaning]] = {
    Evidence.CANCEL_COMMAND: frozenset({Meaning.CANCEL, Meaning.DECLINED}),
    Evidence.ORDER_ALONE: frozenset({Meaning.STATUS, Meaning.UNLOCK, Meaning.RESET}),
    Evidence.REFUSED: frozenset({Meaning.REFUSED, Meaning.UNDONE, Meaning.DECLINED, Meaning.NEGATION, Meaning.CANCEL}),
    Evidence.ASKS: REQUESTS,
    Evidence.RESET: frozenset({Meaning.RESET}),
    Evidence.STATUS: frozenset({Meaning.STATUS, Meaning.LOCK}),
    Evidence.UNLOCK: frozenset({Meaning.UNLOCK, Meaning.LOCK}),
    Evidence.STATS: frozenset({Meaning.STATS}),
    Evidence.NEGATED: frozenset({Meaning.NEGATION, Meaning.DECLINED, Meaning.REFUSED, Meaning.UNDONE}),
    Evidence.SELLS: frozenset({Meaning.MONEY}),
    Evidence.WANTS_STATUS: frozenset({Meaning.STATUS}),
    Evidence.WANTS_UNLOCK: frozenset({Meaning.UNLOCK, Meaning.LOCK}),
    Evidence.WANTS_MOBILE: frozenset({Meaning.MOBILE, Meaning.NUMBER, Meaning.CHANGE}),
    Evidence.WANTS_HELP: frozenset({Meaning.HELP}),
    Evidence.WANTS_CHANGE: frozenset({Meaning.CHANGE}),
    Evidence.WANTS_RECOVERY: REQUESTS | {Meaning.SLIP},
    Evidence.LACKS_CODE: frozenset({Meaning.ONE_TIME}),
}
_ALWAYS = frozenset(_HOLDS) - frozenset(_MEANT)
_IN_NUMBERS = frozenset(
    {Evidence.CODE, Evidence.ID, Evidence.BADLY_NAMED, Evidence.LABELLED, Evidence.BRINGS_CODE, Evidence.NAMES_ITSELF}
)
_WITHOUT_NUMBERS = _ALWAYS - _IN_NUMBERS
_SHOWN_BY = {meaning: frozenset(each for each, words in _MEANT.items() if meaning in words) for meaning in Meaning}

# What a number alone, or a sign, shows as well.
_SEEN_IN: Mapping[Evidence, frozenset[Meaning]] = {
    Evidence.LABELLED: frozenset({Meaning.LABEL, Meaning.MONEY}),
    Evidence.STOP_COMMAND: frozenset({Meaning.STOP, Meaning.REFUSAL, Meaning.MESSAGES, Meaning.CANCEL}),
    Evidence.START_COMMAND: frozenset({Meaning.START}),
    Evidence.HELP_COMMAND: frozenset({Meaning.HELP}),
    Evidence.BRINGS_CODE: frozenset({Meaning.ONE_TIME}),
    Evidence.NAMES_ITSELF: frozenset({Meaning.NATIONAL_ID}),
}
_SHOWN = {**_MEANT, **_SEEN_IN}
