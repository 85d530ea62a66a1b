"""Orders that wait for their code, and what became of them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, exists, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from store import codes
from store.conversations import StaleRead
from store.database.dialect import PreparedStatement, named
from store.outbound_messages import KEPT
from store.tables import FINAL, CloseReason, DeliveryStatus, OutboundMessageRow, StaffOrderRow, StaffRow, table

ORDER, MESSAGE, STAFF = table(StaffOrderRow), table(OutboundMessageRow), table(StaffRow)
_OPEN = ORDER.c.closed_at.is_(None)
# Whose text is not delivered by then is told so later, if at all.
WATCHED = timedelta(minutes=15)


@dataclass(frozen=True)
class Pending:
    """A live confirmation."""

    id: str
    staff_id: int
    command: str
    account_id: int
    new_mobile: str | None
    ref: str
    key_id: str
    digest: bytes
    tries_left: int


@dataclass(frozen=True)
class Done:
    """How much a staff member has done: resets carried out, and confirmation codes sent."""

    resets_in_hour: int
    resets_in_day: int
    codes_in_hour: int


@dataclass(frozen=True)
class Reset:
    """A reset that was carried out, as STATUS tells it."""

    staff_id: int
    ref: str
    at: datetime


@dataclass(frozen=True)
class Undelivered:
    """A reset whose text did not arrive, and the staff member to be told."""

    id: str
    ref: str
    mobile: str
    phone: str
    inbound_gateway: str


_PENDING = tuple(ORDER.c[name] for name in Pending.__dataclass_fields__)
ISSUE = PreparedStatement(
    insert(ORDER).values(named(ORDER, "closed_at", "close_reason", "code_id", "staff_notified_at"))
)
SPEND = PreparedStatement(
    update(ORDER)
    .where(
        ORDER.c.staff_id == bindparam("member"),
        ORDER.c.expires_at > bindparam("now", type_=ORDER.c.expires_at.type),
        ORDER.c.tries_left > 0,
        _OPEN,
    )
    .values(tries_left=ORDER.c.tries_left - 1)
    .returning(*_PENDING)
)


def issue(connection: Connection, row: dict[str, Any]) -> None:
    """Write an order that waits for its code; Overtaken where the staff member has another, written meanwhile."""
    try:
        ISSUE(connection, row)
    except IntegrityError as conflict:
        raise StaleRead from conflict


def live(connection: Connection, staff_id: int, now: datetime) -> Pending | None:
    """The order that waits for its code."""
    waiting = select(*_PENDING).where(
        ORDER.c.staff_id == staff_id,
        _OPEN,
        ORDER.c.expires_at > now,
        ORDER.c.tries_left > 0,
    )
    row = connection.execute(waiting).first()
    return Pending(*row) if row else None


def spend(connection: Connection, staff_id: int, now: datetime) -> Pending | None:
    """Spend one try of the live confirmation, before the code is compared."""
    rows = SPEND.rows(connection, {"member": staff_id, "now": now})
    return Pending(*rows[0]) if rows else None


def close(
    connection: Connection, confirmation_id: str, close_reason: CloseReason, now: datetime, code_id: str | None = None
) -> bool:
    """Close a confirmation that is open, with its unsent text; whether this call was the one."""
    still_open = update(ORDER).where(ORDER.c.id == confirmation_id, _OPEN)
    done = (
        connection.execute(still_open.values(closed_at=now, close_reason=close_reason, code_id=code_id)).rowcount == 1
    )
    if done:
        codes.DROP_TEXTS(connection, {"code": confirmation_id, "why": close_reason, "now": now})
    return done


def close_of(connection: Connection, staff_id: int, close_reason: CloseReason, now: datetime) -> None:
    """Close whatever a staff member has open."""
    found = connection.execute(select(ORDER.c.id).where(ORDER.c.staff_id == staff_id, _OPEN))
    for confirmation_id in found.scalars().all():
        close(connection, confirmation_id, close_reason, now)


def close_expired(connection: Connection, now: datetime) -> int:
    """Close confirmations whose time or tries ran out; how many there were."""
    late = select(ORDER.c.id, ORDER.c.tries_left).where(_OPEN)
    late = late.where(or_(ORDER.c.expires_at <= now, ORDER.c.tries_left <= 0))
    found = connection.execute(late).all()
    return sum(
        close(connection, row.id, CloseReason.EXPIRED if row.tries_left else CloseReason.BURNED, now) for row in found
    )


def done(connection: Connection, staff_id: int, command: str, now: datetime) -> Done:
    """How many orders of a command a staff member has had carried out of late, and how many codes sent."""
    mine = select(func.count()).where(ORDER.c.staff_id == staff_id)
    carried_out = mine.where(ORDER.c.command == command, ORDER.c.close_reason == CloseReason.USED)
    hour, day = now - timedelta(hours=1), now - timedelta(days=1)
    counts = select(
        carried_out.where(ORDER.c.created_at > hour).scalar_subquery(),
        carried_out.where(ORDER.c.created_at > day).scalar_subquery(),
        mine.where(ORDER.c.created_at > hour).scalar_subquery(),
    )
    return Done(*connection.execute(counts).one())


def resets_of(connection: Connection, account_id: int, command: str, since: datetime) -> list[Reset]:
    """The newest reset of an account by each staff member, the newest first."""
    newest = (
        select(ORDER.c.staff_id, ORDER.c.ref, ORDER.c.closed_at)
        .where(
            ORDER.c.account_id == account_id,
            ORDER.c.command == command,
            ORDER.c.close_reason == CloseReason.USED,
            ORDER.c.closed_at > since,
        )
        .order_by(ORDER.c.closed_at.desc())
    )
    by_member: dict[int, Reset] = {}
    for row in connection.execute(newest):
        by_member.setdefault(row.staff_id, Reset(*row))
    return list(by_member.values())


def undelivered(connection: Connection, now: datetime, overdue: timedelta) -> list[Undelivered]:
    """Resets of late whose text has failed, or still waits after so long, and of which staff were not told."""
    newer = MESSAGE.alias("newer")
    failed = or_(
        MESSAGE.c.status.in_([int(DeliveryStatus.FAILED), int(FINAL)]),
        (MESSAGE.c.status == int(DeliveryStatus.QUEUED)) & (MESSAGE.c.created_at <= now - overdue),
    )
    found = (
        select(
            ORDER.c.id,
            ORDER.c.ref,
            STAFF.c.mobile,
            MESSAGE.c.phone,
            MESSAGE.c.inbound_gateway,
        )
        .join(STAFF, STAFF.c.id == ORDER.c.staff_id)
        # The account finds its texts by an index. Where one was sent once more, the newest tells.
        .join(MESSAGE, (MESSAGE.c.account_id == ORDER.c.account_id) & (MESSAGE.c.code_id == ORDER.c.code_id))
        .where(~exists().where(newer.c.account_id == MESSAGE.c.account_id, newer.c.resend_of == MESSAGE.c.id))
        .where(ORDER.c.code_id.is_not(None), ORDER.c.staff_notified_at.is_(None))
        .where(ORDER.c.closed_at > now - WATCHED, failed)
    )
    return [Undelivered(*row) for row in connection.execute(found)]


def forget_old(connection: Connection, now: datetime) -> int:
    """Drop orders that no season's report needs any more."""
    return connection.execute(delete(ORDER).where(ORDER.c.closed_at < now - KEPT)).rowcount


def tell(connection: Connection, confirmation_id: str, now: datetime) -> bool:
    """Note that a staff member is told that the text was not delivered; whether this call was the one."""
    untold = update(ORDER).where(ORDER.c.id == confirmation_id, ORDER.c.staff_notified_at.is_(None))
    return connection.execute(untold.values(staff_notified_at=now)).rowcount == 1
