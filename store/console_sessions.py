"""Who is let into the console: the codes that staff log in by, and the sessions that follow."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, or_, select, update

from store import codes
from store.database.dialect import PreparedStatement
from store.staff import Member
from store.tables import CloseReason, ConsoleCodeRow, ConsoleSessionRow, StaffRow, table

CODE, SESSION, STAFF = table(ConsoleCodeRow), table(ConsoleSessionRow), table(StaffRow)
_OPEN = CODE.c.closed_at.is_(None)
KEPT = timedelta(days=30)


@dataclass(frozen=True)
class Tried:
    """A code that a try has just been spent of."""

    id: str
    staff_id: int
    key_id: str
    digest: bytes = field(repr=False)
    tries_left: int


@dataclass(frozen=True)
class CodesSent:
    """How many codes a staff member was sent of late, and when the one that is still good was."""

    in_hour: int
    in_day: int
    live_since: datetime | None


@dataclass(frozen=True)
class Session:
    """A session as it is kept, whether or not it is still good."""

    staff_id: int
    digest: bytes = field(repr=False)
    created_at: datetime
    used_at: datetime
    ended_at: datetime | None


_TRIED = tuple(CODE.c[name] for name in Tried.__dataclass_fields__)
_MEMBER = tuple(STAFF.c[name] for name in Member.__dataclass_fields__)
SPEND = PreparedStatement(
    update(CODE)
    .where(
        CODE.c.staff_id == bindparam("member"),
        CODE.c.expires_at > bindparam("now", type_=CODE.c.expires_at.type),
        CODE.c.tries_left > 0,
        _OPEN,
    )
    .values(tries_left=CODE.c.tries_left - 1)
    .returning(*_TRIED)
)


def member(connection: Connection, *, mobile: str | None = None, staff_id: int | None = None) -> Member | None:
    """The staff member with this mobile or this id; None for nobody, and for one who was removed."""
    which = STAFF.c.mobile == mobile if staff_id is None else STAFF.c.id == staff_id
    row = connection.execute(select(*_MEMBER).where(which, STAFF.c.removed_at.is_(None))).first()
    return Member(*row) if row else None


def hold(connection: Connection, staff_id: int | None) -> int | None:
    """Let nobody else send this member a code until the transaction ends; whoever came first, where it is nobody's.

    None where nobody was ever of staff.
    """
    which = (
        STAFF.c.id == staff_id if staff_id is not None else STAFF.c.id == select(func.min(STAFF.c.id)).scalar_subquery()
    )
    found: int | None = connection.execute(select(STAFF.c.id).where(which).with_for_update()).scalar()
    return found


def sent(connection: Connection, staff_id: int, now: datetime) -> CodesSent:
    """How many codes a staff member was sent of late."""
    mine = select(func.count()).where(CODE.c.staff_id == staff_id)
    live = select(func.max(CODE.c.created_at)).where(CODE.c.staff_id == staff_id, _OPEN)
    counts = select(
        mine.where(CODE.c.created_at > now - timedelta(hours=1)).scalar_subquery(),
        mine.where(CODE.c.created_at > now - timedelta(days=1)).scalar_subquery(),
        live.where(CODE.c.expires_at > now, CODE.c.tries_left > 0).scalar_subquery(),
    )
    return CodesSent(*connection.execute(counts).one())


def issue(connection: Connection, row: dict[str, Any], now: datetime) -> None:
    """Write a code; it voids the older one."""
    found = connection.execute(select(CODE.c.id).where(CODE.c.staff_id == row["staff_id"], _OPEN))
    for code_id in found.scalars().all():
        close(connection, code_id, CloseReason.VOIDED, now)
    connection.execute(insert(CODE), row)


def spend(connection: Connection, staff_id: int, now: datetime) -> Tried | None:
    """Spend one try of the live code, before it is compared."""
    rows = SPEND.rows(connection, {"member": staff_id, "now": now})
    return Tried(*rows[0]) if rows else None


def close(connection: Connection, code_id: str, close_reason: CloseReason, now: datetime) -> bool:
    """Close a code that is open, with its unsent text; whether this call was the one."""
    still_open = update(CODE).where(CODE.c.id == code_id, _OPEN).values(closed_at=now, close_reason=close_reason)
    done = connection.execute(still_open).rowcount == 1
    if done:
        codes.DROP_TEXTS(connection, {"code": code_id, "why": close_reason, "now": now})
    return done


def begin(connection: Connection, session_id: str, staff_id: int, digest: bytes, now: datetime) -> None:
    """Begin a session."""
    row = {"id": session_id, "staff_id": staff_id, "digest": digest, "created_at": now, "used_at": now}
    connection.execute(insert(SESSION), row)


def session(connection: Connection, session_id: str) -> Session | None:
    """The session with this id, whether or not it is still good."""
    columns = (SESSION.c[name] for name in Session.__dataclass_fields__)
    row = connection.execute(select(*columns).where(SESSION.c.id == session_id)).first()
    return Session(*row) if row else None


def use(connection: Connection, session_id: str, now: datetime) -> None:
    """Note that a session is used."""
    connection.execute(update(SESSION).where(SESSION.c.id == session_id).values(used_at=now))


def end(connection: Connection, session_id: str, now: datetime) -> bool:
    """End a session; whether this call was the one."""
    running = update(SESSION).where(SESSION.c.id == session_id, SESSION.c.ended_at.is_(None))
    return connection.execute(running.values(ended_at=now)).rowcount == 1


def forget_old(connection: Connection, now: datetime) -> int:
    """Drop codes and sessions that are long over."""
    old_codes = delete(CODE).where(CODE.c.created_at < now - KEPT)
    old_sessions = delete(SESSION).where(or_(SESSION.c.created_at < now - KEPT, SESSION.c.ended_at < now - KEPT))
    return connection.execute(old_codes).rowcount + connection.execute(old_sessions).rowcount
