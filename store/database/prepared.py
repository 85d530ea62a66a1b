"""The hot path's statements: their SQL is made once, and those that need no answer yet go together.

SQLAlchemy would make a statement's SQL and its types' conversions anew at every call, which for a text's few statements
is most of the work. On PostgreSQL each statement is a round trip besides; so what is only written waits within its
transaction until something is asked, and goes with it (https://www.psycopg.org/psycopg3/docs/advanced/pipeline.html).
The order stays as it was written.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.exc import DBAPIError

# The connection's execution option that holds what waits in its transaction: a list.
BATCH = "batch"


class PreparedStatement:
    """A statement whose SQL and types' conversions are made once for each dialect."""

    def __init__(self, statement: Any) -> None:
        """Take a statement whose parameters are all named or constant."""
        self.statement = statement
        self._forms: dict[str, _Form] = {}

    def __call__(self, connection: Connection, parameters: Mapping[str, Any]) -> Any:
        """Execute it, after whatever waits; the driver's cursor: its row count, and rows as the driver gives them."""
        asked = self.later(connection, parameters)
        flush(connection)
        return asked.cursor

    def later(
        self, connection: Connection, parameters: Mapping[str, Any], otherwise: type[Exception] | None = None
    ) -> "Batched":
        """Execute it at the latest when the transaction ends; `otherwise` is raised then where it is not one row.

        Outside of `Store.writing` it is executed at once.
        """
        form = self._form(connection.dialect)
        return _add(connection, Batched(form.sql, [form.bound(parameters)], otherwise))

    def many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute it once a row, at the latest when the transaction ends."""
        form = self._form(connection.dialect)
        _add(connection, Batched(form.sql, [form.bound(row) for row in rows]))

    def rows(self, connection: Connection, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Execute it; the rows come as the columns' types say."""
        form = self._form(connection.dialect)
        return [form.read(row) for row in self(connection, parameters).fetchall()]

    def _form(self, dialect: Dialect) -> "_Form":
        form = self._forms.get(dialect.name)
        if form is None:
            form = self._forms[dialect.name] = _Form(self.statement, dialect)
        return form


@dataclass(eq=False, slots=True)
class Batched:
    """A statement that waits, to be executed once for each of `bound`. `cursor` is the driver's, once it was."""

    sql: str
    bound: Sequence[Any]
    otherwise: type[Exception] | None = None
    is_prepared: bool = True
    cursor: Any = None

    def execute(self, driver: Any) -> None:
        """Execute it on the driver's connection."""
        self.cursor = driver.cursor()
        if len(self.bound) == 1:
            self.cursor.execute(self.sql, self.bound[0])
        else:
            self.cursor.executemany(self.sql, self.bound)

    def execute_by_psycopg(self, driver: Any) -> None:
        """The same, with psycopg's word for what need not be prepared: it has no more than its name."""
        self.cursor = driver.cursor()
        prepare = None if self.is_prepared else False
        for bound in self.bound:
            self.cursor.execute(self.sql, bound, prepare=prepare)

    def check(self) -> None:
        """Raise `otherwise` where it was not one row."""
        if self.otherwise is not None and self.cursor.rowcount != 1:
            raise self.otherwise

    @property
    def found_nothing(self) -> bool:
        """Whether it was executed, on no row, where its caller wants to hear of that."""
        return self.otherwise is not None and self.cursor is not None and self.cursor.rowcount == 0


def begin_with(connection: Connection, *statements: str) -> None:
    """Have statements without parameters, nor anything to prepare, go before all else of a transaction."""
    for sql in statements:
        _add(connection, Batched(sql, [None], is_prepared=False))


def flush(connection: Connection) -> None:
    """Execute what waits, in its order. Raises what the statements' callers have asked for, or the database's error."""
    batch: list[Batched] = connection.get_execution_options().get(BATCH, [])
    if batch:
        going = batch.copy()
        batch.clear()
        _execute(connection, going)


def forget(connection: Connection) -> None:
    """Drop what waits: its transaction is undone."""
    connection.get_execution_options().get(BATCH, []).clear()


def _add(connection: Connection, statement: Batched) -> Batched:
    batch: list[Batched] | None = connection.get_execution_options().get(BATCH)
    if batch is None:
        _execute(connection, [statement])
    else:
        batch.append(statement)
    return statement


def _execute(connection: Connection, going: Sequence[Batched]) -> None:
    driver: Any = connection.connection.dbapi_connection
    try:
        if connection.dialect.name == "postgresql":
            _pipeline(driver, going)
        else:
            for each in going:
                each.execute(driver)
                each.check()
    except connection.dialect.loaded_dbapi.Error as error:
        # One that found nothing may have failed the next: an order whose code was not written.
        for each in going:
            if each.found_nothing:
                each.check()
        raise translated(connection, "; ".join(each.sql for each in going), error) from error


def _pipeline(driver: Any, going: Sequence[Batched]) -> None:
    if len(going) == 1 and len(going[0].bound) == 1:
        going[0].execute_by_psycopg(driver)
    else:
        with driver.pipeline():
            for each in going:
                each.execute_by_psycopg(driver)
    for each in going:
        each.check()


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
