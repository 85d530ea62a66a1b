"""What was tried on the phones, written down as a test: a transcript that the tests can play.

A code is written by what it was (`{code}`, `{older}`, `{wrong}`), since another run draws others.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

TITLE = "== as it went on the phone page"


@dataclass(frozen=True)
class Said:
    """What was done on the page: a phone texted, or, where `later` is set, time was moved on by so much.

    The bot's texts with ids above `after` and up to `upto` came of it.
    """

    at: datetime
    phone: str = ""
    words: str = field(default="", repr=False)
    later: timedelta = timedelta()
    after: int = 0
    upto: int = 0


@dataclass(frozen=True)
class Sent:
    """A text of the bot's: to whom, which phrase, in which language, and the code in it. In the order of leaving.

    `resend_of` is the text that did not arrive, where this one follows it.
    """

    id: int
    phone: str
    phrase: str
    language: str
    code: str | None = field(default=None, repr=False)
    resend_of: int | None = None


@dataclass
class Writer:
    """Writes a transcript. `names` are what the tests call the phones; codes have so many digits."""

    names: Mapping[str, str]
    digits: int
    codes: dict[str, list[str]] = field(default_factory=dict, repr=False)

    def write(self, said: Sequence[Said], sent: Sequence[Sent]) -> str:
        """The transcript of what was done, with what the bot sent upon each text."""
        ordered = sorted(said, key=lambda it: it.at)
        return "\n".join((TITLE, *self._lines(ordered, sent))) + "\n"

    def _lines(self, said: Sequence[Said], sent: Sequence[Sent]) -> Iterator[str]:
        in_hand, told = "", timedelta()
        for it in said:
            # Time is told in whole seconds, and what is left of one is carried on.
            passed = it.at - it.later - said[0].at - told
            if passed >= timedelta(seconds=1):
                told += timedelta(seconds=int(passed.total_seconds()))
                yield _span(timedelta(seconds=int(passed.total_seconds())))
            if it.later:
                told += it.later
                yield _span(it.later)
                continue
            name = self._name(it.phone)
            yield f"{'' if name == in_hand else name}> {self._words(it)}".rstrip()
            in_hand = name
            answers = [text for text in sent if it.after < text.id <= it.upto and text.resend_of is None]
            yield from (self._answer(in_hand, text) for text in answers)
            for text in answers:
                yield from self._sent_again(in_hand, text.id, sent)

    def _answer(self, in_hand: str, text: Sent) -> str:
        name = self._name(text.phone)
        if text.code:
            self.codes.setdefault(text.phone, []).append(text.code)
        return f"{'' if name == in_hand else name}< {text.language} {text.phrase}"

    def _sent_again(self, in_hand: str, before: int, sent: Sequence[Sent]) -> Iterator[str]:
        """What followed a text that did not arrive, as often as none did."""
        for text in (it for it in sent if it.resend_of == before):
            yield f"! undelivered {self._name(text.phone)}"
            yield self._answer(in_hand, text)
            yield from self._sent_again(in_hand, text.id, sent)

    def _name(self, phone: str) -> str:
        return self.names.get(phone, "stranger")

    def _words(self, said: Said) -> str:
        one_line = "\\n".join(said.words.splitlines())
        escaped = one_line.replace("{", "{{").replace("}", "}}")
        named = re.sub(rf"(?<!\d)\d{{{self.digits}}}(?!\d)", lambda found: self._code(said.phone, found[0]), escaped)
        return named if "{" in named else one_line

    def _code(self, phone: str, typed: str) -> str:
        mine = self.codes.get(phone, [])
        code = "".join(str(int(digit)) for digit in typed)
        places = dict(zip(reversed(mine), ("{code}", "{older}"), strict=False))
        return places.get(code, "{wrong}") if mine else typed


def _span(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    return f"+ {seconds // 60} min" if seconds % 60 == 0 else f"+ {seconds} s"


def code_in(text: str, digits: int) -> str | None:
    """The code in a text of the bot's: its only run of so many ASCII digits."""
    found = re.search(rf"(?<![0-9])[0-9]{{{digits}}}(?![0-9])", text)
    return found[0] if found else None
