"""The holders of accounts. What the dialog must know of them is in conversations.view."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, case, literal_column, select, update

from store.database.dialect import PreparedStatement, upsert
from store.tables import AccountRow, table

ACCOUNT = table(AccountRow)


@dataclass(frozen=True)
class Account:
    """An account, as far as a password, or staff, have to do with it."""

    id: int
    national_id: str = field(repr=False)
    username: str = field(repr=False)
    mobile: str = field(repr=False)
    language: str | None
    active: bool
    locked_at: datetime | None
    former_mobile: str | None = field(repr=False)
    mobile_changed_at: datetime | None
    password_hash: str | None = field(repr=False)
    password_key: str | None
    password_expires_at: datetime | None
    province: str | None = None
    broker: str | None = None
    failures: int = 0


_HOLDER = select(*(ACCOUNT.c[name] for name in Account.__dataclass_fields__))
BY_ID = PreparedStatement(_HOLDER.where(ACCOUNT.c.id == bindparam("key")))
BY_NATIONAL_ID = PreparedStatement(_HOLDER.where(ACCOUNT.c.national_id == bindparam("key")))
BY_USERNAME = PreparedStatement(_HOLDER.where(ACCOUNT.c.username == bindparam("key")))

ID_OF = PreparedStatement(select(ACCOUNT.c.id).where(ACCOUNT.c.national_id == bindparam("key")))
IDS_AT = PreparedStatement(select(ACCOUNT.c.id).where(ACCOUNT.c.mobile == bindparam("key")).order_by(ACCOUNT.c.id))

END_FAILURES = PreparedStatement(
    update(ACCOUNT).where(ACCOUNT.c.id == bindparam("key"), ACCOUNT.c.failures > 0).values(failures=literal_column("0"))
)


def get(connection: Connection, account_id: int) -> Account:
    """The account with this id."""
    (row,) = BY_ID.rows(connection, {"key": account_id})
    return Account(*row)


def find(connection: Connection, *, national_id: str | None = None, username: str | None = None) -> Account | None:
    """The account of a national ID, or of a user name as it is spelt; None where there is none."""
    rows = (
        BY_NATIONAL_ID.rows(connection, {"key": national_id})
        if national_id is not None
        else BY_USERNAME.rows(connection, {"key": username})
    )
    return Account(*rows[0]) if rows else None


def id_of(connection: Connection, national_id: str) -> int | None:
    """The id of the account of a national ID, whatever its standing."""
    rows = ID_OF.rows(connection, {"key": national_id})
    return rows[0][0] if rows else None


def ids_at(connection: Connection, mobile: str) -> list[int]:
    """The ids of the accounts that are registered on a mobile."""
    return [account_id for (account_id,) in IDS_AT.rows(connection, {"key": mobile})]


def places(connection: Connection, kind: str) -> list[str]:
    """Every province (or broker, by `kind`) that an account has, as it is kept."""
    return list(connection.execute(select(ACCOUNT.c[kind]).where(ACCOUNT.c[kind].is_not(None)).distinct()).scalars())


def rehash(connection: Connection, account_id: int, old: str, password_hash: str, key_id: str) -> bool:
    """Put another hash of the same password in place of the old one; False where it has been changed meanwhile."""
    same = update(ACCOUNT).where(ACCOUNT.c.id == account_id, ACCOUNT.c.password_hash == old)
    return connection.execute(same.values(password_hash=password_hash, password_key=key_id)).rowcount == 1


def end_failures(connection: Connection, account_id: int) -> None:
    """End the run of wrong codes."""
    END_FAILURES(connection, {"key": account_id})


def set_password(
    connection: Connection, account_id: int, password_hash: str, key_id: str, now: datetime, expires_at: datetime | None
) -> None:
    """Put a password in place of any older, and end the run of failures.

    `expires_at` marks a temporary one, which must be changed at the first login.
    """
    changes = {
        "password_hash": password_hash,
        "password_key": key_id,
        "password_set_at": now,
        "password_expires_at": expires_at,
        "failures": 0,
    }
    connection.execute(update(ACCOUNT).where(ACCOUNT.c.id == account_id).values(changes))


def unlock(connection: Connection, account_id: int) -> bool:
    """Let codes work for the account again; False where they did."""
    locked = update(ACCOUNT).where(ACCOUNT.c.id == account_id, ACCOUNT.c.locked_at.is_not(None))
    return connection.execute(locked.values(locked_at=None, failures=0)).rowcount == 1


def holders_of(connection: Connection, usernames: Iterable[str]) -> dict[str, str]:
    """Whose these user names are: user name to national ID."""
    found = select(ACCOUNT.c.username, ACCOUNT.c.national_id).where(ACCOUNT.c.username.in_(list(usernames)))
    return {row.username: row.national_id for row in connection.execute(found)}


def put(connection: Connection, rows: list[dict[str, Any]], now: datetime) -> None:
    """Add accounts, or update those whose national ID is known. All rows have the same keys.

    What a row doesn't name stays as it is. A mobile that changes is kept as the former one.
    """
    statement = upsert(connection, ACCOUNT)
    new = statement.excluded
    moved = ACCOUNT.c.mobile != new.mobile
    changes: dict[str, Any] = {name: getattr(new, name) for name in rows[0] if name != "national_id"}
    changes["former_mobile"] = case((moved, ACCOUNT.c.mobile), else_=ACCOUNT.c.former_mobile)
    changes["mobile_changed_at"] = case((moved, now), else_=ACCOUNT.c.mobile_changed_at)
    defaults = {"active": True, "failures": 0}
    connection.execute(
        statement.on_conflict_do_update(index_elements=["national_id"], set_=changes).inline(),
        [defaults | row for row in rows],
    )
