"""Text as it is compared, whatever handset wrote it; and the national ID, whose last digit proves the others."""

import unicodedata
from itertools import chain, groupby

# What is left of the Arabic script after compatibility decomposition: letters that look or sound
# alike to a Persian reader, and marks that carry no meaning.
_PERSIAN_FORMS = str.maketrans(
    {
        **dict.fromkeys("يىےېۍ", "ی"),
        **dict.fromkeys("كڪ", "ک"),
        **dict.fromkeys("ةہھۃەۀ", "ه"),
        **dict.fromkeys("ٱ", "ا"),
        **dict.fromkeys("ګ", "گ"),
        **dict.fromkeys("ـء'’‘`´ʼʻʿʾ", ""),  # tatweel, a lone hamza, and what is typed for an apostrophe
    }
)
_LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
_LAST_KEPT = 0xFFFF
_HALF_SPACE = "\u200c"

_WEIGHTS = range(10, 1, -1)


def fold(text: str) -> str:
    """The text in one spelling: Persian letters, ASCII digits, lower case, no marks and nothing invisible.

    It is NFKD without the marks, then Persian forms for Arabic ones, character by character, so
    it is total, linear and idempotent. Every line end is a newline and every other space a space.
    """
    return text.translate(_FOLDED)


def composed(text: str) -> str:
    """The text in normal form C, in a time that grows with its length alone.

    The library puts the marks on a letter in order by insertion: 60 KB of them, and all threads stand still for two
    seconds. So it is given them in order.
    """
    apart = "".join(unicodedata.normalize("NFD", char) for char in text)
    runs = groupby(apart, lambda char: unicodedata.combining(char) > 0)
    ordered = (sorted(run, key=unicodedata.combining) if are_marks else run for are_marks, run in runs)
    return unicodedata.normalize("NFC", "".join(chain.from_iterable(ordered)))


def place_name(written: str) -> str:
    """A province's or broker's name in the one spelling that is kept and compared; empty where nothing can be seen.

    It is folded as texts are, and a half-space is a space, for people write either.
    """
    return " ".join(fold(written.replace(_HALF_SPACE, " ")).split())


def is_same_place(one: str | None, other: str | None) -> bool:
    """Whether two names are of one province or broker. What folds to nothing is the same as nothing."""
    return bool(one and other) and place_name(one or "") == place_name(other or "") != ""


def national_id(digits: str) -> str | None:
    """The ten digits of a national ID written with 8 to 10 ASCII digits, or None where it is not one.

    The rule is the one published for Iran's national number (kod-e melli): the first nine digits,
    weighted 10 down to 2, summed modulo 11, make the tenth, which is the remainder itself below 2
    and 11 less the remainder above. One digit ten times passes the sum but is issued to nobody.
    Leading zeros, up to two, may be missing: spreadsheets and people drop them.
    """
    if not (8 <= len(digits) <= 10 and digits.isascii() and digits.isdigit()):
        return None
    padded = digits.zfill(10)
    if padded == padded[0] * 10:
        return None
    remainder = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, padded, strict=False)) % 11
    return padded if int(padded[9]) == (remainder if remainder < 2 else 11 - remainder) else None


class _Folding(dict[int, str]):
    """What each character folds to, worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        folded = "".join(map(_folded_part, unicodedata.normalize("NFKD", chr(code)).casefold()))
        if code <= _LAST_KEPT:  # so that hostile texts cannot fill the memory
            self[code] = folded
        return folded


def _folded_part(char: str) -> str:
    if char in _LINE_ENDS:
        return "\n"
    if char.isspace():
        return " "
    category = unicodedata.category(char)
    if category[0] == "M" or category in ("Cc", "Cf"):
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(char))
    return " " if category == "Cs" else char.translate(_PERSIAN_FORMS)


_FOLDED = _Folding()
