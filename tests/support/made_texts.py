"""Texts of the outbox as they are found when they are counted: each a delivered code, but for what is said of it."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert

from store.database.engine import Store
from store.tables import AccountRow, CodeRow, DeliveryStatus, InboundMessageRow, MessageKind, OutboundMessageRow, table
from tests.support.parts import NOON

MESSAGE, ACCOUNT, CODE, INBOUND = table(OutboundMessageRow), table(AccountRow), table(CodeRow), table(InboundMessageRow)


def after(seconds: float | None, request_received_at: datetime = NOON) -> datetime | None:
    return None if seconds is None else request_received_at + timedelta(seconds=seconds)


def a_text(
    status: DeliveryStatus = DeliveryStatus.DELIVERED,
    *,
    request_received_at: datetime = NOON,
    decided: float = 0,
    accepted: float | None = 1,
    sent: float | None = 2,
    ended: float | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """A row; `decided` to `ended` are in seconds from when the text that it answers was heard."""
    over = ended if ended is not None else 5.0 if status >= DeliveryStatus.DROPPED else None
    return {
        "kind": int(MessageKind.CODE),
        "phone": "+989121234567",
        "language": "fa",
        "phrase": "code",
        "parameters": {},
        "account_id": 1,
        "inbound_gateway": "twilio",
        "gateway": "twilio",
        "request_received_at": request_received_at,
        "created_at": after(decided, request_received_at),
        "accepted_at": after(accepted, request_received_at),
        "sent_at": after(sent, request_received_at),
        "ended_at": after(over, request_received_at),
        "expires_at": request_received_at + timedelta(minutes=10),
        "next_attempt_at": request_received_at,
        "attempts": 1,
        "status": int(status),
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
        "purpose": "recovery",
        "requested_by": "owner",
        "key_id": "k1",
        "digest": bytes(32),
        "tries_left": 5,
        "created_at": at,
        "expires_at": at + timedelta(minutes=10),
        "closed_at": None,
        "close_reason": None,
        **changes,
    }


def put(store: Store, *rows: dict[str, Any], into: Any = MESSAGE) -> None:
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
