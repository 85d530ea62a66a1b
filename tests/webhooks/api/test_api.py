"""Codes, tickets and passwords as Fakher uses them over HTTP, on both databases."""

import base64
import hashlib
import re
import unicodedata
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask.testing import FlaskClient
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from bot.build import Bot
from bot.credentials import bearer
from store import tokens
from store.tables import AccountRow, CloseReason, CodeRow, ResetGrantRow, WebhookEventRow, table
from tests.conftest import MakeBot
from tests.support.parts import CHEAP, KEYS, NOON, Carrier, StoppedClock
from tests.support.people import LOCKED, OMID, PHONES, RETIRED, TWIN, UNKNOWN_ID, ZAHRA, settled
from tests.support.transcript import Player
from webhooks import create_app


@pytest.fixture
def backend() -> str:
    """One database: races, rotations and the tests of passwords ask of both what the API asks of the store."""
    return "sqlite"


ACCOUNT, EVENT, CODE, GRANT = table(AccountRow), table(WebhookEventRow), table(CodeRow), table(ResetGrantRow)
OWN = "saffron and copper pots"
OTHER = "a lantern over the well"
K2 = f"k2:{base64.b64encode(bytes(range(32, 64))).decode()}"
WEAKER = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1)
EVENTS = {"FAKHER_EVENTS_URL": "http://127.0.0.1:1/events", "FAKHER_EVENTS_SECRET": f"whsec_{'QUJD' * 10}"}
PLENTY = {"CODES_PER_HOUR": "1000", "CODES_PER_DAY": "1000", "RESEND_AFTER_SECONDS": "0"}
NO_LIVE_CODE = {"verified": False, "reason": "no_live_code", "tries_left": 0}
IS_LOCKED = {"verified": False, "reason": "locked", "tries_left": 0}
REFUSED = {"verified": False, "must_change": False}
THEIR_OWN = {"verified": True, "must_change": False}
GENERATED = {"verified": True, "must_change": True}


def wrong(tries_left: int) -> dict[str, Any]:
    return {"verified": False, "reason": "wrong_code", "tries_left": tries_left}


def issue(bot: Bot, name: str = "fakher", days: float = 90) -> str:
    """A token, made now."""
    made, now = bearer.make(bot.parts.random_source), bot.clock()
    with bot.store.writing() as connection:
        tokens.issue(connection, made.id, name, made.digest, now, now + timedelta(days=days))
    return made.text


class Desk:
    """A bot that knows everybody, with Fakher on one side of it and the phones on the other."""

    def __init__(self, bot: Bot, carrier: Carrier, clock: StoppedClock) -> None:
        self.bot, self.carrier, self.clock = settled(bot), carrier, clock
        self.client: FlaskClient = create_app(bot).test_client()
        self.player = Player(bot, carrier, clock)
        self.token = issue(bot)

    def post(self, path: str, body: Any = None, **options: Any) -> TestResponse:
        """A call with the token, and a JSON body or `data`."""
        headers = {"Authorization": f"Bearer {self.token}"} | options.pop("headers", {})
        sent = options if "data" in options else {**options, "json": body}
        return self.client.post(f"/api/v1/{path}", headers=headers, **sent)

    def said(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.post(path, body)
        assert (answer.status_code, answer.mimetype) == (200, "application/json"), answer.text
        assert answer.headers["Cache-Control"] == "no-store"
        found: dict[str, Any] = answer.get_json()
        return found

    def try_code(self, code: str, person: str = ZAHRA["national_id"]) -> dict[str, Any]:
        return self.said("codes/verify", {"national_id": person, "code": code})

    def login(self, password: str, **who: str) -> dict[str, Any]:
        return self.said("passwords/verify", {**(who or {"national_id": ZAHRA["national_id"]}), "password": password})

    def choose(self, ticket: str, password: str = OWN) -> TestResponse:
        return self.post("passwords", {"ticket": ticket, "new_password": password})

    def code(self, who: str = "zahra", person: str = ZAHRA["national_id"]) -> str:
        """A code, asked for by text and read off the phone."""
        self.player.play(f"{who}> CHANGE {person}\n< code_for_fakher")
        return self.player.codes[who][-1]

    def ticket(self) -> str:
        found: str = self.try_code(self.code())["ticket"]
        return found

    def temporary(self) -> str:
        """A generated password, recovered by text."""
        self.player.play("zahra> RESET 0012345679\n< code\n> {code}\n< new_password")
        (found,) = re.findall(r"^[a-z2-9]{4}(?:-[a-z2-9]{4}){2}$", self.carrier.sent[-1].text, re.MULTILINE)
        return str(found).replace("-", "")

    def account(self, person: dict[str, Any] = ZAHRA) -> Any:
        return self.rows(select(ACCOUNT).where(ACCOUNT.c.national_id == person["national_id"]))[0]

    def change(self, person: dict[str, Any] = ZAHRA, **columns: Any) -> None:
        """What staff, an import or the time before may have done to an account."""
        with self.bot.store.writing() as connection:
            mine = ACCOUNT.c.national_id == person["national_id"]
            connection.execute(update(ACCOUNT).where(mine).values(columns))

    def weaken(self, password: str) -> tuple[str, str]:
        """A password as an earlier release may have hashed it."""
        self.change(password_hash=WEAKER.hash(self.bot.keyring.pepper("k1", password) or ""), password_key="k1")
        return self.kept()

    def kept(self) -> tuple[str, str]:
        row = self.account()
        return row.password_hash, row.password_key

    def told(self) -> list[str]:
        """The phones that are told of a change now."""
        before = len(self.carrier.sent)
        self.bot.courier.deliver_due()
        new = self.carrier.sent[before:]
        assert all("تغییر کرد" in text.text and "02112345678" in text.text for text in new)
        return [text.to for text in new]

    def events(self) -> list[tuple[str, int]]:
        return [(row.event, row.account_id) for row in self.rows(select(EVENT).order_by(EVENT.c.id))]

    def rows(self, statement: Any) -> list[Any]:
        with self.bot.store.reading() as connection:
            return list(connection.execute(statement))


MakeDesk = Callable[..., Desk]


@pytest.fixture
def make_desk(make_bot: MakeBot, carrier: Carrier, clock: StoppedClock) -> MakeDesk:
    return lambda **changes: Desk(make_bot(**changes), carrier, clock)


@pytest.fixture
def desk(make_desk: MakeDesk) -> Desk:
    return make_desk()


def in_digits(zero: str, written: str) -> str:
    """A number in another script."""
    return "".join(chr(ord(zero) + int(digit)) for digit in written)


def with_another(text: str, place: int) -> str:
    """A text with one other character in that place."""
    at = place % len(text)
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]


class TestACode:
    def test_it_gives_a_ticket_once(self, desk: Desk) -> None:
        code = desk.code()
        verdict = desk.try_code(code)
        assert verdict.keys() == {"verified", "ticket", "expires_at"}
        assert verdict["verified"] is True
        assert bearer.read(verdict["ticket"])
        assert verdict["expires_at"] == "2026-09-01T09:10:00Z"
        assert desk.try_code(code) == NO_LIVE_CODE
        assert [row.close_reason for row in desk.rows(select(CODE.c.close_reason))] == [CloseReason.USED]

    @pytest.mark.parametrize("asked", ["> رمز 0012345679\n< code", "stranger> 0012345679\n< neutral\nzahra< code"])
    def test_one_for_a_recovery_is_as_good_whoever_asked_for_it(self, desk: Desk, asked: str) -> None:
        desk.player.play(asked)
        assert desk.try_code("100001")["verified"]

    @pytest.mark.parametrize("zero", "0۰٠")
    def test_it_and_the_id_can_be_written_in_any_digits(self, desk: Desk, zero: str) -> None:
        code, person = desk.code(), ZAHRA["national_id"]
        assert desk.try_code(in_digits(zero, "100002"), in_digits(zero, person)) == wrong(4)
        assert desk.try_code(in_digits(zero, code[:3]) + code[3:], person[:4] + in_digits(zero, person[4:]))["verified"]

    @pytest.mark.parametrize("person", ["012345679", "12345679", "۱۲۳۴۵۶۷۹"])
    def test_the_id_may_have_lost_its_zeros(self, desk: Desk, person: str) -> None:
        assert desk.try_code(desk.code(), person)["verified"]

    def test_one_of_another_length_is_wrong_and_costs_a_try(self, desk: Desk) -> None:
        code = desk.code()
        assert desk.try_code(f"{code}0") == wrong(4)
        assert desk.try_code(f"0{code}") == wrong(3)
        assert desk.try_code(f"{code}{code[:4]}") == wrong(2)
        assert desk.try_code(code)["verified"]

    def test_one_that_can_not_be_is_malformed_and_costs_none(self, desk: Desk) -> None:
        code = desk.code()
        for written in (
            code[:5],
            f"{code}00000",
            f"{code[:5]}x",
            f" {code}",
            f"{code}\n",
            "",
            "१०००००",
            "１００００１",
        ):
            answer = desk.post("codes/verify", {"national_id": ZAHRA["national_id"], "code": written})
            assert answer.status_code == 422, written
        assert desk.try_code("100002") == wrong(4)

    def test_it_may_be_longer_by_the_operators_wish(self, make_desk: MakeDesk) -> None:
        desk = make_desk(CODE_LENGTH="10")
        desk.player.play("> CHANGE 0012345679\n< code_for_fakher")
        assert (desk.try_code("100001"), desk.try_code("0000100001")["verified"]) == (wrong(4), True)

    @pytest.mark.parametrize(("seconds", "is_good"), [(599, True), (600, False), (601, False)])
    def test_it_lives_ten_minutes(self, desk: Desk, seconds: int, is_good: bool) -> None:
        code = desk.code()
        desk.clock.forward(seconds=seconds)
        verdict = desk.try_code(code)
        assert verdict["verified"] is is_good
        assert is_good or verdict == NO_LIVE_CODE

    @pytest.mark.parametrize("person", [UNKNOWN_ID, "1234567890", "0000000000", "9999999999", RETIRED["national_id"]])
    def test_none_is_live_for_the_unknown_and_the_inactive(self, desk: Desk, person: str) -> None:
        desk.code()
        for code in ("100001", "000000"):
            assert desk.try_code(code, person) == NO_LIVE_CODE

    def test_who_never_asked_has_none_and_who_is_locked_hears_it(self, desk: Desk) -> None:
        assert desk.try_code("100001") == NO_LIVE_CODE
        assert desk.try_code("100001", LOCKED["national_id"]) == IS_LOCKED

    @pytest.mark.parametrize(
        ("columns", "verdict"),
        [
            ({"active": False}, NO_LIVE_CODE),
            ({"locked_at": NOON}, IS_LOCKED),
            ({"locked_at": NOON, "active": False}, NO_LIVE_CODE),
            ({"mobile": "+989120000009"}, NO_LIVE_CODE),
        ],
    )
    def test_it_is_void_once_its_account_is_closed_or_moved(
        self, desk: Desk, columns: dict[str, Any], verdict: dict[str, Any]
    ) -> None:
        code = desk.code()
        desk.change(**columns)
        assert desk.try_code(code) == verdict

    def test_it_is_good_for_its_own_account_alone(self, desk: Desk) -> None:
        mine, others = desk.code(), desk.code("omid", OMID["national_id"])
        assert desk.try_code(others) == wrong(4)
        assert desk.try_code(mine, OMID["national_id"]) == wrong(4)
        assert desk.try_code(others, TWIN["national_id"]) == NO_LIVE_CODE  # the same mobile
        assert desk.try_code(others, OMID["national_id"])["verified"]
        assert desk.try_code(mine)["verified"]

    def test_a_newer_one_voids_it(self, desk: Desk) -> None:
        older = desk.code()
        desk.clock.forward(seconds=61)
        newer = desk.code()
        assert desk.try_code(older) == wrong(4)
        assert desk.try_code(newer)["verified"]

    def test_it_is_dropped_by_text(self, desk: Desk) -> None:
        code = desk.code()
        desk.player.play("> CANCEL\n< cancelled")
        assert desk.try_code(code) == NO_LIVE_CODE

    def test_used_here_it_is_no_good_by_text(self, desk: Desk) -> None:
        assert desk.try_code(desk.code())["verified"]
        desk.player.play("> {code}\n< no_live_code")

    def test_used_by_text_it_is_no_good_here(self, desk: Desk) -> None:
        desk.temporary()
        assert desk.try_code("100001") == NO_LIVE_CODE

    def test_its_text_dies_with_it(self, desk: Desk) -> None:
        desk.player.text("CHANGE 0012345679")
        assert desk.try_code("100001")["verified"]
        assert desk.bot.courier.deliver_due() == 0


class TestATicket:
    @pytest.mark.parametrize(("seconds", "status"), [(0, 204), (599, 204), (600, 410), (601, 410)])
    def test_it_lives_ten_minutes(self, desk: Desk, seconds: int, status: int) -> None:
        ticket = desk.ticket()
        desk.clock.forward(seconds=seconds)
        assert desk.choose(ticket).status_code == status
        assert desk.login(OWN)["verified"] is (status == 204)

    def test_it_is_good_once(self, desk: Desk) -> None:
        ticket = desk.ticket()
        assert desk.choose(ticket).status_code == 204
        assert desk.choose(ticket, OTHER).status_code == 410
        assert (desk.login(OWN), desk.login(OTHER)) == (THEIR_OWN, REFUSED)

    def test_only_its_hash_is_kept(self, desk: Desk) -> None:
        held = bearer.read(desk.ticket())
        (row,) = desk.rows(select(GRANT))
        assert held and row.digest == hashlib.sha256(held.secret.encode()).digest()
        assert held.secret not in repr(row)

    @pytest.mark.parametrize("place", [0, 21, 23, 34, -1])
    def test_one_character_makes_another_of_it(self, desk: Desk, place: int) -> None:
        ticket = desk.ticket()
        assert desk.choose(with_another(ticket, place)).status_code == 410
        assert desk.login(OWN) == REFUSED
        assert desk.choose(ticket).status_code == 204

    def test_a_newer_one_voids_it(self, desk: Desk) -> None:
        older = desk.ticket()
        desk.clock.forward(seconds=61)
        newer = desk.ticket()
        assert desk.choose(older).status_code == 410
        assert desk.choose(newer).status_code == 204

    def test_another_persons_does_not(self, desk: Desk) -> None:
        mine = desk.ticket()
        others = desk.try_code(desk.code("omid", OMID["national_id"]), OMID["national_id"])["ticket"]
        assert (desk.choose(mine).status_code, desk.choose(others, OTHER).status_code) == (204, 204)
        assert desk.login(OTHER, username="omid") == desk.login(OWN, username="zahra") == THEIR_OWN

    def test_another_password_set_by_text_voids_it(self, desk: Desk) -> None:
        ticket = desk.ticket()
        desk.clock.forward(seconds=61)
        temporary = desk.temporary()
        assert desk.choose(ticket).status_code == 410
        assert desk.login(temporary) == GENERATED

    @pytest.mark.parametrize("columns", [{"active": False}, {"locked_at": NOON}])
    def test_it_is_void_while_its_account_is_closed(self, desk: Desk, columns: dict[str, Any]) -> None:
        ticket = desk.ticket()
        desk.change(**columns)
        assert desk.choose(ticket).status_code == 410
        desk.change(active=True, locked_at=None)
        assert desk.login(OWN) == REFUSED

    def test_a_code_texted_without_a_password_gives_nobody_a_ticket(self, make_desk: MakeDesk) -> None:
        desk = make_desk(OWN_PASSWORD_BY_SMS="on")
        desk.player.play("> CHANGE 0012345679\n< code_with_password\n> {code}\n< ask_code_with_password")
        assert desk.rows(select(GRANT)) == []
        assert desk.choose(desk.try_code("100001")["ticket"]).status_code == 204

    @pytest.mark.parametrize(
        ("password", "reasons"),
        [
            ("k7mw4qt", ["too_short"]),
            ("", ["too_short", "too_common"]),
            ("iloveyou1", ["too_common"]),
            ("ZZZZZZZZZZZZ", ["too_common"]),
            ("Zahra over the well", ["too_personal"]),
            ("۱۲۳۴۵۶۷۹ kettle", ["too_personal"]),
            ("0912 123 4567 kettle", ["too_personal"]),
            ("zahra k", ["too_short", "too_personal"]),
        ],
    )
    def test_it_stays_good_after_a_weak_password(self, desk: Desk, password: str, reasons: list[str]) -> None:
        ticket = desk.ticket()
        answer = desk.choose(ticket, password)
        assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
        assert answer.get_json()["type"] == "urn:ramz:weak-password"
        assert (answer.get_json()["reasons"], answer.get_json()["status"]) == (reasons, 422)
        assert desk.login(password) == REFUSED
        assert desk.told() == []
        assert desk.choose(ticket).status_code == 204


class TestANewPassword:
    def test_it_takes_the_place_of_the_old_one(self, desk: Desk) -> None:
        temporary = desk.temporary()
        desk.clock.forward(seconds=61)
        answer = desk.choose(desk.ticket())
        assert (answer.status_code, answer.data, answer.mimetype) == (204, b"", None)
        assert answer.headers["Cache-Control"] == "no-store"
        assert desk.login(OWN) == THEIR_OWN
        assert desk.login(temporary) == REFUSED
        assert desk.account().password_expires_at is None

    def test_it_may_hold_any_character(self, desk: Desk) -> None:
        password = " \x00\x1f\x7f\u200c رمز é 🕋 \n\U000e0001 "
        assert desk.choose(desk.ticket(), unicodedata.normalize("NFD", password)).status_code == 204
        assert desk.login(password) == THEIR_OWN
        assert desk.login(password.strip()) == REFUSED

    def test_it_may_be_long_and_counts_to_its_end(self, desk: Desk) -> None:
        password = "0123456789abcdef" * 4000
        assert desk.choose(desk.ticket(), password).status_code == 204
        assert desk.login(password[:-1]) == REFUSED
        assert desk.login(password) == THEIR_OWN

    def test_its_holder_is_told_once(self, desk: Desk) -> None:
        ticket = desk.ticket()
        assert desk.told() == []
        desk.choose(ticket)
        desk.choose(ticket)
        assert desk.told() == [ZAHRA["mobile"]]
        assert desk.events() == []  # Fakher wants none: it has set no address

    @pytest.mark.parametrize(("hours", "told"), [(71.99, True), (72, False), (72.01, False)])
    def test_the_mobile_before_is_told_for_three_days(self, desk: Desk, hours: float, told: bool) -> None:
        desk.change(former_mobile=PHONES["clerk"], mobile_changed_at=desk.clock() - timedelta(hours=hours))
        desk.choose(desk.ticket())
        assert desk.told() == [ZAHRA["mobile"], *([PHONES["clerk"]] if told else [])]

    @pytest.mark.parametrize("silent", ["zahra", "clerk"])
    def test_a_phone_that_said_stop_is_told_all_the_same(self, desk: Desk, silent: str) -> None:
        desk.change(former_mobile=PHONES["clerk"], mobile_changed_at=desk.clock())
        ticket = desk.ticket()
        desk.player.play(f"{silent}> STOP\n< opted_out")
        assert desk.choose(ticket).status_code == 204
        assert desk.told() == [PHONES["zahra"], PHONES["clerk"]]

    def test_fakher_is_told_where_it_wants_to_be(self, make_desk: MakeDesk) -> None:
        desk = make_desk(**EVENTS)
        ticket = desk.ticket()
        desk.choose(ticket, "short")
        assert desk.events() == []
        desk.choose(ticket)
        desk.choose(ticket)
        assert desk.events() == [("password.changed", desk.account().id)]
        (row,) = desk.rows(select(EVENT))
        assert (row.happened_at, row.next_attempt_at, row.attempts, row.ended_at) == (NOON, NOON, 0, None)


class TestALogin:
    @pytest.mark.parametrize(
        "who", [{"username": "zahra"}, *({"national_id": it} for it in ("0012345679", "12345679", "۰۰۱۲۳۴۵۶۷۹"))]
    )
    def test_it_is_by_user_name_or_by_id(self, desk: Desk, who: dict[str, str]) -> None:
        desk.choose(desk.ticket())
        assert desk.login(OWN, **who) == THEIR_OWN
        assert desk.login(OTHER, **who) == REFUSED
        assert desk.login("", **who) == REFUSED

    @pytest.mark.parametrize("name", ["Zahra", "zahra ", "zahrа", "0012345679", "nobody", "' OR 1=1 --"])
    def test_a_user_name_is_taken_as_it_is_spelt(self, desk: Desk, name: str) -> None:
        desk.choose(desk.ticket())
        assert desk.login(OWN, username=name) == REFUSED

    def test_nobody_has_a_password_before_one_is_set(self, desk: Desk) -> None:
        for who in ("0012345679", UNKNOWN_ID, "1234567890"):
            for password in ("", "another", OWN):
                assert desk.login(password, national_id=who) == REFUSED

    def test_an_inactive_account_has_no_right_password(self, desk: Desk) -> None:
        desk.choose(desk.ticket())
        desk.change(active=False)
        assert desk.login(OWN) == REFUSED

    def test_a_generated_one_must_be_changed_and_dies_in_three_days(self, desk: Desk) -> None:
        temporary = desk.temporary()
        assert desk.login(temporary) == desk.login(temporary, username="zahra") == GENERATED
        assert desk.login(temporary[::-1]) == REFUSED
        desk.clock.forward(hours=72, seconds=-1)
        assert desk.login(temporary) == GENERATED
        desk.clock.forward(seconds=1)
        assert desk.login(temporary) == REFUSED

    def test_one_of_their_own_lasts(self, desk: Desk) -> None:
        desk.choose(desk.ticket())
        desk.clock.forward(days=80)
        assert desk.login(OWN) == THEIR_OWN


class TestAHashThatIsOutdated:
    def test_it_is_made_anew_under_the_newest_key(self, make_desk: MakeDesk, make_bot: MakeBot) -> None:
        desk = make_desk()
        desk.choose(desk.ticket())
        before = desk.kept()
        for keyring in (f"{K2},{KEYS}", K2):
            desk.client = create_app(make_bot(SECRET_KEYS=keyring)).test_client()
            assert desk.login(OTHER) == REFUSED
            assert desk.login(OWN) == THEIR_OWN
        assert (before[1], desk.kept()[1]) == ("k1", "k2")
        desk.client = create_app(make_bot()).test_client()
        assert desk.login(OWN) == REFUSED

    def test_it_is_made_anew_by_the_present_parameters(self, desk: Desk) -> None:
        weaker = desk.weaken(OWN)
        assert desk.login(OTHER) == REFUSED
        assert desk.kept() == weaker
        assert desk.login(OWN, username="zahra") == THEIR_OWN
        present = desk.kept()
        assert present[0].startswith(f"$argon2id$v=19$m={CHEAP.memory},t={CHEAP.passes},p={CHEAP.lanes}$")
        assert desk.login(OWN) == THEIR_OWN
        assert desk.kept() == present

    def test_a_generated_password_stays_one(self, desk: Desk) -> None:
        temporary = desk.temporary()
        row = desk.account()
        weaker = desk.weaken(temporary)
        assert desk.login(temporary) == desk.login(temporary) == GENERATED
        assert desk.kept() != weaker
        new = desk.account()
        assert new.password_expires_at == row.password_expires_at is not None

    def test_one_that_is_over_is_left_as_it_is(self, desk: Desk) -> None:
        weaker = desk.weaken(temporary := desk.temporary())
        desk.clock.forward(hours=72)
        assert desk.login(temporary) == REFUSED
        assert desk.kept() == weaker
