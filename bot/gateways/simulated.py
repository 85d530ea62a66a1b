"""A carrier that reaches no further than this machine: for trying the bot without a provider.

It is spoken to as providers speak: calls signed by HMAC-SHA-256 over address and form, in X-Ramz-Signature.
What it delivers lies sealed in the store, where every process can show it.
"""

import hashlib
import hmac
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlencode

from bot.keys import Keys
from bot.ports import (
    Answer,
    Call,
    Clock,
    Dice,
    Inbound,
    Malformed,
    Outbound,
    Reason,
    Receipt,
    SendFailed,
    as_name,
    as_ref,
)
from bot.trial import DELAY, Bend, fair
from store import handset
from store.engine import Store
from store.tables import Rank

HEADER = "X-Ramz-Signature"
RANKS = {"sent": Rank.SENT, "delivered": Rank.DELIVERED, "undelivered": Rank.FAILED}
# A text's fate stands at the end of the carrier's name for it, so that every process and every later look knows it.
UNDELIVERED, UNCONFIRMED = ".undelivered", ".unconfirmed"


@dataclass(frozen=True)
class Message:
    """A text on a simulated phone's screen."""

    id: int
    provider_id: str
    text: str = field(repr=False)
    arrived_at: datetime

    @property
    def ref(self) -> int | None:
        """Which text of the outbox it is."""
        return _ref(self.provider_id)

    @property
    def is_lost(self) -> bool:
        """Whether it never reaches the phone."""
        return self.provider_id.endswith(UNDELIVERED)


class Simulated:
    """The `simulated` gateway."""

    name = "simulated"
    methods = ("POST",)
    heard = Answer(200)
    noted = Answer(204)

    def __init__(
        self, store: Store, keys: Keys, clock: Clock, dice: Dice, bends: Callable[[], Collection[Bend]] = fair
    ) -> None:
        """Take the store that its phones lie in, and what tells how it is bent."""
        self.store, self.keys, self.clock, self.dice, self.bends = store, keys, clock, dice, bends

    def sign(self, url: str, form: Mapping[str, str]) -> str:
        """The signature that a call with this form must carry."""
        message = f"{url}?{urlencode(sorted(form.items()))}"
        return hmac.new(self.keys.webhook, message.encode(), hashlib.sha256).hexdigest()

    def is_authentic(self, call: Call) -> bool:
        """Whether the call was signed with this bot's own keys."""
        given = call.headers.get(HEADER, "")
        return hmac.compare_digest(given.encode(), self.sign(call.url, call.form).encode())

    def read_text(self, call: Call) -> Inbound:
        """Fields `from`, `id` and `text`."""
        sender, name = call.form.get("from", ""), as_name(call.form.get("id", ""))
        if not sender:
            raise Malformed("from is needed")
        return Inbound(self.name, name, sender, call.form.get("text", ""))

    def read_receipt(self, call: Call) -> Receipt | None:
        """Fields `id` and `status`."""
        name = as_name(call.form.get("id", ""))
        rank = RANKS.get(call.form.get("status", ""))
        if rank is None:
            return None
        return Receipt(self.name, name, rank, ref=_ref(name))

    def send(self, text: Outbound) -> str:
        """Put the text on the phone, as well as the weather lets it. SendFailed while the carrier is down."""
        bends = self.bends()
        if Bend.DOWN in bends:
            raise SendFailed(Reason.NO_CONNECTION, permanent=False)
        name = f"S{text.ref}.{self.dice.token()}{_fate(bends)}"
        arrives = self.clock() + (DELAY if Bend.DELAY in bends else timedelta())
        with self.store.writing() as connection:
            handset.deliver(connection, text.to, name, self.keys.seal(text.text), arrives)
        return name

    def screen(self, phone: str, after: int = 0) -> list[Message]:
        """What has reached a phone, but for the messages up to this id, oldest first."""
        now = self.clock()
        return [it for it in self.carried(phone, after) if it.arrived_at <= now and not it.is_lost]

    def carried(self, phone: str, after: int = 0) -> list[Message]:
        """All that the carrier took for a phone: what is late and what never arrives, too."""
        with self.store.reading() as connection:
            found = handset.arrivals(connection, phone, after)
        return [Message(it.id, it.provider_id, self.keys.open(it.sealed), it.arrived_at) for it in found]

    def receipts(self, phone: str) -> list[dict[str, str]]:
        """The receipts that are due for a phone's texts, as forms: of texts that are not known to have ended."""
        with self.store.reading() as connection:
            names = handset.unconfirmed(connection, phone, self.clock())
        return [_form(name) for name in names if not name.endswith(UNCONFIRMED)]


def _form(name: str) -> dict[str, str]:
    """The receipt of a text that the carrier calls so: it says what became of it."""
    return {"id": name, "status": "undelivered" if name.endswith(UNDELIVERED) else "delivered"}


def _ref(name: str) -> int | None:
    return as_ref(name.partition(".")[0].removeprefix("S"))


def _fate(bends: Collection[Bend]) -> str:
    if Bend.UNDELIVERED in bends:
        return UNDELIVERED
    return UNCONFIRMED if Bend.LOSE_RECEIPT in bends else ""
