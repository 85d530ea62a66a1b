"""Texts of the outbox as they are found when they are counted: each a delivered code, but for what is said of it."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert

from store.engine import Store
from store.tables import Account, Code, Inbox, Kind, Outbox, Rank, table
from tests.parts import NOON

OUTBOX, ACCOUNT, CODE, INBOX = table(Outbox), table(Account), table(Code), table(Inbox)


def after(seconds: float | None, heard_at: datetime = NOON) -> datetime | None:
    return None if seconds is None else heard_at + timedelta(seconds=seconds)


def a_text(
    rank: Rank = Rank.DELIVERED,
    *,
    heard_at: datetime = NOON,
    decided: float = 0,
    accepted: float | None = 1,
    sent: float | None = 2,
    ended: float | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """A row; `decided` to `ended` are in seconds from when the text that it answers was heard."""
    over = ended if ended is not None else 5.0 if rank >= Rank.DROPPED else None
    return {
        "kind": int(Kind.CODE),
        "phone": "+989121234567",
        "language": "fa",
        "phrase": "code",
        "parameters": {},
        "account_id": 1,
        "origin": "twilio",
        "gateway": "twilio",
        "heard_at": heard_at,
        "created_at": after(decided, heard_at),
        "accepted_at": after(accepted, heard_at),
        "sent_at": after(sent, heard_at),
        "ended_at": after(over, heard_at),
        "expires_at": heard_at + timedelta(minutes=10),
        "due_at": heard_at,
        "attempts": 1,
        "rank": int(rank),
        "error": None,
        "code_id": None,
        "provider_id": None,
        **changes,
    }


def a_code(code_id: str, account_id: int = 1, at: datetime = NOON, **changes: Any) -> dict[str, Any]:
    return {
        "id": code_id,
        "account_id": account_id,
        "phone": "+989121234567",
        "by_owner": True,
        "key_id": "k1",
        "digest": bytes(32),
        "tries_left": 5,
        "created_at": at,
        "expires_at": at + timedelta(minutes=10),
        "closed_at": None,
        "fate": None,
        **changes,
    }


def put(store: Store, *rows: dict[str, Any], into: Any = OUTBOX) -> None:
    with store.writing() as connection:
        connection.execute(insert(into), list(rows))


def put_accounts(store: Store, *places: tuple[str | None, str | None]) -> None:
    """Accounts 1, 2, …, each of a province and a broker."""
    rows = [
        {
            "id": number,
            "national_id": f"{number:010d}",
            "username": f"leader{number}",
            "mobile": f"+98912000{number:04d}",
            "province": province,
            "broker": broker,
            "active": True,
            "failures": 0,
        }
        for number, (province, broker) in enumerate(places, 1)
    ]
    put(store, *rows, into=ACCOUNT)
