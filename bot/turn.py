"""One text on its way through the bot: what came in, what is known, what is to be said."""

import string
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from bot.codes import Fresh
from bot.passwords import Generated
from bot.ports import Inbound
from bot.settings import Settings
from dialogs.phrases import languages
from dialogs.vocabulary import Guess, Heard, Season, State
from store.codes import Tried
from store.conversations import View
from store.tables import Kind

# How long a text is worth delivering. A code's text lives as long as the code.
WORTH = {
    Kind.PASSWORD: timedelta(seconds=36_000),  # the longest that Twilio keeps a text
    Kind.REPLY: timedelta(minutes=10),
    Kind.NOTICE: timedelta(seconds=36_000),
}


@dataclass(frozen=True)
class Text:
    """A text before anything is looked up. `fresh` is a code that may be needed, drawn for every request alike."""

    inbound: Inbound
    phone: str
    heard: Heard
    fresh: Fresh | None


@dataclass(frozen=True)
class Attempt:
    """What came of a code that was texted back: the codes that a try was spent of, and the right one."""

    guess: Guess
    tried: tuple[Tried, ...] = ()
    right: Tried | None = None

    @property
    def tries_left(self) -> int:
        """How many tries are left."""
        return max((code.tries_left for code in self.tried), default=0)

    @property
    def account_ids(self) -> list[int]:
        """The accounts that the codes were for."""
        return [code.account_id for code in self.tried]


@dataclass
class Turn:
    """A text under the lock. `texts` gathers what is to be said, to be queued in one statement."""

    text: Text
    view: View
    now: datetime
    state: State
    season: Season
    settings: Settings
    generated: Generated | None = None
    attempt: Attempt | None = None
    texts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def language(self) -> str:
        """The language of the text where that can be told, else of the account, else of the texts before it."""
        told = (self.text.heard.language, self.view.phone_language, self.view.language)
        return next((name for name in told if name and name in languages()), self.settings.default_language)

    def say(
        self,
        phrase: str,
        kind: Kind = Kind.REPLY,
        *,
        parameters: dict[str, str] | None = None,
        to: str | None = None,
        language: str | None = None,
        secret: bytes | None = None,
        code_id: str | None = None,
        account_id: int | None = None,
        expires_at: datetime | None = None,
    ) -> None:
        """Have a phrase sent, to the phone that texted unless another is named. `secret` is sealed."""
        wanted = parameters_of(phrase)
        self.texts.append(
            {
                "kind": int(kind),
                "phone": to or self.text.phone,
                "language": language or self.language,
                "phrase": phrase,
                "parameters": {name: value for name, value in (parameters or {}).items() if name in wanted},
                "secret": secret,
                "code_id": code_id,
                "account_id": account_id,
                "origin": self.text.inbound.gateway,
                "heard_at": self.now,
                "expires_at": expires_at or self.now + WORTH[kind],
            }
        )


@cache
def parameters_of(phrase: str) -> frozenset[str]:
    """The parameters that a phrase has, in any language."""
    templates = (book["phrases"][phrase] for book in languages().values())
    return frozenset(name for each in templates for _, name, _, _ in string.Formatter().parse(each) if name)
