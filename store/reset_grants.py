"""The right to choose a password at Fakher, once: given for a right code, to the bearer of its ticket."""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, bindparam, insert, select, update

from store.database.dialect import named
from store.database.prepared import PreparedStatement
from store.tables import AccountRow, ResetGrantRow, table

GRANT, ACCOUNT = table(ResetGrantRow), table(AccountRow)


@dataclass(frozen=True)
class ResetGrant:
    """A live grant."""

    id: str
    account_id: int
    digest: bytes = field(repr=False)


@dataclass(frozen=True)
class NewGrant:
    """A grant to be written. `digest` is SHA-256 of the secret that its holder has."""

    id: str
    account_id: int
    code_id: str
    digest: bytes = field(repr=False)
    created_at: datetime
    expires_at: datetime


_GRANTED = tuple(GRANT.c[name] for name in ResetGrant.__dataclass_fields__)
ISSUE = PreparedStatement(insert(GRANT).values(named(GRANT, "closed_at")))
CLOSE_OF = PreparedStatement(
    update(GRANT)
    .where(GRANT.c.account_id == bindparam("account"), GRANT.c.closed_at.is_(None))
    .values(closed_at=bindparam("now", type_=GRANT.c.closed_at.type))
)


def issue(connection: Connection, grant: NewGrant) -> None:
    """Write a ticket; it voids the account's older ones."""
    CLOSE_OF.later(connection, {"account": grant.account_id, "now": grant.created_at})
    ISSUE.later(connection, vars(grant))


def find(connection: Connection, ticket_id: str, now: datetime) -> ResetGrant | None:
    """The live ticket with this id, of an account in good standing."""
    return _live(connection, GRANT.c.id == ticket_id, now)


def spend(connection: Connection, ticket_id: str, now: datetime) -> bool:
    """Use a ticket up; whether this call was the one."""
    live = update(GRANT).where(GRANT.c.id == ticket_id, GRANT.c.closed_at.is_(None), GRANT.c.expires_at > now)
    return connection.execute(live.values(closed_at=now)).rowcount == 1


def close_of(connection: Connection, account_id: int, now: datetime) -> None:
    """Void every ticket of an account, because its password is another now."""
    CLOSE_OF.later(connection, {"account": account_id, "now": now})


def is_old(before: datetime) -> ColumnElement[bool]:
    """Tickets whose time was up before a time."""
    return GRANT.c.expires_at < before


def _live(connection: Connection, which: ColumnElement[bool], now: datetime) -> ResetGrant | None:
    live = (
        select(*_GRANTED)
        .join(ACCOUNT, ACCOUNT.c.id == GRANT.c.account_id)
        .where(which, GRANT.c.closed_at.is_(None), GRANT.c.expires_at > now)
        .where(ACCOUNT.c.active.is_(True), ACCOUNT.c.locked_at.is_(None))
        .order_by(GRANT.c.created_at.desc())
    )
    row = connection.execute(live).first()
    return ResetGrant(*row) if row else None
