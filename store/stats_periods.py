"""What was counted at the control points, kept a period at a time: an hour, and later a day of Tehran's.

Counts of a period never change: another period takes its place. What no period covers, or receipts have come for
since, is counted when it is asked for (store/views/delivery_stats.py).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, select

from store.database.dialect import upsert
from store.retention import LATEST_RECEIPT
from store.service.clock_set_back import APART
from store.tables import DeliveryStatRow, LateReceiptRow, StatsPeriodRow, table
from store.views.delivery_stats import Cell, Counts, Subject

PERIOD, STAT, LATE_RECEIPT = table(StatsPeriodRow), table(DeliveryStatRow), table(LateReceiptRow)

# A receipt that comes later than this is noted. What is counted is older still: by then a code has ended too.
LATE_AFTER = timedelta(minutes=10)
SETTLED_AFTER = timedelta(minutes=15)


@dataclass(frozen=True)
class Kept:
    """A period that has been counted; `is_late` says that receipts have come since."""

    id: int
    begins_at: datetime
    ends_at: datetime
    is_late: bool


_LATE = (
    select(LATE_RECEIPT.c.id)
    .where(LATE_RECEIPT.c.created_at >= PERIOD.c.begins_at, LATE_RECEIPT.c.created_at < PERIOD.c.ends_at)
    .exists()
)
_KEPT = select(PERIOD.c.id, PERIOD.c.begins_at, PERIOD.c.ends_at, _LATE).order_by(PERIOD.c.begins_at)
_COUNTS = select(STAT.c.period, STAT.c.subject, STAT.c.province, STAT.c.gateway, STAT.c.counts).where(
    STAT.c.period.in_(bindparam("periods", expanding=True))
)
_COUNTS_OF_PROVINCE = _COUNTS.where(
    STAT.c.subject.in_(list(Subject)), STAT.c.province == bindparam("province", type_=STAT.c.province.type)
)


def kept(connection: Connection, begin: datetime, end: datetime) -> list[Kept]:
    """The counted periods that begin within a time, the oldest first."""
    within = _KEPT.where(PERIOD.c.begins_at >= begin, PERIOD.c.begins_at < end)
    return [Kept(*row) for row in connection.execute(within)]


def kept_late(connection: Connection) -> list[Kept]:
    """The counted periods that receipts have come for since, the oldest first."""
    if connection.execute(select(LATE_RECEIPT.c.id).limit(1)).first() is None:
        return []
    return [Kept(*row) for row in connection.execute(_KEPT.where(_LATE))]


def kept_until(connection: Connection) -> datetime | None:
    """The end of the last counted period: all before it has been counted."""
    return connection.execute(select(PERIOD.c.ends_at).order_by(PERIOD.c.begins_at.desc()).limit(1)).scalar()


def counts(
    connection: Connection,
    periods: Iterable[int],
    province: str | None = None,
    subjects: Iterable[Subject] | None = None,
) -> Iterator[tuple[Cell, dict[str, int]]]:
    """What was counted in these periods; of one province, or of some subjects, where they are named.

    A cell's `day` is its period's id.
    """
    statement = _COUNTS if province is None else _COUNTS_OF_PROVINCE
    if subjects is not None:
        statement = statement.where(STAT.c.subject.in_(list(subjects)))
    for *cell, found in connection.execute(statement, {"periods": list(periods), "province": province}):
        yield Cell(*cell), found


def late_of(connection: Connection, begin: datetime, end: datetime) -> list[int]:
    """The notes of late receipts for texts of a time."""
    found = select(LATE_RECEIPT.c.id).where(LATE_RECEIPT.c.created_at >= begin, LATE_RECEIPT.c.created_at < end)
    return list(connection.execute(found).scalars())


def note_late(connection: Connection, written_at: datetime, now: datetime) -> None:
    """Note a receipt, if it comes so late that its text may have been counted; not if it comes weeks late."""
    if LATE_AFTER < now - written_at < LATEST_RECEIPT:
        connection.execute(insert(LATE_RECEIPT), {"created_at": written_at})


def keep(
    connection: Connection, begin: datetime, end: datetime, counted: dict[Cell, Counts], late: Iterable[int]
) -> bool:
    """Write the counts of a period that had none; False where another process was quicker.

    `late` are the notes of receipts that had been there when it was counted.
    """
    new = (
        upsert(connection, PERIOD).values(begins_at=begin, ends_at=end).on_conflict_do_nothing().returning(PERIOD.c.id)
    )
    period: int | None = connection.execute(new).scalar()
    if period is None:
        return False
    rows = [{**cell._asdict(), "period": period, "counts": dict(found)} for cell, found in counted.items()]
    if rows:
        connection.execute(insert(STAT), [{name: row[name] for name in STAT.c.keys()} for row in rows])
    connection.execute(delete(LATE_RECEIPT).where(LATE_RECEIPT.c.id.in_(list(late))))
    return True


def give_way(connection: Connection, periods: Iterable[int]) -> bool:
    """Delete the counts of these periods, for a longer period to replace. False where any was gone already."""
    which = list(periods)
    dropped = connection.execute(delete(PERIOD).where(PERIOD.c.id.in_(which))).rowcount
    connection.execute(delete(STAT).where(STAT.c.period.in_(which)))
    return dropped == len(which)


def is_unsettled(end: datetime, now: datetime) -> bool:
    """Whether a period that ends then can't have settled yet: it was counted by a clock that was ahead."""
    return end > now - SETTLED_AFTER + APART


def drop_unsettled(connection: Connection, now: datetime) -> None:
    """Delete the counts of such periods."""
    late = select(PERIOD.c.id).where(PERIOD.c.ends_at > now - SETTLED_AFTER + APART)
    give_way(connection, connection.execute(late).scalars().all())


def is_old_period(before: datetime) -> ColumnElement[bool]:
    """Periods that ended before a time."""
    return PERIOD.c.ends_at < before


def is_old_count(before: datetime) -> ColumnElement[bool]:
    """The counts of those periods."""
    return STAT.c.period.in_(select(PERIOD.c.id).where(is_old_period(before)))
