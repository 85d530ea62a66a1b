"""The import of accounts from CSV: streamed, in short transactions, a bad row put aside with its reason."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from bot import passwords
from bot.keys import Keys
from bot.phones import Phones
from bot.ports import Clock
from dialogs.phrases import languages
from dialogs.text import fold, national_id
from store import accounts
from store.engine import Store

NEEDED = ("national_id", "username", "mobile")
OPTIONAL = ("full_name", "province", "broker", "language", "password", "active")
LONGEST = {"username": 80, "full_name": 120, "province": 60, "broker": 60, "password": 1024}
TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
# Rows a transaction: few enough that a text never waits long for its turn.
BATCH = 500
UNREADABLE = "\0"  # no column can be called so

Numbered = tuple[int, dict[Any, Any]]
"""A row with its line in the file."""


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
    """A row, its line in the file, and what is to be stored of it."""

    line: int
    cells: dict[str, str]
    account: dict[str, Any]


class Import:
    """One import of one file."""

    def __init__(self, store: Store, phones: Phones, keys: Keys | None, clock: Clock) -> None:
        """Without keys, rows with a password are refused."""
        self.store, self.phones, self.keys, self.clock = store, phones, keys, clock

    def run(self, source: Path, rejects: Path, progress: Callable[[int], None]) -> Tally:
        """Add or update every good row; write the bad ones, with line and reason, to `rejects`.

        `progress` is told how many bytes have been read. BadFile where the file as a whole can't be taken.
        """
        tally = Tally()
        with source.open("rb") as raw:
            lines = _decoded(raw, progress)
            reader = csv.DictReader(lines)
            columns = _columns(reader)
            with _Rejects(rejects, columns) as aside:
                rows = _numbered(reader)
                while batch := list(islice(rows, BATCH)):
                    self._take(batch, aside, tally)
        return tally

    def _take(self, rows: list[Numbered], aside: "_Rejects", tally: Tally) -> None:
        good: list[Row] = []
        for line, cells in rows:
            try:
                good.append(self._read(line, cells))
            except BadRow as reason:
                aside.put(line, cells, str(reason))
        holders = self._holders(good)
        chosen: dict[str, Row] = {}
        for row in good:
            person = row.account["national_id"]
            if holders.setdefault(row.account["username"], person) == person:
                chosen[person] = row  # of two rows for one person the later holds
                tally.taken += 1
            else:
                aside.put(row.line, row.cells, "username belongs to another account")
        tally.rejected = aside.count
        self._store(list(chosen.values()))

    def _read(self, line: int, cells: dict[Any, Any]) -> Row:
        if UNREADABLE in cells:
            raise BadRow(cells[UNREADABLE])
        if None in cells or None in cells.values():
            raise BadRow("not as many cells as the header has columns")
        if any(_is_torn(value) for value in cells.values()):
            raise BadRow("not UTF-8")
        given = {name: value.strip() for name, value in cells.items() if value.strip()}
        for name, longest in LONGEST.items():
            if len(given.get(name, "")) > longest:
                raise BadRow(f"{name} is longer than {longest} characters")
        return Row(line, cells, _account(given, self.phones, self._password(given.get("password"))))

    def _password(self, password: str | None) -> dict[str, Any]:
        if password is None:
            return {}
        if self.keys is None:
            raise BadRow("a password can't be hashed without SECRET_KEYS")
        kept = passwords.hashed(self.keys, password)
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


def _account(given: dict[str, str], phones: Phones, password: dict[str, Any]) -> dict[str, Any]:
    for name in NEEDED:
        if name not in given:
            raise BadRow(f"{name} is empty")
    digits = fold(given["national_id"])
    person = national_id(digits)
    if person is None:
        raise BadRow("national_id is not 10 digits with a right check digit")
    mobile = phones.mobile(fold(given["mobile"]))
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


def _decoded(raw: Any, progress: Callable[[int], None]) -> Iterator[str]:
    read = 0
    for number, line in enumerate(raw, start=1):
        read += len(line)
        if number % BATCH == 0:
            progress(read)
        # A byte that is not UTF-8 costs its row, not the file.
        yield line.decode("utf-8-sig" if number == 1 else "utf-8", "surrogateescape")
    progress(read)


def _columns(reader: "csv.DictReader[str]") -> list[str]:
    try:
        found = [name.strip().lower() for name in reader.fieldnames or ()]
    except csv.Error as error:
        raise BadFile(f"the header can't be read: {error}") from None
    missing = [name for name in NEEDED if name not in found]
    unknown = [name for name in found if name not in NEEDED + OPTIONAL]
    if missing or unknown or len(set(found)) < len(found):
        faults = [f"missing {name}" for name in missing] + [f"unknown {name!r}" for name in unknown]
        raise BadFile("columns: " + (", ".join(faults) or "one stands twice"))
    reader.fieldnames = found
    return found


def _numbered(reader: "csv.DictReader[str]") -> Iterator[Numbered]:
    while True:
        try:
            yield next((reader.line_num, cells) for cells in reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, {UNREADABLE: f"can't be read: {error}"}


def _is_torn(value: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in value)


class _Rejects:
    """The file of rejected rows, made when there is one. A password never reaches it."""

    def __init__(self, path: Path, columns: list[str]) -> None:
        self.path, self.columns, self.count = path, columns, 0
        self._file: TextIO | None = None
        self._writer: Any = None

    def __enter__(self) -> "_Rejects":
        return self

    def __exit__(self, *_error: object) -> None:
        if self._file:
            self._file.close()

    def put(self, line: int, cells: dict[Any, Any], reason: str) -> None:
        if self._writer is None:
            self._file = self.path.open("w", encoding="utf-8-sig", errors="backslashreplace", newline="")
            self._writer = csv.writer(self._file)
            self._writer.writerow(["line", "reason", *self.columns])
        shown = ["" if name == "password" else cells.get(name) or "" for name in self.columns]
        self._writer.writerow([line, reason, *shown])
        self.count += 1
