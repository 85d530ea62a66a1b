"""What Fakher is told: signed, posted until it is taken or a day has passed, once, and in nobody's way."""

import base64
import json
import logging
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from itertools import accumulate, chain, count, repeat, takewhile
from threading import Barrier, Lock, Thread
from threading import Event as Flag
from typing import Any, ClassVar, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from standardwebhooks import Webhook, WebhookVerificationError

from bot.build import Bot, build
from bot.credentials import bearer
from bot.fakher.events import LEASE, POST_SECONDS, EventPoster, body_of
from bot.fakher.service import Caller, WeakPassword
from bot.platform.clock import system_clock
from bot.ports import Inbound
from bot.settings import BadSettings, Settings, read, read_for_service
from dialogs.vocabulary import AnyEvent, Event
from store import accounts, tokens, webhook_events
from store.database.engine import Store
from store.tables import AccountRow, MessageKind, OutboundMessageRow, WebhookEventRow, table
from store.webhook_events import Due, NewEvent
from tests.conftest import MakeBot
from tests.support.databases import Fresh
from tests.support.parts import (
    CHEAP,
    KEYS,
    NOON,
    PATIENCE_SECONDS,
    Carrier,
    LoadedRandomSource,
    StoppedClock,
    eventually,
    settings,
)
from tests.support.people import OMID, ZAHRA, settle, settled
from tests.support.transcript import Player

ACCOUNT, EVENT, MESSAGE = table(AccountRow), table(WebhookEventRow), table(OutboundMessageRow)
SECRET = "whsec_" + base64.b64encode(bytes(range(100, 132))).decode()
OTHER_SECRET = "whsec_" + base64.b64encode(bytes(range(101, 133))).decode()
PATH = "/events/hidden-path?pass=hidden-pass"
RECOVERY = "zahra> رمز 0012345679\n< code\n> {code}\n< new_password"
OWN_BY_TEXT = "zahra> تغییر 0012345679\n< code_with_password\n> {code} Saffron-1447-kettle\n< password_changed"
OWN = "saffron and copper pots"
NOT_TOLD = {"FAKHER_EVENTS_URL": "", "FAKHER_EVENTS_SECRET": ""}
PLENTY = {"CODES_PER_HOUR": "1000", "CODES_PER_DAY": "1000", "CODE_TRIES": "9"}
WRONG = "999999"
# When an event is tried again, in seconds after the failure before: as the contract says, and then every hour.
DELAYS = (2, 5, 15, 60, 300, 900)
A_DAY = 86_400


# Fakher's end of it


@dataclass(frozen=True)
class Post:
    """A call as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(int(self.headers["webhook-timestamp"]), UTC)

    def is_signed(self, secret: str = SECRET) -> bool:
        """Whether the signature is over this id, time and body, whatever the clock on the wall says."""
        return Webhook(secret).sign(self.id, self.at, self.body.decode()) == self.headers["webhook-signature"]

    def says(self) -> Any:
        return json.loads(self.body)


class Call(BaseHTTPRequestHandler):
    """One call; the endpoint that it came to knows what to answer."""

    server: "_Server"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.owner.take(Post(self.command, self.path, headers, body))
        with suppress(OSError):  # the caller went away
            answer(self)

    def do_GET(self) -> None:
        self.do_POST()

    def say(self, words: bytes) -> None:
        self.wfile.write(words)


Answer = Callable[[Call], None]


def answering(code: int, *headers: bytes) -> Answer:
    head = b"".join(line + b"\r\n" for line in (b"HTTP/1.1 %d Answer" % code, b"Content-Length: 0", *headers))
    return lambda call: call.say(head + b"\r\n")


def moved(location: bytes, code: int = 302) -> Answer:
    return answering(code, b"Location: " + location)


def hang(call: Call) -> None:
    """Answer nothing until the endpoint lets go."""
    call.server.owner.released.wait()


def cut(call: Call) -> None:
    """End the connection."""


def dripping(head: bytes, drop: bytes, seconds: float = 0.5) -> Answer:
    """Begin well, and then come to no end."""

    def answer(call: Call) -> None:
        call.say(head)
        while not call.server.owner.released.wait(seconds):
            call.say(drop)

    return answer


class Endpoint:
    """Fakher's endpoint: remembers what is posted; answers with `waiting` in turn, and then always with `lasting`."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.waiting: list[Answer] = []
        self.lasting: Answer = answering(204)
        self.released = Flag()
        self._lock = Lock()
        self._server = _Server(("127.0.0.1", 0), Call)
        self._server.owner = self
        self._thread = Thread(target=self._server.serve_forever, args=(0.005,), daemon=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def take(self, post: Post) -> Answer:
        with self._lock:
            self.posts.append(post)
            return self.waiting.pop(0) if self.waiting else self.lasting

    def ids(self) -> list[str]:
        return [post.id for post in self.posts]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    owner: Endpoint


def told(url: str) -> dict[str, str]:
    """The settings with which events are posted to an address."""
    return {"FAKHER_EVENTS_URL": url, "FAKHER_EVENTS_SECRET": SECRET}


# A bot that tells it


class Line:
    """A bot that knows everybody, the endpoint that it tells, and its phones."""

    numbers: ClassVar["count[int]"] = count()

    def __init__(self, bot: Bot, endpoint: Endpoint, carrier: Carrier, clock: StoppedClock) -> None:
        self.bot, self.endpoint, self.carrier, self.clock = settled(bot), endpoint, carrier, clock
        self.player = Player(bot, carrier, clock)

    def post(self) -> int:
        return self.bot.event_poster.post_due()

    def happens(self, *ids: str, at: datetime | None = None) -> None:
        """Events, each written by a transaction of its own."""
        for name in ids or ("e1",):
            with self.bot.store.writing() as connection:
                event = NewEvent(name, "password.changed", self.account().id, at or self.clock())
                webhook_events.queue(connection, event)

    def another(self) -> EventPoster:
        """What another process would post with."""
        return EventPoster(replace(self.bot.parts, clock=self.clock))

    def account(self, person: dict[str, Any] = ZAHRA) -> Any:
        (found,) = self.rows(select(ACCOUNT).where(ACCOUNT.c.national_id == person["national_id"]))
        return found

    def events(self) -> list[Any]:
        return self.rows(select(EVENT).order_by(EVENT.c.happened_at, EVENT.c.id))

    def event(self) -> Any:
        (found,) = self.events()
        return found

    def rows(self, statement: Any) -> list[Any]:
        with self.bot.store.reading() as connection:
            return list(connection.execute(statement))

    def texts(self, words: str, phone: str = ZAHRA["mobile"], name: str = "") -> AnyEvent | None:
        return self.bot.hear(Inbound("simulated", name or f"L{next(self.numbers)}", phone, words))

    def caller(self) -> Caller:
        """Fakher, calling with a token."""
        made, now = bearer.make(self.bot.parts.random_source), self.bot.clock()
        with self.bot.store.writing() as connection:
            tokens.issue(connection, made.id, f"fakher {made.id}", made.digest, now, now + timedelta(days=1))
        return self.bot.fakher.authorise(made.text)


MakeLine = Callable[..., Line]


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def make_line(fresh_sqlite: Fresh, endpoint: Endpoint, carrier: Carrier) -> Iterator[MakeLine]:
    """Lines where it does not matter which database it is."""
    with ExitStack() as stack:

        def make(clock: StoppedClock | None = None, **changes: str) -> Line:
            store, clock = Store(fresh_sqlite()), clock or StoppedClock()
            stack.callback(store.close)
            chosen = settings(**{**told(endpoint.address + PATH), **changes})
            bot = build(
                chosen, clock=clock, random_source=LoadedRandomSource(), gateways=[carrier], store=store, cost=CHEAP
            )
            return Line(bot, endpoint, carrier, clock)

        yield make


@pytest.fixture
def line(make_line: MakeLine) -> Line:
    return make_line()


@pytest.fixture
def line_on_both(make_bot: MakeBot, endpoint: Endpoint, carrier: Carrier, clock: StoppedClock) -> Line:
    """A line on either database."""
    chosen = {**told(endpoint.address + PATH), **PLENTY, "OWN_PASSWORD_BY_SMS": "on"}
    return Line(make_bot(**chosen), endpoint, carrier, clock)


def recover(line: Line) -> None:
    line.player.play(RECOVERY)


def choose_by_text(line: Line) -> None:
    line.player.play(OWN_BY_TEXT)


def choose_at_fakher(line: Line) -> None:
    line.player.text("CHANGE 0012345679")
    line.player._sent()
    caller, code = line.caller(), line.player.codes["zahra"][-1]
    ticket = line.bot.fakher.verify_code(caller, ZAHRA["national_id"], code).ticket
    assert ticket is not None
    assert line.events() == []
    line.bot.fakher.set_password(caller, ticket.text, OWN)


def one_more_code(line: Line) -> None:
    line.clock.forward(seconds=61)
    assert line.texts(f"رمز {ZAHRA['national_id']}") is Event.ASKED


def fail_by_text(line: Line) -> None:
    """A hundred wrong codes in a row."""
    for number in range(100):
        assert line.events() == []
        if number % 9 == 0:
            one_more_code(line)
        last = line.texts(WRONG)
    assert last is Event.LOCKING_WRONG_CODE


def fail_at_fakher(line: Line) -> None:
    """A hundred wrong codes in a row."""
    caller = line.caller()
    for number in range(100):
        assert line.events() == []
        if number % 9 == 0:
            one_more_code(line)
        reason = line.bot.fakher.verify_code(caller, ZAHRA["national_id"], WRONG).reason
    assert reason == "locked"


HAPPENINGS = [
    pytest.param(recover, "password.recovered", id="recovered by text"),
    pytest.param(choose_by_text, "password.changed", id="their own by text"),
    pytest.param(choose_at_fakher, "password.changed", id="their own at Fakher"),
    pytest.param(fail_at_fakher, "recovery.locked", id="locked at Fakher"),
]
Happening = Callable[[Line], None]


# What is posted


@pytest.mark.parametrize(("happen", "event"), HAPPENINGS)
def test_it_tells_what_happened_and_to_whom(line_on_both: Line, happen: Happening, event: str) -> None:
    happen(line_on_both)
    assert_told(line_on_both, event)


def test_it_tells_of_a_hundred_wrong_codes_by_text(make_line: MakeLine) -> None:
    line = make_line(**PLENTY)
    fail_by_text(line)
    assert_told(line, "recovery.locked")


def assert_told(line: Line, event: str) -> None:
    """That the one event which has happened just now is posted as it must be, and once."""
    happened_at = line.clock.now
    line.clock.forward(seconds=1.5)
    assert line.post() == 1
    (post,) = line.endpoint.posts
    assert (post.method, post.path, post.headers["content-type"]) == ("POST", PATH, "application/json")
    assert post.says() == {
        "type": event,
        "timestamp": f"{happened_at:%Y-%m-%dT%H:%M:%S}.000Z",
        "data": {"national_id": ZAHRA["national_id"], "username": ZAHRA["username"]},
    }
    assert post.is_signed()
    row = line.event()
    assert (row.ended_at, row.attempts, row.error) == (line.clock.now, 1, None)
    line.clock.forward(days=2)
    assert line.post() == 0


def test_fakher_can_verify_it_as_the_specification_says(make_line: MakeLine) -> None:
    line = make_line(clock=StoppedClock(system_clock()))
    settle(line.bot.store, ZAHRA | {"username": "زهرا ۱"})
    line.endpoint.waiting = [answering(500)]
    recover(line)
    for _ in range(2):
        assert line.post() == 1
        line.clock.forward(seconds=2)
    for post in line.endpoint.posts:
        verified = Webhook(SECRET).verify(post.body, post.headers)
        assert verified == post.says()
        assert verified["data"] == {"national_id": ZAHRA["national_id"], "username": "زهرا ۱"}
        assert abs(datetime.fromisoformat(verified["timestamp"]) - system_clock()) < timedelta(minutes=1)
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER_SECRET).verify(post.body, post.headers)
    assert len(line.endpoint.posts) == 2


def test_its_id_is_one_that_the_specification_allows_and_nobody_can_foresee(
    sqlite_url: str, carrier: Carrier, endpoint: Endpoint, clock: StoppedClock
) -> None:
    store = Store(sqlite_url)
    bot = build(settings(**told(endpoint.address)), clock=clock, gateways=[carrier], store=store, cost=CHEAP)
    line = Line(bot, endpoint, carrier, clock)
    for _ in range(2):
        line.player.play(RECOVERY)
        line.clock.forward(seconds=61)
    assert line.post() == 2
    store.close()
    assert all(re.fullmatch(r"msg_[A-Za-z0-9_-]{22}", name) for name in endpoint.ids())
    assert len(set(endpoint.ids())) == 2


def test_every_event_has_an_id_of_its_own(line: Line) -> None:
    for _ in range(3):
        recover(line)
        line.clock.forward(seconds=61)
    assert line.post() == 3
    assert len(set(line.endpoint.ids())) == 3


def test_a_text_that_comes_twice_is_told_once(line: Line) -> None:
    assert line.texts("رمز 0012345679") is Event.ASKED
    assert [line.texts("100001", name="twice") for _ in range(2)] == [Event.RIGHT_CODE, None]
    assert line.post() == 1


def test_what_is_refused_is_not_told(line: Line) -> None:
    line.player.play("zahra> CHANGE 0012345679\n< code_for_fakher")
    caller = line.caller()
    assert line.bot.fakher.verify_code(caller, ZAHRA["national_id"], WRONG).reason == "wrong_code"
    ticket = line.bot.fakher.verify_code(caller, ZAHRA["national_id"], "100001").ticket
    assert ticket is not None
    with pytest.raises(WeakPassword):
        line.bot.fakher.set_password(caller, ticket.text, "short")
    line.clock.forward(seconds=61)
    line.player.play("zahra> رمز 0012345679\n< code\n> {wrong}\n< wrong_code")
    assert (line.events(), line.post()) == ([], 0)


def test_two_accounts_of_one_mobile_are_told_apart(make_line: MakeLine) -> None:
    line = make_line(**PLENTY)
    omids = accounts.ACCOUNT.c.mobile == OMID["mobile"]
    with line.bot.store.writing() as connection:
        connection.execute(accounts.ACCOUNT.update().where(omids).values(failures=99))
    for person in ("8052916372", "2815093766"):
        assert line.texts(f"RESET {person}", OMID["mobile"]) is Event.ASKED
    assert line.texts(WRONG, OMID["mobile"]) is Event.LOCKING_WRONG_CODE
    assert line.post() == 2
    said = [post.says() for post in line.endpoint.posts]
    assert {it["type"] for it in said} == {"recovery.locked"}
    assert sorted(it["data"]["username"] for it in said) == ["omid", "twin"]


# When it is not


@pytest.mark.parametrize("happen", [recover, choose_by_text, choose_at_fakher, fail_at_fakher])
def test_it_writes_and_posts_nothing_where_fakher_is_not_to_be_told(make_line: MakeLine, happen: Happening) -> None:
    line = make_line(**NOT_TOLD, **PLENTY, OWN_PASSWORD_BY_SMS="on")
    happen(line)
    assert line.account().password_hash or line.account().locked_at, "nothing has happened"
    assert (line.events(), line.post(), line.endpoint.posts) == ([], 0, [])


def test_it_leaves_alone_what_was_written_while_fakher_was_to_be_told(line: Line) -> None:
    recover(line)
    assert EventPoster(replace(line.bot.parts, settings=settings())).post_due() == 0
    assert (line.event().attempts, line.endpoint.posts) == (0, [])
    assert line.post() == 1


def test_what_is_undone_is_never_told(line_on_both: Line) -> None:
    line = line_on_both
    assert line.texts("رمز 0012345679") is Event.ASKED
    line.bot.courier.deliver_due()
    with line.bot.store.writing() as connection:
        connection.execute(text("DROP TABLE outbound_message"))
    with pytest.raises(DBAPIError):
        line.texts("100001")
    assert line.account().password_hash is None, "nothing was undone"
    assert (line.events(), line.post()) == ([], 0)


def test_what_can_not_be_told_is_not_done(line_on_both: Line) -> None:
    line = line_on_both
    assert line.texts("رمز 0012345679") is Event.ASKED
    ticket = line.bot.fakher.verify_code(line.caller(), ZAHRA["national_id"], "100001").ticket
    assert ticket is not None
    line.clock.forward(seconds=61)
    assert line.texts("رمز 0012345679") is Event.ASKED
    with line.bot.store.writing() as connection:
        connection.execute(text("DROP TABLE webhook_event"))
    with pytest.raises(DBAPIError):
        line.bot.fakher.set_password(line.caller(), ticket.text, OWN)
    with pytest.raises(DBAPIError):
        line.texts("100002")
    assert line.account().password_hash is None


def test_what_is_not_committed_yet_is_not_told_yet(line_on_both: Line, database_url: str) -> None:
    line = line_on_both
    other = Store(database_url)
    event_poster = EventPoster(replace(line.bot.parts, store=other))
    with line.bot.store.writing() as connection:
        webhook_events.queue(connection, NewEvent("e1", "password.changed", 1, line.clock()))
        assert event_poster.post_due() == 0
    assert event_poster.post_due() == 1
    other.close()


# Failures


@pytest.mark.parametrize("code", [200, 201, 202, 204, 299])
def test_it_takes_every_answer_of_two_hundreds_for_yes(line: Line, code: int) -> None:
    line.endpoint.lasting = answering(code)
    line.happens()
    assert line.post() == 1
    assert (line.event().ended_at, line.event().error) == (NOON, None)


@pytest.mark.parametrize("code", [300, 304, 400, 401, 403, 404, 405, 410, 429, 500, 502, 503, 504, 600])
def test_it_takes_any_other_for_no(line: Line, code: int) -> None:
    line.endpoint.lasting = answering(code)
    line.happens()
    assert line.post() == 1
    row = line.event()
    assert (row.ended_at, row.error) == (None, f"status {code}")
    assert row.next_attempt_at == NOON + timedelta(seconds=2)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ["/elsewhere", "{here}/elsewhere", "//localhost/", "mailto:nobody", ""])
def test_it_goes_nowhere_else(line: Line, code: int, where: str) -> None:
    endpoint = line.endpoint
    endpoint.waiting = [moved(where.format(here=endpoint.address).encode(), code)]
    line.happens()
    assert line.post() == 1
    assert [post.path for post in endpoint.posts] == [PATH]
    assert (line.event().ended_at, line.event().error) == (None, f"status {code}")


@pytest.mark.parametrize("where", [b"http://[", b"http://\xff\xfe/", b"http://a..b/"])
def test_it_does_not_mind_where_it_is_sent_to(line: Line, where: bytes) -> None:
    line.endpoint.lasting = moved(where)
    line.happens()
    assert line.post() == 1
    assert line.event().error == "status 302"


NO_ANSWERS = {
    "cut": cut,
    "no HTTP": lambda call: call.say(b"220 mail.example ESMTP\r\n\r\n"),
    "half a line": lambda call: call.say(b"HTTP/1.1 20"),
    "no number": lambda call: call.say(b"HTTP/1.1 OK\r\n\r\n"),
    "a line too long": lambda call: call.say(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n"),
    "too many lines": lambda call: call.say(b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 200 + b"\r\n"),
}


@pytest.mark.parametrize("name", NO_ANSWERS)
def test_it_takes_no_answer_for_no(line: Line, name: str) -> None:
    line.endpoint.waiting = [NO_ANSWERS[name]]
    line.happens()
    assert line.post() == 1
    assert re.fullmatch("[A-Za-z_]+", line.event().error)
    line.clock.forward(seconds=2)
    assert line.post() == 1
    assert (line.event().ended_at, line.event().error) == (line.clock.now, None)


@pytest.mark.parametrize("url", ["http://127.0.0.1:{closed}/", "http://a..b/", f"http://{'a' * 64}.ir/", "https://?"])
def test_an_address_that_leads_nowhere_fails_like_any_other(make_line: MakeLine, url: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        line = make_line(**told(url.format(closed=unused.getsockname()[1])))
        line.happens()
        assert line.post() == 1
        assert re.fullmatch("[A-Za-z_]+", line.event().error)
        assert line.event().next_attempt_at == NOON + timedelta(seconds=2)


def test_an_answer_is_taken_by_its_status_however_long_its_body_is(line: Line) -> None:
    line.endpoint.waiting = [dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x", 0.01)]
    line.happens()
    assert ends_within(POST_SECONDS - 1, line.post)
    assert (line.event().ended_at, line.event().error) == (NOON, None)


def test_a_redirect_is_refused_by_its_status_however_long_its_body_is(line: Line) -> None:
    line.endpoint.waiting = [dripping(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n\r\n", b"x", 0.01)]
    line.happens()
    assert ends_within(POST_SECONDS - 1, line.post)
    assert line.event().error == "status 302"


def ends_within(seconds: float, work: Callable[[], object]) -> bool:
    thread = Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()


# Again and again


def test_it_is_posted_again_under_its_id_and_at_a_time_of_its_own(line: Line) -> None:
    line.endpoint.waiting = [answering(503), cut, moved(b"/elsewhere")]
    recover(line)
    for seconds in (0, 2, 5, 15):
        line.clock.forward(seconds=seconds)
        assert line.post() == 1
    posts = line.endpoint.posts
    assert len({post.id for post in posts}) == len({post.body for post in posts}) == 1
    assert [(post.at - NOON).total_seconds() for post in posts] == [0, 2, 7, 22]
    assert len({post.headers["webhook-signature"] for post in posts}) == 4
    assert all(post.is_signed() for post in posts)
    assert (line.event().attempts, line.event().ended_at, line.event().error) == (4, line.clock.now, None)


def test_it_is_posted_for_a_day_and_then_given_up(line_on_both: Line) -> None:
    line = line_on_both
    line.endpoint.lasting = answering(500)
    recover(line)
    expected = [0.0, *takewhile(lambda at: at < A_DAY, accumulate(chain(DELAYS, repeat(3600))))]
    for at in expected:
        assert line.event().ended_at is None
        line.clock.now = NOON + timedelta(seconds=at - 0.001)
        assert line.post() == 0
        line.clock.now = NOON + timedelta(seconds=at)
        assert line.post() == 1
    row = line.event()
    assert (row.ended_at, row.error) == (line.clock.now, "status 500")
    assert row.attempts == len(expected) == 30
    line.endpoint.lasting = answering(204)
    for days in (1, 1, 30):
        line.clock.forward(days=days)
        assert line.post() == 0
    assert len(line.endpoint.posts) == 30


def test_an_event_that_waited_for_over_a_day_is_posted_once_more_before_it_is_given_up(line: Line) -> None:
    """All processes were down."""
    line.happens("taken")
    line.happens("given up")
    line.endpoint.waiting = [answering(500)]
    line.clock.forward(days=2)
    assert line.post() == 2
    assert sorted(row.error or "" for row in line.events()) == ["", "status 500"]
    assert all(row.ended_at == line.clock.now for row in line.events())


def test_an_endpoint_that_comes_back_is_posted_all_that_waits_the_oldest_first(line_on_both: Line) -> None:
    line = line_on_both
    for number in range(5):
        line.happens(f"e{number}")
        line.clock.forward(hours=1)
    assert line.post() == 5
    assert line.endpoint.ids() == [f"msg_e{number}" for number in range(5)]


def test_an_endpoint_that_was_down_for_hours_is_posted_all_that_waits_the_oldest_first(line_on_both: Line) -> None:
    """The youngest has failed least, so its next turn would come first."""
    line = line_on_both
    line.endpoint.lasting = answering(503)
    happenings = {0: "e0", 1800: "e1", 5000: "e2"}
    for second in range(0, 9000, 20):
        line.clock.now = NOON + timedelta(seconds=second)
        if second in happenings:
            line.happens(happenings[second])
        if second in happenings or second % 60 == 0:
            line.post()
    line.endpoint.lasting = answering(204)
    line.clock.forward(hours=1)
    line.endpoint.posts.clear()
    assert line.post() == 3
    assert line.endpoint.ids() == ["msg_e0", "msg_e1", "msg_e2"]
    assert line.post() == 0


def test_an_event_that_fails_holds_up_no_other(line: Line) -> None:
    line.endpoint.waiting = [answering(500)]
    line.happens("e1", at=NOON - timedelta(seconds=1))
    line.happens("e2", "e3")
    assert line.post() == 3
    assert [row.ended_at is not None for row in line.events()] == [False, True, True]


def test_a_job_posts_what_is_due(line: Line) -> None:
    recover(line)
    (job,) = [job for job in line.bot.jobs.all() if job.name == "events"]
    job.run()
    assert len(line.endpoint.posts) == 1
    assert job.seconds <= 2


# In nobody's way


def test_an_endpoint_that_hangs_holds_up_no_text(line_on_both: Line) -> None:
    line = line_on_both
    bot, endpoint, carrier = line.bot, line.endpoint, line.carrier
    endpoint.lasting = hang
    line.happens()
    bot.start()
    try:
        assert eventually(lambda: endpoint.posts)
        assert line.texts("رمز 0012345679") is Event.ASKED
        assert eventually(lambda: [sent.kind for sent in carrier.sent] == [MessageKind.CODE])
        assert line.texts("100001") is Event.RIGHT_CODE
        assert eventually(lambda: len(carrier.sent) == 2)
        first = next(row for row in line.events() if row.id == "e1")
        assert (len(endpoint.posts), first.attempts, first.error) == (1, 1, None), "it hangs no more"
    finally:
        endpoint.released.set()
        bot.stop()


def test_no_transaction_is_open_while_it_is_posted(line_on_both: Line, database_url: str) -> None:
    line = line_on_both
    line.endpoint.waiting = [hang]
    line.happens()
    posting = Thread(target=line.post)
    posting.start()
    assert eventually(lambda: line.endpoint.posts)
    other = Store(database_url)
    with other.reading() as connection:
        row = connection.execute(select(EVENT)).one()
    assert (row.attempts, row.next_attempt_at) == (1, NOON + LEASE)
    with other.writing() as connection:  # even its own row is nobody's
        assert webhook_events.claim(connection, NOON + LEASE, 1, LEASE)
    other.close()
    line.endpoint.released.set()
    posting.join()


def test_it_stops_between_two_posts(line: Line) -> None:
    line.endpoint.waiting = [hang]
    line.happens("e1", "e2", "e3")
    posting = Thread(target=line.post)
    posting.start()
    assert eventually(lambda: line.endpoint.posts)
    line.bot.event_poster.stop()
    line.endpoint.released.set()
    posting.join(PATIENCE_SECONDS)
    assert not posting.is_alive()
    assert len(line.endpoint.posts) == 1
    assert sorted((row.attempts, row.error is not None) for row in line.events()) == [(0, False)] * 2 + [(1, True)]
    assert line.post() == 0
    line.clock.forward(seconds=2)
    assert line.another().post_due() == 3


def test_it_stops_with_the_bot(line: Line) -> None:
    line.bot.start()
    line.bot.stop()
    line.happens()
    assert (line.post(), line.endpoint.posts) == (0, [])


# Many processes


def test_every_process_may_post_and_each_event_is_posted_once(line_on_both: Line, database_url: str) -> None:
    line = line_on_both
    names = [f"e{number:02d}" for number in range(24)]
    line.happens(*names)
    stores = [Store(database_url), Store(database_url)]
    announcers = [EventPoster(replace(line.bot.parts, store=store)) for store in stores for _ in range(3)]
    ready, posted = Barrier(len(announcers)), []

    def work(event_poster: EventPoster) -> None:
        ready.wait(PATIENCE_SECONDS)
        posted.append(event_poster.post_due())

    workers = [Thread(target=work, args=(event_poster,)) for event_poster in announcers]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for store in stores:
        store.close()
    assert len(posted) == len(announcers), "one of them failed"
    assert Counter(line.endpoint.ids()) == {f"msg_{name}": 1 for name in names}
    assert sum(posted) == len(names)
    assert {(row.attempts, row.ended_at, row.error) for row in line.events()} == {(1, NOON, None)}


def test_what_a_dead_process_held_is_taken_over_after_its_lease(line_on_both: Line) -> None:
    line = line_on_both
    line.happens()
    with line.bot.store.writing() as connection:
        assert [due.id for due in webhook_events.claim(connection, NOON, 1, LEASE)] == ["e1"]
    line.clock.now += LEASE - timedelta(seconds=0.1)
    assert line.post() == 0
    line.clock.forward(seconds=0.1)
    assert line.post() == 1
    assert (line.endpoint.ids(), line.event().attempts) == (["msg_e1"], 2)


@pytest.mark.parametrize("hours", [0, 30])
def test_a_process_that_comes_late_does_not_undo_what_another_has_done(line_on_both: Line, hours: int) -> None:
    line = line_on_both
    line.endpoint.waiting = [hang]
    line.happens()
    slow = Thread(target=line.post)
    slow.start()
    assert eventually(lambda: line.endpoint.posts)
    line.clock.now += LEASE
    assert line.another().post_due() == 1
    ended_at = line.clock.now
    line.clock.forward(hours=hours)
    line.endpoint.released.set()
    slow.join()
    row = line.event()
    assert (row.ended_at, row.error) == (ended_at, None)
    line.clock.forward(days=3)
    assert line.post() == 0


def test_what_has_ended_is_forgotten_after_the_season_and_what_waits_is_not(line: Line) -> None:
    line.happens("e1", "e2")
    line.endpoint.waiting = [answering(204), answering(500)]
    assert line.post() == 2
    line.clock.forward(days=399)
    line.bot.jobs.forget()
    assert len(line.events()) == 2
    line.clock.forward(days=2)
    line.bot.jobs.forget()
    assert [row.ended_at for row in line.events()] == [None]


# Discretion


def private_in(words: str) -> list[str]:
    """What nobody is to read, as far as it can be read in it."""
    key = SECRET.removeprefix("whsec_")
    names = [ZAHRA["national_id"], ZAHRA["username"], ZAHRA["mobile"].removeprefix("+98")]
    return [name for name in (key, key[:12], "whsec_", "hidden-", "msg_", *names) if name in words]


def test_the_log_says_that_it_was_not_taken_and_nothing_of_whom_or_where(line: Line, printed: StringIO) -> None:
    line.endpoint.waiting = [answering(503), cut, moved(b"/hidden-place"), answering(204)]
    recover(line)
    for seconds in (0, 2, 5, 15):
        line.clock.forward(seconds=seconds)
        assert line.post() == 1
    lines = [json.loads(each) for each in printed.getvalue().splitlines() if "event_not_taken" in each]
    assert [(it["event_of"], it["attempt"], it["reason"]) for it in lines] == [
        ("password.recovered", 1, "status 503"),
        ("password.recovered", 2, "no_connection"),
        ("password.recovered", 3, "status 302"),
    ]
    assert private_in(printed.getvalue()) == []


def test_the_log_and_the_store_say_nothing_of_an_address_that_leads_nowhere(
    make_line: MakeLine, printed: StringIO
) -> None:
    line = make_line(**told(f"http://127.0.0.1:1{PATH}"))
    recover(line)
    assert line.post() == 1
    assert "event_not_taken" in printed.getvalue()
    assert private_in(printed.getvalue() + line.event().error) == []


def test_a_database_that_fails_under_it_is_logged_without_a_word_of_it(line: Line, printed: StringIO) -> None:
    line.happens()
    with line.bot.store.writing() as connection:
        connection.execute(text("ALTER TABLE webhook_event DROP COLUMN attempts"))
    (job,) = [job for job in line.bot.jobs.all() if job.name == "events"]
    line.bot.jobs.safely(job)
    assert '"job": "events"' in printed.getvalue()
    assert private_in(printed.getvalue()) == []


def test_it_would_be_read_there(printed: StringIO) -> None:
    """Without this the tests above might pass because nothing is written at all."""
    logging.getLogger("somebody").debug("%s of %s, %s", SECRET, ZAHRA["national_id"], ZAHRA["username"])
    assert len(private_in(printed.getvalue())) == 5


def test_a_thing_in_play_shows_nothing_of_whom() -> None:
    due = Due("e1", "password.changed", NOON, 1, ZAHRA["national_id"], ZAHRA["username"])
    assert ZAHRA["national_id"] in body_of(due)
    assert private_in(repr(due) + str(due) + repr(settings(**told("http://127.0.0.1/")))) == []


# Settings


def of_length(number: int) -> str:
    return "whsec_" + base64.b64encode(bytes(number)).decode()


def faults(reading: Callable[[dict[str, str]], Settings], **environment: str) -> list[str]:
    with pytest.raises(BadSettings) as caught:
        reading(environment)
    return caught.value.faults


@pytest.mark.parametrize("url", ["https://fakher.haj.ir/events?from=ramz", "http://10.0.0.7:8080/", "https://fakher"])
@pytest.mark.parametrize("secret", [SECRET, of_length(24), of_length(64), of_length(25).rstrip("=")])
def test_it_takes_an_address_and_a_secret(url: str, secret: str) -> None:
    found = read({"FAKHER_EVENTS_URL": url, "FAKHER_EVENTS_SECRET": secret})
    assert (found.fakher_events_url, found.fakher_events_secret) == (url, secret)


@pytest.mark.parametrize(
    "url", ["fakher.haj.ir", "ftp://fakher.haj.ir/", "https://", "https://a b/", "https://a/#b", "/"]
)
def test_it_refuses_what_is_no_address(url: str) -> None:
    (fault,) = faults(read, FAKHER_EVENTS_URL=url, FAKHER_EVENTS_SECRET=SECRET)
    assert fault.startswith("FAKHER_EVENTS_URL:")


@pytest.mark.parametrize(
    "secret",
    [
        "whsec_",
        of_length(23),
        of_length(65),
        f"{SECRET}!",
        f"{SECRET[:-2]}*=",
        "whsec_" + "é" * 40,
        f"whsec_{SECRET}",
        f"whpk_{SECRET.removeprefix('whsec_')}",
        "whsec_" + base64.urlsafe_b64encode(b"\xff" * 32).decode(),
        SECRET[:20] + " " + SECRET[20:],
        "correct horse battery staple",
    ],
)
def test_it_refuses_what_is_no_secret_and_does_not_quote_it(secret: str) -> None:
    (fault,) = faults(read, FAKHER_EVENTS_URL="https://fakher.haj.ir/", FAKHER_EVENTS_SECRET=secret)
    assert fault.startswith("FAKHER_EVENTS_SECRET:")
    assert not secret.removeprefix("whsec_") or secret.removeprefix("whsec_")[:8] not in fault


@pytest.mark.parametrize("alone", [{"FAKHER_EVENTS_URL": "https://fakher.haj.ir/"}, {"FAKHER_EVENTS_SECRET": SECRET}])
@pytest.mark.parametrize("reading", [read, read_for_service])
def test_it_refuses_one_without_the_other(reading: Callable[[dict[str, str]], Settings], alone: dict[str, str]) -> None:
    (fault,) = faults(reading, DATABASE_URL="sqlite:////ramz.db", SECRET_KEYS=KEYS, GATEWAYS="simulated", **alone)
    assert fault == "FAKHER_EVENTS_URL, FAKHER_EVENTS_SECRET: one without the other"


def test_it_names_one_without_the_other_beside_what_is_bad() -> None:
    found = faults(read_for_service, SECRET_KEYS=KEYS, PORT="x", FAKHER_EVENTS_URL="https://fakher.haj.ir/")
    names = [fault.partition(":")[0] for fault in found]
    assert names == ["DATABASE_URL", "FAKHER_EVENTS_URL, FAKHER_EVENTS_SECRET", "GATEWAYS", "PORT"]


@given(
    st.binary(min_size=20, max_size=70).map(lambda key: base64.b64encode(key).decode())
    | st.text("ABab01+/=-_ ", max_size=90),
    st.sampled_from(["", "whsec_", "whsec_whsec_"]),
)
def test_it_can_sign_with_every_secret_that_it_takes(key: str, prefix: str) -> None:
    environment = {"FAKHER_EVENTS_URL": "https://fakher.haj.ir/", "FAKHER_EVENTS_SECRET": prefix + key}
    with suppress(BadSettings):
        secret = read(environment).fakher_events_secret
        assert Webhook(secret).sign("msg_e1", NOON, "{}") == Webhook(base64.b64decode(key + "==")).sign(
            "msg_e1", NOON, "{}"
        )


# Slow ones: they begin with the first test of this file, and are looked at last


@dataclass(frozen=True)
class Slow:
    """A post to an endpoint that comes to no end."""

    line: Line
    posting: Thread


SLOW: dict[str, Answer] = {
    "silent": hang,
    "header by header": dripping(b"HTTP/1.1 200 OK\r\n", b"X: x\r\n"),
    "always about to answer": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.fixture(scope="module", autouse=True)
def slow(fresh_sqlite: Fresh) -> Iterator[dict[str, Slow]]:
    with ExitStack() as stack:
        begun = {}
        for name, answer in SLOW.items():
            endpoint, store = Endpoint(), Store(fresh_sqlite())
            stack.callback(store.close)
            clock, random_source, carrier = StoppedClock(), LoadedRandomSource(), Carrier()
            chosen = settings(**told(endpoint.address))
            bot = build(chosen, clock=clock, random_source=random_source, gateways=[carrier], store=store, cost=CHEAP)
            line = Line(bot, endpoint, carrier, clock)
            line.happens()
            endpoint.lasting = answer
            posting = Thread(target=line.post, daemon=True)
            stack.callback(posting.join, 5)
            stack.enter_context(endpoint)
            posting.start()
            begun[name] = Slow(line, posting)
        yield begun


@pytest.mark.parametrize("name", SLOW)
def test_a_post_ends_before_its_lease_however_slow_the_endpoint_is(slow: dict[str, Slow], name: str) -> None:
    one = slow[name]
    assert LEASE.total_seconds() - POST_SECONDS >= 3
    one.posting.join(PATIENCE_SECONDS)
    assert not one.posting.is_alive()
    row = one.line.event()
    assert (row.ended_at, row.attempts) == (None, 1)
    assert re.fullmatch("[A-Za-z_]+", row.error)
