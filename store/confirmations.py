"""Orders that wait for their code, and what became of them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, exists, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from store import codes
from store.conversations import Overtaken
from store.dialect import Prepared, named
from store.outbox import KEPT
from store.tables import FINAL, Confirmation, Fate, Outbox, Rank, Staff, table

CONFIRMATION, OUTBOX, STAFF = table(Confirmation), table(Outbox), table(Staff)
_OPEN = CONFIRMATION.c.closed_at.is_(None)
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
    origin: str


_PENDING = tuple(CONFIRMATION.c[name] for name in Pending.__dataclass_fields__)
ISSUE = Prepared(insert(CONFIRMATION).values(named(CONFIRMATION, "closed_at", "fate", "code_id", "told_at")))
SPEND = Prepared(
    update(CONFIRMATION)
    .where(
        CONFIRMATION.c.staff_id == bindparam("member"),
        CONFIRMATION.c.expires_at > bindparam("now", type_=CONFIRMATION.c.expires_at.type),
        CONFIRMATION.c.tries_left > 0,
        _OPEN,
    )
    .values(tries_left=CONFIRMATION.c.tries_left - 1)
    .returning(*_PENDING)
)


def issue(connection: Connection, row: dict[str, Any]) -> None:
    """Write an order that waits for its code; Overtaken where the staff member has another, written meanwhile."""
    try:
        ISSUE(connection, row)
    except IntegrityError as conflict:
        raise Overtaken from conflict


def live(connection: Connection, staff_id: int, now: datetime) -> Pending | None:
    """The order that waits for its code."""
    waiting = select(*_PENDING).where(
        CONFIRMATION.c.staff_id == staff_id,
        _OPEN,
        CONFIRMATION.c.expires_at > now,
        CONFIRMATION.c.tries_left > 0,
    )
    row = connection.execute(waiting).first()
    return Pending(*row) if row else None


def spend(connection: Connection, staff_id: int, now: datetime) -> Pending | None:
    """Spend one try of the live confirmation, before the code is compared."""
    rows = SPEND.rows(connection, {"member": staff_id, "now": now})
    return Pending(*rows[0]) if rows else None


def close(connection: Connection, confirmation_id: str, fate: Fate, now: datetime, code_id: str | None = None) -> bool:
    """Close a confirmation that is open, with its unsent text; whether this call was the one."""
    still_open = update(CONFIRMATION).where(CONFIRMATION.c.id == confirmation_id, _OPEN)
    done = connection.execute(still_open.values(closed_at=now, fate=fate, code_id=code_id)).rowcount == 1
    if done:
        codes.DROP_TEXTS(connection, {"code": confirmation_id, "why": fate, "now": now})
    return done


def close_of(connection: Connection, staff_id: int, fate: Fate, now: datetime) -> None:
    """Close whatever a staff member has open."""
    found = connection.execute(select(CONFIRMATION.c.id).where(CONFIRMATION.c.staff_id == staff_id, _OPEN))
    for confirmation_id in found.scalars().all():
        close(connection, confirmation_id, fate, now)


def close_expired(connection: Connection, now: datetime) -> int:
    """Close confirmations whose time or tries ran out; how many there were."""
    late = select(CONFIRMATION.c.id, CONFIRMATION.c.tries_left).where(_OPEN)
    late = late.where(or_(CONFIRMATION.c.expires_at <= now, CONFIRMATION.c.tries_left <= 0))
    found = connection.execute(late).all()
    return sum(close(connection, row.id, Fate.EXPIRED if row.tries_left else Fate.BURNED, now) for row in found)


def done(connection: Connection, staff_id: int, command: str, now: datetime) -> Done:
    """How many orders of a command a staff member has had carried out of late, and how many codes sent."""
    mine = select(func.count()).where(CONFIRMATION.c.staff_id == staff_id)
    carried_out = mine.where(CONFIRMATION.c.command == command, CONFIRMATION.c.fate == Fate.USED)
    hour, day = now - timedelta(hours=1), now - timedelta(days=1)
    counts = select(
        carried_out.where(CONFIRMATION.c.created_at > hour).scalar_subquery(),
        carried_out.where(CONFIRMATION.c.created_at > day).scalar_subquery(),
        mine.where(CONFIRMATION.c.created_at > hour).scalar_subquery(),
    )
    return Done(*connection.execute(counts).one())


def resets_of(connection: Connection, account_id: int, command: str, since: datetime) -> list[Reset]:
    """The newest reset of an account by each staff member, the newest first."""
    newest = (
        select(CONFIRMATION.c.staff_id, CONFIRMATION.c.ref, CONFIRMATION.c.closed_at)
        .where(
            CONFIRMATION.c.account_id == account_id,
            CONFIRMATION.c.command == command,
            CONFIRMATION.c.fate == Fate.USED,
            CONFIRMATION.c.closed_at > since,
        )
        .order_by(CONFIRMATION.c.closed_at.desc())
    )
    by_member: dict[int, Reset] = {}
    for row in connection.execute(newest):
        by_member.setdefault(row.staff_id, Reset(*row))
    return list(by_member.values())


def undelivered(connection: Connection, now: datetime, overdue: timedelta) -> list[Undelivered]:
    """Resets of late whose text has failed, or still waits after so long, and of which staff were not told."""
    newer = OUTBOX.alias("newer")
    failed = or_(
        OUTBOX.c.rank.in_([int(Rank.FAILED), int(FINAL)]),
        (OUTBOX.c.rank == int(Rank.QUEUED)) & (OUTBOX.c.created_at <= now - overdue),
    )
    found = (
        select(
            CONFIRMATION.c.id,
            CONFIRMATION.c.ref,
            STAFF.c.mobile,
            OUTBOX.c.phone,
            OUTBOX.c.origin,
        )
        .join(STAFF, STAFF.c.id == CONFIRMATION.c.staff_id)
        # The account finds its texts by an index. Where one was sent once more, the newest tells.
        .join(OUTBOX, (OUTBOX.c.account_id == CONFIRMATION.c.account_id) & (OUTBOX.c.code_id == CONFIRMATION.c.code_id))
        .where(~exists().where(newer.c.account_id == OUTBOX.c.account_id, newer.c.instead_of == OUTBOX.c.id))
        .where(CONFIRMATION.c.code_id.is_not(None), CONFIRMATION.c.told_at.is_(None))
        .where(CONFIRMATION.c.closed_at > now - WATCHED, failed)
    )
    return [Undelivered(*row) for row in connection.execute(found)]


def forget_old(connection: Connection, now: datetime) -> int:
    """Drop orders that no season's report needs any more."""
    return connection.execute(delete(CONFIRMATION).where(CONFIRMATION.c.closed_at < now - KEPT)).rowcount


def tell(connection: Connection, confirmation_id: str, now: datetime) -> bool:
    """Note that a staff member is told that the text was not delivered; whether this call was the one."""
    untold = update(CONFIRMATION).where(CONFIRMATION.c.id == confirmation_id, CONFIRMATION.c.told_at.is_(None))
    return connection.execute(untold.values(told_at=now)).rowcount == 1
