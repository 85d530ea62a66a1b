"""What an import puts aside, with its line and reason, and how it can be mended and imported."""

import csv
import os
from pathlib import Path

import pytest

from bot.accounts.csv_import import BATCH, Import, ImportResult
from bot.platform.phone_numbers import PhoneNumbers
from tests.support.import_desk import HEADER, ROW, Desk, national_ids

# What is put aside


@pytest.mark.parametrize(
    ("row", "about"),
    [
        ("0012345678,zahra,09121234567", "national_id"),
        ("1234567,zahra,09121234567", "national_id"),
        ("00123456790,zahra,09121234567", "national_id"),
        ("1111111111,zahra,09121234567", "national_id"),
        ("1.2345679E+07,zahra,09121234567", "national_id was rounded"),
        (",zahra,09121234567", "national_id"),
        ("0012345679,zahra,9.12123E+09", "mobile was rounded"),
        ("0012345679,zahra,۹٫۱۲E+۰۹", "mobile was rounded"),
        ("0012345679,1.23E+10,09121234567", "username was rounded"),
        ("0012345679,#N/A,09121234567", "username is an error"),
        ("##########,zahra,09121234567", "national_id is an error"),
        ("0012345679,NULL,09121234567", "username is empty"),
        ("0012345679,zahra,09121234567/09351112233", "more than one number"),
        ("0012345679,zahra,02112345678 - 0912 123 4567", "more than one number"),
        ("0012345679,zahra,09121234567، 09351112233", "more than one number"),
        ("0012345679,za\ufffdra,09121234567", "lost"),
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
        ("password", "#N/A"),
        ("full_name", "Err:502"),
        ("province", "#VALUE!"),
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
    assert (line, "not UTF-8" in reason) == (2, True)
    assert list(reader.accounts()) == ["8052916372"]


def test_what_could_not_be_read_is_refused_again_where_nobody_mended_it(reader: Desk) -> None:
    """Names in windows-1256, under an English header: what stands for them in the rejects is nobody's name."""
    reader.take(f"{HEADER.strip()},full_name\n0012345679,zahra,09121234567,زهرا\n".encode("cp1256"))
    reasons = reader.put_aside()
    assert 'save the list as "CSV UTF-8"' in reasons[0][1]
    assert reader.take(reader.rejects.read_bytes()) == ImportResult(0, 1)
    assert reader.put_aside() == reasons
    assert reader.accounts() == {}


def test_it_costs_a_huge_cell_its_row_alone(reader: Desk) -> None:
    content = HEADER + f"0012345679,{'z' * 300_000},09121234567\n8052916372,omid,09351112233\n"
    assert reader.refused(content)[0] == 2
    assert list(reader.accounts()) == ["8052916372"]


def test_it_counts_lines_as_an_editor_does(reader: Desk) -> None:
    assert reader.refused(HEADER + ROW + "\n\n1,x,09121234567\n")[0] == 5


def test_a_line_within_a_cell_is_no_row(desk: Desk) -> None:
    desk.take(HEADER + "0105829315,victim,09194445566\n")
    hostile = '"Ali\n0105829315,victim,09129999999,x\n"'
    result = desk.take(f"{HEADER.strip()},full_name\n{ROW.strip()},{hostile}\n8052916372,omid,09351112233,Omid\n")
    assert result == ImportResult(2, 0)
    assert desk.accounts()["0105829315"].mobile == "+989194445566"
    assert desk.accounts()["0012345679"].full_name == "Ali 0105829315,victim,09129999999,x"


@pytest.mark.parametrize("name", ["", '"Ahmadi, Zahra"', '"a","b"'])
def test_a_quote_that_is_never_closed_ends_the_import(reader: Desk, name: str) -> None:
    rest = "".join(f"{person},u{person},09351112233,{name}\n" for person in national_ids(5000))
    content = f'{HEADER.strip()},full_name\n{ROW.strip()},"a\nb"\n8052916372,omid,09351112233,"Omid\n{rest}'
    result = reader.take(content)
    assert result == ImportResult(1, 1, ended=4)
    assert [line for line, _ in reader.put_aside()] == [4]
    assert list(reader.accounts()) == ["0012345679"]


def test_it_says_on_which_line_of_a_row_the_quote_was_opened(reader: Desk) -> None:
    result = reader.take(f'{HEADER.strip()},full_name,province\n{ROW.strip()},"a\r\n\nb","c\n\nd')
    assert result == ImportResult(0, 1, ended=4)


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
    assert reader.take(raw.replace(b"0012345678", b"0012345679")) == ImportResult(1, 0)
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


FORMULAS = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(1)",
    "\t=1",
    " =1",
    "a;=1",
    "a\n=1",
    "a, @x",
    "\uff1d1",
    "\u200f=1",
    "\ufeff+1",
    "a,\u200e@x",
    '=cmd|"/c calc"!A0',
)


@pytest.mark.parametrize("cell", FORMULAS)
@pytest.mark.parametrize("other", [",", ";", "\t"])
def test_no_cell_of_the_rejects_is_a_formula_whatever_parts_them(reader: Desk, cell: str, other: str) -> None:
    with (reader.folder / "in.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([[*HEADER.strip().split(","), "full_name"], ["1", "zahra", "0912", cell]])
    reader.take((reader.folder / "in.csv").read_bytes())
    for line in reader.rejects.read_text("utf-8-sig").splitlines():
        for read in next(csv.reader([line], delimiter=other)):
            seen = read.translate(dict.fromkeys(b'" ')).lstrip("\u200e\u200f\ufeff").strip()
            assert not seen.startswith(("=", "+", "-", "@", "\uff1d"))
