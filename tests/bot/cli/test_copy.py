"""`flask db copy`: what SQLite's file holds goes into another database, all of it or nothing."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text, update

from bot.audit.hash_chain import Chain
from bot.build import Bot
from bot.platform.processes import HostProcesses
from bot.ports import Inbound
from store.database import migrate
from store.database.engine import Store
from store.database.transfer import AT_A_TIME
from store.service import send_shares
from store.service.send_shares import SendShare
from store.tables import METADATA, AccountRow, CodeRow, OutboundMessageRow, SendShareRow, table
from tests.bot.cli.test_commands import typed
from tests.support.parts import StoppedClock
from tests.support.people import CHIEF, OMID, TEHRAN, UNKNOWN_ID, ZAHRA, bot_on, employ, settled

ACCOUNT, CODE, MESSAGE = table(AccountRow), table(CodeRow), table(OutboundMessageRow)


def hear(bot: Bot, number: int, phone: str, words: str) -> None:
    bot.hear(Inbound("simulated", f"M{number}", phone, words))


@pytest.fixture
def old(sqlite_url: str) -> Iterator[Store]:
    """A file with something of everything that people do in it; some texts have left, some wait."""
    store = Store(sqlite_url)
    bot = settled(bot_on(store))
    employ(store)
    many = [
        {"national_id": f"many{n}", "username": f"many{n}", "active": True, "failures": 0} for n in range(AT_A_TIME)
    ]
    with store.writing() as connection:
        connection.execute(insert(ACCOUNT), [dict(row, mobile=f"+98910{n:07d}") for n, row in enumerate(many)])
    for number, (phone, words) in enumerate(
        [
            (ZAHRA["mobile"], f"رمز {ZAHRA['national_id']}"),
            (ZAHRA["mobile"], "100001"),
            (OMID["mobile"], "code 8052916372"),
            (OMID["mobile"], "999999"),
            (TEHRAN["mobile"], f"RESET {ZAHRA['national_id']}"),
            ("+989300000077", f"رمز {UNKNOWN_ID}"),
            ("+989300000078", "STOP"),
        ]
    ):
        hear(bot, number, phone, words)
        if number == 3:
            bot.courier.deliver_due()
    bot.audit_chain.seal_due()
    hear(bot, 99, CHIEF["mobile"], f"STATUS {OMID['national_id']}")
    yield store
    store.close()


@pytest.fixture(params=["postgresql", "sqlite"])
def new(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database that holds nothing."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/new.db"
    url: str = request.getfixturevalue("postgresql_url")
    return url


def file_of(store: Store) -> str:
    return store.url.database or ""


def everything(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    with store.reading() as connection:
        return {
            each.name: sorted((tuple(row) for row in connection.execute(select(each))), key=repr)
            for each in METADATA.sorted_tables
        }


def test_every_row_is_copied_and_proven_and_the_file_is_left_as_it_is(old: Store, new: str) -> None:
    before = everything(old)
    assert {"account", "audit", "code", "staff_order", "outbound_message"} <= {
        it for it, rows in before.items() if rows
    }
    done = typed("db", "copy", file_of(old), DATABASE_URL=new)
    assert (done.exit_code, done.output.count("rows are copied")) == (0, 1), done.output
    assert f"{len(before['account']):>9,} account\n" in done.output
    assert everything(old) == before
    with closing(Store(new)) as store:
        assert everything(store) == before
        if not store.is_sqlite:
            with store.reading() as connection:
                counted = connection.execute(text("SELECT reltuples FROM pg_class WHERE relname = 'account'"))
                assert counted.scalar_one() == len(before["account"])
        chain = Chain(store, StoppedClock(), bot_on(store).parts.trail)
        assert chain.seal_due() > 0
        proof = chain.prove()
        assert (proof.faults, proof.rows) == ([], len(before["audit"]))


def test_the_service_goes_on_there(old: Store, new: str) -> None:
    """Numbers are given out after the highest, and what waited is sent."""
    waiting = [
        row
        for row in everything(old)["outbound_message"]
        if row[METADATA.tables["outbound_message"].c.keys().index("status")] == 0
    ]
    assert typed("db", "copy", file_of(old), DATABASE_URL=new).exit_code == 0
    with closing(Store(new)) as store:
        bot = bot_on(store)
        bot.clock.forward(minutes=2)  # type: ignore[attr-defined]
        assert bot.courier.deliver_due() == len(waiting) > 0
        hear(bot, 100, OMID["mobile"], "START")
        hear(bot, 101, OMID["mobile"], "help")
        with store.writing() as connection:
            connection.execute(
                insert(ACCOUNT).values(
                    national_id="new", username="new", active=True, failures=0, mobile="+989100000000"
                )
            )
        assert bot.courier.deliver_due() > 0


def refused(old: Store, new: str, words: str, status: int = 2) -> None:
    """It ends so, and nothing is there afterwards that was not before."""
    with closing(Store(new)) as store:
        migrate.upgrade(store)
        before = everything(store)
    done = typed("db", "copy", file_of(old), DATABASE_URL=new)
    assert (done.exit_code, words in done.output) == (status, True), done.output
    with closing(Store(new)) as store:
        assert everything(store) == before


def test_what_holds_something_is_not_written_to(old: Store, new: str) -> None:
    with closing(Store(new)) as store:
        migrate.upgrade(store)
        employ(store, CHIEF)
    refused(old, new, "holds something already (table staff)")


def test_a_file_that_a_service_uses_is_not_copied(old: Store, new: str) -> None:
    with old.writing() as connection:
        send_shares.renew(connection, SendShare("here", 50, 1, HostProcesses().host, os.getpid()))
    refused(old, new, f"a service uses it (process {os.getpid()})")
    with old.writing() as connection:
        connection.execute(update(table(SendShareRow)).values(pid=2**22))  # more than there can be: it was killed
    assert typed("db", "copy", file_of(old), DATABASE_URL=new).exit_code == 0


def test_a_lease_of_before_the_last_start_is_nobodys(old: Store, new: str) -> None:
    """After a power cut another process may have the number."""
    with old.writing() as connection:
        send_shares.renew(connection, SendShare("there", 50, 1, "another start", os.getpid()))
    assert typed("db", "copy", file_of(old), DATABASE_URL=new).exit_code == 0


def test_a_database_that_fails_is_not_taken_for_a_bad_row(old: Store, new: str) -> None:
    with closing(Store(new)) as store:
        migrate.upgrade(store)
        with store.writing() as connection:
            connection.execute(text("ALTER TABLE account RENAME COLUMN language TO languages"))
    done = typed("db", "copy", file_of(old), DATABASE_URL=new)
    assert done.exit_code == 2 and "the database is busy or broken" in done.output


def test_a_row_that_the_other_does_not_take_undoes_all(old: Store, postgresql_url: str) -> None:
    """SQLite counts no letters."""
    with old.writing() as connection:
        connection.execute(update(CODE).values(requested_by="somebody else altogether"))
    refused(old, postgresql_url, "a row of the table code is not taken", 1)


def test_a_file_of_an_older_release_is_not_copied(old: Store, new: str) -> None:
    migrate.downgrade(old, "0016")
    done = typed("db", "copy", file_of(old), DATABASE_URL=new)
    assert done.exit_code == 2
    assert f"Run: DATABASE_URL=sqlite:///{file_of(old)} flask db upgrade" in done.output


def test_it_needs_a_file_of_ours(tmp_path: Path, new: str) -> None:
    (tmp_path / "other.db").touch()
    (tmp_path / "text.db").write_text("no database " * 100, "utf-8")
    for name, words in {
        "none.db": "there is no such file",
        "other.db": "this is not a database of Ramz's",
        "text.db": "it can't be read",
    }.items():
        done = typed("db", "copy", str(tmp_path / name), DATABASE_URL=new)
        assert done.exit_code in {1, 2} and f"{tmp_path / name}: {words}" in done.output, done.output


def test_a_file_is_not_copied_into_itself(old: Store) -> None:
    before = everything(old)
    done = typed("db", "copy", file_of(old), DATABASE_URL=old.url.render_as_string())
    assert done.exit_code == 2 and "holds something already" in done.output
    assert everything(old) == before
