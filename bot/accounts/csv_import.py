"""The import of accounts from CSV: streamed, in short transactions, a bad row put aside with its reason."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import islice
from os import SEEK_END
from pathlib import Path
from typing import Any, TextIO

from bot.credentials import passwords
from bot.credentials.keyring import Keyring
from bot.csv_records import Lines, Record, records
from bot.phone_numbers import PhoneNumbers
from bot.ports import Clock
from dialogs.parsing.normalise import fold, national_id
from dialogs.replies.phrases import languages
from store import accounts
from store.database.engine import Store

NEEDED = ("national_id", "username", "mobile")
OPTIONAL = ("full_name", "province", "broker", "language", "password", "active")
LONGEST = {"username": 80, "full_name": 120, "province": 60, "broker": 60, "password": 1024}
TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
# Rows a transaction: few enough that a text never waits long for its turn.
BATCH = 500


@dataclass(frozen=True)
class Line:
    """A row of the file: the line where it begins, and its cells by column, or why it can't be read."""

    number: int
    cells: dict[str, str]
    fault: str | None = None
    ends: bool = False  # the file can't be read on


class BadFile(Exception):
    """The file can't be read as accounts; the message says why."""


class BadRow(Exception):
    """A row can't be taken; the message is the reason."""


@dataclass
class Tally:
    """What became of a file's rows. `ended` is the line from which on nothing could be read."""

    taken: int = 0
    rejected: int = 0
    ended: int | None = None


@dataclass(frozen=True)
class Row:
    """A good row: its line, and what is to be stored of it."""

    line: Line
    account: dict[str, Any]


class Import:
    """One import of one file."""

    def __init__(self, store: Store, phone_numbers: PhoneNumbers, keyring: Keyring | None, clock: Clock) -> None:
        """Without keys, rows with a password are refused."""
        self.store, self.phone_numbers, self.keyring, self.clock = store, phone_numbers, keyring, clock

    def run(self, source: Path, rejects: Path, progress: Callable[[int], None]) -> Tally:
        """Add or update every good row; write the bad ones, with line and reason, to `rejects`.

        `progress` is told how many bytes have been read. BadFile where the file as a whole can't be taken.
        """
        tally = Tally()
        # A byte that is not UTF-8 costs its row, not the file.
        with source.open("rb") as raw, TextIOWrapper(raw, "utf-8-sig", "surrogateescape", newline="") as text:
            found = records(Lines(text))
            columns = _columns(next(found, None))
            lines = (_line(record, columns) for record in found if any(record.cells) or record.fault)
            with _Rejects(rejects, columns) as aside:
                while batch := list(islice(lines, BATCH)):
                    self._take(batch, aside, tally)
                    progress(raw.tell())
            progress(raw.seek(0, SEEK_END))
        return tally

    def _take(self, lines: list[Line], aside: "_Rejects", tally: Tally) -> None:
        good: list[Row] = []
        for line in lines:
            try:
                good.append(self._read(line))
            except BadRow as reason:
                aside.put(line, str(reason))
            if line.ends:
                tally.ended = line.number
        holders, mobiles = self._known(good)
        chosen: dict[str, Row] = {}
        for row in good:
            person = row.account["national_id"]
            if mobiles.setdefault(person, row.account["mobile"]) != row.account["mobile"]:
                aside.put(row.line, "mobile is not the registered one, which an import doesn't change")
            elif holders.setdefault(row.account["username"], person) == person:
                chosen[person] = row  # of two rows for one person the later holds
                tally.taken += 1
            else:
                aside.put(row.line, "username belongs to another account")
        tally.rejected = aside.count
        self._store(list(chosen.values()))

    def _read(self, line: Line) -> Row:
        if line.fault:
            raise BadRow(line.fault)
        given = {name: value.strip() for name, value in line.cells.items() if value.strip()}
        if "password" in given:
            given["password"] = line.cells["password"]  # its spaces are its own
        for name, longest in LONGEST.items():
            if len(given.get(name, "")) > longest:
                raise BadRow(f"{name} is longer than {longest} characters")
        return Row(line, _account(given, self.phone_numbers, self._password(given.get("password"))))

    def _password(self, password: str | None) -> dict[str, Any]:
        if password is None:
            return {}
        if self.keyring is None:
            raise BadRow("a password can't be hashed without SECRET_KEYS")
        kept = passwords.hashed(self.keyring, password)
        return {
            "password_hash": kept.hash,
            "password_key": kept.key_id,
            "password_set_at": self.clock(),
            "password_expires_at": None,
        }

    def _known(self, rows: list[Row]) -> tuple[dict[str, str], dict[str, str]]:
        with self.store.reading() as connection:
            holders = accounts.holders_of(connection, [row.account["username"] for row in rows])
            return holders, accounts.mobiles_of(connection, [row.account["national_id"] for row in rows])

    def _store(self, rows: list[Row]) -> None:
        alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for row in rows:
            alike.setdefault(tuple(sorted(row.account)), []).append(row.account)
        for group in alike.values():
            with self.store.writing() as connection:
                accounts.put(connection, group, self.clock(), keep_mobiles=True)


def _account(given: dict[str, str], phone_numbers: PhoneNumbers, password: dict[str, Any]) -> dict[str, Any]:
    for name in NEEDED:
        if name not in given:
            raise BadRow(f"{name} is empty")
    digits = fold(given["national_id"])
    person = national_id(digits)
    if person is None:
        raise BadRow("national_id is not 10 digits with a right check digit")
    mobile = phone_numbers.mobile(fold(given["mobile"]))
    if mobile is None:
        raise BadRow("mobile is not a mobile number of an allowed country")
    account: dict[str, Any] = {"national_id": person, "username": given["username"], "mobile": mobile, **password}
    account.update({name: given[name] for name in ("full_name", "province", "broker") if name in given})
    if "language" in given:
        account["language"] = _language(given["language"])
    if "active" in given:
        account["active"] = _truth(given["active"])
    return account


def _language(written: str) -> str:
    if written.lower() not in languages():
        raise BadRow(f"language is not one of {', '.join(languages())}")
    return written.lower()


def _truth(written: str) -> bool:
    if written.lower() not in TRUTH:
        raise BadRow("active is not true, false, 1, 0, yes or no")
    return TRUTH[written.lower()]


def _columns(header: Record | None) -> list[str]:
    if header is None:
        raise BadFile("columns: " + ", ".join(f"missing {name}" for name in NEEDED))
    if header.fault:
        raise BadFile(f"the header is no line of columns: {header.fault}")
    found = [name.strip().lower() for name in header.cells]
    missing = [name for name in NEEDED if name not in found]
    unknown = [name for name in found if name not in NEEDED + OPTIONAL]
    if missing or unknown or len(set(found)) < len(found):
        faults = [f"missing {name}" for name in missing] + [f"unknown {name!r}" for name in unknown]
        raise BadFile("columns: " + (", ".join(faults) or "one stands twice"))
    return found


def _line(record: Record, columns: list[str]) -> Line:
    if record.fault:
        return Line(record.line, {}, record.fault, record.ends)
    if len(record.cells) != len(columns):
        return Line(record.line, {}, "not as many cells as the header has columns")
    # A line break in a cell is white space.
    named = {name: " ".join(cell.splitlines()) for name, cell in zip(columns, record.cells, strict=True)}
    text = "".join(record.cells)
    if "\0" in text:
        return Line(record.line, named, "has a NUL character")
    if any("\ud800" <= character <= "\udfff" for character in text):
        return Line(record.line, named, "not UTF-8")
    return Line(record.line, named)


class _Rejects:
    """The file of rejected rows, made when there is one. A password never reaches it."""

    def __init__(self, path: Path, columns: list[str]) -> None:
        self.path, self.columns, self.count = path, columns, 0
        self._file: TextIO | None = None
        self._writer: Any = None

    def __enter__(self) -> "_Rejects":
        self.path.unlink(missing_ok=True)  # an earlier import's
        return self

    def __exit__(self, *_error: object) -> None:
        if self._file:
            self._file.close()

    def put(self, line: Line, reason: str) -> None:
        if self._writer is None:
            self._file = self.path.open("w", encoding="utf-8-sig", errors="backslashreplace", newline="")
            self._writer = csv.writer(self._file)
            self._writer.writerow(["line", "reason", *self.columns])
        # Where the cells could not be told apart, none is shown: one of them may be the password.
        shown = ["" if name == "password" else line.cells.get(name, "") for name in self.columns]
        self._writer.writerow([line.number, reason, *shown])
        self.count += 1
