"""A carrier that reaches no further than this machine: for trying the bot without a provider.

It is spoken to as providers speak: calls signed by HMAC-SHA-256 over address and form, in X-Ramz-Signature.
What it delivers lies sealed in the store, where every process can show it.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlencode

from bot.keys import Keys
from bot.ports import Answer, Call, Clock, Dice, Inbound, Malformed, Outbound, Receipt, as_name, as_ref
from store import handset
from store.engine import Store
from store.tables import Rank

HEADER = "X-Ramz-Signature"
RANKS = {"sent": Rank.SENT, "delivered": Rank.DELIVERED, "undelivered": Rank.FAILED}


@dataclass(frozen=True)
class Message:
    """A text on a simulated phone's screen."""

    id: int
    provider_id: str
    text: str = field(repr=False)
    arrived_at: datetime


class Simulated:
    """The `simulated` gateway."""

    name = "simulated"
    methods = ("POST",)
    heard = Answer(200)
    noted = Answer(204)

    def __init__(self, store: Store, keys: Keys, clock: Clock, dice: Dice) -> None:
        """Take the store that its phones lie in."""
        self.store, self.keys, self.clock, self.dice = store, keys, clock, dice

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
        return Receipt(self.name, name, rank, ref=as_ref(name.partition(".")[0].removeprefix("S")))

    def send(self, text: Outbound) -> str:
        """Put the text on the phone."""
        name = f"S{text.ref}.{self.dice.token()}"
        with self.store.writing() as connection:
            handset.deliver(connection, text.to, name, self.keys.seal(text.text), self.clock())
        return name

    def screen(self, phone: str, after: int = 0) -> list[Message]:
        """What reached a phone after the message with this id, oldest first."""
        with self.store.reading() as connection:
            found = handset.arrivals(connection, phone, after)
        return [Message(it.id, it.provider_id, self.keys.open(it.sealed), it.arrived_at) for it in found]
