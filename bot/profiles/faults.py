"""What is wrong with a profile: its key, the fault, and what to write in its place."""

from collections.abc import Callable, Collection
from difflib import get_close_matches
from typing import Any

# What a key is given, by its last name.
WRITE = {
    "base": 'base = "https://api.example.ir"',
    "send": '[send] with a path, and a form, json or query',
    "answer": "[answer] with accepted and id",
    "path": 'a path that begins with /, as "/v1/send"',
    "accepted": 'a table of paths and values, as { status = "1" }',
    "id": 'the path to the id, as "data.0.id"',
    "sender": 'the path to the number, as "from"',
    "text": 'the path to the text, as "message"',
    "status": 'the path to the state, as "status"',
    "map": 'a table of the provider\'s states, as { "2" = "delivered" }',
    "list": 'the path to the list, as "data.items", or "." for the whole answer',
    "needs": 'a list of lower-case names, as ["key", "line", "inbound_secret"]',
    "basic": 'two texts, as ["{user}", "{password}"]',
    "secret": '"query:NAME", "header:NAME" or "path"',
    "code": 'a list of paths, as ["status"]',
    "none": 'a list, as ["-1"]',
}  # fmt: skip
# pydantic's names of faults, in words.
SAID = {
    "missing": "missing",
    "string_type": "must be a text in quotes",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "dict_type": 'must be a table, as { "a" = "b" }',
    "model_type": "must be a table",
    "list_type": "must be a list, as [ … ]",
    "tuple_type": "must be a list, as [ … ]",
    "too_short": "must not be empty",
    "too_long": "has too many",
    "string_pattern_mismatch": "can't be so",
}


def faults(detail: Any, keys: Callable[[tuple[str, ...]], Collection[str]]) -> list[str]:
    """One of pydantic's details as lines, each beginning with the key; `keys` tells those that a section may have."""
    steps = tuple(str(step) for step in detail["loc"] if step not in {"dict[str,any]", "list[any]"})
    where, kind = ".".join(steps), detail["type"]
    if kind == "extra_forbidden":
        return [f"{where}: is no key of a profile{_instead(steps[-1], keys(steps[:-1]))}"]
    if kind == "value_error":
        lines = detail["msg"].removeprefix("Value error, ").splitlines()
        return [f"{where}: {line}" if where else line for line in lines]
    said = SAID.get(kind) or detail["msg"].replace("Input should be", "must be")
    return [f"{where}: {said}{_to_write(steps)}"]


def _instead(key: str, known: Collection[str]) -> str:
    close = get_close_matches(key, known, 1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; here may stand {', '.join(known)}" if known else ""


def _to_write(steps: tuple[str, ...]) -> str:
    key = next((step for step in reversed(steps) if not step.isdecimal()), "")
    is_named = key in WRITE and not (len(steps) > 1 and steps[-2] in {"accepted", "form", "query", "headers", "map"})
    return f"; write {WRITE[key]}" if is_named else ""
