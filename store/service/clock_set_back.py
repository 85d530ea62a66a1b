"""Times that lie further ahead than any can, because the clock was ahead when they were written, and was set back.

Without this, a text that waits to be tried again would wait for an hour more, and a code be good for so long.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, and_, exists, literal_column, or_, select, update

from store.tables import (
    CircuitBreakerRow,
    CodeRow,
    DeliveryStatus,
    OutboundMessageRow,
    PolledMessageRow,
    PollRoundRow,
    RateLimitRow,
    WebhookEventRow,
    table,
)

# Hosts' clocks may be so far apart.
APART = timedelta(seconds=60)
MESSAGE, CODE, EVENT = table(OutboundMessageRow), table(CodeRow), table(WebhookEventRow)
ROUND, POLLED = table(PollRoundRow), table(PolledMessageRow)
BREAKER, LIMIT = table(CircuitBreakerRow), table(RateLimitRow)


@dataclass(frozen=True)
class Bound:
    """How far ahead a time can lie in those rows of a table that are `open`."""

    time: Column[Any]
    ahead: timedelta
    open: ColumnElement[bool] | None = None

    def beyond(self, now: datetime) -> ColumnElement[bool]:
        """The rows whose time lies further ahead."""
        late = self.time > now + self.ahead + APART
        return late if self.open is None else and_(self.open, late)


# Leases and pauses, at their longest.
BOUNDS = (
    Bound(MESSAGE.c.next_attempt_at, timedelta(seconds=30), MESSAGE.c.status == literal_column("0")),
    Bound(CODE.c.expires_at, timedelta(seconds=600), CODE.c.closed_at.is_(None)),
    Bound(EVENT.c.next_attempt_at, timedelta(hours=1), EVENT.c.ended_at.is_(None)),
    Bound(ROUND.c.next_attempt_at, timedelta(seconds=300)),
    Bound(POLLED.c.next_attempt_at, timedelta(seconds=60)),
    Bound(BREAKER.c.probe_at, timedelta(seconds=15)),
    Bound(LIMIT.c.window_started_at, timedelta()),
)
assert int(DeliveryStatus.QUEUED) == 0


def is_seen(connection: Connection, now: datetime) -> bool:
    """Whether there is any such time."""
    found = or_(*(exists(select(literal_column("1")).where(bound.beyond(now))) for bound in BOUNDS))
    return bool(connection.execute(select(found)).scalar_one())


def mend(connection: Connection, now: datetime) -> int:
    """Have all of these times be now: what waited is due, a code is over. How many rows there were."""
    return sum(
        connection.execute(update(bound.time.table).where(bound.beyond(now)).values({bound.time: now})).rowcount
        for bound in BOUNDS
    )
