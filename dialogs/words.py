"""The words that people use, from the keywords of the language files, and what they mean, slips and all."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum, auto
from functools import cache
from typing import Any

from dialogs.phrases import languages
from dialogs.text import fold


class Meaning(StrEnum):
    """What a word can mean: the names that the language files sort their keywords under."""

    PASSWORD = auto()  # a request by itself
    SLIP = auto()  # a mistyped word for it, which may be another word too
    RECOVERY = auto()
    LOST = auto()  # a request where little else is said
    CHANGE = auto()
    ONE_TIME = auto()
    RESET = auto()
    STATUS = auto()
    UNLOCK = auto()
    STATS = auto()
    HELP = auto()
    CANCEL = auto()
    DECLINED = auto()  # cancels by itself, and negates a request
    NEGATION = auto()
    STOP = auto()
    START = auto()
    MESSAGES = auto()  # with a refusal: stop
    REFUSAL = auto()
    NATIONAL_ID = auto()
    CONTACT = auto()  # a mobile number and its like, which this service does not change
    ELSEWHERE = auto()  # other business: reservations, banks
    MONEY = auto()  # what bank messages and advertisements say
    SMALL_TALK = auto()
    ALIKE = auto()  # looks like a keyword and is none


ORDERS = frozenset({Meaning.PASSWORD, Meaning.RECOVERY, Meaning.CHANGE, Meaning.RESET})
REQUESTS = ORDERS | {Meaning.LOST}
OTHER_BUSINESS = frozenset({Meaning.ELSEWHERE, Meaning.MONEY})


@dataclass(frozen=True, slots=True)
class Word:
    """What a word means, and the languages in which it does."""

    meanings: frozenset[Meaning]
    languages: frozenset[str]

    def __or__(self, other: "Word") -> "Word":
        return Word(self.meanings | other.meanings, self.languages | other.languages)


Book = dict[str, Word]

# As many written words as a keyword may be spread over ("گذر واژه", "یک بار مصرف").
LONGEST = 4

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

_DOUBLED = re.compile(r"(.)\1+")
_SOUND_ALIKES = str.maketrans(
    {
        **dict.fromkeys("ذضظ", "ز"),
        **dict.fromkeys("صث", "س"),
        "ط": "ت",
        "ح": "ه",
        "غ": "ق",
        "o": "u",
        "w": "v",
        "y": "i",
        "q": "gh",
    }
)


def find(word: str) -> Word | None:
    """What a folded word means, spelled rightly or as it sounds."""
    return _exact().get(word) or _sounding().get(sound(word))


def guess(word: str) -> Word | None:
    """What a folded word means if it is two keywords without a space, or one with a slip in it.

    A slip is a letter wrong, missing, added or swapped with the next.
    """
    return None if len(word) > _MOST_LETTERS else _two_in_one(word) or _mistyped(word)


def sound(word: str) -> str:
    """The word with doubled letters single and letters that sound the same made one."""
    return _DOUBLED.sub(r"\1", word.translate(_SOUND_ALIKES))


@cache
def _exact() -> Book:
    """Words as they are written. What a file lists stands over what its stems grow into (کد + ام, which is کدام)."""
    book: Book = {}
    for language, lists in _lists():
        for meaning, stem in _listed(lists.get("stems", {})):
            for form in _grown(stem, lists):
                _add(book, form, meaning, language)
    listed: Book = {}
    for language, lists in _lists():
        for meaning, word in _listed(lists.get("words", {})):
            _add(listed, word, meaning, language)
    return book | listed


@cache
def _sounding() -> Book:
    """Words by their sound. Short Latin ones are left out: too many others sound like them."""
    book: Book = {}
    for word, entry in _exact().items():
        key = sound(word)
        if len(key) > (3 if key.isascii() else 2):
            known = book.get(key, entry)
            book[key] = entry if known is entry else known | entry
    return book


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
    found = {sound(fold(ending)) for _, lists in _lists() for ending in lists.get("endings", ())}
    return tuple(sorted(found, key=len, reverse=True))


def _forgiven_keywords() -> Iterator[str]:
    for _, lists in _lists():
        for kind in ("stems", "words"):
            for meaning, word in _listed(lists.get(kind, {})):
                key = sound(word)
                if meaning in _FORGIVEN and len(key) >= _LEAST_LETTERS[key.isascii()]:
                    yield key


def _lists() -> Iterator[tuple[str, Mapping[str, Any]]]:
    for language, content in languages().items():
        for lists in content["keywords"].values():
            yield language, lists


def _listed(table: Mapping[str, Iterable[str]]) -> Iterator[tuple[Meaning, str]]:
    for meaning, words in table.items():
        for word in words:
            yield Meaning(meaning), _closed_up(word)


def _closed_up(words: str) -> str:
    return "".join(fold(words).split())


def _grown(stem: str, lists: Mapping[str, Any]) -> Iterator[str]:
    endings = ["", *map(_closed_up, lists.get("endings", ()))]
    for beginning in ["", *map(_closed_up, lists.get("beginnings", ()))]:
        for ending in endings:
            yield beginning + stem + ending


def _add(book: Book, word: str, meaning: Meaning, language: str) -> None:
    known, entry = book.get(word), _word(meaning, language)
    book[word] = entry if known is None or known is entry else known | entry


@cache
def _word(meaning: Meaning, language: str) -> Word:
    return Word(frozenset({meaning}), frozenset({language}))


def _two_in_one(word: str) -> Word | None:
    for place in range(_LEAST_HALF, len(word) - _LEAST_HALF + 1):
        first, second = _exact().get(word[:place]), _exact().get(word[place:])
        if first and second and not REQUESTS.isdisjoint(first.meanings | second.meanings):
            return first | second
    return None


def _mistyped(word: str) -> Word | None:
    found: Word | None = None
    for form in _without_endings(sound(word)):
        if len(form) >= _LEAST_TYPED:
            for keyword in _one_slip_from(form):
                found = found | _sounding()[keyword] if found else _sounding()[keyword]
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
