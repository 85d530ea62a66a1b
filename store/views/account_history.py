"""One account's latest codes, texts and orders, for staff to read. No secrets, no hashes."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, literal_column, or_, select

from store.accounts import Account
from store.tables import AccountRow, CodeRow, ConversationRow, OutboundMessageRow, StaffOrderRow, StaffRow, table

ACCOUNT, CODE, ORDER, MESSAGE, STAFF, CONVERSATION = (
    table(it) for it in (AccountRow, CodeRow, StaffOrderRow, OutboundMessageRow, StaffRow, ConversationRow)
)
# How many of the digits that are asked for an index knows.
INDEXED = 4
FOUND, SHOWN = 2_000, 20


def ending(connection: Connection, digits: str) -> list[Account]:
    """Accounts whose national ID or mobile ends in these digits, at least INDEXED of them; the last texted come first.

    No more than FOUND.
    """
    last_texted = select(func.max(MESSAGE.c.created_at)).where(MESSAGE.c.account_id == ACCOUNT.c.id).scalar_subquery()
    columns = (ACCOUNT.c[name] for name in Account.__dataclass_fields__)
    wanted = or_(_ends(ACCOUNT.c.national_id, digits), _ends(ACCOUNT.c.mobile, digits))
    found = select(*columns).where(wanted).order_by(last_texted.desc().nulls_last(), ACCOUNT.c.id).limit(FOUND)
    return [Account(*row) for row in connection.execute(found)]


def _ends(column: ColumnElement[str], digits: str) -> ColumnElement[bool]:
    """Written as the index is, so that the database finds the index."""
    indexed = func.substr(column, func.length(column) - literal_column(str(INDEXED - 1)))
    return and_(indexed == digits[-INDEXED:], column.endswith(digits))


def people(connection: Connection, account_ids: Iterable[int]) -> dict[int, Row[Any]]:
    """What tells accounts apart, by their ids: full_name, province, broker, and last_texted, when a text last went."""
    last_texted = select(func.max(MESSAGE.c.created_at)).where(MESSAGE.c.account_id == ACCOUNT.c.id).scalar_subquery()
    names = ("id", "full_name", "province", "broker", "locked_at", "mobile_changed_at")
    found = select(*(ACCOUNT.c[name] for name in names), last_texted.label("last_texted"))
    rows: Iterable[Row[Any]] = connection.execute(found.where(ACCOUNT.c.id.in_(list(account_ids))))
    return {row.id: row for row in rows}


def opted_out_at(connection: Connection, phone: str) -> datetime | None:
    """When a phone said STOP; None where it takes texts."""
    said = select(CONVERSATION.c.opted_out_at).where(CONVERSATION.c.phone == phone)
    return connection.execute(said).scalar_one_or_none()


def codes(connection: Connection, account_id: int) -> list[Row[Any]]:
    """An account's last codes, newest first."""
    names = ("id", "created_at", "expires_at", "closed_at", "tries_left", "close_reason", "requested_by")
    found = select(*(CODE.c[name] for name in names)).where(CODE.c.account_id == account_id)
    return list(connection.execute(found.order_by(CODE.c.created_at.desc()).limit(SHOWN)))


def texts(connection: Connection, account_id: int) -> list[Row[Any]]:
    """The last texts about an account, newest first."""
    names = (
        "kind",
        "phone",
        "request_received_at",
        "created_at",
        "accepted_at",
        "sent_at",
        "ended_at",
        "status",
        "gateway",
        "error",
        "code_id",
    )
    found = select(*(MESSAGE.c[name] for name in names)).where(MESSAGE.c.account_id == account_id)
    return list(connection.execute(found.order_by(MESSAGE.c.created_at.desc()).limit(SHOWN)))


def orders(connection: Connection, account_id: int) -> list[Row[Any]]:
    """The last orders of staff about an account, newest first."""
    names = ("command", "ref", "created_at", "done_at")
    found = select(*(ORDER.c[name] for name in names), CODE.c.close_reason, STAFF.c.mobile, STAFF.c.name)
    mine = (
        found.join(STAFF, STAFF.c.id == ORDER.c.staff_id)
        .outerjoin(CODE, CODE.c.id == ORDER.c.id)
        .where(ORDER.c.account_id == account_id)
    )
    return list(connection.execute(mine.order_by(ORDER.c.created_at.desc()).limit(SHOWN)))
