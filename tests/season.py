"""A season made up: texts by the hundred thousand, as a year's recoveries leave them behind."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import insert

from store.engine import Store
from store.tables import Account, Audit, Code, Fate, Inbox, Kind, Outbox, Rank, table

PROVINCES = tuple(f"province {number:02d}" for number in range(31))
BROKERS, DAYS, BATCH = 800, 170, 20_000
GATEWAYS = ("twilio", "kannel")
Row = dict[str, Any]
# What becomes of codes, and of texts, in a hundred.
FATES = [Fate.USED] * 80 + [Fate.EXPIRED] * 12 + [Fate.VOIDED] * 5 + [Fate.CANCELLED, Fate.BURNED, Fate.BURNED]
ENDS = [Rank.DELIVERED] * 94 + [Rank.FAILED] * 2 + [Rank.SENT] + [Rank.ACCEPTED] * 2 + [Rank.DROPPED]


def make(store: Store, texts: int, begins_at: datetime, days: int = DAYS, accounts: int | None = None) -> None:
    """Fill an empty store with so many texts of a season, a tenth of them on the first day, and their codes."""
    people = accounts or max(50, texts // 4)
    dice = Random(7)
    _put(store, Account, _accounts(people))
    rows: dict[Any, list[Row]] = {Code: [], Outbox: [], Inbox: [], Audit: []}
    done = 0
    for number, at in enumerate(sorted(_moments(dice, texts // 3 + 1, begins_at, days))):
        if done >= texts:
            break
        for model, row in _recovery(dice, number, 1 + dice.randrange(people), at):
            rows[model].append(row)
            done += model is Outbox
        if len(rows[Outbox]) >= BATCH:
            _flush(store, rows)
    _flush(store, rows)


def _flush(store: Store, rows: dict[Any, list[Row]]) -> None:
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


def _moments(dice: Random, number: int, begins_at: datetime, days: int) -> Iterator[datetime]:
    for n in range(number):
        day = 0 if n % 10 == 0 else dice.randrange(days)
        yield begins_at + timedelta(days=day, seconds=dice.triangular(0, 86_399, 36_000))


def _recovery(dice: Random, number: int, account: int, at: datetime) -> Iterator[tuple[Any, Row]]:
    """A code, and if it is used a password and a notice; one text in a while is not answered."""
    fate, code_id, gateway = dice.choice(FATES), f"c{number:021d}", GATEWAYS[number % 5 == 0]
    back = at + timedelta(seconds=dice.uniform(15, 240))
    yield Inbox, _heard(gateway, number * 2, at, "asked")
    yield Audit, _noted(number * 2, account, at, "code_sent")
    yield Code, _code(code_id, account, at, back, fate)
    yield Outbox, _text(dice, Kind.CODE, account, gateway, at, code_id)
    if fate is Fate.USED:
        yield Inbox, _heard(gateway, number * 2 + 1, back, "right_code")
        yield Audit, _noted(number * 2 + 1, account, back, "password_set")
        yield Outbox, _text(dice, Kind.PASSWORD, account, gateway, back)
        yield Outbox, _text(dice, Kind.NOTICE, account, gateway, back)
    elif number % 7 == 0:
        yield Inbox, _heard(gateway, number * 2 + 1, back, "unanswered")


def _heard(gateway: str, number: int, at: datetime, event: str) -> Row:
    return {"gateway": gateway, "provider_id": f"SM{number:032x}", "heard_at": at, "event": event}


def _noted(number: int, account: int, at: datetime, action: str) -> Row:
    return {
        "at": at,
        "actor": "pilgrim" if number % 100 else "staff",
        "who": f"…{account % 10_000:04d}",
        "action": action,
        "outcome": "ok",
        "account_id": account,
        "nonce": f"n{number:021d}",
        "key_id": "k1",
        "digest": bytes(32),
        "seq": number + 1,
        "seal": bytes(32),
    }


def _code(code_id: str, account: int, at: datetime, back: datetime, fate: Fate) -> Row:
    expires_at = at + timedelta(minutes=10)
    return {
        "id": code_id,
        "account_id": account,
        "phone": f"+98912{account:07d}",
        "by_owner": True,
        "key_id": "k1",
        "digest": bytes(32),
        "tries_left": 0 if fate is Fate.BURNED else 4,
        "created_at": at,
        "expires_at": expires_at,
        "closed_at": expires_at if fate is Fate.EXPIRED else back,
        "fate": fate,
    }


def _text(dice: Random, kind: Kind, account: int, gateway: str, at: datetime, code_id: str | None = None) -> Row:
    rank = dice.choice(ENDS)
    accepted_at = at + timedelta(seconds=dice.uniform(0.05, 1.5))
    sent_at = accepted_at + timedelta(seconds=dice.expovariate(1))
    ended_at = sent_at + timedelta(seconds=dice.expovariate(1 / 8))
    taken = rank is not Rank.DROPPED
    return {
        "kind": int(kind),
        "phone": f"+98912{account:07d}",
        "language": "fa",
        "phrase": "code",
        "parameters": {},
        "secret": None,
        "code_id": code_id,
        "account_id": account,
        "origin": gateway,
        "heard_at": at,
        "created_at": at + timedelta(milliseconds=4),
        "expires_at": at + timedelta(minutes=10),
        "due_at": at,
        "attempts": 1,
        "rank": int(rank),
        "gateway": gateway if taken else None,
        "provider_id": f"P{dice.getrandbits(128):032x}" if taken else None,
        "accepted_at": accepted_at if taken else None,
        "sent_at": sent_at if rank in (Rank.SENT, Rank.DELIVERED) else None,
        "ended_at": ended_at if rank >= Rank.DROPPED else None,
        "error": {Rank.FAILED: "unreachable", Rank.DROPPED: "expired"}.get(rank),
    }
