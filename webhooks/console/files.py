"""What the console gives as a file: the audit for headquarters, one account's story for those whose scope it is in.

Words are English and plain, as in the file of figures. Nothing secret stands in an address: a story comes by a form.
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from flask import Response, abort, request
from sqlalchemy import Connection, Row

from bot.accounts.console_login import Login
from bot.audit import rows as audit_rows
from bot.audit.trail import masked
from bot.build import Bot
from bot.inbound.staff_context import is_in_scope
from bot.platform.clock import TEHRAN, jalali, midnight, read_day
from bot.platform.csv_export import Cell, sheet
from dialogs.audit_vocabulary import Action
from store import accounts, audit
from store.accounts import Account
from store.audit import AuditFilter
from store.tables import DeliveryStatus, MessageKind
from store.views import account_history

# More rows than a spreadsheet takes are of no use, and a page that asks for all would hold up the others.
MOST = 50_000
STORY = ("what", "gregorian", "jalali", "time", "by_or_to", "which", "became", "ended", "gateway", "reason", "ref")


def trail(bot: Bot, login: Login) -> Response:
    """The audit's rows up to a day, everybody's or staff's alone: the newest MOST of them, the oldest first."""
    if not login.sees_all:
        abort(403)
    wanted = AuditFilter(since=_moment("from"), until=_moment("to", days=1), by_staff="staff" in request.args)
    with bot.store.reading() as connection:
        rows = audit.matching(connection, wanted, MOST)
    bot.console.note(login, Action.AUDIT_EXPORTED, reason=f"{len(rows)} rows")
    return _file("ramz-audit", audit_rows.table(rows))


def _moment(name: str, days: int = 0) -> datetime | None:
    written = request.args.get(name, "").strip()
    try:
        return midnight(read_day(written) + timedelta(days=days)) if written else None
    except ValueError:
        abort(400)


def story(bot: Bot, login: Login) -> Response:
    """One account's codes, texts, orders and audit, if it is in scope; looking it up is audited."""
    written = request.form.get("account", "")
    account_id = int(written) if re.fullmatch("[0-9]{1,9}", written) else abort(400)
    with bot.store.reading() as connection:
        found = accounts.BY_ID.rows(connection, {"key": account_id})
        if not found or not is_in_scope(login.member, Account(*found[0])):
            abort(404)
        rows = list(_story(connection, account_id))
    bot.console.note(login, Action.CONSOLE_SEARCH, account_id=account_id, reason="exported")
    return _file("ramz-account", iter([STORY, *rows]))


def _story(connection: Connection, account_id: int) -> Iterator[tuple[Cell, ...]]:
    """What happened, each sort the newest first, as the console's page has it."""
    for code in account_history.codes(connection, account_id):
        became = (code.close_reason or "live", _time(code.closed_at))
        yield ("code", *_when(code), code.requested_by, "", *became, "", "", "")
    for text in account_history.texts(connection, account_id):
        kind = MessageKind(text.kind).name.lower()
        became = (DeliveryStatus(text.status).name.lower(), _time(text.ended_at))
        yield ("text", *_when(text), masked(text.phone), kind, *became, text.gateway, text.error, "")
    for order in account_history.orders(connection, account_id):
        became = (order.close_reason or "live", _time(order.done_at))
        yield ("order", *_when(order), masked(order.mobile), order.command, *became, "", "", order.ref)
    for row in reversed(audit.about(connection, account_id, MOST)):
        yield ("audit", *_at(row.at), f"{row.actor} {row.who}", row.action, row.outcome, "", "", row.reason, row.ref)


def _when(row: Row[Any]) -> tuple[str, str, str]:
    return _at(row.created_at)


def _at(moment: Any) -> tuple[str, str, str]:
    at = moment.astimezone(TEHRAN)
    return at.date().isoformat(), jalali(at.date()), f"{at:%H:%M:%S}"


def _time(moment: Any) -> str:
    return f"{moment.astimezone(TEHRAN):%H:%M:%S}" if moment else ""


def _file(name: str, rows: Iterator[tuple[Cell, ...]]) -> Response:
    answer = Response(sheet(rows).encode(), content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    answer.headers["Cache-Control"] = "no-store"
    return answer
