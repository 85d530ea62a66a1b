"""The right to choose a password, once: given for a right code, to a phone or to whoever holds the ticket."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, select, update

from store.dialect import Prepared, named
from store.outbox import KEPT
from store.tables import Account, Ticket, table

TICKET, ACCOUNT = table(Ticket), table(Account)


@dataclass(frozen=True)
class Granted:
    """A live ticket."""

    id: str
    account_id: int
    code_id: str
    digest: bytes | None


_GRANTED = tuple(TICKET.c[name] for name in Granted.__dataclass_fields__)
ISSUE = Prepared(insert(TICKET).values(named(TICKET, "closed_at")))
CLOSE_OF = Prepared(
    update(TICKET)
    .where(TICKET.c.account_id == bindparam("account"), TICKET.c.closed_at.is_(None))
    .values(closed_at=bindparam("now", type_=TICKET.c.closed_at.type))
)


def issue(connection: Connection, row: dict[str, Any]) -> None:
    """Write a ticket; it voids the account's older ones."""
    CLOSE_OF(connection, {"account": row["account_id"], "now": row["created_at"]})
    ISSUE(connection, row)


def find(connection: Connection, ticket_id: str, now: datetime) -> Granted | None:
    """The live ticket with this id, of an account in good standing."""
    return _live(connection, TICKET.c.id == ticket_id, now)


def find_at(connection: Connection, phone: str, now: datetime) -> Granted | None:
    """The live ticket that a phone was given, while the account is still registered on it."""
    mine = (TICKET.c.phone == phone) & (ACCOUNT.c.mobile == phone)
    return _live(connection, mine, now)


def spend(connection: Connection, ticket_id: str, now: datetime) -> bool:
    """Use a ticket up; whether this call was the one."""
    live = update(TICKET).where(TICKET.c.id == ticket_id, TICKET.c.closed_at.is_(None), TICKET.c.expires_at > now)
    return connection.execute(live.values(closed_at=now)).rowcount == 1


def close_of(connection: Connection, account_id: int, now: datetime) -> None:
    """Void every ticket of an account, because its password is another now."""
    CLOSE_OF(connection, {"account": account_id, "now": now})


def close_at(connection: Connection, phone: str, now: datetime) -> None:
    """Void every ticket that a phone was given, because its owner cancelled."""
    connection.execute(
        update(TICKET).where(TICKET.c.phone == phone, TICKET.c.closed_at.is_(None)).values(closed_at=now)
    )


def forget_old(connection: Connection, now: datetime) -> int:
    """Drop tickets that no season's report needs any more."""
    return connection.execute(delete(TICKET).where(TICKET.c.expires_at < now - KEPT)).rowcount


def _live(connection: Connection, which: ColumnElement[bool], now: datetime) -> Granted | None:
    live = (
        select(*_GRANTED)
        .join(ACCOUNT, ACCOUNT.c.id == TICKET.c.account_id)
        .where(which, TICKET.c.closed_at.is_(None), TICKET.c.expires_at > now)
        .where(ACCOUNT.c.active.is_(True), ACCOUNT.c.locked_at.is_(None))
        .order_by(TICKET.c.created_at.desc())
    )
    row = connection.execute(live).first()
    return Granted(*row) if row else None
