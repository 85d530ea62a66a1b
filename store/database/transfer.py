"""All that one database holds, into another that holds nothing yet: from SQLite's file to PostgreSQL, say."""

from sqlalchemy import Connection, Table, delete, func, insert, select
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError

from store.database.engine import Store
from store.tables import METADATA, AuditHeadRow, SendShareRow, table

# Rows that are read and written at a time.
AT_A_TIME = 1_000
# The one row that the migrations write; and the leases, which end with the processes that hold them.
_MADE, _LEASES = table(AuditHeadRow), table(SendShareRow)


class NotEmpty(Exception):
    """The database that is to be filled holds something already: the table's name."""


class Unwritable(Exception):
    """A row that the other database does not take: the table's name, and the database's word for why."""


def transfer(source: Store, target: Store) -> dict[str, int]:
    """Copy every table but the leases; how many rows of each, by its name. All is copied, or nothing.

    Both have the newest schema. Nobody writes to SQLite meanwhile. NotEmpty or Unwritable where nothing was copied.
    """
    tables = [each for each in METADATA.sorted_tables if each is not _LEASES]
    with target.writing() as new:
        for each in tables:
            if each is not _MADE and new.execute(select(each).limit(1)).first() is not None:
                raise NotEmpty(each.name)
        new.execute(delete(_MADE))
        with source.writing() as old:
            return {each.name: _copy(old, new, each) for each in tables}


def _copy(old: Connection, new: Connection, rows_of: Table) -> int:
    copied = 0
    try:
        with old.execution_options(yield_per=AT_A_TIME).execute(select(rows_of)) as found:
            for rows in found.mappings().partitions():
                new.execute(insert(rows_of), [dict(row) for row in rows])
                copied += len(rows)
    except (StatementError, ValueError) as error:
        if isinstance(error, DBAPIError) and not isinstance(error, DataError | IntegrityError):
            raise  # it is the database that fails, not a row
        raise Unwritable(rows_of.name, type(getattr(error, "orig", None) or error).__name__) from error
    _count_on(new, rows_of)
    return copied


def _count_on(new: Connection, rows_of: Table) -> None:
    """Have PostgreSQL give out the ids that follow the highest. SQLite does by itself."""
    numbered = rows_of.autoincrement_column
    if numbered is None or new.dialect.name != "postgresql":
        return
    highest = select(func.max(numbered)).scalar_subquery()
    sequence = func.pg_get_serial_sequence(rows_of.name, numbered.name)
    if new.execute(select(sequence)).scalar() is not None:
        new.execute(select(func.setval(sequence, func.coalesce(highest, 1), highest.is_not(None))))
