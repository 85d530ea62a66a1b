"""The audit trail as headquarters reads it: the newest rows first, from a day back; everybody's, or staff's alone."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from flask import Response, abort, request
from sqlalchemy import Row as Found

from bot.accounts.console_login import Login, proof
from bot.build import Bot
from bot.platform.clock import midnight, today_in_tehran
from store import audit
from webhooks import html
from webhooks.console import period
from webhooks.console.formatting import Formatter, Row, Table

SHOWN = 50
LARGEST_ID = 2**31 - 1  # that the column holds


def show(bot: Bot, login: Login) -> Response:
    """A page of the trail. Other staff read what concerns their accounts in those accounts' stories."""
    if not login.sees_all:
        abort(403)
    formatter, fault, today = Formatter(html.language_asked()), "", today_in_tehran(bot.clock())
    before, day = max(0, min(request.args.get("before", LARGEST_ID, int), LARGEST_ID)), None
    by_staff = "staff" in request.args
    try:
        day = period.read_end("to")
    except ValueError:
        fault = "bad_to"
    rows = [] if fault else _rows(bot, before, day, by_staff=by_staff)
    answer = html.page(
        "console_audit.html",
        formatter.language,
        login=login,
        proof=proof(login.session.secret),
        fault=fault,
        to=list(period.single(formatter, "to", day or today, today)),
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


def table(formatter: Formatter, rows: Sequence[Found[Any]]) -> Table:
    """Rows of the audit, in words."""
    title, *head = formatter.words["heads"]["audit"]
    return Table(title, head, [_told(formatter, row) for row in rows])


def _told(formatter: Formatter, row: Found[Any]) -> Row:
    return (
        formatter.moment(row.at),
        formatter.word("actors", row.actor),
        formatter.digits(row.who),
        formatter.word("actions", row.action),
        formatter.word("outcomes", row.outcome),
        formatter.word("reasons", row.reason or ""),
        row.ref or "",
    )
