"""The audit trail as headquarters reads it: the newest rows first, from a day back; everybody's, or staff's alone."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from flask import Response, abort, request
from sqlalchemy import Row as Found

from bot.build import Bot
from bot.clock import jalali, midnight, read_day
from bot.console_login import Login, proof
from store import audit
from webhooks import html
from webhooks.console.formatting import Formatter, Row, Table

SHOWN = 100
LARGEST_ID = 2**31 - 1  # that the column holds


def show(bot: Bot, login: Login) -> Response:
    """A page of the trail. Other staff read what concerns their accounts in those accounts' stories."""
    if not login.sees_all:
        abort(403)
    formatter, fault = Formatter(html.language_asked()), ""
    written, by_staff = request.args.get("to", "").strip(), "staff" in request.args
    before, day = min(request.args.get("before", LARGEST_ID, int), LARGEST_ID), None
    try:
        day = read_day(written) if written else None
    except ValueError:
        fault = "bad_to"
    rows = [] if fault else _rows(bot, before, day, by_staff=by_staff)
    answer = html.page(
        "console_audit.html",
        formatter.language,
        login=login,
        proof=proof(login.session.secret),
        fault=fault,
        to=_field(formatter, day) if day else written,
        by_staff=by_staff,
        trail=table(formatter, rows[:SHOWN]),
        older=rows[SHOWN - 1].id if len(rows) > SHOWN else None,
        address=({"to": day.isoformat()} if day else {}) | ({"staff": "on"} if by_staff else {}),
    )
    answer.status_code = 400 if fault else 200
    return answer


def _rows(bot: Bot, before: int, day: date | None, *, by_staff: bool) -> Sequence[Found[Any]]:
    with bot.store.reading() as connection:
        if day is not None:
            before = min(before, audit.first_since(connection, midnight(day + timedelta(days=1))) or before)
        return audit.newest(connection, before, SHOWN + 1, by_staff=by_staff)


def _field(formatter: Formatter, day: date) -> str:
    return jalali(day) if formatter.language == "fa" else day.isoformat()


def table(formatter: Formatter, rows: Sequence[Found[Any]]) -> Table:
    """Rows of the audit, in words."""
    title, *head = formatter.words["heads"]["audit"]
    return Table(title, head, [_told(formatter, row) for row in rows])


def _told(formatter: Formatter, row: Found[Any]) -> Row:
    return (
        formatter.moment(row.at),
        formatter.word("actors", row.actor),
        row.who,
        formatter.word("actions", row.action),
        formatter.word("outcomes", row.outcome),
        formatter.word("reasons", row.reason or ""),
        row.ref or "",
    )
