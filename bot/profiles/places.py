"""Places in a profile's texts: `{to}`, `{line:number}`, `{text:hex16}`. There are no expressions beside these."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

PLACE = re.compile(r"\{([a-z0-9_]+)(?::([a-z0-9]+))?\}")
FORMS = {"number", "hex16"}


class Unfilled(Exception):
    """A place has no value here, so that what it stands in is left out."""


def places(value: Any) -> Iterator[tuple[str, str | None]]:
    """The name and the form of every place in a text, or anywhere in a table or a list."""
    if isinstance(value, str):
        for name, form in PLACE.findall(value):
            yield name, form or None
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from places(key)
            yield from places(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from places(each)


def fill(text: str, values: Mapping[str, str]) -> str:
    """A text with its places filled. Unfilled where one has no value."""
    return PLACE.sub(lambda place: _value(place, values), text)


def fill_address(text: str, values: Mapping[str, str]) -> str:
    """The same within an address: no value can end the part of it that it stands in. A list's commas stay."""
    return PLACE.sub(lambda place: quote(_value(place, values), safe=","), text)


def fill_all(value: Any, values: Mapping[str, str]) -> Any:
    """A table or list with its places filled, without the entries that have no value. `{x:number}` alone is one."""
    if isinstance(value, str):
        alone = PLACE.fullmatch(value)
        filled = fill(value, values)
        return int(filled) if alone and alone[2] == "number" and filled.isdecimal() else filled
    if isinstance(value, Mapping):
        return {key: filled for key, each in value.items() for filled in _filled(each, values)}
    if isinstance(value, list | tuple):
        return [filled for each in value for one in _several(each, values) for filled in _filled(each, one)]
    return value


def _several(each: Any, values: Mapping[str, str]) -> list[Mapping[str, str]]:
    """The values of every entry that `{ids}` or `{ids:number}` alone in a list stands for: one for each id."""
    alone = PLACE.fullmatch(each) if isinstance(each, str) else None
    if alone is None or alone[1] != "ids":
        return [values]
    return [{**values, "ids": one} for one in values.get("ids", "").split(",")]


def _filled(value: Any, values: Mapping[str, str]) -> list[Any]:
    try:
        return [fill_all(value, values)]
    except Unfilled:
        return []


def _value(place: re.Match[str], values: Mapping[str, str]) -> str:
    name, form = place.groups()
    if name not in values:
        raise Unfilled(name)
    value = values[name]
    return value.encode("utf-16-be", "replace").hex().upper() if form == "hex16" else value
