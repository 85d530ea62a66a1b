"""Rows of the audit as a table that a spreadsheet opens: plain words, and times in both calendars."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Row

from bot.platform.clock import TEHRAN, jalali
from bot.platform.csv_export import Cell

HEADER = ("id", "gregorian", "jalali", "time", "actor", "who", "action", "outcome", "reason", "account", "staff", "ref")


def table(rows: Sequence[Row[Any]]) -> Iterator[tuple[Cell, ...]]:
    """The rows, the first of them the header. Times are Tehran's; an account is told by its number, never its ID."""
    yield HEADER
    for row in rows:
        at = row.at.astimezone(TEHRAN)
        when = (at.date().isoformat(), jalali(at.date()), f"{at:%H:%M:%S}")
        yield (
            row.id,
            *when,
            row.actor,
            row.who,
            row.action,
            row.outcome,
            row.reason,
            row.account_id,
            row.staff_id,
            row.ref,
        )
