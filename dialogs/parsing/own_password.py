"""A password of one's own in a text: where it begins and ends. It is taken as written, not folded."""

import re
import unicodedata
from dataclasses import dataclass, field
from functools import cache

from dialogs.parsing.lexicon import REQUESTS, Meaning
from dialogs.parsing.normalise import fold
from dialogs.parsing.tokens import LONGEST, Tokens, read
from dialogs.replies.phrases import languages

# "change 482913 to …"
_TO = frozenset(map(fold, ("به", "to", "be", "إلى", "ب")))

# Several words are talk where one of them speaks of what is going on here, or all of them are a greeting.
_OF_THE_MATTER = REQUESTS | {
    Meaning.ONE_TIME,
    Meaning.NATIONAL_ID,
    Meaning.HELP,
    Meaning.CANCEL,
    Meaning.DECLINED,
    Meaning.NEGATION,
    Meaning.STOP,
    Meaning.MESSAGES,
    Meaning.MOBILE,
    Meaning.CONTACT,
}
_COMMANDS = frozenset({Meaning.STOP, Meaning.START, Meaning.CANCEL})
_GREETING = frozenset({Meaning.COURTESY, Meaning.FILLER})

# What is no word of a phrase: the places for its parameters, and numbers.
_PARAMETER = re.compile(r"\{\w+\}|\d+")

# The digits after a code that somebody may want for a password.
SHORTEST_CHOICE = 4

# What people put between a code and what follows it.
_GAP = r"(?:\s*[:،,]\s*|\s+[-–—/]\s+|\s+)"


@dataclass(frozen=True)
class CodeAndPassword:
    """A code, in ASCII digits, and the password that follows it.

    `is_phrase` says that it is several words which might be said to anybody: a password only where one was asked for.
    """

    code: str = field(repr=False)
    password: str = field(repr=False)
    is_phrase: bool = False


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

    Before the code only known words and a national ID may stand. What follows on its line, or on the next, is a
    password if it is one word and no small talk. Several words are one where a word for a change goes before, or
    where one is awaited (`is_phrase`) and they do not speak of the matter itself, as the code's own text sent back
    with it does. A label that says that it is a password is no part of it.
    """
    found = _code_first(code_length).match(text[:LONGEST])
    if found is None:
        return None
    before, password = read(found["before"], code_length), _line(found["rest"])
    code = "".join(filter(str.isdigit, fold(found["code"])))
    said = read(password, code_length)
    is_new = bool(said.strange or said.numbers)  # or it is a word for a password, of which one part looks like a label
    if is_new and said.says(Meaning.PASSWORD) and (unlabelled := _unlabelled(password, code_length)) != password:
        password, said = unlabelled, read(unlabelled, code_length)
    is_several = len(password.split()) > 1
    is_plain = bool(said.strange) or any(_has_chosen_digits(word, code_length) for word in password.split())
    if before.strange or fold(password) == code or not (is_plain or is_several):
        return None
    if is_plain and (not is_several or before.says(Meaning.CHANGE)):
        return CodeAndPassword(code, password)
    # "The code 482913 has come": one sentence goes on over the code.
    goes_on = before.says(Meaning.ONE_TIME) and not said.strange
    return None if goes_on or _is_talk(said) else CodeAndPassword(code, password, is_phrase=True)


def _has_chosen_digits(word: str, code_length: int) -> bool:
    """Whether digits in a word tell that it was chosen: a command may be written in some, or beside some, as 11 is."""
    if word.isdigit():
        return len(word) >= SHORTEST_CHOICE
    return any(map(str.isdigit, word)) and not read(word, code_length).says_any(_COMMANDS)


def _line(rest: str) -> str:
    """What follows the code, up to the end of its line; without "to"."""
    line, *_ = trimmed(rest).splitlines() or [""]
    first, _, following = line.partition(" ")
    return trimmed(following if fold(first) in _TO else line)


def _unlabelled(line: str, code_length: int) -> str:
    """A password without the word for one before it: up to a colon, or before a single other word."""
    for label, _, password in (line.partition(":"), line.rpartition(" ")):
        said = read(label, code_length)
        if password.strip() and said.says(Meaning.PASSWORD) and not (said.strange or said.numbers):
            return trimmed(password)
    return line


def _is_talk(said: Tokens) -> bool:
    if said.says_any(_OF_THE_MATTER) or (said.tokens and all(token.meanings & _GREETING for token in said.tokens)):
        return True
    return _words_of(said.folded).startswith(_own_lines())


def _words_of(folded: str) -> str:
    return " ".join(re.findall(r"\w+", _PARAMETER.sub(" ", folded)))


@cache
def _own_lines() -> tuple[str, ...]:
    """What stands beside the code in each text of ours that brings one, folded."""
    phrases = [book["phrases"] for book in languages().values()]
    brought = [text for each in phrases for text in each.values() if "{code}" in text]
    lines = {_words_of(fold(line)) for text in brought for line in text.splitlines()}
    return tuple(line for line in lines if line)


def _is_padding(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cf", "Zs", "Zl", "Zp"}


@cache
def _code_first(code_length: int) -> re.Pattern[str]:
    half = code_length // 2
    in_halves = rf"(?<!\d[ -])\d{{{half}}}[ -]\d{{{code_length - half}}}(?![ -]\d)"
    code = rf"(?<!\d)(?P<code>\d{{{code_length}}}|{in_halves})(?!\d)"
    return re.compile(rf"(?P<before>.*?){code}{_GAP}(?P<rest>\S.*)", re.DOTALL)
