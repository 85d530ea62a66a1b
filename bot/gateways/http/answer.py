"""What an answer says. Success has layers: HTTP, the envelope, the item; a call that was taken can hold a refusal."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from bot.platform.http_client import HttpAnswer
from bot.ports import Reason, SendFailed
from bot.profiles.profile import Profile
from bot.profiles.values import Verdict

# What an HTTP status means where the answer itself has no word for it.
STATUSES = {408: Reason.TIMEOUT, 429: Reason.BUSY}
NAME = re.compile("[!-~]{1,64}")


class NoSense(Exception):
    """An answer is not in the form that the provider's have."""


class Reading:
    """An answer whose values can be looked up: by paths in JSON, by regular expressions in a text."""

    def __init__(self, format_: str, body: bytes) -> None:
        """Parse it; NoSense for what is no JSON where that is wanted."""
        self.is_json = format_ == "json"
        self.data: Any = parse(body) if self.is_json else body.decode("utf-8", "replace")

    def value(self, path: str) -> str | None:
        """The value there, as a text; empty for null, None for nothing."""
        if self.is_json:
            return as_text(find(self.data, path))
        found = re.search(path, self.data)
        return found[1] if found else None


class Nothing:
    """There is nothing at a path."""


def parse(body: bytes) -> Any:
    """JSON; NoSense for anything else."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise NoSense from None


def find(data: Any, path: str) -> Any:
    """What lies at a path in parsed JSON; Nothing where it leads nowhere. Capitals need not match."""
    for step in path.split(".") if path.strip(".") else ():
        data = _step(data, step)
    return data


def _step(data: Any, step: str) -> Any:
    if isinstance(data, Mapping):
        if step in data:
            return data[step]
        return next((data[key] for key in data if key.casefold() == step.casefold()), Nothing)
    if isinstance(data, list) and step.isdecimal() and int(step) < len(data):
        return data[int(step)]
    return Nothing


def as_text(value: Any) -> str | None:
    """A value as a profile writes it: true, 5, empty for null; None for nothing, a table or a list."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else None


def items(data: Any, path: str) -> list[Any]:
    """The list at a path; NoSense where there is none. Null is a list of nothing."""
    found = find(data, path)
    if found is None:
        return []
    if not isinstance(found, list):
        raise NoSense
    return found


def taken_as(profile: Profile, reply: HttpAnswer, id_path: str = "") -> str:
    """The provider's id of a text that it took; SendFailed says why it did not."""
    try:
        reading = Reading(profile.answer.format, reply.body)
    except NoSense:
        raise by_status(reply.status) from None
    if (failed := refused(profile, reply, reading)) is not None:
        raise failed
    name = reading.value(id_path or profile.answer.id)
    if name is not None and name in profile.answer.no_id:
        raise _failed(profile.answer.no_id[name], f"id {name or 'null'}")
    if name is None or not NAME.fullmatch(name):
        raise SendFailed(Reason.NO_SENSE, permanent=False, code="no id")
    return name


def by_status(status: int) -> SendFailed:
    """What an HTTP status alone says."""
    if 400 <= status < 500:
        return SendFailed(STATUSES.get(status, Reason.REFUSED), permanent=False, code=str(status))
    return SendFailed(Reason.BUSY if status >= 500 else Reason.NO_SENSE, permanent=False, code=str(status))


def refused(profile: Profile, reply: HttpAnswer, reading: Reading, *, envelope: bool = False) -> SendFailed | None:
    """Why a provider has not done what it was asked; None where it has.

    Of the envelope alone where what was asked for is no sending: paths with a place in a list are an item's.
    """
    answer = profile.answer
    accepted = {path: wanted for path, wanted in answer.accepted.items() if not (envelope and _is_of_item(path))}
    if 200 <= reply.status < 300 and all(_is_one_of(reading.value(path), accepted[path]) for path in accepted):
        return None
    said = [reading.value(path) or "" for path in answer.code if not (envelope and _is_of_item(path))]
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
