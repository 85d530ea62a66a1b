"""flask trial (make run): it takes a database that a trial has made, and no other; and this machine's own address."""

import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from bot.simulation.demo import PEOPLE, seed
from store.database import migrate
from store.database.engine import Store
from store.tables import METADATA, MessageKind
from tests.bot.cli.test_commands import TWILIO, flask, is_current, typed
from tests.store.test_store import a_text, queue
from tests.support.parts import KEYS
from tests.support.people import settle

WITHOUT_SCHEMA = "The database has not the newest schema. Run"


@pytest.fixture
def port() -> Iterator[str]:
    """A port that is taken: a trial that comes so far as to serve ends there, with 1."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield str(taken.getsockname()[1])


def at_revision(store: Store, revision: str) -> None:
    """Take a migrated database back to an older schema."""
    config = Config()
    config.set_main_option("script_location", str(migrate.FOLDER))
    config.set_main_option("path_separator", "os")
    with store.writing() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def revision_of(store: Store) -> str:
    with store.reading() as connection:
        return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


def all_in(store: Store) -> dict[str, Any]:
    """Every row of every table."""
    with store.reading() as connection:
        return {table.name: connection.execute(table.select()).all() for table in METADATA.sorted_tables}


# The database


@pytest.mark.parametrize("is_in_use", [False, True], ids=["empty", "in use"])
def test_a_trial_leaves_a_database_that_it_did_not_make_as_it_is(
    store: Store, database_url: str, port: str, is_in_use: bool
) -> None:
    if is_in_use:
        settle(store)
    before = all_in(store)
    done = typed("trial", DATABASE_URL=database_url, PORT=port)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("DATABASE_URL: names a database that make run did not make")
    assert all_in(store) == before


def test_a_trial_does_not_migrate_a_database_that_it_did_not_make(sqlite_url: str, port: str) -> None:
    with closing(Store(sqlite_url)) as store:
        settle(store)
        at_revision(store, "0008")
        done = typed("trial", DATABASE_URL=sqlite_url, PORT=port)
        assert (done.exit_code, revision_of(store)) == (2, "0008")


@pytest.mark.parametrize("revision", ["0001", "0004", "0008"])
@pytest.mark.process
def test_a_trial_takes_its_own_database_of_an_older_schema(tmp_path: Path, port: str, revision: str) -> None:
    (tmp_path / "instance").mkdir()
    url = f"sqlite:///{tmp_path}/instance/ramz.db"
    with closing(Store(url)) as store:
        migrate.upgrade(store)
        seed(store)
        at_revision(store, revision)
    done = flask("trial", folder=tmp_path, PORT=port)
    assert (done.returncode, f"PORT: {port}" in done.stderr) == (1, True), done.stderr
    assert is_current(url)
    with closing(Store(url)) as store:
        assert len(all_in(store)["account"]) == len(PEOPLE)


@pytest.mark.parametrize("words", [["trial"], ["chat", "--from", "09121234567"]])
def test_a_file_that_is_another_programs_keeps_every_byte(tmp_path: Path, port: str, words: list[str]) -> None:
    """Its header too, which tells how it is written to."""
    (tmp_path / "text").write_text("not a database" * 100, "utf-8")
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE theirs (number INTEGER)")
        connection.commit()
    for name in ("text", "other.db"):
        before = (tmp_path / name).read_bytes()
        done = typed(*words, DATABASE_URL=f"sqlite:///{tmp_path / name}", PORT=port)
        assert (done.exit_code in {1, 2}, done.stderr.partition(":")[0] in {"DATABASE_URL", WITHOUT_SCHEMA}) == (
            True,
            True,
        ), done.output
        assert (tmp_path / name).read_bytes() == before


def test_a_chat_takes_no_pilgrims_texts_from_a_real_database(store: Store, database_url: str) -> None:
    """In a shell with the service's database and keys, but not its gateways, the simulated carrier would have them."""
    settle(store)
    queue(store, a_text(MessageKind.CODE, secret=b"sealed"))
    before = all_in(store)
    done = typed("chat", "--from", "09121234567", DATABASE_URL=database_url, SECRET_KEYS=KEYS)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("DATABASE_URL: names a database that make run did not make")
    assert all_in(store) == before


# The address


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "ramz.example.ir"])
def test_a_trial_listens_on_this_machine_only(tmp_path: Path, port: str, host: str) -> None:
    done = typed("trial", DATABASE_URL=f"sqlite:///{tmp_path}/new.db", HOST=host, PORT=port)
    assert (done.exit_code, done.output.partition(":")[0]) == (2, "HOST")
    assert not (tmp_path / "new.db").exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "ramz.example.ir"])
def test_the_simulated_carrier_is_served_on_this_machine_only(tmp_path: Path, port: str, host: str) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    done = typed("serve", DATABASE_URL=url, GATEWAYS="simulated", HOST=host, PORT=port)
    assert (done.exit_code, done.output.partition(":")[0]) == (2, "HOST")
    assert not (tmp_path / "new.db").exists()


def test_a_real_gateway_is_called_by_https_only(tmp_path: Path, port: str) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    for address in ("http://ramz.example.ir", "http://192.168.1.5:8000", "HTTP://ramz.example.ir/sms"):
        done = typed("serve", DATABASE_URL=url, PUBLIC_URL=address, PORT=port, **TWILIO)
        assert (done.exit_code, done.output.partition(":")[0]) == (2, "PUBLIC_URL"), address
    assert not (tmp_path / "new.db").exists()
