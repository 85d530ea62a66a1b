"""Prepared statements: what waits is carried out in its order, in few round trips, or not at all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg.pq import Trace
from sqlalchemy import delete, literal, select, text
from sqlalchemy.exc import IntegrityError

from bot.ports import Inbound
from dialogs.vocabulary import CodePurpose
from store import codes, conversations
from store.codes import NewCode
from store.conversations import ConversationValues, StaleRead
from store.database.engine import Store
from store.database.prepared import PreparedStatement
from store.tables import AccountRow, CodeRow, ConversationRow, RequestedBy, StaffRow, table
from tests.support.parts import NOON
from tests.support.people import ZAHRA, bot_on, settle, settled

ACCOUNT, CODE, CONVERSATION, STAFF = table(AccountRow), table(CodeRow), table(ConversationRow), table(StaffRow)
PHONE = ZAHRA["mobile"]
VERSION = select(CONVERSATION.c.version).where(CONVERSATION.c.phone == PHONE)
READ = PreparedStatement(VERSION)
# libpq's messages after which it waits (https://www.postgresql.org/docs/current/protocol-message-formats.html).
WAITS = {"Query", "Sync"}
LATER = NOON + timedelta(minutes=5)


class Refused(Exception):
    """What a test asks for."""


def values(state: str = "idle") -> ConversationValues:
    return ConversationValues(state=state, last_text_at=NOON, window_started_at=NOON)


def a_code(code_id: str, account_id: int | None = None, staff_id: int | None = None) -> NewCode:
    purpose = CodePurpose.RECOVERY if account_id is not None else CodePurpose.STAFF_ORDER
    return NewCode(
        id=code_id,
        purpose=purpose,
        account_id=account_id,
        staff_id=staff_id,
        phone=PHONE,
        requested_by=RequestedBy.OWNER,
        key_id="k1",
        digest=bytes(32),
        tries_left=3,
        created_at=NOON,
        expires_at=LATER,
    )


def the_only_id(store: Store, column: object) -> int:
    with store.reading() as connection:
        found: int = connection.execute(select(column)).scalar_one()  # type: ignore[call-overload]
        return found


# What waits


@pytest.mark.parametrize(
    "read",
    [
        lambda connection: READ.rows(connection, {})[0][0],
        lambda connection: connection.execute(VERSION).scalar_one(),
        lambda connection: connection.exec_driver_sql("SELECT version FROM conversation").scalar_one(),
    ],
    ids=["prepared", "sqlalchemy", "driver"],
)
def test_whoever_asks_sees_what_was_written_before(store: Store, read: Callable[..., int]) -> None:
    with store.writing() as connection:
        conversations.move(connection, PHONE, None, values())
        assert read(connection) == 1
        conversations.move(connection, PHONE, 1, values())
        conversations.move(connection, PHONE, 2, values("awaiting_id"))
        assert read(connection) == 3


def test_what_nobody_asks_after_is_there_in_the_end(store: Store) -> None:
    with store.writing() as connection:
        conversations.move(connection, PHONE, None, values())
    assert the_only_id(store, CONVERSATION.c.version) == 1


def test_a_savepoint_that_is_undone_takes_with_it_what_was_written_in_it_and_no_more(store: Store) -> None:
    with store.writing() as connection:
        conversations.move(connection, PHONE, None, values())
        with connection.begin_nested() as nested:
            conversations.move(connection, PHONE, 1, values("awaiting_id"))
            nested.rollback()
    assert the_only_id(store, CONVERSATION.c.version) == 1


@pytest.mark.parametrize("how", ["an error", "a rollback", "a refusal"])
def test_what_is_undone_leaves_nothing(store: Store, how: str) -> None:
    with suppress(Refused), store.writing() as connection:
        conversations.move(connection, PHONE, None, values())
        if how == "an error":
            raise Refused
        if how == "a rollback":
            connection.rollback()
        else:
            PreparedStatement(delete(CODE)).later(connection, {}, Refused)
            READ.later(connection, {})
    with store.writing() as connection:  # nor does the connection bring it along to the next who has it
        assert connection.execute(VERSION).all() == []


def test_outside_of_a_transaction_nothing_waits(store: Store) -> None:
    with store.reading() as connection:
        asked = PreparedStatement(select(literal(7))).later(connection, {})
        assert asked.cursor.fetchone()[0] == 7


def test_the_first_refusal_is_told_whatever_else_it_made_fail(store: Store) -> None:
    settle(store, ZAHRA)
    zahra = the_only_id(store, ACCOUNT.c.id)
    with store.writing() as connection:
        codes.issue(connection, a_code("c1", account_id=zahra))

    def issue() -> None:
        with store.writing() as connection:
            codes.issue(connection, a_code("c2", account_id=zahra))  # there is one
            codes.issue(connection, a_code("c3", account_id=4711))  # there is no such account

    with pytest.raises(StaleRead):
        issue()
    with store.reading() as connection:
        assert connection.execute(select(CODE.c.id)).scalars().all() == ["c1"]


def test_a_failure_is_the_databases_own_where_nothing_was_refused(store: Store) -> None:
    def issue() -> None:
        with store.writing() as connection:
            conversations.move(connection, PHONE, None, values())
            codes.issue(connection, a_code("c1", account_id=4711))

    with pytest.raises(IntegrityError) as failed:
        issue()
    assert "INSERT INTO code" in str(failed.value)
    assert PHONE not in str(failed.value)
    with store.reading() as connection:
        assert connection.execute(VERSION).all() == []


# Round trips, over PostgreSQL


@contextmanager
def traced(store: Store, to: Path) -> Iterator[Callable[[], int]]:
    """How many round trips a store's one connection makes: how often it waits until the server is ready again."""
    with store.reading() as connection:
        driver: Any = connection.connection.dbapi_connection
    driver.prepare_threshold = None  # what is prepared, once, takes a round trip more
    libpq = driver.pgconn

    def trips() -> int:
        libpq.untrace()
        file.flush()
        messages = [line.split("\t") for line in to.read_text().splitlines()]
        return sum(message[0] == "F" and message[2] in WAITS for message in messages)

    with to.open("w") as file:
        libpq.trace(file.fileno())
        libpq.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)
        yield trips


def test_statements_that_are_prepared_stay_prepared(one_connection: Store) -> None:
    bot = settled(bot_on(one_connection))
    for number in range(100):
        bot.hear(Inbound("simulated", f"M{number}", f"+98930000{number:04d}", "رمز 0012345679"))
    with one_connection.reading() as connection:
        found = text("SELECT statement, generic_plans + custom_plans AS uses FROM pg_prepared_statements")
        uses = {row.statement: row.uses for row in connection.execute(found)}
    view = next(times for statement, times in uses.items() if "phone_has_live_code" in statement)
    assert view >= 90, "it is parsed once more for each text"  # psycopg prepares what comes a sixth time
    assert len(uses) >= 5


@pytest.mark.parametrize(
    ("words", "trips"),
    [
        # It is looked up; all is written; and committed.
        ("رمز 0012345679", 3),
        ("راهنما", 3),
        ("سلام علیکم", 3),
    ],
)
def test_a_text_takes_few_round_trips(one_connection: Store, tmp_path: Path, words: str, trips: int) -> None:
    bot = settled(bot_on(one_connection))
    bot.hear(Inbound("simulated", "M1", PHONE, "راهنما"))
    with traced(one_connection, tmp_path / "trace") as count:
        bot.hear(Inbound("simulated", "M2", PHONE, words))
        assert count() == trips


def test_a_code_that_comes_back_takes_few_round_trips(one_connection: Store, tmp_path: Path) -> None:
    bot = settled(bot_on(one_connection))
    bot.hear(Inbound("simulated", "M1", PHONE, "رمز 0012345679"))
    with traced(one_connection, tmp_path / "trace") as count:
        bot.hear(Inbound("simulated", "M2", PHONE, "100001"))
        assert count() == 7
    with one_connection.reading() as connection:
        assert connection.execute(select(CODE.c.close_reason)).scalar_one() == "used"
