"""What takes the world's place in tests: a clock that stands still, a known random source, a carrier that remembers."""

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import ClassVar

from bot.credentials.keyring import Cost
from bot.ports import Answer, Call, Inbound, Malformed, Outbound, Receipt, SendFailed
from bot.settings import Settings, read

KEYS = "k1:" + base64.b64encode(bytes(range(32))).decode()
# A password hashed in no time; nothing but its cost is different.
CHEAP = Cost(passes=1, memory=8, lanes=1)
NOON = datetime(2026, 9, 1, 9, 0, tzinfo=UTC)


class StoppedClock:
    """A clock that moves when it is told to."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> None:
        self.now += timedelta(**span)


class LoadedRandomSource:
    """A random source whose values are known: codes 100001, 100002, …; passwords aaaaaaaaaaab, …"""

    def __init__(self) -> None:
        self.codes = count(100001)
        self.words = count(1)
        self.tokens = count(1)

    def digits(self, number: int) -> str:
        return str(next(self.codes)).zfill(number)[-number:]

    def password(self, length: int, alphabet: str) -> str:
        rest, letters = next(self.words), []
        for _ in range(length):
            rest, place = divmod(rest, len(alphabet))
            letters.append(alphabet[place])
        return "".join(reversed(letters))

    def token(self) -> str:
        return f"t{next(self.tokens):021d}"


@dataclass
class Carrier:
    """A gateway that remembers what it was given. `failures` are raised first, one a text."""

    name: str = "simulated"
    sent: list[Outbound] = field(default_factory=list)
    failures: list[SendFailed] = field(default_factory=list)
    methods: ClassVar[tuple[str, ...]] = ("POST",)
    heard: ClassVar[Answer] = Answer(200)
    noted: ClassVar[Answer] = Answer(204)

    def is_authentic(self, call: Call) -> bool:
        return call.headers.get("X-Test") == "yes"

    def read_texts(self, call: Call) -> list[Inbound]:
        if "from" not in call.form:
            raise Malformed("from")
        return [Inbound(self.name, call.form["id"], call.form["from"], call.form.get("text", ""))]

    def read_receipts(self, call: Call) -> list[Receipt]:
        return []

    def send(self, text: Outbound) -> str:
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(text)
        return f"P{text.ref}"


def settings(**changes: str) -> Settings:
    """Settings of a test, as the environment would give them."""
    return read({"SECRET_KEYS": KEYS, "GATEWAYS": "simulated", "SUPPORT_PHONE": "02112345678", **changes})


# What must happen may take so long on a machine that is busy; no test waits for it where it does happen.
PATIENCE_SECONDS = 60.0


def eventually(holds: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> bool:
    """Whether something comes to hold within so many seconds. A short time is for what must not happen."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
