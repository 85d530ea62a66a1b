"""Where the API stops: wrong tries, calls a minute, bodies that it does not take, and what it says then."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from http import HTTPStatus
from io import RawIOBase
from itertools import cycle, islice
from typing import Any

import pytest
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from bot.build import build
from store import rate_limits
from store.database.engine import Store
from store.tables import METADATA, CloseReason, CodeRow, table
from tests.conftest import MakeBot
from tests.support.databases import Fresh
from tests.support.parts import CHEAP, NOON, Carrier, LoadedRandomSource, StoppedClock, settings
from tests.support.people import UNKNOWN_ID, ZAHRA
from tests.webhooks.api.test_api import (
    EVENTS,
    IS_LOCKED,
    NO_LIVE_CODE,
    OWN,
    PLENTY,
    REFUSED,
    Desk,
    MakeDesk,
    issue,
    wrong,
)
from tests.webhooks.test_webhooks import gone
from webhooks import create_app


@pytest.fixture
def backend() -> str:
    """One database: races, rotations and the tests of passwords ask of both what the API asks of the store."""
    return "sqlite"


CODE = table(CodeRow)
PATHS = ("codes/verify", "passwords", "passwords/verify")
LARGEST = 64 * 1024
GRANT = "8kq2m5n7p9r3t6v8x0z2b4.d6f8h0j2l4n6p8r0t2v4x6"
ZAHRAS = ZAHRA["national_id"]


@pytest.fixture
def make_desk(make_bot: MakeBot, carrier: Carrier, clock: StoppedClock) -> MakeDesk:
    return lambda **changes: Desk(make_bot(**changes), carrier, clock)


@pytest.fixture
def desk(make_desk: MakeDesk) -> Desk:
    return make_desk()


def everything(store: Store) -> dict[str, list[Any]]:
    with store.reading() as connection:
        return {each.name: [tuple(row) for row in connection.execute(select(each))] for each in METADATA.sorted_tables}


# One database: what is refused is refused before it is asked.
@pytest.fixture(scope="module", params=["sqlite"])
def untouched(request: pytest.FixtureRequest) -> Iterator[Desk]:
    """A desk for all the tests after which nothing may have happened; a code is live and a ticket is good."""
    fresh: Fresh = request.getfixturevalue(f"fresh_{request.param}")
    carrier, clock = Carrier(), StoppedClock()
    with closing(Store(fresh())) as store:
        made = build(
            settings(**PLENTY),
            clock=clock,
            random_source=LoadedRandomSource(),
            gateways=[carrier],
            store=store,
            cost=CHEAP,
        )
        desk = Desk(made, carrier, clock)
        desk.ticket()
        desk.code()
        before = everything(store)
        yield desk
        assert everything(store) == before


def problem(answer: TestResponse, status: int, kind: str = "about:blank") -> dict[str, Any]:
    """The problem that an answer is."""
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    found: dict[str, Any] = answer.get_json()
    title = HTTPStatus(status).phrase if kind == "about:blank" else "The password is weak."
    assert (found["type"], found["title"], found["status"]) == (kind, title, status)
    assert found.keys() <= {"type", "title", "status", "detail", "errors", "reasons"}
    assert answer.headers["Cache-Control"] == "no-store"
    return found


class TestWrongTries:
    def test_they_are_counted_down_and_the_last_burns_the_code(self, desk: Desk) -> None:
        code = desk.code()
        assert [desk.try_code("999999") for _ in range(5)] == [wrong(4), wrong(3), wrong(2), wrong(1), IS_LOCKED]
        assert desk.try_code(code) == NO_LIVE_CODE
        assert [row.close_reason for row in desk.rows(select(CODE.c.close_reason))] == [CloseReason.BURNED]
        desk.player.play("> {code}\n< no_live_code")
        assert desk.account().locked_at is None
        desk.clock.forward(seconds=61)
        assert desk.try_code(desk.code())["verified"]

    def test_there_are_as_many_as_the_operator_allows(self, make_desk: MakeDesk) -> None:
        desk = make_desk(CODE_TRIES="2")
        code = desk.code()
        assert [desk.try_code("999999") for _ in range(2)] == [wrong(1), IS_LOCKED]
        assert desk.try_code(code) == NO_LIVE_CODE

    @pytest.mark.parametrize("ways", ["tttta", "aaaat", "tatat", "atata", "ttaaa"])
    def test_they_count_over_text_and_here(self, desk: Desk, ways: str) -> None:
        code = desk.code()
        for left, way in zip((4, 3, 2, 1, 0), ways, strict=True):
            if way == "a":
                assert desk.try_code("999999") == (wrong(left) if left else IS_LOCKED)
            else:
                desk.player.play(f"> {{wrong}}\n< {'wrong_code' if left else 'code_burned'}")
        assert desk.account().failures == 5
        assert desk.try_code(code) == NO_LIVE_CODE
        desk.player.play("> {code}\n< no_live_code")

    def test_a_right_one_ends_their_run(self, desk: Desk) -> None:
        code = desk.code()
        for _ in range(3):
            desk.try_code("999999")
        assert desk.account().failures == 3
        assert desk.try_code(code)["verified"]
        assert desk.account().failures == 0

    @pytest.mark.parametrize("ways", ["ta" * 50, "at" * 50])
    @pytest.mark.slow
    def test_the_hundred_and_first_is_refused_even_when_right_until_staff_unlock(
        self, make_desk: MakeDesk, ways: str
    ) -> None:
        desk = make_desk(CODE_TRIES="4", **PLENTY, **EVENTS)
        for number, way in enumerate(ways):
            if number % 4 == 0:
                code = desk.code()
            assert desk.account().locked_at is None
            if way == "a":
                verdict = desk.try_code("999999")
                assert verdict == (wrong(3 - number % 4) if number % 4 < 3 else IS_LOCKED)
            else:
                last = "recovery_locked" if number == 99 else "code_burned"
                desk.player.play(f"> {{wrong}}\n< {last if number % 4 == 3 else 'wrong_code'}")
        assert (desk.account().failures, desk.account().locked_at) == (100, NOON)
        assert desk.try_code(code) == IS_LOCKED
        desk.player.play("> {code}\n< no_live_code\n> RESET 0012345679\n< neutral")
        assert desk.try_code(code) == IS_LOCKED
        assert desk.events() == [("recovery.locked", desk.account().id)]
        desk.player.play("! unlock zahra")
        assert desk.try_code(desk.code())["verified"]

    def test_the_hundredth_burns_a_code_that_had_tries_left(self, make_desk: MakeDesk) -> None:
        desk = make_desk(**EVENTS)
        code = desk.code()
        desk.change(failures=98)
        assert desk.try_code("999999") == wrong(4)
        assert desk.try_code("999999") == IS_LOCKED
        assert [row.close_reason for row in desk.rows(select(CODE.c.close_reason))] == [CloseReason.BURNED]
        desk.player.play("! unlock zahra")
        assert desk.try_code(code) == NO_LIVE_CODE


def retry_after(answer: TestResponse) -> int:
    problem(answer, 429)
    return int(answer.headers["Retry-After"])


class TestCallsAboutAnAccount:
    def about(self, desk: Desk, ticket: str, names: tuple[str, str]) -> "cycle[tuple[str, dict[str, str]]]":
        """Calls of every operation about one account, none of which changes anything."""
        person, username = names
        return cycle(
            [
                ("codes/verify", {"national_id": person, "code": "999999"}),
                ("passwords/verify", {"national_id": person, "password": OWN}),
                ("passwords/verify", {"username": username, "password": OWN}),
                ("passwords", {"ticket": ticket, "new_password": "weak"}),
            ]
        )

    def test_they_are_sixty_a_minute_over_all_operations(self, desk: Desk) -> None:
        ticket = desk.ticket()
        desk.clock.forward(seconds=61)
        calls = self.about(desk, ticket, (ZAHRAS, "zahra"))
        statuses = [desk.post(path, body).status_code for path, body in islice(calls, 60)]
        assert statuses == [200, 200, 200, 422] * 15
        desk.clock.forward(seconds=20)
        assert {retry_after(desk.post(path, body)) for path, body in islice(calls, 4)} == {40}
        assert desk.login(OWN, username="omid") == REFUSED
        desk.clock.forward(seconds=39.5)
        assert {retry_after(desk.post(path, body)) for path, body in islice(calls, 4)} == {1}
        desk.clock.forward(seconds=0.5)
        assert [desk.post(path, body).status_code for path, body in islice(calls, 4)] == [200, 200, 200, 422]

    def test_a_new_minute_has_sixty_again(self, desk: Desk) -> None:
        for _ in range(2):
            for _ in range(60):
                desk.try_code("999999")
            assert retry_after(desk.post("codes/verify", {"national_id": ZAHRAS, "code": "999999"})) == 60
            desk.clock.forward(seconds=60)

    @pytest.mark.parametrize(
        ("who", "nobody_else"),
        [
            ({"national_id": UNKNOWN_ID}, {"national_id": "1234567890"}),
            ({"national_id": "1234567890"}, {"national_id": UNKNOWN_ID}),
            ({"username": "nobody"}, {"username": "Nobody"}),
        ],
    )
    @pytest.mark.slow
    def test_they_are_as_many_about_nobody(self, desk: Desk, who: dict[str, str], nobody_else: dict[str, str]) -> None:
        for number in range(60):
            if number % 2 and "national_id" in who:
                assert desk.try_code("999999", who["national_id"]) == NO_LIVE_CODE
            else:
                assert desk.login(OWN, **who) == REFUSED
        assert retry_after(desk.post("passwords/verify", {**who, "password": OWN})) == 60
        if "national_id" in who:
            assert retry_after(desk.post("codes/verify", {**who, "code": "999999"})) == 60
        assert desk.login(OWN, **nobody_else) == REFUSED
        desk.clock.forward(seconds=60)
        assert desk.login(OWN, **who) == REFUSED

    def test_who_is_nobody_is_kept_nowhere(self, desk: Desk) -> None:
        desk.login(OWN, username="mistyped.name")
        desk.try_code("999999", UNKNOWN_ID)
        assert not [name for name in ("mistyped.name", UNKNOWN_ID) if name in str(everything(desk.bot.store))]

    def test_they_count_over_all_tokens_and_processes(self, desk: Desk, make_bot: MakeBot) -> None:
        for _ in range(30):
            desk.try_code("999999")
        desk.client, desk.token = create_app(make_bot()).test_client(), issue(desk.bot, "another")
        for _ in range(30):
            desk.login(OWN)
        assert retry_after(desk.post("codes/verify", {"national_id": "12345679", "code": "999999"})) == 60

    def test_one_too_many_does_nothing(self, desk: Desk) -> None:
        code = desk.code()
        for _ in range(60):
            desk.login(OWN)
        for tried in (code, "999999"):
            assert retry_after(desk.post("codes/verify", {"national_id": ZAHRAS, "code": tried})) == 60
        desk.clock.forward(seconds=60)
        assert desk.try_code("999999") == wrong(4)
        assert desk.try_code(code)["verified"]


class TestCallsOfAToken:
    @pytest.mark.slow
    def test_six_hundred_a_minute_over_many_accounts_pass(self, desk: Desk) -> None:
        for number in range(600):
            assert desk.try_code("999999", f"{number % 20:010d}") == NO_LIVE_CODE

    def test_they_are_three_thousand_a_minute(self, desk: Desk) -> None:
        other, name = issue(desk.bot, "another"), desk.token.partition(".")[0]
        with desk.bot.store.writing() as connection:
            for _ in range(2999):
                rate_limits.count(connection, f"token:{name}", desk.clock())
        assert desk.try_code("999999", UNKNOWN_ID) == NO_LIVE_CODE
        for path, body in SOUND.items():
            assert retry_after(desk.post(path, body)) == 60
        mine, desk.token = desk.token, other
        assert desk.login(OWN) == REFUSED
        desk.token = mine
        desk.clock.forward(seconds=60)
        assert desk.login(OWN) == REFUSED


SOUND: dict[str, dict[str, str]] = {
    "codes/verify": {"national_id": ZAHRAS, "code": "999999"},
    "passwords": {"ticket": GRANT, "new_password": OWN},
    "passwords/verify": {"username": "zahra", "password": OWN},
}
WHOLE = json.dumps(SOUND["codes/verify"]).encode()
HOSTILE: tuple[bytes, ...] = (
    b"",
    b" \n",
    b"null",
    b"true",
    b"0",
    b"-1e400",
    b"NaN",
    b'"0012345679"',
    b"[]",
    b"[" + WHOLE + b"]",
    b"{}",
    b"{",
    b'{"national_id"',
    b"\xef\xbb\xbf" + WHOLE,
    WHOLE + b"x",
    WHOLE + WHOLE,
    WHOLE.replace(b'"', b"'"),
    WHOLE.decode().encode("utf-16"),
    b"\x00" + WHOLE,
    b"\xff\xfe\x80",
    *(
        b'{"national_id":%s,"username":%s,"code":%s,"ticket":%s,"password":%s,"new_password":%s}' % ((value,) * 6)
        for value in (
            b'"\xff\xfe"',
            b'"\xed\xa0\x80"',
            b'"\\ud800"',
            b'"\\udc00\\ud800"',
            b'"\\u0000"',
            b'"\x00"',
            b'"\n"',
            b"null",
            b"{}",
            b"[[]]",
            b"1e400",
            b"9" * 10_000,
        )
    ),
    b"[" * LARGEST,
    b'{"national_id":' * 4000,
    b'{"national_id":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    b"9" * LARGEST,
    b'{"' + b"x" * 60_000 + b'":1}',
    b'{"national_id":"","national_id":"","code":""}',
    b'{"national_id":"0012345679","code":123456,"password":1,"new_password":1,"ticket":1}',
)


class NoChunks(RawIOBase):
    """A body that the server finds to be none as it is read: its chunks are not what HTTP wants."""

    def readable(self) -> bool:
        return True

    def readinto(self, _buffer: object) -> int:
        raise OSError("Invalid chunk size: b'zz'")


BROKEN_CHUNKS: dict[str, Any] = {"wsgi.input": NoChunks(), "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}


class TestABody:
    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
    def test_one_that_is_malformed_is_unprocessable(self, untouched: Desk, path: str, body: bytes) -> None:
        answer = untouched.post(path, data=body, content_type="application/json")
        found = problem(answer, 422)
        assert found["errors"]
        assert all(fault.keys() == {"pointer", "detail"} for fault in found["errors"])

    @pytest.mark.parametrize(
        ("path", "body", "pointers"),
        [
            ("codes/verify", {}, {"/national_id", "/code"}),
            ("codes/verify", {"national_id": "1234567", "code": "12345"}, {"/national_id", "/code"}),
            ("codes/verify", {"national_id": 12345679, "code": None}, {"/national_id", "/code"}),
            ("codes/verify", {**SOUND["codes/verify"], "more": 1}, {"/more"}),
            ("codes/verify", {**SOUND["codes/verify"], "a/b~c": 1}, {"/a~1b~0c"}),
            ("codes/verify", [], {""}),
            ("passwords", {"ticket": GRANT[:-1], "new_password": 1}, {"/ticket", "/new_password"}),
            ("passwords", {"ticket": f"{GRANT}\n", "new_password": OWN}, {"/ticket"}),
            ("passwords/verify", {}, {"/username", "/password"}),
            ("passwords/verify", {"national_id": "x"}, {"/national_id", "/password"}),
            ("passwords/verify", {"username": "", "password": OWN}, {"/username"}),
            ("passwords/verify", {"username": "x" * 81, "password": OWN}, {"/username"}),
            ("passwords/verify", {"username": "a\x00", "password": []}, {"/username", "/password"}),
            ("passwords/verify", {"username": "a", "national_id": ZAHRAS, "password": OWN}, {"/username"}),
            ("passwords/verify", "x", {""}),
        ],
    )
    def test_its_faults_are_pointed_at(self, untouched: Desk, path: str, body: Any, pointers: set[str]) -> None:
        found = problem(untouched.post(path, body), 422)
        assert {fault["pointer"] for fault in found["errors"]} == pointers

    @pytest.mark.parametrize("path", PATHS)
    def test_no_value_of_it_is_repeated(self, untouched: Desk, path: str, capsys: pytest.CaptureFixture[str]) -> None:
        marker, number = "zqmarker", 739151739151
        fields = ("national_id", "username", "code", "ticket", "password", "new_password", "more")
        objects: list[dict[str, Any]] = [
            dict.fromkeys(fields, value) for value in (marker, number, [marker], {"x": marker})
        ]
        objects += [{name: value} for name in fields for value in (f"{marker}\x00", number, None)]
        bodies = [json.dumps(each) for each in objects]
        bodies += (
            [body[:-1] for body in bodies] + [f"{marker}{body}" for body in bodies] + [f"{number}{marker}", marker]
        )
        for body in bodies:
            for kind in ("application/json", "text/plain"):
                answer = untouched.post(path, data=body, content_type=kind)
                problem(answer, 422 if kind == "application/json" else 415)
                printed = capsys.readouterr()
                shown = answer.text + str(answer.headers) + printed.out + printed.err
                assert marker not in shown
                assert str(number) not in shown

    def test_marks_for_a_password_keep_nobody_waiting(self, desk: Desk) -> None:
        """Sorted one by one, so many would stop all threads of the process for two seconds; an attempt each."""
        desk.choose(desk.ticket())
        taken = []
        for password in ("\u0301" * 30_000, "\u0301" * 15_000 + "\u0327" * 15_000):
            began = time.thread_time()
            body = json.dumps({"national_id": ZAHRAS, "password": password}, ensure_ascii=False)
            answer = desk.post("passwords/verify", data=body, content_type="application/json")
            taken.append(time.thread_time() - began)
            assert answer.get_json() == REFUSED
        assert taken[1] < 5 * taken[0]

    def test_of_two_members_of_one_name_one_counts(self, desk: Desk) -> None:
        code = desk.code()
        body = f'{{"national_id":"{UNKNOWN_ID}","national_id":"{ZAHRAS}","code":"999999","code":"{code}"}}'
        answer = desk.post("codes/verify", data=body, content_type="application/json")
        assert answer.get_json()["verified"]

    @pytest.mark.parametrize("path", PATHS)
    def test_one_too_large_is_not_read(self, untouched: Desk, path: str) -> None:
        for size in (LARGEST + 1, 1_000_000):
            body = json.dumps(SOUND[path]).ljust(size)
            assert "errors" not in problem(untouched.post(path, data=body, content_type="application/json"), 413)

    @pytest.mark.parametrize("length", [{}, {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}])
    @pytest.mark.parametrize("size", [LARGEST, LARGEST + 1, 1_000_000])
    def test_it_is_at_most_64_kib_whether_it_says_so_or_comes_in_chunks(
        self, desk: Desk, size: int, length: dict[str, Any]
    ) -> None:
        body = json.dumps(SOUND["passwords/verify"]).ljust(size)
        answer = desk.post("passwords/verify", data=body, content_type="application/json", environ_overrides=length)
        assert answer.status_code == (200 if size == LARGEST else 413)

    @pytest.mark.parametrize("path", PATHS)
    def test_one_whose_chunks_are_none_is_unprocessable(self, untouched: Desk, path: str) -> None:
        how = {"content_type": "application/json", "environ_overrides": BROKEN_CHUNKS}
        assert problem(untouched.post(path, data=b"", **how), 422)["errors"][0]["pointer"] == ""

    @pytest.mark.parametrize("path", PATHS)
    def test_one_that_breaks_off_is_unprocessable(self, untouched: Desk, path: str) -> None:
        how = {"content_type": "application/json", "environ_overrides": {"CONTENT_LENGTH": "100"}}
        assert problem(untouched.post(path, data=json.dumps(SOUND[path])[:-1], **how), 422)["errors"]

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize(
        "kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonx", "json", "*/*"]
    )
    def test_it_is_json_and_says_so(self, untouched: Desk, path: str, kind: str) -> None:
        problem(untouched.post(path, data=json.dumps(SOUND[path]), content_type=kind), 415)

    @pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON", "application/json;"])
    def test_its_kind_may_be_written_otherwise(self, desk: Desk, kind: str) -> None:
        answer = desk.post("codes/verify", data=WHOLE, content_type=kind)
        assert answer.get_json() == NO_LIVE_CODE


class TestWhatElseIsRefused:
    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
    def test_another_method(self, untouched: Desk, method: str) -> None:
        for path in PATHS:
            answer = untouched.client.open(f"/api/v1/{path}", method=method)
            assert (answer.status_code, answer.mimetype) == (405, "application/problem+json")
            assert answer.headers["Allow"] == "POST"
        described = untouched.client.post("/api/v1/openapi.json")
        assert problem(described, 405)
        assert set(described.headers["Allow"].split(", ")) == {"GET", "HEAD"}

    @pytest.mark.parametrize("path", ["", "codes", "passwords/", f"codes/{ZAHRAS}", "%00", "%ff", "../v2/passwords"])
    def test_an_address_that_is_not_there(self, untouched: Desk, path: str) -> None:
        answer = untouched.post(path, SOUND["passwords"])
        problem(answer, 404)
        assert ZAHRAS not in answer.text

    def test_an_error_of_our_own_is_a_problem_without_a_word_of_what_was_sent(
        self, store: Store, carrier: Carrier, clock: StoppedClock, capsys: pytest.CaptureFixture[str]
    ) -> None:
        class Broken(LoadedRandomSource):
            thrown = False

            def token(self) -> str:
                if self.thrown:
                    raise RuntimeError(f"{ZAHRAS} 999999")
                return super().token()

        random_source = Broken()
        desk = Desk(
            build(settings(), clock=clock, random_source=random_source, gateways=[carrier], store=store), carrier, clock
        )
        random_source.thrown = True
        answer = desk.post("codes/verify", SOUND["codes/verify"])
        assert problem(answer, 500).keys() == {"type", "title", "status"}
        assert "999999" not in answer.text


class TestWhileTheDatabaseIsOutOfReach:
    def test_nothing_is_done_and_it_asks_to_be_called_again(self, desk: Desk, database_url: str) -> None:
        ticket = desk.ticket()
        desk.clock.forward(seconds=61)
        code = desk.code()
        before = everything(desk.bot.store)
        desk.bot.store.close()
        calls = {
            **SOUND,
            "codes/verify": {"national_id": ZAHRAS, "code": code},
            "passwords": {"ticket": ticket, "new_password": OWN},
        }
        with gone(database_url):
            for path, body in calls.items():
                answer = desk.post(path, body)
                problem(answer, 503)
                assert int(answer.headers["Retry-After"]) > 0
            assert (
                desk.post("codes/verify", SOUND["codes/verify"], headers={"Authorization": "Bearer x"}).status_code
                == 401
            )
            assert desk.client.get("/api/v1/openapi.json").status_code == 200
        assert everything(desk.bot.store) == before
        assert desk.choose(ticket).status_code == 204
        assert desk.try_code(code)["verified"]

    def test_one_that_is_busy_for_too_long_is_out_of_reach(self, desk: Desk, database_url: str) -> None:
        code = desk.code()
        before = everything(desk.bot.store)
        with closing(Store(database_url)) as other, other.writing() as connection:
            connection.execute(update(CODE).values(tries_left=CODE.c.tries_left))
            answer = desk.post("codes/verify", {"national_id": ZAHRAS, "code": code})
            problem(answer, 503)
            assert int(answer.headers["Retry-After"]) > 0
        assert everything(desk.bot.store) == before
        assert desk.try_code(code)["verified"]
