"""The rows of a CSV file, as Python's csv reads them: a cell may hold line breaks, so a row is not a line.

Where quotes are written wrongly, nobody can tell which lines are rows and which are in a cell. So a row is only passed
over where every reading agrees on its end; else the file ends there.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import TextIO

# Characters of one row. A quote that never closes, or a file without line ends, is not read into memory as a whole.
LONGEST_ROW = 64 * 1024
MARK = "\ufeff"
_LINE_END = re.compile("\r\n|\r|\n")


@dataclass(frozen=True)
class CsvRecord:
    """A row of the file: the line where it begins, counted from 1, and its cells, or why it can't be read.

    Nothing after one that `ends` can be read; its line is where the quote was opened, if that is why.
    """

    line: int
    cells: list[str] = field(default_factory=list, repr=False)
    fault: str | None = None
    ends: bool = False


class TooLong(Exception):
    """The row has more than LONGEST_ROW characters."""


class Lines:
    """The lines of a file, counted; those of the row that is being read are kept."""

    def __init__(self, text: TextIO) -> None:
        """Take a text that was opened with `newline=""`."""
        self._text, self._size, self._again = text, 0, list[str]()
        self.number, self.row, self.has_ended = 0, list[str](), False

    @property
    def first(self) -> int:
        """The number of the row's first line."""
        return self.number - len(self.row) + 1

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        line = self._again.pop() if self._again else self._text.readline(LONGEST_ROW + 1)
        if not line:
            self.has_ended = True
            raise StopIteration
        if not self.row:
            line = line.lstrip(MARK)  # before a quote it would make the quote a part of the cell
        self.number += 1
        self.row.append(line)
        self._size += len(line)
        if self._size > LONGEST_ROW:
            raise TooLong
        return line

    def forget(self) -> None:
        """Begin a new row."""
        self.row, self._size = [], 0

    def give_back(self) -> None:
        """Let the row's only line be read again."""
        self.number -= 1
        self._again = self.row
        self.forget()

    def skip_line(self) -> bool:
        """Pass over the rest of a line; whether it had a quote."""
        part, quoted = self.row[-1], False
        while part and not part.endswith(("\n", "\r")):
            part = self._text.readline(LONGEST_ROW)
            quoted = quoted or '"' in part
        return quoted


def records(lines: Lines, delimiter: str = ",") -> Iterator[CsvRecord]:
    """Every row, an empty line too. What csv refuses is a record with its fault."""
    while True:
        try:
            for cells in csv.reader(lines, delimiter=delimiter, strict=True):
                record = CsvRecord(lines.first, cells)
                lines.forget()
                yield record
            return
        except csv.Error:
            wrong = _unclosed(lines, delimiter) if lines.has_ended else _misplaced(lines, delimiter)
        except TooLong:
            wrong = _too_long(lines)
        lines.forget()
        yield wrong
        if wrong.ends:
            return


def _unclosed(lines: Lines, delimiter: str) -> CsvRecord:
    # Closed here, the last cell holds all that came after the quote.
    text = "".join(lines.row)
    *_, last = next(csv.reader([text + '"'], delimiter=delimiter))
    before = len(_LINE_END.findall(text)) - len(_LINE_END.findall(last))
    return CsvRecord(lines.first + before, fault="a quote opens here and is never closed", ends=True)


def _misplaced(lines: Lines, delimiter: str) -> CsvRecord:
    """A quoted cell goes on after its quote. csv, when it is not strict, tells where the row ends."""
    first = lines.first
    try:
        next(csv.reader(chain(list(lines.row), lines), delimiter=delimiter))
    except TooLong:
        return _too_long(lines)
    # Quotes that are right come in pairs; where they do, the row ends here by either reading.
    if lines.has_ended or "".join(lines.row).count('"') % 2:
        return CsvRecord(first, fault="a quote is not closed, or stands in the wrong place", ends=True)
    return CsvRecord(first, fault="a quote stands in the wrong place")


def _too_long(lines: Lines) -> CsvRecord:
    first, quoted = lines.first, any('"' in line for line in lines.row)
    fault = f"longer than {LONGEST_ROW} characters"
    if quoted or lines.skip_line():
        return CsvRecord(first, fault=f"{fault}; a quote may not be closed", ends=True)
    return CsvRecord(first, fault=fault)
