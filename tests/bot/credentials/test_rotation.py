"""SECRET_KEYS change under living things, on both databases: the old key alone, the new before it, the new alone."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count
from threading import Event as Flag
from typing import Any, ClassVar

import pytest
from sqlalchemy import select

from bot.build import Bot
from bot.credentials import bearer
from bot.credentials.bearer import Bearer
from bot.credentials.keyring import Unreadable
from bot.credentials.one_time_codes import UnknownKey
from bot.credentials.passwords import ALPHABET
from bot.fakher.service import Caller, CodeVerdict, LoginVerdict, TicketGone
from bot.ports import Inbound
from bot.sending.courier import LAST_WORDS, LEASE
from dialogs.parsing.normalise import national_id
from dialogs.vocabulary import AnyEvent, Event
from store import tokens
from store.database.engine import Store
from store.tables import AccountRow, CloseReason, CodeRow, DeliveryStatus, MessageKind, OutboundMessageRow, table
from tests.conftest import MakeBot
from tests.support.console_browser import Browser
from tests.support.parts import KEYS, NOON, Carrier, StoppedClock, eventually
from tests.support.people import CHIEF, OMID, STRANGER, ZAHRA, employ, settle
from webhooks import create_app

ACCOUNT, CODE, MESSAGE = table(AccountRow), table(CodeRow), table(OutboundMessageRow)
NEW = "k2:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="
BOTH = f"{NEW},{KEYS}"
NEWEST = "k3:QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8="
FREELY = {"OWN_PASSWORD_BY_SMS": "on", "RESEND_AFTER_SECONDS": "0", "CODES_PER_HOUR": "1000", "CODES_PER_DAY": "1000"}
WRONG = "999999"
OWN = "saffron and copper pots"
ONE_WORD = "Saffron-1447-kettle"
OTHER = "a lantern over the well"
RIGHT, MUST_CHANGE, REFUSED = LoginVerdict(True), LoginVerdict(True, must_change=True), LoginVerdict(False)
NO_TICKET = CodeVerdict(reason="wrong_code", tries_left=4)
PASSWORD = re.compile(rf"^[{ALPHABET}]{{4}}(?:-[{ALPHABET}]{{4}}){{2}}$", re.MULTILINE)
DIGITS = re.compile(r"(?<!\d)\d{6}(?!\d)", re.ASCII)


class House:
    """A bot under some keys, spoken to by phones and by Fakher. Every house of a test has one store."""

    numbers: ClassVar["count[int]"] = count()

    def __init__(self, bot: Bot, carrier: Carrier) -> None:
        self.bot, self.carrier = bot, carrier

    def text(self, words: str, phone: str = ZAHRA["mobile"]) -> AnyEvent | None:
        return self.bot.hear(Inbound("simulated", f"R{next(self.numbers)}", phone, words))

    def sent(self) -> list[str]:
        """What is sent now."""
        before = len(self.carrier.sent)
        self.bot.courier.deliver_due()
        return [text.text for text in self.carrier.sent[before:]]

    def ask(self, words: str = "رمز 0012345679") -> str:
        """A code, asked for and sent."""
        assert self.text(words) in (Event.ASKED, Event.ASKED_TO_CHANGE)
        (code,) = DIGITS.findall("\n".join(self.sent()))
        return str(code)

    def recover(self) -> str:
        """A generated password, by text."""
        assert self.text(self.ask()) is Event.RIGHT_CODE
        return self.generated()

    def generated(self) -> str:
        """The generated password that is sent now."""
        (password,) = PASSWORD.findall("\n".join(self.sent()))
        return str(password)

    def choose(self, password: str = OWN) -> None:
        """A password of their own, by text."""
        assert self.text(f"تغییر {self.ask('تغییر 0012345679')} {password}") is Event.RIGHT_CODE_AND_PASSWORD
        self.sent()

    def token(self) -> str:
        made = bearer.make(self.bot.parts.random_source)
        with self.bot.store.writing() as connection:
            tokens.issue(connection, made.id, "fakher", made.digest, NOON, NOON + timedelta(days=90))
        return made.text

    def caller(self) -> Caller:
        return self.bot.fakher.authorise(self.token())

    def verify(self, code: str, caller: Caller | None = None) -> CodeVerdict:
        return self.bot.fakher.verify_code(caller or self.caller(), ZAHRA["national_id"], code)

    def ticket(self) -> Bearer:
        found = self.verify(self.ask()).ticket
        assert found is not None
        return found

    def login(self, password: str) -> LoginVerdict:
        return self.bot.fakher.verify_password(self.caller(), password, username=ZAHRA["username"])

    def account(self) -> Any:
        (found,) = self.rows(select(ACCOUNT).where(ACCOUNT.c.national_id == ZAHRA["national_id"]))
        return found

    def rows(self, statement: Any) -> list[Any]:
        with self.bot.store.reading() as connection:
            return list(connection.execute(statement))

    def texts(self) -> list[Any]:
        return self.rows(select(MESSAGE).order_by(MESSAGE.c.id))


@pytest.fixture
def old(make_house: Callable[[str], House], store: Store) -> House:
    """The house as it was, under the old key alone."""
    settle(store)
    return make_house(KEYS)


@pytest.fixture
def both(make_house: Callable[[str], House]) -> House:
    """The same, under the new key and the old one."""
    return make_house(BOTH)


@pytest.fixture
def new(make_house: Callable[[str], House]) -> House:
    """The same, under the new key alone."""
    return make_house(NEW)


@pytest.fixture
def make_house(make_bot: MakeBot, carrier: Carrier) -> Callable[[str], House]:
    return lambda keyring: House(make_bot(SECRET_KEYS=keyring, **FREELY), carrier)


# Under both keys: codes


def test_a_code_of_the_old_key_is_right_by_text(old: House, both: House) -> None:
    code = old.ask()
    assert both.text(WRONG) is Event.WRONG_CODE
    assert both.text(code) is Event.RIGHT_CODE
    assert both.login(both.generated()) == MUST_CHANGE


def test_a_code_of_the_old_key_is_right_at_fakher(old: House, both: House) -> None:
    code = old.ask()
    assert both.verify(WRONG) == NO_TICKET
    assert both.verify(code).ticket is not None
    assert both.verify(code) == CodeVerdict(reason="no_live_code")


def test_tries_are_counted_over_both_keys(old: House, both: House) -> None:
    code = old.ask()
    events = [house.text(WRONG) for house in (old, both, old, both, both)]
    assert events == [Event.WRONG_CODE] * 4 + [Event.LAST_WRONG_CODE]
    assert both.text(code) is Event.NO_LIVE_CODE


def test_a_code_of_the_old_key_brings_a_password_of_their_own(old: House, both: House) -> None:
    code = old.ask("تغییر 0012345679")
    assert both.text(f"{code} {ONE_WORD}") is Event.RIGHT_CODE_AND_PASSWORD
    assert both.login(ONE_WORD) == RIGHT


def test_a_code_that_is_sent_along_again_is_no_part_of_the_password(old: House, both: House) -> None:
    code = old.ask("تغییر 0012345679")
    assert old.text(code) is Event.RIGHT_CODE_WITHOUT_PASSWORD
    assert both.text(f"{code} {ONE_WORD}") is Event.RIGHT_CODE_AND_PASSWORD
    assert (both.login(ONE_WORD), both.login(f"{code} {ONE_WORD}")) == (RIGHT, REFUSED)


def test_an_older_code_is_void_whatever_its_key(old: House, both: House) -> None:
    first = old.ask()
    second = both.ask()
    assert both.text(first) is Event.WRONG_CODE
    assert both.text(second) is Event.RIGHT_CODE


# Under both keys: texts that wait


def test_a_code_that_waits_under_the_old_key_is_sent(old: House, both: House) -> None:
    assert old.text("رمز 0012345679") is Event.ASKED
    (sent,) = both.sent()
    (code,) = DIGITS.findall(sent)
    assert both.text(code) is Event.RIGHT_CODE


def test_a_password_that_waits_under_the_old_key_is_sent_and_good(old: House, both: House) -> None:
    assert old.text(old.ask()) is Event.RIGHT_CODE
    assert both.login(both.generated()) == MUST_CHANGE
    assert {(row.status, row.secret, row.error) for row in both.texts()} == {(DeliveryStatus.ACCEPTED, None, None)}


# Under both keys: passwords


def test_a_password_moves_over_as_its_owner_logs_in(old: House, both: House) -> None:
    old.choose()
    before = both.account()
    assert before.password_key == "k1"
    assert both.login(OTHER) == REFUSED
    assert both.account() == before
    assert both.login(OWN) == RIGHT
    moved = both.account()
    assert moved.password_key == "k2"
    assert moved.password_hash != before.password_hash
    assert both.login(OWN) == RIGHT
    assert both.account() == moved


def test_a_generated_password_that_moves_over_still_ends(old: House, both: House, clock: StoppedClock) -> None:
    password = old.recover()
    expires_at = old.account().password_expires_at
    assert both.login(password) == MUST_CHANGE
    assert (both.account().password_key, both.account().password_expires_at) == ("k2", expires_at)
    assert both.login(password) == MUST_CHANGE
    clock.now = expires_at
    assert both.login(password) == REFUSED


def test_one_that_has_ended_does_not_move_over(old: House, both: House, clock: StoppedClock) -> None:
    password = old.recover()
    clock.now = old.account().password_expires_at
    assert both.login(password) == REFUSED
    assert both.account().password_key == "k1"


def test_it_moves_over_once_where_many_log_in_at_once(old: House, both: House) -> None:
    old.choose()
    callers = [both.caller() for _ in range(6)]

    def login(caller: Caller) -> LoginVerdict:
        return both.bot.fakher.verify_password(caller, OWN, person=ZAHRA["national_id"])

    with ThreadPoolExecutor(len(callers)) as pool:
        assert list(pool.map(login, callers)) == [RIGHT] * len(callers)
    assert both.account().password_key == "k2"
    assert both.login(OWN) == RIGHT


# Under both keys: rights and tokens


def test_a_ticket_outlives_the_rotation(old: House, both: House, new: House) -> None:
    first = old.ticket()
    both.bot.fakher.set_password(both.caller(), first.text, OWN)
    assert (both.login(OWN), both.account().password_key) == (RIGHT, "k2")
    second = old.ticket()
    new.bot.fakher.set_password(new.caller(), second.text, OTHER)
    assert (new.login(OTHER), new.login(OWN)) == (RIGHT, REFUSED)
    with pytest.raises(TicketGone):
        new.bot.fakher.set_password(new.caller(), first.text, OWN)


def test_a_code_of_a_key_that_is_lacked_is_good_where_it_is_there(old: House, both: House, new: House) -> None:
    code = old.ask("تغییر 0012345679")
    assert new.text(f"{code} {ONE_WORD}") is Event.CODE_UNDER_UNKNOWN_KEY
    assert both.text(f"{code} {ONE_WORD}") is Event.RIGHT_CODE_AND_PASSWORD
    assert (both.login(ONE_WORD), both.account().password_key) == (RIGHT, "k2")


def test_a_code_of_a_key_that_is_lacked_costs_no_try(old: House, both: House, new: House) -> None:
    code = old.ask()
    events = [new.text(word) for word in (code, WRONG) * 6]
    assert events == [Event.CODE_UNDER_UNKNOWN_KEY] * 12
    said = [row.phrase for row in new.texts() if row.phrase not in {"code", "last_reply"}]
    assert set(said) == {"send_again_soon"}
    assert new.rows(select(CODE.c.tries_left)) == [(5,)]
    assert both.account().failures == 0
    assert both.text(code) is Event.RIGHT_CODE


def test_a_token_outlives_the_rotation(old: House, both: House, new: House) -> None:
    token = old.token()
    callers = {house.bot.fakher.authorise(token) for house in (old, both, new)}
    assert len(callers) == 1


# Under both keys: what is new


def test_what_is_made_now_is_the_new_keys(old: House, both: House, new: House) -> None:
    old.recover()
    code = both.ask()
    assert [row.key_id for row in both.rows(select(CODE).order_by(CODE.c.id))] == ["k1", "k2"]
    assert new.text(code) is Event.RIGHT_CODE
    assert new.bot.keyring.open(new.texts()[-1].secret)
    with pytest.raises(Unreadable):
        old.bot.keyring.open(new.texts()[-1].secret)


def test_a_text_that_is_written_now_needs_the_new_key_alone(old: House, both: House, new: House) -> None:
    assert both.text("رمز 0012345679") is Event.ASKED
    (sent,) = new.sent()
    assert both.text(*DIGITS.findall(sent)) is Event.RIGHT_CODE
    assert new.login(new.generated()) == MUST_CHANGE


@pytest.mark.parametrize("way", ["recover", "choose"])
def test_a_password_that_is_made_now_needs_the_new_key_alone(old: House, both: House, new: House, way: str) -> None:
    old.choose(OTHER)
    password = getattr(both, way)() or OWN
    assert both.account().password_key == "k2"
    assert new.login(password).verified
    assert new.login(OTHER) == REFUSED


# Under the new key alone


def test_a_password_that_has_moved_over_logs_in(old: House, both: House, new: House) -> None:
    old.choose()
    both.login(OWN)
    assert new.login(OWN) == RIGHT
    assert new.account() == both.account()


def test_one_that_has_not_is_refused_and_a_recovery_mends_that(old: House, both: House, new: House) -> None:
    old.choose()
    before = new.account()
    assert new.login(OWN) == REFUSED
    assert new.account() == before
    assert new.login(new.recover()) == MUST_CHANGE
    assert new.account().password_key == "k2"
    new.choose()
    assert new.login(OWN) == RIGHT


def test_nothing_is_lost_where_the_old_key_is_put_back(old: House, both: House, new: House) -> None:
    old.choose()
    assert new.login(OWN) == REFUSED
    assert both.login(OWN) == RIGHT


def test_a_code_of_the_old_key_is_refused_by_text_and_a_new_one_works(old: House, new: House) -> None:
    code = old.ask()
    assert new.text(code) is Event.CODE_UNDER_UNKNOWN_KEY
    assert new.login(new.recover()) == MUST_CHANGE


def test_a_code_of_the_old_key_is_refused_at_fakher_and_a_new_one_works(old: House, new: House) -> None:
    code = old.ask()
    with pytest.raises(UnknownKey):
        new.verify(code)
    assert new.rows(select(CODE.c.tries_left)) == [(5,)]
    assert new.verify(new.ask()).ticket is not None


def test_the_api_says_of_a_code_of_a_key_that_it_lacks_to_come_again(old: House, both: House, new: House) -> None:
    tried = {"national_id": ZAHRA["national_id"], "code": old.ask()}
    headers = {"Authorization": f"Bearer {old.token()}"}
    answer = create_app(new.bot).test_client().post("/api/v1/codes/verify", json=tried, headers=headers)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert new.rows(select(CODE.c.tries_left)) == [(5,)]
    answer = create_app(both.bot).test_client().post("/api/v1/codes/verify", json=tried, headers=headers)
    assert answer.json
    assert answer.json["verified"] is True


def test_the_console_says_of_a_code_of_a_key_that_it_lacks_to_come_again(old: House, both: House, new: House) -> None:
    employ(old.bot.store, CHIEF)
    browser = Browser(old.bot, old.carrier)
    browser.ask(CHIEF["mobile"])
    browser.turn_to(new.bot)
    answer = browser.post("/console/login", mobile=CHIEF["mobile"], code=browser.code())
    assert (answer.status_code, "in a minute" in answer.text) == (503, True)
    assert new.rows(select(CODE.c.tries_left)) == [(5,)]
    browser.turn_to(both.bot)
    assert browser.post("/console/login", mobile=CHIEF["mobile"], code=browser.code()).status_code == 303


@pytest.mark.parametrize("words", ["رمز 0012345679", None])
def test_a_text_that_waits_under_the_old_key_is_left_to_who_has_it_and_holds_up_no_other(
    old: House, both: House, new: House, clock: StoppedClock, words: str | None
) -> None:
    assert old.text(words or old.ask()) in (Event.ASKED, Event.RIGHT_CODE)
    lost = next(row.id for row in old.texts() if row.secret is not None)
    assert new.text("HELP", STRANGER) is Event.HELP
    assert new.text("RESET 8052916372", OMID["mobile"]) is Event.ASKED
    assert len(new.sent()) == 2
    row = next(row for row in new.texts() if row.id == lost)
    assert (row.status, row.error, row.attempts) == (DeliveryStatus.QUEUED, "key_removed", 1)
    assert row.secret is not None
    assert new.bot.courier.deliver_due() == 0
    clock.forward(seconds=30)
    assert len(both.sent()) == 1


def test_the_courier_leaves_it_while_it_runs_and_stops_as_ever(old: House, new: House) -> None:
    assert old.text("رمز 0012345679") is Event.ASKED
    new.bot.courier.start()
    try:
        assert eventually(lambda: [row.error for row in new.texts()] == ["key_removed"])
        assert new.text("رمز 0012345679") is Event.ASKED
        assert eventually(lambda: len(new.carrier.sent) == 1)
        assert new.bot.courier.is_alive()
    finally:
        began = time.monotonic()
        new.bot.courier.stop()
    assert time.monotonic() - began < LAST_WORDS


def test_every_key_is_left_in_its_turn(make_house: Callable[[str], House], old: House) -> None:
    """A password goes from key to key as long as its owner logs in."""
    old.choose()
    for keyring, key in ((BOTH, "k2"), (f"{NEWEST},{BOTH}", "k3"), (NEWEST, "k3"), (f"{KEYS},{NEWEST}", "k1")):
        house = make_house(keyring)
        assert house.login(OWN) == RIGHT
        assert house.account().password_key == key


# In the middle of a dialog


IDS = [f"{number:010d}" for number in range(5_831_940_200, 5_831_940_400) if national_id(f"{number:010d}")]
PEOPLE = [
    {"national_id": person, "username": f"leader-{number}", "mobile": f"+98912000{number:04d}"}
    for number, person in enumerate(IDS[:10])
]


class Leader:
    """Somebody with a phone who recovers a password, logs in with it, and begins anew until told to stop."""

    def __init__(self, person: dict[str, str], street: "Street") -> None:
        self.person, self.street = person, street
        self.asked, self.done = 0, 0

    def live(self) -> int:
        while not self.street.over.is_set():
            self.asked += 1
            assert self.text(f"RESET {self.person['national_id']}") is Event.ASKED
            code = self.read(DIGITS, MessageKind.CODE)
            assert self.text(code) is Event.RIGHT_CODE
            password = self.read(PASSWORD, MessageKind.PASSWORD)
            fakher = self.street.house.bot.fakher
            assert (
                fakher.verify_password(self.street.caller, password, person=self.person["national_id"]) == MUST_CHANGE
            )
            self.done += 1
        return self.done

    def text(self, words: str) -> AnyEvent | None:
        return self.street.house.text(words, self.person["mobile"])

    def read(self, pattern: re.Pattern[str], kind: MessageKind) -> str:
        """What the phone is sent next of a kind; AssertionError where nothing comes."""
        assert eventually(lambda: len(self.mine(kind)) == self.asked), f"no answer: {kind.name}"
        (found,) = pattern.findall(self.mine(kind)[-1])
        return str(found)

    def mine(self, kind: MessageKind) -> list[str]:
        sent = list(self.street.house.carrier.sent)
        return [text.text for text in sent if text.to == self.person["mobile"] and text.kind is kind]


class Street:
    """Ten leaders at once, and the house that answers them now."""

    def __init__(self, house: House) -> None:
        self.house, self.caller, self.over = house, house.caller(), Flag()
        self.leaders = [Leader(person, self) for person in PEOPLE]


@pytest.fixture
def street(make_house: Callable[[str], House], store: Store) -> Iterator[Street]:
    settle(store, *PEOPLE)
    street = Street(make_house(KEYS))
    street.house.bot.courier.start()
    yield street
    street.over.set()
    street.house.bot.courier.stop()


@pytest.mark.slow
def test_ten_leaders_notice_nothing_of_a_rotation_in_the_middle_of_their_dialogs(
    street: Street, both: House, clock: StoppedClock
) -> None:
    with ThreadPoolExecutor(len(PEOPLE)) as pool:
        lives = [pool.submit(leader.live) for leader in street.leaders]

        def have_done(rounds: int) -> bool:
            return any(life.done() for life in lives) or all(leader.done >= rounds for leader in street.leaders)

        assert eventually(lambda: have_done(1))
        street.house.bot.courier.stop()  # the old process ends; what it is still texted waits in the outbox
        clock.now += LEASE  # and what it had claimed, but not taken in hand
        both.bot.courier.start()
        street.house = both
        so_far = max(leader.done for leader in street.leaders)
        assert eventually(lambda: have_done(so_far + 1))
        street.over.set()
        rounds = [life.result() for life in lives]
    assert min(rounds) >= 2
    codes = both.rows(select(CODE))
    assert len(codes) == sum(rounds)
    assert {code.key_id for code in codes} == {"k1", "k2"}
    assert {code.close_reason for code in codes} == {CloseReason.USED}
    # Who answers before it is noted that the code was sent has used it up: its text then counts as dropped.
    assert eventually(lambda: {row.status for row in both.texts()} <= {DeliveryStatus.ACCEPTED, DeliveryStatus.DROPPED})
    assert {row.error for row in both.texts()} <= {None, "used"}
    assert Counter(text.ref for text in both.carrier.sent) == {row.id: 1 for row in both.texts()}
    assert len(both.texts()) == 2 * sum(rounds)
