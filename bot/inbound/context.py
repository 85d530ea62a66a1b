"""One text on its way through the bot: what came in, what is known of it, what it changes and what is to be said."""

from dataclasses import dataclass, field
from datetime import datetime

from bot.audit.trail import Entry, masked
from bot.credentials.one_time_codes import CodeCheck, DrawnCode
from bot.credentials.passwords import Generated, Hashed
from bot.inbound.staff_context import StaffContext
from bot.parts import Parts
from bot.platform.clock import shown
from bot.ports import Inbound
from bot.sending.messages import message
from dialogs.audit_vocabulary import Action, Actor, Outcome
from dialogs.parsing.own_password import CodeAndPassword
from dialogs.replies.phrases import languages
from dialogs.vocabulary import CodePurpose, OwnPasswordVerdict, ParsedMessage, Season, State
from store.accounts import Account
from store.conversations import View
from store.outbound_messages import NewMessage
from store.tables import MessageKind
from store.views.daily_stats import DailyStats

# Phrases that say nothing of an account: each leaves before the code that the same request may send.
_KINDS = dict.fromkeys(("neutral", "last_reply", "opted_in"), MessageKind.NEUTRAL)


@dataclass(frozen=True)
class IncomingMessage:
    """A text before anything is looked up.

    `drawn` is a code that may be needed, drawn for every request alike; `brought` a code with a password of the
    sender's own.
    """

    inbound: Inbound
    phone: str
    parsed: ParsedMessage
    drawn: DrawnCode | None
    brought: CodeAndPassword | None = None


@dataclass(frozen=True)
class Need:
    """What takes too long for a transaction, and must be there before it begins."""

    check: bool = False  # a try is to be spent: the conversation is locked from the start
    generated: bool = False  # a password, drawn and hashed
    own_password: str | None = field(default=None, repr=False)  # that the text brings, hashed
    stats: bool = False  # a day's figures, counted


@dataclass(frozen=True)
class Precomputed:
    """What was made of it."""

    need: Need = Need()
    generated: Generated | None = None
    own: Hashed | None = None
    stats: DailyStats | None = None


@dataclass
class MessageContext:
    """A text under the lock. What it changes is written as it is decided; what it says and records is gathered here."""

    message: IncomingMessage
    view: View
    now: datetime
    state: State
    season: Season
    parts: Parts
    work: Precomputed
    check: CodeCheck | None = None
    has_unknown_key: bool = False
    account: Account | None = None  # whom the right code is of
    password: OwnPasswordVerdict | None = None
    staff: StaffContext | None = None  # where a staff member's number texts
    texts: list[NewMessage] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)

    @property
    def phone(self) -> str:
        """The phone that texted."""
        return self.message.phone

    @property
    def text_language(self) -> str | None:
        """The language of the text, where that can be told. A password is in none."""
        return self.message.parsed.language if self.work.need.own_password is None else None

    @property
    def language(self) -> str:
        """The language of the text where that can be told, else of the account, else of the texts before it."""
        told = (self.text_language, self.view.phone_language, self.view.language)
        return next((name for name in told if name and name in languages()), self.parts.settings.default_language)

    def parameters(self) -> dict[str, str]:
        """What phrases can say, but for what is about an account."""
        settings = self.parts.settings
        found = {
            "minutes": str(-(-settings.code_ttl_seconds // 60)),
            "digits": str(settings.code_length),
            "domain": settings.fakher_domain,
            "phone": settings.support_phone,
        }
        if self.check is not None and self.check.spent:
            found["tries"] = str(self.check.tries_left)
        if self.view.opens is not None:
            found["date"] = shown(self.view.opens, languages()[self.language]["calendar"])
        return found

    def confirms_order(self) -> bool:
        """Whether the text hands back a code that a staff member's order waits for."""
        return self.check is not None and self.check.purpose is CodePurpose.STAFF_ORDER

    def say(
        self,
        phrase: str,
        kind: MessageKind | None = None,
        *,
        parameters: dict[str, str] | None = None,
        to: str | None = None,
        language: str | None = None,
        secret: bytes | None = None,
        code_id: str | None = None,
        account_id: int | None = None,
        expires_at: datetime | None = None,
    ) -> None:
        """Have a phrase sent, to the phone that texted unless another is named. `secret` is encrypted."""
        self.texts.append(
            message(
                phrase,
                kind if kind is not None else _KINDS.get(phrase, MessageKind.REPLY),
                to=to or self.phone,
                language=language or self.language,
                now=self.now,
                inbound_gateway=self.message.inbound.gateway,
                parameters=parameters,
                secret=secret,
                code_id=code_id,
                account_id=account_id,
                expires_at=expires_at,
            )
        )

    def record(
        self,
        action: Action,
        account_id: int | None,
        outcome: Outcome = Outcome.OK,
        reason: str = "",
        *,
        actor: Actor = Actor.PILGRIM,
        staff_id: int | None = None,
        ref: str | None = None,
    ) -> None:
        """Have a row of the audit written. The bot's own doings name no phone."""
        who = "" if actor is Actor.BOT else masked(self.phone)
        self.entries.append(Entry(actor, action, outcome, reason or None, who, account_id, staff_id, ref))
