"""A season made up: texts by the hundred thousand, as a year's recoveries leave them behind, and their audit."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import insert

from bot.audit.hash_chain import Chain
from bot.audit.trail import SAID, Trail, digest
from bot.credentials.keyring import Keyring
from bot.platform.random_source import SystemRandomSource
from bot.settings import read_keys
from store.database.engine import Store
from store.database.times import as_text
from store.tables import (
    AccountRow,
    AuditRow,
    CloseReason,
    CodeRow,
    DeliveryStatus,
    InboundMessageRow,
    MessageKind,
    OutboundMessageRow,
    table,
)
from tests.support.parts import KEYS

KEYRING = Keyring.of(read_keys(KEYS))
PROVINCES = tuple(f"province {number:02d}" for number in range(31))
BROKERS, DAYS, BATCH = 800, 170, 20_000
GATEWAYS = ("twilio", "kannel")
Row = dict[str, Any]
# What becomes of codes, and of texts, in a hundred.
FATES = (
    [CloseReason.USED] * 80
    + [CloseReason.EXPIRED] * 12
    + [CloseReason.VOIDED] * 5
    + [CloseReason.CANCELLED, CloseReason.BURNED, CloseReason.BURNED]
)
ENDS = (
    [DeliveryStatus.DELIVERED] * 94
    + [DeliveryStatus.FAILED] * 2
    + [DeliveryStatus.SENT]
    + [DeliveryStatus.ACCEPTED] * 2
    + [DeliveryStatus.DROPPED]
)


def make(store: Store, texts: int, begins_at: datetime, days: int = DAYS, accounts: int | None = None) -> None:
    """Fill an empty store with so many texts of a season, a tenth of them on the first day, and their codes."""
    people = accounts or max(50, texts // 4)
    random_source = Random(7)
    _put(store, AccountRow, _accounts(people))
    rows: dict[Any, list[Row]] = {CodeRow: [], OutboundMessageRow: [], InboundMessageRow: [], AuditRow: []}
    done = 0
    for number, at in enumerate(sorted(_moments(random_source, texts // 3 + 1, begins_at, days))):
        if done >= texts:
            break
        for model, row in _recovery(random_source, number, 1 + random_source.randrange(people), at):
            rows[model].append(row)
            done += model is OutboundMessageRow
        if len(rows[OutboundMessageRow]) >= BATCH:
            _flush(store, rows)
    _flush(store, rows)
    Chain(store, lambda: begins_at + timedelta(days=days), Trail(KEYRING, SystemRandomSource())).seal_due()


def _flush(store: Store, rows: dict[Any, list[Row]]) -> None:
    rows[AuditRow].sort(key=lambda row: row["at"])  # ids rise with time
    for model, some in rows.items():
        _put(store, model, iter(some))
        some.clear()


def _put(store: Store, model: Any, rows: Iterator[Row]) -> None:
    whole = list(rows)
    if whole:
        with store.writing() as connection:
            connection.execute(insert(table(model)), whole)


def _accounts(number: int) -> Iterator[Row]:
    for n in range(1, number + 1):
        yield {
            "id": n,
            "national_id": f"{n:010d}",
            "username": f"leader{n}",
            "mobile": f"+98912{n:07d}",
            "province": PROVINCES[n % len(PROVINCES)],
            "broker": f"broker {n % BROKERS:03d}",
            "active": True,
            "failures": 0,
        }


def _moments(random_source: Random, number: int, begins_at: datetime, days: int) -> Iterator[datetime]:
    for n in range(number):
        day = 0 if n % 10 == 0 else random_source.randrange(days)
        yield begins_at + timedelta(days=day, seconds=random_source.triangular(0, 86_399, 36_000))


def _recovery(random_source: Random, number: int, account: int, at: datetime) -> Iterator[tuple[Any, Row]]:
    """A code, and if it is used a password and a notice; one text in a while is not answered."""
    close_reason, code_id, gateway = random_source.choice(FATES), f"c{number:021d}", GATEWAYS[number % 5 == 0]
    back = at + timedelta(seconds=random_source.uniform(15, 240))
    yield InboundMessageRow, _heard(gateway, number * 2, at, "asked")
    yield AuditRow, _noted(number * 2, account, at, "code_sent")
    yield CodeRow, _code(code_id, account, at, back, close_reason)
    yield OutboundMessageRow, _text(random_source, MessageKind.CODE, account, gateway, at, code_id)
    if close_reason is CloseReason.USED:
        yield InboundMessageRow, _heard(gateway, number * 2 + 1, back, "right_code")
        yield AuditRow, _noted(number * 2 + 1, account, back, "password_set")
        yield OutboundMessageRow, _text(random_source, MessageKind.PASSWORD, account, gateway, back)
        yield OutboundMessageRow, _text(random_source, MessageKind.NOTICE, account, gateway, back)
    elif number % 7 == 0:
        yield InboundMessageRow, _heard(gateway, number * 2 + 1, back, "unanswered")


def _heard(gateway: str, number: int, at: datetime, event: str) -> Row:
    return {
        "gateway": gateway,
        "provider_id": f"SM{number:032x}",
        "received_at": at,
        "event": event,
        "answered": event != "unanswered",
    }


def _noted(number: int, account: int, at: datetime, action: str) -> Row:
    row: Row = {
        **dict.fromkeys(SAID),
        "chain_length": None,
        "at": as_text(at.astimezone(UTC)),
        "actor": "pilgrim" if number % 100 else "staff",
        "who": f"…{account % 10_000:04d}",
        "action": action,
        "outcome": "ok",
        "account_id": account,
        "nonce": f"n{number:021d}",
        "key_id": KEYRING.newest,
    }
    return {**row, "at": at, "digest": digest(KEYRING.audits[KEYRING.newest], row)}


def _code(code_id: str, account: int, at: datetime, back: datetime, close_reason: CloseReason) -> Row:
    expires_at = at + timedelta(minutes=10)
    return {
        "id": code_id,
        "account_id": account,
        "phone": f"+98912{account:07d}",
        "purpose": "recovery",
        "requested_by": "owner",
        "key_id": "k1",
        "digest": bytes(32),
        "tries_left": 0 if close_reason is CloseReason.BURNED else 4,
        "created_at": at,
        "expires_at": expires_at,
        "closed_at": expires_at if close_reason is CloseReason.EXPIRED else back,
        "close_reason": close_reason,
    }


def _text(
    random_source: Random, kind: MessageKind, account: int, gateway: str, at: datetime, code_id: str | None = None
) -> Row:
    status = random_source.choice(ENDS)
    accepted_at = at + timedelta(seconds=random_source.uniform(0.05, 1.5))
    sent_at = accepted_at + timedelta(seconds=random_source.expovariate(1))
    ended_at = sent_at + timedelta(seconds=random_source.expovariate(1 / 8))
    taken = status is not DeliveryStatus.DROPPED
    return {
        "kind": int(kind),
        "phone": f"+98912{account:07d}",
        "language": "fa",
        "phrase": "code",
        "parameters": {},
        "secret": None,
        "code_id": code_id,
        "account_id": account,
        "inbound_gateway": gateway,
        "request_received_at": at,
        "created_at": at + timedelta(milliseconds=4),
        "expires_at": at + timedelta(minutes=10),
        "next_attempt_at": at,
        "attempts": 1,
        "status": int(status),
        "gateway": gateway if taken else None,
        "provider_id": f"P{random_source.getrandbits(128):032x}" if taken else None,
        "accepted_at": accepted_at if taken else None,
        "sent_at": sent_at if status in (DeliveryStatus.SENT, DeliveryStatus.DELIVERED) else None,
        "ended_at": ended_at if status >= DeliveryStatus.DROPPED else None,
        "error": {DeliveryStatus.FAILED: "unreachable", DeliveryStatus.DROPPED: "expired"}.get(status),
    }
