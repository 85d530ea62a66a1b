"""Tables as CSV that spreadsheets open as they are meant: UTF-8 with its mark, and no cell that they would run."""

import csv
import re
from collections.abc import Iterable, Sequence
from io import StringIO

MARK = "\ufeff"
# A spreadsheet takes what begins like this for a formula: a cell, and what follows a character that another
# spreadsheet, or the same one in another country, takes for a cell's end. What can't be seen before it counts for
# nothing: one of the programs on the way may drop it.
_UNSEEN = r"[\s\0\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]*"
_FORMULA = re.compile(rf"(^{_UNSEEN}|[,;\t\r\n]{_UNSEEN})(?=[=+\-@＝＋－＠])|^(?=[\t\r\n])")

Cell = str | int | float | None


def sheet(rows: Iterable[Sequence[Cell]]) -> str:
    """Rows as the text of a CSV file, to be written in UTF-8. Words that would be a formula get a leading '."""
    written = StringIO()
    writer = csv.writer(written)
    writer.writerows([inert(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return MARK + written.getvalue()


def inert(text: str) -> str:
    """A text as a cell that no spreadsheet runs: an apostrophe stands before what would be a formula."""
    return _FORMULA.sub(lambda found: f"{found[0]}'" if found.start() else f"'{found[0]}", text)
