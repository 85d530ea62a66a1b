"""The console's search: an account by the last digits of its ID or mobile, masked, within scope; its recoveries."""

import re
from collections.abc import Sequence
from typing import Any

from flask import Response, abort, request
from sqlalchemy import Connection, Row

from bot.audit.trail import masked
from bot.build import Bot
from bot.console_login import Login, proof
from bot.inbound.staff_context import is_in_scope
from dialogs.parsing.normalise import fold
from store import accounts, audit
from store.accounts import Account
from store.tables import DeliveryStatus, MessageKind, RequestedBy
from store.views import account_history
from webhooks import html
from webhooks.console import audit_trail
from webhooks.console.formatting import Formatter, Table

BY = {RequestedBy.OWNER: "by_owner", RequestedBy.OTHER_PHONE: "by_other", RequestedBy.STAFF: "by_staff"}

FEWEST, WHOLE_ID, MOST = account_history.INDEXED, 10, 20
AUDITED = 50


def show(bot: Bot, login: Login) -> Response:
    """The search, and what it found. Digits come by a form, so that no address and no log holds them."""
    formatter = Formatter(html.language_asked())
    told: dict[str, Any] = {"found": None, "is_cut": False, "story": None, "fault": ""}
    if request.method == "POST" and "account" in request.form:
        told["story"] = _story(bot, login, formatter, request.form["account"])
    elif request.method == "POST":
        told |= _search(bot, login, formatter)
    return html.page(
        "console_search.html",
        formatter.language,
        login=login,
        proof=proof(login.session.secret),
        formatter=formatter,
        **told,
    )


def _search(bot: Bot, login: Login, formatter: Formatter) -> dict[str, Any]:
    digits = "".join(fold(request.form.get("digits", "")[:40]).split()).lstrip("+")
    if not re.fullmatch(f"[0-9]{{{FEWEST},15}}", digits):
        return {"fault": "bad_digits"}
    with bot.store.reading() as connection:
        found = [it for it in _holders(bot, connection, digits) if is_in_scope(login.member, it)]
    if len(found) == 1:
        return {"story": _story(bot, login, formatter, str(found[0].id))}
    return {"found": [(it.id, _name(it)) for it in found[:MOST]], "is_cut": len(found) > MOST}


def _holders(bot: Bot, connection: Connection, digits: str) -> list[Account]:
    """A whole ID or number is one account's, or one phone's; else it is last digits."""
    whole = accounts.find(connection, national_id=digits) if len(digits) == WHOLE_ID else None
    if whole is not None:
        return [whole]
    mobile = bot.phone_numbers.mobile(digits) if len(digits) > WHOLE_ID - 1 else None
    ids = accounts.ids_at(connection, mobile) if mobile else []
    return [accounts.get(connection, each) for each in ids] or account_history.ending(connection, digits)


def _story(bot: Bot, login: Login, formatter: Formatter, written: str) -> dict[str, Any]:
    account_id = int(written) if re.fullmatch("[0-9]{1,9}", written) else abort(400)
    with bot.store.reading() as connection:
        rows = accounts.BY_ID.rows(connection, {"key": account_id})
        account = Account(*rows[0]) if rows else None
        if account is None or not is_in_scope(login.member, account):
            abort(404)
        told = _tables(connection, formatter, account_id)
    bot.console.note_search(login, account_id)
    lines = [formatter.words["locked_now"]] if account.locked_at else []
    lines += [] if account.active else [formatter.words["inactive"]]
    return {"id": account_id, "name": _name(account), "lines": lines, "tables": told}


def _name(account: Account) -> tuple[str, str]:
    return f"…{account.national_id[-4:]}", masked(account.mobile)


def _tables(connection: Connection, formatter: Formatter, account_id: int) -> list[Table]:
    heads = formatter.words["heads"]
    return [
        Table(
            heads["codes"][0],
            heads["codes"][1:],
            _rows(formatter, account_history.codes(connection, account_id), _code),
        ),
        Table(
            heads["texts"][0],
            heads["texts"][1:],
            _rows(formatter, account_history.texts(connection, account_id), _text),
        ),
        Table(
            heads["orders"][0],
            heads["orders"][1:],
            _rows(formatter, account_history.orders(connection, account_id), _order),
        ),
        audit_trail.table(formatter, audit.about(connection, account_id, AUDITED)[::-1]),
    ]


def _rows(formatter: Formatter, rows: Sequence[Row[Any]], of: Any) -> list[Sequence[str]]:
    return [of(formatter, row) for row in rows]


def _code(formatter: Formatter, row: Row[Any]) -> Sequence[str]:
    by = BY[RequestedBy(row.requested_by)]
    ended = formatter.word("fates", row.close_reason or "live")
    return (
        formatter.moment(row.created_at),
        formatter.words[by],
        ended,
        formatter.clock(row.closed_at),
        formatter.digits(row.tries_left),
    )


def _text(formatter: Formatter, row: Row[Any]) -> Sequence[str]:
    times = (formatter.clock(at) for at in (row.request_received_at, row.accepted_at, row.sent_at, row.ended_at))
    state = formatter.word("ranks", DeliveryStatus(row.status).name.lower())
    why = formatter.word("errors_of", row.error) if row.error else ""
    kind = formatter.word("kinds", MessageKind(row.kind).name.lower())
    return (formatter.moment(row.created_at), kind, masked(row.phone), *times, state, row.gateway or "", why)


def _order(formatter: Formatter, row: Row[Any]) -> Sequence[str]:
    command = formatter.word("commands", row.command)
    ended = formatter.word("fates", row.close_reason or "live")
    return (formatter.moment(row.created_at), command, row.ref, masked(row.mobile), ended)
