"""A text taken apart: its words and what they mean, its numbers, and the language that it is in."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from dialogs.parsing import lexicon
from dialogs.parsing.lexicon import REQUESTS, Meaning, Word
from dialogs.parsing.normalise import fold
from dialogs.parsing.numbers import Number, Piece, numbers, pieces
from dialogs.parsing.numerals import in_digits
from dialogs.parsing.spelling import guess
from dialogs.vocabulary import Naming

# Characters of the longest text that a gateway joins; what is past them is not read.
LONGEST = 1600

# As many unknown words are looked at for slips; a text with more is no request.
_GUESSED_AT = 12

_PERSIAN_LETTERS = frozenset("پچژگیک")
_ARABIC_LETTERS = frozenset("ةإأ")
_ARTICLE = "ال"

# A mobile's ten digits, as the operators number them; with a word for a mobile beside it, any nine may follow the 9.
_MOBILE = re.compile(r"9(?:0[0-5]|1[0-9]|2[0-3]|3[0-9]|41|9[0-6])[0-9]{7}")
# A number that ends farther from a word, counted in pieces, stands in no keyword that begins with it.
_NEAR = 8
_SHORTEST_ID = 8  # digits, where zeros were lost
# As many pieces name a person: an ID digit by digit, its label, a mobile and its label. To look on to a text's end from
# each of its words would take a second for one that was written for it.
_PERSON = 24
_LABELLED_MOBILE = re.compile(r"9[0-9]{9}")


class Token(NamedTuple):
    """A word of a text, and what it means here, if anything."""

    piece: Piece
    word: Word | None

    @property
    def meanings(self) -> frozenset[Meaning]:
        """Everything that it can mean."""
        return self.word.meanings if self.word else _NOTHING


_NOTHING: frozenset[Meaning] = frozenset()
# For, of, my; and what an ID is called.
_BESIDE_ID = frozenset({Meaning.FILLER, Meaning.NATIONAL_ID})
_NOBODY: frozenset[str] = frozenset()


@dataclass
class Tokens:
    """What is to be known of a text before it is decided what it asks for.

    `own` are the last ten digits of its sender's number. What most decisions ask for is worked out at once.
    """

    original: str
    folded: str
    pieces: Sequence[Piece]
    tokens: Sequence[Token]
    numbers: Sequence[Number]
    code_length: int
    own: str = ""
    words: Sequence[Word] = field(init=False)  # what its words mean, in order
    strange: Sequence[Piece] = field(init=False)  # the words that mean nothing here
    meanings: frozenset[Meaning] = field(init=False)  # everything that a word of it can mean
    ids: frozenset[str] = field(init=False)  # the different national IDs in it
    code: str | None = field(init=False)  # the only number in it that is as long as a code
    naming: Naming = field(init=False)  # how it names a person

    def __post_init__(self) -> None:
        """Work out the rest, each from what stands above it."""
        self.words = [word for _, word in self.tokens if word]
        self.strange = [piece for piece, word in self.tokens if not word]
        self.meanings = _NOTHING.union(*[word.meanings for word in self.words])
        self.ids = self._ids() if self.numbers else _NOBODY
        self.code = self._code() if self.numbers else None
        self.naming = self._naming() if self.numbers else Naming.NOBODY

    def _ids(self) -> frozenset[str]:
        """The IDs, but for sums of money, the sender's own number, and what beside an ID only passes for one."""
        sums = self.says(Meaning.MONEY)
        ids = frozenset([it.national_id for it in self.numbers if it.national_id and not (sums and it.money)])
        ids = ids - {self.own} if self.own in ids else ids
        return ids if len(ids) < 2 else self._without_mobiles(self._without_labelled(ids))

    def _without_labelled(self, ids: frozenset[str]) -> frozenset[str]:
        befores = [(it.national_id, self.before(it)) for it in self.numbers]
        return ids - {each for each, before in befores if before and Meaning.LABEL in before.meanings} or ids

    def _without_mobiles(self, ids: frozenset[str]) -> frozenset[str]:
        if self.count(Meaning.NATIONAL_ID) > 1:  # each is called an ID
            return ids
        shape = _LABELLED_MOBILE if self.says(Meaning.MOBILE, Meaning.CONTACT) else _MOBILE
        return frozenset([each for each in ids if not shape.fullmatch(each)]) or ids

    def _code(self) -> str | None:
        length, sums = self.code_length, self.says(Meaning.MONEY)
        codes = {it.digits for it in self.numbers if len(it.digits) == length and it.may_be_code}
        if sums or self.own in codes:
            codes -= {self.own, *[it.digits for it in self.numbers if it.money]}
        return codes.pop() if len(codes) == 1 else None

    def _naming(self) -> Naming:
        if self.ids:
            return Naming.ONE if len(self.ids) == 1 else Naming.SEVERAL
        if any(each.is_foreign for each in self.numbers):
            return Naming.FOREIGN
        return Naming.INVALID if any(each.is_attempt for each in self.numbers) else Naming.NOBODY

    def before(self, number: Number) -> Token | None:
        """The word that stands before a number, on its line or not."""
        return next((token for token in reversed(self.tokens) if token.piece.end <= number.start), None)

    def between(self, one: int, other: int) -> str:
        """What stands between two words: signs and numbers."""
        return self.folded[self.tokens[one].piece.end : self.tokens[other].piece.start]

    @property
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
        only = frozenset((language,))
        return sum([word.languages == only for word in self.words])


def read(text: str, code_length: int, own: str = "") -> Tokens:
    """Takes a text apart. `own` are the last ten digits of its sender's number."""
    text = text[:LONGEST]
    folded = fold(text)
    found = in_digits(pieces(folded))
    tokens = list(_tokens(found))
    if not all(token.word for token in tokens) and not any(token.meanings & REQUESTS for token in tokens):
        tokens = _with_guesses(tokens)
    return Tokens(text, folded, found, tokens, numbers(folded, found, _is_word, code_length), code_length, own)


def _tokens(found: Sequence[Piece]) -> Iterator[Token]:
    """Each word and what it means, keywords of several words first."""
    place = 0
    while place < len(found):
        if found[place].is_digits:
            place += 1
            continue
        length, word = _longest_keyword(found, place)
        yield Token(found[place], word)
        place += length


def _longest_keyword(found: Sequence[Piece], place: int) -> tuple[int, Word | None]:
    """How many pieces the longest keyword is spread over that begins here, and what it means."""
    following = range(place + 1, min(place + lexicon.LONGEST, len(found)))
    spread = _spread(found, place, following)
    if spread is None and found[place].text in lexicon.beginnings():
        spread = _spread(found, place, _beyond_persons(found, place))
    return spread or (1, lexicon.find(found[place].text))


def _spread(found: Sequence[Piece], place: int, following: Iterable[int]) -> tuple[int, Word] | None:
    """How many pieces the longest keyword takes that begins here and goes on in words at the places that follow."""
    longest, doubles = None, False
    joined = found[place].text
    for each in following:
        if found[each].is_digits or not lexicon.begins(joined):
            break
        doubles = doubles or _doubles(joined, found[each].text)
        joined += found[each].text
        if word := lexicon.written().get(joined) if doubles else lexicon.find(joined):
            longest = each + 1 - place, word
    return longest


def _beyond_persons(found: Sequence[Piece], place: int) -> Iterator[int]:
    """The places of the words that may belong to this one, though a person is named between; none where nobody is."""
    near = found[place + 1 : place + _NEAR]
    if any(number.is_digits and not word.is_digits for number, word in pairwise(near)):
        for _ in range(lexicon.LONGEST - 1):
            place += 1
            if (beyond := _beyond_person(found, place)) is not None:
                place = beyond
            if place >= len(found):
                return
            yield place


def _beyond_person(found: Sequence[Piece], place: int) -> int | None:
    """Where a person ends who is named here: a number as long as an ID, and what may stand beside it (for the ID)."""
    digits, end = 0, min(place + _PERSON, len(found))
    while place < end:
        if found[place].is_digits:
            digits += len(found[place].text)
            place += 1
        elif length := _beside_id(found[place : place + 2]):
            place += length
        else:
            break
    return place if digits >= _SHORTEST_ID else None


def _beside_id(found: Sequence[Piece]) -> int:
    """How many of these pieces, one or two, are a word that may stand beside an ID; 0 where none is."""
    texts = [piece.text for piece in found if not piece.is_digits]
    for length in range(len(texts), 0, -1):
        word = lexicon.find("".join(texts[:length]))
        if word and not word.meanings.isdisjoint(_BESIDE_ID):
            return length
    return 0


def _with_guesses(tokens: list[Token]) -> list[Token]:
    strange = [token.piece.text for token in tokens if not token.word]
    if len(strange) > _GUESSED_AT:
        return tokens
    following = iter([*strange[1:], ""])
    guessed = (token if token.word else _guessed(token.piece, next(following)) for token in tokens)
    return list(guessed)


def _guessed(piece: Piece, following: str) -> Token:
    is_one_word = following and not _doubles(piece.text, following)
    return Token(piece, guess(piece.text) or (guess(piece.text + following) if is_one_word else None))


def _doubles(word: str, following: str) -> bool:
    """Whether a letter is double where two words meet: no slip, for the second may be a negation (پشیمان + نشدم)."""
    return lexicon.sound(word[-1]) == lexicon.sound(following[0])


def _is_word(word: str) -> bool:
    return lexicon.find(word) is not None
