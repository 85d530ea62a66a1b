"""Staff members: who may order by text, and log in to the console."""

from dataclasses import asdict, dataclass, field
from datetime import datetime

from sqlalchemy import Connection, bindparam, or_, select, update

from store.database.dialect import upsert
from store.database.prepared import PreparedStatement
from store.tables import StaffRow, table

STAFF = table(StaffRow)


@dataclass(frozen=True)
class Member:
    """A staff member."""

    id: int
    mobile: str = field(repr=False)
    name: str = field(repr=False)
    role: str
    province: str | None
    broker: str | None
    removed_at: datetime | None = None
    locked_at: datetime | None = None  # after too many wrong confirmations in a row
    console_failures: int = 0  # wrong codes in a row at the console, from browsers that are new to it


@dataclass(frozen=True)
class NewMember:
    """A staff member to be written. A provincial user has a province, a broker a broker's name."""

    mobile: str = field(repr=False)
    role: str
    name: str = field(repr=False)
    province: str | None = None
    broker: str | None = None


_MEMBER = select(*(STAFF.c[name] for name in Member.__dataclass_fields__))
BY_ID = PreparedStatement(_MEMBER.where(STAFF.c.id == bindparam("key")))


def find(connection: Connection, staff_id: int) -> Member:
    """The staff member with this id, removed or not."""
    (row,) = BY_ID.rows(connection, {"key": staff_id})
    return Member(*row)


def every(connection: Connection) -> list[Member]:
    """All who may order, in the order in which they were added."""
    there = _MEMBER.where(STAFF.c.removed_at.is_(None)).order_by(STAFF.c.id)
    return [Member(*row) for row in connection.execute(there)]


def at(connection: Connection, mobile: str) -> Member | None:
    """The staff member with a mobile; None for nobody, and for one who was removed."""
    row = connection.execute(_MEMBER.where(STAFF.c.mobile == mobile, STAFF.c.removed_at.is_(None))).first()
    return Member(*row) if row else None


def ever(connection: Connection, mobile: str) -> int | None:
    """The id of the staff member who has a mobile, or had it until they were removed; None where there is none."""
    return connection.execute(select(STAFF.c.id).where(STAFF.c.mobile == mobile)).scalar_one_or_none()


def lock_role(connection: Connection, role: str) -> list[Member]:
    """All of a role who may order now; nobody else changes any of them until the transaction ends."""
    there = _MEMBER.where(STAFF.c.role == role, STAFF.c.removed_at.is_(None), STAFF.c.locked_at.is_(None))
    return [Member(*row) for row in connection.execute(there.order_by(STAFF.c.id).with_for_update())]


def put(connection: Connection, member: NewMember) -> int:
    """Add a staff member, or change the one with this mobile, removed or not; their id."""
    row = asdict(member)
    statement = upsert(connection, STAFF).values(**row)
    changes = {name: value for name, value in row.items() if name != "mobile"}
    changes |= {"removed_at": None, "failures": 0, "locked_at": None, "console_failures": 0}
    put_in = statement.on_conflict_do_update(index_elements=["mobile"], set_=changes).returning(STAFF.c.id)
    number: int = connection.execute(put_in).scalar_one()
    return number


def remove(connection: Connection, mobile: str, now: datetime) -> int | None:
    """End what a number may order; whose it was, or None where it might not."""
    there = update(STAFF).where(STAFF.c.mobile == mobile, STAFF.c.removed_at.is_(None))
    number: int | None = connection.execute(there.values(removed_at=now).returning(STAFF.c.id)).scalar_one_or_none()
    return number


def lock(connection: Connection, staff_id: int, now: datetime) -> None:
    """Take no order of a staff member's any more, until they are added again."""
    connection.execute(update(STAFF).where(STAFF.c.id == staff_id).values(locked_at=now))


def end_failures(connection: Connection, staff_id: int) -> None:
    """End the run of wrong confirmations."""
    connection.execute(update(STAFF).where(STAFF.c.id == staff_id, STAFF.c.failures > 0).values(failures=0))


def end_console_failures(connection: Connection, staff_id: int) -> None:
    """End the run of wrong codes at the console, wherever they came from."""
    failing = or_(STAFF.c.failures > 0, STAFF.c.console_failures > 0)
    connection.execute(update(STAFF).where(STAFF.c.id == staff_id, failing).values(failures=0, console_failures=0))
