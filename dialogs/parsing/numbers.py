"""The numbers in a text: where each begins and ends however it is spaced, and which can be a national ID or a code."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import itemgetter
from typing import NamedTuple

from dialogs.parsing.normalise import national_id

_PIECE = re.compile(r"[0-9]+|[^\W\d_]+")

# Dates and times are no part of any other number.
_DATES = re.compile(
    r"(?<![0-9])(?:"
    r"(?:1[34]|19|20)[0-9]{2}([/.-])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12][0-9]|3[01])"
    r"|(?:0?[1-9]|[12][0-9]|3[01])([/.-])(?:0?[1-9]|1[0-2])\2(?:1[34]|19|20)[0-9]{2}"
    r")(?![0-9])"
)
_TIMES = re.compile(r"(?<![0-9:])(?:[01]?[0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?(?![0-9:])")
# The words and numbers of an address say nothing (…/reset?id=…); that there is one does.
_ADDRESS = re.compile(r"(?<=://)[!-~]+|(?<=www\.)[!-~]+")
_DATE_SIGNS = frozenset("/.-")
_MONEY = re.compile(r"[0-9]{1,3}(?:[,٬،][0-9]{3})+")
_MOBILE = re.compile(r"(?:0|98|0098|980|00980)9[0-9]{9}")

_FOREIGN_DIGITS = 12
_PRINTED = (_FOREIGN_DIGITS, 16, 22, 24)  # a bank card; an IBAN with and without its check digits
_GROUP = 4
_STRICT = (10, 11, 16)
_WHOLE = 10  # as many digits in one piece, or more, are a number of their own
_LACKING = 8  # so are as many, an ID without its zeros, where no lone digits stand by
_PIN_DIGITS = 4
_ATTEMPT_DIGITS = 5
_FEW_DIGITS = 2  # a day, a count, the number of a command
_MOST_PIECES = 24  # of numbers written apart: more is no number at all
_FARTHEST = 3  # characters between two pieces of one number
_APART = frozenset(" \n,;:،؛")  # what parts a number from the letters beside it


class Piece(NamedTuple):
    """A run of letters or a run of digits, and where it stands in the text."""

    text: str
    start: int
    end: int

    @property
    def is_digits(self) -> bool:
        """Whether it is a run of digits."""
        return self.text[0] in "0123456789"


@dataclass(frozen=True, slots=True)
class Number:
    """A number as its sender meant it. `glued`, `touched` and `led` tell of unknown Latin letters at it."""

    digits: str
    start: int
    end: int
    national_id: str | None = None
    glued: bool = False  # letters right beside it: a passport number, a letter typed for a digit
    touched: bool = False  # or only signs between: part of an address or a password
    led: bool = False  # they stand before it: another service's code (G-482913)
    money: bool = False

    @property
    def is_mobile(self) -> bool:
        """Whether it is an Iranian mobile number, written at home or from abroad."""
        return _MOBILE.fullmatch(self.digits) is not None

    @property
    def is_foreign(self) -> bool:
        """Whether it has the twelve digits of a foreign national's identifier."""
        return len(self.digits) == _FOREIGN_DIGITS and not (self.touched or self.money or self.is_mobile)

    @property
    def may_be_code(self) -> bool:
        """Whether it may be a code, where it is as long as one: a name may follow it after a sign (482913-Ali)."""
        return not (self.glued or self.led or self.national_id)

    @property
    def is_attempt(self) -> bool:
        """Whether it may have been meant for a national ID."""
        return len(self.digits) >= _ATTEMPT_DIGITS and not self.money


def pieces(folded: str) -> list[Piece]:
    """The words and the runs of digits of a folded text, in order; dates, times and addresses are left out."""
    return [
        Piece(found[0], found.start(), found.end()) for found in _PIECE.finditer(_without_dates_and_addresses(folded))
    ]


def numbers(folded: str, all_pieces: Sequence[Piece], is_word: Callable[[str], bool], code_length: int) -> list[Number]:
    """The numbers that the pieces of a folded text make up."""
    found: list[Number] = []
    for chain in _chains(folded, all_pieces, is_word):
        if chain.glued or chain.touched:
            found.append(_number(folded, chain))
        else:
            found.extend(_number(folded, DigitChain(part)) for part in _parts(folded, chain.pieces, code_length))
    return found


class DigitChain(NamedTuple):
    """Runs of digits with no letters between."""

    pieces: Sequence[Piece]
    glued: bool = False
    touched: bool = False
    led: bool = False

    @property
    def digits(self) -> str:
        """All its digits, joined."""
        return "".join(piece.text for piece in self.pieces)


def _without_dates_and_addresses(folded: str) -> str:
    if "://" in folded or "www." in folded:
        folded = _ADDRESS.sub(_blank, folded)
    if ":" in folded:
        folded = _TIMES.sub(_blank, folded)
    return folded if _DATE_SIGNS.isdisjoint(folded) else _DATES.sub(_blank, folded)


def _blank(found: re.Match[str]) -> str:
    return " " * len(found.group())


def _chains(folded: str, all_pieces: Sequence[Piece], is_word: Callable[[str], bool]) -> Iterator[DigitChain]:
    chain: list[Piece] = []
    for place, piece in enumerate(all_pieces):
        if not piece.is_digits:
            continue
        before = _gap_before(folded, all_pieces, place, is_word)
        gaps = [gap for gap in (before, _gap_after(folded, all_pieces, place, is_word)) if gap is not None]
        if chain and (gaps or not _linked(all_pieces[place - 1], piece)):
            yield DigitChain(chain)
            chain = []
        if gaps:
            yield DigitChain([piece], "" in gaps, True, before is not None)
        else:
            chain.append(piece)
    if chain:
        yield DigitChain(chain)


def _gap_before(folded: str, all_pieces: Sequence[Piece], place: int, is_word: Callable[[str], bool]) -> str | None:
    """The signs between a run of digits and an unknown Latin word before it; None where they are apart."""
    if not place or not _is_strange(all_pieces[place - 1].text, is_word):
        return None
    return _sign(folded[all_pieces[place - 1].end : all_pieces[place].start])


def _gap_after(folded: str, all_pieces: Sequence[Piece], place: int, is_word: Callable[[str], bool]) -> str | None:
    """The signs between a run of digits and an unknown Latin word after it; None where they are apart."""
    if place + 1 >= len(all_pieces) or not _is_strange(all_pieces[place + 1].text, is_word):
        return None
    return _sign(folded[all_pieces[place].end : all_pieces[place + 1].start])


def _sign(gap: str) -> str | None:
    return gap if _APART.isdisjoint(gap) else None


def _is_strange(text: str, is_word: Callable[[str], bool]) -> bool:
    return text.isascii() and text.isalpha() and (len(text) == 1 or not is_word(text))


def _linked(left: Piece, right: Piece) -> bool:
    return left.is_digits and right.start - left.end <= _FARTHEST


def _parts(folded: str, chain: Sequence[Piece], code_length: int) -> Iterator[Sequence[Piece]]:
    """The numbers of a chain: all of it where that is a number, else what can stand alone and what is left between."""
    alone = _standing_alone(chain, code_length)
    if len(chain) == 1 or (_is_number(chain, code_length) and not _is_code_and_more(folded, chain, code_length)):
        yield chain
        return
    for is_alone, group in groupby(zip(alone, chain, strict=True), itemgetter(0)):
        part = [piece for _, piece in group]
        yield from ([piece] for piece in part) if is_alone else _halves(part, code_length)


def _is_code_and_more(folded: str, chain: Sequence[Piece], code_length: int) -> bool:
    """Whether a code stands by a few digits (482913 11), apart: nobody writes an ID in such groups."""
    lengths = sorted(len(piece.text) for piece in chain)
    if lengths[-1] != code_length or lengths[-2] > _FEW_DIGITS:
        return False
    return all(" " in gap or "\n" in gap for gap in _gaps(folded, chain))


def _gaps(folded: str, chain: Sequence[Piece]) -> Iterator[str]:
    return (folded[left.end : right.start] for left, right in pairwise(chain))


def _standing_alone(chain: Sequence[Piece], code_length: int) -> list[bool]:
    """Which pieces are numbers by themselves. Nine digits with one more beside them are not: they are a wrong ID."""
    lengths = [len(piece.text) for piece in chain]
    least = _LACKING if min(lengths) >= _PIN_DIGITS else _WHOLE
    return [length == code_length or length >= least for length in lengths]


def _halves(chain: Sequence[Piece], code_length: int) -> Sequence[Sequence[Piece]]:
    if not _is_number(chain, code_length) and len(chain) <= _MOST_PIECES:
        for place in range(1, len(chain)):
            halves = chain[:place], chain[place:]
            if all(_is_half(half, code_length) for half in halves) and any(map(_is_a_persons, halves)):
                return halves
    return (chain,)


def _is_half(part: Sequence[Piece], code_length: int) -> bool:
    """As strict as it must be: the groups of a bank card must not pass for a short national ID."""
    digits = DigitChain(part).digits
    if len(part) == 1:
        return len(digits) == _PIN_DIGITS or _is_number(part, code_length)
    return len(digits) in (code_length, *_STRICT) and _is_number(part, code_length)


def _is_a_persons(part: Sequence[Piece]) -> bool:
    digits = DigitChain(part).digits
    return national_id(digits) is not None or _MOBILE.fullmatch(digits) is not None


def _is_number(part: Sequence[Piece], code_length: int) -> bool:
    return len(DigitChain(part).digits) == code_length or _is_grouped(part) or _is_a_persons(part)


def _is_grouped(part: Sequence[Piece]) -> bool:
    """Whether it is a long number in the groups of three or four that it is printed in."""
    return len(DigitChain(part).digits) in _PRINTED and max(len(piece.text) for piece in part) <= _GROUP


def _number(folded: str, chain: DigitChain) -> Number:
    start, end = chain.pieces[0].start, chain.pieces[-1].end
    named = None if chain.glued or (chain.touched and len(chain.digits) < 10) else national_id(chain.digits)
    money = len(chain.pieces) > 1 and _MONEY.fullmatch(folded[start:end]) is not None
    return Number(chain.digits, start, end, named, chain.glued, chain.touched, chain.led, money)
