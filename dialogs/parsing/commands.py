"""Texts that say one thing and nothing else, and texts that plainly refuse: what of a text's words counts."""

from collections.abc import Sequence

from dialogs.parsing.lexicon import ORDERS, REQUESTS, Meaning
from dialogs.parsing.tokens import Token, Tokens

_OPT_OUT_NUMBER, _OPT_IN_NUMBER = "11", "12"
_QUESTION_MARKS = frozenset("?؟")

_BESIDE = frozenset({Meaning.COURTESY, Meaning.FILLER})
_STOPS = frozenset({Meaning.STOP, Meaning.REFUSAL, Meaning.MESSAGES, Meaning.CANCEL, Meaning.DECLINED}) | _BESIDE
_ELEVEN = frozenset({Meaning.STOP, Meaning.CANCEL, Meaning.MESSAGES, Meaning.COURTESY})
_CANCELS = frozenset({Meaning.CANCEL, Meaning.DECLINED, Meaning.NO}) | _BESIDE
_STARTS = frozenset({Meaning.START, Meaning.MESSAGES}) | _BESIDE
_HELPS = frozenset({Meaning.HELP}) | _BESIDE
_ORDERS = frozenset({Meaning.STATUS, Meaning.UNLOCK, Meaning.RESET, Meaning.COURTESY})
_REQUEST = ORDERS | {Meaning.ONE_TIME}

# Words that end something; refused, they ask that it go on.
_ENDS = frozenset({Meaning.STOP, Meaning.CANCEL, Meaning.REFUSAL})
_SAYS_LITTLE = frozenset({Meaning.FILLER, Meaning.SMALL_TALK, Meaning.COURTESY})
_CHANGED = frozenset({Meaning.CONTACT, Meaning.PASSWORD})
_NEGATES = frozenset({Meaning.DECLINED, Meaning.NEGATION})
_OF_REQUEST = _REQUEST | _BESIDE | {Meaning.NATIONAL_ID}
# What is refused by a verb after it: what pilgrims ask for, and what staff order.
_REFUSABLE = _REQUEST | {Meaning.UNLOCK, Meaning.OPEN}
_ORDERED = frozenset({Meaning.RESET, Meaning.UNLOCK})
_SENTENCE_ENDS = frozenset(".!?؟\n")


def is_stop(said: Tokens) -> bool:
    """Whether it asks for no more texts, by number, by word, or by verb and object."""
    ends_messages = said.says(Meaning.MESSAGES) and said.says(Meaning.REFUSAL, Meaning.CANCEL)
    if _only_asks(said) and not ends_messages:
        return False
    whole = (ends_messages or said.says(Meaning.STOP)) and _is_all(said, _STOPS) and not _keeps(said)
    if not said.numbers:
        return whole
    if not said.is_just(_OPT_OUT_NUMBER):
        return False
    return (ends_messages and whole) or _is_all(said, _beside_number(said, Meaning.STOP, Meaning.CANCEL))


def is_advertised(said: Tokens) -> bool:
    """Whether it says how to opt out beside something else, as other services' texts end (لغو۱۱)."""
    is_told = any(each.digits == _OPT_OUT_NUMBER for each in said.numbers)
    return is_told and len(said.numbers) > 1 and said.says(Meaning.STOP, Meaning.CANCEL)


def is_cancel(said: Tokens) -> bool:
    """Whether it drops the request, and no reservation."""
    if said.numbers or said.says(Meaning.MESSAGES, Meaning.NEGATION) or _only_asks(said):
        return False
    if not said.says(Meaning.CANCEL, Meaning.DECLINED):
        return False
    # What is cancelled may be named where the word for cancelling is there.
    return _is_all(said, _CANCELS | _REQUEST if said.says(Meaning.CANCEL) else _CANCELS) and not _keeps(said)


def is_start(said: Tokens) -> bool:
    """Whether it asks to be texted again."""
    if _only_asks(said):
        return False
    if said.numbers:
        return said.is_just(_OPT_IN_NUMBER) and _is_all(said, _beside_number(said, Meaning.START) | {Meaning.START})
    return said.says(Meaning.START) and _is_all(said, _STARTS)


def is_help(said: Tokens) -> bool:
    """Whether it asks what can be texted; a question mark does."""
    if said.numbers or not said.pieces:
        return not said.pieces and not _QUESTION_MARKS.isdisjoint(said.folded)
    return said.says(Meaning.HELP) and _is_all(said, _HELPS)


def unlocks(said: Tokens) -> bool:
    """Whether something is to be unlocked, by one word or by verb and object, whatever stands between them."""
    return said.says(Meaning.UNLOCK) or (said.says(Meaning.LOCK) and said.says(Meaning.OPEN))


def changes_phone(said: Tokens) -> bool:
    """Whether what is or was changed is a phone, by what stands next to the verb: before it, else after it."""
    words = [token.meanings for token in said.tokens if not token.meanings <= _SAYS_LITTLE]
    for place, meanings in enumerate(words):
        if Meaning.CHANGE in meanings:
            before, after = words[place - 1 : place], words[place + 1 : place + 2]
            beside = before if before and not before[0].isdisjoint(_CHANGED) else after
            return bool(beside) and Meaning.CONTACT in beside[0]
    return False


def is_order_alone(said: Tokens) -> bool:
    """Whether it is an order of staff's, alone, or one word of it with an ID; who names what is locked says more."""
    if not said.says(Meaning.STATUS, Meaning.UNLOCK, Meaning.RESET) or not _is_all(said, _ORDERS):
        return False
    if not said.numbers:
        return True
    words = sum([not piece.is_digits for piece in said.pieces])
    return said.names_somebody and words == len(said.tokens)


def refuses(said: Tokens) -> bool:
    """Whether it plainly refuses what would be done: I asked for nothing, do not change it, cancel my request.

    Where a wish follows, it does not: not the old one, send a new password.
    """
    if said.says(Meaning.DECLINED) and not (said.strange or said.says_any(REQUESTS)):
        return True
    if not said.says(Meaning.REFUSED, Meaning.UNDONE, Meaning.DECLINED, Meaning.NEGATION, Meaning.CANCEL):
        return False
    tokens = said.tokens
    ends = [_refused(said, place) for place in range(len(tokens)) if _refuses_at(said, place)]
    return bool(ends) and not any(token.meanings & REQUESTS for token in tokens[max(ends) :])


def disowns(said: Tokens) -> bool:
    """Whether its sender has made no request."""
    return any(_disowns_at(said, place) for place in range(len(said.tokens)))


def _refuses_at(said: Tokens, place: int) -> bool:
    meanings = said.tokens[place].meanings
    if Meaning.REFUSED in meanings or _disowns_at(said, place) or _withdraws_at(said, place):
        return True
    if meanings.isdisjoint(_NEGATES):
        return False
    before = _next_that_counts(said.tokens[:place][::-1])
    if before is None:  # it refuses what follows
        after = _next_that_counts(said.tokens[place + 1 :])
        return Meaning.DECLINED in meanings and (after is None or not after.meanings.isdisjoint(_REQUEST))
    if not before.meanings.isdisjoint(_REFUSABLE):
        return True
    return Meaning.DECLINED in meanings and _is_sentence(said, place)


def _disowns_at(said: Tokens, place: int) -> bool:
    """Whether a verb stands here of what its sender has not done, and beside it the request, but for what it is for."""
    if Meaning.UNDONE not in said.tokens[place].meanings:
        return False
    return any(token is not None and Meaning.ASKING in token.meanings for token in _nearest(said, place))


def _withdraws_at(said: Tokens, place: int) -> bool:
    """Whether a request or an order is cancelled here, and not said to have been: what follows tells (لغو شده)."""
    if Meaning.CANCEL not in said.tokens[place].meanings:
        return False
    before, after = _nearest(said, place)
    if after is not None:
        return Meaning.ASKING in after.meanings
    order = _next_that_counts(said.tokens[:place][::-1])
    is_order = order is not None and not order.meanings.isdisjoint(_ORDERED)
    return is_order or (before is not None and Meaning.ASKING in before.meanings)


def _nearest(said: Tokens, place: int) -> tuple[Token | None, Token | None]:
    """The words before and after this one that are not only of what a request is for."""
    before, after = said.tokens[:place][::-1], said.tokens[place + 1 :]
    return _next_not_of_request(before), _next_not_of_request(after)


def _next_not_of_request(tokens: Sequence[Token]) -> Token | None:
    return next((token for token in tokens if not _is_of_request(token)), None)


def _is_of_request(token: Token) -> bool:
    return Meaning.ASKING not in token.meanings and not token.meanings.isdisjoint(_OF_REQUEST)


def _is_sentence(said: Tokens, place: int) -> bool:
    """Whether the word that stands here is a sentence by itself, but for courtesy."""
    start, end = place, place + 1
    while start and _SENTENCE_ENDS.isdisjoint(said.between(start - 1, start)):
        start -= 1
    while end < len(said.tokens) and _SENTENCE_ENDS.isdisjoint(said.between(end - 1, end)):
        end += 1
    others = [*said.tokens[start:place], *said.tokens[place + 1 : end]]
    return all(not token.meanings.isdisjoint(_BESIDE) for token in others)


def _refused(said: Tokens, place: int) -> int:
    """Where what is refused ends: with the words for it that follow, if they do."""
    tokens, place = said.tokens, place + 1
    while place < len(tokens) and not tokens[place].meanings.isdisjoint(_REQUEST | _BESIDE):
        place += 1
    return place


def _next_that_counts(tokens: Sequence[Token]) -> Token | None:
    return next((token for token in tokens if token.meanings.isdisjoint(_BESIDE)), None)


def _keeps(said: Tokens) -> bool:
    """Whether it asks that nothing be ended: a refusal goes before the word that ends, and refuses nothing else."""
    refused = False
    for token in said.tokens:
        if refused and not token.meanings.isdisjoint(_ENDS) and token.meanings.isdisjoint(_NEGATES):
            return True
        if Meaning.MESSAGES in token.meanings and not refused:
            return False
        refused = refused or Meaning.DECLINED in token.meanings
    return False


def _only_asks(said: Tokens) -> bool:
    """Whether it is a question: who asks about a command has not given it."""
    return not _QUESTION_MARKS.isdisjoint(said.folded)


def _is_all(said: Tokens, allowed: frozenset[Meaning]) -> bool:
    return all(not token.meanings.isdisjoint(allowed) for token in said.tokens)


def _beside_number(said: Tokens, *words: Meaning) -> frozenset[Meaning]:
    return _ELEVEN | {Meaning.FILLER} if said.says(*words) else _ELEVEN
