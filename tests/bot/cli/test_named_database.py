"""On which database a command works: the one that is named, else the trial's; what is changed is said, on stderr."""

from contextlib import chdir, closing
from pathlib import Path

import pytest
from click.testing import Result
from sqlalchemy import select
from sqlalchemy.engine import make_url

from bot.simulation.demo import seed
from store.database import migrate
from store.database.engine import Store
from store.tables import StaffRow, table
from tests.bot.cli.test_commands import typed
from tests.support.people import TEHRAN, employ

STAFF = table(StaffRow)
PEOPLE = "national_id,username,mobile\n0012345679,zahra,09121234567\n"
SEASON = ("--opens", "2026-08-14", "--closes", "2027-02-01")
MARYAM = ("--mobile", "09121110009", "--role", "headquarters", "--name", "Maryam")
CHANGING = [
    ("db", "upgrade"),
    ("season", "set", *SEASON),
    ("season", "clear"),
    ("staff", "add", *MARYAM),
    ("staff", "remove", "--mobile", TEHRAN["mobile"]),
    ("tokens", "create", "--name", "fakher"),
    ("accounts", "import", "people.csv"),
    ("audit", "rekey"),
    ("keys", "accept"),
]
READING = [
    ("season", "show"),
    ("staff", "list"),
    ("tokens", "list"),
    ("kpi",),
    ("audit", "verify"),
    ("audit", "show", "--account", "0012345679"),
]


def in_folder(folder: Path, *words: str, **environment: str) -> Result:
    """Run a command in a folder of its own, where no database is named but one that is given."""
    with chdir(folder):
        Path("people.csv").write_text(PEOPLE, "utf-8")
        done = typed(*words, **{"DATABASE_URL": "", "DATABASE_URL_FILE": "", **environment})
        made = sorted(file.name for file in Path().iterdir() if file.name != "people.rejects.csv")
        assert made == ["people.csv"], "a command without a database makes none"
        return done


@pytest.mark.parametrize("words", [*CHANGING, *READING], ids=" ".join)
def test_a_command_ends_where_no_database_is_named_and_no_trial_was(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = in_folder(tmp_path, *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "DATABASE_URL: missing, and there is no trial's database here\n"


@pytest.mark.parametrize("words", [*CHANGING[1:], *READING, ("db", "downgrade", "0013")], ids=" ".join)
def test_a_slip_in_the_name_of_a_database_makes_no_second_one(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = in_folder(tmp_path, *words, DATABASE_URL="sqlite:///elsewhere/ramzz.db")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "DATABASE_URL: there is no database at elsewhere/ramzz.db\n"


def test_a_chat_without_a_trial_makes_none(tmp_path: Path) -> None:
    with chdir(tmp_path):
        done = typed("chat", "--from", "09121234567", DATABASE_URL="", SECRET_KEYS="")
        assert (done.exit_code, list(Path().rglob("*.db"))) == (2, [])


def test_a_command_works_on_the_trial_s_database_where_there_is_one(tmp_path: Path) -> None:
    with chdir(tmp_path):
        Path("instance").mkdir()
        with closing(Store("sqlite:///instance/ramz.db")) as store:
            migrate.upgrade(store)
            seed(store)
        done = typed("staff", "add", *MARYAM, DATABASE_URL="", DATABASE_URL_FILE="")
        with closing(Store("sqlite:///instance/ramz.db")) as store, store.reading() as connection:
            added = connection.execute(select(STAFF.c.name).where(STAFF.c.mobile == "+989121110009")).scalars().all()
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (0, "database: sqlite:///instance/ramz.db")
    assert added == ["Maryam"]


@pytest.mark.parametrize("words", CHANGING, ids=" ".join)
def test_a_command_says_which_database_it_changes(sqlite_url: str, tmp_path: Path, words: tuple[str, ...]) -> None:
    with closing(Store(sqlite_url)) as store:
        employ(store)
    done = in_folder(tmp_path, *words, DATABASE_URL=sqlite_url)
    assert done.exit_code == 0, done.output
    assert f"database: {sqlite_url}" in done.stderr.splitlines()
    assert sqlite_url not in done.stdout


def test_a_token_of_several_is_revoked_on_a_database_that_is_said_once(sqlite_url: str) -> None:
    for _ in range(3):
        assert typed("tokens", "create", "--name", "fakher", DATABASE_URL=sqlite_url).exit_code == 0
    done = typed("tokens", "revoke", "fakher", DATABASE_URL=sqlite_url)
    assert (done.stdout, done.stderr) == ("3 revoked.\n", f"database: {sqlite_url}\n")
    assert "database:" not in typed("tokens", "revoke", "fakher", DATABASE_URL=sqlite_url).stderr


def test_a_walk_over_the_audit_that_seals_says_where(sqlite_url: str) -> None:
    assert typed("season", "clear", DATABASE_URL=sqlite_url).exit_code == 0
    found = [typed("audit", "verify", DATABASE_URL=sqlite_url).stderr for _ in range(2)]
    assert found == [f"database: {sqlite_url}\n", ""]


def test_it_says_nothing_of_a_database_that_is_left_as_it_is(sqlite_url: str) -> None:
    for words in READING:
        assert "database:" not in typed(*words, DATABASE_URL=sqlite_url).output, words


def test_it_does_not_say_the_database_s_password(postgresql_url: str) -> None:
    named = make_url(postgresql_url)
    secret = str(named.password or "hunter2hunter2")  # a server that trusts this machine's users asks for none
    url = named.set(username=named.username or "postgres", password=secret).render_as_string(hide_password=False)
    done = typed("season", "set", *SEASON, DATABASE_URL=url)
    assert done.exit_code == 0, done.output
    assert f":{secret}@" in url
    assert ":***@" in done.stderr
    assert f":{secret}@" not in done.output
    assert named.database is not None and named.database in done.stderr
