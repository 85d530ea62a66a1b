"""What providers are asked for: which process asks, and for which texts receipts are asked."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, or_, select, update

from store.database.dialect import InsertOrSkip
from store.tables import DeliveryStatus, OutboundMessageRow, PollRoundRow, table

ROUND, MESSAGE = table(PollRoundRow), table(OutboundMessageRow)
# What a receipt can still change.
OPEN = (DeliveryStatus.ACCEPTED, DeliveryStatus.SENDING, DeliveryStatus.SENT)


def is_due(connection: Connection, name: str, now: datetime) -> bool:
    """Whether it is time to ask, and nobody is asking."""
    next_attempt_at = connection.execute(select(ROUND.c.next_attempt_at).where(ROUND.c.name == name)).scalar()
    return next_attempt_at is None or next_attempt_at <= now


def claim(connection: Connection, name: str, now: datetime, lease: timedelta) -> str | None:
    """Take the lease on asking: the cursor to go on from. None where it is too soon or another has the lease."""
    due = update(ROUND).where(ROUND.c.name == name, ROUND.c.next_attempt_at <= now).values(next_attempt_at=now + lease)
    cursor: str | None = connection.execute(due.returning(ROUND.c.cursor)).scalar()
    if cursor is not None:
        return cursor
    first = InsertOrSkip(ROUND).values(name=name, next_attempt_at=now + lease, cursor="")
    counted = first.execution_options(preserve_rowcount=True)
    return "" if connection.execute(counted).rowcount == 1 else None


def finish(connection: Connection, name: str, lease_end: datetime, next_attempt_at: datetime, cursor: str) -> bool:
    """Say when to ask next and from where on; False where the lease was over, and another process has it."""
    mine = update(ROUND).where(ROUND.c.name == name, ROUND.c.next_attempt_at == lease_end)
    return connection.execute(mine.values(next_attempt_at=next_attempt_at, cursor=cursor)).rowcount == 1


def unconfirmed(
    connection: Connection, gateway: str, spans: Sequence[tuple[datetime, datetime]], most: int
) -> list[str]:
    """The provider's ids of texts that may still get a receipt, newest first: those written within one of these spans.

    A span is from after a time up to and with another.
    """
    written = MESSAGE.c.created_at
    within = or_(*(and_(written > after, written <= until) for after, until in spans))
    open_ = MESSAGE.c.status.in_([int(status) for status in OPEN])
    found = select(MESSAGE.c.provider_id).where(within, open_, MESSAGE.c.gateway == gateway)
    found = found.where(MESSAGE.c.provider_id.is_not(None)).order_by(MESSAGE.c.created_at.desc()).limit(most)
    return list(connection.execute(found).scalars())
