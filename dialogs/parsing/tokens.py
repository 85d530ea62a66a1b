"""A text taken apart: its words and what they mean, its numbers, and the language that it is in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from dialogs.parsing import lexicon
from dialogs.parsing.lexicon import REQUESTS, Meaning, Word
from dialogs.parsing.normalise import fold
from dialogs.parsing.numbers import Number, Piece, numbers, pieces
from dialogs.parsing.spelling import guess
from dialogs.vocabulary import Naming

# A text longer than the longest that a gateway joins is no pilgrim's; what is past it is not read.
LONGEST = 1600

# As many unknown words are looked at for slips; a text with more is somebody's prose.
_GUESSED_AT = 12

_PERSIAN_LETTERS = frozenset("پچژگیک")
_ARABIC_LETTERS = frozenset("ةإأ")
_ARTICLE = "ال"


@dataclass(frozen=True)
class Tokens:
    """What is to be known of a text before it is decided what it asks for."""

    original: str
    folded: str
    pieces: Sequence[Piece]
    words: Sequence[Word]
    strange: Sequence[Piece]  # the words that mean nothing here
    numbers: Sequence[Number]
    code_length: int

    @cached_property
    def meanings(self) -> frozenset[Meaning]:
        """Everything that a word of it can mean."""
        return frozenset().union(*(word.meanings for word in self.words))

    @cached_property
    def ids(self) -> frozenset[str]:
        """The different national IDs in it. A sum of money may pass for one where money is spoken of."""
        sums = self.says(Meaning.MONEY)
        return frozenset(each.national_id for each in self.numbers if each.national_id and not (sums and each.money))

    @cached_property
    def code(self) -> str | None:
        """The only number in it that is as long as a code."""
        codes = {each.digits for each in self.numbers if len(each.digits) == self.code_length and each.is_code}
        return codes.pop() if len(codes) == 1 else None

    @cached_property
    def naming(self) -> Naming:
        """How it names a person."""
        if self.ids:
            return Naming.ONE if len(self.ids) == 1 else Naming.SEVERAL
        if any(each.is_foreign for each in self.numbers):
            return Naming.FOREIGN
        return Naming.INVALID if any(each.is_attempt for each in self.numbers) else Naming.NOBODY

    @cached_property
    def language(self) -> str | None:
        """The language that most of it speaks for, and Persian where Arabic is as likely."""
        letters = [piece.text for piece in self.pieces if not piece.is_digits]
        if not letters:
            return None
        if all(map(str.isascii, letters)):
            return "fa" if self._votes("fa") > self._votes("en") else "en"
        return "ar" if self._speaks_arabic() else "fa"

    @property
    def names_somebody(self) -> bool:
        """Whether it names a person, however wrongly."""
        return self.naming is not Naming.NOBODY

    def says(self, *meanings: Meaning) -> bool:
        """Whether a word of it means one of these."""
        return not self.meanings.isdisjoint(meanings)

    def says_any(self, meanings: frozenset[Meaning]) -> bool:
        """Whether a word of it means one of these."""
        return not self.meanings.isdisjoint(meanings)

    def count(self, meaning: Meaning) -> int:
        """How many words of it mean this."""
        return sum(meaning in word.meanings for word in self.words)

    def has_strange(self, beyond: int) -> bool:
        """Whether more words than that mean nothing here."""
        return len(self.strange) > beyond

    def is_just(self, number: str) -> bool:
        """Whether that is its only number, and no word of it is strange."""
        return [each.digits for each in self.numbers] == [number] and not self.strange

    def _speaks_arabic(self) -> bool:
        characters = frozenset(self.original)
        persian = self._votes("fa") + (not characters.isdisjoint(_PERSIAN_LETTERS))
        arabic = self._votes("ar") + (not characters.isdisjoint(_ARABIC_LETTERS))
        if persian == arabic:
            return any(piece.text.startswith(_ARTICLE) for piece in self.strange)
        return arabic > persian

    def _votes(self, language: str) -> int:
        return sum(word.languages == {language} for word in self.words)


def read(text: str, code_length: int) -> Tokens:
    """Takes a text apart."""
    text = text[:LONGEST]
    folded = fold(text)
    found = pieces(folded)
    known, strange = _looked_up(found)
    if strange and not any(word.meanings & REQUESTS for word in known):
        known, strange = _with_guesses(known, strange)
    return Tokens(text, folded, found, known, strange, numbers(folded, found, _is_word, code_length), code_length)


def _looked_up(found: Sequence[Piece]) -> tuple[list[Word], list[Piece]]:
    known: list[Word] = []
    strange: list[Piece] = []
    for piece, word in _keywords(found):
        if word:
            known.append(word)
        else:
            strange.append(piece)
    return known, strange


def _keywords(found: Sequence[Piece]) -> Iterator[tuple[Piece, Word | None]]:
    """Each word and what it means, keywords of several words first."""
    place = 0
    while place < len(found):
        if found[place].is_digits:
            place += 1
            continue
        length, word = _longest_keyword(found, place)
        yield found[place], word
        place += length


def _longest_keyword(found: Sequence[Piece], place: int) -> tuple[int, Word | None]:
    run: list[str] = []
    for piece in found[place : place + lexicon.LONGEST]:
        if piece.is_digits:
            break
        run.append(piece.text)
    for length in range(len(run), 1, -1):
        word = lexicon.find("".join(run[:length]))
        if word:
            return length, word
    return 1, lexicon.find(run[0])


def _with_guesses(known: list[Word], strange: list[Piece]) -> tuple[list[Word], list[Piece]]:
    if len(strange) > _GUESSED_AT:
        return known, strange
    right: list[Word] = []
    left: list[Piece] = []
    for piece, following in zip(strange, [*strange[1:], None], strict=True):
        word = guess(piece.text) or (following and guess(piece.text + following.text))
        if word:
            right.append(word)
        else:
            left.append(piece)
    return [*known, *right], left


def _is_word(word: str) -> bool:
    return lexicon.find(word) is not None
