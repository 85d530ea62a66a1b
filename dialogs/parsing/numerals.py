"""Numbers spelled in words, digit by digit, as phones write down what they are told."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from dialogs.parsing.normalise import fold
from dialogs.parsing.numbers import Piece
from dialogs.replies.phrases import languages

# One or two such words may be anything: one, no (نه), three of us.
_FEWEST_WORDS = 3
# From a code to a national ID; what is longer is left to those who count in words.
_DIGITS = range(6, 11)


def in_digits(found: Sequence[Piece]) -> Sequence[Piece]:
    """The pieces of a text with each spelled digit as a digit, in runs that are as long as a code or an ID.

    Part of a run may be in digits (صفر صفر یک ۲۳۴۵۶۷۹). Where digits stand elsewhere in the text, no word is one.
    """
    if sum([piece.text in _digits() for piece in found]) < _FEWEST_WORDS:
        return found
    runs = list(_runs(found))
    inside = {place for run in runs for place in run}
    if not runs or any(piece.is_digits for place, piece in enumerate(found) if place not in inside):
        return found
    return [_as_digits(piece) if place in inside else piece for place, piece in enumerate(found)]


def _runs(found: Sequence[Piece]) -> Iterator[range]:
    """The places of pieces that make up a number between them."""
    start = 0
    for end in range(len(found) + 1):
        if end < len(found) and (found[end].is_digits or found[end].text in _digits()):
            continue
        run, start = range(start, end), end + 1
        words = sum([not found[place].is_digits for place in run])
        if words >= _FEWEST_WORDS and sum([len(_as_digits(found[place]).text) for place in run]) in _DIGITS:
            yield run


def _as_digits(piece: Piece) -> Piece:
    return piece if piece.is_digits else piece._replace(text=_digits()[piece.text])


@cache
def _digits() -> Mapping[str, str]:
    """What digit each word is, folded; a language file may list them, from zero to nine."""
    numerals = [book.get("numerals", ()) for book in languages().values()]
    return {fold(word): str(digit) for each in numerals for digit, words in enumerate(each) for word in words}
