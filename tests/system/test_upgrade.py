"""An upgrade under way: the release before serves while the schema is brought to ours, and beside us after it."""

import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import Connection, text

from store.database import migrate
from store.database.engine import Store
from store.database.migrate import OLDEST
from tests.conftest import MakeBot
from tests.providers.twilio_standin import new_sid
from tests.support import forked
from tests.support.parts import KEYS, eventually
from tests.support.places import ROOT, TESTS
from tests.system.test_service import Service, environment, service_on, some

CODE_FOLDERS = ("bot", "dialogs", "store", "webhooks")


@pytest.fixture(scope="module")
def release_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release before, as CONTRIBUTING says that it is frozen: a checkout need not have its history."""
    folder = tmp_path_factory.mktemp("release")
    with tarfile.open(TESTS / "data" / "release.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def old_database(database_url: str) -> str:
    """One that the release before has made."""
    with closing(Store(database_url)) as store:
        migrate.downgrade(store, OLDEST)
    return database_url


def flask(folder: Path, url: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """One command of a release."""
    settings = environment(DATABASE_URL=url, SECRET_KEYS=KEYS) if url else environment()
    if folder == ROOT:
        return forked.run(*arguments, folder=folder, environment=settings)
    command = [sys.executable, "-m", "flask", *arguments]
    return subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, check=False)


def recover(service: Service) -> None:
    """One whole recovery by text."""
    (pilgrim,) = some(service.database_url, 1)
    assert service.text(pilgrim.mobile, f"RESET {pilgrim.national_id}") == 200
    assert service.text(pilgrim.mobile, service.code(pilgrim)) == 200
    assert service.standin.wait(lambda: service.passwords(pilgrim)), service.printed


@pytest.mark.process
class TestWhileItServes:
    @pytest.fixture
    def before(self, old_database: str, release_before: Path, tmp_path: Path) -> Iterator[Service]:
        """The release before, at work."""
        with service_on(old_database, tmp_path, root=release_before) as service:
            yield service

    def test_the_release_before_serves_during_the_upgrade_and_after_it(self, before: Service, tmp_path: Path) -> None:
        people = some(before.database_url, 60)
        statuses: list[int] = []

        def load() -> None:
            for it in people:
                statuses.append(before.text(it.mobile, f"RESET {it.national_id}", new_sid()))

        recover(before)
        texting = Thread(target=load)
        texting.start()
        upgraded = flask(ROOT, before.database_url, "db", "upgrade")
        assert upgraded.returncode == 0, upgraded.stderr
        texting.join()
        assert statuses == [200] * len(people), [it for it in before.printed.splitlines() if "rror" in it]
        recover(before)
        assert "Traceback" not in before.printed

        ours = Service(before.database_url, before.standin, tmp_path / "ours")
        ours.folder.mkdir()
        try:
            ours.start()
            recover(before)
            recover(ours)
            assert all(len(set(before.codes(it))) == 1 for it in people if before.code(it))
        finally:
            ours.stop()


@pytest.mark.process
class TestANewerDatabase:
    @pytest.fixture
    def newer(self, database_url: str) -> str:
        with closing(Store(database_url)) as store, store.writing() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        return database_url

    @pytest.mark.parametrize("command", ["db upgrade", "db downgrade 0011 --yes", "staff list"])
    def test_it_is_said_in_one_line(self, newer: str, command: str) -> None:
        refused = flask(ROOT, newer, *command.split())
        assert (refused.returncode, refused.stdout) == (2, "")
        assert refused.stderr.startswith("DATABASE_URL: the database has the schema 9999 of a newer release")
        assert len(refused.stderr.splitlines()) == 1
        assert "Run: flask db upgrade" not in refused.stderr


class TestGoingBack:
    @pytest.mark.process
    def test_what_is_undone_is_listed_first(self, database_url: str) -> None:
        listed = flask(ROOT, database_url, "db", "downgrade", OLDEST)
        assert listed.returncode == 2
        assert f"{migrate.newest()}  " in listed.stderr and "--yes" in listed.stderr
        with closing(Store(database_url)) as store:
            assert migrate.is_current(store)

    def test_it_can_be_done_and_undone_and_loses_nobody(self, make_bot: MakeBot, database_url: str) -> None:
        (person,) = some(database_url, 1)
        with closing(Store(database_url)) as store:
            migrate.downgrade(store, OLDEST)
            assert migrate.current(store) == OLDEST
            migrate.upgrade(store)
            with store.reading() as connection:
                assert connection.execute(text("SELECT mobile FROM account")).scalars().all() == [person.mobile]

    @pytest.mark.parametrize("revision", ["0001", "0010", "7777", "base"])
    def test_there_is_no_way_back_to_what_no_release_had(self, sqlite_url: str, revision: str) -> None:
        with closing(Store(sqlite_url)) as store:
            with pytest.raises(migrate.NoWayBack, match="no release"):
                migrate.downgrade(store, revision)
            assert migrate.is_current(store)

    def test_it_is_no_way_forward(self, sqlite_url: str) -> None:
        with closing(Store(sqlite_url)) as store, pytest.raises(migrate.NoWayBack, match="not newer"):
            migrate.downgrade(store, migrate.newest())


@contextmanager
def upgrade_beside(url: str, lock: str) -> Iterator[tuple[Store, Connection, Thread]]:
    """Another store, a transaction of its that holds a lock, and an upgrade that begins meanwhile and ends well."""
    with closing(Store(url)) as store, closing(Store(url)) as other:
        migrate.downgrade(store, OLDEST)
        upgrading = Thread(target=migrate.upgrade, args=(store,))
        with other.writing() as connection:
            connection.execute(text(f"LOCK TABLE {lock} MODE"))
            upgrading.start()
            yield other, connection, upgrading
        upgrading.join()
        assert migrate.is_current(store)


@pytest.mark.slow
def test_an_upgrade_lets_go_and_begins_anew_where_a_table_is_in_use(postgresql_url: str) -> None:
    """An ALTER TABLE that waited for as long as it took would have every text wait behind it."""
    with upgrade_beside(postgresql_url, "outbound_message IN SHARE UPDATE EXCLUSIVE") as (other, _, upgrading):
        time.sleep(migrate.SOON + 0.5)
        assert upgrading.is_alive()
        assert migrate.current(other) == OLDEST


# PostgreSQL's own, after which who waits looks whether it is waited for.
DEADLOCK_SECONDS = 1.0


@pytest.mark.slow
def test_an_upgrade_begins_anew_where_it_and_a_text_wait_for_each_other(postgresql_url: str) -> None:
    """It has staff and wants conversations, a text has its conversation and wants staff: the upgrade must give way."""
    with upgrade_beside(postgresql_url, "conversation IN ROW EXCLUSIVE") as (other, connection, _):
        assert eventually(partial(somebody_waits, other))
        # It is the text that looks first, as soon as one may that has waited for longer than the upgrade has.
        connection.execute(text(f"SET LOCAL deadlock_timeout = {round((migrate.SOON + DEADLOCK_SECONDS) / 2 * 1000)}"))
        connection.execute(text("SELECT 1 FROM staff"))


def somebody_waits(store: Store) -> bool:
    with store.reading() as connection:
        of = "locktype = 'relation' AND relation = 'conversation'::regclass AND NOT granted"
        return bool(connection.execute(text(f"SELECT 1 FROM pg_locks WHERE {of}")).scalar())


@pytest.mark.process
def test_a_migration_is_written_on_a_fresh_clone(tmp_path: Path) -> None:
    for name in CODE_FOLDERS:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "wsgi.py", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    tables = tmp_path / "store" / "tables" / "service.py"
    tables.write_text(f"{tables.read_text('utf-8')}    noticed: int | None = None\n", "utf-8")
    before = set((tmp_path / "store/migrations/versions").glob("*.py"))
    done = flask(tmp_path, "", "db", "revise", "What was noticed")
    assert done.returncode == 0, done.stderr
    (written,) = set((tmp_path / "store/migrations/versions").glob("*.py")) - before
    assert written.name == f"{int(migrate.newest()) + 1:04d}_what_was_noticed.py"
    assert "noticed" in written.read_text("utf-8")
    assert not (tmp_path / "instance").exists()
