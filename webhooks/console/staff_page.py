"""Staff, for headquarters: who they are, who is taken on, who is removed; each change is confirmed by a code."""

import re
from collections.abc import Sequence
from dataclasses import asdict

from flask import Response, abort, redirect, request, url_for
from werkzeug.wrappers import Response as Answer

from bot.accounts import staff_entry
from bot.accounts.console_login import Login, proof
from bot.accounts.staff_changes import ChangeRefused, StaffChange, StaffCommand
from bot.accounts.staff_entry import BadEntry
from bot.audit.trail import masked
from bot.build import Bot
from bot.credentials.one_time_codes import UnknownKey
from bot.platform.log import logger
from dialogs.parsing.normalise import fold
from dialogs.staff_vocabulary import Role
from store import accounts, staff
from store.staff import Member
from webhooks import html
from webhooks.console.formatting import Formatter

LOG = logger("console")
FIELDS = ("mobile", "name", "role", "province", "broker")
LONGEST_ORDER = 2_000


def show(bot: Bot, login: Login) -> Answer:
    """The list of staff, and the form that takes somebody on; by a POST, what is ordered of either."""
    _only_headquarters(login)
    if request.method in {"GET", "HEAD"}:
        return _page(bot, login)
    try:
        change = _removal(bot) if "remove" in request.form else _put(bot)
        sealed = bot.staff_changes.order(login.member, change, html.language_asked())
    except BadEntry as bad:
        return _page(bot, login, f"bad_{bad.field}", 400)
    except ChangeRefused as refused:
        return _page(bot, login, refused.reason, 403)
    return _asking(login, change, sealed)


def confirm(bot: Bot, login: Login) -> Answer:
    """Carry out what was ordered, for a right code; else ask for it again, or say why it can't be."""
    _only_headquarters(login)
    sealed = request.form.get("order", "")[:LONGEST_ORDER]
    digits = "".join(fold(request.form.get("code", "")[:40]).split())
    try:
        bot.staff_changes.confirm(login.member, sealed, digits)
    except UnknownKey:
        LOG.error("code_under_unknown_key")
        return _page(bot, login, "later", 503)
    except ChangeRefused as refused:
        if refused.reason == "wrong_code":
            return _asking(login, bot.staff_changes.opened(sealed)[1], sealed, 403)
        return _page(bot, login, refused.reason, 403)
    return redirect(url_for("console.staff", lang=html.language_asked(), done="yes"), 303)


def _only_headquarters(login: Login) -> None:
    if login.member.role != Role.HEADQUARTERS:
        abort(403)


def _put(bot: Bot) -> StaffChange:
    given = {name: request.form.get(name, "")[:200] for name in FIELDS}
    given["mobile"] = "".join(fold(given["mobile"]).split())
    # The form has one field for either place.
    place = staff_entry.PLACE_OF.get(given["role"])  # type: ignore[call-overload]
    given |= {name: given["province"] if name == place else "" for name in ("province", "broker")}
    return StaffChange(StaffCommand.PUT, **asdict(staff_entry.read(bot.phone_numbers, **given)))


def _removal(bot: Bot) -> StaffChange:
    written = request.form["remove"]
    number = int(written) if re.fullmatch("[0-9]{1,9}", written) else abort(400)
    member = next((it for it in _everybody(bot) if it.id == number), None)
    if member is None:
        raise ChangeRefused("unknown")
    return StaffChange(StaffCommand.REMOVE, member.mobile)


def _everybody(bot: Bot) -> Sequence[Member]:
    with bot.store.reading() as connection:
        return staff.every(connection)


def _page(bot: Bot, login: Login, fault: str = "", status: int = 200) -> Response:
    with bot.store.reading() as connection:
        everybody = staff.every(connection)
        places = [accounts.places(connection, name) for name in ("province", "broker")]
    written = {name: request.form.get(name, "")[:200] for name in FIELDS} if fault else dict.fromkeys(FIELDS, "")
    answer = html.page(
        "console_staff.html",
        html.language_asked(),
        login=login,
        proof=proof(login.session.secret),
        everybody=[(it, _masked(it.mobile)) for it in everybody],
        roles=list(Role),
        places=sorted({place for each in places for place in each}),
        written=written,
        fault=fault,
        done="done" in request.args and not fault,
    )
    answer.status_code = status
    return answer


def _masked(mobile: str) -> str:
    return Formatter(html.language_asked()).digits(masked(mobile))


def _asking(login: Login, change: StaffChange, sealed: str, status: int = 200) -> Response:
    answer = html.page(
        "console_staff_code.html",
        html.language_asked(),
        login=login,
        proof=proof(login.session.secret),
        change=change,
        whose=_masked(change.mobile),
        sealed=sealed,
        fault="wrong_code" if status == 403 else "",
    )
    answer.status_code = status
    return answer
