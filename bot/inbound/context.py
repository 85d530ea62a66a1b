"""One text on its way through the bot: what came in, what is known, what is to be said."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.clock import shown
from bot.credentials.attempts import CodeCheck
from bot.credentials.codes import Fresh
from bot.credentials.passwords import Generated, Hashed
from bot.inbound.staff_context import StaffContext
from bot.ports import Inbound
from bot.sending import messages
from bot.settings import Settings
from dialogs.parsing.own_password import CodeAndPassword
from dialogs.replies.phrases import languages
from dialogs.staff_vocabulary import Confirmation
from dialogs.vocabulary import ParsedMessage, PasswordVerdict, Season, State
from store.accounts import Account
from store.conversations import View
from store.mobile_changes import Change
from store.reset_grants import ResetGrant
from store.tables import MessageKind
from store.views.daily_stats import Tally


@dataclass(frozen=True)
class IncomingMessage:
    """A text before anything is looked up. `fresh` is a code that may be needed, drawn for every request alike."""

    inbound: Inbound
    phone: str
    heard: ParsedMessage
    fresh: Fresh | None
    offered: CodeAndPassword | None = None


@dataclass(frozen=True)
class Precomputed:
    """What takes too long for a transaction: a password drawn, or the one that the text brings, hashed; a count."""

    generated: Generated | None = None
    password: str | None = field(default=None, repr=False)
    own: Hashed | None = None
    tally: Tally | None = None


@dataclass(frozen=True)
class NewPassword:
    """A password of one's own: what it is worth, and the ticket, if it comes by one."""

    offer: PasswordVerdict
    ticket: ResetGrant | None = None


@dataclass
class MessageContext:
    """A text under the lock. `texts` gathers what is to be said, to be queued in one statement."""

    text: IncomingMessage
    view: View
    now: datetime
    state: State
    season: Season
    settings: Settings
    prepared: Precomputed = field(default_factory=Precomputed)
    attempt: CodeCheck | None = None
    choice: NewPassword | None = None
    holder: Account | None = None  # whom the right code, or the ticket, is of
    locked: list[int] = field(default_factory=list)  # accounts whose recovery this text has closed
    dropped: list[int] = field(default_factory=list)  # accounts whose code this text has cancelled
    texts: list[dict[str, Any]] = field(default_factory=list)
    desk: StaffContext | None = None  # where a staff member's number texts
    stopped: list[Change] = field(default_factory=list)  # changes of mobile that this text has stopped
    alarms: list[str] = field(default_factory=list)

    @property
    def heard_language(self) -> str | None:
        """The language of the text, where that can be told. A password is in none."""
        is_words = self.prepared.password is None
        return self.text.heard.language if is_words else None

    @property
    def language(self) -> str:
        """The language of the text where that can be told, else of the account, else of the texts before it."""
        told = (self.heard_language, self.view.phone_language, self.view.language)
        return next((name for name in told if name and name in languages()), self.settings.default_language)

    def parameters(self) -> dict[str, str]:
        """What phrases can say, but for what is about an account."""
        settings = self.settings
        found = {
            "minutes": str(-(-settings.code_ttl_seconds // 60)),
            "digits": str(settings.code_length),
            "domain": settings.fakher_domain,
            "phone": settings.support_phone,
        }
        if self.desk is not None and self.desk.pending is not None and self.desk.confirmation is Confirmation.WRONG:
            found["tries"] = str(self.desk.pending.tries_left)
        if self.attempt is not None and self.attempt.tried:
            found["tries"] = str(self.attempt.tries_left)
        if self.view.opens is not None:
            found["date"] = shown(self.view.opens, languages()[self.language]["calendar"])
        return found

    def say(
        self,
        phrase: str,
        kind: MessageKind = MessageKind.REPLY,
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
        self.texts.append(
            messages.message(
                phrase,
                kind,
                to=to or self.text.phone,
                language=language or self.language,
                now=self.now,
                inbound_gateway=self.text.inbound.gateway,
                parameters=parameters,
                secret=secret,
                code_id=code_id,
                account_id=account_id,
                expires_at=expires_at,
            )
        )
