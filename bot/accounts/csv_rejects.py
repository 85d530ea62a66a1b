"""The file of rejected rows: to be mended in a spreadsheet and imported again."""

import csv
import os
from pathlib import Path
from typing import Any, TextIO

from bot.platform.csv_export import inert


class Rejects:
    """Rows with their line and reason, in a file that is made when there is one, its owner's alone.

    A password never reaches it, and no cell of it is a formula.
    """

    def __init__(self, path: Path, columns: list[str], delimiter: str) -> None:
        """Take the columns of the file that is imported, and its delimiter, which its reader's spreadsheet knows."""
        self.path, self.columns, self.delimiter, self.count = path, columns, delimiter, 0
        self._file: TextIO | None = None
        self._writer: Any = None

    def __enter__(self) -> "Rejects":
        self.path.unlink(missing_ok=True)  # an earlier import's
        return self

    def __exit__(self, *_error: object) -> None:
        if self._file:
            self._file.close()

    def put(self, line: int, reason: str, cells: dict[str, str]) -> None:
        """Write a row. Where its cells could not be told apart, none is given: one of them may be the password."""
        if self._writer is None:
            self._open()
        shown = [
            "" if name == "password" else inert(" ".join(_legible(cells.get(name, "")).split()))
            for name in self.columns
        ]
        self._writer.writerow([line, reason, *shown])
        self.count += 1

    def _open(self) -> None:
        made = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(made, "w", encoding="utf-8-sig", errors="backslashreplace", newline="")
        self._writer = csv.writer(self._file, delimiter=self.delimiter)
        self._writer.writerow(["line", "reason", *self.columns])


def _legible(cell: str) -> str:
    """A cell with a mark in place of each byte that is not UTF-8: as it is, no import takes it for a letter."""
    return "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in cell)
