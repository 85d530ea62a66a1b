"""The console's search: an account by the last digits of its ID or mobile, masked, within scope; its story."""

import re
from dataclasses import replace
from typing import Any

from flask import Response, abort, request
from sqlalchemy import Connection

from bot.accounts.console_login import Login, proof
from bot.build import Bot
from bot.inbound.staff_context import is_in_scope
from dialogs.parsing.normalise import fold
from store import accounts
from store.accounts import Account
from store.views import account_history
from webhooks import html
from webhooks.console import story
from webhooks.console.formatting import Formatter
from webhooks.console.story import MaskedPerson, Story

FEWEST, WHOLE_ID, MOST = account_history.INDEXED, 10, 20


def show(bot: Bot, login: Login) -> Response:
    """The search, and what it found. Digits come by a form, so that no address and no log holds them.

    `carried` is what the same page in the other language is asked with.
    """
    formatter = Formatter(html.language_asked())
    told: dict[str, Any] = {"found": None, "is_cut": False, "story": None, "fault": "", "carried": {}}
    if request.method == "POST" and "account" in request.form:
        told["story"] = _story(bot, login, formatter, request.form["account"])
    elif request.method == "POST":
        told |= _search(bot, login, formatter)
    if told["story"]:
        told["carried"] = {"account": str(told["story"].person.id)}
    return html.page(
        "console_search.html",
        formatter.language,
        login=login,
        proof=proof(login.session.secret),
        formatter=formatter,
        **told,
    )


def _search(bot: Bot, login: Login, formatter: Formatter) -> dict[str, Any]:
    written = request.form.get("digits", "")[:40]
    digits = "".join(fold(written).split()).lstrip("+")
    carried = {"digits": written}
    if not re.fullmatch(f"[0-9]{{{FEWEST},15}}", digits):
        return {"fault": "bad_digits", "carried": carried}
    with bot.store.reading() as connection:
        found = [it for it in _holders(bot, connection, digits) if is_in_scope(login.member, it)]
        if len(found) != 1:
            told = people(connection, formatter, found[:MOST])
            return {"found": told, "is_cut": len(found) > MOST, "carried": carried}
    return {"story": _story(bot, login, formatter, str(found[0].id))}


def people(connection: Connection, formatter: Formatter, found: list[Account]) -> list[MaskedPerson]:
    """Who they are. Of those who would read the same, so many digits of the ID are shown that they do not."""
    about = account_history.people(connection, [it.id for it in found])
    told = [story.person(formatter, it, about[it.id]) for it in found]
    alike: dict[MaskedPerson, list[str]] = {}
    for it, person in zip(found, told, strict=True):
        alike.setdefault(_looks(person), []).append(it.national_id)
    return [
        replace(person, national_id=_apart(formatter, it.national_id, alike[_looks(person)]))
        for it, person in zip(found, told, strict=True)
    ]


def _looks(person: MaskedPerson) -> MaskedPerson:
    return replace(person, id=0, last_text="")


def _apart(formatter: Formatter, national_id: str, alike: list[str]) -> str:
    """An ID by so many last digits that no other of these ends in them."""
    for digits in range(story.SHOWN_DIGITS, WHOLE_ID):
        if sum(it.endswith(national_id[-digits:]) for it in alike) == 1:
            return story.ending(formatter, national_id, digits)
    return story.ending(formatter, national_id, WHOLE_ID)


def _holders(bot: Bot, connection: Connection, digits: str) -> list[Account]:
    """A whole ID or number is one account's, or one phone's; else it is last digits."""
    whole = accounts.find(connection, national_id=digits) if len(digits) == WHOLE_ID else None
    if whole is not None:
        return [whole]
    mobile = bot.phone_numbers.mobile(digits) if len(digits) > WHOLE_ID - 1 else None
    ids = accounts.ids_at(connection, mobile) if mobile else []
    return [accounts.get(connection, each) for each in ids] or account_history.ending(connection, digits)


def _story(bot: Bot, login: Login, formatter: Formatter, written: str) -> Story:
    account_id = int(written) if re.fullmatch("[0-9]{1,9}", written) else abort(400)
    with bot.store.reading() as connection:
        rows = accounts.BY_ID.rows(connection, {"key": account_id})
        account = Account(*rows[0]) if rows else None
        if account is None or not is_in_scope(login.member, account):
            abort(404)
        told = story.tell(connection, formatter, account, bot.clock())
    bot.console.note_search(login, account_id)
    return told
