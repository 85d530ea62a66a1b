"""Backups as `flask deploy backup` makes them: one that is there has been restored, and can be again."""

import stat
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest
from sqlalchemy import select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from bot.build import build
from store.database.engine import Store
from store.tables import AccountRow, table
from tests.bot.cli.test_commands import around, typed
from tests.bot.cli.test_deploy import as_superuser, printed, role_url, tools_of
from tests.support import forked
from tests.support.hosts.postgresql_servers import pgbouncer
from tests.support.parts import CHEAP, KEYS, Carrier, LoadedRandomSource, StoppedClock, settings
from tests.support.people import ZAHRA, settled
from tests.support.places import ROOT

pytestmark = pytest.mark.process
__all__ = ["role_url"]
ACCOUNT = table(AccountRow)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database in which somebody has recovered a password, made as the handbook has it made."""
    if request.param == "sqlite":
        found = f"sqlite:///{tmp_path / 'data/ramz.db'}"
    else:
        found = request.getfixturevalue("role_url")
        script = printed("postgresql", DATABASE_URL=found).stdout
        ran = as_superuser(found, request.getfixturevalue("postgresql_url"), script)
        assert ran.returncode == 0, ran.stderr
    assert typed("db", "upgrade", DATABASE_URL=found).exit_code == 0
    played(found)
    return str(found)


def played(url: str) -> None:
    store, carrier = Store(url), Carrier()
    made = build(
        settings(),
        clock=StoppedClock(),
        random_source=LoadedRandomSource(),
        gateways=[carrier],
        store=store,
        cost=CHEAP,
    )
    settled(made)
    assert typed("season", "clear", DATABASE_URL=url).exit_code == 0  # a row of the audit
    made.audit_chain.seal_due()
    store.close()


def back_up(url: str, folder: Path, *options: str, anew: bool = False) -> "subprocess.CompletedProcess[str]":
    """What the printed script does, by programs that are started anew or forked."""
    script, written = folder.parent / "ramz-backup", printed("backup", *options, DATABASE_URL=url).stdout
    if not anew:
        forked.programs(folder.parent, app=ROOT / "wsgi.py")
        written = forked.in_script(written, folder.parent)
    script.write_text(written, "utf-8")
    script.chmod(0o755)
    environment = {"DATABASE_URL": url, "SECRET_KEYS": KEYS, **tools_of(url)}
    return subprocess.run([script, folder], env=around(environment), capture_output=True, text=True, check=False)


def restored(url: str, file: Path, tmp_path: Path) -> str:
    """The database of a backup, as the handbook has it restored."""
    if file.suffix == ".db":
        return f"sqlite:///{file}"
    found = make_url(url)
    target = found.set(drivername="postgresql", database=f"{found.database}_restored").render_as_string(False)
    command = ["pg_restore", "--exit-on-error", "--no-owner", f"--dbname={target}", str(file)]
    subprocess.run(command, env=around(tools_of(url)), check=True, capture_output=True)
    return target.replace("postgresql://", "postgresql+psycopg://")


def test_a_backup_holds_all_and_is_its_owners_alone_and_leaves_no_copy(url: str, tmp_path: Path) -> None:
    ran = back_up(url, tmp_path / "backups", anew=True)
    assert ran.returncode == 0, ran.stderr
    (file,) = (tmp_path / "backups").iterdir()
    assert ran.stdout.splitlines()[-1] == str(file) and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "unbroken" in ran.stdout or "sealed" in ran.stdout or "proven" in ran.stdout, ran.stdout
    assert is_emptied(url)
    store = Store(restored(url, file, tmp_path))
    with store.reading() as connection:
        mobiles = set(connection.execute(select(ACCOUNT.c.mobile)).scalars())
    store.close()
    assert ZAHRA["mobile"] in mobiles
    # The next one finds what was restored there, and empties it all the same.
    ran = back_up(url, tmp_path / "backups")
    assert ran.returncode == 0, ran.stderr
    assert is_emptied(url) and not list((tmp_path / "backups").glob(".*"))


def is_emptied(url: str) -> bool:
    """Whether nothing is left of what a backup was restored into."""
    found = make_url(url)
    if found.get_backend_name() == "sqlite":
        return True  # that lay in a file beside the backups
    store = Store(found.set(database=f"{found.database}_restored").render_as_string(False))
    with store.reading() as connection:
        left = connection.exec_driver_sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").scalar_one()
    store.close()
    return bool(left == 0)


def test_a_script_that_was_printed_for_another_database_makes_no_backup(url: str, tmp_path: Path) -> None:
    script = tmp_path / "ramz-backup"
    script.write_text(printed("backup", DATABASE_URL=url).stdout, "utf-8")
    script.chmod(0o755)
    elsewhere = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    assert typed("db", "upgrade", DATABASE_URL=elsewhere).exit_code == 0
    environment = around({"DATABASE_URL": elsewhere, "SECRET_KEYS": KEYS, **tools_of(url)})
    ran = subprocess.run([script, tmp_path / "backups"], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 2 and "DATABASE_URL" in ran.stderr
    assert not (tmp_path / "backups").exists()


def test_a_database_whose_audit_is_broken_leaves_no_backup_that_looks_well(url: str, tmp_path: Path) -> None:
    store = Store(url)
    with store.writing() as connection:
        connection.exec_driver_sql("UPDATE audit SET reason = 'other'")
    store.close()
    ran = back_up(url, tmp_path / "backups")
    assert ran.returncode != 0
    assert not list((tmp_path / "backups").iterdir())


class TestBehindPgBouncer:
    """pg_dump through a pooler sets `search_path` on connections that others are given: they find no table."""

    @pytest.fixture(params=["postgresql"])
    def url(self, request: pytest.FixtureRequest, role_url: str, postgresql_url: str) -> str:
        script = printed("postgresql", DATABASE_URL=role_url).stdout
        assert as_superuser(role_url, postgresql_url, script).returncode == 0
        assert typed("db", "upgrade", DATABASE_URL=role_url).exit_code == 0
        played(role_url)
        return role_url

    def test_it_goes_past_it_and_takes_nobody_s_tables_away(self, url: str, tmp_path: Path) -> None:
        own = make_url(url)
        with pgbouncer(own.set(password=None)) as pooler, ExitStack() as open_:
            pooled = own.set(host="127.0.0.1", port=pooler.port, query={"pooler": "transaction"})
            behind = pooled.render_as_string(hide_password=False)
            refused = printed("backup", DATABASE_URL=behind)
            assert (refused.exit_code, refused.stdout, "--server" in refused.stderr) == (2, "", True)
            others = [open_.enter_context(asking(behind)) for _ in range(3)]
            ran = back_up(behind, tmp_path / "backups", "--server", str(own.query["host"]))
        assert ran.returncode == 0, ran.stderr
        assert all(set(seen) == {"ok"} for seen in others), others


@contextmanager
def asking(url: str) -> Iterator[Counter[str]]:
    """Somebody who reads the accounts all the time; how often that went well, and what went wrong."""
    seen, ending = Counter[str](), Event()

    def go_on() -> None:
        with closing(Store(url)) as store:
            while not ending.wait(0.01):
                try:
                    with store.reading() as connection:
                        connection.execute(select(ACCOUNT.c.id)).all()
                    seen["ok"] += 1
                except SQLAlchemyError as error:
                    seen[str(error)[:100]] += 1

    thread = Thread(target=go_on)
    thread.start()
    try:
        yield seen
    finally:
        ending.set()
        thread.join()
