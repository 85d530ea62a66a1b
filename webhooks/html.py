"""What every page for people has: its words in two languages, our own fonts, styles and scripts, and a strict policy.

A page asks nothing of any other host, and runs and styles nothing that stands in the page itself.
"""

import hashlib
import mimetypes
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any
from urllib.parse import urlencode

from flask import Flask, Response, make_response, render_template, request, url_for
from jinja2 import BytecodeCache, pass_context
from jinja2.bccache import Bucket
from jinja2.runtime import Context
from markupsafe import Markup
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from bot.platform.version import VERSION

HERE = Path(__file__).parent
LANGUAGES = {"fa": "rtl", "en": "ltr"}
DEFAULT_LANGUAGE = "fa"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "font-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
FOR_EVER = "public, max-age=31536000, immutable"
# A browser sends some forty characters. To read as many as a header may have took a fifth of a second.
LONGEST_PREFERENCE = 400
# What is read the other way than the page: Latin on a page from the right, Persian and Arabic on one from the left.
LATIN = re.compile("([A-Za-z][!-~]*(?: [A-Za-z0-9][!-~]*)*)")
PERSIAN = re.compile("([\u0620-\u065f\u0670-\u06d5](?:[ \u200c]?[\u0620-\u065f\u0670-\u06d5])*)")
LEFT_TO_RIGHT, RIGHT_TO_LEFT = Markup('<bdi dir="ltr">{}</bdi>'), Markup('<bdi dir="rtl">{}</bdi>')


class CompiledTemplates(BytecodeCache):
    """What this process, or the one that it was forked from, has compiled: a template is compiled once for all."""

    def __init__(self) -> None:
        self._compiled = dict[tuple[str, str], CodeType]()

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill in the code, where the same text has been compiled before."""
        bucket.code = self._compiled.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep the code."""
        if bucket.code is not None:
            self._compiled[bucket.key, bucket.checksum] = bucket.code


COMPILED = CompiledTemplates()


def set_up(app: Flask) -> None:
    """Let templates name static files by `asset`, and answer for those with the right types and for ever."""
    mimetypes.add_type("font/woff2", ".woff2")  # a slim system does not know it
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.bytecode_cache = COMPILED
    app.jinja_env.globals["asset"] = asset
    app.jinja_env.globals["in_language"] = in_language
    app.jinja_env.filters["isolated"] = isolated
    app.jinja_env.globals["version"] = VERSION
    app.after_request(_hardened)


def page(template: str, language: str, **context: Any) -> Response:
    """A page in one of LANGUAGES, with the words that its language file has for all pages and for this one."""
    said = words(language)
    response = make_response(
        render_template(template, lang=language, dir=LANGUAGES[language], words=said, **context),
    )
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cache-Control"] = "no-store"
    return response


def language_asked() -> str:
    """The page's language: the one in its address, else what the browser prefers, else Persian."""
    asked = request.args.get("lang", "")
    if asked in LANGUAGES:
        return asked
    preferred = parse_accept_header(request.headers.get("Accept-Language", "")[:LONGEST_PREFERENCE], LanguageAccept)
    return preferred.best_match(LANGUAGES) or DEFAULT_LANGUAGE


def in_language(language: str) -> str:
    """The address of the page that is shown, in another language; the first page's, where it was not asked by one."""
    rule = request.url_rule
    if rule is None or request.endpoint is None or "GET" not in (rule.methods or ()):
        area = request.path.startswith("/console")
        return url_for("console.show" if area else "error_pages.first", lang=language)
    kept = request.args.to_dict() | {"lang": language}
    # Not by url_for: it takes some names, as _method and endpoint, for its own.
    return f"{url_for(request.endpoint, **(request.view_args or {}))}?{urlencode(kept)}"


def address(endpoint: str, language: str, **words: str) -> str:
    """The address of one of our pages, in a language."""
    values: dict[str, Any] = {**words, "lang": language}
    return url_for(endpoint, **values)


@pass_context
def isolated(context: Context, said: str) -> Markup:
    """Words in which what is read the other way, and a masked number, stand by themselves: nothing runs backwards."""
    if said.startswith("…"):
        return LEFT_TO_RIGHT.format(said)
    other, by_itself = (LATIN, LEFT_TO_RIGHT) if context.get("dir") == "rtl" else (PERSIAN, RIGHT_TO_LEFT)
    pieces = enumerate(other.split(said))  # every other one is read the other way
    return Markup("").join(by_itself.format(piece) if place % 2 else piece for place, piece in pieces)


@cache
def words(language: str) -> Mapping[str, Any]:
    """What the pages say in a language."""
    return tomllib.loads((HERE / "words" / f"{language}.toml").read_text("utf-8"))


@cache
def asset(name: str) -> str:
    """The address of a static file, changing as the file does, so that browsers may keep it for ever."""
    content = (HERE / "static" / name).read_bytes()
    return f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"


def _hardened(response: Response) -> Response:
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    # The font's name holds its version; a style sheet can't ask for it by `asset`.
    if request.endpoint == "static" and response.status_code < 400 and ("v" in request.args or _is_font()):
        response.headers["Cache-Control"] = FOR_EVER
    return response


def _is_font() -> bool:
    return request.path.endswith(".woff2")
