"""Tables as CSV that spreadsheets open as they are meant: UTF-8 with its mark, and no cell that they would run."""

import csv
from collections.abc import Iterable, Sequence
from io import StringIO

MARK = "\ufeff"
# A spreadsheet takes what begins like this for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")

Cell = str | int | float | None


def sheet(rows: Iterable[Sequence[Cell]]) -> str:
    """Rows as the text of a CSV file, to be written in UTF-8. Words that would be a formula get a leading '."""
    written = StringIO()
    writer = csv.writer(written)
    writer.writerows([_safe(cell) for cell in row] for row in rows)
    return MARK + written.getvalue()


def _safe(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
