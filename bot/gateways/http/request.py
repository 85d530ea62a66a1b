"""A section of a profile and its values, as an HTTP request."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from bot.profiles.places import fill, fill_address, fill_all
from bot.profiles.profile import Profile, RequestTemplate

FORM, JSON = "application/x-www-form-urlencoded", "application/json"


@dataclass(frozen=True)
class Composed:
    """A request, ready to leave. Nothing of it is shown by accident: addresses hold keys and texts."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)


def compose(profile: Profile, base: str, asked: RequestTemplate, values: Mapping[str, str]) -> Composed:
    """The request that a section describes, filled with these values."""
    url = base + fill_address(asked.path, values)
    query = fill_all(asked.query, values)
    if query:
        url += ("&" if "?" in url else "?") + urlencode(query)
    headers = {name: _one_line(value) for name, value in fill_all({**profile.headers, **asked.headers}, values).items()}
    if profile.basic:
        user, password = (fill(part, values) for part in profile.basic)
        headers["Authorization"] = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
    body, kind = _body(asked, values)
    return Composed(asked.method, url, {**({"Content-Type": kind} if kind else {}), **headers}, body)


def _body(asked: RequestTemplate, values: Mapping[str, str]) -> tuple[bytes | None, str]:
    if asked.form is not None:
        return urlencode(fill_all(asked.form, values)).encode(), FORM
    if asked.json_body is not None:
        return json.dumps(fill_all(asked.json_body, values), ensure_ascii=False).encode(), JSON
    return None, ""


def _one_line(value: str) -> str:
    # A header ends with its line; and what http.client can't write as Latin-1 it would refuse with the value quoted.
    return (
        "".join(character for character in value if character.isprintable())
        .encode("latin-1", "replace")
        .decode("latin-1")
    )


def number(mobile: str, form: str) -> str:
    """A mobile number in E.164, as the provider writes it; one of another country than Iran with its country code."""
    digits = mobile.removeprefix("+")
    if form == "e164":
        return f"+{digits}"
    if form == "international":
        return digits
    if not digits.startswith("98"):
        return f"00{digits}"
    return ("0" if form == "national" else "") + digits.removeprefix("98")
