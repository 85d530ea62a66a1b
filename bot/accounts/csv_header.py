"""The header of an import's file: which column is which, and what stands between them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from bot.accounts.csv_cells import NEEDED, OPTIONAL, plain, value
from bot.accounts.csv_records import CsvRecord, Lines, TooLong, records
from dialogs.parsing.normalise import fold, national_id

DELIMITERS = ",;\t"
# What a rejects file has besides.
IGNORED = ("line", "reason")
_KNOWN = {*NEEDED, *OPTIONAL, *IGNORED}
_SEPARATOR = re.compile(r'"?sep=([,;\t])"?', re.IGNORECASE)
# Rows that are looked through for a header that is not the first.
_LOOKED_THROUGH = 20
_KINDS = (
    (b"PK\x03\x04", "an Excel workbook (xlsx), or another zip archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (xls)"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


class BadFile(Exception):
    """The file can't be read as accounts; the message says why."""


@dataclass(frozen=True)
class Header:
    """The delimiter, and the name of each column; one without a name, or that is not read, is empty."""

    delimiter: str
    columns: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """The columns that are read, in their order."""
        return [name for name in self.columns if name in NEEDED + OPTIONAL]

    @cached_property
    def _least(self) -> int:
        return max(place for place, name in enumerate(self.columns, 1) if name)

    @cached_property
    def _all_named(self) -> tuple[str, ...]:
        # None where a column is not read.
        return self.columns if len(self.names) == len(self.columns) else ()

    @cached_property
    def _is_plain(self) -> bool:
        # A comma too many, in a name without quotes, can't move cells to where they would be taken for others.
        return "password" not in self.columns and len({"full_name", "province", "broker"} & {*self.columns}) < 2

    def by_name(self, cells: list[str]) -> dict[str, str]:
        """The cells by their columns; none where there are too few or too many, or one stands under no name.

        Empty ones at the end may lack or be too many where no harm can come of it.
        """
        if len(cells) == len(self._all_named):
            return dict(zip(self._all_named, cells, strict=True))
        if len(cells) != len(self.columns) and not self._is_plain:
            return {}
        beyond = [cell for place, cell in enumerate(cells) if place >= len(self.columns) or not self.columns[place]]
        if len(cells) < self._least or any(map(plain, beyond)):
            return {}
        return {name: cell for name, cell in zip(self.columns, cells, strict=False) if name and name not in IGNORED}


def check_kind(head: bytes) -> None:
    """Raise BadFile where the first bytes of a file are no UTF-8 text's."""
    kind = next((kind for mark, kind in _KINDS if head.startswith(mark)), None)
    if kind is None and head.count(0) > len(head) // 4:
        kind = "UTF-16"
    if kind:
        raise BadFile(f'the file is {kind}; save it as "CSV UTF-8"')


def read(lines: Lines) -> tuple[Header, Iterator[CsvRecord]]:
    """The header, and the rows below it; BadFile where the file has none."""
    try:
        delimiter = _delimiter(lines)
    except TooLong:
        raise BadFile("the header is no line of columns: it is too long") from None
    rows = records(lines, delimiter)
    header = next(rows, None)
    if header is None:
        raise BadFile("columns: the file is empty; " + ", ".join(f"missing {name}" for name in NEEDED))
    if header.fault:
        raise BadFile(f"the header is no line of columns: {header.fault}")
    names = [_name(cell) for cell in header.cells]
    _check(names, header, rows)
    return Header(delimiter, tuple(names)), rows


def _delimiter(lines: Lines) -> str:
    """What the file says (`sep=;`), or what parts the header's names. Empty lines before it are passed over."""
    said = None
    for line in lines:
        separator = _SEPARATOR.fullmatch(line.strip("\r\n"))
        if separator:
            said = separator[1]
        elif plain(line).strip('",; '):
            lines.give_back()
            return said or max(DELIMITERS, key=lambda each: (_known(line, each), line.count(each)))
        lines.forget()
    return ","


def _known(line: str, delimiter: str) -> int:
    return sum(_name(cell.replace('"', "")) in _KNOWN for cell in line.split(delimiter))


def _name(cell: str) -> str:
    return re.sub("[ -]+", "_", fold(value(cell)).strip())


def _check(names: list[str], header: CsvRecord, rows: Iterator[CsvRecord]) -> None:
    missing = [f"missing {name}" for name in NEEDED if name not in names]
    unknown = [_shown(place, name) for place, name in enumerate(names, 1) if name and name not in _KNOWN]
    given = [name for name in names if name]
    if missing:
        _find_cause(header, rows)
    if missing or unknown or len(set(given)) < len(given):
        known = f"; there are {', '.join(NEEDED + OPTIONAL)}" if missing or unknown else ""
        raise BadFile("columns: " + (", ".join(missing + unknown) or "one stands twice") + known)


def _shown(place: int, name: str) -> str:
    # What holds digits may be anybody's particulars.
    return f"unknown {name!r}" if name.replace("_", "").isalpha() and len(name) <= 40 else f"unknown column {place}"


def _find_cause(header: CsvRecord, rows: Iterator[CsvRecord]) -> None:
    if any("\ud800" <= character <= "\udfff" for cell in header.cells for character in cell):
        raise BadFile('the file is not UTF-8; save it as "CSV UTF-8"')
    if any(national_id(re.sub("[^0-9]", "", fold(cell))) for cell in header.cells):
        raise BadFile(f"columns: there is no header, line {header.line} is a row; put {','.join(NEEDED)},… above it")
    for row in islice(rows, _LOOKED_THROUGH):
        if {_name(cell) for cell in row.cells} >= set(NEEDED):
            raise BadFile(f"columns: a title stands above the header; remove what is above line {row.line}")
