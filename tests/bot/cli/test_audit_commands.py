"""flask audit, and what the other commands leave in it."""

import os
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest
from click.testing import Result
from sqlalchemy import delete, update

from bot.accounts.csv_import import BATCH
from bot.build import Bot
from bot.ports import Inbound
from store.audit import AUDIT, HEAD
from tests.bot.audit.test_audit import rows
from tests.bot.audit.test_hash_chain import NEW
from tests.bot.cli.test_commands import flask as in_a_process
from tests.bot.cli.test_commands import typed
from tests.support.databases import SQLITE_ONLY
from tests.support.import_desk import HEADER, national_ids
from tests.support.parts import KEYS, StoppedClock
from tests.support.people import FATIMA, TEHRAN, UNKNOWN_ID, ZAHRA, employ, settled


@pytest.fixture
def busy(bot: Bot) -> Bot:
    """A bot that has been texted."""
    settled(bot).hear(Inbound("simulated", "M1", ZAHRA["mobile"], f"رمز {ZAHRA['national_id']}"))
    bot.hear(Inbound("simulated", "M2", "+989300000001", f"رمز {ZAHRA['national_id']}"))
    return bot


def flask(url: str, *words: str, keyring: str = KEYS, **environment: str) -> Result:
    return typed(*words, DATABASE_URL=url, SECRET_KEYS=keyring, **environment)


# verify


def test_it_says_what_is_unbroken_and_where_it_ends(busy: Bot, database_url: str) -> None:
    done = flask(database_url, "audit", "verify")
    newest = rows(busy.store)[-1]
    assert (done.exit_code, done.stdout) == (0, f"unbroken: 3 rows, newest seal {newest.seal.hex()} at seq 3\n")


def test_it_says_which_row_was_changed(busy: Bot, database_url: str) -> None:
    assert flask(database_url, "audit", "verify").exit_code == 0
    with busy.store.writing() as connection:
        connection.execute(update(AUDIT).where(AUDIT.c.seq == 2).values(outcome="refused"))
    done = flask(database_url, "audit", "verify")
    assert (done.exit_code, done.stdout) == (1, "row 2 (seq 2) was changed, or put there\n")


def test_it_needs_the_keys(busy: Bot, database_url: str) -> None:
    done = flask(database_url, "audit", "verify", keyring=NEW)
    told = "SECRET_KEYS: k1 is missing, under which the audit's newest row was written\n"
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", told)


def test_a_key_is_handed_on_before_it_is_taken_out(busy: Bot, database_url: str) -> None:
    assert flask(database_url, "audit", "rekey", keyring=f"{NEW},{KEYS}").exit_code == 0
    done = flask(database_url, "audit", "verify", keyring=NEW)
    assert done.exit_code == 0
    assert done.stdout.startswith("unbroken: 4 rows")


def test_a_broken_one_is_not_handed_on(busy: Bot, database_url: str) -> None:
    with busy.store.writing() as connection:
        connection.execute(update(AUDIT).values(outcome="refused"))
    done = flask(database_url, "audit", "rekey", keyring=f"{NEW},{KEYS}")
    assert done.exit_code == 1
    assert "row 1 " in done.stdout


def test_a_seal_that_was_kept_is_in_the_chain(busy: Bot, database_url: str) -> None:
    assert flask(database_url, "audit", "verify").exit_code == 0
    for row in rows(busy.store):
        kept = f"{row.seq}:{row.seal.hex()}"
        for written in (kept, kept.upper(), f" {kept} "):
            done = flask(database_url, "audit", "verify", "--seal", written)
            assert (done.exit_code, done.stdout.startswith("unbroken: 3 rows")) == (0, True)


def test_a_seal_that_is_not_in_the_chain_breaks_it(busy: Bot, database_url: str) -> None:
    assert flask(database_url, "audit", "verify").exit_code == 0
    first, second, third = (row.seal.hex() for row in rows(busy.store))
    for seq, seal in ((2, first), (1, third), (4, third), (0, first), (3, "0" * 64), (2**31 - 1, second)):
        done = flask(database_url, "audit", "verify", "--seal", f"{seq}:{seal}")
        told = f"seq {seq} has not the seal that was kept: rows were removed or changed\n"
        assert (done.exit_code, done.stdout) == (1, told)
        assert done.stderr == "The audit is broken.\n"


def test_an_end_that_was_cut_off_shows_by_its_kept_seal_alone(busy: Bot, database_url: str) -> None:
    assert flask(database_url, "audit", "verify").exit_code == 0
    *_, before, last = rows(busy.store)
    with busy.store.writing() as connection:
        connection.execute(delete(AUDIT).where(AUDIT.c.seq == last.seq))
        connection.execute(update(HEAD).values(seq=before.seq, key_id=before.key_id, seal=before.seal))
    assert flask(database_url, "audit", "verify").exit_code == 0
    done = flask(database_url, "audit", "verify", "--seal", f"{last.seq}:{last.seal.hex()}")
    assert (done.exit_code, done.stdout.startswith(f"seq {last.seq} has not the seal")) == (1, True)


@pytest.mark.parametrize(
    "written",
    ["", "3", ":", f"3:{'a' * 63}", f"3:{'a' * 65}", f"3:{'g' * 64}", f"-1:{'a' * 64}", f"3 {'a' * 64}",
     f"{2**31}:{'a' * 64}", f"٣:{'a' * 64}", f"3:{'a' * 64}:", f"x:{'a' * 64}"],
)  # fmt: skip
@SQLITE_ONLY
def test_a_seal_that_is_none_is_refused_before_anything_is_done(busy: Bot, database_url: str, written: str) -> None:
    done = flask(database_url, "audit", "verify", "--seal", written)
    assert (done.exit_code, done.stdout, done.stderr.partition(":")[0]) == (2, "", "--seal")
    assert [row.seq for row in rows(busy.store)] == [None] * 3


# show


def test_it_shows_what_was_done_about_an_account(busy: Bot, database_url: str, clock: StoppedClock) -> None:
    done = flask(database_url, "audit", "show", "--account", ZAHRA["national_id"])
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "2026-09-01 12:30:00  bot  code_sent  ok",
        "2026-09-01 12:30:00  pilgrim …4567  code_requested  ok",
        "2026-09-01 12:30:00  pilgrim …0001  code_requested  refused  in_vain",
    ]
    assert ZAHRA["mobile"] not in done.output


def test_it_shows_the_last_ones(busy: Bot, database_url: str) -> None:
    whole = flask(database_url, "audit", "show", "--account", "۱۲۳۴۵۶۷۹").stdout.splitlines()
    last = flask(database_url, "audit", "show", "--account", "12345679", "--last", "2").stdout.splitlines()
    assert last == whole[1:]


def test_it_says_where_there_is_nothing(busy: Bot, database_url: str) -> None:
    done = flask(database_url, "audit", "show", "--account", FATIMA["national_id"])
    assert (done.exit_code, done.stdout) == (0, "Nothing was done or tried about this account.\n")


@pytest.mark.parametrize("person", [UNKNOWN_ID, "0012345678", "nobody", ""])
def test_an_unknown_id_is_not_repeated(busy: Bot, database_url: str, person: str) -> None:
    done = flask(database_url, "audit", "show", "--account", person)
    assert (done.exit_code, done.output) == (1, "No account has this national ID\n")


# What the commands leave


def test_what_the_operator_does_is_told(bot: Bot, database_url: str, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text("national_id,username,mobile\n0012345679,zahra,09121234567\n0012345678,bad,1\n", "utf-8")
    flask(database_url, "accounts", "import", str(people))
    flask(database_url, "season", "set", "--opens", "2026-08-14", "--closes", "2026-12-01")
    flask(database_url, "season", "clear")
    token = flask(database_url, "tokens", "create", "--name", "Fakher").stdout.splitlines()[-1]
    flask(database_url, "tokens", "revoke", "Fakher")
    flask(database_url, "tokens", "revoke", "Fakher")
    told = [(row.actor, row.action, row.outcome, row.reason, row.ref) for row in rows(bot.store)]
    assert told == [
        ("operator", "accounts_imported", "ok", "1 taken, 1 rejected", None),
        ("operator", "season_set", "ok", "2026-08-14 to 2026-12-01", None),
        ("operator", "season_cleared", "ok", None, None),
        ("operator", "token_created", "ok", None, token.partition(".")[0]),
        ("operator", "token_revoked", "ok", None, token.partition(".")[0]),
    ]
    assert token.partition(".")[2] not in repr(rows(bot.store))
    assert flask(database_url, "audit", "verify").exit_code == 0


def rows_of(number: int) -> Iterator[str]:
    """So many rows of a list that can be taken."""
    return (f"{it},u{it},09121234567\n" for it in national_ids(number))


def test_an_import_that_stops_in_the_middle_is_told(bot: Bot, database_url: str, tmp_path: Path) -> None:
    people, folder = tmp_path / "people.csv", tmp_path / "folder"
    os.mkfifo(people)
    folder.mkdir()

    def feed() -> None:
        with people.open("w", encoding="utf-8") as pipe:  # when the import has begun to read
            folder.rmdir()
            pipe.write(HEADER + "".join(rows_of(BATCH)) + "0012345678,bad,1\n")

    feeding = Thread(target=feed)
    feeding.start()
    done = flask(database_url, "accounts", "import", str(people), "--rejects", str(folder / "aside.csv"))
    feeding.join()
    assert done.exit_code == 1
    assert "aside.csv: can't be read or written (No such file or directory), so the import stopped. " in done.output
    assert f"{BATCH} accounts went in and stay, no row after them." in done.output
    told = [(row.action, row.outcome, row.reason) for row in rows(bot.store)]
    assert told == [("accounts_imported", "failed", f"{BATCH} taken, 0 rejected")]


def test_an_import_of_a_file_that_is_still_being_uploaded_says_so(bot: Bot, database_url: str, tmp_path: Path) -> None:
    people, is_over = tmp_path / "people.csv", Event()
    people.write_text(HEADER + "".join(rows_of(2 * BATCH)), "utf-8")

    def upload() -> None:
        with people.open("a") as file:
            while not is_over.wait(0.001):
                file.write("\n")
                file.flush()

    uploading = Thread(target=upload)
    uploading.start()
    try:
        done = flask(database_url, "accounts", "import", str(people))
    finally:
        is_over.set()
        uploading.join()
    assert (done.exit_code, "people.csv: changed while it was read" in done.output) == (1, True), done.output
    assert flask(database_url, "accounts", "import", str(people)).exit_code == 0


def test_an_import_reads_a_pipe_too(bot: Bot, database_url: str, tmp_path: Path) -> None:
    pipe, aside, number = tmp_path / "pipe", tmp_path / "aside.csv", 2 * BATCH + 1
    os.mkfifo(pipe)
    done = flask(database_url, "accounts", "import", str(pipe))
    assert (done.exit_code, "--rejects: is needed" in done.output) == (2, True)
    written = Thread(target=pipe.write_text, args=(HEADER + "".join(rows_of(number)),), daemon=True)
    written.start()
    done = flask(database_url, "accounts", "import", str(pipe), "--rejects", str(aside))
    assert (done.exit_code, f"{number} accounts" in done.output) == (0, True), done.output
    assert [(row.outcome, row.reason) for row in rows(bot.store)] == [("ok", f"{number} taken, 0 rejected")]


@pytest.mark.process
def test_without_keys_it_says_that_the_audit_knows_nothing(sqlite_url: str, tmp_path: Path) -> None:
    done = in_a_process("season", "clear", folder=tmp_path, DATABASE_URL=sqlite_url)
    assert done.returncode == 0
    assert "not in the audit" in done.stderr
    assert in_a_process("audit", "verify", folder=tmp_path, DATABASE_URL=sqlite_url).returncode == 2


# show, by more than an account


@pytest.fixture
def staffed(busy: Bot, clock: StoppedClock) -> Bot:
    employ(busy.store)
    clock.forward(days=1)
    busy.hear(Inbound("simulated", "M3", TEHRAN["mobile"], f"STATUS {ZAHRA['national_id']}"))
    return busy


def shown(url: str, *options: str) -> list[str]:
    done = flask(url, "audit", "show", *options)
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


def test_it_shows_by_staff_action_and_period(staffed: Bot, database_url: str) -> None:
    whole = shown(database_url)
    assert len(whole) == 4
    of_staff = shown(database_url, "--staff", "09111110001")
    assert of_staff == whole[3:] and "staff_status" in of_staff[0]
    assert shown(database_url, "--action", "code_requested") == whole[1:3]
    assert shown(database_url, "--from", "2026-09-02") == whole[3:]
    assert shown(database_url, "--to", "1405-06-10") == whole[:3]
    both = ("--account", ZAHRA["national_id"], "--action", "code_requested", "--last", "1")
    assert shown(database_url, *both) == whole[2:3]
    assert shown(database_url, "--to", "2026-08-01") == ["Nothing of this was done or tried."]


def test_it_shows_those_who_were_removed_and_knows_nobody_else(staffed: Bot, database_url: str) -> None:
    flask(database_url, "staff", "remove", "--mobile", TEHRAN["mobile"])
    assert len(shown(database_url, "--staff", TEHRAN["mobile"])) == 2
    done = flask(database_url, "audit", "show", "--staff", "09300000001")
    assert (done.exit_code, done.output) == (1, "No staff member has, or had, this number\n")
    assert flask(database_url, "audit", "show", "--action", "nonsense").exit_code == 2
    assert flask(database_url, "audit", "show", "--from", "yesterday").exit_code == 2


def test_it_writes_a_file(staffed: Bot, database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "audit.csv"
    done = flask(database_url, "audit", "show", "--csv", str(file))
    assert (done.exit_code, done.stdout) == (0, f"4 rows written to {file}.\n")
    first, *lines = file.read_text("utf-8").splitlines()
    assert first.startswith("\ufeffid,gregorian,jalali") and len(lines) == 4
    assert ",2026-09-02,1405/06/11,12:30:00,staff,…0001,staff_status,ok," in lines[-1]
    assert ZAHRA["national_id"] not in file.read_text("utf-8")
