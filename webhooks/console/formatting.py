"""Numbers, days, times and words as the console writes them, in the page's language, and tables of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from bot.platform.clock import TEHRAN, jalali, today_in_tehran
from bot.reports.kpi import per_cent
from webhooks import html

PERSIAN = str.maketrans("0123456789.,%", "۰۱۲۳۴۵۶۷۸۹٫٬٪")
# Keeps the sign of per cent on the left of a Persian number, where it is written.
TO_THE_LEFT, UNBROKEN = "\u200f", "\u00a0"
WHOLE = 100
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Link(NamedTuple):
    """A number or a word that leads to what is behind it."""

    text: str
    href: str


class ShareBar(NamedTuple):
    """A share in time, as words and as a bar from 0 to 100."""

    text: str
    percent: float


class AccountLink(NamedTuple):
    """A masked number that leads to its account's story. It is pressed: nothing of it stands in an address."""

    text: str
    id: int


Cell = str | Link | ShareBar | AccountLink
Row = Sequence[Cell]


class Table(NamedTuple):
    """A table: what it is of, its columns, its rows; the places of those that miss the target."""

    title: str
    head: Sequence[str]
    rows: Sequence[Row]
    below: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Formatter:
    """Writes numbers, days and words in one language."""

    language: str

    @property
    def words(self) -> Any:
        """What the console says."""
        return html.words(self.language)["console"]

    @property
    def is_persian(self) -> bool:
        """Whether digits are Persian and days are Jalali."""
        return self.language == "fa"

    def digits(self, written: object) -> str:
        """Something in the language's digits."""
        return str(written).translate(PERSIAN) if self.is_persian else str(written)

    def number(self, value: float | None, digits: int = 0) -> str:
        """A number; a dash for none."""
        return "–" if value is None else self.digits(f"{value:,.{digits}f}")

    def share(self, share: float | None, digits: int = 1) -> str:
        """A share as per cent, never rounded up."""
        if share is None:
            return "–"
        number = per_cent(share) if digits else int(per_cent(share))
        written = f"{number:.0f}" if number == WHOLE else f"{number:.{digits}f}"
        return self.digits(written) + (f"{TO_THE_LEFT}٪" if self.is_persian else "%")

    def bar(self, share: float | None) -> Cell:
        """A share with its bar; a dash for none."""
        return "–" if share is None else ShareBar(self.share(share), per_cent(share))

    def seconds(self, value: float | None) -> str:
        """So many seconds, with their unit."""
        return "–" if value is None else f"{self.number(value)} {self.words['second']}"

    def day(self, day: date, *, year: bool = True) -> str:
        """A day in the language's calendar, its month by its name."""
        number, month, written = self.parts(day)
        found = f"{self.digits(number)} {self.months[month - 1]}"
        return f"{found} {self.digits(written)}" if year else found

    def span(self, first: date, last: date) -> str:
        """The days from one to another, both with them."""
        if first == last:
            return self.day(first)
        same_year = self.parts(first)[2] == self.parts(last)[2]
        return f"{self.day(first, year=not same_year)} {self.words['until']} {self.day(last)}"

    def parts(self, day: date) -> tuple[int, int, int]:
        """Day, month and year in the language's calendar."""
        if not self.is_persian:
            return day.day, day.month, day.year
        year, month, number = map(int, jalali(day).split("/"))
        return number, month, year

    @property
    def months(self) -> Sequence[str]:
        """The names of the calendar's months."""
        return self.words["months"]  # type: ignore[no-any-return]

    def moment(self, at: datetime | None) -> str:
        """A time in Tehran, with its day."""
        if at is None:
            return "–"
        day = self.day(today_in_tehran(at)).replace(" ", UNBROKEN)  # in a narrow column it is two lines, not four
        return f"{day}{self.words['comma']} {self.clock(at)}"

    def clock(self, at: datetime | None) -> str:
        """The time of day in Tehran, with seconds."""
        return "–" if at is None else self.digits(f"{at.astimezone(TEHRAN):%H:%M:%S}")

    def age(self, then: datetime, now: datetime) -> str:
        """How long ago, in the largest unit that there are two of."""
        passed = max(timedelta(), now - then)
        for unit, length in (("day", DAY), ("hour", HOUR), ("minute", MINUTE)):
            if passed >= 2 * length:
                return f"{self.digits(passed // length)} {self.words['units'][unit]}"
        return self.seconds(passed // timedelta(seconds=1))

    def word(self, kind: str, name: str) -> str:
        """A name out of a list of words; itself, where it has none."""
        return str(self.words[kind].get(name, name))


class Choice(NamedTuple):
    """One of three fields of a day: what it is called, its values and names, and which one is chosen."""

    name: str
    label: str
    options: Sequence[tuple[int, str]]
    chosen: int


def day_fields(formatter: Formatter, prefix: str, day: date, years: Sequence[int]) -> Iterator[Choice]:
    """Day, month and year to choose from, in the language's calendar. `years` are Gregorian ones to offer."""
    number, month, year = formatter.parts(day)
    words = formatter.words
    days = [(each, formatter.digits(each)) for each in range(1, 32)]
    offered = sorted({formatter.parts(date(each, 6, 1))[2] for each in years} | {year})
    yield Choice(f"{prefix}_day", words["day"], days, number)
    yield Choice(f"{prefix}_month", words["month_field"], list(enumerate(formatter.months, 1)), month)
    yield Choice(f"{prefix}_year", words["year"], [(each, formatter.digits(each)) for each in offered], year)
