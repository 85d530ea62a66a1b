"""The description of Fakher's API, and the API held against it: calls as it allows them, and as it does not."""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck
from hypothesis import settings as examined
from pydantic import BaseModel, ValidationError
from schemathesis import Case, GenerationMode, Response
from schemathesis.openapi import from_wsgi
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import positive_data_acceptance
from sqlalchemy import delete, update

from bot.build import build
from bot.credentials import bearer, one_time_codes, passwords
from bot.credentials.one_time_codes import DrawnCode
from bot.credentials.passwords import Hashed
from dialogs.vocabulary import CodePurpose
from store import accounts, codes, rate_limits, reset_grants
from store.database.engine import Store
from store.reset_grants import NewGrant
from store.tables import AccountRow, CodeRow, RateLimitRow, ResetGrantRow, table
from tests.support.databases import Fresh
from tests.support.parts import CHEAP, Carrier, LoadedRandomSource, StoppedClock, settings
from tests.webhooks.api.test_api import OWN, Desk
from tests.webhooks.test_webhooks import gone
from webhooks import create_app
from webhooks.api import models
from webhooks.api.openapi import document
from webhooks.api.operations import TICKET

ACCOUNT, CODE, RATE, TICKETS = table(AccountRow), table(CodeRow), table(RateLimitRow), table(ResetGrantRow)
PERSON, USERNAME, RIGHT = "0012345679", "leader5679", "482913"  # as in the description's examples
DESCRIPTION = "/api/v1/openapi.json"
VERIFY_CODE, SET_PASSWORD, VERIFY_PASSWORD = "/api/v1/codes/verify", "/api/v1/passwords", "/api/v1/passwords/verify"


class World:
    """An API whose examples are true: the code is live, the ticket good, the password right."""

    def __init__(self, store: Store) -> None:
        self.carrier, self.clock = Carrier(), StoppedClock()
        bot = build(
            settings(),
            clock=self.clock,
            random_source=LoadedRandomSource(),
            gateways=[self.carrier],
            store=store,
            cost=CHEAP,
        )
        self.desk, self.store = Desk(bot, self.carrier, self.clock), store
        self.desk.change(username=USERNAME)
        self.hash: Hashed = passwords.hashed(bot.keyring, OWN)
        self.app: Flask = create_app(bot)
        self.headers = {"Authorization": f"Bearer {self.desk.token}"}
        self.token = self.desk.token.partition(".")[0]

    def begin(self, *, spent: bool = False, busy: bool = False) -> None:
        """A new minute, in which the examples are true; all but the ticket, or all but that there is time for them."""
        self.clock.forward(seconds=61)
        bot, now = self.desk.bot, self.clock()
        held = bearer.read(TICKET)
        assert held
        with self.store.writing() as connection:
            for each in (CODE, TICKETS, RATE):
                connection.execute(delete(each))
            holder = accounts.find(connection, national_id=PERSON)
            assert holder
            accounts.set_password(connection, holder.id, self.hash.hash, self.hash.key_id, None)
            drawn = DrawnCode("c1", RIGHT, b"")
            code = one_time_codes.new(
                drawn, bot.keyring, bot.settings, now, CodePurpose.RECOVERY, holder.mobile, account_id=holder.id
            )
            codes.issue(connection, code)
            grant = NewGrant(held.id, holder.id, "c1", held.digest, now, now + timedelta(minutes=10))
            reset_grants.issue(connection, grant)
            if spent:
                reset_grants.spend(connection, held.id, now)
            if busy:
                rate_limits.count(connection, f"token:{self.token}", now)
                connection.execute(update(RATE).values(calls=3000))


class Door:
    """A WSGI application behind which a world is put, when there is one."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.app(environ, start_response)


def read_description(door: Door) -> BaseSchema:
    config = schemathesis.Config()
    # A ticket that is used up is no fault of the body.
    config.projects.default.checks.positive_data_acceptance.expected_statuses += ["410"]
    return from_wsgi(DESCRIPTION, door, config=config)


DOOR = Door(create_app(build(settings(), store=Store("sqlite://"))))  # to read the description takes no database
API = read_description(DOOR)
DOCUMENT: dict[str, Any] = API.raw_schema


@pytest.fixture(scope="module")
def world(fresh_sqlite: Fresh) -> Iterator[World]:
    with closing(Store(fresh_sqlite())) as store:
        world = World(store)
        DOOR.app = world.app
        yield world


TRUE = {
    "national_id": PERSON,
    "username": USERNAME,
    "code": RIGHT,
    "ticket": TICKET,
    "password": OWN,
    "new_password": OWN,
}
FORMS = {
    "national_id": re.compile("[0-9]{8,10}"),
    "username": re.compile("[ -~]{1,80}"),
    "code": re.compile("[0-9]{6,10}"),
    "ticket": re.compile(r"[\w-]{22}\.[\w-]{22}", re.ASCII),
    "password": re.compile("(?s:.*)"),
    "new_password": re.compile("(?s:.*)"),
}


@API.hook("map_body")
def made_true(_context: Any, body: Any) -> Any:
    """About half of what is well-formed, by what is right; what is malformed stays so."""
    if isinstance(body, dict):
        for name, true in TRUE.items():
            value = body.get(name)
            if isinstance(value, str) and FORMS[name].fullmatch(value) and sum(map(ord, value)) % 2:
                body[name] = true
    return body


thoroughly = examined(
    derandomize=True, max_examples=120, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
# Who is refused before the body is read needs fewer bodies.
briefly = examined(thoroughly, max_examples=30)


# What is reached by calls as they come. The rest needs a token that is not in force, haste, or a database out of reach.
ALWAYS = {"401", "405", "415", "422"}
REACHED = {
    f"POST {VERIFY_CODE}": {"200 right", "200 wrong"} | ALWAYS,
    f"POST {SET_PASSWORD}": {"204", "410", "422 weak"} | ALWAYS,
    f"POST {VERIFY_PASSWORD}": {"200 right", "200 wrong"} | ALWAYS,
}
Reached = set[tuple[str, str]]


@pytest.fixture
def reached() -> Iterator[Reached]:
    """What an operation has answered: in the end, all that it can."""
    found: Reached = set()
    yield found
    for label in {label for label, _ in found}:
        assert {said for each, said in found if each == label} >= REACHED[label]


def said_in(answer: Response) -> str:
    body = answer.json() if answer.content else {}
    more = " weak" if "reasons" in body else {True: " right", False: " wrong", None: ""}[body.get("verified")]
    return f"{answer.status_code}{more}"


def held_to(case: Case[Any], headers: dict[str, str] | None = None) -> Response:
    """The answer to a call, held against the description by every check that there is."""
    answer: Response = case.call(headers=headers)
    # A weak password is no fault of the body, either.
    excluded: list[Any] | None = [positive_data_acceptance] if said_in(answer) == "422 weak" else None
    case.validate_response(answer, headers=headers, excluded_checks=excluded)
    return answer


def is_sound(case: Case[Any]) -> bool:
    return case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE


@API.parametrize()
@thoroughly
@pytest.mark.slow
def test_it_answers_as_described(case: Case[Any], world: World, reached: Reached) -> None:
    world.begin()
    reached.add((case.operation.label, said_in(held_to(case, world.headers))))


@API.parametrize()
@briefly
@pytest.mark.slow
def test_it_answers_as_described_to_who_has_no_token(case: Case[Any], world: World) -> None:
    world.begin()
    assert held_to(case).status_code == (401 if case.method == "POST" else 405)


@API.parametrize()
@briefly
@pytest.mark.slow
def test_it_answers_as_described_to_who_asks_too_often(case: Case[Any], world: World) -> None:
    world.begin(busy=True)
    answer = held_to(case, world.headers)
    assert answer.status_code == 429 if is_sound(case) else answer.status_code in (401, 405, 415, 422, 429)


# Every status


SOUND: dict[str, dict[str, Any]] = {
    VERIFY_CODE: {"national_id": PERSON, "code": RIGHT},
    SET_PASSWORD: {"ticket": TICKET, "new_password": OWN},
    VERIFY_PASSWORD: {"username": USERNAME, "password": OWN},
}


def reach(world: World, path: str, status: int) -> Any:
    """An answer of this status."""
    world.begin(busy=status == 429, spent=status == 410)
    how: dict[str, Any] = {
        "headers": world.headers,
        "data": json.dumps(SOUND[path]),
        "content_type": "application/json",
    }
    changes: dict[int, dict[str, Any]] = {
        401: {"headers": {}},
        413: {"data": " " * 65_537},
        415: {"content_type": "text/plain"},
        422: {"data": "{}"},
    }
    how |= changes.get(status, {})
    client = world.app.test_client()
    if status != 503:
        return client.post(path, **how)
    world.store.close()
    with gone(world.store.url.render_as_string()):
        return client.post(path, **how)


def documented() -> list[tuple[str, int]]:
    return [(path, int(status)) for path in SOUND for status in DOCUMENT["paths"][path]["post"]["responses"]]


@pytest.mark.parametrize(("path", "status"), documented())
def test_every_status_can_be_reached_and_is_as_described(world: World, path: str, status: int) -> None:
    answer = reach(world, path, status)
    assert answer.status_code == status
    API[path]["POST"].validate_response(answer)


def test_it_describes_itself(world: World) -> None:
    answer = world.app.test_client().get(DESCRIPTION)
    API[DESCRIPTION]["GET"].validate_response(answer)
    assert (answer.status_code, answer.get_json()) == (200, DOCUMENT)


# The document


def test_it_is_openapi_3_1() -> None:
    assert re.fullmatch(r"3\.1\.\d+", DOCUMENT["openapi"])
    API.validate()
    assert [server["url"] for server in DOCUMENT["servers"]] == ["http://127.0.0.1:8000"]


def test_it_says_where_it_is_served() -> None:
    found = json.loads(document("https://ramz.example.ir/"))
    assert found["servers"] == [{"url": "https://ramz.example.ir"}]
    assert found["paths"] == DOCUMENT["paths"]


def test_it_names_just_the_routes_there_are(world: World) -> None:
    rules = [rule for rule in world.app.url_map.iter_rules() if rule.rule.startswith("/api/")]
    served = {(rule.rule, method.lower()) for rule in rules for method in (rule.methods or set()) - {"HEAD"}}
    assert {(path, method) for path, item in DOCUMENT["paths"].items() for method in item} == served
    assert {path for path, _ in served} == {VERIFY_CODE, SET_PASSWORD, VERIFY_PASSWORD, DESCRIPTION}


@pytest.mark.parametrize("path", [VERIFY_CODE, SET_PASSWORD, VERIFY_PASSWORD])
def test_it_names_every_status_and_what_comes_with_it(path: str) -> None:
    operation = DOCUMENT["paths"][path]["post"]
    done = {"204", "410"} if path == SET_PASSWORD else {"200"}
    assert operation["responses"].keys() == {"401", "413", "415", "422", "429", "503"} | done
    assert operation.get("security", DOCUMENT["security"]) == [{"token": []}]
    for status, response in operation["responses"].items():
        kinds = {"200": {"application/json"}, "204": set()}.get(status, {"application/problem+json"})
        assert set(response.get("content", {})) == kinds
        waits = response.get("headers", {}).get("Retry-After", {}).get("required", False)
        assert waits is (status in {"429", "503"})


def test_a_bearer_token_is_asked_for_but_to_read_it() -> None:
    scheme = DOCUMENT["components"]["securitySchemes"]["token"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    assert DOCUMENT["paths"][DESCRIPTION]["get"]["security"] == []


def test_it_names_every_event() -> None:
    assert DOCUMENT["webhooks"].keys() == {"password.recovered", "password.changed", "recovery.locked"}
    assert all(item["post"]["security"] == [] for item in DOCUMENT["webhooks"].values())


def media(node: Any) -> Iterator[dict[str, Any]]:
    """Every body that the document shows an example of."""
    if isinstance(node, dict):
        if "examples" in node and "schema" in node:
            yield node
        for value in node.values():
            yield from media(value)


MEDIA = [*media(DOCUMENT["paths"]), *media(DOCUMENT["webhooks"])]


def is_valid(schema: dict[str, Any], value: Any) -> bool:
    whole = {**schema, "components": DOCUMENT["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True).is_valid(value)


def test_every_example_is_what_it_is_an_example_of() -> None:
    for each in MEDIA:
        model: type[BaseModel] = getattr(models, each["schema"]["$ref"].rpartition("/")[2])
        values = [example["value"] for example in each["examples"].values()]
        assert values
        for value in values:
            assert is_valid(each["schema"], value), value
            model.model_validate_json(json.dumps(value))
        assert not is_valid(each["schema"], {**values[0], "more": 1})
    assert len(MEDIA) == 2 * len(SOUND) - 1 + len(DOCUMENT["webhooks"]) + sum(
        status >= 400 for _, status in documented()
    )


def test_every_member_that_shows_an_example_is_what_it_shows() -> None:
    shown = [
        (member, value)
        for schema in DOCUMENT["components"]["schemas"].values()
        for member in schema.get("properties", {}).values()
        for value in member.get("examples", [])
    ]
    assert len(shown) > 5
    assert not [(member, value) for member, value in shown if not is_valid(member, value)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CodeTry", {"national_id": "1234567", "code": "482913"}),
        ("CodeTry", {"national_id": "0012345679", "code": "48291"}),
        ("CodeTry", {"national_id": "0012345679", "code": "१०००००"}),
        ("CodeTry", {"national_id": "0012345679"}),
        ("NewPassword", {"ticket": TICKET[:-1], "new_password": ""}),
        ("NewPassword", {"ticket": TICKET, "new_password": None}),
        ("PasswordTry", {"username": "x", "national_id": "0012345679", "password": ""}),
        ("PasswordTry", {"username": "", "password": ""}),
        ("PasswordTry", {"password": ""}),
        ("CodeVerdict", {"verified": True, "reason": "locked", "tries_left": 0}),
        ("CodeVerdict", {"verified": False, "reason": "other", "tries_left": 0}),
        ("CodeVerdict", {"verified": False, "reason": "locked", "tries_left": -1}),
        ("CodeVerdict", {"verified": True, "ticket": TICKET, "expires_at": "soon"}),
    ],
)
def test_what_is_refused_is_described_as_wrong(name: str, value: dict[str, Any]) -> None:
    assert not is_valid({"$ref": f"#/components/schemas/{name}"}, value)
    with pytest.raises(ValidationError):
        getattr(models, name).model_validate_json(json.dumps(value))
