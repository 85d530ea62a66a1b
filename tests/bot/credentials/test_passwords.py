"""Passwords at rest: how they are compared, and what stands in an account's row after a change by text."""

import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from argon2 import PasswordHasher, Type, extract_parameters
from hypothesis import given
from hypothesis import settings as runs
from hypothesis import strategies as st
from sqlalchemy import select, update

from bot.build import Bot, build
from bot.credentials import passwords
from bot.credentials.keyring import PRODUCTION, Keyring
from bot.credentials.passwords import Hashed
from bot.fakher.service import Caller, TicketGone
from store.database.engine import Store
from store.tables import AccountRow, CloseReason, CodeRow, ResetGrantRow, table
from tests.conftest import MakeBot
from tests.support.parts import CHEAP, KEYS, NOON, Carrier, StoppedClock, settings
from tests.support.people import OMID, PHONES, TWIN, ZAHRA, settled
from tests.support.places import ROOT
from tests.support.transcript import Player

ACCOUNT, CODE, GRANT = table(AccountRow), table(CodeRow), table(ResetGrantRow)
OLD, NEW = bytes(range(32)), bytes(range(32, 64))
BEFORE = Keyring.of({"old": OLD}, CHEAP)
BETWEEN = Keyring.of({"new": NEW, "old": OLD}, CHEAP)
AFTER = Keyring.of({"new": NEW}, CHEAP)
# At the cost that passwords have: where time or parameters are what is asked about.
DEAR_BEFORE, DEAR_AFTER = Keyring.of({"old": OLD}), Keyring.of({"new": NEW})
NEW_FIRST = f"k2:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=,{KEYS}"
OWN, OTHER = "Saffron-1447-kettle", "Lantern-1448-kettle"
TEMPORARY = timedelta(hours=72)
HASH_IN_TWELVE_THREADS = """
from resource import RUSAGE_SELF, getrusage
from threading import Thread
from bot.credentials import passwords
from bot.credentials.keyring import Keyring

keyring, before = Keyring.of({"key": bytes(range(32))}), getrusage(RUSAGE_SELF).ru_maxrss
threads = [Thread(target=passwords.hashed, args=[keyring, "saffron"]) for _ in range(12)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(getrusage(RUSAGE_SELF).ru_maxrss - before)
"""


def kept_by(hasher: PasswordHasher, password: str, keyring: Keyring = BEFORE) -> Hashed:
    """A password as other parameters would have it kept."""
    peppered = keyring.pepper(keyring.newest, password)
    assert peppered is not None
    return Hashed(hasher.hash(peppered), keyring.newest)


# How they are compared


@pytest.mark.parametrize(
    "word", ["café-kettle", "señor Ñandú", "آب‌انبار", "مؤذّن ئ ۀ", "한글 비밀번호", "ǖ ṩ ệ ở", "Ω Å K"]
)
def test_it_takes_one_word_in_both_spellings_for_the_same(word: str) -> None:
    composed, apart = unicodedata.normalize("NFC", word), unicodedata.normalize("NFD", word)
    assert composed != apart
    for first in (composed, apart):
        kept = passwords.hashed(BEFORE, first)
        assert passwords.verify(BEFORE, kept, composed)
        assert passwords.verify(BEFORE, kept, apart)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("kettle", "Kettle"),
        ("kettle", "ｋｅｔｔｌｅ"),
        ("ﬁre-kettle", "fire-kettle"),
        ("۱۴۴۷", "1447"),
        ("كتري", "کتری"),
        ("kettle", "kettle "),
        ("a kettle", "a  kettle"),
        ("چراغ‌ها", "چراغها"),
        ("resume", "resumé"),
    ],
)
def test_it_takes_what_only_looks_alike_for_another(one: str, other: str) -> None:
    assert not passwords.verify(BEFORE, passwords.hashed(BEFORE, one), other)
    assert not passwords.verify(BEFORE, passwords.hashed(BEFORE, other), one)


@pytest.mark.parametrize("torn", ["\ud800", "kettle \udfff of", "\udc00\ud800", "saffron\ud83d"])
def test_it_takes_a_broken_character_as_any_other(torn: str) -> None:
    kept = passwords.hashed(BEFORE, torn)
    assert passwords.verify(BEFORE, kept, torn)
    assert not passwords.verify(BEFORE, kept, torn + "\ud800")
    assert not passwords.verify(BEFORE, kept, torn.encode("utf-8", "replace").decode())
    assert not passwords.verify(BEFORE, passwords.hashed(BEFORE, "kettle"), torn)


@pytest.mark.parametrize("letter", ["x", "چ", "🏮", "e\u0301", "\0"])
def test_it_counts_a_thousand_characters_to_the_last(letter: str) -> None:
    long = letter * 999
    kept = passwords.hashed(BEFORE, long + "k")
    assert passwords.verify(BEFORE, kept, long + "k")
    assert not passwords.verify(BEFORE, kept, long + "q")
    assert not passwords.verify(BEFORE, kept, long)
    assert not passwords.verify(BEFORE, kept, long + "kk")
    assert len(kept.hash) <= 200


@runs(max_examples=20, deadline=None)
@given(password=st.text(st.characters()), other=st.text(st.characters()))
def test_it_knows_any_text_again_and_no_other(password: str, other: str) -> None:
    kept = passwords.hashed(BEFORE, password)
    same = unicodedata.normalize("NFC", password) == unicodedata.normalize("NFC", other)
    assert passwords.verify(BEFORE, kept, password)
    assert passwords.verify(BEFORE, kept, other) == same


@pytest.mark.parametrize("password", [OWN, "", "another", "kettle"])
def test_it_knows_no_password_where_there_is_none(password: str) -> None:
    assert not passwords.verify(BEFORE, None, password)


def test_it_knows_none_whose_key_was_taken_out() -> None:
    kept = passwords.hashed(BEFORE, OWN)
    assert passwords.verify(BETWEEN, kept, OWN)
    for password in (OWN, "", "another"):
        assert not passwords.verify(AFTER, kept, password)


def test_it_knows_none_by_another_key_than_its_own() -> None:
    kept = passwords.hashed(BETWEEN, OWN)
    assert kept.key_id == "new"
    assert not passwords.verify(BETWEEN, Hashed(kept.hash, "old"), OWN)


def test_it_knows_none_that_was_hashed_without_a_key() -> None:
    assert not passwords.verify(BEFORE, Hashed(passwords.hasher(PRODUCTION).hash(OWN), "old"), OWN)


def test_it_knows_one_by_the_parameters_that_it_was_hashed_with() -> None:
    kept = kept_by(PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1), OWN)
    assert passwords.verify(BEFORE, kept, OWN)
    assert not passwords.verify(BEFORE, kept, OTHER)


def taken(check: Callable[[], object]) -> float:
    """The least time that something takes, out of a few."""
    spans = []
    for _ in range(5):
        began = time.perf_counter()
        check()
        spans.append(time.perf_counter() - began)
    return min(spans)


def test_it_takes_as_long_to_refuse_nobody_as_somebody() -> None:
    before, after, kept = DEAR_BEFORE, DEAR_AFTER, passwords.hashed(DEAR_BEFORE, OWN)
    wrong = taken(lambda: passwords.verify(before, kept, OTHER))
    for nobody in (lambda: passwords.verify(before, None, OTHER), lambda: passwords.verify(after, kept, OTHER)):
        assert 1 / 3 < taken(nobody) / wrong < 3


def test_a_long_one_is_read_for_nobody_too() -> None:
    typed, kept = "é" * 30_000, passwords.hashed(BEFORE, OWN)
    wrong = taken(lambda: passwords.verify(BEFORE, kept, typed))
    assert 1 / 3 < taken(lambda: passwords.verify(BEFORE, None, typed)) / wrong < 3


def test_one_after_the_other_is_worked_at() -> None:
    """Several that share a processor are ready only when the last one is."""
    kept, ready = passwords.hashed(DEAR_BEFORE, OWN), list[float]()

    def work(check: Callable[[], object]) -> None:
        check()
        ready.append(time.perf_counter())

    checks = [lambda: passwords.verify(DEAR_BEFORE, kept, OWN), lambda: passwords.hashed(DEAR_BEFORE, OWN)] * 4
    threads = [Thread(target=work, args=[check]) for check in checks]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ready[0] - began < (ready[-1] - began) / 2


@pytest.mark.process
def test_many_threads_take_the_memory_of_one() -> None:
    """A process has sixteen that hear, and each may come to hash."""
    command = [sys.executable, "-c", HASH_IN_TWELVE_THREADS]
    grown = int(subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60).stdout)
    assert grown < 3 * PRODUCTION.memory, "KiB"


# What is outdated


def test_a_new_hash_is_up_to_date() -> None:
    assert not passwords.is_outdated(BEFORE, passwords.hashed(BEFORE, OWN))
    assert not passwords.is_outdated(BETWEEN, passwords.hashed(BETWEEN, OWN))


def test_an_older_key_makes_it_outdated() -> None:
    kept = passwords.hashed(BEFORE, OWN)
    assert passwords.is_outdated(BETWEEN, kept)
    assert passwords.is_outdated(AFTER, kept)


@pytest.mark.parametrize(
    "hasher",
    [
        PasswordHasher(time_cost=1, memory_cost=19456, parallelism=1),
        PasswordHasher(time_cost=3, memory_cost=19456, parallelism=1),
        PasswordHasher(time_cost=2, memory_cost=8192, parallelism=1),
        PasswordHasher(time_cost=2, memory_cost=19456, parallelism=2),
        PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1, type=Type.I),
    ],
    ids=["fewer passes", "more passes", "less memory", "more lanes", "argon2i"],
)
def test_other_parameters_make_it_outdated(hasher: PasswordHasher) -> None:
    assert not passwords.is_outdated(DEAR_BEFORE, passwords.hashed(DEAR_BEFORE, OWN))
    assert passwords.is_outdated(DEAR_BEFORE, kept_by(hasher, OWN))


# What a change by text leaves behind


@dataclass
class Desk:
    """A bot that knows everybody and takes passwords by text, and its rows."""

    bot: Bot
    player: Player
    clock: StoppedClock
    carrier: Carrier

    def play(self, transcript: str) -> None:
        self.player.play(transcript)

    def begin(self, who: str = "zahra", person: dict[str, Any] = ZAHRA) -> None:
        """To where the code is awaited, with a password."""
        self.play(f"{who}> CHANGE {person['national_id']}\n< code_with_password")

    def text(self, password: str, form: str = "CHANGE {} {}") -> None:
        """The newest code of zahra's, and a password."""
        self.player.text(form.format(self.player.codes["zahra"][-1], password))
        self.bot.courier.deliver_due()

    def account(self, person: dict[str, Any] = ZAHRA) -> Any:
        (found,) = self.rows(select(ACCOUNT).where(ACCOUNT.c.national_id == person["national_id"]))
        return found

    def change(self, person: dict[str, Any] = ZAHRA, **columns: Any) -> None:
        with self.bot.store.writing() as connection:
            mine = ACCOUNT.c.national_id == person["national_id"]
            connection.execute(update(ACCOUNT).where(mine).values(columns))

    def knows(self, password: str, person: dict[str, Any] = ZAHRA) -> bool:
        """Whether this is the person's password."""
        row = self.account(person)
        kept = Hashed(row.password_hash, row.password_key) if row.password_hash else None
        return passwords.verify(self.bot.keyring, kept, password)

    def tickets(self) -> list[Any]:
        return self.rows(select(GRANT).order_by(GRANT.c.created_at, GRANT.c.id))

    def rows(self, statement: Any) -> list[Any]:
        with self.bot.store.reading() as connection:
            return list(connection.execute(statement))


MakeDesk = Callable[..., Desk]


@pytest.fixture
def make_desk(make_bot: MakeBot, carrier: Carrier, clock: StoppedClock) -> MakeDesk:
    def make(**changes: str) -> Desk:
        bot = settled(make_bot(**{"OWN_PASSWORD_BY_SMS": "on", **changes}))
        return Desk(bot, Player(bot, carrier, clock), clock, carrier)

    return make


@pytest.fixture
def desk(make_desk: MakeDesk) -> Desk:
    return make_desk()


SAME = f"> {{code}} {OWN}\n< password_changed"
AFTER_THE_CODE_ALONE = f"> {{code}}\n< ask_code_with_password\n{SAME}"
AFTER_A_WEAK_ONE = f"> {{code}} Sffrn14\n< password_too_short\n{SAME}"
WITH_THE_WORD = f"> CHANGE {{code}} to {OWN}\n< password_changed"
PADDED = f"> \u200f {{code}} \u200f {OWN} \\n\n< password_changed"


@pytest.mark.parametrize("way", [SAME, AFTER_THE_CODE_ALONE, AFTER_A_WEAK_ONE, WITH_THE_WORD, PADDED])
def test_ones_own_is_kept_as_argon2id_and_has_no_end(desk: Desk, way: str) -> None:
    desk.play("> CHANGE 0012345679\n< code_with_password")
    desk.clock.forward(seconds=30)
    desk.play(way)
    row = desk.account()
    parameters = extract_parameters(row.password_hash)
    assert row.password_hash.startswith("$argon2id$")
    cost = desk.bot.keyring.cost
    assert (parameters.memory_cost, parameters.time_cost) == (cost.memory, cost.passes)
    assert row.password_key == "k1"
    assert row.password_expires_at is None
    assert desk.knows(OWN)
    for other in ("Sffrn14", OTHER, f"to {OWN}", f"{desk.player.codes['zahra'][-1]} {OWN}", f" {OWN}"):
        assert not desk.knows(other)


def test_a_generated_one_ends_after_72_hours_until_another_takes_its_place(desk: Desk) -> None:
    desk.play("> RESET 0012345679\n< code\n> {code}\n< new_password")
    generated = desk.carrier.sent[-1].text.split("\n")[1].replace("-", "")
    assert len(generated) == 12
    assert desk.account().password_expires_at == NOON + TEMPORARY
    assert desk.knows(generated)
    desk.begin()
    assert desk.account().password_expires_at == NOON + TEMPORARY
    assert desk.knows(generated)
    desk.play(SAME)
    assert desk.account().password_expires_at is None
    assert (desk.knows(generated), desk.knows(OWN)) == (False, True)
    desk.play("> RESET 0012345679\n< code\n> {code}\n< new_password")
    assert desk.account().password_expires_at == NOON + TEMPORARY
    assert not desk.knows(OWN)


def test_a_code_for_a_change_brings_no_password_where_their_own_are_not_taken(make_desk: MakeDesk) -> None:
    desk = make_desk(OWN_PASSWORD_BY_SMS="off")
    desk.play(f"> CHANGE 0012345679\n< code_for_fakher\n> {{code}} {OWN}\n< own_password_at_fakher")
    assert desk.account().password_hash is None
    (code,) = desk.rows(select(CODE))
    assert (code.tries_left, code.closed_at) == (5, None)
    desk.play("> {code}\n< own_password_at_fakher")
    (code,) = desk.rows(select(CODE))
    assert (code.tries_left, code.closed_at) == (4, None)
    assert desk.account().password_hash is None
    verdict = desk.bot.fakher.verify_code(Caller("t"), ZAHRA["national_id"], desk.player.codes["zahra"][-1])
    assert verdict.ticket
    desk.bot.fakher.set_password(Caller("t"), verdict.ticket.text, OWN)
    assert desk.knows(OWN)


def test_one_follows_another(desk: Desk) -> None:
    for password, before in ((OWN, OTHER), (OTHER, OWN)):
        desk.begin()
        desk.play(f"> {{code}} {password}\n< password_changed")
        assert (desk.knows(password), desk.knows(before)) == (True, False)


@pytest.mark.parametrize("weak", ["Sffrn14", "trustno1", "zahra-1447-kettle"])
def test_a_weak_one_changes_nothing(desk: Desk, weak: str) -> None:
    desk.begin()
    desk.play(SAME)
    before = desk.account()
    desk.begin()
    desk.text(weak)
    assert desk.account() == before
    (code,) = desk.rows(select(CODE).where(CODE.c.closed_at.is_(None)))
    assert code.tries_left == 4


def test_it_is_made_under_the_newest_key(make_desk: MakeDesk) -> None:
    desk = make_desk(SECRET_KEYS=NEW_FIRST)
    desk.begin()
    desk.play(SAME)
    assert desk.account().password_key == "k2"
    assert desk.knows(OWN)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_it_is_good_however_a_phone_writes_its_accents(desk: Desk, form: Any) -> None:
    desk.begin()
    desk.text(unicodedata.normalize(form, "Café آبی, señor"))
    assert desk.knows(unicodedata.normalize("NFC", "Café آبی, señor"))
    assert desk.knows(unicodedata.normalize("NFD", "Café آبی, señor"))


@pytest.mark.parametrize(
    "password",
    [
        "فانوسی روی چاه",
        "🏮🏮🏮k🏮🏮1🕌",
        "torn \ud800 kettle",
        "with\0nothing",
        "kettle " * 70 + "k",
        "x" * 1500 + "yz",
    ],
    ids=["persian", "emoji", "surrogate", "nul", "five hundred", "as long as texts are"],
)
def test_it_is_taken_as_it_was_texted(desk: Desk, password: str) -> None:
    desk.begin()
    desk.text(password)
    assert desk.knows(password)
    assert not desk.knows(password[:-1])


def test_spaces_within_are_part_of_it_and_the_next_line_is_not(desk: Desk) -> None:
    desk.begin()
    desk.text(" a lantern over  the well \n Zahra\n")
    assert desk.knows("a lantern over  the well")


def test_a_number_after_the_code_is_part_of_it(desk: Desk) -> None:
    desk.begin()
    desk.text(f"739151 {OWN}")
    assert (desk.knows(f"739151 {OWN}"), desk.knows(OWN)) == (True, False)


def test_a_change_is_of_one_account_where_two_share_a_mobile(desk: Desk) -> None:
    desk.begin("omid", TWIN)
    desk.play(SAME)
    assert desk.knows(OWN, TWIN)
    assert desk.account(OMID).password_hash is None
    desk.play(f"> CHANGE 8052916372\n< code_with_password\n> {{code}} {OTHER}\n< password_changed")
    assert (desk.knows(OTHER, OMID), desk.knows(OTHER, TWIN)) == (True, False)
    assert (desk.knows(OWN, OMID), desk.knows(OWN, TWIN)) == (False, True)


# The right to choose one


def test_a_right_code_alone_gives_no_right_and_stays_good(desk: Desk) -> None:
    desk.begin()
    desk.play("> {code}\n< ask_code_with_password")
    (code,) = desk.rows(select(CODE))
    assert (code.closed_at, code.tries_left) == (None, 4)
    assert desk.tickets() == []
    desk.play(f"> {OWN}\n< ask_code")
    assert desk.account().password_hash is None
    desk.play(SAME)
    assert desk.knows(OWN)


def test_a_change_uses_the_code_up(desk: Desk) -> None:
    desk.begin()
    desk.clock.forward(minutes=1)
    desk.play(SAME)
    assert desk.tickets() == []
    (code,) = desk.rows(select(CODE))
    assert (code.close_reason, code.closed_at) == (CloseReason.USED, desk.clock())


@pytest.mark.parametrize("words", ["EXIT\n< cancelled", "STOP\n< opted_out"])
def test_exit_and_stop_end_it(desk: Desk, words: str) -> None:
    desk.begin()
    desk.play(f"> {words}")
    assert [code.close_reason for code in desk.rows(select(CODE))] == [CloseReason.CANCELLED]
    desk.text(OWN)
    assert desk.account().password_hash is None


@pytest.mark.parametrize("words", ["HELP\n< help", "START\n< opted_in", "{code} Sffrn14\n< password_too_short"])
def test_other_words_do_not(desk: Desk, words: str) -> None:
    desk.begin()
    desk.play(f"> {words}")
    assert [code.closed_at for code in desk.rows(select(CODE))] == [None]


def test_exit_of_one_phone_is_not_another_ones(desk: Desk) -> None:
    desk.begin()
    desk.begin("omid", OMID)
    desk.play(f"omid> EXIT\n< cancelled\nzahra{SAME}")


def test_a_change_by_text_voids_fakhers_ticket(desk: Desk) -> None:
    desk.play("> RESET 0012345679\n< code")
    at_fakher = Caller("t")
    verdict = desk.bot.fakher.verify_code(at_fakher, ZAHRA["national_id"], desk.player.codes["zahra"][-1])
    assert verdict.ticket
    desk.play(f"> CHANGE 0012345679\n< code_with_password\n> {{code}} {OWN}\n< password_changed")
    with pytest.raises(TicketGone):
        desk.bot.fakher.set_password(at_fakher, verdict.ticket.text, OTHER)
    assert desk.knows(OWN)


def test_a_code_used_at_fakher_gives_the_phone_nothing(desk: Desk) -> None:
    desk.play("> CHANGE 0012345679\n< code_with_password")
    verdict = desk.bot.fakher.verify_code(Caller("t"), ZAHRA["national_id"], desk.player.codes["zahra"][-1])
    assert verdict.ticket
    desk.play(f"> {{code}} {OWN}\n< no_live_code\n> {OWN}\n< help")
    assert desk.account().password_hash is None
    desk.bot.fakher.set_password(Caller("t"), verdict.ticket.text, OTHER)
    assert desk.knows(OTHER)


@pytest.mark.parametrize("columns", [{"active": False}, {"locked_at": NOON}, {"mobile": PHONES["clerk"]}])
def test_it_ends_with_the_account_or_its_mobile(desk: Desk, columns: dict[str, Any]) -> None:
    desk.begin()
    desk.change(**columns)
    desk.play(f"> {{code}} {OWN}\n< no_live_code\n> {OWN}\n< help")
    assert desk.account().password_hash is None


def test_the_mobile_that_an_account_moved_to_has_no_right_by_it(desk: Desk) -> None:
    desk.begin()
    desk.change(mobile=PHONES["clerk"])
    desk.play(f"clerk> {OWN}\n< help")
    desk.player.text(f"CHANGE {desk.player.codes['zahra'][-1]} {OWN}")
    assert desk.account().password_hash is None


# The run of wrong codes


@pytest.mark.parametrize(
    ("right", "failures"),
    [
        ("> {code}\n< ask_code_with_password", 2),
        ("> {code} Sffrn14\n< password_too_short", 2),
        (SAME, 0),
    ],
)
def test_a_right_code_ends_the_run_of_wrong_ones_where_it_sets_a_password(
    desk: Desk, right: str, failures: int
) -> None:
    desk.begin()
    desk.play(f"> {{wrong}}\n< wrong_code\n> {{wrong}} {OWN}\n< wrong_code")
    assert desk.account().failures == 2
    desk.play(right)
    assert desk.account().failures == failures


def test_it_ends_the_run_of_its_own_account_alone(desk: Desk) -> None:
    desk.change(OMID, failures=7)
    desk.change(TWIN, failures=8)
    desk.begin("omid", TWIN)
    desk.play(SAME)
    assert (desk.account(OMID).failures, desk.account(TWIN).failures) == (7, 0)


def test_a_password_is_no_try(desk: Desk) -> None:
    desk.play("> CHANGE 0012345679\n< code_with_password")
    desk.player.text(OWN)
    (code,) = desk.rows(select(CODE))
    assert (code.tries_left, desk.account().failures) == (5, 0)


def test_a_wrong_code_with_a_password_is_one_try(desk: Desk) -> None:
    desk.play(f"> CHANGE 0012345679\n< code_with_password\n> {{wrong}} {OWN}\n< wrong_code")
    (code,) = desk.rows(select(CODE))
    assert (code.tries_left, desk.account().failures) == (4, 1)
    assert desk.account().password_hash is None
    desk.play(SAME)
    assert desk.knows(OWN)


def test_the_hundredth_wrong_code_closes_recovery_with_a_password_too(desk: Desk) -> None:
    desk.play("> CHANGE 0012345679\n< code_with_password")
    desk.change(failures=99)
    desk.play(f"> {{wrong}} {OWN}\n< recovery_locked\n> {{code}} {OWN}\n< no_live_code")
    assert desk.account().locked_at == desk.clock()
    assert desk.account().password_hash is None


def test_a_bot_hashes_as_strongly_as_is_due_where_nothing_else_is_handed_in(store: Store) -> None:
    bot = build(settings(), gateways=[Carrier()], store=store)
    made = passwords.generate(bot.parts.random_source, bot.keyring)
    assert made.kept.hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@given(
    st.text(passwords.ALPHABET, min_size=12, max_size=12),
    st.lists(st.sampled_from(["", "-", " ", "\u2011", " - ", "\u200f"]), min_size=13, max_size=13),
    st.booleans(),
    st.sampled_from(["0123456789", "۰۱۲۳۴۵۶۷۸۹", "٠١٢٣٤٥٦٧٨٩"]),
)
def test_a_generated_one_is_the_same_however_it_is_typed(
    password: str, signs: list[str], is_upper: bool, digits: str
) -> None:
    typed = "".join(f"{sign}{letter}" for sign, letter in zip(signs, f"{password} ", strict=True)).strip()
    typed = (typed.upper() if is_upper else typed).translate(str.maketrans("0123456789", digits))
    assert passwords.as_generated(typed) == password
    assert passwords.as_generated(passwords.grouped(password)) == password


@pytest.mark.parametrize("typed", ["", "k7mw-4qtz-9hd", "k7mw-4qtz-9hdxx", "k7mw-4qtz-9hd1", "کلیدواژه‌های من"])
def test_what_is_not_generated_is_taken_as_it_is(typed: str) -> None:
    assert passwords.as_generated(typed) is None
