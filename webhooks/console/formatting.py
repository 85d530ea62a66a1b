"""Numbers, days, times and words as the console writes them, in the page's language, and tables of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from bot.clock import TEHRAN, jalali, today_in_tehran
from bot.reports.kpi import per_cent
from webhooks import html
from webhooks.console.charts import PERSIAN

Row = Sequence[str]


class Table(NamedTuple):
    """A table: what it is of, its columns, its rows; the places of those that miss the target."""

    title: str
    head: Row
    rows: list[Row]
    below: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Formatter:
    """Writes numbers, days and words in one language."""

    language: str

    @property
    def words(self) -> Any:
        """What the console says."""
        return html.words(self.language)["console"]

    def digits(self, written: object) -> str:
        """Something in the language's digits."""
        return str(written).translate(PERSIAN) if self.language == "fa" else str(written)

    def number(self, value: float | None, digits: int = 0) -> str:
        """A number; a dash for none."""
        return "–" if value is None else self.digits(f"{value:,.{digits}f}")

    def share(self, share: float | None) -> str:
        """A share as per cent."""
        return "–" if share is None else self.digits(f"{per_cent(share):.1f}%")

    def day(self, day: date) -> str:
        """A day, in the language's calendar first."""
        pair = [jalali(day), day.strftime("%Y/%m/%d")]
        first, second = pair if self.language == "fa" else pair[::-1]
        return f"{self.digits(first)} ({self.digits(second)})"

    def moment(self, at: datetime | None) -> str:
        """A time in Tehran, with its day."""
        return "–" if at is None else f"{self.day(today_in_tehran(at))} {self.clock(at)}"

    def clock(self, at: datetime | None) -> str:
        """The time of day in Tehran, with seconds."""
        return "–" if at is None else self.digits(f"{at.astimezone(TEHRAN):%H:%M:%S}")

    def age(self, then: datetime, now: datetime) -> str:
        """How long ago."""
        seconds = max(0, int((now - then).total_seconds()))
        found = f"{seconds} {self.words['second']}" if seconds < 120 else f"{seconds // 60} {self.words['minute']}"
        return self.digits(found)

    def word(self, kind: str, name: str) -> str:
        """A name out of a list of words; itself, where it has none."""
        return str(self.words[kind].get(name, name))
