"""The header of an import's file: which column is which, and what stands between them."""

import re
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from bot.accounts.csv_cells import NEEDED, OPTIONAL, plain
from bot.accounts.csv_columns import IGNORED, KNOWN, name
from bot.accounts.csv_records import CsvRecord, Lines, TooLong, records
from dialogs.parsing.normalise import fold, national_id

DELIMITERS = ",;\t"
_SEPARATOR = re.compile(r'"?sep=([,;\t])"?[,;\t]*', re.IGNORECASE)
# Rows that are looked through for a header that is not the first.
_LOOKED_THROUGH = 20
HEAD = 512
_KINDS = (
    (b"PK\x03\x04", "an Excel workbook (xlsx), or another zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (xls)"),
    (b"\x1f\x8b", "compressed (gzip)"),
    (b"7z\xbc\xaf", "compressed (7z)"),
    (b"Rar!", "compressed (rar)"),
    (b"%PDF", "a PDF"),
    (b"{\\rtf", "a document (RTF)"),
    (b"SQLite format 3", "a database"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
# How a text begins that is none of columns, behind its mark and white space.
_TEXTS = ((b"<", "a web page or XML, though a spreadsheet may open it"), (b"{", "JSON"), (b"[{", "JSON"))
_UTF_16 = re.compile("[\t\r\n -~\u0600-\u06ff\u200b-\u200f]+")
_WHOLE = "; the header is one cell: part its columns with commas, semicolons or tabs, not in quotes"
SAVE = 'save the list as "CSV UTF-8"'


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

    def is_repeated(self, cells: list[str]) -> bool:
        """Whether a row is this header again, as where lists were put together: it means nothing."""
        return self._names_of(cells) == [each for each in self.columns if each]

    def is_another(self, cells: list[str]) -> bool:
        """Whether a row is the header of other columns, so that what is below it is not to be read under this one."""
        return {*self._names_of(cells)} >= {*NEEDED}

    def _names_of(self, cells: list[str]) -> list[str]:
        return list(filter(None, map(name, cells)))

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
    text = head.removeprefix(BOM_UTF8).lstrip()
    kind = kind or next((kind for mark, kind in _TEXTS if text.startswith(mark)), None)
    if kind is None and (_is_utf_16(head) or head.count(0) > len(head) // 4):
        kind = "UTF-16"
    if kind:
        raise BadFile(f"the file is {kind}; {SAVE}")


def _is_utf_16(head: bytes) -> bool:
    """Whether it is UTF-16 without its mark: of Persian words, only few bytes are 0."""
    even = head[: len(head) // 2 * 2]
    read = (even.decode(each, "replace") for each in ("utf-16-le", "utf-16-be"))
    return 0 in head and any(map(_UTF_16.fullmatch, read))


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
    names = [name(cell) for cell in header.cells]
    _check(names, header, rows)
    return Header(delimiter, tuple(names)), rows


def _delimiter(lines: Lines) -> str:
    """What parts the header's names, or else what the file says (`sep=;`). Empty lines before it are passed over."""
    said = None
    for line in lines:
        separator = _SEPARATOR.fullmatch(line.strip("\r\n"))
        if separator:
            said = separator[1]
        elif plain(line).strip('",; '):
            lines.give_back()
            return max(DELIMITERS, key=lambda each: (_known(line, each), each == said, line.count(each)))
        lines.forget()
    return ","


def _known(line: str, delimiter: str) -> int:
    return sum(name(cell.replace('"', "")) in KNOWN for cell in line.split(delimiter))


def _check(names: list[str], header: CsvRecord, rows: Iterator[CsvRecord]) -> None:
    missing = [f"missing {name}" for name in NEEDED if name not in names]
    unknown = [_shown(place, name) for place, name in enumerate(names, 1) if name and name not in KNOWN]
    twice = [f"{name} stands twice" for name, number in Counter(filter(None, names)).items() if number > 1]
    if missing:
        _find_cause(header, rows)
    if missing or unknown or twice:
        known = f"; there are {', '.join(NEEDED + OPTIONAL)}" if missing or unknown else ""
        is_whole = bool(missing) and len(header.cells) == 1
        raise BadFile(f"columns: {', '.join(missing + unknown + twice)}{known}{_WHOLE if is_whole else ''}")


def _shown(place: int, name: str) -> str:
    # What holds digits may be anybody's particulars.
    return f"unknown {name!r}" if name.replace("_", "").isalpha() and len(name) <= 40 else f"unknown column {place}"


def _find_cause(header: CsvRecord, rows: Iterator[CsvRecord]) -> None:
    if any("\ud800" <= character <= "\udfff" for cell in header.cells for character in cell):
        raise BadFile(f"the file is not UTF-8; {SAVE}")
    if any(national_id(re.sub("[^0-9]", "", fold(cell))) for cell in header.cells):
        raise BadFile(f"columns: there is no header, line {header.line} is a row; put {','.join(NEEDED)},… above it")
    for row in islice(rows, _LOOKED_THROUGH):
        line = ",".join(row.cells)  # a title has no delimiter by which it could be told
        if any({name(cell) for cell in line.split(each)} >= set(NEEDED) for each in DELIMITERS):
            raise BadFile(f"columns: a title stands above the header; remove what is above line {row.line}")
