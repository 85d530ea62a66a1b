"""The words that people use, from the keywords of the language files, and what they mean."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum, auto
from functools import cache
from typing import Any

from dialogs.parsing.normalise import fold
from dialogs.replies.phrases import languages


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
    LOCK = auto()  # what is unlocked: with a word for opening it
    OPEN = auto()
    STATS = auto()
    HELP = auto()
    CANCEL = auto()
    DECLINED = auto()  # cancels by itself, and negates a request
    NEGATION = auto()
    STOP = auto()
    START = auto()
    MESSAGES = auto()  # with a refusal: stop
    REFUSAL = auto()
    REFUSED = auto()  # a whole refusal: I asked for nothing, do not change it
    ASKING = auto()  # a request, by that name: with the next one a refusal
    UNDONE = auto()  # what its sender has not done
    COURTESY = auto()  # may stand beside a command
    FILLER = auto()  # so may this, and between a refusal and what it refuses
    NATIONAL_ID = auto()
    LABEL = auto()  # what other numbers are called: an account, a ticket
    CONTACT = auto()  # a mobile number and its like, which this service does not change at a pilgrim's wish
    MOBILE = auto()  # the mobile number itself: staff can have it changed
    NUMBER = auto()  # a number of any kind: a mobile's, where one stands beside
    NO = auto()
    ELSEWHERE = auto()  # other business: reservations, banks
    MONEY = auto()  # what bank messages and advertisements say
    SMALL_TALK = auto()
    ALIKE = auto()  # looks like a keyword and is none


ORDERS = frozenset({Meaning.PASSWORD, Meaning.RECOVERY, Meaning.CHANGE, Meaning.RESET})
REQUESTS = ORDERS | {Meaning.LOST}
OTHER_BUSINESS = frozenset({Meaning.ELSEWHERE, Meaning.LABEL, Meaning.MONEY})


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
    return written().get(word) or sounding().get(sound(word))


def begins(word: str) -> bool:
    """Whether a keyword longer than a folded word begins with it, by its sound."""
    return sound(word) in _by_sound()[1]


def sound(word: str) -> str:
    """The word with doubled letters single and letters that sound the same made one."""
    return _DOUBLED.sub(_single, word.translate(_SOUND_ALIKES))


def _single(doubled: re.Match[str]) -> str:  # a template in its place ("\\1") is read anew at every call, twice as slow
    return doubled[1]


@cache
def written() -> Book:
    """The words of every language as they are written."""
    book: Book = {}
    for language in languages():
        for word, entry in _vocabulary(language).items():
            _join(book, word, entry)
    return book


def _vocabulary(language: str) -> Book:
    """A language's words. What its file lists stands over what its stems grow into (کد + ام, which is کدام)."""
    grown: Book = {}
    listed: Book = {}
    for lists in lists_of(language):
        for meaning, stem in keywords_in(lists.get("stems", {})):
            for form in _grown(stem, lists):
                _join(grown, form, _word(meaning, language))
        for meaning, word in keywords_in(lists.get("words", {})):
            _join(listed, word, _word(meaning, language))
    return grown | listed


def sounding() -> Book:
    """The words by their sound. Short Latin ones are left out: too many others sound like them."""
    return _by_sound()[0]


@cache
def _by_sound() -> tuple[Book, frozenset[str]]:
    """The words by their sound, and what the sounds begin with."""
    book: Book = {}
    openings: set[str] = set()
    for word, entry in written().items():
        key = sound(word)
        if len(key) > (3 if key.isascii() else 2):
            _join(book, key, entry)
        if sound(word[:-1]) == key:  # its last letter is double, and the second may stand apart
            openings.add(key)
        while (key := key[:-1]) and key not in openings:  # what is there has brought its own beginnings
            openings.add(key)
    return book, frozenset(openings)


@cache
def beginnings() -> frozenset[str]:
    """The first words, folded, of the keywords that are listed as several."""
    tables = [
        lists.get(name, {}) for language in languages() for lists in lists_of(language) for name in ("words", "stems")
    ]
    listed = [fold(words).split() for table in tables for each in table.values() for words in each]
    return frozenset(words[0] for words in listed if len(words) > 1)


def lists_of(language: str) -> Iterable[Mapping[str, Any]]:
    """A language file's lists of keywords."""
    found: Mapping[str, Mapping[str, Any]] = languages()[language]["keywords"]
    return found.values()


def keywords_in(table: Mapping[str, Iterable[str]]) -> Iterator[tuple[Meaning, str]]:
    """The keywords of a list, folded and closed up, with their meanings."""
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


def _join(book: Book, word: str, entry: Word) -> None:
    known = book.get(word, entry)
    book[word] = entry if known is entry else known | entry


@cache
def _word(meaning: Meaning, language: str) -> Word:
    return Word(frozenset({meaning}), frozenset({language}))
