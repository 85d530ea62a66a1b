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

from bot.credentials.keyring import Keyring
from bot.ports import (
    Answer,
    Call,
    Clock,
    Inbound,
    Malformed,
    Outbound,
    RandomSource,
    Reason,
    Receipt,
    SendFailed,
    as_name,
    as_ref,
)
from bot.simulation.state import DELAY, CarrierFault, no_faults
from store import simulated_messages
from store.database.engine import Store
from store.tables import DeliveryStatus

HEADER = "X-Ramz-Signature"
DELIVERY_STATUSES = {
    "sent": DeliveryStatus.SENT,
    "delivered": DeliveryStatus.DELIVERED,
    "undelivered": DeliveryStatus.FAILED,
}
# What becomes of a text stands at the end of the carrier's id for it, so that every process knows it later.
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
        """The id of the text in `outbound_message`, as receipts carry it."""
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
        self,
        store: Store,
        keyring: Keyring,
        clock: Clock,
        random_source: RandomSource,
        faults: Callable[[], Collection[CarrierFault]] = no_faults,
    ) -> None:
        """Take the store that its phones lie in, and what tells which faults are on."""
        self.store, self.keyring, self.clock, self.random_source, self.faults = (
            store,
            keyring,
            clock,
            random_source,
            faults,
        )

    def sign(self, url: str, form: Mapping[str, str]) -> str:
        """The signature that a call with this form must carry."""
        message = f"{url}?{urlencode(sorted(form.items()))}"
        return hmac.new(self.keyring.webhook, message.encode(), hashlib.sha256).hexdigest()

    def is_authentic(self, call: Call) -> bool:
        """Whether the call was signed with this bot's own keys."""
        given = call.headers.get(HEADER, "")
        return hmac.compare_digest(given.encode(), self.sign(call.url, call.form).encode())

    def read_texts(self, call: Call) -> list[Inbound]:
        """Fields `from`, `id` and `text`."""
        sender, name = call.form.get("from", ""), as_name(call.form.get("id", ""))
        if not sender:
            raise Malformed("from is needed")
        return [Inbound(self.name, name, sender, call.form.get("text", ""))]

    def read_receipts(self, call: Call) -> list[Receipt]:
        """Fields `id` and `status`."""
        name = as_name(call.form.get("id", ""))
        status = DELIVERY_STATUSES.get(call.form.get("status", ""))
        if status is None:
            return []
        return [Receipt(self.name, name, status, ref=_ref(name))]

    def send(self, text: Outbound) -> str:
        """Put the text on the phone, with the faults that are on. SendFailed while the carrier is down."""
        faults = self.faults()
        if CarrierFault.DOWN in faults:
            raise SendFailed(Reason.NO_CONNECTION, permanent=False)
        name = f"S{text.ref}.{self.random_source.token()}{_fate(faults)}"
        arrives = self.clock() + (DELAY if CarrierFault.DELAY in faults else timedelta())
        with self.store.writing() as connection:
            simulated_messages.deliver(connection, text.to, name, self.keyring.seal(text.text), arrives)
        return name

    def screen(self, phone: str, after: int = 0) -> list[Message]:
        """What has reached a phone, but for the messages up to this id, oldest first."""
        now = self.clock()
        return [it for it in self.carried(phone, after) if it.arrived_at <= now and not it.is_lost]

    def carried(self, phone: str, after: int = 0) -> list[Message]:
        """All that the carrier took for a phone: what is late and what never arrives, too."""
        with self.store.reading() as connection:
            found = simulated_messages.arrivals(connection, phone, after)
        return [Message(it.id, it.provider_id, self.keyring.open(it.sealed), it.arrived_at) for it in found]

    def receipts(self, phone: str) -> list[dict[str, str]]:
        """The receipts that are due for a phone's texts, as forms: of texts that are not known to have ended."""
        with self.store.reading() as connection:
            names = simulated_messages.unconfirmed(connection, phone, self.clock())
        return [_form(name) for name in names if not name.endswith(UNCONFIRMED)]


def _form(name: str) -> dict[str, str]:
    """The receipt of a text that the carrier calls so: it says what became of it."""
    return {"id": name, "status": "undelivered" if name.endswith(UNDELIVERED) else "delivered"}


def _ref(name: str) -> int | None:
    return as_ref(name.partition(".")[0].removeprefix("S"))


def _fate(faults: Collection[CarrierFault]) -> str:
    if CarrierFault.UNDELIVERED in faults:
        return UNDELIVERED
    return UNCONFIRMED if CarrierFault.LOSE_RECEIPT in faults else ""
