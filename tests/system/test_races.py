"""Many at once: one code, one ticket, one password, asked for over HTTP and by text in the same moment."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from threading import Barrier
from threading import Event as Flag
from typing import Any

import pytest
from sqlalchemy import Connection, event, select, text

from bot.build import Bot, build
from bot.credentials import passwords
from bot.ports import Inbound
from dialogs.vocabulary import Event
from store.database.engine import Store
from store.tables import CloseReason, CodeRow, OutboundMessageRow, RateLimitRow, ResetGrantRow, table
from tests.conftest import MakeBot
from tests.support.parts import NOON, Carrier, LoadedRandomSource, StoppedClock, settings
from tests.support.people import FATIMA, OMID, ZAHRA
from tests.webhooks.api.test_api import IS_LOCKED, NO_LIVE_CODE, OTHER, OWN, PLENTY, REFUSED, THEIR_OWN, Desk, issue
from webhooks import create_app

pytestmark = pytest.mark.slow

CODE, MESSAGE, RATE_LIMIT, GRANT = table(CodeRow), table(OutboundMessageRow), table(RateLimitRow), table(ResetGrantRow)
MANY = 50
TIMES = 3
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
LOGINS = 15  # each of which hashes twice: more would have the machine, not the store, be late
# In seconds: for fifty calls that hash a password each, on a machine that does other things as well.
SOON = 30

Call = Callable[[], Any]


def at_once(calls: list[Call]) -> list[Any]:
    """What each of the calls gives, all begun in one moment; AssertionError where one of them hangs."""
    ready = Barrier(len(calls))

    def begin(call: Call) -> Any:
        ready.wait(SOON)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        begun = [pool.submit(begin, call) for call in calls]
        assert not wait(begun, SOON).not_done
        return [each.result() for each in begun]


class Crowd(Desk):
    """Fakher at many desks, each with a token of its own, and a phone that texts as often."""

    def __init__(self, bot: Bot, carrier: Carrier, clock: StoppedClock) -> None:
        super().__init__(bot, carrier, clock)
        self.tokens = [issue(bot, f"desk {number}") for number in range(MANY)]
        self.app = create_app(bot)

    def calls(self, path: str, *bodies: dict[str, str]) -> list[Call]:
        """So many calls as there are bodies, over as many tokens; each gives status and JSON."""
        return [self.over(token, path, body) for token, body in zip(self.tokens[: len(bodies)], bodies, strict=True)]

    def over(self, token: str, path: str, body: dict[str, str]) -> Call:
        client, headers = self.app.test_client(), {"Authorization": f"Bearer {token}"}

        def call() -> tuple[int, Any]:
            answer = client.post(f"/api/v1/{path}", json=body, headers=headers)
            return answer.status_code, answer.get_json(silent=True)

        return call

    def texts(self, *words: str) -> list[Call]:
        """So many texts of one phone; each gives its event."""
        return [self.text(f"{next(self.player.numbers)}-{each}", each) for each in words]

    def text(self, name: str, words: str) -> Call:
        return lambda: self.bot.hear(Inbound("simulated", name, ZAHRA["mobile"], words))

    def one_more_code(self) -> str:
        """One for a recovery, which is as good by text as at Fakher."""
        self.clock.forward(seconds=61)
        self.player.play("zahra> RESET 0012345679\n< code")
        return self.player.codes["zahra"][-1]


def shuffled(number: int, calls: list[Call]) -> list[Call]:
    random.Random(number).shuffle(calls)
    return calls


@pytest.fixture
def crowd(make_bot: MakeBot, carrier: Carrier, clock: StoppedClock) -> Crowd:
    return Crowd(make_bot(**PLENTY), carrier, clock)


def guess(code: str) -> dict[str, str]:
    return {"national_id": ZAHRA["national_id"], "code": code}


@pytest.mark.parametrize("texts", [0, MANY // 2])
def test_one_right_code_is_good_once_over_both_ways(crowd: Crowd, texts: int) -> None:
    for number in range(1, TIMES + 1):
        code = crowd.one_more_code()
        asked = crowd.calls("codes/verify", *[guess(code)] * (MANY - texts)) + crowd.texts(*[code] * texts)
        given = at_once(shuffled(number, asked))
        answers = [it for it in given if isinstance(it, tuple)]
        right = [body for _, body in answers if body.get("verified")]
        assert {status for status, _ in answers} == {200}
        assert [body for _, body in answers if body not in right] == [NO_LIVE_CODE] * (MANY - texts - len(right))
        assert len(right) + given.count(Event.RIGHT_CODE) == 1
        fates = Counter(row.close_reason for row in crowd.rows(select(CODE.c.close_reason)))
        assert fates == {CloseReason.USED: number}
        written = [
            row.phrase
            for row in crowd.rows(select(MESSAGE.c.phrase).where(MESSAGE.c.request_received_at == crowd.clock()))
        ]
        assert written.count("new_password") == given.count(Event.RIGHT_CODE)
        assert len(crowd.rows(select(GRANT.c.id).where(GRANT.c.created_at == crowd.clock()))) == len(right)
        crowd.bot.courier.deliver_due()


def test_one_right_code_is_good_once_where_one_token_asks_for_all(crowd: Crowd) -> None:
    code = crowd.code()
    given = at_once([crowd.over(crowd.token, "codes/verify", guess(code)) for _ in range(MANY)])
    assert Counter(status for status, _ in given) == {200: MANY}
    assert sum(body["verified"] for _, body in given) == 1


# How many tries there are is one number for both ways, whichever of them is taken.
@pytest.mark.parametrize(("texts", "tries"), [(0, 9), (MANY // 2, 5)])
def test_wrong_tries_are_no_more_than_there_are(
    make_bot: MakeBot, carrier: Carrier, clock: StoppedClock, texts: int, tries: int
) -> None:
    crowd = Crowd(make_bot(CODE_TRIES=str(tries), **PLENTY), carrier, clock)
    for number in range(1, TIMES + 1):
        code = crowd.one_more_code()
        asked = crowd.calls("codes/verify", *(guess(f"2{n:05d}") for n in range(MANY - texts)))
        asked += crowd.texts(*(f"3{n:05d}" for n in range(texts)))
        given = at_once(shuffled(number, asked))
        answers = [it for it in given if isinstance(it, tuple)]
        assert {status for status, _ in answers} == {200}
        bodies = [body for _, body in answers]
        assert not [body for body in bodies if body["verified"]]
        counted = [body["tries_left"] for body in bodies if body["reason"] == "wrong_code"]
        assert len(counted) + given.count(Event.WRONG_CODE) == tries - 1
        assert len(set(counted)) == len(counted)
        assert bodies.count(IS_LOCKED) + given.count(Event.LAST_WRONG_CODE) == 1
        assert crowd.account().failures == tries * number
        assert crowd.try_code(code) == NO_LIVE_CODE
        crowd.bot.courier.deliver_due()


def test_one_ticket_sets_one_password(crowd: Crowd) -> None:
    for number in range(TIMES):
        crowd.clock.forward(seconds=61)
        ticket, own = crowd.ticket(), [f"saffron and copper pot {number}-{n}" for n in range(MANY)]
        given = at_once(crowd.calls("passwords", *({"ticket": ticket, "new_password": each} for each in own)))
        statuses = [status for status, _ in given]
        assert Counter(statuses) == {204: 1, 410: MANY - 1}
        assert crowd.told() == [ZAHRA["mobile"]]
        assert crowd.login(own[statuses.index(204)]) == THEIR_OWN


def test_a_password_chosen_here_and_one_by_text_are_both_answered(crowd: Crowd) -> None:
    for number in range(TIMES):
        crowd.clock.forward(seconds=61)
        ticket, code = crowd.ticket(), crowd.one_more_code()
        chosen = {"ticket": ticket, "new_password": OWN}
        asked = crowd.calls("passwords", *[chosen] * LOGINS) + crowd.texts(*[code] * LOGINS)
        given = at_once(shuffled(number, asked))
        statuses = Counter(it[0] for it in given if isinstance(it, tuple))
        assert set(statuses) <= {204, 410}
        assert statuses[204] <= 1
        assert given.count(Event.RIGHT_CODE) == 1
        crowd.bot.courier.deliver_due()
        assert crowd.choose(ticket).status_code == 410


def test_logins_that_renew_the_hash_all_succeed(crowd: Crowd) -> None:
    for _ in range(TIMES):
        crowd.weaken(OWN)
        crowd.clock.forward(seconds=61)
        login = {"national_id": ZAHRA["national_id"], "password": OWN}
        given = at_once(crowd.calls("passwords/verify", *[login] * LOGINS))
        assert given == [(200, THEIR_OWN)] * LOGINS
        kept = passwords.Hashed(crowd.account().password_hash, crowd.account().password_key)
        assert not passwords.is_outdated(crowd.bot.keyring, kept)
        assert passwords.verify(crowd.bot.keyring, kept, OWN)


def test_logins_that_renew_the_hash_never_bring_an_old_password_back(crowd: Crowd) -> None:
    for number in range(TIMES):
        crowd.weaken(OWN)
        crowd.clock.forward(seconds=61)
        chosen = {"ticket": crowd.ticket(), "new_password": OTHER}
        login = {"national_id": ZAHRA["national_id"], "password": OWN}
        asked = crowd.calls("passwords/verify", *[login] * LOGINS)
        asked.append(crowd.over(crowd.tokens[-1], "passwords", chosen))
        given = at_once(shuffled(number, asked))
        assert Counter(status for status, _ in given) == {200: LOGINS, 204: 1}
        assert (crowd.login(OTHER), crowd.login(OWN)) == (THEIR_OWN, REFUSED)
        crowd.bot.courier.deliver_due()


class Meanwhile(Store):
    """A store in which something happens once, just after a transaction."""

    then: Call | None = None

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with super().writing() as connection:
            yield connection
        happens, self.then = self.then, None
        if happens:
            happens()


class Dawdler(Store):
    """A store that stops for a while, once, in a transaction that has just used a ticket."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.has_used_one = Flag()
        event.listen(self.engine, "after_cursor_execute", self._dawdle)

    def _dawdle(self, _connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if statement.startswith("UPDATE reset_grant SET closed_at") and not self.has_used_one.is_set():
            self.has_used_one.set()
            time.sleep(0.5)


OnStore = Callable[[Store], Crowd]


@pytest.fixture
def crowd_on(carrier: Carrier, clock: StoppedClock, random_source: LoadedRandomSource) -> OnStore:
    def make(store: Store) -> Crowd:
        return Crowd(
            build(settings(), clock=clock, random_source=random_source, gateways=[carrier], store=store), carrier, clock
        )

    return make


def test_a_password_set_while_an_older_one_is_hashed_anew_is_not_overwritten(
    database_url: str, crowd_on: OnStore
) -> None:
    with closing(Meanwhile(database_url)) as store:
        crowd = crowd_on(store)
        ticket = crowd.ticket()
        crowd.weaken(OWN)
        store.then = lambda: crowd.choose(ticket, OTHER)
        crowd.login(OWN)
        assert store.then is None
        assert (crowd.login(OTHER), crowd.login(OWN)) == (THEIR_OWN, REFUSED)


@pytest.mark.parametrize("columns", [{"active": False}, {"locked_at": NOON}])
def test_an_account_closed_while_its_new_password_is_hashed_keeps_the_old_one(
    database_url: str, crowd_on: OnStore, columns: dict[str, Any]
) -> None:
    with closing(Meanwhile(database_url)) as store:
        crowd = crowd_on(store)
        ticket = crowd.ticket()
        store.then = lambda: crowd.change(**columns)
        assert crowd.choose(ticket).status_code == 410
        assert crowd.account().password_hash is None
        assert crowd.told() == []


def test_an_older_ticket_and_a_newer_code_do_not_lock_each_other_out(database_url: str, crowd_on: OnStore) -> None:
    with closing(Dawdler(database_url)) as store:
        crowd = crowd_on(store)
        ticket, code = crowd.ticket(), crowd.one_more_code()
        assert crowd.try_code("999999")["tries_left"] == 4
        (choosing,) = crowd.calls("passwords", {"ticket": ticket, "new_password": OWN})
        verifying = crowd.over(crowd.tokens[-1], "codes/verify", guess(code))
        (chosen, _), (tried, verdict) = at_once([choosing, lambda: store.has_used_one.wait(SOON) and verifying()])
        assert (chosen, tried) == (204, 200)
        assert verdict["verified"]
        assert (crowd.login(OWN), crowd.account().failures) == (THEIR_OWN, 0)
        assert crowd.choose(verdict["ticket"], OTHER).status_code == 204


def test_a_sweep_waits_for_no_call_and_no_call_for_it(postgresql_url: str, crowd_on: OnStore) -> None:
    """The limits that are over lie as they come, and a third process holds one among them."""
    with closing(Store(postgresql_url)) as store, ThreadPoolExecutor(2) as pool:
        crowd = crowd_on(store)
        for username in ("zahra", "omid", "fatima"):
            crowd.login(OWN, username=username)
        crowd.clock.forward(minutes=61)
        (forget,) = [job for job in crowd.bot.jobs.all() if job.name == "forget"]
        with store.writing() as connection:
            held = select(RATE_LIMIT).where(RATE_LIMIT.c.name == f"account:{crowd.account(OMID).id}").with_for_update()
            connection.execute(held).one()
            pool.submit(forget.run).result(SOON)
            called = pool.submit(crowd.over(crowd.token, "passwords/verify", {"username": "zahra", "password": OWN}))
            assert called.result(SOON) == (200, REFUSED)
        with store.reading() as connection:
            left = set(connection.execute(select(RATE_LIMIT.c.name)).scalars())
        assert f"account:{crowd.account(OMID).id}" in left
        assert f"account:{crowd.account(FATIMA).id}" not in left


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("codes/verify", {"national_id": OMID["national_id"], "code": "999999"}),
        ("passwords/verify", {"username": "omid", "password": OWN}),
    ],
)
def test_a_call_that_waits_holds_up_no_other_of_its_token(
    postgresql_url: str, crowd_on: OnStore, path: str, body: dict[str, str]
) -> None:
    """Fakher has one token for all its pilgrims: a row that every call of the season changes."""
    with closing(Store(postgresql_url)) as store, ThreadPoolExecutor(1) as pool:
        crowd = crowd_on(store)
        crowd.post(path, body)
        waiting = crowd.over(crowd.token, path, body)
        with store.writing() as connection:
            held = select(RATE_LIMIT).where(RATE_LIMIT.c.name == f"account:{crowd.account(OMID).id}").with_for_update()
            connection.execute(held).one()
            waits = pool.submit(waiting)
            while not waits.done() and not connection.execute(text(WAITING)).scalar():
                time.sleep(0.01)
            assert crowd.login(OWN) == REFUSED
            assert not waits.done()
        assert waits.result(SOON)[0] == 200
