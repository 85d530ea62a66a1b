"""When the Umrah operation is on: two days, both within it, or none set."""

from datetime import date

from sqlalchemy import Connection, delete, select

from store.database.dialect import upsert
from store.tables import SeasonRow, table

SEASON = table(SeasonRow)


def find(connection: Connection) -> tuple[date, date] | None:
    """The season's first and last day, if one is set."""
    row = connection.execute(select(SEASON.c.opens, SEASON.c.closes)).one_or_none()
    return (row.opens, row.closes) if row else None


def put(connection: Connection, opens: date, closes: date) -> None:
    """Set the season, in place of any other."""
    days = {"opens": opens, "closes": closes}
    statement = upsert(connection, SEASON).values(id=1, **days)
    connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=days))


def clear(connection: Connection) -> None:
    """Set none: the bot is always open."""
    connection.execute(delete(SEASON))
