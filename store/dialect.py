"""Statements that both databases have, but SQLAlchemy spells apart."""

from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.dml import Insert


class InsertOrSkip(Insert):
    """INSERT … ON CONFLICT DO NOTHING: the row count says whether the row is new."""

    inherit_cache = True


@compiles(InsertOrSkip)
def _compile(statement: Any, compiler: Any, **options: Any) -> str:
    return f"{compiler.visit_insert(statement, **options)} ON CONFLICT DO NOTHING"


def insert_or_skip(into: Table) -> InsertOrSkip:
    """An INSERT that does nothing where the key is taken."""
    return InsertOrSkip(into).execution_options(preserve_rowcount=True)


def upsert(connection: Connection, into: Table) -> Any:
    """An INSERT that `.on_conflict_do_update` can be asked of, in the connection's dialect."""
    dialects = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
    return dialects[connection.dialect.name](into)
