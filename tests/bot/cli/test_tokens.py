"""Tokens: how the operator makes, lists and ends them, and what Fakher may do with one."""

import hashlib
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import select

from bot.build import Bot
from bot.credentials import bearer
from bot.platform.clock import system_clock
from store import tokens
from store.tables import TokenRow, table
from tests.bot.cli.test_commands import flask, typed
from tests.conftest import MakeBot
from tests.support.databases import SQLITE_ONLY
from tests.support.parts import KEYS, NOON, Carrier, StoppedClock
from tests.webhooks.api.test_api import NO_LIVE_CODE, OWN, REFUSED, Desk, issue, with_another

TOKEN = table(TokenRow)
LINE = re.compile(
    r"(?P<id>\S{22})  (?P<name>.+)  (?P<state>in force|expired|revoked)  until (?P<ends>.+)  last used (?P<used>.+)"
)
MINUTE = r"\d{4}-\d\d-\d\d \d\d:\d\d Tehran"


def create(url: str, name: str, *options: str) -> str:
    """A token, as the operator gets it."""
    result = typed("tokens", "create", "--name", name, *options, DATABASE_URL=url)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()[-1]


def listed(url: str) -> list[dict[str, str]]:
    """What the operator is shown of each token."""
    result = typed("tokens", "list", DATABASE_URL=url)
    assert result.exit_code == 0
    lines = [LINE.fullmatch(line) for line in result.stdout.splitlines()]
    return [line.groupdict() for line in lines if line]


def states(url: str) -> list[tuple[str, str]]:
    return [(it["name"], it["state"]) for it in listed(url)]


def revoke(url: str, *which: str) -> Result:
    return typed("tokens", "revoke", *which, DATABASE_URL=url)


# What the operator types


@pytest.mark.process
def test_a_new_one_is_alone_on_the_last_line(sqlite_url: str, tmp_path: Path) -> None:
    done = flask(
        "tokens", "create", "--name", "Fakher, 1st", folder=tmp_path, DATABASE_URL=sqlite_url, SECRET_KEYS=KEYS
    )
    assert done.returncode == 0, done.stderr
    assert bearer.read(done.stdout.splitlines()[-1])
    assert done.stdout.splitlines()[-1] not in done.stderr
    assert [it["name"] for it in listed(sqlite_url)] == ["Fakher, 1st"]


def test_only_its_hash_is_kept_and_it_is_not_shown_again(database_url: str, bot: Bot) -> None:
    held = bearer.read(create(database_url, "fakher"))
    assert held
    with bot.store.reading() as connection:
        (row,) = connection.execute(select(TOKEN))
    assert row.digest == hashlib.sha256(held.secret.encode()).digest()
    assert held.secret not in repr(row)
    shown = typed("tokens", "list", DATABASE_URL=database_url).output
    assert held.id in shown
    assert held.secret not in shown


@pytest.mark.parametrize(("options", "days"), [((), 90), (("--days", "1"), 1), (("--days", "3650"), 3650)])
def test_it_ends_by_itself(database_url: str, bot: Bot, options: tuple[str, ...], days: int) -> None:
    before = system_clock()
    create(database_url, "fakher", *options)
    with bot.store.reading() as connection:
        (row,) = tokens.every(connection)
    assert before <= row.created_at <= system_clock()
    assert row.expires_at - row.created_at == timedelta(days=days)
    (shown,) = listed(database_url)
    assert re.fullmatch(MINUTE, shown["ends"])
    assert (shown["id"], shown["used"], shown["state"]) == (row.id, "never", "in force")


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--name", ""],
        ["--name", "  "],
        ["--name", "x" * 61],
        ["--name", "two\nlines"],
        ["--name", "\x1b[31m"],
        ["--name", "x", "--days", "0"],
        ["--name", "x", "--days", "3651"],
        ["--name", "x", "--days", "soon"],
    ],
)
def test_a_bad_name_or_number_of_days_makes_none(sqlite_url: str, options: list[str]) -> None:
    result = typed("tokens", "create", *options, DATABASE_URL=sqlite_url)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Traceback" not in result.output
    assert typed("tokens", "list", DATABASE_URL=sqlite_url).output == "There are no tokens.\n"


def test_several_are_in_force_at_once_and_one_is_ended_by_its_id(database_url: str) -> None:
    made = [create(database_url, name) for name in ("old", "new", "new")]
    assert len(set(made)) == 3
    ended = revoke(database_url, made[1].partition(".")[0])
    assert (ended.exit_code, ended.stdout) == (0, "1 revoked.\n")
    assert states(database_url) == [("old", "in force"), ("new", "revoked"), ("new", "in force")]


@pytest.mark.parametrize("words", [["new"], ["--name", "new"]])
def test_all_of_a_name_are_ended(database_url: str, words: list[str]) -> None:
    for name in ("old", "new", "new"):
        create(database_url, name)
    assert revoke(database_url, *words).stdout == "2 revoked.\n"
    assert states(database_url) == [("old", "in force"), ("new", "revoked"), ("new", "revoked")]


@pytest.mark.parametrize(("words", "status"), [(["nobody"], 1), (["old"], 1), ([""], 2), ([], 2), (["%"], 1)])
def test_none_is_ended_by_mistake(sqlite_url: str, words: list[str], status: int) -> None:
    create(sqlite_url, "old")
    revoke(sqlite_url, "old")
    create(sqlite_url, "new")
    result = revoke(sqlite_url, *words)
    assert result.exit_code == status
    assert isinstance(result.exception, SystemExit)
    assert states(sqlite_url) == [("old", "revoked"), ("new", "in force")]


def test_a_secret_is_no_name_to_end_one_by(sqlite_url: str) -> None:
    held = bearer.read(create(sqlite_url, "old"))
    assert held
    for given in (held.secret, held.text):  # behind "--", for a secret may begin like an option
        assert revoke(sqlite_url, "--", given).exit_code == 1
    assert states(sqlite_url) == [("old", "in force")]


def test_one_made_by_command_is_good_until_it_is_revoked(
    make_bot: MakeBot, database_url: str, carrier: Carrier
) -> None:
    desk = Desk(make_bot(), carrier, StoppedClock(system_clock()))
    for name in ("old", "new"):
        desk.token = create(database_url, name)
        assert desk.login(OWN) == REFUSED
    revoke(database_url, "new")
    assert desk.post("passwords/verify", {"username": "zahra", "password": OWN}).status_code == 401


# What Fakher may do with one


@pytest.fixture
def desk(make_bot: MakeBot, carrier: Carrier, clock: StoppedClock) -> Desk:
    return Desk(make_bot(), carrier, clock)


def refused(desk: Desk, **headers: str) -> None:
    """All operations are, whatever is sent, and nothing about the body is said."""
    for path in ("codes/verify", "passwords", "passwords/verify"):
        for body in ({"national_id": "0012345679", "code": "100001"}, "zqmarker", None):
            answer = desk.client.post(f"/api/v1/{path}", json=body, headers=headers)
            assert (answer.status_code, answer.mimetype) == (401, "application/problem+json")
            assert answer.get_json() == {"type": "about:blank", "title": "Unauthorized", "status": 401}
            assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="ramz"')
            shown = answer.text + str(answer.headers)
            assert not [word for word in headers.values() if len(word) > 8 and word.split()[-1] in shown]


def test_none_is_needed_to_read_the_description(desk: Desk) -> None:
    assert desk.client.get("/api/v1/openapi.json").status_code == 200


@pytest.mark.parametrize(
    "form",
    [
        "",
        "Bearer",
        "Bearer ",
        "{token}",
        "Basic {token}",
        "Token {token}",
        "Bearer{token}",
        "Bearer: {token}",
        'Bearer "{token}"',
        "Bearer {token}x",
        "Bearer {token}, Bearer {token}",
        "Bearer {id}",
        "Bearer {id}.",
        "Bearer {id}.{id}.{secret}",
        "Bearer {secret}.{id}",
        "Bearer null",
        "Bearer \xff\xfe",
        "Bearer ' OR 1=1 --",
        "Bearer " + "x" * 10_000,
    ],
)
@SQLITE_ONLY
def test_anything_but_a_token_is_refused(desk: Desk, form: str) -> None:
    held = bearer.read(desk.token)
    assert held
    refused(desk, Authorization=form.format(token=desk.token, id=held.id, secret=held.secret))


def test_no_header_at_all_is_refused(desk: Desk) -> None:
    refused(desk)
    refused(desk, **{"X-Api-Key": desk.token, "Cookie": f"token={desk.token}"})


@pytest.mark.parametrize("place", [0, 21, 23, 40, -1])
@SQLITE_ONLY
def test_one_character_makes_another_of_it(desk: Desk, place: int) -> None:
    refused(desk, Authorization=f"Bearer {with_another(desk.token, place)}")
    assert desk.try_code("100001") == NO_LIVE_CODE


def test_the_scheme_is_written_in_any_case(desk: Desk) -> None:
    for scheme in ("bearer", "BEARER"):
        answer = desk.post(
            "codes/verify",
            {"national_id": "0012345679", "code": "100001"},
            headers={"Authorization": f"{scheme} {desk.token}"},
        )
        assert answer.status_code == 200


def test_a_ticket_is_no_token_and_a_token_no_ticket(desk: Desk) -> None:
    ticket = desk.ticket()
    refused(desk, Authorization=f"Bearer {ticket}")
    assert desk.choose(desk.token).status_code == 410
    assert desk.choose(ticket).status_code == 204


@pytest.mark.parametrize(("seconds", "is_good"), [(-1, True), (0, False), (1, False)])
def test_it_is_good_for_its_time(desk: Desk, seconds: int, is_good: bool) -> None:
    desk.token = issue(desk.bot, "short", days=2)
    desk.clock.forward(days=2, seconds=seconds)
    if is_good:
        assert desk.login(OWN) == REFUSED
    else:
        refused(desk, Authorization=f"Bearer {desk.token}")


def test_it_is_good_beside_others_until_it_is_revoked(desk: Desk) -> None:
    old, new = desk.token, issue(desk.bot, "new")
    for desk.token in (old, new):
        assert desk.login(OWN) == REFUSED
    with desk.bot.store.writing() as connection:
        assert tokens.revoke(connection, "fakher", desk.clock()) == [old.partition(".")[0]]
    refused(desk, Authorization=f"Bearer {old}")
    assert desk.login(OWN) == REFUSED


def last_used(desk: Desk) -> Any:
    (row,) = desk.rows(select(TOKEN.c.last_used_at))
    return row.last_used_at


def test_its_last_use_is_noted_to_the_minute(desk: Desk) -> None:
    assert last_used(desk) is None
    refused(desk, Authorization=f"Bearer {with_another(desk.token, -1)}")
    assert last_used(desk) is None
    desk.login(OWN)
    assert last_used(desk) == NOON
    desk.clock.forward(seconds=59)
    desk.login(OWN, username="omid")
    assert last_used(desk) == NOON
    for body in (
        ("codes/verify", {"national_id": "0012345679", "code": "1000001"}),
        ("passwords", {"ticket": desk.token, "new_password": OWN}),
    ):
        desk.clock.forward(seconds=60)
        desk.post(*body)
        assert last_used(desk) == desk.clock()


def test_its_last_use_is_listed(make_bot: MakeBot, database_url: str, carrier: Carrier, clock: StoppedClock) -> None:
    desk = Desk(make_bot(), carrier, clock)
    assert [it["used"] for it in listed(database_url)] == ["never"]
    desk.login(OWN)
    assert [it["used"] for it in listed(database_url)] == ["2026-09-01 12:30 Tehran"]
    assert [it["ends"] for it in listed(database_url)] == ["2026-11-30 12:30 Tehran"]


@pytest.mark.parametrize(("days", "state"), [(-1, "expired"), (1, "in force")])
def test_one_that_is_over_is_listed_as_that_and_can_not_be_revoked(
    make_bot: MakeBot, database_url: str, days: int, state: str
) -> None:
    bot, now = make_bot(), system_clock()
    with bot.store.writing() as connection:
        tokens.issue(connection, "x" * 22, "soon", b"", now - timedelta(days=9), now + timedelta(days=days))
    assert ("soon", state) in states(database_url)
    assert revoke(database_url, "soon").exit_code == (0 if days > 0 else 1)
