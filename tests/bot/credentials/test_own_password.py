"""A password of one's own by text: it shows nowhere, is set once, and those whom it concerns are told."""

import base64
import hashlib
import logging
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from io import StringIO
from itertools import count
from threading import Barrier
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Connection, event, select, text, update

from bot.build import Bot, build
from bot.credentials import passwords
from bot.credentials.keyring import Keyring
from bot.credentials.passwords import Hashed
from bot.fakher.service import Caller
from bot.inbound.context import IncomingMessage, MessageContext, Need, Precomputed
from bot.platform import log
from bot.ports import Inbound
from bot.settings import read_keys
from dialogs.parsing.normalise import fold
from dialogs.parsing.own_password import CodeAndPassword, offered
from dialogs.parsing.parse import parse
from dialogs.vocabulary import AnyEvent, Event, OwnPasswordVerdict, Season, State
from store import codes, conversations
from store.database.engine import Store
from store.tables import (
    METADATA,
    AccountRow,
    CloseReason,
    CodeRow,
    OutboundMessageRow,
    ResetGrantRow,
    WebhookEventRow,
    table,
)
from tests.conftest import MakeBot
from tests.support.parts import CHEAP, KEYS, NOON, Carrier, LoadedRandomSource, StoppedClock, settings
from tests.support.people import OMID, PHONES, STRANGER, TWIN, ZAHRA, settle, settled
from tests.support.transcript import CODE as A_CODE
from tests.support.transcript import Player
from tests.system.test_secrets import ESCAPED, bytes_of
from webhooks import create_app

ACCOUNT, EVENT, MESSAGE, GRANT = (
    table(AccountRow),
    table(WebhookEventRow),
    table(OutboundMessageRow),
    table(ResetGrantRow),
)
CODE_ROW = table(CodeRow)
ON = {"OWN_PASSWORD_BY_SMS": "on"}
EVENTS = {
    "FAKHER_EVENTS_URL": "http://127.0.0.1:9/x",
    "FAKHER_EVENTS_SECRET": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
}
OWN, OTHER = "Saffron-1447-kettle", "Lantern-1448-kettle"
MANY = 20
SOON = 20

# Passwords that occur nowhere else: good ones, and one that is too short, too common, too personal.
GOOD = ("Zq7Kettle#Saffron", "Zq8Lantern-of-Brass", "زعفران-کتری-ققنوس", "café-Zq9-señor", "zq5 lantern over the well")
SHORT, COMMONPLACE, PERSONAL = "Zq3Kxv!", "trustno1", "zahra-Zq4-kettle"
ALL = (*GOOD, SHORT, COMMONPLACE, PERSONAL)


# No trace


def lines_of(printed: StringIO) -> str:
    """The log with what JSON escapes written out."""
    return ESCAPED.sub(lambda found: chr(int(found[1], 16)), printed.getvalue())


def forms_of(password: str) -> set[str]:
    """A password as it might be found: as written, in another spelling, or hashed with no key."""
    composed = unicodedata.normalize("NFC", password)
    written = {password, composed, unicodedata.normalize("NFD", password), fold(password), password.lower()}
    raw = [each.encode() for each in (password, composed)]
    hashed = {named(each).hexdigest() for each in raw for named in (hashlib.md5, hashlib.sha1, hashlib.sha256)}
    return written | hashed | {base64.b64encode(each).decode() for each in raw} | {each.hex() for each in raw}


FORMS = {form: password for password in ALL for form in forms_of(password)}


def passwords_in(words: str) -> set[str]:
    return {password for form, password in FORMS.items() if form in words}


def passwords_in_bytes(found: bytes) -> set[str]:
    written = {password for form, password in FORMS.items() if form.encode() in found}
    digests = {
        each for each in ALL for named in (hashlib.md5, hashlib.sha256) if named(each.encode()).digest() in found
    }
    wide = {each for each in ALL if each.encode("utf-16-le") in found or each.encode("utf-16-be") in found}
    return written | digests | wide


def rows_of(store: Store) -> str:
    """Every row of every table."""
    seen = []
    with store.reading() as connection:
        for each in METADATA.sorted_tables:
            for row in connection.execute(select(each)):
                seen.append(f"{each.name}: {row}")
                seen += [value.decode("utf-8", "replace") for value in row if isinstance(value, bytes)]
    return "\n".join(seen)


@dataclass
class Town:
    """A bot behind its webhooks, and people who text it."""

    bot: Bot
    carrier: Carrier
    clock: StoppedClock
    client: FlaskClient
    answers: list[str] = field(default_factory=list)
    numbers: "count[int]" = field(default_factory=count)

    def say(self, words: str, phone: str = ZAHRA["mobile"], name: str = "") -> int:
        """A text, with the newest code that went to the phone in place of `{code}`. The status of the answer."""
        codes = [code for sent in self.carrier.sent if sent.to == phone for code in A_CODE.findall(sent.text)]
        newest = codes[-1] if codes else "000000"
        words = words.replace("{code}", newest).replace("{wrong}", f"{(int(newest) + 1) % 10**6:06d}")
        form = {"from": phone, "id": name or f"M{next(self.numbers)}", "text": words}
        answer = self.client.post("/webhooks/simulated/sms", data=form, headers={"X-Test": "yes"})
        self.answers.append(f"{answer.status}\n{answer.headers}\n{answer.get_data(as_text=True)}")
        self.bot.courier.deliver_due()
        return answer.status_code

    def look(self, path: str) -> None:
        answer = self.client.get(path)
        self.answers.append(f"{answer.status}\n{answer.headers}\n{answer.get_data(as_text=True)}")

    def seen(self) -> str:
        """What was answered and sent."""
        return "\n".join([*self.answers, *(f"{sent!r} {sent.text}" for sent in self.carrier.sent)])


def town_on(store: Store, **changes: str) -> Town:
    settle(store)
    clock, carrier = StoppedClock(), Carrier()
    chosen = settings(**{"CODES_PER_HOUR": "1000", "CODES_PER_DAY": "1000", "RESEND_AFTER_SECONDS": "0", **changes})
    bot = build(chosen, clock=clock, random_source=LoadedRandomSource(), gateways=[carrier], store=store, cost=CHEAP)
    return Town(bot, carrier, clock, create_app(bot).test_client())


def send_by_each_path(town: Town, some: tuple[str, ...]) -> None:
    """Every way in which a password comes to the bot, wanted or not."""
    asked = f"تغییر {ZAHRA['national_id']}"
    for password in some:
        # out of the blue, in a recovery, with a wrong code, from a stranger
        town.clock.forward(hours=1)
        town.say(password)
        town.say(f"123456 {password}")
        town.say(f"رمز {ZAHRA['national_id']}")
        town.say(f"{{code}} {password}")
        town.say(password)
        for words in (password, f"CHANGE 123456 {password}", f"CHANGE {ZAHRA['national_id']} {password}"):
            town.say(words, STRANGER)
        # while a code for a change is awaited: alone, with a wrong one, with the last wrong one
        town.say(asked)
        for words in (
            password,
            *[f"{{wrong}} {password}"] * 4,
            f"تغییر {{wrong}} به {password}",
            f"{{code}} {password}",
        ):
            town.say(words)
        # in the next text, in the same text, with the code again; twice; and one text that comes twice
        for ways in (
            ["{code}", password, password],
            ["{code}", f"{{code}} {password}", f"{{code}} {password}"],
            [f"{{code}} {password}", password, f"{{code}} {password}"],
            [f"تغییر {{code}} به {password}", password],
            ["{code}", "HELP", "", f"Sffrn1 {password}", password],
        ):
            town.say(asked)
            for words in ways:
                town.say(words, name=f"twice {next(town.numbers)}")
                town.say(words, name=f"twice {next(town.numbers) - 1}")
        # after EXIT, too late, after STOP; heard anew, with replies to spare
        town.clock.forward(hours=1)
        town.say(asked)
        town.say("{code}")
        town.say("EXIT")
        town.say(password)
        town.say(asked)
        town.say("{code}")
        town.clock.forward(minutes=10)
        town.say(f"{{code}} {password}")
        town.say(password)
        town.say(asked)
        town.say("{code}")
        town.say("STOP")
        for words in (password, f"{{code}} {password}", f"CHANGE {{code}} {password}"):
            town.say(words)
        town.say("START")
    for path in ("/healthz", "/readyz", "/metrics"):
        town.look(path)
    for job in town.bot.jobs.all():
        town.bot.jobs.safely(job)


REFUSED = {
    Event.ASKED_TO_CHANGE_AT_FAKHER,
    Event.OFFERED_OWN_PASSWORD,
    Event.RIGHT_CODE,
    Event.RIGHT_CODE_FOR_FAKHER,
    Event.NO_LIVE_CODE,
}
TAKEN = {
    Event.ASKED_TO_CHANGE,
    Event.RIGHT_CODE,
    Event.RIGHT_CODE_WITHOUT_PASSWORD,
    Event.RIGHT_CODE_AND_PASSWORD,
    Event.RIGHT_CODE_AND_SHORT_PASSWORD,
    Event.RIGHT_CODE_AND_COMMON_PASSWORD,
    Event.RIGHT_CODE_AND_PERSONAL_PASSWORD,
    Event.WRONG_CODE,
    Event.LAST_WRONG_CODE,
    Event.NO_LIVE_CODE,
    Event.NOT_UNDERSTOOD,
    Event.UNANSWERED,
    Event.STOP,
    Event.CANCEL,
}


@pytest.mark.parametrize(("allowed", "paths"), [("on", TAKEN), ("off", REFUSED)], ids=["taken", "refused"])
@pytest.mark.slow
def test_it_leaves_no_trace(database_url: str, printed: StringIO, allowed: str, paths: set[Event]) -> None:
    with closing(Store(database_url)) as store:
        town = town_on(store, OWN_PASSWORD_BY_SMS=allowed, **EVENTS)
        # What PostgreSQL holds is known by one of each kind; what lies in SQLite's file is looked for byte by byte.
        written = GOOD if store.is_sqlite else GOOD[2:3]
        # Where none is taken, none is judged.
        send_by_each_path(town, (*written, SHORT, COMMONPLACE, PERSONAL) if allowed == "on" else written)
        with store.reading() as connection:
            assert paths <= set(connection.execute(text("SELECT DISTINCT event FROM inbound_message")).scalars())
        assert passwords_in(lines_of(printed)) == set()
        assert passwords_in(rows_of(store)) == set()
        assert passwords_in(town.seen()) == set()
        if database_url.startswith("sqlite"):
            found = bytes_of(database_url)
            assert ZAHRA["national_id"].encode() in found, "the wrong file"
            assert passwords_in_bytes(found) == set()
    if database_url.startswith("sqlite"):
        assert passwords_in_bytes(bytes_of(database_url)) == set()


@pytest.mark.parametrize("lost", ["reset_grant", "inbound_message", "outbound_message", "conversation"])
def test_a_database_that_fails_in_the_middle_tells_nothing(store: Store, printed: StringIO, lost: str) -> None:
    town = town_on(store, **ON)
    town.say(f"تغییر {ZAHRA['national_id']}")
    code = A_CODE.findall(town.carrier.sent[-1].text)[0]
    with store.writing() as connection:
        connection.execute(text(f"DROP TABLE {lost}"))
    form = {"from": ZAHRA["mobile"], "id": "M-last", "text": f"{code} {GOOD[0]}"}
    answer = town.client.post("/webhooks/simulated/sms", data=form, headers={"X-Test": "yes"})
    assert answer.status_code in (500, 503)
    assert "error" in printed.getvalue()
    assert passwords_in(lines_of(printed) + answer.get_data(as_text=True)) == set()


class TellingDice(LoadedRandomSource):
    """A random source that fails once a password is there."""

    def token(self) -> str:
        token = super().token()
        if token > "t000000000000000000003":  # the code and the rows that the asking leaves
            raise RuntimeError("off the table")
        return token


def test_a_fault_of_our_own_tells_nothing(store: Store, printed: StringIO) -> None:
    settle(store)
    carrier = Carrier()
    random_source, clock = TellingDice(), StoppedClock()
    bot = build(
        settings(**ON, **EVENTS), clock=clock, random_source=random_source, gateways=[carrier], store=store, cost=CHEAP
    )
    town = Town(bot, carrier, StoppedClock(), create_app(bot).test_client())
    assert town.say(f"تغییر {ZAHRA['national_id']}") == 200
    assert town.say(f"{{code}} {GOOD[0]}") == 500
    assert "RuntimeError" in printed.getvalue()
    assert passwords_in(lines_of(printed) + town.seen() + rows_of(store)) == set()


def test_a_trace_would_be_found(sqlite_url: str, printed: StringIO) -> None:
    logging.getLogger("somebody").debug("it is %s", GOOD[2])
    log.logger("somebody").debug("told", text=fold(GOOD[0]))
    assert passwords_in(lines_of(printed)) == {GOOD[0], GOOD[2]}
    with closing(Store(sqlite_url)) as store:
        settle(store)
        with store.writing() as connection:
            connection.execute(update(ACCOUNT).values(full_name=GOOD[1], password_hash=GOOD[3]))
        assert passwords_in(rows_of(store)) == {GOOD[1], GOOD[3]}
        assert passwords_in_bytes(bytes_of(sqlite_url)) == {GOOD[1], GOOD[3]}


def context_of(store: Store, words: str) -> MessageContext:
    """A text under the lock, with all that is known of its password."""
    keyring = Keyring.of(read_keys(KEYS))
    inbound = Inbound("simulated", "M1", ZAHRA["mobile"], f"739151 {words}")
    found = IncomingMessage(inbound, ZAHRA["mobile"], parse(inbound.text), None, offered(inbound.text, 6))
    prepared = Precomputed(Need(check=True, own_password=words), own=passwords.hashed(keyring, words))
    with store.reading() as connection:
        view = conversations.view(
            connection, phone=found.phone, national_id=None, gateway="simulated", provider_id="M1", now=NOON
        )
    parts, state = build(settings(**ON), store=store).parts, State.AWAITING_CODE_TO_CHANGE
    return MessageContext(found, view, NOON, state, Season.OPEN, parts, prepared, password=OwnPasswordVerdict.GOOD)


@pytest.mark.parametrize("password", [GOOD[0], GOOD[1], GOOD[2], SHORT, PERSONAL])
def test_a_thing_in_play_shows_no_password(store: Store, password: str) -> None:
    ctx = context_of(store, password)
    assert ctx.message.brought == CodeAndPassword("739151", password)
    message, work = ctx.message, ctx.work
    for thing in (ctx, message, message.inbound, message.parsed, message.brought, work, work.need, work.own):
        shown = f"{thing!r} {thing}"
        assert passwords_in(shown) == set()
        assert "739151" not in shown


# Once


@dataclass
class Desk:
    """A bot that knows everybody and takes passwords by text, and its rows."""

    bot: Bot
    player: Player
    clock: StoppedClock

    def begin(self, who: str = "zahra", person: dict[str, Any] = ZAHRA) -> None:
        """To where the code is awaited, with a password."""
        self.player.play(f"{who}> CHANGE {person['national_id']}\n< code_with_password")

    def with_code(self, words: str, who: str = "zahra") -> str:
        """The newest code of a phone, and what is texted beside it."""
        return f"{self.player.codes[who][-1]} {words}".strip()

    def hear(self, words: str, phone: str = ZAHRA["mobile"]) -> AnyEvent | None:
        return self.bot.hear(Inbound("simulated", f"H{next(self.player.numbers)}", phone, words))

    def change(self, person: dict[str, Any] = ZAHRA, **columns: Any) -> None:
        with self.bot.store.writing() as connection:
            mine = ACCOUNT.c.national_id == person["national_id"]
            connection.execute(update(ACCOUNT).where(mine).values(columns))

    def account(self, person: dict[str, Any] = ZAHRA) -> Any:
        return self.rows(select(ACCOUNT).where(ACCOUNT.c.national_id == person["national_id"]))[0]

    def knows(self, password: str, person: dict[str, Any] = ZAHRA) -> bool:
        row = self.account(person)
        kept = Hashed(row.password_hash, row.password_key) if row.password_hash else None
        return passwords.verify(self.bot.keyring, kept, password)

    def notices(self) -> list[tuple[str, str]]:
        """Whom notice was given, and in which language."""
        told = MESSAGE.c.phrase == "password_changed"
        return [(row.phone, row.language) for row in self.rows(select(MESSAGE).where(told).order_by(MESSAGE.c.id))]

    def announced(self) -> list[tuple[str, int]]:
        return [(row.event, row.account_id) for row in self.rows(select(EVENT).order_by(EVENT.c.id))]

    def rows(self, statement: Any) -> list[Any]:
        with self.bot.store.reading() as connection:
            return list(connection.execute(statement))


MakeDesk = Callable[..., Desk]


@pytest.fixture
def make_desk(make_bot: MakeBot, carrier: Carrier, clock: StoppedClock) -> MakeDesk:
    def make(**changes: str) -> Desk:
        bot = settled(make_bot(**{**ON, **changes}))
        return Desk(bot, Player(bot, carrier, clock), clock)

    return make


@pytest.fixture
def desk(make_desk: MakeDesk) -> Desk:
    return make_desk()


def at_once(desk: Desk, words: list[str]) -> Counter[AnyEvent | None]:
    """What so many texts of one phone, all in one moment, are heard as."""
    ready = Barrier(len(words))

    def say(each: str) -> AnyEvent | None:
        ready.wait(SOON)
        return desk.hear(each)

    with ThreadPoolExecutor(len(words)) as pool:
        return Counter(pool.map(say, words))


def test_of_several_texted_at_once_one_is_set(desk: Desk) -> None:
    desk.begin()
    own = [f"{OWN}-{number}" for number in range(8)]
    assert at_once(desk, [desk.with_code(each) for each in own])[Event.RIGHT_CODE_AND_PASSWORD] == 1
    assert sum(map(desk.knows, own)) == 1
    assert len(desk.notices()) == 1


@pytest.mark.parametrize("times", [2, MANY])
def test_a_code_with_a_password_texted_at_once_is_good_once(desk: Desk, times: int) -> None:
    desk.begin()
    heard = at_once(desk, [desk.with_code(OWN)] * times)
    assert heard[Event.RIGHT_CODE_AND_PASSWORD] == 1
    assert heard[Event.NO_LIVE_CODE] == times - 1
    assert desk.notices() == [(ZAHRA["mobile"], "fa")]
    assert desk.knows(OWN)
    assert desk.rows(select(GRANT)) == []
    assert desk.account().failures == 0


def test_a_right_code_texted_alone_at_once_sets_nothing_and_spends_a_try_each(desk: Desk) -> None:
    desk.begin()
    heard = at_once(desk, [desk.with_code("")] * MANY)
    assert (heard[Event.RIGHT_CODE_WITHOUT_PASSWORD], heard[Event.LAST_RIGHT_CODE]) == (4, 1)
    assert heard[Event.NO_LIVE_CODE] == MANY - 5
    assert desk.account().password_hash is None
    assert desk.hear(desk.with_code(OWN)) is Event.NO_LIVE_CODE


def test_a_forged_text_after_the_right_code_sets_no_password(desk: Desk) -> None:
    desk.begin()
    assert desk.hear(desk.with_code("")) is Event.RIGHT_CODE_WITHOUT_PASSWORD
    for forged in (OTHER, f"CHANGE {OTHER}", f"000000 {OTHER}", f"CHANGE 000000 to {OTHER}"):
        assert desk.hear(forged) in {Event.NOT_UNDERSTOOD, Event.WRONG_CODE, Event.ASKED_TO_CHANGE_WITHOUT_ID}
        assert desk.account().password_hash is None
    assert desk.hear(desk.with_code(OWN)) is Event.RIGHT_CODE_AND_PASSWORD
    assert (desk.knows(OWN), desk.knows(OTHER)) == (True, False)


@pytest.mark.parametrize("weak", ["Sffrn14", "trustno1", "zahra-1447-kettle"])
def test_a_weak_password_leaves_the_code_live_and_its_try_spent(desk: Desk, weak: str) -> None:
    desk.begin()
    for left in (4, 3, 2, 1):
        desk.hear(desk.with_code(weak))
        (code,) = desk.rows(select(CODE_ROW.c.closed_at, CODE_ROW.c.tries_left))
        assert code == (None, left)
    assert (desk.account().password_hash, desk.account().failures) == (None, 0)
    assert desk.hear(desk.with_code(OWN)) is Event.RIGHT_CODE_AND_PASSWORD


class Interrupted(Store):
    """A store in which something happens once, just before a transaction or within it."""

    before: Callable[[], object] | None = None
    within: tuple[str, Callable[[], object]] | None = None

    def __init__(self, url: str) -> None:
        super().__init__(url)
        event.listen(self.engine, "before_cursor_execute", self._interrupt)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        happens, self.before = self.before, None
        if happens:
            happens()
        with super().writing() as connection:
            yield connection

    def _interrupt(self, _connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if self.within and statement.startswith(self.within[0]):
            (_, happens), self.within = self.within, None
            happens()


@dataclass
class TwoProcesses:
    """One process that is interrupted, and another one on the same database."""

    here: Desk
    there: Desk
    store: Interrupted


@contextmanager
def two_processes(url: str) -> Iterator[TwoProcesses]:
    clock, random_source = StoppedClock(), LoadedRandomSource()
    with closing(Interrupted(url)) as store, closing(Store(url)) as other:
        settle(other)
        desks = []
        for each in (store, other):
            carrier = Carrier()
            bot = build(
                settings(**ON), clock=clock, random_source=random_source, gateways=[carrier], store=each, cost=CHEAP
            )
            desks.append(Desk(bot, Player(bot, carrier, clock), clock))
        desks[1].player.numbers = count(1000)
        yield TwoProcesses(desks[0], desks[1], store)


def cancel_codes(desk: Desk) -> None:
    with desk.bot.store.writing() as connection:
        codes.close_of_account(connection, desk.account().id, CloseReason.VOIDED, desk.clock())


def test_a_code_that_another_process_ends_meanwhile_is_gone(database_url: str) -> None:
    with two_processes(database_url) as two:
        two.here.begin()
        two.store.before = lambda: cancel_codes(two.there)
        assert two.here.hear(two.here.with_code(OWN)) is Event.NO_LIVE_CODE
        assert two.store.before is None
        assert two.here.account().password_hash is None
        assert two.here.notices() == []


@pytest.mark.parametrize(
    ("words", "event"),
    [
        ("EXIT", Event.NO_LIVE_CODE),
        ("STOP", Event.CODE_WHILE_OPTED_OUT),
        (f"{{code}} {OTHER}", Event.NO_LIVE_CODE),
        (OTHER, Event.RIGHT_CODE_AND_PASSWORD),
        ("{code} Sffrn14", Event.RIGHT_CODE_AND_PASSWORD),
        ("{code}", Event.RIGHT_CODE_AND_PASSWORD),
        ("HELP", Event.RIGHT_CODE_AND_PASSWORD),
    ],
)
def test_a_text_that_another_process_hears_meanwhile_comes_first(database_url: str, words: str, event: Event) -> None:
    with two_processes(database_url) as two:
        two.here.begin()
        two.store.before = lambda: two.there.hear(words.replace("{code}", two.here.with_code("")))
        assert two.here.hear(two.here.with_code(OWN)) is event
        assert two.store.before is None
        assert two.here.knows(OWN) == (event is Event.RIGHT_CODE_AND_PASSWORD)
        assert two.here.knows(OTHER) == (words == f"{{code}} {OTHER}")
        assert len(two.here.notices()) == two.here.knows(OWN) + two.here.knows(OTHER)


# Those whom it concerns

FORMER = PHONES["clerk"]
OF_THEIR_OWN = f"> CHANGE 0012345679\n< code_with_password\n> {{code}} {OWN}\n< password_changed"
GENERATED = "> RESET 0012345679\n< code\n> {code}\n< new_password"
WAYS = pytest.mark.parametrize("way", [OF_THEIR_OWN, GENERATED], ids=["own", "generated"])


@WAYS
@pytest.mark.parametrize(
    ("ago", "is_told"),
    [
        (timedelta(0), True),
        (timedelta(hours=72) - timedelta(seconds=1), True),
        (timedelta(hours=72), False),
        (timedelta(days=30), False),
    ],
)
def test_the_mobile_before_is_told_for_three_days(desk: Desk, way: str, ago: timedelta, is_told: bool) -> None:
    desk.change(former_mobile=FORMER, mobile_changed_at=desk.clock() - ago)
    desk.player.play(way + "\nclerk< fa password_changed" * is_told)
    assert (FORMER in [phone for phone, _ in desk.notices()]) is is_told


@WAYS
def test_a_mobile_before_is_told_in_spite_of_stop(desk: Desk, way: str) -> None:
    desk.change(former_mobile=FORMER, mobile_changed_at=desk.clock())
    desk.player.play(f"clerk> STOP\n< opted_out\nzahra{way}\nclerk< password_changed")


@WAYS
def test_a_mobile_that_came_back_is_told_as_the_registered_one(desk: Desk, way: str) -> None:
    desk.change(former_mobile=ZAHRA["mobile"], mobile_changed_at=desk.clock())
    desk.player.play(way)
    assert len(desk.notices()) == (way == OF_THEIR_OWN)


@WAYS
def test_a_first_mobile_has_none_before_it(desk: Desk, way: str) -> None:
    desk.change(former_mobile=None, mobile_changed_at=desk.clock())
    desk.player.play(way)
    assert len(desk.notices()) == (way == OF_THEIR_OWN)


def test_the_mobile_before_is_told_in_the_accounts_language(desk: Desk) -> None:
    desk.change(former_mobile=FORMER, mobile_changed_at=desk.clock(), language="ar")
    desk.begin()
    desk.hear(desk.with_code(OWN))
    assert desk.notices() == [(ZAHRA["mobile"], "ar"), (FORMER, "ar")]


def test_one_without_a_language_is_told_in_that_of_the_texts_before(desk: Desk) -> None:
    desk.change(former_mobile=FORMER, mobile_changed_at=desk.clock(), language=None)
    desk.player.play("> CHANGE 0012345679\n< en code_with_password\n> {code} زعفران\n< en password_too_short")
    desk.player.play("> {code} زعفران-۱۴۴۷-کتری\n< en password_changed\nclerk< fa password_changed")


@pytest.mark.parametrize(
    "words", ["{code} Sffrn14", "{code} trustno1", "{code} zahra-1447-kettle", "{code}", "EXIT", "HELP"]
)
def test_nobody_is_told_of_what_was_not_changed(desk: Desk, words: str) -> None:
    desk.change(former_mobile=FORMER, mobile_changed_at=desk.clock())
    desk.begin()
    desk.hear(words.replace("{code}", desk.with_code("")))
    assert desk.notices() == []


def test_the_other_account_on_a_mobile_is_nobodys_concern(desk: Desk) -> None:
    desk.change(OMID, former_mobile=FORMER, mobile_changed_at=desk.clock())
    desk.begin("omid", TWIN)
    desk.player.play(f"> {{code}} {OWN}\n< password_changed")
    assert desk.notices() == [(TWIN["mobile"], "en")]


def test_a_change_at_fakher_is_told_in_spite_of_stop(desk: Desk) -> None:
    desk.change(former_mobile=FORMER, mobile_changed_at=desk.clock())
    desk.begin()
    caller = Caller("t")
    verdict = desk.bot.fakher.verify_code(caller, ZAHRA["national_id"], desk.with_code(""))
    assert verdict.ticket
    desk.player.play("zahra> STOP\n< opted_out\nclerk> STOP\n< opted_out\nstranger> RESET 0012345679\n< neutral")
    desk.bot.fakher.set_password(caller, verdict.ticket.text, OWN)
    desk.player.play("! sweep\nzahra< password_changed\nclerk< password_changed")
    assert desk.knows(OWN)


# What Fakher is told


def test_fakher_is_told_of_each_by_its_kind(make_desk: MakeDesk) -> None:
    desk = make_desk(**EVENTS)
    zahra = desk.account().id
    desk.player.play(OF_THEIR_OWN)
    assert desk.announced() == [("password.changed", zahra)]
    desk.clock.forward(minutes=5)
    desk.player.play(GENERATED)
    assert desk.announced() == [("password.changed", zahra), ("password.recovered", zahra)]
    newest = desk.rows(select(EVENT).order_by(EVENT.c.id))[-1]
    assert (newest.happened_at, newest.ended_at) == (desk.clock(), None)


def test_fakher_is_told_nothing_of_a_code_to_change_that_is_texted_where_it_is_for_fakher(make_desk: MakeDesk) -> None:
    desk = make_desk(OWN_PASSWORD_BY_SMS="off", **EVENTS)
    desk.player.play("> CHANGE 0012345679\n< code_for_fakher\n> {code}\n< own_password_at_fakher")
    assert desk.announced() == []
    assert desk.account().password_hash is None


def test_fakher_is_told_of_the_account_that_was_changed(make_desk: MakeDesk) -> None:
    desk = make_desk(**EVENTS)
    desk.begin("omid", TWIN)
    desk.player.play(f"> {{code}} {OWN}\n< password_changed")
    assert desk.announced() == [("password.changed", desk.account(TWIN).id)]


@pytest.mark.parametrize("wrong", ["{wrong}", f"{{wrong}} {OWN}", f"CHANGE {{wrong}} to {OWN}"])
def test_fakher_is_told_of_a_recovery_that_was_closed(make_desk: MakeDesk, wrong: str) -> None:
    desk = make_desk(**EVENTS)
    desk.player.play("> CHANGE 0012345679\n< code_with_password")
    desk.change(failures=98)
    desk.player.play(f"> {wrong}\n< wrong_code")
    assert desk.announced() == []
    desk.player.play(f"> {wrong}\n< recovery_locked\n> {wrong}\n< no_live_code")
    assert desk.announced() == [("recovery.locked", desk.account().id)]


@pytest.mark.slow
def test_fakher_is_told_of_a_hundred_wrong_codes(make_desk: MakeDesk) -> None:
    desk = make_desk(RESEND_AFTER_SECONDS="0", CODES_PER_HOUR="1000", CODES_PER_DAY="1000", **EVENTS)
    for _ in range(20):
        desk.player.text("CHANGE 0012345679")
        for _ in range(5):
            assert desk.announced() == []
            desk.hear(f"999999 {OWN}")
    assert desk.announced() == [("recovery.locked", desk.account().id)]


@pytest.mark.parametrize("failures", [(99, 99), (99, 12), (12, 99)])
def test_fakher_is_told_of_each_account_that_was_closed_and_no_other(
    make_desk: MakeDesk, failures: tuple[int, int]
) -> None:
    desk = make_desk(**EVENTS)
    for person, failed in zip((OMID, TWIN), failures, strict=True):
        desk.player.play(f"omid> CHANGE {person['national_id']}\n< code_with_password")
        desk.change(person, failures=failed)
    desk.player.play("> 999999\n< recovery_locked")
    closed = [desk.account(person).id for person, failed in zip((OMID, TWIN), failures, strict=True) if failed == 99]
    assert sorted(desk.announced()) == [("recovery.locked", account) for account in sorted(closed)]


def test_fakher_is_told_nothing_else(make_desk: MakeDesk) -> None:
    desk = make_desk(**EVENTS)
    desk.player.play(
        "> CHANGE 0012345679\n< code_with_password\n> {wrong}\n< wrong_code\n> {code} Sffrn14\n< password_too_short"
    )
    desk.player.play(
        "> {code} trustno1\n< password_too_common\n> HELP\n< help\n> EXIT\n< cancelled\n> STOP\n< opted_out"
    )
    assert desk.announced() == []


def test_fakher_is_told_nothing_where_it_does_not_want_it(desk: Desk) -> None:
    for way in (OF_THEIR_OWN, GENERATED):
        desk.player.play(way)
    desk.player.play("> CHANGE 0012345679\n< code_with_password")
    desk.change(failures=99)
    desk.player.play("> {wrong}\n< recovery_locked")
    assert desk.announced() == []


def test_one_change_is_one_event_however_often_it_is_texted_at_once(make_desk: MakeDesk) -> None:
    desk = make_desk(**EVENTS)
    desk.begin()
    at_once(desk, [desk.with_code(OWN)] * MANY)
    assert desk.announced() == [("password.changed", desk.account().id)]
