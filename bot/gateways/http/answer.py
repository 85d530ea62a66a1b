"""What an answer says. Success has layers: HTTP, the envelope, the item; a call that was taken can hold a refusal."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from bot.platform.http_client import HttpAnswer
from bot.ports import Reason, SendFailed
from bot.profiles.profile import OWN_ID, Profile
from bot.profiles.values import Verdict

# What an HTTP status means where the answer itself has no word for it.
STATUSES = {408: Reason.TIMEOUT, 429: Reason.BUSY}
NAME = re.compile("[!-~]{1,64}")
# What stands in an id's place where there is none: providers that find nothing say 0, a negative error, or no.
NO_ID = re.compile("0+|-[0-9]+|false|true|null|none", re.IGNORECASE)
CHARSET = re.compile(r"""charset\s*=\s*["']?([A-Za-z0-9_.:-]+)""", re.IGNORECASE)
# What panels that are not written in UTF-8 are written in.
OLD_PERSIAN = "windows-1256"


class NoSense(Exception):
    """An answer is not in the form that the provider's have."""


class Reading:
    """An answer whose values can be looked up: by paths in JSON, by regular expressions in a text."""

    def __init__(self, format_: str, body: bytes, content_type: str = "") -> None:
        """Parse it; NoSense for what is no JSON where that is wanted."""
        self.is_json = format_ == "json"
        self.data: Any = parse(body, content_type) if self.is_json else decoded(body, content_type)

    def value(self, path: str) -> str | None:
        """The value there, as a text; empty for null, None for nothing."""
        if self.is_json:
            return as_text(find(self.data, path))
        found = re.search(path, self.data)
        return found[1] if found else None


class Nothing:
    """There is nothing at a path."""


def decoded(body: bytes, content_type: str = "") -> str:
    """A body's characters: by its mark or its zeros, as UTF-8, as its Content-Type says, as old Persian panels write.

    Nothing is refused for its encoding: an answer that can't be understood makes a text that was taken go out again.
    """
    try:
        return body.decode(json.detect_encoding(body))
    except UnicodeDecodeError:
        said = CHARSET.search(content_type)
    try:
        return body.decode(said[1] if said else OLD_PERSIAN, "replace")
    except (LookupError, UnicodeError):
        return body.decode(OLD_PERSIAN, "replace")


def parse(body: bytes, content_type: str = "") -> Any:
    """JSON, with line breaks in its texts too; NoSense for anything else."""
    try:
        return json.loads(decoded(body, content_type), strict=False)
    except (ValueError, RecursionError):
        raise NoSense from None


def find(data: Any, path: str) -> Any:
    """What lies at a path in parsed JSON; Nothing where it leads nowhere. Capitals need not match."""
    for step in path.split(".") if path.strip(".") else ():
        data = _step(data, step)
    return data


def _step(data: Any, step: str) -> Any:
    if isinstance(data, str) and data.lstrip()[:1] in {"{", "["}:  # JSON in a text of JSON
        data = _inner(data)
    if isinstance(data, Mapping):
        if step in data:
            return data[step]
        return next((data[key] for key in data if key.casefold() == step.casefold()), Nothing)
    if isinstance(data, list) and step.isdecimal() and int(step) < len(data):
        return data[int(step)]
    return Nothing


def _inner(written: str) -> Any:
    try:
        return json.loads(written, strict=False)
    except (ValueError, RecursionError):
        return Nothing


def as_text(value: Any) -> str | None:
    """A value as a profile writes it: true, 5 (5.0 too), empty for null; None for nothing, a table or a list."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, str | int | float) else None


def items(data: Any, path: str) -> list[Any]:
    """The list at a path; NoSense where there is none. Null is a list of nothing, and a table within one of itself."""
    found = find(data, path)
    if found is None:
        return []
    if isinstance(found, Mapping) and path.strip("."):
        return [found] if found else []
    if not isinstance(found, list):
        raise NoSense
    return found


def taken_as(profile: Profile, reply: HttpAnswer, own: str, id_path: str = "") -> str:
    """The provider's id of a text that it took, or `own` where it knows the text by that; SendFailed says why not."""
    try:
        reading = Reading(profile.answer.format, reply.body, reply.content_type)
    except NoSense:
        raise by_status(reply.status) from None
    if (failed := refused(profile, reply, reading)) is not None:
        raise failed
    path = id_path or profile.answer.id
    return own if path == OWN_ID else _given_id(profile, reading.value(path))


def kept_id(name: str) -> str:
    """An id as it can be kept: as it is, or where it is too long or not ASCII, another that is always the same."""
    return name if NAME.fullmatch(name) else f"h{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:40]}"


def _given_id(profile: Profile, found: str | None) -> str:
    name = (found or "").strip()
    if found is not None and name in profile.answer.no_id:
        raise _failed(profile.answer.no_id[name], f"id {name or 'null'}")
    if name in profile.errors and NO_ID.fullmatch(name):
        raise _failed(profile.errors[name], name)
    if not NAME.fullmatch(name) or NO_ID.fullmatch(name):
        raise SendFailed(Reason.NO_SENSE, permanent=False, code="no id")
    return name


def by_status(status: int) -> SendFailed:
    """What an HTTP status alone says."""
    if 400 <= status < 500:
        return SendFailed(STATUSES.get(status, Reason.REFUSED), permanent=False, code=str(status))
    return SendFailed(Reason.BUSY if status >= 500 else Reason.NO_SENSE, permanent=False, code=str(status))


def envelope(profile: Profile, reading: Reading) -> Mapping[str, str]:
    """What [answer] says of an answer's envelope, as far as this one has it: one to a question may have another.

    A path with a place in a list is an item's; regular expressions find nothing in JSON.
    """
    if profile.answer.format != "json":
        return {}
    accepted = profile.answer.accepted.items()
    return {path: wanted for path, wanted in accepted if not _is_of_item(path) and reading.value(path) is not None}


def refused(
    profile: Profile, reply: HttpAnswer, reading: Reading, accepted: Mapping[str, str] | None = None
) -> SendFailed | None:
    """Why a provider has not done what it was asked; None where it has.

    `accepted` is what must hold where what was asked for is no sending; then what is an item's is no matter.
    """
    answer = profile.answer
    wanted = answer.accepted if accepted is None else accepted
    if 200 <= reply.status < 300 and all(_is_one_of(reading.value(path), wanted[path]) for path in wanted):
        return None
    said = [reading.value(path) or "" for path in answer.code if accepted is None or not _is_of_item(path)]
    known = next((value for value in said if value in profile.errors), None)
    if known is not None:
        return _failed(profile.errors[known], known)
    if not 200 <= reply.status < 300:
        return by_status(reply.status)
    return SendFailed(Reason.UNKNOWN, permanent=False, code=_printable(said))


def _is_of_item(path: str) -> bool:
    return any(step.isdecimal() for step in path.split("."))


def _is_one_of(value: str | None, wanted: str) -> bool:
    return value is not None and (wanted == "*" or value in wanted.split("|"))


def _failed(verdict: Verdict, code: str) -> SendFailed:
    return SendFailed(verdict.reason, permanent=verdict.permanent, code=code[:40])


def _printable(said: Sequence[str]) -> str:
    # It goes into the log, so it must be a provider's code and nothing else: words may quote the text or the number.
    return next((value for value in said if re.fullmatch(r"-?[0-9]{1,6}|[A-Za-z_]{1,40}", value)), "")
