"""Times that lie further ahead than any can, because the clock was ahead when they were written, and was set back.

Without this, a text that waits to be tried again would wait for an hour more, and a code be good for so long.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, and_, exists, literal_column, or_, select, update

from store.tables import (
    AccountRow,
    CircuitBreakerRow,
    CodeRow,
    DeliveryStatus,
    MobileChangeRow,
    OutboundMessageRow,
    PolledMessageRow,
    PollRoundRow,
    RateLimitRow,
    ResetGrantRow,
    StaffOrderRow,
    WebhookEventRow,
    table,
)

# Hosts' clocks may be so far apart.
APART = timedelta(seconds=60)
NOW = timedelta()
# The longest that a code and a ticket, a generated password, and a change of mobile that waits for an objection last.
CODE_LASTS, PASSWORD_LASTS, CHANGE_WAITS = timedelta(seconds=600), timedelta(hours=72), timedelta(hours=24)
MESSAGE, CODE, EVENT = table(OutboundMessageRow), table(CodeRow), table(WebhookEventRow)
ROUND, POLLED = table(PollRoundRow), table(PolledMessageRow)
BREAKER, LIMIT = table(CircuitBreakerRow), table(RateLimitRow)
ACCOUNT, CHANGE, GRANT, ORDER = table(AccountRow), table(MobileChangeRow), table(ResetGrantRow), table(StaffOrderRow)


@dataclass(frozen=True)
class Bound:
    """How far ahead a time can lie in those rows of a table that are `open`; and how far ahead one beyond is put.

    `is_life` says that it is the end of something that must not live longer for a clock that was set back: what there
    was then has so much less before it.
    """

    time: Column[Any]
    ahead: timedelta
    open: ColumnElement[bool] | None = None
    becomes: timedelta = NOW
    is_life: bool = False

    def beyond(self, now: datetime, back: timedelta) -> ColumnElement[bool]:
        """The rows whose time lies further ahead."""
        most = self._left(back) if self.is_life and back else self.ahead + APART
        late = self.time > now + most
        return late if self.open is None else and_(self.open, late)

    def instead(self, now: datetime, back: timedelta) -> datetime:
        """What such a time becomes."""
        return now + (self._left(back) if self.is_life and back else self.becomes)

    def _left(self, back: timedelta) -> timedelta:
        return max(self.ahead - back, NOW)


# Leases and pauses, at their longest. An index finds each, so these are looked at all the time.
BOUNDS = (
    Bound(MESSAGE.c.next_attempt_at, timedelta(seconds=30), MESSAGE.c.status == literal_column("0")),
    Bound(CODE.c.expires_at, CODE_LASTS, CODE.c.closed_at.is_(None), is_life=True),
    Bound(EVENT.c.next_attempt_at, timedelta(hours=1), EVENT.c.ended_at.is_(None)),
    Bound(ROUND.c.next_attempt_at, timedelta(seconds=300)),
    Bound(POLLED.c.next_attempt_at, timedelta(seconds=60)),
    Bound(BREAKER.c.probe_at, timedelta(seconds=15)),
    Bound(LIMIT.c.window_started_at, NOW),
    Bound(CHANGE.c.due_at, CHANGE_WAITS, CHANGE.c.ended_at.is_(None), becomes=CHANGE_WAITS),
)
# These take reading a table: when a process begins, and when it has seen its clock set back.
MORE_BOUNDS = (
    *BOUNDS,
    Bound(GRANT.c.expires_at, CODE_LASTS, GRANT.c.closed_at.is_(None), is_life=True),
    Bound(ACCOUNT.c.password_expires_at, PASSWORD_LASTS, becomes=PASSWORD_LASTS),
    # By these it is counted how many codes an account was sent, and orders a staff member gave, in an hour and a day.
    Bound(CODE.c.created_at, NOW),
    Bound(ORDER.c.created_at, NOW),
)
assert int(DeliveryStatus.QUEUED) == 0


def is_seen(connection: Connection, now: datetime, back: timedelta | None = None) -> bool:
    """Whether there is any such time. `back` is how far the clock was just set back, nothing where that is not known.

    With it, all tables are looked at.
    """
    found = or_(*(exists(select(literal_column("1")).where(it.beyond(now, back or NOW))) for it in _bounds(back)))
    return bool(connection.execute(select(found)).scalar_one())


def mend(connection: Connection, now: datetime, back: timedelta | None = None) -> int:
    """Bring all of these times back: what waited is due, a code is over. How many rows there were.

    Of codes and tickets from before the clock was set back the time that they have left is cut by as much.
    """
    return sum(
        connection.execute(
            update(it.time.table).where(it.beyond(now, back or NOW)).values({it.time: it.instead(now, back or NOW)})
        ).rowcount
        for it in _bounds(back)
    )


def _bounds(back: timedelta | None) -> tuple[Bound, ...]:
    return BOUNDS if back is None else MORE_BOUNDS
