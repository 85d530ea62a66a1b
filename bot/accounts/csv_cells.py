"""What a cell of an import means, whichever spreadsheet wrote it."""

import re
import unicodedata
from collections.abc import Callable
from functools import partial
from typing import Any

from bot.platform.phone_numbers import PhoneNumbers
from dialogs.parsing.normalise import fold, national_id, place_name
from dialogs.replies.phrases import languages

NEEDED = ("national_id", "username", "mobile")
OPTIONAL = ("full_name", "province", "broker", "language", "password", "active")
LONGEST = {"username": 80, "full_name": 120, "province": 60, "broker": 60, "password": 1024}
TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}

# A joiner is part of the spelling between two letters that could be joined, and nowhere else.
_STRAY_JOINER = re.compile("(?<![\u0620-\u06ff])\u200c|\u200c(?![\u0620-\u06ff])")
# \ud800 to \udfff stand for bytes that are not UTF-8, and \ufffd for what another program could not read.
_NO_TEXT = re.compile("[\0\ud800-\udfff\ufffd]")
_AS_TEXT = re.compile(r'=\s*"(.*)"', re.DOTALL)  # ="0012345679", which keeps the zeros
_WITH_POINT = re.compile(r"([0-9]+)[.٫]0+")
_IN_THOUSANDS = re.compile(r"[0-9]{1,3}([,٬][0-9]{3})+(?=[.٫]0+|$)")
_ERROR = re.compile(r"#(N/A|REF!|VALUE!|NAME\?|DIV/0!|NUM!|NULL!|#+)|Err:[0-9]{3}")
_ROUNDED = re.compile(r"[0-9]+([.٫,][0-9]+)?[eE]\+[0-9]+")
# What a database writes into a cell that has nothing.
_NOTHING = "NULL"
# The digits of two telephone numbers: one has 15 at most.
_TWO_NUMBERS = 18
_DASH = str.maketrans(dict.fromkeys("‐‒–—―−", "-"))
_BETWEEN_DIGITS = re.compile(r"(?<=[0-9])[ -]+(?=[0-9])")
_BRACKETS = str.maketrans(dict.fromkeys("()"))


class BadRow(Exception):
    """A row can't be taken; the message is the reason."""


class _Visible(dict[int, str]):
    """Characters without the invisible ones, each worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        invisible = unicodedata.category(char) in ("Cc", "Cf") and char != "\u200c"
        shown = " " if char.isspace() else "" if invisible else char
        if code <= 0xFFFF:  # so that a hostile file cannot fill the memory
            self[code] = shown
        return shown


_VISIBLE = _Visible()


def plain(cell: str) -> str:
    """A cell without invisible characters, and without white space at its ends; a line break is white space."""
    if cell.isascii() and cell.isprintable():
        return cell.strip()
    lines = cell.splitlines()
    if len(lines) > 1:
        cell = " ".join(filter(None, map(str.strip, lines)))
    return _STRAY_JOINER.sub("", cell.translate(_VISIBLE)).strip()


def value(cell: str) -> str:
    """What a cell says, without the marks by which spreadsheets keep it as text: an apostrophe, `="…"`."""
    text = plain(cell)
    if text[:1] in "'=":
        if len(text) > 2 and text[0] == text[-1] == "'":  # as SQL writes a text
            text = text[:-1]
        text = text.lstrip("'").lstrip()
        if written := _AS_TEXT.fullmatch(text):
            text = written[1].replace('""', '"').strip()
    return "" if text == _NOTHING else text


def check_text(cells: list[str]) -> None:
    """Raise BadRow where a row holds what no text does."""
    if wrong := _NO_TEXT.search("".join(cells)):
        lost = "not UTF-8, or lost by another program"
        raise BadRow("has a NUL character" if wrong[0] == "\0" else f'{lost}; save the list as "CSV UTF-8"')


def account(given: dict[str, str], phone_numbers: PhoneNumbers) -> dict[str, Any]:
    """What a row's values, by column and none of them empty, say of an account; BadRow where they can't be taken.

    Keys: national_id, username, mobile, and of the other columns but `password` those that are given.
    """
    for name in NEEDED:
        if name not in given:
            raise BadRow(f"{name} is empty")
    for name, longest in LONGEST.items():
        if len(given.get(name, "")) > longest:
            raise BadRow(f"{name} is longer than {longest} characters")
    for name, said in given.items():
        if said[0] in "#E" and _ERROR.fullmatch(said):
            raise BadRow(f"{name} is an error that a spreadsheet shows, and no value")
    for name in NEEDED:
        if "+" in given[name] and _ROUNDED.fullmatch(_number(given[name])):
            raise BadRow(f"{name} was rounded by a spreadsheet (E+); format its column as text, and enter it again")
    found: dict[str, Any] = {
        "national_id": _person(given["national_id"]),
        "username": given["username"],
        "mobile": _mobile(given["mobile"], phone_numbers),
    }
    return found | {name: read(given[name]) for name, read in _READERS.items() if name in given}


def _number(written: str) -> str:
    # Digits of any script, dashes of any length, and the marks of a column that was taken for numbers: 9,121,234,567.0.
    text = fold(written).translate(_DASH).strip().lstrip("=").strip()
    if thousands := _IN_THOUSANDS.match(text):
        text = thousands[0].replace(",", "").replace("٬", "") + text[thousands.end() :]
    with_point = _WITH_POINT.fullmatch(text)
    return with_point[1] if with_point else text


def _person(written: str) -> str:
    person = national_id(_BETWEEN_DIGITS.sub("", _number(written)))
    if person is None:
        raise BadRow("national_id is not 10 digits with a right check digit")
    return person


def _mobile(written: str, phone_numbers: PhoneNumbers) -> str:
    number = _number(written).translate(_BRACKETS)
    mobile = phone_numbers.mobile(number)
    if mobile is None and sum(map(str.isdigit, number)) >= _TWO_NUMBERS:
        raise BadRow("mobile holds more than one number; leave the one that texts go to")
    if mobile is None:
        raise BadRow("mobile is not a mobile number of an allowed country")
    return mobile


def _place(column: str, written: str) -> str:
    """A province or a broker in the one spelling that is kept and compared."""
    place = place_name(written)
    if not place:
        raise BadRow(f"{column} has nothing that can be seen")
    if len(place) > LONGEST[column]:
        raise BadRow(f"{column} is longer than {LONGEST[column]} characters")
    return place


def _language(written: str) -> str:
    if fold(written) not in languages():
        raise BadRow(f"language is not one of {', '.join(languages())}")
    return fold(written)


def _truth(written: str) -> bool:
    if _number(written) not in TRUTH:
        raise BadRow("active is not true, false, 1, 0, yes or no")
    return TRUTH[_number(written)]


_READERS: dict[str, Callable[[str], Any]] = {
    "full_name": str,
    "province": partial(_place, "province"),
    "broker": partial(_place, "broker"),
    "language": _language,
    "active": _truth,
}
