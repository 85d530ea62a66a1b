"""Sessions at the console, each begun by a right code; and the browsers in which one was begun."""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, func, insert, or_, select, update

from store.retention import BROWSERS
from store.staff import Member
from store.tables import ConsoleBrowserRow, ConsoleSessionRow, StaffRow, table

SESSION, BROWSER, STAFF = table(ConsoleSessionRow), table(ConsoleBrowserRow), table(StaffRow)


@dataclass(frozen=True)
class Session:
    """A session as it is kept, whether or not it is still good."""

    staff_id: int
    digest: bytes = field(repr=False)
    created_at: datetime
    used_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class KnownBrowser:
    """A browser in which a staff member has logged in, and who that was. `digest` is SHA-256 of the secret it holds."""

    staff_id: int
    digest: bytes = field(repr=False)


_MEMBER = tuple(STAFF.c[name] for name in Member.__dataclass_fields__)


def member(connection: Connection, *, mobile: str | None = None, staff_id: int | None = None) -> Member | None:
    """The staff member with this mobile or this id; None for nobody, and for one who was removed."""
    which = STAFF.c.mobile == mobile if staff_id is None else STAFF.c.id == staff_id
    row = connection.execute(select(*_MEMBER).where(which, STAFF.c.removed_at.is_(None))).first()
    return Member(*row) if row else None


def lock_member(connection: Connection, staff_id: int | None) -> int | None:
    """Lock a staff member's row until the transaction ends, so that nobody else sends them a code; their id.

    For None the first staff member's row is locked, so that an unknown number takes as long. None where there has
    never been a staff member.
    """
    which = (
        STAFF.c.id == staff_id if staff_id is not None else STAFF.c.id == select(func.min(STAFF.c.id)).scalar_subquery()
    )
    found: int | None = connection.execute(select(STAFF.c.id).where(which).with_for_update()).scalar()
    return found


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


def end_of(connection: Connection, staff_id: int, now: datetime) -> None:
    """End every session of a staff member, and forget their browsers: they are new to the console again."""
    running = update(SESSION).where(SESSION.c.staff_id == staff_id, SESSION.c.ended_at.is_(None))
    connection.execute(running.values(ended_at=now))
    connection.execute(delete(BROWSER).where(BROWSER.c.staff_id == staff_id))


def remember_browser(connection: Connection, browser_id: str, staff_id: int, digest: bytes, now: datetime) -> None:
    """Remember a browser in which a staff member has just logged in."""
    row = {"id": browser_id, "staff_id": staff_id, "digest": digest, "logged_in_at": now}
    connection.execute(insert(BROWSER), row)


def browser(connection: Connection, browser_id: str, now: datetime) -> KnownBrowser | None:
    """The browser with this id; None where none is known by it, or the last login in it is too old."""
    found = select(BROWSER.c.staff_id, BROWSER.c.digest)
    row = connection.execute(found.where(BROWSER.c.id == browser_id, BROWSER.c.logged_in_at > now - BROWSERS)).first()
    return KnownBrowser(*row) if row else None


def forget_browser(connection: Connection, browser_id: str) -> None:
    """Forget a browser: another secret has taken the place of the one that it was known by."""
    connection.execute(delete(BROWSER).where(BROWSER.c.id == browser_id))


def is_old(before: datetime) -> ColumnElement[bool]:
    """Sessions that ended, or began, before a time."""
    return or_(SESSION.c.created_at < before, SESSION.c.ended_at < before)


def is_old_browser(before: datetime) -> ColumnElement[bool]:
    """Browsers in which nobody has logged in since a time."""
    return BROWSER.c.logged_in_at <= before
