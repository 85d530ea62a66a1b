"""Notes how far texts have come. A code that did not arrive goes out once more: other digits in the old ones' place.

The digits that were sent are gone, for a secret is erased when a provider takes its text. So the code is renewed:
its account, phone, time and tries stay, and it counts as the one code that it is. Which gateway sends it:

    another one, if there is one, whatever the reason: it may know the number, or be on no list of refusals
    the same one, if there is no other and a second try may help: the phone was out of reach, the operator busy
    none, if the provider says that it would never help, or has just let the whole time pass

A receipt may come before the answer of the call by which its provider was given the text, or before that answer is
written. Where it bears no more than the provider's id, it is kept by this process and looked up again.
"""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from bot.credentials import one_time_codes
from bot.credentials.one_time_codes import DrawnCode
from bot.parts import Parts
from bot.platform.log import logger
from bot.ports import Reason, Receipt
from bot.sending.courier import Courier
from bot.sending.messages import message
from dialogs.vocabulary import CodePurpose, State
from store import codes, conversations, outbound_messages
from store.outbound_messages import ClaimedMessage, NewMessage, SentMessage
from store.service import counters
from store.service.counters import Key
from store.service.counting import DELIVERY_BUCKETS
from store.tables import DeliveryStatus, MessageKind

LOG = logger("receipts")

# Both control points: to the code, and to the password.
STEPS = {int(MessageKind.CODE): "code", int(MessageKind.PASSWORD): "password"}
# How many receipts that came early may be kept, and how often each is looked up: longer than a call can take.
MOST, LOOKS = 1_000, 15
USELESS = {Reason.NOT_A_MOBILE, Reason.OPTED_OUT, Reason.BLOCKED, Reason.SPAM, Reason.EXPIRED}


@dataclass(frozen=True)
class _Early:
    """A receipt that came at a time, and how often it was looked up since."""

    receipt: Receipt
    at: datetime
    looks: int = 0


class Receipts:
    """What providers tell of the texts that they took."""

    def __init__(self, parts: Parts, courier: Courier) -> None:
        """Take what a second try needs."""
        self.parts, self.courier = parts, courier
        self._early: deque[_Early] = deque()

    def note(self, receipt: Receipt) -> bool:
        """Note how far a text has come; False where it is none of ours, as far as is known yet."""
        now = self.parts.clock()
        if self._note(receipt, now):
            return True
        if receipt.ref is None and len(self._early) < MOST:
            self._early.append(_Early(receipt, now))
        else:
            self._count_unknown([receipt])
        return False

    def note_early(self) -> int:
        """Note the receipts that came before their texts were known by the provider's id; how many there were."""
        early = [self._early.popleft() for _ in range(len(self._early))]
        if not early:
            return 0
        try:
            with self.parts.store.reading() as connection:
                known = outbound_messages.known(connection, [each.receipt.provider_id for each in early])
            due = [each for each in early if (each.receipt.gateway, each.receipt.provider_id) in known]
            for each in due:
                self._note(each.receipt, each.at)
        except DBAPIError:
            self._early.extendleft(reversed(early))
            raise
        others = [replace(each, looks=each.looks + 1) for each in early if each not in due]
        self._early.extendleft(each for each in reversed(others) if each.looks < LOOKS)
        self._count_unknown([each.receipt for each in others if each.looks >= LOOKS])
        return len(due)

    def _count_unknown(self, receipts: Sequence[Receipt]) -> None:
        if not receipts:
            return
        with self.parts.store.writing() as connection:
            counters.count(connection, Counter(("receipt_unknown", each.gateway) for each in receipts))
        for each in receipts:
            LOG.warning("receipt_unknown", gateway=each.gateway)

    def _note(self, receipt: Receipt, now: datetime) -> bool:
        parts, failed = self.parts, receipt.status is DeliveryStatus.FAILED
        length = parts.settings.code_length
        drawn = one_time_codes.draw(parts.random_source, parts.keyring, length) if failed else None
        with parts.store.writing() as connection:
            text = self._raise(connection, receipt, now)
            claimed = self._follow(connection, receipt, text, drawn, now) if text and text.has_risen and drawn else []
        self.courier.take(claimed)
        if text and text.has_risen and receipt.status is DeliveryStatus.DELIVERED:
            self._measure(text, now)
        return text is not None

    def _measure(self, text: SentMessage, now: datetime) -> None:
        step = STEPS.get(text.kind)
        if step is not None and text.account_id is not None:
            took = (now - text.request_received_at).total_seconds()
            self.parts.counting.took("delivery_seconds", step, took, DELIVERY_BUCKETS)

    def _raise(self, connection: Connection, receipt: Receipt, now: datetime) -> SentMessage | None:
        return outbound_messages.receive_receipt(
            connection, receipt.gateway, receipt.provider_id, receipt.status, now, error=receipt.error, ref=receipt.ref
        )

    def _follow(
        self, connection: Connection, receipt: Receipt, text: SentMessage, drawn: DrawnCode, now: datetime
    ) -> list[ClaimedMessage]:
        """What follows where a text did not arrive."""
        reason = receipt.error or Reason.UNKNOWN
        again = self._once_more(connection, receipt.gateway, text, reason, drawn, now)
        # What goes another way the phone itself has asked for since its STOP: that is consent, and its code is taken.
        if reason is Reason.OPTED_OUT and again is None:
            conversations.opt_out(connection, text.phone, now, State.IDLE)
        claimed = self.courier.write(connection, [again], now) if again else []
        happened: Counter[Key] = Counter({("undelivered", f"{receipt.gateway} {reason}"): 1})
        if again:
            happened["sent_again", f"{receipt.gateway} {again.gateway}"] += 1
        counters.count(connection, happened)
        LOG.warning(
            "undelivered",
            text=text.id,
            phrase=text.phrase,
            gateway=receipt.gateway,
            reason=reason,
            code=receipt.code,
            next=again.gateway if again else None,
        )
        return claimed

    def _once_more(
        self, connection: Connection, gateway: str, text: SentMessage, reason: Reason, drawn: DrawnCode, now: datetime
    ) -> NewMessage | None:
        """The text of a code that takes the place of one that did not arrive; None where nothing more is to be done."""
        by = self._by(gateway, reason)
        if by is None or text.kind != MessageKind.CODE or text.resend_of is not None:
            return None
        if text.code_id is None or text.account_id is None:
            return None
        keyring = self.parts.keyring
        # Codes of accounts are bound alike, whatever they are for.
        digest = one_time_codes.digest(
            keyring, keyring.newest, CodePurpose.RECOVERY, text.code_id, text.account_id, drawn.digits
        )
        assert digest is not None
        # The provider holds a STOP: then only what the phone itself has asked for may go another way.
        own = reason is Reason.OPTED_OUT
        expires_at = codes.renew(connection, text.code_id, keyring.newest, digest, now, own=own)
        if expires_at is None:
            return None
        minutes = str(-(-int((expires_at - now).total_seconds()) // 60))
        return message(
            text.phrase,
            MessageKind.CODE,
            to=text.phone,
            language=text.language,
            now=text.request_received_at,
            inbound_gateway=text.inbound_gateway,
            parameters=text.parameters | {"minutes": minutes},
            secret=drawn.sealed,
            code_id=text.code_id,
            account_id=text.account_id,
            expires_at=expires_at,
            gateway=by,
            resend_of=text.id,
        )

    def _by(self, gateway: str, reason: Reason) -> str | None:
        others = [name for name in self.courier.failover.names if name != gateway]
        if not others:
            return None if reason in USELESS else gateway
        return next((name for name in others if not self.courier.failover.is_open(name)), others[0])
