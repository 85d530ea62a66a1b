"""What an address of the console asks for: days, a province, and the form that asks for others."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from flask import request

from bot.accounts.console_login import Login
from bot.build import Bot
from bot.platform.clock import read_day, today_in_tehran
from bot.reports.date_range import BadPeriod, period
from dialogs.parsing.normalise import place_name
from store import accounts
from store.views.delivery_stats import Scope
from webhooks import html
from webhooks.console.formatting import Choice, Formatter, Link, day_fields

PRESETS = (1, 7, 30)
LONGEST_PROVINCE = 60
# No month is so much shorter than the longest one.
LACKING_DAYS = 3


@dataclass(frozen=True)
class Asked:
    """What was asked for: days, province, and what was wrong with it."""

    first: date
    last: date
    scope: Scope
    fault: str = ""

    @property
    def address(self) -> dict[str, str]:
        """What an address says to ask the same again."""
        found = {"from": self.first.isoformat(), "to": self.last.isoformat()}
        return found | ({"province": self.scope.province} if self.scope.province else {})


def read(bot: Bot, login: Login) -> Asked:
    """What an address asks for, within the scope of the member who asks."""
    province = place_name(request.args.get("province", "")[:LONGEST_PROVINCE])
    # A province can be chosen by headquarters only; nobody leaves their scope by an address.
    scope = Scope(province=province) if province and login.sees_all else login.scope
    today = today_in_tehran(bot.clock())
    end = "from"
    try:
        first = read_end("from")
        end = "to"
        last = read_end("to")
        if "from_day" in request.args and first and last:  # whichever was chosen first
            first, last = sorted((first, last))
        begin, end_day = period(bot.store, first, last, today)
        # A season's days that are to come have nothing to show, unless they are asked for.
        return Asked(begin, end_day if last else max(begin, min(end_day, today)), scope)
    except BadPeriod as bad:
        fault = "bad_order" if bad.end == "to" else "too_long"
    except ValueError:
        fault = f"bad_{end}"
    return Asked(*period(bot.store, today, today, today), scope, fault)


def read_end(name: str) -> date | None:
    """A day, as an address has it whole, or as a form in three fields; None for none. ValueError for nonsense.

    A day that its month lacks, the 31st of a shorter one, is the month's last.
    """
    if f"{name}_day" not in request.args:
        written = request.args.get(name, "").strip()
        return read_day(written) if written else None
    day, month, year = (request.args.get(f"{name}_{part}", 0, int) for part in ("day", "month", "year"))
    for lacking in range(LACKING_DAYS):
        try:
            return read_day(f"{year:04d}-{month}-{day - lacking}")
        except ValueError:
            continue
    return read_day(f"{year:04d}-{month}-{day - LACKING_DAYS}")


def form(bot: Bot, login: Login, formatter: Formatter, asked: Asked, endpoint: str) -> Mapping[str, Any]:
    """What the page shows of the period, and to choose another: by a link, or by fields that can't be wrong."""
    today = today_in_tehran(bot.clock())
    years = range(min(asked.first, today).year - 1, max(asked.last, today).year + 1)
    scope = {"province": asked.scope.province} if login.sees_all and asked.scope.province else {}
    presets = [
        Link(formatter.words["presets"][place], _address(endpoint, formatter, last_days(days, today) | scope))
        for place, days in enumerate(PRESETS)
    ]
    whole = Link(formatter.words["presets"][len(PRESETS)], _address(endpoint, formatter, scope))
    return {
        "span": formatter.span(asked.first, asked.last),
        "presets": [*presets, whole],
        "ends": [
            (formatter.words[name], list(day_fields(formatter, name, day, years)))
            for name, day in (("from", asked.first), ("to", asked.last))
        ],
        "provinces": _provinces(bot) if login.sees_all else [],
        "endpoint": endpoint,
    }


def last_days(days: int, today: date) -> dict[str, str]:
    """An address's words for so many days up to today."""
    return {"from": (today - timedelta(days=days - 1)).isoformat(), "to": today.isoformat()}


def single(formatter: Formatter, name: str, day: date, today: date) -> Iterator[Choice]:
    """The three fields of one day."""
    return day_fields(formatter, name, day, range(min(day, today).year - 1, today.year + 1))


def _address(endpoint: str, formatter: Formatter, words: Mapping[str, Any]) -> str:
    return html.address(endpoint, formatter.language, **words)


def _provinces(bot: Bot) -> list[str]:
    with bot.store.reading() as connection:
        return sorted(accounts.places(connection, "province"))
