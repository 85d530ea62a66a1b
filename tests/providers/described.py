"""A stand-in for any provider, made of its profile: it takes calls apart, and says what the profile wants to hear."""

import re
from collections.abc import Mapping
from typing import Any

from bot.profiles.places import PLACE, places
from bot.profiles.profile import Profile, RequestTemplate
from tests.providers.standin import Asked, Page, ProviderStandIn, answer


class DescribedStandIn(ProviderStandIn):
    """It keeps to the profile; whether the profile keeps to the provider it can't say."""

    def __init__(self, profile: Profile) -> None:
        """Take the profile, whose answers must be JSON."""
        super().__init__()
        assert profile.answer.format == "json", "its answers are plain words: it needs a stand-in of its own"
        self.profile = profile

    def respond(self, asked: Asked) -> Page:
        """By method and path."""
        profile, polls = self.profile, self.profile.poll
        if (found := _matched(profile.send, asked)) is not None:
            return self._said(profile.answer.id, self.take(found["to"], found["text"], found.get("uid", "")), item=True)
        if polls.receipts and (found := _matched(polls.receipts, asked)) is not None:
            names = [name for name in found["ids"].split(",") if name in self.states]
            rows = [nested({polls.receipts.id: name, polls.receipts.status: self.states[name]}) for name in names]
            return self._said(polls.receipts.items, rows)
        if polls.inbound and (found := _matched(polls.inbound, asked)) is not None:
            return self._said(polls.inbound.items, self._arrivals(int(found.get("cursor", "0"))))
        return Page("nothing here", 404)

    def _arrivals(self, after: int) -> list[dict[str, Any]]:
        asked = self.profile.poll.inbound
        assert asked is not None
        told = [it for it in self.waiting if int(it.id) > after][: asked.batch]
        if asked.pops:
            self.waiting = self.waiting[len(told) :]
        return [
            nested({asked.sender: it.sender, asked.text: it.text, asked.id: it.id, asked.date: str(it.at)})
            for it in told
        ]

    def _said(self, path: str, value: Any, *, item: bool = False) -> Page:
        data: dict[str, Any] = {}
        for wanted, values in self.profile.answer.accepted.items():
            if item or not any(step.isdecimal() for step in wanted.split(".")):
                _put(data, wanted, values.split("|")[0])
        _put(data, path, value)
        return answer(data)


def _matched(request: RequestTemplate, asked: Asked) -> dict[str, str] | None:
    """What fills a request's places in a call; None where the call is another."""
    path, _, query = request.path.partition("?")
    found = _unfilled(path, asked.path)
    if found is None or request.method != asked.method:
        return None
    wanted: list[tuple[Any, Any]] = [
        (request.query, asked.query),
        (dict(part.partition("=")[::2] for part in query.split("&") if part), asked.query),
        (request.form or {}, asked.form if request.form else {}),
        (request.json_body, asked.json),
    ]
    for template, actual in wanted:
        found |= _leaves(template, actual)
    return found


def _leaves(template: Any, actual: Any) -> dict[str, str]:
    if isinstance(template, str) and not isinstance(actual, dict | list):
        return _unfilled(template, str(actual)) or {}
    pairs: list[tuple[Any, Any]] = []
    if isinstance(template, Mapping) and isinstance(actual, Mapping):
        pairs = [(template[key], actual[key]) for key in template if key in actual]
    elif isinstance(template, list) and isinstance(actual, list):
        pairs = list(zip(template, actual, strict=False))
    return {name: value for each, given in pairs for name, value in _leaves(each, given).items()}


def _unfilled(template: str, actual: str) -> dict[str, str] | None:
    pattern = "(.*)".join(re.escape(part) for part in PLACE.split(template)[::3])
    found = re.fullmatch(pattern, actual, re.DOTALL)
    if found is None:
        return None
    filled = zip(places(template), found.groups(), strict=True)
    return {name: _unwritten(value) if form == "hex16" else value for (name, form), value in filled}


def _unwritten(hexadecimal: str) -> str:
    return bytes.fromhex(hexadecimal).decode("utf-16-be")


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """A table with each value at its path."""
    row: dict[str, Any] = {}
    for path, value in values.items():
        if path:
            _put(row, path, value)
    return row


def _put(data: Any, path: str, value: Any) -> None:
    """Put a value at a path, with the tables and lists that lead there."""
    step, _, rest = path.partition(".")
    place: Any = int(step) if step.isdecimal() else step
    if isinstance(data, list):
        data += [{}] * (place + 1 - len(data))
    if not rest:
        data[place] = value
        return
    if isinstance(data, dict) and place not in data:
        data[place] = [] if rest.partition(".")[0].isdecimal() else {}
    _put(data[place], rest, value)
