"""The import of accounts: what is taken, what is put aside with its line and reason, and what leaves no trace."""

import csv
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any

import pytest
from sqlalchemy import select, update

from bot.accounts.csv_import import BATCH, BadFile, Import, Tally
from bot.build import Bot
from bot.credentials import passwords
from bot.credentials.keyring import Keyring
from bot.credentials.passwords import Hashed
from bot.phone_numbers import PhoneNumbers
from bot.ports import Inbound
from bot.settings import read_keys
from store.database.engine import Store
from store.tables import AccountRow, table
from tests.bot.cli.test_commands import flask
from tests.support.parts import KEYS, NOON, StoppedClock
from tests.support.people import ZAHRA, settled
from tests.support.places import ROOT

ACCOUNT = table(AccountRow)
HEADER = "national_id,username,mobile\n"
ROW = "0012345679,zahra,09121234567\n"
FULL = "national_id,username,mobile,full_name,province,broker,language,password,active\n"


@dataclass
class Desk:
    """Where files are imported, and what came of the last one."""

    store: Store
    folder: Path
    clock: StoppedClock
    keyring: Keyring | None = field(default_factory=lambda: Keyring.of(read_keys(KEYS)))

    @property
    def rejects(self) -> Path:
        return self.folder / "rejects.csv"

    def take(self, content: str | bytes) -> Tally:
        file = self.folder / "accounts.csv"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.rejects.unlink(missing_ok=True)
        return Import(self.store, PhoneNumbers("IR", ("IR",)), self.keyring, self.clock).run(
            file, self.rejects, lambda _: None
        )

    def put_aside(self) -> list[tuple[int, str]]:
        """Line and reason of every rejected row."""
        if not self.rejects.exists():
            return []
        with self.rejects.open(encoding="utf-8-sig", newline="") as lines:
            return [(int(row["line"]), row["reason"]) for row in csv.DictReader(lines)]

    def accounts(self) -> dict[str, Any]:
        with self.store.reading() as connection:
            return {row.national_id: row for row in connection.execute(select(ACCOUNT))}

    def refused(self, content: str | bytes) -> tuple[int, str]:
        """The line and reason of the one row that is put aside."""
        self.take(content)
        (only,) = self.put_aside()
        return only


@pytest.fixture
def desk(store: Store, tmp_path: Path, clock: StoppedClock) -> Desk:
    """On both databases: what the database has a part in."""
    return Desk(store, tmp_path, clock)


@pytest.fixture
def reader(sqlite_url: str, tmp_path: Path, clock: StoppedClock) -> Iterator[Desk]:
    """On SQLite: what is decided before the database is asked."""
    store = Store(sqlite_url)
    yield Desk(store, tmp_path, clock)
    store.close()


def national_ids(number: int, first: int = 10_000_000) -> Iterator[str]:
    """So many IDs with right check digits."""
    for nine in range(first, first + number * 37, 37):
        digits = f"{nine:09d}"
        rest = sum(weight * int(digit) for weight, digit in zip(range(10, 1, -1), digits, strict=True)) % 11
        yield f"{digits}{rest if rest < 2 else 11 - rest}"


# What is taken


def test_it_adds_an_account(desk: Desk) -> None:
    assert desk.take(HEADER + ROW) == Tally(1, 0)
    (account,) = desk.accounts().values()
    assert (account.national_id, account.username, account.mobile) == ("0012345679", "zahra", "+989121234567")
    assert account.active is True
    assert account.password_hash is None
    assert not desk.rejects.exists()


def test_it_takes_every_column(desk: Desk) -> None:
    desk.take(FULL + "0012345679,zahra,09121234567,زهرا احمدی,تهران,کارگزار,AR,Mecca#1447,No\n")
    (account,) = desk.accounts().values()
    assert (account.full_name, account.province, account.broker) == ("زهرا احمدی", "تهران", "کارگزار")
    assert (account.language, account.active) == ("ar", False)
    assert (account.password_key, account.password_set_at, account.password_expires_at) == ("k1", NOON, None)
    assert passwords.verify(
        Keyring.of(read_keys(KEYS)), Hashed(account.password_hash, account.password_key), "Mecca#1447"
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_it_reads_utf_8_with_and_without_a_mark_and_any_line_end(reader: Desk, encoding: str, end: str) -> None:
    text = "national_id,username,mobile,full_name\n0012345679,zahra,09121234567,زهرا\n".replace("\n", end)
    assert reader.take(text.encode(encoding)) == Tally(1, 0)
    assert reader.accounts()["0012345679"].full_name == "زهرا"


def test_it_takes_columns_in_any_order_and_case(reader: Desk) -> None:
    assert reader.take("Mobile, USERNAME ,national_id\n09121234567,zahra,0012345679\n") == Tally(1, 0)


def test_it_takes_a_last_line_without_an_end_and_skips_empty_ones(reader: Desk) -> None:
    assert reader.take(HEADER + "\n" + ROW + "\n8052916372,omid,09351112233") == Tally(2, 0)


@pytest.mark.parametrize("person", ["0012345679", "۰۰۱۲۳۴۵۶۷۹", "٠٠١٢٣٤٥٦٧٩", "12345679", "012345679", " 0012345679 "])
def test_it_reads_an_id_in_any_digits_and_without_its_zeros(reader: Desk, person: str) -> None:
    reader.take(f"{HEADER}{person},zahra,09121234567\n")
    assert list(reader.accounts()) == ["0012345679"]


@pytest.mark.parametrize(
    "mobile",
    ["09121234567", "+989121234567", "9121234567", "00989121234567", "۰۹۱۲۱۲۳۴۵۶۷", "٠٩١٢١٢٣٤٥٦٧", "0912 123 4567"],
)
def test_it_reads_a_mobile_however_it_is_written(reader: Desk, mobile: str) -> None:
    reader.take(f"{HEADER}0012345679,zahra,{mobile}\n")
    assert reader.accounts()["0012345679"].mobile == "+989121234567"


@pytest.mark.parametrize(
    ("written", "active"),
    [("true", True), ("TRUE", True), ("1", True), ("yes", True), ("false", False), ("0", False), ("No", False)],
)
def test_it_reads_active_in_words_and_digits(reader: Desk, written: str, active: bool) -> None:
    reader.take(f"national_id,username,mobile,active\n0012345679,zahra,09121234567,{written}\n")
    assert reader.accounts()["0012345679"].active is active


def test_it_lets_two_people_share_a_mobile(desk: Desk) -> None:
    assert desk.take(HEADER + ROW + "8052916372,omid,09121234567\n") == Tally(2, 0)


# Updates


def test_it_updates_an_account_and_leaves_absent_columns_alone(desk: Desk) -> None:
    desk.take(FULL + "0012345679,zahra,09121234567,Zahra,Tehran,Noor,en,Mecca#1447,no\n")
    before = desk.accounts()["0012345679"]
    assert desk.take(HEADER + "0012345679,zahra2,09121234567\n") == Tally(1, 0)
    after = desk.accounts()["0012345679"]
    assert after.username == "zahra2"
    changed = {name for name in before._fields if getattr(before, name) != getattr(after, name)}
    assert changed == {"username"}


def test_it_leaves_what_an_empty_cell_would_erase(desk: Desk) -> None:
    desk.take(FULL + "0012345679,zahra,09121234567,Zahra,Tehran,Noor,en,Mecca#1447,no\n")
    before = desk.accounts()["0012345679"]
    desk.take(FULL + "0012345679,zahra,09121234567,,,  ,,,\n")
    assert desk.accounts()["0012345679"] == before


def test_it_keeps_the_former_mobile_of_one_that_changed(desk: Desk, clock: StoppedClock) -> None:
    desk.take(HEADER + ROW)
    clock.forward(days=1)
    desk.take(HEADER + "0012345679,zahra,09351112233\n")
    account = desk.accounts()["0012345679"]
    assert (account.mobile, account.former_mobile) == ("+989351112233", "+989121234567")
    assert account.mobile_changed_at == NOON + timedelta(days=1)


def test_it_unlocks_nobody_and_forgets_no_failure(desk: Desk) -> None:
    desk.take(HEADER + ROW)
    with desk.store.writing() as connection:
        connection.execute(update(ACCOUNT).values(failures=99, locked_at=NOON))
    desk.take(HEADER + ROW)
    account = desk.accounts()["0012345679"]
    assert (account.failures, account.locked_at) == (99, NOON)


def test_the_later_of_two_rows_for_one_person_holds(desk: Desk) -> None:
    desk.take(HEADER + ROW + "0012345679,zahra3,09351112233\n")
    account = desk.accounts()["0012345679"]
    assert (account.username, account.mobile) == ("zahra3", "+989351112233")


def test_a_refused_later_row_for_one_person_undoes_no_earlier_one(desk: Desk) -> None:
    tally = desk.take(HEADER + "8052916372,omid,09351112233\n" + ROW + "0012345679,omid,09121234567\n")
    assert [line for line, _ in desk.put_aside()] == [4]
    assert sorted(desk.accounts()) == ["0012345679", "8052916372"]
    assert tally == Tally(2, 1)


# What is put aside


@pytest.mark.parametrize(
    ("row", "about"),
    [
        ("0012345678,zahra,09121234567", "national_id"),
        ("1234567,zahra,09121234567", "national_id"),
        ("00123456790,zahra,09121234567", "national_id"),
        ("1111111111,zahra,09121234567", "national_id"),
        ("1.2345679E+07,zahra,09121234567", "national_id"),
        (",zahra,09121234567", "national_id"),
        ("0012345679,zahra,9.12123E+09", "mobile"),
        ("0012345679,zahra,9.121234567E+09", "mobile"),
        ("0012345679,zahra,0912CALLNOW", "mobile"),
        ("0012345679,zahra,02112345678", "mobile"),
        ("0012345679,zahra,+966501234567", "mobile"),
        ("0012345679,zahra,", "mobile"),
        ("0012345679,,09121234567", "username"),
        ("0012345679,   ,09121234567", "username"),
        (f"0012345679,{'u' * 81},09121234567", "username"),
        ("0012345679,zahra", "cells"),
        ("0012345679,zahra,09121234567,more", "cells"),
        ("0012345679", "cells"),
    ],
)
def test_it_puts_a_bad_row_aside_with_line_and_reason_and_takes_the_others(reader: Desk, row: str, about: str) -> None:
    content = HEADER + "8052916372,omid,09351112233\n" + row + "\n4409173529,fatima,09162223344\n"
    line, reason = reader.refused(content)
    assert line == 3
    assert about in reason
    assert sorted(reader.accounts()) == ["4409173529", "8052916372"]


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("active", "maybe"),
        ("active", "2"),
        ("language", "de"),
        ("language", "../fa"),
        ("full_name", "n" * 121),
        ("province", "p" * 61),
        ("broker", "b" * 61),
        ("password", "p" * 1025),
    ],
)
def test_it_names_the_column_that_is_wrong(reader: Desk, column: str, cell: str) -> None:
    line, reason = reader.refused(f"{HEADER.strip()},{column}\n{ROW.strip()},{cell}\n")
    assert (line, column in reason) == (2, True)


@pytest.mark.parametrize("cell", ["a\0b", "\0", "zahra\0"])
def test_it_puts_a_row_with_a_nul_aside(desk: Desk, cell: str) -> None:
    content = f"{HEADER.strip()},full_name\n{ROW.strip()},{cell}\n8052916372,omid,09351112233,Omid\n"
    assert desk.refused(content)[0] == 2
    assert list(desk.accounts()) == ["8052916372"]


def test_it_refuses_a_username_that_belongs_to_another(desk: Desk) -> None:
    desk.take(HEADER + ROW)
    line, reason = desk.refused(HEADER + "4409173529,fatima,09162223344\n8052916372,zahra,09351112233\n")
    assert (line, "username" in reason) == (3, True)
    assert sorted(desk.accounts()) == ["0012345679", "4409173529"]


def test_it_refuses_a_username_that_stands_twice_in_a_file(desk: Desk) -> None:
    line, reason = desk.refused(HEADER + ROW + "8052916372,zahra,09351112233\n")
    assert (line, "username" in reason) == (3, True)


def test_it_refuses_a_username_that_stands_twice_far_apart(desk: Desk) -> None:
    between = "".join(f"{person},u{person},09351112233\n" for person in national_ids(BATCH + 10))
    line, _ = desk.refused(HEADER + ROW + between + "8052916372,zahra,09351112233\n")
    assert line == BATCH + 13
    assert len(desk.accounts()) == BATCH + 11


def test_it_costs_torn_bytes_their_row_alone(reader: Desk) -> None:
    head = b"national_id,username,mobile,full_name\n0012345679,zahra,09121234567,Za\xff\xfehra\n"
    line, reason = reader.refused(head + "8052916372,omid,09351112233,امید\n".encode())
    assert (line, reason) == (2, "not UTF-8")
    assert list(reader.accounts()) == ["8052916372"]


def test_it_costs_a_huge_cell_its_row_alone(reader: Desk) -> None:
    content = HEADER + f"0012345679,{'z' * 300_000},09121234567\n8052916372,omid,09351112233\n"
    assert reader.refused(content)[0] == 2
    assert list(reader.accounts()) == ["8052916372"]


def test_it_counts_lines_as_an_editor_does(reader: Desk) -> None:
    assert reader.refused(HEADER + ROW + "\n\n1,x,09121234567\n")[0] == 5


def test_a_row_is_a_line(reader: Desk) -> None:
    reader.take('national_id,username,mobile,full_name\n0012345679,zahra,09121234567,"two\nlines"\n')
    assert [line for line, _ in reader.put_aside()] == [2, 3]


def test_it_says_where_a_quote_was_opened_that_is_never_closed(reader: Desk) -> None:
    rest = "".join(f"{person},u{person},09351112233\n" for person in national_ids(5))
    line, _ = reader.refused(HEADER + ROW + '8052916372,"omid,09351112233\n' + rest)
    assert line == 3
    assert len(reader.accounts()) == 6


@pytest.mark.parametrize("name", ["", '"Ahmadi, Zahra"'])
def test_a_quote_that_is_never_closed_costs_no_other_row(reader: Desk, name: str) -> None:
    rest = "".join(f"{person},u{person},09351112233,{name}\n" for person in national_ids(5000))
    tally = reader.take(f'{HEADER.strip()},full_name\n{ROW.strip()},\n8052916372,omid,09351112233,"Omid\n{rest}')
    assert [line for line, _ in reader.put_aside()] == [3]
    assert tally == Tally(5001, 1)
    assert len(reader.accounts()) == 5001


def test_it_writes_the_rejects_so_that_they_can_be_mended_and_imported(reader: Desk) -> None:
    reader.take(f"{HEADER.strip()},full_name\n0012345678,zahra,09121234567,زهرا\n")
    raw = reader.rejects.read_bytes()
    assert raw.startswith(b"\xef\xbb\xbfline,reason,national_id,username,mobile,full_name\r\n")
    assert "0012345678,zahra,09121234567,زهرا".encode() in raw


# The file as a whole


@pytest.mark.parametrize(
    ("content", "about"),
    [
        (b"", "missing national_id"),
        (b"\n", "missing national_id"),
        (b"username,mobile\nzahra,0912\n", "missing national_id"),
        (b"national_id;username;mobile\n", "missing"),
        (HEADER.strip().encode() + b",pasword\n", "unknown 'pasword'"),
        (HEADER.strip().encode() + b",username\n", "twice"),
        (b"\xff\xfen\0a\0t\0", "missing"),
        (b"PK\x03\x04\x14\0\x06\0\x08\0", "missing"),
        (b"x" * 300_000, "header"),
    ],
)
def test_it_refuses_a_file_that_is_no_list_of_accounts(reader: Desk, content: bytes, about: str) -> None:
    with pytest.raises(BadFile, match=about):
        reader.take(content)
    assert reader.accounts() == {}


def test_it_takes_a_header_alone_for_an_empty_list(reader: Desk) -> None:
    assert reader.take(HEADER) == Tally(0, 0)
    assert reader.take(HEADER.strip()) == Tally(0, 0)


def test_it_tells_how_far_it_is(reader: Desk) -> None:
    content = HEADER + "".join(f"{person},u{person},09351112233\n" for person in national_ids(1200))
    file, seen = reader.folder / "a.csv", list[int]()
    file.write_text(content, "utf-8")
    Import(reader.store, PhoneNumbers("IR", ("IR",)), None, reader.clock).run(file, reader.rejects, seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == len(content)
    assert len(seen) >= 3


# Passwords


SECRET = "Mecca#1447-is-a-secret"


def bytes_of_database(desk: Desk) -> bytes:
    database = desk.store.url.database or ""
    files = [Path(database + tail) for tail in ("", "-wal", "-shm")]
    return b"".join(file.read_bytes() for file in files if file.exists())


def test_a_password_in_clear_leaves_no_trace(reader: Desk) -> None:
    reader.take(FULL + f"0012345679,zahra,09121234567,,,,,{SECRET},\n8052916372,omid,0935,,,,,{SECRET},\n")
    assert [line for line, _ in reader.put_aside()] == [3]
    assert SECRET.encode() not in bytes_of_database(reader)
    assert SECRET not in reader.rejects.read_text("utf-8-sig")


@pytest.mark.parametrize(
    "row",
    [
        f"0012345679,zahra,09121234567,Ahmadi, Zahra,,,,{SECRET},\n",
        f"0012345679,zahra,09121234567,,{SECRET}\n",
        f'0012345679,zahra,09121234567,"Zahra,,,,,\n8052916372,omid,09351112233,,,,,{SECRET},\n',
        f'0012345679,zahra,09121234567,,,,,,"\n8052916372,omid,09351112233,,,,,{SECRET},\n',
        f"0012345679,zahra,09121234567,,,,,{SECRET}\xff,\n",
    ],
    ids=["a comma too many", "cells missing", "a quote not closed", "nor the last", "torn"],
)
def test_a_bad_row_takes_no_password_to_the_rejects_wherever_it_stands(reader: Desk, row: str) -> None:
    reader.take(FULL.encode() + row.encode("latin-1"))
    assert reader.put_aside() != []
    assert SECRET not in reader.rejects.read_text("utf-8-sig", "replace")


def test_it_refuses_a_password_that_it_has_no_keys_for(reader: Desk) -> None:
    reader.keyring = None
    _, reason = reader.refused(f"{HEADER.strip()},password\n{ROW.strip()},{SECRET}\n8052916372,omid,09351112233,\n")
    assert "SECRET_KEYS" in reason
    assert list(reader.accounts()) == ["8052916372"]


# Beside a bot at work


def test_a_text_is_heard_while_an_import_runs(bot: Bot, database_url: str, tmp_path: Path) -> None:
    settled(bot)
    file = tmp_path / "many.csv"
    file.write_text(HEADER + "".join(f"{it},u{it},09351112233\n" for it in national_ids(20_000)), "utf-8")
    other = Store(database_url)  # as another process would
    job = Import(other, PhoneNumbers("IR", ("IR",)), None, bot.clock)
    thread = Thread(target=job.run, args=(file, tmp_path / "rejects.csv", lambda _: None))
    thread.start()
    waits, number, start = [], 0, monotonic()
    while thread.is_alive():
        began, number = monotonic(), number + 1
        assert bot.hear(Inbound("simulated", f"M{number}", ZAHRA["mobile"], "انصراف")) is not None
        waits.append(monotonic() - began)
    thread.join()
    other.close()
    assert number >= 20, f"only {number} texts were heard meanwhile"
    assert max(waits) < (monotonic() - start) / 2


# The command


@pytest.mark.process
def test_the_command_says_by_its_exit_what_came_of_the_file(sqlite_url: str, tmp_path: Path) -> None:
    good, mixed, bad = tmp_path / "good.csv", tmp_path / "mixed.csv", tmp_path / "bad.csv"
    good.write_text(HEADER + ROW, "utf-8")
    mixed.write_text(
        f"{HEADER.strip()},password\n0012345679,zahra,0912,{SECRET}\n8052916372,omid,09351112233,{SECRET}\n"
    )
    bad.write_text("name\nx\n", "utf-8")
    environment = {"DATABASE_URL": sqlite_url, "SECRET_KEYS": KEYS}

    done = flask("accounts", "import", str(good), folder=tmp_path, **environment)
    assert (done.returncode, "1 accounts" in done.stdout) == (0, True)
    done = flask("accounts", "import", str(mixed), "--rejects", "aside.csv", folder=tmp_path, **environment)
    assert (done.returncode, "1 rows rejected: aside.csv" in done.stderr) == (3, True)
    assert "2,mobile" in (tmp_path / "aside.csv").read_text("utf-8-sig")
    assert not any(secret in done.stdout + done.stderr for secret in (SECRET, "0012345679", "09351112233"))
    done = flask("accounts", "import", str(bad), folder=tmp_path, **environment)
    assert (done.returncode, "missing national_id" in done.stderr) == (2, True)
    done = flask("accounts", "import", "none.csv", folder=tmp_path, **environment)
    assert done.returncode == 2
    done = flask("accounts", "import", str(good), "--rejects", str(good), folder=tmp_path, **environment)
    assert (done.returncode, good.read_text("utf-8")) == (2, HEADER + ROW)
    assert SECRET.encode() not in Path(sqlite_url.removeprefix("sqlite:///")).read_bytes()


MEASURED = """
import resource, sys
from pathlib import Path
from bot.accounts import Import
from bot.calendars import system_clock
from bot.phones import Phones
from store.engine import Store

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

store, file, before = Store(sys.argv[1]), Path(sys.argv[2]), peak()
tally = Import(store, Phones("IR", ("IR",)), None, system_clock).run(file, file.with_suffix(".rejects"), lambda _: None)
print(tally.taken, tally.rejected, peak() - before)
"""


@pytest.mark.process
def test_two_hundred_thousand_rows_need_no_more_memory_than_a_few(sqlite_url: str, tmp_path: Path) -> None:
    file, number = tmp_path / "many.csv", 200_000
    with file.open("w", encoding="utf-8") as lines:
        lines.write(HEADER)
        lines.writelines(f"{it},user{it},0912{it[2:9]}\n" for it in national_ids(number))
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, sqlite_url, str(file)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    taken, rejected, grown = map(int, done.stdout.split())
    assert (taken, rejected) == (number, 0)
    assert grown < 40, f"{grown} MiB"
