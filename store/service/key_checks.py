"""What the database knows of SECRET_KEYS: a check value of each key that was ever put in front, and which was last."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select, update

from store.database.dialect import upsert
from store.tables import KeyCheckRow, table

KEY_CHECK = table(KeyCheckRow)


@dataclass(frozen=True)
class KnownKeys:
    """The check values by the keys' ids, and the key that was put in front last; both empty before the first start."""

    checks: dict[str, bytes]
    last: str | None


def known(connection: Connection) -> KnownKeys:
    """What the database knows."""
    rows = connection.execute(select(KEY_CHECK).order_by(KEY_CHECK.c.turn, KEY_CHECK.c.key_id)).all()
    return KnownKeys({row.key_id: row.digest for row in rows}, rows[-1].key_id if rows else None)


def put_in_front(connection: Connection, key_id: str, check: bytes) -> None:
    """Note that a key makes what is new from now on. A check value that is there stays as it is."""
    turn = select(func.coalesce(func.max(KEY_CHECK.c.turn), 0) + 1).scalar_subquery()
    new = upsert(connection, KEY_CHECK).values(key_id=key_id, digest=check, turn=turn)
    connection.execute(new.on_conflict_do_update(index_elements=["key_id"], set_={"turn": turn}))


def replace(connection: Connection, key_id: str, check: bytes) -> None:
    """Put another check value into the place of the one that is known under this id."""
    connection.execute(update(KEY_CHECK).where(KEY_CHECK.c.key_id == key_id).values(digest=check))
