"""Words with a typing mistake in them (a slip), and the keywords that were meant."""

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import chain
from typing import Any

from dialogs.parsing.lexicon import REQUESTS, Meaning, Word, keywords_in, lists_of, sound, sounding, written
from dialogs.parsing.normalise import fold
from dialogs.replies.phrases import languages

# A slip of one letter is forgiven only where enough others are right, by whether they are Latin. A
# wrong letter makes another word sooner than a missing or a swapped one does: cancel, cancer.
_LEAST_TYPED = 5
_LEAST_LETTERS = {True: 6, False: 5}
_LEAST_FOR_WRONG = {True: 7, False: 6}
_LEAST_HALF = 3
_MOST_LETTERS = 24
_FORGIVEN = {
    Meaning.PASSWORD,
    Meaning.RECOVERY,
    Meaning.LOST,
    Meaning.CHANGE,
    Meaning.ONE_TIME,
    Meaning.RESET,
    Meaning.STATUS,
    Meaning.HELP,
    Meaning.CANCEL,
    Meaning.NATIONAL_ID,
}


def guess(word: str) -> Word | None:
    """What a folded word means if it is two keywords without a space, or one with a slip in it.

    A slip is a letter wrong, missing, added or swapped with the next.
    """
    return None if len(word) > _MOST_LETTERS else _two_in_one(word) or _mistyped(word)


def _two_in_one(word: str) -> Word | None:
    for place in range(_LEAST_HALF, len(word) - _LEAST_HALF + 1):
        first, second = written().get(word[:place]), written().get(word[place:])
        if first and second and not REQUESTS.isdisjoint(first.meanings | second.meanings):
            return first | second
    return None


def _mistyped(word: str) -> Word | None:
    found: Word | None = None
    for form in _without_endings(sound(word)):
        if len(form) >= _LEAST_TYPED:
            for keyword in _one_slip_from(form):
                found = found | sounding()[keyword] if found else sounding()[keyword]
    return found


def _one_slip_from(form: str) -> set[str]:
    candidates = {keyword for shape in (form, *_one_letter_less(form)) for keyword in _near().get(shape, ())}
    return {keyword for keyword in candidates if _one_slip_apart(form, keyword)}


def _without_endings(word: str) -> Iterator[str]:
    yield word
    for ending in _endings():
        if word.endswith(ending):
            yield word.removesuffix(ending)


def _one_letter_less(word: str) -> Iterator[str]:
    return (word[:place] + word[place + 1 :] for place in range(len(word)))


def _one_slip_apart(word: str, keyword: str) -> bool:
    shorter, longer = sorted((word, keyword), key=len)
    if len(longer) > len(shorter):
        return len(longer) == len(shorter) + 1 and shorter in _one_letter_less(longer)
    wrong = [place for place in range(len(word)) if word[place] != keyword[place]]
    if len(wrong) <= 1:
        return len(word) >= _LEAST_FOR_WRONG[word.isascii()]
    return _swapped(word, keyword, wrong)


def _swapped(word: str, keyword: str, wrong: list[int]) -> bool:
    if len(wrong) != 2 or wrong[1] != wrong[0] + 1:
        return False
    first, second = wrong
    return word[first] == keyword[second] and word[second] == keyword[first]


@cache
def _near() -> Mapping[str, tuple[str, ...]]:
    """Keywords by each form that they have with one letter less, and by themselves."""
    shapes: dict[str, tuple[str, ...]] = {}
    for keyword in sorted(set(_forgiven_keywords())):
        for shape in {keyword, *_one_letter_less(keyword)}:
            shapes[shape] = (*shapes.get(shape, ()), keyword)
    return shapes


@cache
def _endings() -> tuple[str, ...]:
    found = {sound(fold(ending)) for lists in _all_lists() for ending in lists.get("endings", ())}
    return tuple(sorted(found, key=len, reverse=True))


def _forgiven_keywords() -> Iterator[str]:
    for lists in _all_lists():
        for kind in ("stems", "words"):
            for meaning, word in keywords_in(lists.get(kind, {})):
                key = sound(word)
                if meaning in _FORGIVEN and len(key) >= _LEAST_LETTERS[key.isascii()]:
                    yield key


def _all_lists() -> Iterator[Mapping[str, Any]]:
    return chain.from_iterable(map(lists_of, languages()))
