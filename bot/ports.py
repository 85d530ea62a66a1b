"""What the bot needs of the world, handed in by whoever builds it: a clock, dice, gateways."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum, auto
from typing import Protocol

from store.tables import DeliveryStatus, MessageKind

Clock = Callable[[], datetime]
"""The time now, aware, in UTC."""


class RandomSource(Protocol):
    """Chance, from a source that can't be foretold."""

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
    """A text that came in. `provider_id` names it for ever, however often the provider sends it."""

    gateway: str
    provider_id: str
    sender: str = field(repr=False)
    text: str = field(repr=False)


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
    """A text to hand to a provider. `validity` is how many seconds it is still worth delivering."""

    ref: int
    kind: MessageKind
    to: str = field(repr=False)
    text: str = field(repr=False)
    validity: int


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

    def read_text(self, call: Call) -> Inbound:
        """The text that a call brings; Malformed where sender or id is missing."""

    def read_receipt(self, call: Call) -> Receipt | None:
        """What a status call says; None where it says nothing of use; Malformed without an id."""

    def send(self, text: Outbound) -> str:
        """Hand a text over; the provider's id of it. SendFailed where it was not taken."""
