"""Where files of accounts are imported in tests, and what came of the last one."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select

from bot.accounts.csv_import import Import, ImportResult
from bot.accounts.csv_mobiles import MobileChanges
from bot.accounts.csv_passwords import ImportedPasswords
from bot.audit.trail import Trail
from bot.credentials.keyring import Keyring
from bot.platform.phone_numbers import PhoneNumbers
from bot.settings import read_keys
from store.database.engine import Store
from store.tables import AccountRow, table
from tests.support.parts import KEYS, LoadedRandomSource, StoppedClock

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
    tells_fakher: bool = False

    @property
    def rejects(self) -> Path:
        return self.folder / "rejects.csv"

    def take(self, content: str | bytes) -> ImportResult:
        file = self.folder / "accounts.csv"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.rejects.unlink(missing_ok=True)
        phone_numbers = PhoneNumbers("IR", ("IR",))
        return Import(self.store, phone_numbers, self.passwords(), self.clock, self.changes).run(
            file, self.rejects, lambda _: None
        )

    def passwords(self) -> ImportedPasswords | None:
        if self.keyring is None:
            return None
        return ImportedPasswords(
            self.keyring, Trail(self.keyring, LoadedRandomSource()), "02112345678", "fa", self.tells_fakher
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


def national_ids(number: int, first: int = 10_000_000) -> Iterator[str]:
    """So many IDs with right check digits."""
    for nine in range(first, first + number * 37, 37):
        digits = f"{nine:09d}"
        rest = sum(weight * int(digit) for weight, digit in zip(range(10, 1, -1), digits, strict=True)) % 11
        yield f"{digits}{rest if rest < 2 else 11 - rest}"
