"""The holders of accounts. Most is asked of them in conversations.view; here are the writes, and the import."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, case, select, update

from store.dialect import upsert
from store.tables import Account, table

ACCOUNT = table(Account)


def set_password(
    connection: Connection, account_id: int, password_hash: str, key_id: str, now: datetime, expires_at: datetime | None
) -> str:
    """Put a password in place of any older, and end the run of failures; the registered mobile.

    `expires_at` marks a temporary one, which must be changed at the first login.
    """
    changes = {
        "password_hash": password_hash,
        "password_key": key_id,
        "password_set_at": now,
        "password_expires_at": expires_at,
        "failures": 0,
    }
    changed = update(ACCOUNT).where(ACCOUNT.c.id == account_id).values(changes).returning(ACCOUNT.c.mobile)
    mobile: str = connection.execute(changed).scalar_one()
    return mobile


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
