"""Which days figures are asked of: those that are named, else the season's, else the last thirty."""

from datetime import date, timedelta

from bot.platform.clock import jalali
from store.database.engine import Store
from store.service import seasons

USUAL_DAYS, MOST_DAYS = 30, 800


class BadPeriod(ValueError):
    """Days that are no period; `end` is the one that is to blame: from or to."""

    def __init__(self, end: str, words: str) -> None:
        """Say what is wrong."""
        super().__init__(words)
        self.end = end


def period(store: Store, first: date | None, last: date | None, today: date) -> tuple[date, date]:
    """The first and the last day; BadPeriod where they are the wrong way round, or too far apart."""
    with store.reading() as connection:
        opens, closes = seasons.find(connection) or (None, None)
    end = last or (closes if closes and (first is None or first <= closes) else today)
    begin = first or (opens if opens and opens <= end else end - timedelta(days=USUAL_DAYS - 1))
    if first is None and (end - begin).days > MOST_DAYS:  # a season without an end: what has been of it
        end = last or min(end, today)
        begin = max(begin, end - timedelta(days=USUAL_DAYS - 1))
    if end < begin:
        raise BadPeriod("to", f"{both(end)} is before {both(begin)}")
    if (end - begin).days > MOST_DAYS:
        raise BadPeriod("from", f"the period is longer than {MOST_DAYS} days")
    return begin, end


def both(day: date) -> str:
    """A day in both calendars."""
    return f"{day.isoformat()} ({jalali(day)})"
