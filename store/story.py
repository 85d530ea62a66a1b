"""The story of one account's recovery, for staff to read: its codes, texts and orders. No secrets, no hashes."""

from typing import Any

from sqlalchemy import Connection, Row, or_, select

from store.accounts import Holder
from store.tables import Account, Code, Confirmation, Outbox, Staff, table

ACCOUNT, CODE, CONFIRMATION, OUTBOX, STAFF = (table(it) for it in (Account, Code, Confirmation, Outbox, Staff))
# How many of the newest texts are looked through for last digits, which no index knows.
RECENT = 20_000
FOUND, SHOWN = 200, 20


def ending(connection: Connection, digits: str) -> list[Holder]:
    """Accounts among those of the newest texts whose national ID or mobile ends so."""
    recent = select(OUTBOX.c.account_id).order_by(OUTBOX.c.id.desc()).limit(RECENT).subquery()
    wanted = or_(ACCOUNT.c.national_id.endswith(digits), ACCOUNT.c.mobile.endswith(digits))
    columns = (ACCOUNT.c[name] for name in Holder.__dataclass_fields__)
    found = select(*columns).where(ACCOUNT.c.id.in_(select(recent.c.account_id)), wanted)
    return [Holder(*row) for row in connection.execute(found.order_by(ACCOUNT.c.id).limit(FOUND))]


def codes(connection: Connection, account_id: int) -> list[Row[Any]]:
    """An account's last codes, newest first."""
    names = ("created_at", "expires_at", "closed_at", "tries_left", "fate", "by_owner", "staff_id")
    found = select(*(CODE.c[name] for name in names)).where(CODE.c.account_id == account_id)
    return list(connection.execute(found.order_by(CODE.c.created_at.desc()).limit(SHOWN)))


def texts(connection: Connection, account_id: int) -> list[Row[Any]]:
    """The last texts about an account, newest first."""
    names = (
        "kind",
        "phone",
        "heard_at",
        "created_at",
        "accepted_at",
        "sent_at",
        "ended_at",
        "rank",
        "gateway",
        "error",
    )
    found = select(*(OUTBOX.c[name] for name in names)).where(OUTBOX.c.account_id == account_id)
    return list(connection.execute(found.order_by(OUTBOX.c.created_at.desc()).limit(SHOWN)))


def orders(connection: Connection, account_id: int) -> list[Row[Any]]:
    """The last orders of staff about an account, newest first."""
    names = ("command", "ref", "created_at", "closed_at", "fate")
    found = select(*(CONFIRMATION.c[name] for name in names), STAFF.c.mobile)
    mine = found.join(STAFF, STAFF.c.id == CONFIRMATION.c.staff_id).where(CONFIRMATION.c.account_id == account_id)
    return list(connection.execute(mine.order_by(CONFIRMATION.c.created_at.desc()).limit(SHOWN)))
