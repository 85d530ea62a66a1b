"""A password of one's own in a text: where it begins and ends. It is taken as written, not folded."""

import re
import unicodedata
from dataclasses import dataclass, field
from functools import cache

from dialogs.parsing.lexicon import Meaning
from dialogs.parsing.normalise import fold
from dialogs.parsing.tokens import LONGEST, read

# "change 482913 to …"
_TO = frozenset(map(fold, ("به", "to", "be", "إلى", "ب")))

# What people put between a code and what follows it.
_GAP = r"(?:\s*[:،,]\s*|\s+[-–—/]\s+|\s+)"


@dataclass(frozen=True)
class CodeAndPassword:
    """A code, in ASCII digits, and the password that follows it."""

    code: str = field(repr=False)
    password: str = field(repr=False)


def trimmed(text: str) -> str:
    """A text without the spaces and invisible marks that phones put around it. It may be empty."""
    start, end = 0, len(text)
    while start < end and _is_padding(text[start]):
        start += 1
    while end > start and _is_padding(text[end - 1]):
        end -= 1
    return text[start:end]


def offered(text: str, code_length: int) -> CodeAndPassword | None:
    """The code and the password after it; None where there are not both.

    Before the code only known words and a national ID may stand. What follows is a password if it is
    one word and no small talk. Several words may be anything, the code's own text sent back
    with it too; they are a password where a word for a change goes before.
    """
    found = _code_first(code_length).match(text[:LONGEST])
    if found is None:
        return None
    before, password = read(found["before"], code_length), _password(found["rest"])
    if before.strange or (len(password.split()) > 1 and not before.says(Meaning.CHANGE)):
        return None
    if not (read(password, code_length).strange or any(map(str.isdigit, password))):
        return None
    code = fold(found["code"])
    return CodeAndPassword(code, password) if fold(password) != code else None


def _password(rest: str) -> str:
    first, _, following = rest.partition(" ")
    return trimmed(following if fold(first) in _TO else rest)


def _is_padding(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cf", "Zs", "Zl", "Zp"}


@cache
def _code_first(code_length: int) -> re.Pattern[str]:
    return re.compile(rf"(?P<before>.*?)(?<!\d)(?P<code>\d{{{code_length}}})(?!\d){_GAP}(?P<rest>\S.*)", re.DOTALL)
