"""The import of accounts: what is taken, what a file is as a whole, and what leaves no trace."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from threading import Event, Thread
from time import monotonic

import pytest
from psycopg.errors import AdminShutdown, DiskFull, LockNotAvailable
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from bot.accounts.csv_import import BATCH, BadFile, Import, ImportResult
from bot.build import Bot
from bot.credentials import passwords
from bot.credentials.keyring import Keyring
from bot.credentials.passwords import Hashed
from bot.platform.phone_numbers import PhoneNumbers
from bot.ports import Inbound
from bot.settings import read_keys
from store.database.engine import Store, is_disk_full, is_locked
from tests.bot.cli.test_commands import flask
from tests.soak.databases import fill, small_disk
from tests.support.import_desk import ACCOUNT, FULL, HEADER, ROW, Desk, national_ids
from tests.support.parts import KEYS, PATIENCE_SECONDS, eventually
from tests.support.people import ZAHRA, settled
from tests.support.places import ROOT

# What is taken


def uploaded_further(file: Path) -> None:
    with file.open("a") as more:
        more.write(ROW)


def cut_short(file: Path) -> None:
    os.truncate(file, len(HEADER))


def replaced(file: Path) -> None:
    other = file.with_name("other.csv")
    other.write_text(file.read_text())
    other.replace(file)


def removed(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize("happens", [uploaded_further, cut_short, replaced, removed])
def test_a_file_that_changes_while_it_is_read_is_told(desk: Desk, happens: Callable[[Path], None]) -> None:
    """Of one that is still being uploaded, the last row may be a part of one: a password, say, without its end."""
    file = desk.folder / "accounts.csv"
    batches = count()

    def progress(_read: int) -> None:
        if next(batches) == 0:
            happens(file)

    file.write_text(HEADER + "".join(f"{it},u{it},09121234567\n" for it in national_ids(2 * BATCH)))
    reading = Import(desk.store, PhoneNumbers("IR", ("IR",)), desk.passwords(), desk.clock)
    assert reading.run(file, desk.rejects, progress).has_changed
    assert len(desk.accounts()) >= BATCH


def test_it_adds_an_account(desk: Desk) -> None:
    assert desk.take(HEADER + ROW) == ImportResult(1, 0)
    (account,) = desk.accounts().values()
    assert (account.national_id, account.username, account.mobile) == ("0012345679", "zahra", "+989121234567")
    assert account.active is True
    assert account.password_hash is None
    assert not desk.rejects.exists()


def test_it_keeps_a_place_in_the_spelling_that_is_compared(desk: Desk) -> None:
    head = "national_id,username,mobile,province,broker\n"
    desk.take(f"{head}0012345679,zahra,09121234567,خراسان\u200cرضوي,Noor  Travel\n")
    (account,) = desk.accounts().values()
    assert (account.province, account.broker) == ("خراسان رضوی", "noor travel")
    assert desk.refused(f"{head}8052916372,omid,09351112233,ـ,\n") == (2, "province has nothing that can be seen")
    assert desk.refused(f"{head}8052916372,omid,09351112233,{'ﷺ' * 20},\n") == (
        2,
        "province is longer than 60 characters",
    )


def test_it_takes_every_column(desk: Desk) -> None:
    desk.take(FULL + "0012345679,zahra,09121234567,زهرا احمدی,تهران,کارگزار,AR,Mecca#1447,No\n")
    (account,) = desk.accounts().values()
    assert (account.full_name, account.province, account.broker) == ("زهرا احمدی", "تهران", "کارگزار")
    assert (account.language, account.active) == ("ar", False)
    assert (account.password_key, account.password_expires_at) == ("k1", None)
    assert passwords.verify(
        Keyring.of(read_keys(KEYS)), Hashed(account.password_hash, account.password_key), "Mecca#1447"
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_it_reads_utf_8_with_and_without_a_mark_and_any_line_end(reader: Desk, encoding: str, end: str) -> None:
    text = "national_id,username,mobile,full_name\n0012345679,zahra,09121234567,زهرا\n".replace("\n", end)
    assert reader.take(text.encode(encoding)) == ImportResult(1, 0)
    assert reader.accounts()["0012345679"].full_name == "زهرا"


def test_it_takes_columns_in_any_order_and_case(reader: Desk) -> None:
    assert reader.take("Mobile, USERNAME ,national_id\n09121234567,zahra,0012345679\n") == ImportResult(1, 0)


def test_it_takes_a_last_line_without_an_end_and_skips_empty_ones(reader: Desk) -> None:
    assert reader.take(HEADER + "\n" + ROW + "\n8052916372,omid,09351112233") == ImportResult(2, 0)


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
    assert desk.take(HEADER + ROW + "8052916372,omid,09121234567\n") == ImportResult(2, 0)


CLERKS: dict[str, str | bytes] = {
    "semicolons": "national_id;username;mobile\n0012345679;zahra;09121234567\n",
    "tabs": "national_id\tusername\tmobile\n0012345679\tzahra\t09121234567\n",
    "sep": "sep=;\r\nnational_id;username;mobile\r\n0012345679;zahra;09121234567\r\n",
    "sep in quotes": '"sep=\t"\nnational_id\tusername\tmobile\n0012345679\tzahra\t09121234567\n',
    "all in quotes": '\ufeff"national_id","username","mobile"\n"0012345679","zahra","09121234567"\n',
    "empty columns": ",national_id,,username,mobile,,\n,0012345679,,zahra,09121234567,,\n",
    "more commas than columns": "national_id,username,mobile\n0012345679,zahra,09121234567,,,\n",
    "more, and a name": "national_id,username,mobile,full_name\n0012345679,zahra,09121234567,,,\n",
    "fewer where columns are empty": "national_id,username,mobile,,\n0012345679,zahra,09121234567\n",
    "empty rows": "\n,,\nnational_id,username,mobile\n,,\n  , ,\t\n0012345679,zahra,09121234567\n\n,,,\n",
    "two marks": b"\xef\xbb\xbf" * 2 + (HEADER + ROW).encode(),
    "a mark and quotes": b'\xef\xbb\xbf"national_id",username,mobile\n' + ROW.encode(),
    "two files in one": HEADER + "\ufeff" + '"0012345679",zahra,09121234567\n',
    "sep and a mark": b"\xef\xbb\xbfsep=,\r\n" + (HEADER + ROW).encode(),
    "ctrl-z": HEADER + ROW + "\x1a",
    "ctrl-z in the last cell": HEADER + ROW.strip() + "\x1a",
    "marks in the header": "\u200fnational_id\u200e,user\u200bname,\u2067mobile\u2069\n" + ROW,
    "marks in the user name": HEADER + "0012345679,\u200ez\u00adah\u200cra\u200f\ufeff,09121234567\n",
    "marks in numbers": HEADER + "\u202a0012345679\u202c,zahra,\u200e09121234567\u200e\n",
    "no-break spaces": HEADER + "0012345679\u00a0,\u00a0zahra\u00a0,0912\u00a0123\u00a04567\n",
    "apostrophes": HEADER + "'0012345679,'zahra,'09121234567\n",
    "formulas": HEADER + '="0012345679",="zahra","=""09121234567"""\n',
    "numbers": HEADER + "12345679.0,zahra,9121234567.00\n",
    "as on the card": HEADER + "001-234567-9,zahra,09121234567\n",
    "as on the card, no zeros": HEADER + "1-234567-9,zahra,9121234567\n",
    "en dashes": HEADER + "001–234567–9,zahra,0912–123–4567\n",
    "other dashes": HEADER + "001‑234567−9,zahra,0912—123‐4567\n",
    "brackets": HEADER + "0012345679,zahra,(0912) 123-4567\n",
    "brackets round a country": HEADER + "0012345679,zahra,(+98) 912 123 4567\n",
    "persian digits": "national_id,username,mobile,active\n۰۰۱۲۳۴۵۶۷۹,zahra,۰۹۱۲۱۲۳۴۵۶۷,۱\n",
    "persian digits, apart": HEADER + "۰۰۱-۲۳۴۵۶۷-۹,zahra,(۰۹۱۲) ۱۲۳–۴۵۶۷\n",
    "words in the header": "National ID,Username, MOBILE \n" + ROW,
    "names in Persian": "ردیف,کد ملی,نام کاربری,شماره تلفن همراه\n1,0012345679,zahra,09121234567\n",
    "names in Persian, half-spaces": "کد\u200cملی,نام\u200cکاربری,موبایل\n0012345679,zahra,09121234567\n",
    "names in Persian, Arabic letters": "كد ملي,نام كاربري,موبايل\n0012345679,zahra,09121234567\n",
    "names in Arabic": "الرقم الوطني,اسم المستخدم,رقم الجوال\n0012345679,zahra,09121234567\n",
    "units in the header": "کد ملی (۱۰ رقم),نام کاربری*,mobile [09…]:\n0012345679,zahra,09121234567\n",
    "words without spaces": "NationalID,UserName,Mobile\n" + ROW,
    "line breaks in the header": '"national\nid",username,"mobile\n"\n' + ROW,
    "the header again": HEADER + "National ID,Username,Mobile\n" + ROW + HEADER,
    "sep and its columns": "sep=;;;\nnational_id;username;mobile\n0012345679;zahra;09121234567\n",
    "sep that is wrong": "sep=,\nnational_id;username;mobile\n0012345679;zahra;09121234567\n",
    "thousands": HEADER + '"12,345,679",zahra,"9,121,234,567.0"\n',
    "persian thousands": HEADER + "۱۲٬۳۴۵٬۶۷۹,zahra,۹٬۱۲۱٬۲۳۴٬۵۶۷٫۰\n",
    "SQL's quotes": HEADER + "'0012345679','zahra','09121234567'\n",
    "half a formula": HEADER + "='0012345679',zahra,='09121234567\n",
    "rejects": "line,reason,national_id,username,mobile\n2,mobile is wrong,0012345679,zahra,'+989121234567\n",
    "line ends of an old Macintosh": (HEADER + ROW).replace("\n", "\r"),
    "line breaks in cells": 'national_id,username,mobile\n"0012345679\n"," zahra\r\n","\n09121234567"\n',
}


@pytest.mark.parametrize("kind", CLERKS)
def test_it_reads_what_clerks_spreadsheets_write(reader: Desk, kind: str) -> None:
    assert reader.take(CLERKS[kind]) == ImportResult(1, 0)
    (account,) = reader.accounts().values()
    assert (account.national_id, account.username, account.mobile) == ("0012345679", "zahra", "+989121234567")


def test_it_keeps_what_is_part_of_a_name(reader: Desk) -> None:
    """A joiner within a Persian word is its spelling; digits of a user name are as Fakher has them."""
    reader.take(f"{HEADER.strip()},full_name\n0012345679,زهرا۱,09121234567,علی\u200cرضا  نام\u200cخانوادگی\u200c\n")
    (account,) = reader.accounts().values()
    assert (account.username, account.full_name) == ("زهرا۱", "علی\u200cرضا  نام\u200cخانوادگی")


def test_what_a_database_writes_for_nothing_is_nothing(reader: Desk) -> None:
    """Above all no password, which everybody without one would have."""
    assert reader.take(f"{FULL}0012345679,zahra,09121234567,NULL,NULL,NULL,NULL,NULL,NULL\n") == ImportResult(1, 0)
    (account,) = reader.accounts().values()
    assert (account.full_name, account.province, account.password_hash, account.active) == (None, None, None, True)


def test_another_header_in_the_middle_ends_the_import(reader: Desk) -> None:
    """Read under the first, a name would be taken for a user name."""
    first, second = "national_id,username,mobile,full_name\n", "national_id,full_name,mobile,username\n"
    lists = f"{first}0012345679,zahra,09121234567,Zahra\n{second}8052916372,Omid,09351112233,omid\n"
    assert reader.take(lists + first + "4409173529,fatima,09162223344,Fatima\n") == ImportResult(1, 1, ended=3)
    ((line, reason),) = reader.put_aside()
    assert (line, "header" in reason) == (3, True)
    assert list(reader.accounts()) == ["0012345679"]


# The file as a whole


@pytest.mark.parametrize(
    ("content", "about"),
    [
        (b"", "the file is empty; missing national_id"),
        (b"\n,,\n", "the file is empty; missing national_id"),
        (b"username,mobile\nzahra,0912\n", "missing national_id"),
        (HEADER.strip().encode() + b",pasword\n", "unknown 'pasword'"),
        (HEADER.strip().encode() + b",username\n", "username stands twice"),
        ("کد ملی,نام کاربری,موبایل,تلفن همراه\n".encode(), "mobile stands twice"),
        ("کد ملی,نام کاربری,موبایل,نام پدر\n".encode(), "unknown 'نام_پدر'"),
        (HEADER.encode("utf-16"), "UTF-16"),
        (HEADER.encode("utf-16-le"), "UTF-16"),
        (HEADER.encode("utf-16-be"), "UTF-16"),
        ("کد ملی\tنام کاربری\tموبایل\r\n".encode("utf-16-le"), "UTF-16"),
        ("کد ملی\tنام کاربری\tموبایل\r\n".encode("utf-16-be"), "UTF-16"),
        (HEADER.encode("utf-32"), "UTF-32"),
        (b"PK\x05\x06" + bytes(18), "zip"),
        (b"\x1f\x8b\x08\0" + bytes(60), "gzip"),
        (b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", "PDF"),
        (b"{\\rtf1\\ansi national_id}", "RTF"),
        (b"SQLite format 3\0" + bytes(100), "database"),
        (b"<html><table><tr><td>national_id</td></tr></table></html>", "web page"),
        (b"\xef\xbb\xbf\r\n<!DOCTYPE html>", "web page"),
        (b'<?xml version="1.0"?><Workbook>', "XML"),
        (b'[{"national_id":"0012345679"}]', "JSON"),
        ((HEADER + ROW).replace(",", "|").encode(), "missing mobile.*one cell: part its columns"),
        ((HEADER + ROW).replace(",", "،").encode(), "missing mobile.*one cell: part its columns"),
        (b'"national_id,username,mobile"\n', "missing mobile.*one cell: part its columns"),
        ("فهرست\n".encode() + HEADER.replace(",", ";").encode(), "title.*above line 2"),
        ("سامانه,,\n,,\nکد ملی,نام کاربری,موبایل\n".encode(), "title.*above line 3"),
        (b"PK\x03\x04\x14\0\x06\0\x08\0", "workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "workbook"),
        ("شناسه,نام\n".encode("cp1256"), "not UTF-8"),
        (ROW.encode() * 2, "no header, line 1"),
        (b"\n" + "۰۰۱۲۳۴۵۶۷۹;زهرا;۰۹۱۲\n".encode(), "no header, line 2"),
        (b"Leaders of 1405,,\n\n" + HEADER.encode() + ROW.encode(), "title.*above line 3"),
        (b"x" * 300_000, "header"),
        (b'national_id,username,"mobile\n' * 3, "header"),
    ],
)
def test_it_refuses_a_file_that_is_no_list_of_accounts(reader: Desk, content: bytes, about: str) -> None:
    with pytest.raises(BadFile, match=about) as refused:
        reader.take(content)
    assert reader.accounts() == {}
    assert "0012345679" not in str(refused.value)


def test_it_takes_a_header_alone_for_an_empty_list(reader: Desk) -> None:
    assert reader.take(HEADER) == ImportResult(0, 0)
    assert reader.take(HEADER.strip()) == ImportResult(0, 0)


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


@pytest.mark.slow
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
    moved, unclosed = tmp_path / "moved.csv", tmp_path / "unclosed.csv"
    moved.write_text(HEADER + "0012345679,zahra,09121230000\n0012345679,zahra,09121230000\n", "utf-8")
    unclosed.write_text(HEADER + '0012345679,"zahra,09121230000\n8052916372,omid,09351112233\n', "utf-8")
    done = flask("accounts", "import", str(moved), folder=tmp_path, **environment)
    assert (done.returncode, "--change-mobiles" in (tmp_path / "moved.rejects.csv").read_text()) == (3, True)
    keyless = {"DATABASE_URL": sqlite_url}
    done = flask("accounts", "import", str(moved), "--change-mobiles", folder=tmp_path, **keyless)
    assert (done.returncode, "SECRET_KEYS" in done.stderr) == (2, True)
    done = flask("accounts", "import", str(moved), "--change-mobiles", folder=tmp_path, **environment)
    assert (done.returncode, done.stdout.splitlines()) == (
        0,
        [
            "1 accounts added or updated.",
            "1 registered mobiles changed: each is in the audit, and both numbers are told.",
            "1 rows were about an account that an earlier row was about: the last one holds.",
        ],
    )
    done = flask("accounts", "import", str(unclosed), folder=tmp_path, **environment)
    assert (done.returncode, "ended at line 2" in done.stderr) == (3, True)
    done = flask("accounts", "import", "none.csv", folder=tmp_path, **environment)
    assert done.returncode == 2
    done = flask("accounts", "import", str(good), "--rejects", str(good), folder=tmp_path, **environment)
    assert (done.returncode, good.read_text("utf-8")) == (2, HEADER + ROW)
    assert SECRET.encode() not in Path(sqlite_url.removeprefix("sqlite:///")).read_bytes()


MEASURED = """
import re, sys
from pathlib import Path
from bot.accounts.csv_import import Import
from bot.platform.clock import system_clock
from bot.platform.phone_numbers import PhoneNumbers
from store.database.engine import Store

def peak():
    # Not ru_maxrss: that begins with what the process had that started this one.
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024

store, file, before = Store(sys.argv[1]), Path(sys.argv[2]), peak()
taking = Import(store, PhoneNumbers("IR", ("IR",)), None, system_clock)
result = taking.run(file, file.with_suffix(".rejects"), lambda _: None)
print(result.taken, result.rejected, peak() - before)
"""


@pytest.mark.process
def test_fifty_thousand_rows_need_no_more_memory_than_a_few(sqlite_url: str, tmp_path: Path) -> None:
    file, number = tmp_path / "many.csv", 50_000
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
    assert grown < 10, f"{grown} MiB"


@pytest.mark.process
def test_an_import_that_fills_the_disk_says_so_and_what_is_in_and_can_be_run_again(tmp_path: Path) -> None:
    file = tmp_path / "many.csv"
    file.write_text(HEADER + "1,a,2\n" + "".join(f"{it},user{it},09121234567\n" for it in national_ids(20_000)))
    with small_disk(tmp_path / "disk", "1m") as made:
        if not made:
            pytest.skip("only root can make a small disk")
        database = tmp_path / "disk" / "ramz.db"
        environment = {"DATABASE_URL": f"sqlite:///{database}", "SECRET_KEYS": KEYS}
        assert flask("db", "upgrade", folder=tmp_path, **environment).returncode == 0
        done = flask("accounts", "import", str(file), folder=tmp_path, **environment)
        with closing(sqlite3.connect(database)) as reading:
            kept = reading.execute("SELECT count(*) FROM account").fetchone()[0]
        assert 0 < kept < 20_000
        assert done.returncode == 1
        assert (
            "DATABASE_URL: the database fails (its disk is full), so the import stopped. "
            f"{kept} accounts went in and stay, no row after them; 1 rows rejected so far: {tmp_path}/many.rejects.csv"
            ". Mend that, then import the same file again: what went in is not added twice."
        ) in done.stderr.splitlines()
        fill(tmp_path / "disk")
        done = flask("accounts", "import", str(file), folder=tmp_path, **environment)
        assert (done.returncode in {1, 2}, "Traceback" in done.stderr) == (True, False)
        assert "disk is full" in done.stderr


@pytest.mark.process
def test_a_folder_that_takes_no_rejects_is_told_before_anything_goes_in(sqlite_url: str, tmp_path: Path) -> None:
    good = tmp_path / "good.csv"
    good.write_text(HEADER + ROW, "utf-8")
    environment = {"DATABASE_URL": sqlite_url, "SECRET_KEYS": KEYS}
    done = flask("accounts", "import", str(good), "--rejects", "none/aside.csv", folder=tmp_path, **environment)
    assert (done.returncode, done.stderr) == (2, "--rejects: no file can be made in none; nothing was imported\n")
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as reading:
        assert reading.execute("SELECT count(*) FROM account").fetchone() == (0,)


def stopped_by_a_writer(url: str, folder: Path) -> str:
    """What an import says that can't have the lock after its first rows."""
    file, store = folder / "people.csv", Store(url)
    os.mkfifo(file)

    def feed() -> None:
        with file.open("w", encoding="utf-8") as pipe:
            rows = [f"{it},user{it},09121234567\n" for it in national_ids(2 * BATCH)]
            pipe.write(HEADER + "".join(rows[: BATCH + 1]))
            pipe.flush()
            assert eventually(lambda: accounts_in(store) == BATCH)
            with store.writing():
                pipe.write("".join(rows[BATCH + 1 :]))
                pipe.close()
                is_over.wait(PATIENCE_SECONDS)

    is_over, feeding = Event(), Thread(target=feed)
    feeding.start()
    environment = {"DATABASE_URL": url, "SECRET_KEYS": KEYS}
    done = flask("accounts", "import", str(file), "--rejects", str(folder / "aside.csv"), folder=folder, **environment)
    is_over.set()
    feeding.join()
    store.close()
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert f"{BATCH} accounts went in and stay, no row after them." in done.stderr
    return done.stderr


def accounts_in(store: Store) -> int:
    with store.reading() as connection:
        return len(connection.execute(select(ACCOUNT.c.id)).all())


@pytest.mark.process
def test_an_import_says_that_another_holds_its_database(sqlite_url: str, tmp_path: Path) -> None:
    said = stopped_by_a_writer(sqlite_url, tmp_path)
    assert "the database fails (another program has held its lock too long), so the import stopped." in said


def test_a_full_disk_and_a_lock_are_told_from_other_faults_of_the_database() -> None:
    assert is_locked(OperationalError("INSERT", None, LockNotAvailable("canceling statement due to lock timeout")))
    assert not is_locked(OperationalError("INSERT", None, AdminShutdown("terminating connection")))
    assert is_disk_full(OperationalError("INSERT", None, DiskFull("could not extend file")))
    assert not is_disk_full(OperationalError("INSERT", None, AdminShutdown("terminating connection")))
