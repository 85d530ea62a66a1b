"""What the tables have in common: how their keys and indexes are named, and the fields that many have.

Times are aware UTC. SQLModel's tables don't validate, so what is written is checked at the edges.
"""

from typing import Any

from sqlalchemy import Column, LargeBinary, Table, text
from sqlmodel import Field, SQLModel

from store.database.times import Utc

METADATA = SQLModel.metadata
METADATA.naming_convention = {
    "ix": "%(table_name)s_%(column_0_name)s",
    "uq": "%(table_name)s_%(column_0_name)s_unique",
    "ck": "%(constraint_name)s",
    "fk": "%(table_name)s_%(column_0_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}

# Every index is a page more to write for every text, so there are few; and SQLite keeps a table with a key of
# its own in one tree, not two.
CLUSTERED: dict[str, Any] = {"sqlite_with_rowid": False}


def moment(**options: Any) -> Any:
    """A field that holds an aware UTC time."""
    return Field(sa_type=Utc, **options)


def hashed() -> Any:
    """A field that holds a hash of 32 bytes."""
    return Field(sa_column=Column(LargeBinary(32), nullable=False))


def only(condition: str) -> dict[str, Any]:
    """An index over some of the rows."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


def table(model: type[SQLModel]) -> Table:
    """The table behind a model, for statements that are built once."""
    found: Table = model.__table__  # type: ignore[attr-defined]
    return found
