"""What the store promises: its schema, its times, its locks, and that no hot statement reads a whole table."""

import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from hypothesis import HealthCheck, example, given
from hypothesis import settings as how
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, event, insert, inspect, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, StatementError

from bot.build import Bot, build
from bot.ports import Inbound
from dialogs.vocabulary import CodePurpose
from store import accounts, codes, conversations, inbound_messages, outbound_messages
from store.codes import NewCode
from store.conversations import ConversationValues, StaleRead
from store.database import migrate
from store.database.engine import BUSY_TIMEOUT, Store, is_out_of_reach, was_cut_off
from store.outbound_messages import NewMessage
from store.service import heartbeats, seasons
from store.tables import (
    FINAL,
    METADATA,
    AccountRow,
    CloseReason,
    CodeRow,
    ConversationRow,
    DeliveryStatus,
    MessageKind,
    OutboundMessageRow,
    RequestedBy,
    table,
)
from tests.support.parts import NOON, PATIENCE_SECONDS, Carrier, LoadedRandomSource, StoppedClock, settings
from tests.support.people import OMID, STRANGER, ZAHRA, settle, settled
from tests.support.places import ROOT

ACCOUNT, CODE, CONVERSATION, MESSAGE = (
    table(AccountRow),
    table(CodeRow),
    table(ConversationRow),
    table(OutboundMessageRow),
)
LEASE = timedelta(seconds=15)


def id_of(store: Store, person: dict[str, Any]) -> int:
    with store.reading() as connection:
        found: int = connection.execute(
            select(ACCOUNT.c.id).where(ACCOUNT.c.national_id == person["national_id"])
        ).scalar_one()
        return found


def a_code(account_id: int, code_id: str = "c1", phone: str = ZAHRA["mobile"], **changes: Any) -> NewCode:
    code = NewCode(
        id=code_id,
        purpose=CodePurpose.RECOVERY,
        account_id=account_id,
        staff_id=None,
        phone=phone,
        requested_by=RequestedBy.OWNER,
        key_id="k1",
        digest=bytes(32),
        tries_left=5,
        created_at=NOON,
        expires_at=NOON + timedelta(minutes=10),
    )
    return replace(code, **changes)


def a_text(kind: MessageKind = MessageKind.REPLY, **changes: Any) -> NewMessage:
    text = NewMessage(
        kind=int(kind),
        phone=ZAHRA["mobile"],
        language="fa",
        phrase="help",
        parameters={},
        secret=None,
        code_id=None,
        account_id=None,
        inbound_gateway="simulated",
        request_received_at=NOON,
        expires_at=NOON + timedelta(minutes=10),
    )
    return replace(text, **changes)


def values(state: str = "idle", **changes: Any) -> ConversationValues:
    return ConversationValues(state, last_text_at=NOON, window_started_at=NOON, **changes)


def queue(store: Store, *rows: NewMessage, lease: timedelta | None = None, now: datetime = NOON) -> list[int]:
    with store.writing() as connection:
        return [it.id for it in outbound_messages.queue(connection, rows, now, lease)]


# The schema


def test_the_migrations_make_just_what_the_tables_say(store: Store) -> None:
    with store.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, METADATA) == []


def test_every_migration_can_be_undone_and_done_again(store: Store) -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.FOLDER))
    config.set_main_option("path_separator", "os")
    with store.writing() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    with store.reading() as connection:
        assert set(inspect(connection).get_table_names()) == {"alembic_version"}
    assert not migrate.is_current(store)
    migrate.upgrade(store)
    assert migrate.is_current(store)
    with store.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_what_grows_is_cleaned_early(one_connection: Store) -> None:
    cleaned = text("SELECT relname FROM pg_class WHERE 'autovacuum_vacuum_scale_factor=0.01' = ANY (reloptions)")
    with one_connection.reading() as connection:
        found = set(connection.execute(cleaned).scalars())
    assert found == {"outbound_message", "inbound_message", "code", "audit"}


def test_user_names_that_were_there_are_compared_as_new_ones_are(store: Store) -> None:
    names = ("Zahra", "علي\u200cرضا", "ＯＭＩＤ ۱۲", "Jose\u0301", "ﷺ" * 80)
    settle(store, *({**ZAHRA, "national_id": f"{n:010d}", "username": name} for n, name in enumerate(names)))
    config = Config()
    config.set_main_option("script_location", str(migrate.FOLDER))
    config.set_main_option("path_separator", "os")
    with store.writing() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0008")
    migrate.upgrade(store)
    account = table(AccountRow)
    with store.reading() as connection:
        found = {row.username: row.username_key for row in connection.execute(select(account))}
    assert found == {name: accounts.username_key(name) for name in names}
    assert "" not in found.values()


def test_a_host_waits_while_another_migrates(store: Store) -> None:
    """Or else two that start at once would make the same table."""
    other = Store(store.url.render_as_string(hide_password=False))
    with store.writing() as connection:
        if not store.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": migrate.ADVISORY_LOCK})
        second = Thread(target=migrate.upgrade, args=(other,))
        second.start()
        second.join(0.5)
        assert second.is_alive()
    second.join(PATIENCE_SECONDS)
    other.close()
    assert not second.is_alive()


def test_a_database_without_tables_is_not_current(tmp_path: Any) -> None:
    store = Store(f"sqlite:///{tmp_path}/new.db")
    assert not migrate.is_current(store)
    store.close()


# Times


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 9, 1, 9, 0, tzinfo=UTC),
        datetime(2026, 9, 1, 9, 0, 0, 123456, tzinfo=UTC),
        datetime(2026, 9, 1, 12, 30, tzinfo=timezone(timedelta(hours=3, minutes=30))),
        datetime(2026, 12, 31, 23, 59, 59, 999999, tzinfo=timezone(timedelta(hours=-11))),
    ],
)
def test_a_time_comes_back_as_the_same_moment_in_utc(store: Store, moment: datetime) -> None:
    with store.writing() as connection:
        heartbeats.beat(connection, "test", moment)
    with store.reading() as connection:
        found = heartbeats.last(connection)["test"]
    assert found == moment
    assert found.utcoffset() == timedelta(0)


@given(moment=st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.timezones()))
@how(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
def test_any_time_of_any_zone_comes_back(sqlite_url: str, moment: datetime) -> None:
    store = Store(sqlite_url)
    with store.writing() as connection:
        heartbeats.beat(connection, "test", moment)
        assert heartbeats.last(connection)["test"] == moment.astimezone(UTC)
    store.close()


def test_a_time_without_a_zone_is_refused(store: Store) -> None:
    with pytest.raises(StatementError, match="without a zone"), store.writing() as connection:
        heartbeats.beat(connection, "test", datetime(2026, 9, 1, 9, 0))
    settle(store, ZAHRA)
    row = a_code(id_of(store, ZAHRA), created_at=datetime(2026, 9, 1, 9, 0))
    with pytest.raises((StatementError, ValueError)), store.writing() as connection:
        codes.issue(connection, row)
    with store.reading() as connection:
        assert connection.execute(select(CODE)).all() == []


def test_times_are_compared_as_moments_not_as_they_are_written(store: Store) -> None:
    queue(store, a_text(expires_at=NOON + timedelta(seconds=1)))
    tehran = timezone(timedelta(hours=3, minutes=30))
    with store.reading() as connection:
        assert outbound_messages.is_due(connection, NOON.astimezone(tehran))
        assert not outbound_messages.is_due(connection, (NOON + timedelta(seconds=1)).astimezone(tehran))
        assert not outbound_messages.is_due(connection, (NOON - timedelta(seconds=1)).astimezone(tehran))


# Transactions


class Stumble(Exception):
    pass


def test_a_transaction_that_stumbles_leaves_no_trace(store: Store) -> None:
    def work() -> None:
        with store.writing() as connection:
            heartbeats.beat(connection, "test", NOON)
            raise Stumble

    with pytest.raises(Stumble):
        work()
    with store.reading() as connection:
        assert heartbeats.last(connection) == {}


def test_writers_never_fail_because_they_read_first(store: Store) -> None:
    """A deferred transaction of SQLite that reads, then writes after another wrote, fails whatever its patience."""
    settle(store, ZAHRA)
    errors: list[BaseException] = []
    start = Barrier(4)
    others = [Store(store.url.render_as_string(hide_password=False)) for _ in range(2)]  # as other processes would be

    def count_up(through: Store) -> None:
        start.wait()
        try:
            for _ in range(40):
                with through.writing() as connection:
                    seen = connection.execute(select(ACCOUNT.c.failures).with_for_update()).scalar_one()
                    connection.execute(update(ACCOUNT).values(failures=seen + 1))
        except DBAPIError as error:
            errors.append(error)

    threads = [Thread(target=count_up, args=(through,)) for through in (store, store, *others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for other in others:
        other.close()
    assert errors == []
    with store.reading() as connection:
        assert connection.execute(select(ACCOUNT.c.failures)).scalar_one() == 4 * 40


def test_a_writer_holds_its_lock_from_the_start_and_hinders_no_reader(sqlite_url: str) -> None:
    store, other = Store(sqlite_url), Store(sqlite_url)
    with store.writing(), other.reading() as connection:
        assert connection.execute(select(ACCOUNT)).all() == []
        connection.exec_driver_sql("PRAGMA busy_timeout = 0")
        with pytest.raises(OperationalError, match="locked"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
    store.close()
    other.close()


def test_sqlite_is_set_up_to_be_safe(sqlite_url: str) -> None:
    store = Store(sqlite_url)
    with store.reading() as connection:
        asked = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "foreign_keys", "secure_delete", "busy_timeout")
        }
    store.close()
    assert asked["journal_mode"] == "wal"
    assert (asked["foreign_keys"], asked["secure_delete"]) == (1, 1)
    assert asked["busy_timeout"] >= 1000


def test_a_read_is_no_transaction_and_a_write_is_one(one_connection: Store) -> None:
    alone = text("SELECT now() = statement_timestamp(), pg_current_xact_id_if_assigned() IS NULL")
    with one_connection.reading() as connection:
        connection.execute(text("SELECT pg_sleep(0.01)"))
        assert connection.execute(alone).one() == (True, True)
    with one_connection.writing() as connection:
        connection.execute(text("SELECT pg_sleep(0.01)"))
        assert connection.execute(text("SELECT now() < statement_timestamp()")).scalar_one()


def test_what_must_fit_together_sees_one_moment(store: Store) -> None:
    beats = text("SELECT count(*) FROM heartbeat")
    with store.still() as connection:
        before = connection.execute(beats).scalar_one()
        with store.writing() as other:
            heartbeats.beat(other, "another", NOON)
        assert connection.execute(beats).scalar_one() == before == 0
    with store.reading() as connection:
        assert connection.execute(beats).scalar_one() == 1


def test_a_connection_that_was_cut_is_known_for_that_and_replaced(one_connection: Store) -> None:
    with one_connection.reading() as connection:
        number = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    other = Store(one_connection.url.render_as_string(hide_password=False))
    with other.reading() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:number, 5000)"), {"number": number})
    with pytest.raises(OperationalError) as cut, one_connection.writing():
        pass
    assert was_cut_off(cut.value) and is_out_of_reach(cut.value)
    with one_connection.writing() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    other.close()


@pytest.mark.parametrize("asked", ["SELECT nothing FROM account", "SELECT 1 FROM nowhere", "SELEC 1"])
def test_what_is_asked_wrongly_is_no_outage(store: Store, asked: str) -> None:
    with pytest.raises(DBAPIError) as wrong, store.reading() as connection:
        connection.execute(text(asked))
    assert not is_out_of_reach(wrong.value)


def test_a_database_that_is_gone_or_busy_is_out_of_reach(tmp_path: Path, sqlite_url: str) -> None:
    (tmp_path / "folder").mkdir()
    for url in (f"sqlite:///{tmp_path / 'folder'}", "postgresql+psycopg://nobody@127.0.0.1:1/none"):
        with pytest.raises(DBAPIError) as gone, Store(url).reading() as connection:
            connection.execute(text("SELECT 1"))
        assert is_out_of_reach(gone.value)
    (tmp_path / "no.db").write_text("this is none" * 99)
    with pytest.raises(DBAPIError) as broken, Store(f"sqlite:///{tmp_path / 'no.db'}").reading() as connection:
        connection.execute(text("SELECT 1 FROM account"))
    assert is_out_of_reach(broken.value)


@pytest.mark.process
def test_whoever_waits_for_threads_and_then_for_processes_waits_no_longer_than_once(sqlite_url: str) -> None:
    """Another process holds the lock; one thread waits for that, and another for the first one, and then for it too."""
    store, waited = Store(sqlite_url), list[float]()

    def write() -> None:
        began = time.monotonic()
        with pytest.raises(OperationalError), store.writing():
            pass
        waited.append(time.monotonic() - began)

    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        threads = [Thread(target=write) for _ in range(3)]
        for thread in threads:
            thread.start()
            time.sleep(0.3)
        for thread in threads:
            thread.join()
    store.close()
    assert max(waited) < BUSY_TIMEOUT + 1


def test_a_database_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "made" / "ramz.db"
    store = Store(f"sqlite:///{path}")
    migrate.upgrade(store)
    assert {file.name: file.stat().st_mode & 0o777 for file in (path.parent, *path.parent.iterdir())} == {
        "made": 0o700,
        "ramz.db": 0o600,
        "ramz.db-wal": 0o600,
        "ramz.db-shm": 0o600,
    }
    store.close()


@pytest.mark.parametrize(("chosen", "level"), [("normal", 1), ("full", 2)])
def test_a_commit_waits_for_the_disk_where_that_is_chosen(sqlite_url: str, chosen: str, level: int) -> None:
    bot = build(settings(DATABASE_URL=sqlite_url, SQLITE_SYNCHRONOUS=chosen), gateways=[Carrier()])
    with bot.store.writing() as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar_one() == level
    bot.store.close()


class TestCheckpoints:
    SECRET = "saffron and copper pots " * 40

    def log_of(self, store: Store) -> Path:
        return Path(f"{store.url.database}-wal")

    def write(self, store: Store, number: int = 1) -> None:
        for _ in range(number):
            with store.writing() as connection:
                outbound_messages.queue(connection, [a_text(parameters={"a": self.SECRET})], NOON, None)

    def test_no_commit_moves_the_log_into_the_database(self, sqlite_url: str) -> None:
        store = Store(sqlite_url)
        before = Path(store.url.database or "").read_bytes()
        self.write(store, 400)
        assert self.log_of(store).stat().st_size > 1_000 * 4_096, "more than SQLite's own thousand pages"
        assert Path(store.url.database or "").read_bytes() == before
        store.checkpoint()
        assert Path(store.url.database or "").read_bytes() != before
        store.close()

    def test_the_log_does_not_grow_while_it_is_checkpointed(self, sqlite_url: str) -> None:
        store, sizes = Store(sqlite_url), []
        for _ in range(6):
            self.write(store, 60)
            sizes.append(store.checkpoint())
        assert max(sizes) < 2 * sizes[0]
        store.close()

    def test_once_nothing_is_written_the_log_is_cut_to_nothing(self, sqlite_url: str) -> None:
        store = Store(sqlite_url)
        self.write(store)
        with store.writing() as connection:
            connection.execute(MESSAGE.delete())
        assert b"saffron" in self.log_of(store).read_bytes(), "erased, and still to be read"
        assert store.checkpoint() > 0
        assert store.checkpoint() == 0
        for file in (Path(store.url.database or ""), self.log_of(store)):
            assert b"saffron" not in file.read_bytes()
        store.close()

    def test_it_waits_for_nobody_and_keeps_nobody_waiting(self, sqlite_url: str) -> None:
        store = Store(sqlite_url)
        self.write(store)
        with store.writing():
            began = time.monotonic()
            store.checkpoint()
            store.checkpoint()
            assert time.monotonic() - began < 1
        store.close()

    def test_there_is_nothing_to_do_elsewhere(self, postgresql_url: str) -> None:
        store = Store(postgresql_url)
        assert store.checkpoint() == Store("sqlite://").checkpoint() == 0
        store.close()


def test_a_code_belongs_to_an_account(store: Store) -> None:
    with pytest.raises((IntegrityError, StaleRead)), store.writing() as connection:
        codes.issue(connection, a_code(4711))


# Codes


def test_an_account_has_one_live_code(store: Store) -> None:
    settle(store, ZAHRA, OMID)
    zahra, omid = id_of(store, ZAHRA), id_of(store, OMID)
    with store.writing() as connection:
        codes.issue(connection, a_code(zahra))
        codes.issue(connection, a_code(omid, "c2", OMID["mobile"]))
    with pytest.raises(StaleRead), store.writing() as connection:
        codes.issue(connection, a_code(zahra, "c3"))
    with store.writing() as connection:
        assert codes.close(connection, "c1", CloseReason.VOIDED, NOON)
        codes.issue(connection, a_code(zahra, "c3"))


def test_a_code_is_closed_once_by_whoever_comes_first(store: Store) -> None:
    settle(store, ZAHRA)
    with store.writing() as connection:
        codes.issue(connection, a_code(id_of(store, ZAHRA)))
    wins: list[bool] = []
    start = Barrier(8)

    def close() -> None:
        start.wait()
        with store.writing() as connection:
            wins.append(codes.close(connection, "c1", CloseReason.USED, NOON))

    threads = [Thread(target=close) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(wins) == [False] * 7 + [True]


def test_a_try_is_spent_until_none_is_left(store: Store) -> None:
    settle(store, ZAHRA)
    with store.writing() as connection:
        codes.issue(connection, a_code(id_of(store, ZAHRA), tries_left=2))
    left = []
    for _ in range(4):
        with store.writing() as connection:
            left.append([code.tries_left for code in codes.spend_at(connection, ZAHRA["mobile"], NOON)])
    assert left == [[1], [0], [], []]


@pytest.mark.parametrize(
    ("seconds", "phone", "account"),
    [
        (600, ZAHRA["mobile"], {}),
        (0, STRANGER, {}),
        (0, ZAHRA["mobile"], {"active": False}),
        (0, ZAHRA["mobile"], {"locked_at": NOON}),
        (0, ZAHRA["mobile"], {"mobile": "+989120000000"}),
    ],
    ids=["too late", "another phone", "inactive", "locked", "no longer the registered mobile"],
)
def test_no_try_is_spent_where_the_code_is_not_good(
    store: Store, seconds: int, phone: str, account: dict[str, Any]
) -> None:
    settle(store, ZAHRA)
    with store.writing() as connection:
        codes.issue(connection, a_code(id_of(store, ZAHRA)))
        assert codes.spend_at(connection, ZAHRA["mobile"], NOON + timedelta(seconds=599))
        if account:
            connection.execute(update(ACCOUNT).values(account))
        assert codes.spend_at(connection, phone, NOON + timedelta(seconds=seconds)) == []


def test_a_closed_code_takes_its_unsent_text_with_it(store: Store) -> None:
    settle(store, ZAHRA)
    with store.writing() as connection:
        codes.issue(connection, a_code(id_of(store, ZAHRA)))
    queue(store, a_text(MessageKind.CODE, secret=b"sealed", code_id="c1"), a_text())
    with store.writing() as connection:
        codes.close(connection, "c1", CloseReason.VOIDED, NOON)
    with store.reading() as connection:
        rows = connection.execute(select(MESSAGE.c.status, MESSAGE.c.secret).order_by(MESSAGE.c.id)).all()
    assert [tuple(row) for row in rows] == [(DeliveryStatus.DROPPED, None), (DeliveryStatus.QUEUED, None)]


# The outbox


@pytest.mark.parametrize("status", [status for status in DeliveryStatus if status is not DeliveryStatus.QUEUED])
def test_a_text_that_has_left_can_hold_no_secret(store: Store, status: DeliveryStatus) -> None:
    queue(store, a_text(MessageKind.CODE, secret=b"sealed"))
    with pytest.raises(IntegrityError), store.writing() as connection:
        connection.execute(update(MESSAGE).values(status=int(status)))
    with store.writing() as connection:
        connection.execute(update(MESSAGE).values(status=int(status), secret=None))


def test_codes_are_claimed_before_passwords_and_replies_and_notices(store: Store) -> None:
    kinds = [
        MessageKind.NOTICE,
        MessageKind.REPLY,
        MessageKind.CODE,
        MessageKind.PASSWORD,
        MessageKind.NOTICE,
        MessageKind.CODE,
    ]
    random.Random(1).shuffle(kinds)
    queue(store, *(a_text(kind) for kind in kinds))
    claimed: list[int] = []
    for _ in range(3):
        with store.writing() as connection:
            claimed += [text.kind for text in outbound_messages.claim(connection, NOON, 2, LEASE)]
    assert claimed == sorted(claimed)
    assert len(claimed) == 6


def test_no_more_are_claimed_than_asked_for_by_whatever_plan(postgresql_url: str) -> None:
    """The plan follows the statistics: there is one by which PostgreSQL looks for what is due once for every text."""
    with closing(Store(postgresql_url)) as store:
        queue(store, *[a_text() for _ in range(5)])
        with store.writing() as connection:
            for way in ("hashagg", "hashjoin", "material", "sort"):
                connection.execute(text(f"SET LOCAL enable_{way} = off"))
            assert len(outbound_messages.claim(connection, NOON, 2, LEASE)) == 2


def test_what_others_hold_is_skipped_in_one_place_but_for_what_has_no_limit_to_keep() -> None:
    """An UPDATE with a subquery of its own may take more rows than the subquery's limit."""
    places = {path.name for path in (ROOT / "store").rglob("*.py") if "skip_locked" in path.read_text("utf-8")}
    assert places == {"dialect.py", "expiry.py", "mobile_changes.py"}


def test_a_claimed_text_is_nobody_elses_until_its_lease_ends(store: Store) -> None:
    (number,) = queue(store, a_text())
    with store.writing() as connection:
        (first,) = outbound_messages.claim(connection, NOON, 8, LEASE)
        assert outbound_messages.claim(connection, NOON, 8, LEASE) == []
        assert outbound_messages.claim(connection, NOON + LEASE - timedelta(seconds=1), 8, LEASE) == []
        (again,) = outbound_messages.claim(connection, NOON + LEASE, 8, LEASE)
    assert (first.id, first.attempts, again.attempts) == (number, 1, 2)


def test_a_text_claimed_as_it_is_written_is_found_by_others_when_its_lease_ends(store: Store) -> None:
    queue(store, a_text(), lease=LEASE)
    with store.writing() as connection:
        assert outbound_messages.claim(connection, NOON, 8, LEASE) == []
        assert len(outbound_messages.claim(connection, NOON + LEASE, 8, LEASE)) == 1


def test_many_who_claim_at_once_share_no_text(store: Store) -> None:
    numbers = queue(store, *(a_text() for _ in range(30)))
    taken: list[int] = []
    start = Barrier(6)

    def claim() -> None:
        start.wait()
        while True:
            with store.writing() as connection:
                mine = outbound_messages.claim(connection, NOON, 3, LEASE)
            if not mine:
                return
            taken.extend(text.id for text in mine)

    threads = [Thread(target=claim) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(numbers)


def test_a_text_out_of_time_is_not_claimed_but_dropped(store: Store) -> None:
    queue(store, a_text(MessageKind.CODE, secret=b"sealed", expires_at=NOON + timedelta(seconds=5)))
    late = NOON + timedelta(seconds=5)
    with store.writing() as connection:
        assert outbound_messages.claim(connection, late, 8, LEASE) == []
        assert outbound_messages.drop_expired(connection, late) == 1
        assert outbound_messages.drop_expired(connection, late) == 0
        row = connection.execute(select(MESSAGE)).one()
    assert (row.status, row.secret, row.error) == (DeliveryStatus.DROPPED, None, "expired")


# Conversations, inbox, season


def test_a_conversation_that_moved_meanwhile_is_not_overwritten(store: Store) -> None:
    phone = ZAHRA["mobile"]
    with store.writing() as connection:
        conversations.move(connection, phone, None, values())
    with pytest.raises(StaleRead), store.writing() as connection:
        conversations.move(connection, phone, None, values("awaiting_id"))
    with store.writing() as connection:
        conversations.move(connection, phone, 1, values("awaiting_code"))
    with pytest.raises(StaleRead), store.writing() as connection:
        conversations.move(connection, phone, 1, values("awaiting_id"))
    with store.reading() as connection:
        row = connection.execute(select(CONVERSATION)).one()
    assert (row.state, row.version) == ("awaiting_code", 2)


def test_a_sweep_counts_as_a_move(store: Store) -> None:
    phone = ZAHRA["mobile"]
    with store.writing() as connection:
        conversations.move(connection, phone, None, values("awaiting_id", ends_at=NOON))
        assert conversations.end_overdue(connection, NOON, "idle") == 1
        assert conversations.end_overdue(connection, NOON, "idle") == 0
    with pytest.raises(StaleRead), store.writing() as connection:
        conversations.move(connection, phone, 1, values())


def test_a_text_is_remembered_once(store: Store) -> None:
    def remember(gateway: str, otherwise: type[Exception] | None = None) -> None:
        with store.writing() as connection:
            inbound_messages.remember(connection, gateway, "SM1", "help", NOON, answered=True, otherwise=otherwise)

    remember("twilio", KeyError)
    with pytest.raises(KeyError):
        remember("twilio", KeyError)
    remember("twilio")
    remember("simulated", KeyError)
    with store.reading() as connection:
        heard = connection.execute(select(inbound_messages.INBOUND.c.gateway)).scalars()
        assert sorted(heard) == ["simulated", "twilio"]


def test_there_is_one_season_at_most(store: Store) -> None:
    first, last = NOON.date(), (NOON + timedelta(days=9)).date()
    with store.writing() as connection:
        assert seasons.find(connection) is None
        seasons.put(connection, first, last)
        seasons.put(connection, last, last)
        assert seasons.find(connection) == (last, last)
        seasons.clear(connection)
        assert seasons.find(connection) is None


# Plans


@contextmanager
def overheard(url: str) -> Iterator[tuple[Store, list[str]]]:
    """A store, and every statement that SQLite executes for it meanwhile, with its values written in."""
    heard: list[str] = []
    store = Store(url)
    event.listen(store.engine, "connect", lambda connection, _record: connection.set_trace_callback(heard.append))
    yield store, heard
    store.close()


def hot_path(bot: Bot, carrier: Carrier, clock: StoppedClock) -> None:
    """All that happens for every text: requests, codes right and wrong, strangers, cancelling, sending."""
    numbers = iter(range(1000))

    def say(phone: str, words: str) -> None:
        bot.hear(Inbound("simulated", f"M{next(numbers)}", phone, words))
        bot.courier.deliver_due()

    settled(bot)
    say(ZAHRA["mobile"], f"رمز {ZAHRA['national_id']}")
    say(ZAHRA["mobile"], "000000")
    say(ZAHRA["mobile"], "100001")
    say(STRANGER, f"رمز {ZAHRA['national_id']}")
    say(ZAHRA["mobile"], "انصراف")
    clock.forward(minutes=2)
    for _ in range(7):
        say(ZAHRA["mobile"], f"رمز {ZAHRA['national_id']}")
        clock.forward(minutes=2)
    say(ZAHRA["mobile"], "لغو11")


# A partial index holds only what is open or waits; the season is one row, and so is what a SELECT stands on.
SMALL = (
    "SCAN circuit_breaker",
    "outbound_message_due",
    "code_one_live",
    "SCAN season",
    "SCAN anon_1",
    "SCAN (subquery",
)


def plan(url: str, statement: str, parameters: Any = ()) -> list[str]:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]


def queries(heard: list[str]) -> list[str]:
    return [sql for sql in dict.fromkeys(heard) if sql.lstrip()[:6].upper() in ("SELECT", "UPDATE", "DELETE")]


def test_no_statement_of_a_texts_way_reads_a_whole_table(
    sqlite_url: str, carrier: Carrier, clock: StoppedClock, random_source: LoadedRandomSource
) -> None:
    with overheard(sqlite_url) as (store, heard):
        hot_path(
            build(settings(), clock=clock, random_source=random_source, gateways=[carrier], store=store), carrier, clock
        )
    asked = queries(heard)
    for name in ("account", "code", "outbound_message", "conversation", "inbound_message"):
        assert any(name in sql for sql in asked)
    for sql in asked:
        scans = [step for step in plan(sqlite_url, sql) if "SCAN" in step and "CONSTANT ROW" not in step]
        assert not [step for step in scans if not any(name in step for name in SMALL)], sql


def test_a_codes_text_is_found_among_all_that_are_queued(sqlite_url: str) -> None:
    with overheard(sqlite_url) as (store, heard):
        settle(store, ZAHRA)
        zahra = id_of(store, ZAHRA)
        with store.writing() as connection:
            for reason in (CloseReason.USED, CloseReason.VOIDED):
                codes.issue(connection, a_code(zahra, reason))
                assert codes.close(connection, reason, reason, NOON)
            outbound_messages.drop_to(connection, ZAHRA["mobile"], NOON)
    asked = [sql for sql in queries(heard) if sql.startswith("UPDATE outbound_message")]
    assert len(asked) == 3
    for sql in asked:
        assert "outbound_message_queued_at (phone=?)" in " ".join(plan(sqlite_url, sql)), sql


def test_what_is_due_is_found_by_the_partial_index(sqlite_url: str) -> None:
    store, asked = Store(sqlite_url), list[tuple[str, Any]]()

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        asked.append((statement, parameters))

    # As SQLAlchemy hands it over: a value that is bound, not written, would keep SQLite from the index.
    event.listen(store.engine, "before_cursor_execute", note)
    with store.writing() as connection:
        outbound_messages.is_due(connection, NOON)
        outbound_messages.claim(connection, NOON, 8, LEASE)
    store.close()
    asked = [(sql, parameters) for sql, parameters in asked if "outbound_message" in sql]
    assert len(asked) == 2
    for sql, parameters in asked:
        steps = " ".join(plan(sqlite_url, sql, parameters))
        assert "outbound_message_due" in steps
        assert "USE TEMP B-TREE" not in steps


def test_a_missing_index_would_be_seen(sqlite_url: str) -> None:
    """Else the tests of plans would be blind."""
    with overheard(sqlite_url) as (store, heard), store.writing() as connection:
        connection.execute(text("DROP INDEX account_mobile"))
        codes.spend_at(connection, ZAHRA["mobile"], NOON)
    assert any("SCAN account" in step for sql in queries(heard) for step in plan(sqlite_url, sql))


def test_rows_of_an_executemany_are_written_alike(store: Store) -> None:
    with store.writing() as connection:
        connection.execute(insert(ACCOUNT), [dict(ZAHRA, active=True, failures=0), dict(OMID, active=True, failures=0)])
    with store.reading() as connection:
        assert len(connection.execute(select(ACCOUNT.c.id)).all()) == 2


# How far a text has come


def given_up(connection: Connection, text_id: int) -> None:
    outbound_messages.give_up(connection, [{"text": text_id, "by": "twilio", "at": NOON, "why": "unreachable"}])


def taken(connection: Connection, text_id: int) -> None:
    outbound_messages.accept(connection, [{"text": text_id, "by": "twilio", "as": "P1", "at": NOON}])


def noted(status: DeliveryStatus) -> Callable[[Connection, int], object]:
    def note(connection: Connection, text_id: int) -> None:
        outbound_messages.receive_receipt(connection, "twilio", "P1", status, NOON, ref=text_id)

    return note


STEPS: dict[str, Callable[[Connection, int], object]] = {"given up": given_up, "taken": taken} | {
    status.name: noted(status) for status in (DeliveryStatus.SENT, DeliveryStatus.DELIVERED, DeliveryStatus.FAILED)
}


def rank_of(connection: Connection, text_id: int) -> int:
    status: int = connection.execute(select(MESSAGE.c.status).where(MESSAGE.c.id == text_id)).scalar_one()
    return status


def rises_only(store: Store, steps: list[str]) -> None:
    """A text goes through some steps: its rank never falls, and what is final stays as it is."""
    with store.writing() as connection:
        (queued,) = outbound_messages.queue(connection, [a_text(MessageKind.CODE, secret=b"x")], NOON, LEASE)
        text_id = queued.id
        was = rank_of(connection, text_id)
        for step in steps:
            STEPS[step](connection, text_id)
            now = rank_of(connection, text_id)
            assert now == was if was >= FINAL else now >= was, step
            was = now
            assert connection.execute(select(MESSAGE.c.secret).where(MESSAGE.c.id == text_id)).scalar_one() is None
        connection.execute(delete(MESSAGE))


def test_a_text_that_arrived_is_not_given_up(store: Store) -> None:
    rises_only(store, ["taken", "DELIVERED", "given up"])


def test_a_rank_only_rises_and_a_secret_goes_with_the_first_step(sqlite_url: str) -> None:
    with closing(Store(sqlite_url)) as store:

        @how(max_examples=60, deadline=None, database=None, derandomize=True)
        @given(st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=5))
        @example(["DELIVERED", "SENT"])
        @example(["given up"])
        def run(steps: list[str]) -> None:
            rises_only(store, steps)

        run()


@pytest.mark.process
def test_another_process_that_comes_and_goes_takes_nothing_from_under_this_one(sqlite_url: str) -> None:
    """Opening and closing the file of a database beside its connections would end their locks on it."""
    with closing(Store(sqlite_url)) as store, store.reading() as held, store.reading() as second:
        for connection in (held, second):
            connection.exec_driver_sql("SELECT count(*) FROM account").scalar_one()
        _write_elsewhere(sqlite_url)
        path = Path(make_url(sqlite_url).database or "")
        assert path.with_name(f"{path.name}-wal").exists(), "it took itself for the last one"
        with store.writing() as connection:
            heartbeats.beat(connection, "here", NOON)
        _write_elsewhere(sqlite_url)
        assert held.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
        assert set(heartbeats.last(held)) == {"here", "elsewhere"}


def _write_elsewhere(url: str) -> None:
    work = (
        "import sys; from datetime import UTC, datetime; from store.service import heartbeats; "
        "from store.database.engine import Store; store = Store(sys.argv[1]);\n"
        "with store.writing() as connection: heartbeats.beat(connection, 'elsewhere', datetime.now(UTC))\n"
        "store.close()"
    )
    subprocess.run([sys.executable, "-c", work, url], check=True, cwd=ROOT)
