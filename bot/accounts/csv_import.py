"""The import of accounts from CSV: streamed, in short transactions, a bad row put aside with its reason."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from bot.credentials import passwords
from bot.credentials.keyring import Keyring
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
# A row is a line: a quote that is never closed, or a file without line ends, costs no more than its own line.
LONGEST_LINE = 64 * 1024


@dataclass(frozen=True)
class Line:
    """A line of the file: its number, and its cells by column, or why it can't be read."""

    number: int
    cells: dict[str, str]
    fault: str | None = None


class BadFile(Exception):
    """The file can't be read as accounts; the message says why."""


class BadRow(Exception):
    """A row can't be taken; the message is the reason."""


@dataclass
class Tally:
    """What became of a file's rows."""

    taken: int = 0
    rejected: int = 0


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
        with source.open("rb") as raw:
            columns = _columns(_text(raw.readline(LONGEST_LINE), "utf-8-sig"))
            lines = _lines(raw, columns, progress)
            with _Rejects(rejects, columns) as aside:
                while batch := list(islice(lines, BATCH)):
                    self._take(batch, aside, tally)
            progress(raw.tell())
        return tally

    def _take(self, lines: list[Line], aside: "_Rejects", tally: Tally) -> None:
        good: list[Row] = []
        for line in lines:
            try:
                good.append(self._read(line))
            except BadRow as reason:
                aside.put(line, str(reason))
        holders = self._holders(good)
        chosen: dict[str, Row] = {}
        for row in good:
            person = row.account["national_id"]
            if holders.setdefault(row.account["username"], person) == person:
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

    def _holders(self, rows: list[Row]) -> dict[str, str]:
        with self.store.reading() as connection:
            return accounts.holders_of(connection, [row.account["username"] for row in rows])

    def _store(self, rows: list[Row]) -> None:
        alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for row in rows:
            alike.setdefault(tuple(sorted(row.account)), []).append(row.account)
        for group in alike.values():
            with self.store.writing() as connection:
                accounts.put(connection, group, self.clock())


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


def _text(line: bytes, encoding: str = "utf-8") -> str:
    # A byte that is not UTF-8 costs its row, not the file.
    return line.decode(encoding, "surrogateescape")


def _columns(header: str) -> list[str]:
    if len(header) >= LONGEST_LINE:
        raise BadFile("the header is no line of columns")
    try:
        found = [name.strip().lower() for name in next(csv.reader([header]), [])]
    except csv.Error:
        raise BadFile("the header is no line of columns; lines end in LF or CRLF") from None
    missing = [name for name in NEEDED if name not in found]
    unknown = [name for name in found if name not in NEEDED + OPTIONAL]
    if missing or unknown or len(set(found)) < len(found):
        faults = [f"missing {name}" for name in missing] + [f"unknown {name!r}" for name in unknown]
        raise BadFile("columns: " + (", ".join(faults) or "one stands twice"))
    return found


def _lines(raw: BinaryIO, columns: list[str], progress: Callable[[int], None]) -> Iterator[Line]:
    number = 1
    while line := raw.readline(LONGEST_LINE):
        number += 1
        if number % BATCH == 0:
            progress(raw.tell())
        if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
            _skip_line(raw)
            yield Line(number, {}, f"longer than {LONGEST_LINE} bytes")
        elif line.strip():
            yield _line(number, _text(line), columns)


def _skip_line(raw: BinaryIO) -> None:
    while (rest := raw.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
        pass


def _line(number: int, text: str, columns: list[str]) -> Line:
    try:
        cells = next(csv.reader([text], strict=True))
    except csv.Error:
        return Line(number, {}, "a quote is not closed, or stands in the wrong place")
    if len(cells) != len(columns):
        return Line(number, {}, "not as many cells as the header has columns")
    named = dict(zip(columns, cells, strict=True))
    if "\0" in text:
        return Line(number, named, "has a NUL character")
    if any("\ud800" <= character <= "\udfff" for character in text):
        return Line(number, named, "not UTF-8")
    return Line(number, named)


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
