"""Statements that both databases have, but SQLAlchemy spells apart."""

from typing import Any

from sqlalchemy import BigInteger, Connection, Double, Select, Table, bindparam, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.functions import FunctionElement


class InsertOrSkip(Insert):
    """INSERT … ON CONFLICT DO NOTHING: the row count says whether the row is new."""

    inherit_cache = True


@compiles(InsertOrSkip)
def _compile(statement: Any, compiler: Any, **options: Any) -> str:
    return f"{compiler.visit_insert(statement, **options)} ON CONFLICT DO NOTHING"


def insert_or_skip(into: Table) -> InsertOrSkip:
    """An INSERT of whole rows that does nothing where the key is taken."""
    return InsertOrSkip(into).values(named(into))


def named(into: Table, *without: str) -> dict[str, Any]:
    """Every column of a table, as the parameter of its name."""
    return {name: bindparam(name, type_=into.c[name].type) for name in into.columns.keys() if name not in without}


class Epoch(FunctionElement[float]):
    """A time as seconds since 1970, right to a tenth of a millisecond."""

    type = Double()
    inherit_cache = True


@compiles(Epoch, "sqlite")
def _of_a_julian_day(element: Any, compiler: Any, **options: Any) -> str:
    return f"((JULIANDAY({compiler.process(element.clauses, **options)}) - 2440587.5) * 86400.0)"


@compiles(Epoch, "postgresql")
def _epoch(element: Any, compiler: Any, **options: Any) -> str:
    return f"CAST(EXTRACT(EPOCH FROM {compiler.process(element.clauses, **options)}) AS DOUBLE PRECISION)"


class Least(FunctionElement[int]):
    """The smallest of several numbers, none of which is null."""

    type = BigInteger()
    inherit_cache = True


@compiles(Least, "sqlite")
def _min(element: Any, compiler: Any, **options: Any) -> str:
    return f"MIN({compiler.process(element.clauses, **options)})"


@compiles(Least, "postgresql")
def _least(element: Any, compiler: Any, **options: Any) -> str:
    return f"LEAST({compiler.process(element.clauses, **options)})"


def not_held(limited: Select[Any]) -> Select[Any]:
    """Of a query with a limit, the rows that no other transaction holds, locked: for `key IN` of an UPDATE.

    A common table expression that locks is carried out once. A subquery PostgreSQL may carry out anew for each row that
    it looks at, so that more than the limit are taken.
    """
    return select(limited.with_for_update(skip_locked=True).cte("not_held"))


def upsert(connection: Connection, into: Table) -> Any:
    """An INSERT that `.on_conflict_do_update` can be asked of, in the connection's dialect."""
    dialects = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
    return dialects[connection.dialect.name](into)


def one_at_a_time(connection: Connection, lock: int) -> None:
    """Wait until no other transaction holds this lock, and hold it to the end of one's own.

    On SQLite there is nothing to do: only one transaction writes at a time.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})
