"""Fakher's bearer tokens. What is kept of one can't be used as one."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, or_, select, update

from store.database.prepared import PreparedStatement
from store.tables import TokenRow, table

TOKEN = table(TokenRow)


@dataclass(frozen=True)
class Issued:
    """A token, as far as it is known here."""

    id: str
    name: str
    digest: bytes
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None


_ISSUED = select(*(TOKEN.c[name] for name in Issued.__dataclass_fields__))
FIND = PreparedStatement(_ISSUED.where(TOKEN.c.id == bindparam("key")))


def issue(
    connection: Connection, token_id: str, name: str, digest: bytes, created_at: datetime, expires_at: datetime
) -> None:
    """Write a new token."""
    row = {"id": token_id, "name": name, "digest": digest, "created_at": created_at, "expires_at": expires_at}
    connection.execute(insert(TOKEN), row)


def find(connection: Connection, token_id: str) -> Issued | None:
    """The token with this id, whatever has become of it."""
    rows = FIND.rows(connection, {"key": token_id})
    return Issued(*rows[0]) if rows else None


def every(connection: Connection) -> list[Issued]:
    """All tokens, the oldest first."""
    return [Issued(*row) for row in connection.execute(_ISSUED.order_by(TOKEN.c.created_at, TOKEN.c.id))]


def revoke(connection: Connection, name_or_id: str, now: datetime) -> list[str]:
    """End every live token of a name, or the one with an id; their ids."""
    live = update(TOKEN).where(
        or_(TOKEN.c.id == name_or_id, TOKEN.c.name == name_or_id),
        TOKEN.c.revoked_at.is_(None),
        TOKEN.c.expires_at > now,
    )
    return list(connection.execute(live.values(revoked_at=now).returning(TOKEN.c.id)).scalars())


def note_use(connection: Connection, token_id: str, now: datetime) -> None:
    """Note that a token was used."""
    connection.execute(update(TOKEN).where(TOKEN.c.id == token_id).values(last_used_at=now))
