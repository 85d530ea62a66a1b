"""/console: both control points and all that explains them, for staff of headquarters and provinces.

No page needs a script. Every form holds a proof that a page of ours made it; nothing secret stands in an address.
"""

import ipaddress
import re
from collections.abc import Callable
from datetime import timedelta
from hmac import compare_digest

from flask import Blueprint, Response, abort, redirect, request
from werkzeug.wrappers import Response as Answer

from bot.accounts.console_login import LONGEST, Login, TooManyTries, proof
from bot.build import Bot
from bot.credentials.one_time_codes import UnknownKey
from bot.platform.log import logger
from dialogs.parsing.normalise import fold
from store.retention import BROWSERS
from webhooks import html
from webhooks.console import audit_trail, figures, files, overview, search, staff_page, texts
from webhooks.console.formatting import Formatter

LOG = logger("console")
PREFIX = "__Host-"
# A page that asks for itself anew: nobody has done anything, so the session goes on towards its end.
REFRESH = "X-Refresh"
SESSION, FORM = "ramz-console", "ramz-console-form"
# What a browser is known by once somebody has logged in there; and the codes that it has asked for.
BROWSER, ASKED = "ramz-console-browser", "ramz-console-asked"
ASKED_AT_MOST, NAME = 12, re.compile("[A-Za-z0-9_-]{22}")
View = Callable[[Bot, Login], Answer]
# A code is typed as it is read: in two groups, with a hyphen, in the digits of the keyboard.
_BETWEEN_DIGITS = re.compile(r"[\W_]+")


def routes(bot: Bot) -> Blueprint:
    """The console's pages."""
    blueprint, first_screen = Blueprint("console", __name__), overview.Overview(bot)
    add = blueprint.add_url_rule
    add("/console", "show", lambda: _inside(bot, first_screen.show))
    add("/console/days", "days", lambda: _inside(bot, figures.days))
    add("/console/provinces", "provinces", lambda: _inside(bot, figures.provinces))
    add("/console/gateways", "gateways", lambda: _inside(bot, figures.gateways))
    add("/console/codes", "codes", lambda: _inside(bot, figures.codes))
    add("/console/texts", "texts", lambda: _inside(bot, texts.show))
    add("/console/figures.csv", "csv", lambda: _inside(bot, figures.csv))
    add("/console/search", "search", lambda: _inside(bot, search.show), methods=["GET", "POST"])
    add("/console/audit", "audit", lambda: _inside(bot, audit_trail.show))
    add("/console/audit.csv", "audit_csv", lambda: _inside(bot, files.trail))
    add("/console/search.csv", "story_csv", lambda: _inside(bot, files.story), methods=["POST"])
    add("/console/staff", "staff", lambda: _inside(bot, staff_page.show), methods=["GET", "POST"])
    add("/console/staff/confirm", "staff_confirm", lambda: _inside(bot, staff_page.confirm), methods=["POST"])
    add("/console/code", "code", lambda: _ask(bot), methods=["POST"])
    add("/console/login", "login", lambda: _enter(bot), methods=["POST"])
    add("/console/logout", "logout", lambda: _inside(bot, _leave), methods=["POST"])
    return blueprint


def _inside(bot: Bot, view: View) -> Answer:
    """A page for staff who are logged in; the login's first page for anybody else."""
    by_itself = REFRESH in request.headers
    login = bot.console.login(_cookie(bot, SESSION), is_used=not by_itself)
    if login is None:
        is_first = request.method in {"GET", "HEAD"} and request.path == "/console" and not by_itself
        return _login_page(bot, status=200 if is_first else 401)
    if request.method == "POST":
        _check(login.session.secret)
    return view(bot, login)


def _login_page(bot: Bot, step: str = "mobile", status: int = 200, **context: str) -> Response:
    """The login's pages. Their forms are proven by a cookie of their own."""
    secret = _cookie(bot, FORM) or bot.parts.random_source.token()
    language, limits = html.language_asked(), bot.settings
    number = Formatter(language).number
    rule = html.words(language)["console"]["rule"].format(
        seconds=number(limits.resend_after_seconds),
        hour=number(limits.codes_per_hour),
        day=number(limits.codes_per_day),
    )
    answer = html.page("console_login.html", language, step=step, proof=proof(secret), rule=rule, **context)
    answer.status_code = status
    _set(bot, answer, FORM, secret)
    return answer


def _ask(bot: Bot) -> Answer:
    _check(_cookie(bot, FORM))
    mobile = _mobile()
    try:
        asked = bot.console.ask(mobile, _address(bot), html.language_asked(), _cookie(bot, BROWSER))
    except TooManyTries:
        return _login_page(bot, status=429, fault="too_many")
    answer = _login_page(bot, "code", mobile=mobile)
    # Kept whether or not a code was sent, and the former ones beside it: nothing here tells which of them is one.
    _set(bot, answer, ASKED, ".".join([asked, *_asked(bot)][:ASKED_AT_MOST]))
    return answer


def _enter(bot: Bot) -> Answer:
    _check(_cookie(bot, FORM))
    mobile, digits = _mobile(), _BETWEEN_DIGITS.sub("", fold(request.form.get("code", "")[:40]))
    held = _asked(bot), _cookie(bot, BROWSER), _cookie(bot, SESSION)
    try:
        entered = bot.console.enter(mobile, digits, _address(bot), *held)
    except TooManyTries:
        return _login_page(bot, status=429, fault="too_many")
    except UnknownKey:
        # Another host has made this code, under a key that this one hasn't been given: no try was spent.
        LOG.error("code_under_unknown_key")
        return _login_page(bot, "code", status=503, fault="later", mobile=mobile)
    if entered is None:
        return _login_page(bot, "code", status=403, fault="wrong", mobile=mobile)
    answer = redirect(f"/console?lang={html.language_asked()}", 303)
    _set(bot, answer, SESSION, entered.session.text)
    _set(bot, answer, BROWSER, entered.browser.text, BROWSERS)
    return answer


def _leave(bot: Bot, login: Login) -> Answer:
    bot.console.leave(login)
    answer = redirect(f"/console?lang={html.language_asked()}", 303)
    answer.delete_cookie(_name(bot, SESSION), path="/", secure=_is_secure(bot), httponly=True, samesite="Strict")
    return answer


def _cookie(bot: Bot, name: str) -> str:
    return request.cookies.get(_name(bot, name), "")


def _asked(bot: Bot) -> list[str]:
    return [each for each in _cookie(bot, ASKED).split(".")[:ASKED_AT_MOST] if NAME.fullmatch(each)]


def _mobile() -> str:
    return "".join(fold(request.form.get("mobile", "")[:40]).split())


def _check(secret: str) -> None:
    if not secret or not compare_digest(proof(secret).encode(), request.form.get("proof", "").encode()):
        abort(403)


def _set(bot: Bot, answer: Answer, name: str, value: str, lasts: timedelta = LONGEST) -> None:
    answer.headers["Cache-Control"] = "no-store"
    options = {"path": "/", "secure": _is_secure(bot), "httponly": True, "samesite": "Strict"}
    answer.set_cookie(_name(bot, name), value, max_age=int(lasts.total_seconds()), **options)  # type: ignore[arg-type]


def _is_secure(bot: Bot) -> bool:
    return bot.settings.public_url.startswith("https://")


def _name(bot: Bot, name: str) -> str:
    return f"{PREFIX}{name}" if _is_secure(bot) else name


def _address(bot: Bot) -> str:
    """The caller's address: behind a proxy on this machine the one that it names; of IPv6 the network's (/64).

    A proxy that reaches us at HOST, as one that has other hosts behind it too, comes from there.
    """
    peer = _plain(request.remote_addr or "")
    if peer in {"127.0.0.1", "::1", bot.settings.host}:
        peer = _plain(request.headers.get("X-Forwarded-For", peer).rpartition(",")[2].strip() or peer)
    if ":" in peer:
        return str(ipaddress.ip_network(f"{peer}/64", strict=False))
    return peer


def _plain(written: str) -> str:
    """An address in its one spelling; `unknown` for what is none. HOST=:: shows IPv4 callers as ::ffff:192.0.2.1."""
    try:
        found = ipaddress.ip_address(written)
    except ValueError:
        return "unknown"
    return str(getattr(found, "ipv4_mapped", None) or found)
