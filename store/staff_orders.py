"""What staff order: each waits for the code whose id it has, and is done, or not."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, bindparam, exists, func, insert, or_, select, update

from store.database.dialect import named
from store.database.prepared import PreparedStatement
from store.tables import FINAL, CodeRow, DeliveryStatus, OutboundMessageRow, StaffOrderRow, StaffRow, table

ORDER, CODE, MESSAGE, STAFF = table(StaffOrderRow), table(CodeRow), table(OutboundMessageRow), table(StaffRow)
# Of a reset that was done so long ago nobody is told any more that its text did not arrive.
WATCHED = timedelta(minutes=15)


@dataclass(frozen=True)
class StaffOrder:
    """An order. `ref` is how staff speak of it."""

    id: str
    staff_id: int
    command: str
    account_id: int
    new_mobile: str | None = field(repr=False)
    ref: str


@dataclass(frozen=True)
class NewOrder:
    """An order to be written, under its code's id."""

    id: str
    staff_id: int
    command: str
    account_id: int
    new_mobile: str | None = field(repr=False)
    ref: str
    created_at: datetime


@dataclass(frozen=True)
class Workload:
    """How much a staff member has done of late: orders of one command carried out, and orders given."""

    done_in_hour: int
    done_in_day: int
    ordered_in_hour: int


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
    mobile: str = field(repr=False)
    phone: str = field(repr=False)
    inbound_gateway: str


_ORDER = tuple(ORDER.c[name] for name in StaffOrder.__dataclass_fields__)
WRITE = PreparedStatement(insert(ORDER).values(named(ORDER, "done_at", "sent_code_id", "staff_notified_at")))
BY_ID = PreparedStatement(select(*_ORDER).where(ORDER.c.id == bindparam("key")))


def write(connection: Connection, order: NewOrder) -> None:
    """Write an order."""
    WRITE(connection, vars(order))


def find(connection: Connection, order_id: str) -> StaffOrder:
    """The order that the code with this id confirms."""
    (row,) = BY_ID.rows(connection, {"key": order_id})
    return StaffOrder(*row)


def waiting(connection: Connection, staff_id: int, now: datetime) -> StaffOrder | None:
    """The order that waits for its code."""
    live = (CODE.c.closed_at.is_(None), CODE.c.expires_at > now, CODE.c.tries_left > 0)
    found = select(*_ORDER).join(CODE, CODE.c.id == ORDER.c.id).where(CODE.c.staff_id == staff_id, *live)
    row = connection.execute(found).first()
    return StaffOrder(*row) if row else None


def finish(connection: Connection, order_id: str, now: datetime, sent_code_id: str | None) -> None:
    """Note that an order is carried out; with the code that it sent, where it sent one."""
    done = update(ORDER).where(ORDER.c.id == order_id)
    connection.execute(done.values(done_at=now, sent_code_id=sent_code_id))


def workload(connection: Connection, staff_id: int, command: str, now: datetime) -> Workload:
    """How many orders of a command a staff member has had carried out of late, and how many they have given."""
    mine = select(func.count()).where(ORDER.c.staff_id == staff_id)
    done = mine.where(ORDER.c.command == command, ORDER.c.done_at.is_not(None))
    hour, day = now - timedelta(hours=1), now - timedelta(days=1)
    counts = select(
        done.where(ORDER.c.created_at > hour).scalar_subquery(),
        done.where(ORDER.c.created_at > day).scalar_subquery(),
        mine.where(ORDER.c.created_at > hour).scalar_subquery(),
    )
    return Workload(*connection.execute(counts).one())


def resets_of(connection: Connection, account_id: int, command: str, since: datetime) -> list[Reset]:
    """The newest reset of an account by each staff member, the newest first."""
    newest = (
        select(ORDER.c.staff_id, ORDER.c.ref, ORDER.c.done_at)
        .where(ORDER.c.account_id == account_id, ORDER.c.command == command, ORDER.c.done_at > since)
        .order_by(ORDER.c.done_at.desc())
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
        select(ORDER.c.id, ORDER.c.ref, STAFF.c.mobile, MESSAGE.c.phone, MESSAGE.c.inbound_gateway)
        .join(STAFF, STAFF.c.id == ORDER.c.staff_id)
        # The account finds its texts by an index. Where one was sent once more, the newest tells.
        .join(MESSAGE, (MESSAGE.c.account_id == ORDER.c.account_id) & (MESSAGE.c.code_id == ORDER.c.sent_code_id))
        .where(~exists().where(newer.c.account_id == MESSAGE.c.account_id, newer.c.resend_of == MESSAGE.c.id))
        .where(ORDER.c.sent_code_id.is_not(None), ORDER.c.staff_notified_at.is_(None))
        .where(ORDER.c.done_at > now - WATCHED, failed)
    )
    return [Undelivered(*row) for row in connection.execute(found)]


def notify(connection: Connection, order_id: str, now: datetime) -> bool:
    """Note that a staff member is told that the text was not delivered; whether this call was the one."""
    untold = update(ORDER).where(ORDER.c.id == order_id, ORDER.c.staff_notified_at.is_(None))
    return connection.execute(untold.values(staff_notified_at=now)).rowcount == 1


def is_old(before: datetime) -> ColumnElement[bool]:
    """Orders given before a time."""
    return ORDER.c.created_at < before
