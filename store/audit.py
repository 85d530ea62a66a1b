"""The audit: rows that nobody changes or drops, each sealed into a chain a little after it was written.

Writing a row touches no other row, so writers never wait for one another here.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, literal_column, select, type_coerce, update
from sqlalchemy.types import NullType

from dialogs.audit_vocabulary import Actor
from store.database.dialect import named, upsert
from store.database.prepared import PreparedStatement
from store.tables import AuditHeadRow, AuditKeyRow, AuditRow, table

AUDIT, HEAD, KEY = table(AuditRow), table(AuditHeadRow), table(AuditKeyRow)


@dataclass(frozen=True)
class Head:
    """The end of the chain: the last sealed row's place, key and seal; 0 and empty before the first."""

    seq: int
    key_id: str
    seal: bytes


WRITE = PreparedStatement(insert(AUDIT).values(named(AUDIT, "id", "seq", "seal")))


def write(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows, in this order. Keys: every column but id, seq and seal."""
    if rows:
        WRITE.many(connection, rows)


# As the database has them, so that a value of a kind that no column should hold is still read.
_RAW: list[Any] = [type_coerce(column, NullType()).label(column.name) for column in AUDIT.columns]
_HEAD: list[Any] = [type_coerce(HEAD.c[name], NullType()).label(f"head_{name}") for name in Head.__dataclass_fields__]
_WAITS = AUDIT.c.seq.is_(None) & AUDIT.c.seal.is_(None)
SEAL = update(AUDIT).where(AUDIT.c.id == bindparam("row"), _WAITS)
SEAL = SEAL.values(seq=bindparam("place"), seal=bindparam("sealed"))
# Rows that are read at a time where all are.
AT_A_TIME = 1_000


def head(connection: Connection, *, hold: bool = False) -> Head | None:
    """The end of the chain; None where it is missing. With `hold`, nobody else seals until the transaction ends."""
    found = select(*_HEAD)
    row = connection.execute(found.with_for_update() if hold else found).first()
    return Head(*row) if row else None


def seal_at(connection: Connection, seq: int) -> Row[Any] | None:
    """The key and the seal of the row at a place in the chain."""
    found = select(*(column for column in _RAW if column.name in {"key_id", "seal"}))
    return connection.execute(found.where(AUDIT.c.seq == seq)).first()


def waiting(connection: Connection, key_ids: Iterable[str], most: int) -> Sequence[Row[Any]]:
    """Rows under these keys that are not sealed yet, in the order in which they were written."""
    found = select(*_RAW).where(_WAITS, AUDIT.c.key_id.in_(list(key_ids)))
    return connection.execute(found.order_by(AUDIT.c.id).limit(most)).all()


def put_seals(connection: Connection, seals: list[dict[str, Any]], end: Head) -> None:
    """Seal rows, and move the head, which is held, to their end. Keys: row (its id), place, sealed (the seal)."""
    connection.execute(SEAL, seals)
    connection.execute(update(HEAD).values(vars(end)))


def chain(connection: Connection) -> Iterator[tuple[Row[Any], Head | None]]:
    """Every sealed row from the first to the last, with the head as it was at that moment. Read in parts."""
    now: list[Any] = [select(column).scalar_subquery().label(column.name) for column in _HEAD]
    sealed = select(*_RAW, *now).where(AUDIT.c.seq.is_not(None)).order_by(AUDIT.c.seq)
    with connection.execution_options(yield_per=AT_A_TIME).execute(sealed) as found:
        for row in found:
            yield row, Head(row.head_seq, row.head_key_id, row.head_seal) if row.head_seq is not None else None


def loose(connection: Connection) -> Iterator[Row[Any]]:
    """Every row that has no place in the chain."""
    unsealed = select(*_RAW).where(AUDIT.c.seq.is_(None)).order_by(AUDIT.c.id)
    with connection.execution_options(yield_per=AT_A_TIME).execute(unsealed) as found:
        yield from found


def copies(connection: Connection) -> list[tuple[int, int]]:
    """Rows that were copied, by their nonce: the ids of the first and the last of each."""
    found = select(func.min(AUDIT.c.id).label("first"), func.max(AUDIT.c.id).label("last"))
    several = connection.execute(found.group_by(AUDIT.c.nonce).having(func.count() > 1).order_by("last"))
    return [(row.first, row.last) for row in several]


def oldest_waiting(connection: Connection) -> datetime | None:
    """When the oldest row that is not sealed yet was written."""
    oldest: datetime | None = connection.execute(
        select(AUDIT.c.at).where(AUDIT.c.seq.is_(None)).order_by(AUDIT.c.id).limit(1)
    ).scalar()
    return oldest


# As the partial index has it.
BY_STAFF = AUDIT.c.actor.in_([literal_column(f"'{actor}'") for actor in (Actor.STAFF, Actor.OPERATOR)])


@dataclass(frozen=True)
class AuditFilter:
    """Which rows are wanted: all that is named must hold. `since` and `until` bound their time, `until` not in it."""

    account_id: int | None = None
    staff_id: int | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    by_staff: bool = False  # by staff and operators alone


def matching(connection: Connection, wanted: AuditFilter, last: int | None = None) -> list[Row[Any]]:
    """The rows that are wanted, the oldest first; only so many of the last ones, where that is said."""
    named = {AUDIT.c.account_id: wanted.account_id, AUDIT.c.staff_id: wanted.staff_id, AUDIT.c.action: wanted.action}
    conditions = [column == value for column, value in named.items() if value is not None]
    conditions += [AUDIT.c.at >= wanted.since] if wanted.since else []
    conditions += [AUDIT.c.at < wanted.until] if wanted.until else []
    conditions += [BY_STAFF] if wanted.by_staff else []
    newest = select(AUDIT).where(*conditions).order_by(AUDIT.c.at.desc(), AUDIT.c.id.desc())
    return list(reversed(connection.execute(newest.limit(last)).all()))


def about(connection: Connection, account_id: int, last: int | None) -> list[Row[Any]]:
    """An account's rows, the oldest first; only so many of the last ones, where that is said."""
    return matching(connection, AuditFilter(account_id=account_id), last)


def newest(connection: Connection, before: int, most: int, *, by_staff: bool) -> Sequence[Row[Any]]:
    """The newest rows whose id is lower, the newest first; those of staff and operators only, where that is asked."""
    found = select(AUDIT).where(AUDIT.c.id < before, *([BY_STAFF] if by_staff else []))
    return connection.execute(found.order_by(AUDIT.c.id.desc()).limit(most)).all()


def first_since(connection: Connection, moment: datetime) -> int | None:
    """The id of the first row written at a time or after it: ids rise with time, so it is found by halving."""
    low, high = 1, connection.execute(select(func.max(AUDIT.c.id))).scalar() or 0
    while low <= high:
        middle = (low + high) // 2
        found = _next(connection, middle)
        if found is None or found[1] >= moment:
            high = middle - 1
        else:
            low = found[0] + 1
    found = _next(connection, low)
    return found[0] if found else None


def _next(connection: Connection, least: int) -> tuple[int, datetime] | None:
    found = select(AUDIT.c.id, AUDIT.c.at).where(AUDIT.c.id >= least).order_by(AUDIT.c.id).limit(1)
    row = connection.execute(found).first()
    return (row[0], row[1]) if row else None


def kept_keys(connection: Connection) -> dict[str, bytes]:
    """What is kept of older keys, by their ids."""
    return {row.key_id: row.sealed for row in connection.execute(select(KEY))}


def keep_key(connection: Connection, key_id: str, sealed: bytes) -> None:
    """Keep, encrypted, what an older key proves."""
    statement = upsert(connection, KEY).values(key_id=key_id, sealed=sealed)
    connection.execute(statement.on_conflict_do_update(index_elements=["key_id"], set_={"sealed": sealed}))
