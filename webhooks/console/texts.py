"""The texts behind a number of the figures: masked, the newest first, each leading to its account's story."""

from datetime import datetime, timedelta
from typing import Any

from flask import Response, request
from sqlalchemy import Row as Found

from bot.accounts.console_login import Login, proof
from bot.build import Bot
from bot.platform.clock import midnight
from bot.reports.kpi import POINTS
from store.tables import DeliveryStatus, MessageKind
from store.views import text_list
from store.views.delivery_stats import Subject
from store.views.text_list import Fate, TextFilter
from webhooks import html
from webhooks.console import period
from webhooks.console.formatting import AccountLink, Formatter, Link, Row, Table
from webhooks.console.period import Asked

SHOWN, MOST = 50, 1_000
LONGEST = 80


def show(bot: Bot, login: Login) -> Response:
    """A page of texts. An address says which: days, province, control point, fate, gateway, error."""
    formatter, asked, now = Formatter(html.language_asked()), period.read(bot, login), bot.clock()
    wanted, skipped = _wanted(asked), min(max(0, request.args.get("skip", 0, int)), MOST - SHOWN)
    with bot.store.reading() as connection:
        rows = text_list.newest(connection, wanted, now, skipped, SHOWN + 1)
    answer = html.page(
        "console_texts.html",
        formatter.language,
        login=login,
        proof=proof(login.session.secret),
        asked=asked,
        title=_title(formatter, wanted),
        span=formatter.span(asked.first, asked.last),
        texts=_table(formatter, rows[:SHOWN]),
        others=_others(formatter, asked, skipped, has_more=len(rows) > SHOWN),
        formatter=formatter,
    )
    answer.status_code = 400 if asked.fault else 200
    return answer


def _wanted(asked: Asked) -> TextFilter:
    begin, end = midnight(asked.first), midnight(asked.last + timedelta(days=1))
    point, fate = request.args.get("point"), request.args.get("fate")
    return TextFilter(
        begin,
        end,
        asked.scope,
        Subject(point) if point in POINTS else None,
        Fate(fate) if fate in list(Fate) else None,
        _short("gateway"),
        _short("error"),
    )


def _short(name: str) -> str | None:
    # Nothing that is kept under these names has a character that can't be seen, and PostgreSQL takes no NUL.
    return "".join(filter(str.isprintable, request.args.get(name, "")[:LONGEST])) or None


def _title(formatter: Formatter, wanted: TextFilter) -> str:
    words = formatter.words
    parts = [words["points"][wanted.subject.value] if wanted.subject else words["texts_title"]]
    parts += [words["facts"][wanted.fate.value]] if wanted.fate else []
    parts += [formatter.word("errors_of", wanted.error)] if wanted.error else []
    parts += [wanted.scope.province] if wanted.scope.province else []
    parts += [wanted.gateway] if wanted.gateway else []
    return " · ".join(parts)


def _others(formatter: Formatter, asked: Asked, skipped: int, *, has_more: bool) -> list[Link]:
    kept = {name: value for name in ("point", "fate", "gateway", "error") if (value := _short(name))}
    words, address = formatter.words, asked.address | kept
    found = [("newer", skipped - SHOWN)] if skipped else []
    found += [("earlier", skipped + SHOWN)] if has_more and skipped + SHOWN < MOST else []
    return [
        Link(words[name], html.address("console.texts", formatter.language, **address, skip=str(skip)))
        for name, skip in found
    ]


def _table(formatter: Formatter, rows: list[Found[Any]]) -> Table:
    title, *head = formatter.words["heads"]["behind"]
    return Table(title, head, [_told(formatter, row) for row in rows])


def _told(formatter: Formatter, row: Found[Any]) -> Row:
    status, words = DeliveryStatus(row.status), formatter.words
    account = (
        AccountLink(formatter.digits(f"…{row.national_id[-4:]}"), row.account_id)
        if row.national_id
        else words["unknown"]
    )
    return (
        formatter.moment(row.created_at),
        account,
        formatter.word("ranks", status.name.lower()),
        _took(formatter, row.request_received_at, row.ended_at if status == DeliveryStatus.DELIVERED else None),
        formatter.word("kinds", MessageKind(row.kind).name.lower()),
        row.province or words["unknown"],
        row.gateway,
        formatter.word("errors_of", row.error) if row.error else "",
    )


def _took(formatter: Formatter, heard: datetime, delivered: datetime | None) -> str:
    # Rounded up, as the figures do: 60.1 seconds is not within the minute.
    return "–" if delivered is None else formatter.seconds(-(-(delivered - heard) // timedelta(seconds=1)))
