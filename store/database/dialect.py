"""Statements that both databases have, but SQLAlchemy spells apart."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Connection, Dialect, Double, Select, Table, bindparam, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
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


class PreparedStatement:
    """A statement of the hot path: its SQL and its types' conversions are made once for each dialect.

    SQLAlchemy would look both up at every call, which for a text's few statements is most of the work.
    """

    def __init__(self, statement: Any) -> None:
        """Take a statement whose parameters are all named or constant."""
        self.statement = statement
        self._forms: dict[str, _Form] = {}

    def __call__(self, connection: Connection, parameters: Mapping[str, Any]) -> Any:
        """Execute it; the driver's cursor, with its row count, and rows as the driver gives them."""
        form = self._form(connection.dialect)
        try:
            return connection.connection.cursor().execute(form.sql, form.bound(parameters))
        except connection.dialect.loaded_dbapi.Error as error:
            raise translated(connection, form.sql, error) from error

    def many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute it once a row, in one call to the driver."""
        form = self._form(connection.dialect)
        try:
            connection.connection.cursor().executemany(form.sql, [form.bound(row) for row in rows])
        except connection.dialect.loaded_dbapi.Error as error:
            raise translated(connection, form.sql, error) from error

    def rows(self, connection: Connection, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Execute it; the rows come as the columns' types say."""
        form = self._form(connection.dialect)
        return [form.read(row) for row in self(connection, parameters).fetchall()]

    def _form(self, dialect: Dialect) -> "_Form":
        form = self._forms.get(dialect.name)
        if form is None:
            form = self._forms[dialect.name] = _Form(self.statement, dialect)
        return form


def translated(connection: Connection, sql: str, error: Any) -> BaseException:
    """The driver's error as SQLAlchemy's, so that nobody need know which driver it was."""
    dialect = connection.dialect
    cut_off = dialect.is_disconnect(error, connection.connection.dbapi_connection, None)
    found: BaseException = DBAPIError.instance(
        sql, None, error, dialect.loaded_dbapi.Error, hide_parameters=True, connection_invalidated=cut_off
    )
    if cut_off:
        connection.invalidate(error)
        connection.engine.dispose()  # pooled connections have most likely been cut with it
    return found


class _Form:
    def __init__(self, statement: Any, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        types = {name: bind.type.dialect_impl(dialect) for bind, name in compiled.bind_names.items()}
        names = compiled.positiontup or list(types)
        self.sql: str = compiled.string
        self.positional = bool(compiled.positiontup)
        self.constants = {name: value for name, value in compiled.params.items() if value is not None}
        self.writers = [(name, types[name].bind_processor(dialect)) for name in names]
        columns = getattr(statement, "exported_columns", ())
        self.readers = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]

    def bound(self, parameters: Mapping[str, Any]) -> Any:
        known = {**self.constants, **parameters}
        if self.positional:
            return tuple([write(known[name]) if write else known[name] for name, write in self.writers])
        return {name: write(known[name]) if write else known[name] for name, write in self.writers}

    def read(self, row: Iterable[Any]) -> tuple[Any, ...]:
        return tuple([read(value) if read else value for read, value in zip(self.readers, row, strict=True)])


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
