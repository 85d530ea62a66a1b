"""Tehran's day, and its dates in three calendars."""

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hijridate import Gregorian, Hijri
from persiantools.jdatetime import JalaliDate

from dialogs.parsing.normalise import fold

TEHRAN = ZoneInfo("Asia/Tehran")
RABI_AL_AWWAL = 3
# A year tells its calendar: these are Jalali and Gregorian ones of the same two centuries.
JALALI_YEARS, GREGORIAN_YEARS = range(1300, 1501), range(1921, 2123)
HOUR = timedelta(hours=1)


def today_in_tehran(now: datetime) -> date:
    """Which day it is in Tehran."""
    return now.astimezone(TEHRAN).date()


def midnight_in_tehran(now: datetime) -> datetime:
    """When the day began in Tehran."""
    return now.astimezone(TEHRAN).replace(hour=0, minute=0, second=0, microsecond=0)


def time_in_tehran(now: datetime) -> str:
    """The time in Tehran, as 12:30."""
    return f"{now.astimezone(TEHRAN):%H:%M}"


def jalali(day: date) -> str:
    """A day in Iran's calendar, as 1405/05/23."""
    return str(JalaliDate(day).strftime("%Y/%m/%d", locale="en"))  # type: ignore[no-untyped-call]


def midnight(day: date) -> datetime:
    """When a day begins in Tehran, in UTC."""
    return datetime.combine(day, time(), TEHRAN).astimezone(UTC)


def day_around(moment: datetime) -> tuple[datetime, datetime]:
    """Tehran's day around a time: when it begins, and when the next does."""
    day = today_in_tehran(moment)
    return midnight(day), midnight(day + timedelta(days=1))


def days_of(first: date, last: date) -> list[date]:
    """All days from one to another, both of them too."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def read_day(written: str) -> date:
    """A day written as year, month and day, Gregorian or Jalali: the year tells. ValueError says what is wrong."""
    found = re.fullmatch(r"([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})", fold(written).strip())
    if found is None:
        raise ValueError("is not a day such as 2026-11-24 or 1405-09-03")
    year, month, day = (int(part) for part in found.groups())
    try:
        if year in JALALI_YEARS:
            found_day: date = JalaliDate(year, month, day).to_gregorian()  # type: ignore[no-untyped-call]
            return found_day
        if year in GREGORIAN_YEARS:
            return date(year, month, day)
    except ValueError:
        raise ValueError("is a day that the calendar has not") from None
    raise ValueError("has a year that is neither Gregorian nor Jalali")


def shown(day: date, calendar: str) -> str:
    """A day as a reader of a language expects it: the Jalali date, or the Gregorian one."""
    return jalali(day) if calendar == "jalali" else day.strftime("%Y/%m/%d")


def next_rabi_al_awwal(day: date) -> date:
    """The first of Rabi' al-Awwal on or after a day, when the Umrah operation usually opens.

    By the Umm al-Qura calendar; the sighting of the moon in Iran can differ by a day, so a person confirms it.
    """
    year = Gregorian.fromdate(day).to_hijri().year
    firsts = (Hijri(later, RABI_AL_AWWAL, 1).to_gregorian() for later in (year, year + 1))
    return next(date(first.year, first.month, first.day) for first in firsts if first >= day)


def system_clock() -> datetime:
    """The time now."""
    return datetime.now(UTC)
