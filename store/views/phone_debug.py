"""What stands behind one phone, for the trial's page to show: its conversation, codes, changes and texts. Read only."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, or_, select

from store.tables import (
    AccountRow,
    CodeRow,
    ConversationRow,
    InboundMessageRow,
    MobileChangeRow,
    OutboundMessageRow,
    StaffOrderRow,
    StaffRow,
    table,
)

ACCOUNT, CODE, ORDER, CONVERSATION = (table(it) for it in (AccountRow, CodeRow, StaffOrderRow, ConversationRow))
INBOUND, MESSAGE, STAFF, CHANGE = (
    table(it) for it in (InboundMessageRow, OutboundMessageRow, StaffRow, MobileChangeRow)
)
# As long as the simulated carrier keeps a text.
SHOWN = timedelta(days=1)
CODES, TEXTS = 5, 50


def conversation(connection: Connection, phone: str) -> Row[Any] | None:
    """The conversation with a phone, if it has ever texted."""
    return connection.execute(select(CONVERSATION).where(CONVERSATION.c.phone == phone)).one_or_none()


def codes(connection: Connection, phone: str) -> list[Row[Any]]:
    """The last codes that went to a phone, newest first; neither what they are nor their hashes."""
    columns = (
        CODE.c[name] for name in ("tries_left", "requested_by", "created_at", "expires_at", "closed_at", "close_reason")
    )
    accounts = select(ACCOUNT.c.id).where(ACCOUNT.c.mobile == phone)
    found = select(*columns).where(CODE.c.account_id.in_(accounts), CODE.c.phone == phone)
    return list(connection.execute(found.order_by(CODE.c.created_at.desc()).limit(CODES)))


def confirmations(connection: Connection, phone: str) -> list[Row[Any]]:
    """The last orders of the staff member whose phone it is, newest first; not their codes."""
    names = ("tries_left", "created_at", "expires_at", "closed_at", "close_reason")
    found = select(ORDER.c.command, *(CODE.c[name] for name in names)).join(CODE, CODE.c.id == ORDER.c.id)
    return list(connection.execute(found.where(_ordered_by(phone)).order_by(ORDER.c.created_at.desc()).limit(CODES)))


def pending(connection: Connection, phone: str, now: datetime) -> str | None:
    """Which order of that staff member waits for its code."""
    live = (CODE.c.closed_at.is_(None), CODE.c.expires_at > now, CODE.c.tries_left > 0)
    found = select(ORDER.c.command).join(CODE, CODE.c.id == ORDER.c.id)
    return connection.execute(found.where(_ordered_by(phone), *live)).scalar_one_or_none()


def changes(connection: Connection, phone: str) -> list[Row[Any]]:
    """The last changes of mobile from or to a phone, newest first."""
    names = ("state", "proposed_at", "approved_at", "due_at", "ended_at", "close_reason")
    found = select(*(CHANGE.c[name] for name in names)).where(_concerns(phone))
    return list(connection.execute(found.order_by(CHANGE.c.id.desc()).limit(CODES)))


def changing(connection: Connection, phone: str, now: datetime) -> list[str]:
    """Where the open changes of mobile from or to a phone stand."""
    still_open = (CHANGE.c.ended_at.is_(None), CHANGE.c.due_at > now)
    return list(connection.execute(select(CHANGE.c.state).where(_concerns(phone), *still_open)).scalars())


def texts(connection: Connection, phone: str, now: datetime) -> list[Row[Any]]:
    """The last texts of a day to a phone, oldest first; no parameters and no secrets."""
    found = _texts().where(MESSAGE.c.phone == phone, MESSAGE.c.created_at > now - SHOWN)
    return list(reversed(connection.execute(found.order_by(MESSAGE.c.id.desc()).limit(TEXTS)).all()))


def newest_text(connection: Connection) -> int:
    """The id of the last text that was written, to whomever; 0 where there is none."""
    newest: int = connection.execute(select(func.coalesce(func.max(MESSAGE.c.id), 0))).scalar_one()
    return newest


def texts_between(connection: Connection, after: int, upto: int, now: datetime) -> list[Row[Any]]:
    """The texts of a day to all phones with ids above the one and up to the other, in the order in which they leave."""
    found = _texts().where(MESSAGE.c.id > after, MESSAGE.c.id <= upto, MESSAGE.c.created_at > now - SHOWN)
    return list(connection.execute(found.order_by(MESSAGE.c.kind, MESSAGE.c.id)))


def event_of(connection: Connection, gateway: str, provider_id: str) -> str | None:
    """What a text was understood as; None where it was not heard."""
    heard = select(INBOUND.c.event).where(INBOUND.c.gateway == gateway, INBOUND.c.provider_id == provider_id)
    return connection.execute(heard).scalar_one_or_none()


def _ordered_by(phone: str) -> ColumnElement[bool]:
    return ORDER.c.staff_id.in_(select(STAFF.c.id).where(STAFF.c.mobile == phone, STAFF.c.removed_at.is_(None)))


def _concerns(phone: str) -> ColumnElement[bool]:
    return or_(CHANGE.c.old_mobile == phone, CHANGE.c.new_mobile == phone)


def _texts() -> Select[Any]:
    names = (
        "id", "phone", "kind", "phrase", "language", "status", "attempts", "gateway",
        "request_received_at", "created_at", "accepted_at", "ended_at", "error", "resend_of",
    )  # fmt: skip
    return select(*(MESSAGE.c[name] for name in names))
