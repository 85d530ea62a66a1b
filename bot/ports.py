"""What the bot needs of the world, handed in by build.py: a clock, a random source, gateways."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum, auto
from typing import Protocol, runtime_checkable

from store.tables import DeliveryStatus, MessageKind

Clock = Callable[[], datetime]
"""The time now, aware, in UTC."""


class RandomSource(Protocol):
    """Random values that can't be predicted."""

    def digits(self, number: int) -> str:
        """So many decimal digits, uniform, leading zeros kept."""

    def password(self, length: int, alphabet: str) -> str:
        """So many characters of an alphabet, uniform."""

    def token(self) -> str:
        """A name that nobody else has: 22 characters, 128 bits."""


@dataclass(frozen=True)
class Call:
    """An HTTP request as a gateway sees it. `url` is the public one, which signatures are made over."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    form: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)


class Malformed(Exception):
    """An authentic call lacks what it must have."""


@dataclass(frozen=True)
class Inbound:
    """A text that came in. `provider_id` names it for ever, however often the provider sends it.

    `is_answered` says that the provider has acted upon the text and answered it, so that our reply would be a second.
    """

    gateway: str
    provider_id: str
    sender: str = field(repr=False)
    text: str = field(repr=False)
    is_answered: bool = False


class Reason(StrEnum):
    """Why a text was not taken or not delivered: one vocabulary for all providers."""

    UNREACHABLE = auto()  # switched off, out of reach, or the number is nobody's now
    BLOCKED = auto()  # by its operator, or on a list of those who want no such texts
    OPTED_OUT = auto()  # the provider holds a STOP from it
    NOT_A_MOBILE = auto()  # no number at all, or one that takes no texts
    EXPIRED = auto()  # not delivered within its validity
    SPAM = auto()  # filtered for what it says or who sends it
    BUSY = auto()  # the provider has too much to do, or is out of order
    REFUSED = auto()  # our account may not: credentials, balance, sender, country
    NO_CONNECTION = auto()
    TIMEOUT = auto()
    NO_SENSE = auto()  # an answer that is none of the provider's
    NO_TEMPLATE = auto()  # our own: the gateway sends by approved templates only, and has none for the phrase
    KEY_REMOVED = auto()  # our own: the key that sealed its secret is no longer in SECRET_KEYS
    UNKNOWN = auto()


@dataclass(frozen=True)
class Receipt:
    """How far a text has come, as its provider says.

    `ref` is the text's own id, where the call carries it; `code` the provider's own word for `error`, for the log.
    """

    gateway: str
    provider_id: str
    status: DeliveryStatus
    error: Reason | None = None
    ref: int | None = None
    code: str = ""


def as_ref(written: str) -> int | None:
    """A text's own id, as a provider hands it back; None for anything that can't be one."""
    return int(written) if re.fullmatch("[0-9]{1,9}", written) else None


def as_name(written: str) -> str:
    """A provider's id of a text; Malformed for what can't be one: empty, longer than 64, not printable ASCII."""
    if not re.fullmatch("[!-~]{1,64}", written):
        raise Malformed("an id of 1 to 64 printable ASCII characters is needed")
    return written


@dataclass(frozen=True)
class Outbound:
    """A text to hand to a provider. `validity` is how many seconds it is still worth delivering.

    `phrase`, `language` and `parameters`, secrets among them, are what the text was made of: some providers want a
    template's name and its values instead. `attempt` counts from 1, over all gateways.
    """

    ref: int
    kind: MessageKind
    to: str = field(repr=False)
    text: str = field(repr=False)
    validity: int
    phrase: str = ""
    language: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    attempt: int = 1


class SendFailed(Exception):
    """A provider did not take a text.

    `permanent` says that trying again is useless, by any gateway: what is wrong is the text or its number, not our
    account and not the provider. `code` is the provider's own word for `reason`, for the log.
    """

    def __init__(self, reason: Reason, *, permanent: bool, code: str = "") -> None:
        """Say why, and whether to try again."""
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent
        self.code = code


@dataclass(frozen=True)
class Answer:
    """What a provider wants to read when its call was taken."""

    status: int
    body: str = ""
    content_type: str = "text/plain; charset=utf-8"


class Gateway(Protocol):
    """A provider, both ways: authenticity, inbound form, receipts, send."""

    name: str

    @property
    def methods(self) -> tuple[str, ...]:
        """The HTTP methods that it calls by."""

    @property
    def heard(self) -> Answer:
        """What it wants to read when a text was taken."""

    @property
    def noted(self) -> Answer:
        """What it wants to read when a receipt was taken."""

    def is_authentic(self, call: Call) -> bool:
        """Whether the provider made this call. Never raises."""

    def read_texts(self, call: Call) -> Sequence[Inbound]:
        """The text that a call brings, or several; Malformed where sender or id is missing."""

    def read_receipts(self, call: Call) -> Sequence[Receipt]:
        """What a status call says, of one text or several; nothing where it is of no use; Malformed without an id."""

    def send(self, text: Outbound) -> str:
        """Hand a text over; the provider's id of it. SendFailed where it was not taken."""


@dataclass(frozen=True)
class PolledText:
    """A text that a provider was asked for, and when it was sent, where the provider tells."""

    inbound: Inbound
    sent_at: datetime | None = None


@dataclass(frozen=True)
class Batch:
    """What one round of asking brought: texts, and the cursor to go on from. `lost` items had no sender.

    `is_full` says that there may be more; `old` texts had gathered before the first round, since nobody can say when.
    """

    texts: Sequence[PolledText]
    cursor: str = ""
    is_full: bool = False
    lost: int = 0
    old: int = 0


@dataclass(frozen=True)
class ReceiptRounds:
    """When a provider is asked for receipts: so many texts a call, from so many seconds after sending until so many."""

    batch: int
    from_seconds: int
    until_seconds: int


@runtime_checkable
class Polled(Protocol):
    """A gateway that can be asked for what its provider does not call us with."""

    name: str

    @property
    def texts_every(self) -> int | None:
        """How many seconds lie between two rounds of asking for texts; None where they are not asked for."""

    @property
    def receipt_rounds(self) -> ReceiptRounds | None:
        """When to ask for receipts; None where they are not asked for."""

    def poll_inbound(self, cursor: str) -> Batch:
        """The texts since a cursor (empty at first), or those not fetched before. SendFailed where there is no answer.

        Where fetching takes them away at the provider's, they are nowhere else then.
        """

    def poll_receipts(self, names: Sequence[str]) -> Sequence[Receipt]:
        """How far these texts have come, by the provider's ids; not more of them than a round's `batch`."""
