"""What is logged rarely, so that nobody can fill the log, and nothing that is wrong stays silent."""

import ast
import json
import socket
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
import structlog
from flask import Flask

from bot.build import Bot
from bot.platform.log import PRIORITIES, Rarely, is_journal, marked
from tests.support.places import ROOT
from webhooks import create_app


def said(printed: StringIO) -> list[tuple[str, int]]:
    lines = [json.loads(line) for line in printed.getvalue().splitlines()]
    return [(line["gateway"], line["times"]) for line in lines if line.get("event") == "refused"]


def test_it_says_at_most_once_a_minute_how_often_each_kind_happened() -> None:
    seconds = [0.0]
    refused, told = Rarely(lambda: seconds[0]), []
    for at, gateway in ((0, "twilio"), (1, "twilio"), (2, "kannel"), (59, "twilio"), (60, "twilio"), (61, "twilio")):
        seconds[0] = at
        told.append((gateway, refused(gateway)))
    assert [it for it in told if it[1]] == [("twilio", 1), ("kannel", 1), ("twilio", 3)]


def test_a_call_that_is_not_the_gateway_s_is_said(bot: Bot, printed: StringIO) -> None:
    app: Flask = create_app(bot)
    assert app.test_client().post("/webhooks/simulated/sms").status_code == 403
    assert said(printed) == [("simulated", 1)]


def test_the_journal_is_known_by_its_socket_and_no_other_stream_is_taken_for_it(tmp_path: Path) -> None:
    journal = str(tmp_path / "stdout")
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one,
        (tmp_path / "log").open("w") as file,
    ):
        listening.bind(journal)
        listening.listen()
        one.connect(journal)
        with one.makefile("w") as stream:
            assert is_journal(stream, journal)
            assert not is_journal(stream)
        assert not is_journal(file, journal)
    assert not is_journal(StringIO(), journal)


@pytest.mark.parametrize("level", PRIORITIES)
def test_the_journal_is_told_a_line_s_level(level: str) -> None:
    line = marked(structlog.processors.JSONRenderer())(None, level, {"level": level, "event": "gateway_down"})
    mark, closing, said = str(line).partition(">")
    assert (mark, closing, json.loads(said)["level"]) == (f"<{PRIORITIES[level]}", ">", level)
    assert (level in {"error", "critical"}) == (PRIORITIES[level] <= 3), "3 is what journalctl -p err begins at"


# What a line is told may be named so. A new word is to be thought about: can it be a person's, or a secret?
TOLD = {
    "alarm",
    "attempt",
    "attempts",
    "code",  # a provider's own word for why it took no text; see `of_people`
    "error_seen",
    "event_of",
    "gateway",
    "guard",
    "job",
    "late",
    "next",
    "others",
    "permanent",
    "phrase",
    "reason",
    "seal",
    "seconds",
    "seq",
    "text",  # its number
    "times",
    "what",
    "without_sender",
}
# Where a line is told more, by names that the code has made: counts, ids of rows, and what a service is started with.
TOLD_MORE = {"**facts", "**about", "**_about(found)"}
PAST_THE_LOG = {"print", "logging.info", "logging.warning", "logging.error", "warnings.warn"}
OF_PEOPLE = {
    "address",
    "body",
    "cookie",
    "digits",
    "full_name",
    "headers",
    "mobile",
    "name",
    "national_id",
    "old_mobile",
    "new_mobile",
    "password",
    "person",
    "phone",
    "provider_id",
    "parameters",
    "query",
    "secret",
    "sender",
    "ticket",
    "to",
    "token",
    "url",
    "username",
    "words",
}


def log_calls() -> list[tuple[Path, ast.Call]]:
    return [
        (file, node)
        for room in ("bot", "store", "webhooks")
        for file in sorted((ROOT / room).rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "LOG"
    ]


def of_people(value: ast.expr) -> set[str]:
    """What in an expression may be a person's, or a secret: the last name of each run of names."""
    inner = {id(node.value) for node in ast.walk(value) if isinstance(node, ast.Attribute)}
    last = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in ast.walk(value)
        if isinstance(node, ast.Attribute | ast.Name) and id(node) not in inner
    }
    return last & OF_PEOPLE


def faults(call: ast.Call) -> Iterator[str]:
    """What a line is told that it may not be."""
    (event,) = call.args
    if not isinstance(event, ast.Constant):
        yield "an event is a word of ours"
    for given in call.keywords:
        written = ast.unparse(given.value)
        if given.arg is None:
            yield from () if f"**{written}" in TOLD_MORE else (f"**{written}",)
            continue
        if given.arg not in TOLD:
            yield given.arg
        names_no_person = {"name"} if given.arg in {"gateway", "job"} else set()
        yield from of_people(given.value) - names_no_person
        if any(isinstance(node, ast.JoinedStr) for node in ast.walk(given.value)):
            yield f"words are put together: {written}"


def test_no_line_is_told_of_a_person_or_of_a_secret() -> None:
    calls = log_calls()
    assert calls
    assert [f"{file.name}:{call.lineno}: {fault}" for file, call in calls for fault in faults(call)] == []


def test_nothing_is_written_past_the_log() -> None:
    """No print and no other logger: what they would say nobody looks at."""
    for room in ("bot", "store", "webhooks"):
        for file in (ROOT / room).rglob("*.py"):
            words = file.read_text("utf-8")
            for node in ast.walk(ast.parse(words)):
                called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
                assert called not in {"print", "logging.info", "logging.warning", "logging.error", "warnings.warn"}, (
                    file
                )


@pytest.mark.parametrize("value", ["text.phone", "inbound.sender", "str(found.mobile)", "person", "{'a': it.password}"])
def test_a_line_that_would_tell_is_seen(value: str) -> None:
    assert of_people(ast.parse(value, mode="eval").body)
