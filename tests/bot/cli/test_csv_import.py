"""The import of accounts: what is taken, what is put aside with its line and reason, and what leaves no trace."""

import csv
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from io import StringIO
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from bot.accounts import csv_cells, password_change
from bot.accounts.csv_import import BATCH, BadFile, Import, Tally
from bot.accounts.csv_mobiles import MobileChanges
from bot.audit.trail import Trail
from bot.build import Bot
from bot.credentials import passwords
from bot.credentials.keyring import Keyring
from bot.credentials.passwords import Hashed
from bot.phone_numbers import PhoneNumbers
from bot.ports import Inbound
from bot.settings import read_keys
from store import accounts
from store.database.engine import Store
from store.tables import AccountRow, AuditRow, OutboundMessageRow, table
from tests.bot.cli.test_commands import flask
from tests.support.parts import KEYS, NOON, Carrier, LoadedRandomSource, StoppedClock
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
    changes: MobileChanges | None = None

    @property
    def rejects(self) -> Path:
        return self.folder / "rejects.csv"

    def take(self, content: str | bytes) -> Tally:
        file = self.folder / "accounts.csv"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.rejects.unlink(missing_ok=True)
        phone_numbers = PhoneNumbers("IR", ("IR",))
        return Import(self.store, phone_numbers, self.keyring, self.clock, self.changes).run(
            file, self.rejects, lambda _: None
        )

    def change_mobiles(self) -> None:
        """As --change-mobiles does."""
        assert self.keyring is not None
        self.changes = MobileChanges(Trail(self.keyring, LoadedRandomSource()), "fa")

    def rows(self, model: Any) -> list[Any]:
        """All rows of a table, in their order."""
        with self.store.reading() as connection:
            return list(connection.execute(select(table(model)).order_by(table(model).c.id)))

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
    assert (account.password_key, account.password_expires_at) == ("k1", None)
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
    "rejects": "line,reason,national_id,username,mobile\n2,mobile is wrong,0012345679,zahra,'+989121234567\n",
    "line ends of an old Macintosh": (HEADER + ROW).replace("\n", "\r"),
    "line breaks in cells": 'national_id,username,mobile\n"0012345679\n"," zahra\r\n","\n09121234567"\n',
}


@pytest.mark.parametrize("kind", CLERKS)
def test_it_reads_what_clerks_spreadsheets_write(reader: Desk, kind: str) -> None:
    assert reader.take(CLERKS[kind]) == Tally(1, 0)
    (account,) = reader.accounts().values()
    assert (account.national_id, account.username, account.mobile) == ("0012345679", "zahra", "+989121234567")


def test_it_keeps_what_is_part_of_a_name(reader: Desk) -> None:
    """A joiner within a Persian word is its spelling; digits of a user name are as Fakher has them."""
    reader.take(f"{HEADER.strip()},full_name\n0012345679,زهرا۱,09121234567,علی\u200cرضا  نام\u200cخانوادگی\u200c\n")
    (account,) = reader.accounts().values()
    assert (account.username, account.full_name) == ("زهرا۱", "علی\u200cرضا  نام\u200cخانوادگی")


# Updates


def test_it_updates_an_account_and_leaves_absent_columns_alone(desk: Desk) -> None:
    desk.take(FULL + "0012345679,zahra,09121234567,Zahra,Tehran,Noor,en,Mecca#1447,no\n")
    before = desk.accounts()["0012345679"]
    assert desk.take(HEADER + "0012345679,zahra2,09121234567\n") == Tally(1, 0)
    after = desk.accounts()["0012345679"]
    assert after.username == "zahra2"
    changed = {name for name in before._fields if getattr(before, name) != getattr(after, name)}
    assert changed == {"username", "username_key"}


def test_it_leaves_what_an_empty_cell_would_erase(desk: Desk) -> None:
    desk.take(FULL + "0012345679,zahra,09121234567,Zahra,Tehran,Noor,en,Mecca#1447,no\n")
    before = desk.accounts()["0012345679"]
    desk.take(FULL + "0012345679,zahra,09121234567,,,  ,,,\n")
    assert desk.accounts()["0012345679"] == before


def test_it_changes_no_registered_mobile(desk: Desk, clock: StoppedClock) -> None:
    desk.take(HEADER + ROW)
    before = desk.accounts()
    clock.forward(days=1)
    line, reason = desk.refused(HEADER + "8052916372,omid,09351112233\n0012345679,zahra2,09351112233\n")
    assert (line, "mobile" in reason) == (3, True)
    assert desk.accounts()["0012345679"] == before["0012345679"]
    assert "8052916372" in desk.accounts()


def test_it_changes_mobiles_where_it_is_told_to_and_tells_both(desk: Desk, clock: StoppedClock) -> None:
    desk.take(f"{HEADER.strip()},language\n{ROW.strip()},en\n8052916372,omid,09351112233,\n")
    clock.forward(days=1)
    desk.change_mobiles()
    tally = desk.take(HEADER + ROW.replace("1234567\n", "1230000\n") + "8052916372,omid2,09351112233\n")
    assert tally == Tally(2, 0, moved=1)
    account = desk.accounts()["0012345679"]
    assert (account.mobile, account.former_mobile) == ("+989121230000", "+989121234567")
    assert account.mobile_changed_at == NOON + timedelta(days=1)
    assert [(it.phrase, it.phone, it.language) for it in desk.rows(OutboundMessageRow)] == [
        ("mobile_changed", "+989121234567", "en"),
        ("mobile_registered", "+989121230000", "en"),
    ]
    (row,) = desk.rows(AuditRow)
    assert (row.actor, row.action, row.account_id, row.reason) == ("operator", "mobile_changed", account.id, "import")


def test_the_former_mobile_hears_of_changes_for_72_hours(bot: Bot, tmp_path: Path, clock: StoppedClock) -> None:
    desk = Desk(bot.store, tmp_path, clock)
    desk.take(HEADER + ROW)
    desk.change_mobiles()
    desk.take(HEADER + "0012345679,zahra,09351112233\n")
    told: list[list[str]] = []
    for _ in range(2):
        clock.forward(hours=71.9 if not told else 0.2)
        with bot.store.reading() as connection:
            holder = accounts.find(connection, national_id="0012345679")
            assert holder is not None
            notices = password_change.notices(bot.parts, holder, "password_changed", clock())
            told.append([each.phone for each in notices])
    assert told == [["+989351112233", "+989121234567"], ["+989351112233"]]


def test_a_code_that_is_out_to_the_former_mobile_dies_with_the_change(
    bot: Bot, carrier: Carrier, tmp_path: Path, clock: StoppedClock
) -> None:
    settled(bot)
    bot.hear(Inbound("simulated", "M1", ZAHRA["mobile"], f"رمز {ZAHRA['national_id']}"))
    bot.courier.deliver_due()
    code = next(iter(re.findall(r"\b\d{6}\b", " ".join(text.text for text in carrier.sent))))
    desk = Desk(bot.store, tmp_path, clock)
    desk.change_mobiles()
    assert desk.take(HEADER + "0012345679,zahra,09171112233\n").moved == 1
    carrier.sent.clear()
    bot.hear(Inbound("simulated", "M2", ZAHRA["mobile"], code))
    bot.courier.deliver_due()
    assert {text.to for text in carrier.sent} == {ZAHRA["mobile"], "+989171112233"}
    assert desk.accounts()["0012345679"].password_hash is None


def test_it_tells_both_mobiles_though_they_said_stop(bot: Bot, tmp_path: Path, clock: StoppedClock) -> None:
    settled(bot)
    bot.hear(Inbound("simulated", "M1", ZAHRA["mobile"], "STOP"))
    desk = Desk(bot.store, tmp_path, clock)
    desk.change_mobiles()
    desk.take(HEADER + "0012345679,zahra,09171112233\n")
    assert [it.phone for it in desk.rows(OutboundMessageRow) if it.phrase == "mobile_changed"] == [ZAHRA["mobile"]]


def test_it_unlocks_nobody_and_forgets_no_failure(desk: Desk) -> None:
    desk.take(HEADER + ROW)
    with desk.store.writing() as connection:
        connection.execute(update(ACCOUNT).values(failures=99, locked_at=NOON))
    desk.take(HEADER + ROW)
    account = desk.accounts()["0012345679"]
    assert (account.failures, account.locked_at) == (99, NOON)


def test_the_later_of_two_rows_for_one_person_holds(desk: Desk) -> None:
    assert desk.take(HEADER + ROW + "0012345679,zahra3,09121234567\n") == Tally(1, 0, repeated=1)
    assert desk.accounts()["0012345679"].username == "zahra3"


def test_one_id_counts_once_however_far_apart_it_stands(desk: Desk) -> None:
    between = "".join(f"{person},u{person},09351112233\n" for person in national_ids(BATCH + 10))
    assert desk.take(HEADER + ROW + between + ROW) == Tally(BATCH + 11, 0, repeated=1)


def test_of_two_mobiles_for_one_new_person_the_second_is_refused(desk: Desk) -> None:
    """Whichever is right: it is not for the file's order to say."""
    assert desk.refused(HEADER + ROW + "0012345679,zahra,09351112233\n")[0] == 3
    assert desk.accounts()["0012345679"].mobile == "+989121234567"


@pytest.mark.parametrize("apart", [0, BATCH])
def test_a_user_name_that_was_given_up_earlier_in_the_file_is_free(desk: Desk, apart: int) -> None:
    desk.take(HEADER + ROW + "8052916372,omid,09351112233\n")
    between = "".join(f"{person},u{person},09351112233\n" for person in national_ids(apart))
    tally = desk.take(HEADER + "0012345679,z,09121234567\n" + between + "8052916372,ZAHRA,09351112233\n")
    assert tally.rejected == 0
    assert [desk.accounts()[it].username for it in ("0012345679", "8052916372")] == ["z", "ZAHRA"]


def test_two_people_can_change_their_user_names_by_way_of_a_third(desk: Desk) -> None:
    desk.take(HEADER + ROW + "8052916372,omid,09351112233\n")
    rows = "0012345679,x,09121234567\n8052916372,zahra,09351112233\n0012345679,omid,09121234567\n"
    assert desk.take(HEADER + rows) == Tally(2, 0, repeated=1)
    assert [desk.accounts()[it].username for it in ("0012345679", "8052916372")] == ["omid", "zahra"]


ALIKE = [
    ("zahra", "ZaHRA"),
    ("علی", "علي"),
    ("کریم", "كريم"),
    ("José", "Jose\u0301"),
    ("zahra1", "zahra۱"),
    ("zahra", "ｚａｈｒａ"),
    ("علی\u200cرضا", "علیرضا"),
    ("a b", "a\u00a0 b"),
]


@pytest.mark.parametrize(("name", "other"), ALIKE)
def test_a_user_name_that_differs_in_its_spelling_only_is_taken(desk: Desk, name: str, other: str) -> None:
    for first, second in ((name, other), (other, name)):
        line, reason = desk.refused(f"{HEADER}0012345679,{first},09121234567\n8052916372,{second},09351112233\n")
        assert (line, "username" in reason) == (3, True)
        assert list(desk.accounts()) == ["0012345679"]


@pytest.mark.parametrize(("name", "other"), [("jose", "josé"), ("زهرا", "زهراء"), ("ali.r", "alir")])
def test_user_names_that_differ_in_more_are_two(desk: Desk, name: str, other: str) -> None:
    tally = desk.take(f"{HEADER}0012345679,{name},09121234567\n8052916372,{other},09351112233\n")
    assert tally == Tally(2, 0)


def test_names_that_were_alike_before_stay_whose_they_are(desk: Desk) -> None:
    with desk.store.writing() as connection:
        for person, name in (("0012345679", "zahra"), ("8052916372", "ZAHRA")):
            row = {"national_id": person, "username": name, "mobile": "+989121234567"}
            accounts.put(connection, [row], NOON)
    rows = "0012345679,zahra,09121234567\n8052916372,ZAHRA,09121234567\n"
    assert desk.take(HEADER + rows) == Tally(2, 0)
    assert desk.refused(HEADER + "8052916372,Zahra,09121234567\n")[0] == 2


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


def test_a_line_within_a_cell_is_no_row(desk: Desk) -> None:
    desk.take(HEADER + "0105829315,victim,09194445566\n")
    hostile = '"Ali\n0105829315,victim,09129999999,x\n"'
    tally = desk.take(f"{HEADER.strip()},full_name\n{ROW.strip()},{hostile}\n8052916372,omid,09351112233,Omid\n")
    assert tally == Tally(2, 0)
    assert desk.accounts()["0105829315"].mobile == "+989194445566"
    assert desk.accounts()["0012345679"].full_name == "Ali 0105829315,victim,09129999999,x"


@pytest.mark.parametrize("name", ["", '"Ahmadi, Zahra"', '"a","b"'])
def test_a_quote_that_is_never_closed_ends_the_import(reader: Desk, name: str) -> None:
    rest = "".join(f"{person},u{person},09351112233,{name}\n" for person in national_ids(5000))
    content = f'{HEADER.strip()},full_name\n{ROW.strip()},"a\nb"\n8052916372,omid,09351112233,"Omid\n{rest}'
    tally = reader.take(content)
    assert tally == Tally(1, 1, ended=4)
    assert [line for line, _ in reader.put_aside()] == [4]
    assert list(reader.accounts()) == ["0012345679"]


def test_it_says_on_which_line_of_a_row_the_quote_was_opened(reader: Desk) -> None:
    tally = reader.take(f'{HEADER.strip()},full_name,province\n{ROW.strip()},"a\r\n\nb","c\n\nd')
    assert tally == Tally(0, 1, ended=4)


def test_a_quote_in_the_wrong_place_costs_its_row_alone(reader: Desk) -> None:
    head = f"{HEADER.strip()},full_name\n"
    content = f'{head}{ROW.strip()},"Zahra" Ahmadi\n8052916372,omid,09351112233,O "m" id\n'
    assert reader.refused(content) == (2, "a quote stands in the wrong place")
    assert reader.accounts()["8052916372"].full_name == 'O "m" id'


def test_no_line_of_a_cell_becomes_a_row_after_a_quote_in_the_wrong_place(reader: Desk) -> None:
    victim = "\n8052916372,omid,09351112233,x\n"
    for name in (f'"a"b,"{victim}"', f'"a "b" c,"{victim}"'):
        reader.take(f"{HEADER.strip()},full_name\n{ROW.strip()},{name}\n")
        assert reader.accounts() == {}


def test_it_writes_the_rejects_so_that_they_can_be_mended_and_imported(reader: Desk) -> None:
    reader.take(f"{HEADER.strip()},full_name\n0012345678,zahra,+989121234567,زهرا\n")
    raw = reader.rejects.read_bytes()
    assert raw.startswith(b"\xef\xbb\xbfline,reason,national_id,username,mobile,full_name\r\n")
    assert "0012345678,zahra,'+989121234567,زهرا".encode() in raw
    assert reader.take(raw.replace(b"0012345678", b"0012345679")) == Tally(1, 0)
    (account,) = reader.accounts().values()
    assert (account.username, account.mobile, account.full_name) == ("zahra", "+989121234567", "زهرا")


def test_the_rejects_have_the_files_own_delimiter(reader: Desk) -> None:
    reader.take(HEADER.replace(",", ";") + "1;zahra;09121234567\n")
    assert reader.rejects.read_text("utf-8-sig").startswith("line;reason;national_id;username;mobile\n")


@pytest.mark.parametrize("umask", [0, 0o077, 0o777])
def test_the_rejects_are_their_owners_alone(reader: Desk, umask: int) -> None:
    reader.rejects.write_text("an older one")
    reader.rejects.chmod(0o644)
    former = os.umask(umask)
    try:
        Import(reader.store, PhoneNumbers("IR", ("IR",)), None, reader.clock).run(
            _written(reader, HEADER + "1,a,2\n"), reader.rejects, lambda _: None
        )
    finally:
        os.umask(former)
    assert reader.rejects.stat().st_mode & 0o177 == 0


def _written(desk: Desk, content: str) -> Path:
    file = desk.folder / "written.csv"
    file.write_text(content, "utf-8")
    return file


FORMULAS = ("=1+1", "+1", "-1", "@SUM(1)", "\t=1", " =1", "a;=1", "a\n=1", "a, @x", "\uff1d1", '=cmd|"/c calc"!A0')


@pytest.mark.parametrize("cell", FORMULAS)
@pytest.mark.parametrize("other", [",", ";", "\t"])
def test_no_cell_of_the_rejects_is_a_formula_whatever_parts_them(reader: Desk, cell: str, other: str) -> None:
    with (reader.folder / "in.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([[*HEADER.strip().split(","), "full_name"], ["1", "zahra", "0912", cell]])
    reader.take((reader.folder / "in.csv").read_bytes())
    for line in reader.rejects.read_text("utf-8-sig").splitlines():
        for read in next(csv.reader([line], delimiter=other)):
            assert not read.strip().lstrip('"').startswith(("=", "+", "-", "@", "\uff1d"))


# Any cell that can be written

HOSTILE = "\n0105829315,victim,09129999999,x\n"
CELL = st.one_of(
    st.text(st.sampled_from("\",;\t\n\r'= a0ی\u200c\u200f\ufeff\x1a"), max_size=8),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
    st.sampled_from([HOSTILE, f'"{HOSTILE}"', HOSTILE.replace("\n", '"\r\n"'), HOSTILE.replace(",", ";")]),
    st.tuples(st.text(max_size=4).filter(lambda it: "\0" not in it and it.isprintable()), st.just(HOSTILE)).map(
        "".join
    ),
)


@given(
    names=st.lists(st.tuples(CELL, CELL), max_size=6),
    strangers=st.lists(st.lists(CELL, min_size=5, max_size=5), max_size=3),
    delimiter=st.sampled_from(",;\t"),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
@how(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
def test_it_takes_just_what_csv_reads_whatever_the_cells_are(
    reader: Desk, names: list[tuple[str, str]], strangers: list[list[str]], delimiter: str, end: str, quoting: Any
) -> None:
    with reader.store.writing() as connection:
        connection.execute(delete(ACCOUNT))
        victim = {"national_id": "0105829315", "username": "victim", "mobile": "+989194445566"}
        accounts.put(connection, [victim], NOON)
    written = StringIO(newline="")
    writer = csv.writer(written, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerow(["national_id", "username", "mobile", "full_name", "broker"])
    people = dict(zip(national_ids(len(names)), names, strict=True))
    writer.writerows([person, f"u{person}", "09351112233", *its] for person, its in people.items())
    writer.writerows(strangers)
    tally = reader.take(written.getvalue())
    read = list(csv.reader(StringIO(written.getvalue(), newline=""), delimiter=delimiter, strict=True))[1:]
    # Python's writer leaves a lone CR without quotes where lines end in LF; csv itself reads two rows of it.
    ours = [cells for cells in read if len(cells) == 5 and cells[0] in people]
    found = {cells[0]: [csv_cells.value(cell) or None for cell in cells[3:]] for cells in ours}
    stored = reader.accounts()
    assert stored.pop("0105829315").mobile == "+989194445566"
    assert {person: [it.full_name, it.broker] for person, it in stored.items()} == found
    assert (tally.taken, tally.ended) == (len(ours), None)


@given(content=st.text(st.sampled_from('",\n\r;a0 '), max_size=60), cut=st.integers(0, 200))
@how(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
def test_what_it_takes_is_a_row_to_csv_too_however_wrong_the_quotes_are(reader: Desk, content: str, cut: int) -> None:
    with reader.store.writing() as connection:
        connection.execute(delete(ACCOUNT))
    rows = f"{ROW}{content}\n8052916372,omid,09351112233\n"
    text = HEADER + rows[: cut % len(rows)] + '"' + rows[cut % len(rows) :]
    reader.take(text)
    read = {cells[0] for cells in csv.reader(StringIO(text, newline="")) if cells}
    assert {*reader.accounts()} <= {csv_cells.value(cell) for cell in read}


# The file as a whole


@pytest.mark.parametrize(
    ("content", "about"),
    [
        (b"", "the file is empty; missing national_id"),
        (b"\n,,\n", "the file is empty; missing national_id"),
        (b"username,mobile\nzahra,0912\n", "missing national_id"),
        (HEADER.strip().encode() + b",pasword\n", "unknown 'pasword'"),
        (HEADER.strip().encode() + b",username\n", "twice"),
        (HEADER.encode("utf-16"), "UTF-16"),
        (HEADER.encode("utf-16-le"), "UTF-16"),
        (HEADER.encode("utf-16-be"), "UTF-16"),
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
import resource, sys
from pathlib import Path
from bot.accounts.csv_import import Import
from bot.clock import system_clock
from bot.phone_numbers import PhoneNumbers
from store.database.engine import Store

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

store, file, before = Store(sys.argv[1]), Path(sys.argv[2]), peak()
taking = Import(store, PhoneNumbers("IR", ("IR",)), None, system_clock)
tally = taking.run(file, file.with_suffix(".rejects"), lambda _: None)
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
