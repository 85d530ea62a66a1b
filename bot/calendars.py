"""Tehran's day, and its dates in three calendars."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from hijridate import Gregorian, Hijri
from persiantools.jdatetime import JalaliDate

TEHRAN = ZoneInfo("Asia/Tehran")
RABI_AL_AWWAL = 3


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
