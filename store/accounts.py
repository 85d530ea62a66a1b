"""The holders of accounts. What the dialog must know of them is in conversations.view."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, case, func, inspect, literal_column, null, select, true, update

from store.database.dialect import upsert
from store.database.prepared import PreparedStatement
from store.tables import AccountRow, StaffRow, table

ACCOUNT, STAFF = table(AccountRow), table(StaffRow)
KEY_LENGTH = 160
_ALIKE = str.maketrans({**dict.fromkeys("يىېۍ", "ی"), **dict.fromkeys("كڪ", "ک")})


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
SET_PASSWORD = PreparedStatement(
    update(ACCOUNT)
    .where(ACCOUNT.c.id == bindparam("key"))
    .values(
        password_hash=bindparam("hash"),
        password_key=bindparam("key_id"),
        password_expires_at=bindparam("expires_at", type_=ACCOUNT.c.password_expires_at.type),
        failures=literal_column("0"),
    )
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
    """The id of the account of a national ID, active or not, locked or not."""
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
    END_FAILURES.later(connection, {"key": account_id})


def set_password(
    connection: Connection, account_id: int, password_hash: str, key_id: str, expires_at: datetime | None
) -> None:
    """Put a password in place of any older, and end the run of failures.

    `expires_at` marks a temporary one, which must be changed at the first login.
    """
    new = {"hash": password_hash, "key_id": key_id, "expires_at": expires_at}
    SET_PASSWORD.later(connection, {"key": account_id, **new})


def unlock(connection: Connection, account_id: int) -> bool:
    """Let codes work for the account again; False where they did."""
    locked = update(ACCOUNT).where(ACCOUNT.c.id == account_id, ACCOUNT.c.locked_at.is_not(None))
    return connection.execute(locked.values(locked_at=None, failures=0)).rowcount == 1


def username_key(username: str) -> str:
    """A user name as it is compared: two that differ only in ye and kaf, case, digits' script or normal form are one.

    Looser than equality, and stricter than `fold` (dialogs/parsing/normalise.py), which would make one name of many
    real ones.
    Migration 0010 has a copy: where this changes, the column is to be filled anew.
    """
    if username.isascii() and username.isprintable():
        return " ".join(username.lower().split())
    name = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", username).casefold()).translate(_ALIKE)
    kept = (each for each in name if unicodedata.category(each) not in ("Cc", "Cf"))
    plain = "".join(str(unicodedata.decimal(each, each)) for each in kept)
    return " ".join(plain.split())[:KEY_LENGTH]


@dataclass(frozen=True)
class Known:
    """What an import must know of an account that is there."""

    id: int
    username: str = field(repr=False)
    mobile: str = field(repr=False)
    language: str | None
    password_hash: str | None = field(repr=False)
    password_key: str | None
    password_expires_at: datetime | None


def known(connection: Connection, national_ids: Iterable[str]) -> dict[str, Known]:
    """Those of these national IDs that have an account, and what an import must know of it."""
    found = select(ACCOUNT.c.national_id, *(ACCOUNT.c[name] for name in Known.__dataclass_fields__))
    rows = connection.execute(found.where(ACCOUNT.c.national_id.in_(list(national_ids))))
    return {person: Known(*rest) for person, *rest in rows}


def holders_of(connection: Connection, keyring: Iterable[str]) -> dict[str, set[str]]:
    """Whose user names have these keys (`username_key`): national IDs, by key."""
    found = select(ACCOUNT.c.username_key, ACCOUNT.c.national_id).where(ACCOUNT.c.username_key.in_(list(keyring)))
    holders: dict[str, set[str]] = {}
    for row in connection.execute(found):
        holders.setdefault(row.username_key, set()).add(row.national_id)
    return holders


def put(connection: Connection, rows: list[dict[str, Any]], now: datetime) -> None:
    """Add accounts, or update those whose national ID is known. All rows have the same keys.

    What a row doesn't name stays as it is. A mobile that changes is kept as the former one.
    """
    statement = upsert(connection, ACCOUNT)
    new = statement.excluded
    moved = ACCOUNT.c.mobile != new.mobile
    changes: dict[str, Any] = {name: getattr(new, name) for name in rows[0] if name != "national_id"}
    changes["username_key"] = new.username_key
    changes["former_mobile"] = case((moved, ACCOUNT.c.mobile), else_=ACCOUNT.c.former_mobile)
    changes["mobile_changed_at"] = case((moved, now), else_=ACCOUNT.c.mobile_changed_at)
    defaults = {"active": True, "failures": 0}
    connection.execute(
        statement.on_conflict_do_update(index_elements=["national_id"], set_=changes).inline(),
        [defaults | row | {"username_key": username_key(row["username"])} for row in rows],
    )


_OPTIONAL = ("full_name", "province", "broker", "language", "password_hash", "password_key")


def take(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Add accounts, or update those whose national ID is known, one after the other.

    Keys: national_id, username, mobile, and those given of full_name, province, broker, language, active, and
    together password_hash, password_key. What a row doesn't name stays as it is; so does the mobile
    of an account that is there, whatever the row says.
    """
    if not rows:
        return
    statement = upsert(connection, ACCOUNT)
    new, active = statement.excluded, bindparam("is_active", type_=ACCOUNT.c.active.type)
    changes: dict[str, Any] = {name: func.coalesce(new[name], ACCOUNT.c[name]) for name in _OPTIONAL}
    changes.update(username=new.username, username_key=new.username_key, active=func.coalesce(active, ACCOUNT.c.active))
    is_set = new.password_hash.is_not(None)
    changes["password_expires_at"] = case((is_set, null()), else_=ACCOUNT.c.password_expires_at)
    columns = ("national_id", "username", "username_key", "mobile", *_OPTIONAL)
    values: dict[str, Any] = {name: bindparam(name, type_=ACCOUNT.c[name].type) for name in columns}
    values |= {"active": func.coalesce(active, true()), "failures": literal_column("0")}
    connection.execute(
        statement.values(values).on_conflict_do_update(index_elements=["national_id"], set_=changes).inline(),
        [_whole(row) for row in rows],
    )


def _whole(row: dict[str, Any]) -> dict[str, Any]:
    absent = dict.fromkeys(_OPTIONAL)
    return {**absent, **row, "is_active": row.get("active"), "username_key": username_key(row["username"])}


def set_mobile(connection: Connection, account_id: int, former: str, new: str, now: datetime) -> bool:
    """Register a new mobile, and keep the former one; False where that is no longer registered."""
    same = update(ACCOUNT).where(ACCOUNT.c.id == account_id, ACCOUNT.c.mobile == former)
    moved = {"mobile": new, "former_mobile": former, "mobile_changed_at": now}
    return connection.execute(same.values(moved)).rowcount == 1


def names_at(connection: Connection, mobiles: Iterable[str]) -> set[tuple[str, str]]:
    """The user names, and staff's names, at these mobiles, each with its mobile; of a database with any schema."""
    there, wanted = set(inspect(connection).get_table_names()), list(mobiles)
    of = [(ACCOUNT, ACCOUNT.c.username), (STAFF, STAFF.c.name)]
    found = [select(name, it.c.mobile).where(it.c.mobile.in_(wanted)) for it, name in of if it.name in there]
    return {(row[0], row[1]) for each in found for row in connection.execute(each)}
