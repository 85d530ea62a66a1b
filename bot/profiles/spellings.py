"""What a profile may say in more ways than one, brought to the one that is checked."""

from collections.abc import Mapping
from typing import Any

# What polls have of the calls that bring the same, unless they say otherwise.
OF_CALLS = {
    "receipts": ("id", "status", "map"),
    "inbound": ("sender", "text", "id", "date", "date_is"),
}


def in_one_spelling(data: Mapping[str, Any]) -> dict[str, Any]:
    """A profile's tables in the spelling that is checked. What is no table of the kind stays, for the check to name."""
    whole = dict(data)
    if whole.get("numbers") == "plain98":
        whole["numbers"] = "international"
    _lift_secret(whole)
    if isinstance(whole.get("answer"), dict):
        whole["answer"] = _answer(whole["answer"])
    if isinstance(whole.get("recall"), dict):
        whole["recall"] = _asked(whole["recall"])
    polls = whole.get("poll")
    if isinstance(polls, dict):
        whole["poll"] = {name: _poll(each, name, whole.get(name)) for name, each in polls.items()}
    return whole


def _lift_secret(whole: dict[str, Any]) -> None:
    # The secret of both kinds of call is one, and so stands above both.
    for name in OF_CALLS:
        call = whole.get(name)
        if isinstance(call, dict) and "secret" in call and whole.get("secret", call["secret"]) == call["secret"]:
            whole[name] = {key: value for key, value in call.items() if key != "secret"}
            whole["secret"] = call["secret"]


def _answer(answer: dict[str, Any]) -> dict[str, Any]:
    accepted = answer.get("accepted")
    if isinstance(accepted, list) and all(isinstance(each, list) and len(each) == 2 for each in accepted):
        answer = {**answer, "accepted": dict(accepted)} if all(isinstance(it[0], str) for it in accepted) else answer
    return {**answer, "id": "{uid}"} if answer.get("id") == "{ref}" else answer


def _poll(poll: Any, name: str, call: Any) -> Any:
    if not isinstance(poll, dict):
        return poll
    # An id may be left out of a poll for one text a call; then it is not the call's.
    names = [key for key in OF_CALLS.get(name, ()) if key != "id" or poll.get("batch") != 1]
    ours = {key: call[key] for key in names if key in call} if isinstance(call, dict) else {}
    return _asked({**ours, **poll})


def _asked(question: dict[str, Any]) -> dict[str, Any]:
    # What is asked without a body is asked by GET; only sending is by POST all the same.
    return question if "form" in question or "json" in question else {"method": "GET", **question}
