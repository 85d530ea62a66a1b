"""The import of accounts from CSV: streamed, in short transactions, a bad row put aside with its reason."""

import os
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from io import TextIOWrapper
from itertools import islice
from os import SEEK_END
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from bot.accounts import csv_cells, csv_header
from bot.accounts.csv_cells import BadRow
from bot.accounts.csv_header import BadFile, Header
from bot.accounts.csv_mobiles import MobileChanges, Move
from bot.accounts.csv_passwords import ImportedPasswords
from bot.accounts.csv_records import CsvRecord, Lines
from bot.accounts.csv_rejects import Rejects
from bot.credentials.passwords import Hashed
from bot.platform.phone_numbers import PhoneNumbers
from bot.ports import Clock
from store import accounts
from store.accounts import Known
from store.database.engine import Store

__all__ = ["BATCH", "BadFile", "Import", "ImportResult"]

# Rows a transaction: few enough that a text never waits long for the write lock.
BATCH = 500
TAKEN = "username belongs to another account, though it may be spelt otherwise"
ANOTHER = "a header with other columns stands here; make a file of what is below it"
REGISTERED = "mobile is not the registered one, which is changed with --change-mobiles only"


@dataclass
class ImportResult:
    """What became of a file's rows.

    `taken` counts accounts, `repeated` the further rows of one that was taken already, `moved` the changes of
    registered mobiles, `passwords` those of passwords of accounts that were there. `ended` is the line from which on
    nothing could be read; `has_changed` says that the file became another while it was read, so its last row may be a
    part of one.
    """

    taken: int = 0
    rejected: int = 0
    repeated: int = 0
    moved: int = 0
    passwords: int = 0
    ended: int | None = None
    has_changed: bool = False


@dataclass(frozen=True)
class Row:
    """A row that can be read: its line and cells, as they are put aside, and what it says of an account."""

    line: int
    cells: dict[str, str] = field(repr=False)
    account: dict[str, Any] = field(repr=False)
    password: str | None = field(default=None, repr=False)


class Import:
    """One import of one file."""

    def __init__(
        self,
        store: Store,
        phone_numbers: PhoneNumbers,
        passwords: ImportedPasswords | None,
        clock: Clock,
        changes: MobileChanges | None = None,
    ) -> None:
        """Without `passwords`, rows with one are refused; without `changes`, rows with another mobile."""
        self.store, self.phone_numbers, self.clock = store, phone_numbers, clock
        self.passwords, self.changes = passwords, changes
        self._met = _Met()
        self.result = ImportResult()  # so far

    def run(self, source: Path, rejects: Path, progress: Callable[[int], None]) -> ImportResult:
        """Add or update every good row; write the bad ones, with line and reason, to `rejects`.

        `progress` is told how many bytes of a file have been read, but nothing of a pipe. BadFile where the file as a
        whole can't be taken.
        """
        result = self.result = ImportResult()
        # A byte that is not UTF-8 costs its row, not the file.
        with source.open("rb") as raw, TextIOWrapper(raw, "utf-8", "surrogateescape", newline="") as text:
            before = os.fstat(raw.fileno())
            csv_header.check_kind(raw.peek(csv_header.HEAD)[: csv_header.HEAD])
            header, records = csv_header.read(Lines(text))
            with Rejects(rejects, header.names, header.delimiter) as aside:
                while result.ended is None and (batch := list(islice(records, BATCH))):
                    self._take(list(self._read(batch, header, aside, result)), aside, result)
                    result.rejected = aside.count
                    if raw.seekable():
                        progress(raw.tell())
            if raw.seekable():
                progress(raw.seek(0, SEEK_END))
                result.has_changed = _has_changed(before, raw.fileno(), source)
        return result

    def _read(self, records: list[CsvRecord], header: Header, aside: Rejects, result: ImportResult) -> Iterator[Row]:
        for record in records:
            if record.ends:
                result.ended = record.line
            if record.fault:
                aside.put(record.line, record.fault, {})
            elif any(map(csv_cells.plain, record.cells)):
                cells = header.by_name(record.cells)
                try:
                    yield self._row(record, cells)
                except BadRow as reason:
                    if header.is_repeated(record.cells):
                        continue
                    if header.is_another(record.cells):
                        result.ended = record.line
                        aside.put(record.line, ANOTHER, {})
                        return
                    aside.put(record.line, str(reason), cells)

    def _row(self, record: CsvRecord, cells: dict[str, str]) -> Row:
        if not cells:
            raise BadRow("not as many cells as the header has columns")
        csv_cells.check_text(record.cells)
        given = {name: said for name, cell in cells.items() if (said := csv_cells.value(cell))}
        password = cells["password"] if "password" in given else None  # its spaces are its own
        if password is not None:
            given["password"] = password
        account = csv_cells.account(given, self.phone_numbers)
        if password is not None and self.passwords is None:
            raise BadRow("a password can't be hashed without SECRET_KEYS")
        return Row(record.line, cells, account, password)

    def _take(self, rows: list[Row], aside: Rejects, result: ImportResult) -> None:
        for part in map(self._hashed, _parts(rows)):  # hashed before the transaction, for it takes long
            now = self.clock()
            with self.store.writing() as connection:
                chosen, moves, renewed = self._choose(connection, part, aside)
                result.moved += self._store(connection, chosen, moves, renewed, now)
            result.passwords += len(renewed)
            again = sum(self._met.meet(int(row.account["national_id"])) for row in chosen)
            result.repeated += again
            result.taken += len(chosen) - again

    def _hashed(self, rows: list[Row]) -> list[Row]:
        """The rows with the columns that their passwords change."""
        if self.passwords is None or not any(row.password for row in rows):
            return rows
        with self.store.reading() as connection:
            known = accounts.known(connection, [row.account["national_id"] for row in rows if row.password])
        return [
            replace(row, account=row.account | self.passwords.hashed(_lasting(known, row), row.password))
            if row.password
            else row
            for row in rows
        ]

    def _choose(
        self, connection: Connection, rows: list[Row], aside: Rejects
    ) -> tuple[list[Row], list[Move], list[int]]:
        """The rows that are taken; the changes of mobiles among them, and whose passwords become others."""
        known = accounts.known(connection, [row.account["national_id"] for row in rows])
        names = _Names(connection, rows)
        chosen, moves, renewed = [], [], []
        for row in rows:
            there = known.get(row.account["national_id"])
            is_moved = there is not None and there.mobile != row.account["mobile"]
            if is_moved and self.changes is None:
                aside.put(row.line, REGISTERED, row.cells)
            elif not names.take(row, there):
                aside.put(row.line, TAKEN, row.cells)
            else:
                chosen.append(row)
                if there is not None and "password_hash" in row.account:
                    renewed.append(there.id)
                if there is not None and is_moved:
                    language = row.account.get("language", there.language)
                    moves.append(Move(there.id, there.mobile, row.account["mobile"], language))
        return chosen, moves, renewed

    def _store(
        self, connection: Connection, rows: list[Row], moves: list[Move], renewed: list[int], now: datetime
    ) -> int:
        """Write what was chosen; how many mobiles have changed."""
        if self.changes:
            self.changes.end_former(connection, moves, now)
        if self.passwords:
            self.passwords.end_tickets(connection, renewed, now)
        accounts.take(connection, [row.account for row in rows])
        moved = self.changes.carry_out(connection, moves, now) if self.changes else 0
        if self.passwords:
            self.passwords.tell(connection, renewed, now)
        return moved


def _lasting(known: dict[str, Known], row: Row) -> Hashed | None:
    """The password that the row's account has, unless it is a temporary one: to make it last is a change, too."""
    there = known.get(row.account["national_id"])
    if there is None or there.password_hash is None or there.password_key is None or there.password_expires_at:
        return None
    return Hashed(there.password_hash, there.password_key)


def _has_changed(before: os.stat_result, descriptor: int, path: Path) -> bool:
    """Whether a file was written to, taken away, or another one put in its place."""
    try:
        return not _state(before) == _state(os.fstat(descriptor)) == _state(path.stat())
    except FileNotFoundError:
        return True


def _state(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


class _Names:
    """Whose user names are, as rows are taken one after the other: one that is given up is free for the next row."""

    def __init__(self, connection: Connection, rows: list[Row]) -> None:
        keyring = {accounts.username_key(row.account["username"]) for row in rows}
        self._holders = accounts.holders_of(connection, keyring)

    def take(self, row: Row, there: accounts.Known | None) -> bool:
        """Whether the row's account may have the row's name; it has it then."""
        person, name = row.account["national_id"], row.account["username"]
        key = accounts.username_key(name)
        holders = self._holders.setdefault(key, set())
        # Names that are alike may be there from before: each account keeps its own.
        if holders - {person} and (there is None or there.username != name):
            return False
        if there is not None:
            self._holders.get(accounts.username_key(there.username), set()).discard(person)
        holders.add(person)
        return True


class _Met:
    """The accounts that have been taken, by their national IDs: in four bytes each, however many there are."""

    FRESH = 50_000

    def __init__(self) -> None:
        self._fresh: set[int] = set()
        self._runs: list[array[int]] = []

    def meet(self, person: int) -> bool:
        """Whether this one was met before; it is from now on."""
        nine = person // 10  # the tenth digit follows from them
        if nine in self._fresh or any(_holds(run, nine) for run in self._runs):
            return True
        self._fresh.add(nine)
        if len(self._fresh) == self.FRESH:
            self._runs.append(array("I", sorted(self._fresh)))
            self._fresh.clear()
        return False


def _holds(run: "array[int]", number: int) -> bool:
    place = bisect_left(run, number)
    return place < len(run) and run[place] == number


def _parts(rows: list[Row]) -> Iterator[list[Row]]:
    """The rows in their order, cut so that nobody stands twice in a part: what the first says is there for the next."""
    part: dict[str, Row] = {}
    for row in rows:
        if row.account["national_id"] in part:
            yield list(part.values())
            part = {}
        part[row.account["national_id"]] = row
    if part:
        yield list(part.values())
