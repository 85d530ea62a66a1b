"""The two phones, as the page's script sees them: by the carrier's signed webhook, with the trial's faults."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask, request
from flask.testing import FlaskClient

from bot.build import Bot, build
from bot.gateways.simulated import Simulated
from bot.gateways.twilio import Twilio
from bot.platform.http_client import HttpClient
from bot.simulation.demo import PEOPLE, STAFF, mobiles, seed
from bot.simulation.state import DELAY, DOWN, CarrierFault, Simulation
from dialogs.staff_vocabulary import StaffState
from dialogs.vocabulary import State
from store.database.engine import Store
from store.tables import DeliveryStatus, InboundMessageRow, OutboundMessageRow, table
from tests.bot.inbound.test_transcripts import titled
from tests.conftest import MakeBot
from tests.support.parts import Carrier, LoadedRandomSource, StoppedClock, settings
from tests.support.people import PHONES, employ, settled
from tests.support.transcript import Player
from webhooks import create_app

ZAHRA, OMID = PEOPLE[0], PEOPLE[1]
REQUEST = f"رمز {ZAHRA.national_id}"
PATHS = ("/phone", "/phone/now", "/phone/texts", "/phone/later", "/phone/faults", "/phone/transcript")


@pytest.fixture
def backend() -> str:
    """One database: the page shows what transcripts play on both."""
    return "sqlite"


class Page:
    """What the page's script does, without a browser."""

    def __init__(self, bot: Bot, app: Flask | None = None) -> None:
        self.bot, self.client = bot, (app or create_app(bot)).test_client()
        self.said: list[dict[str, Any]] = []

    def ask(self, path: str, body: Any) -> Any:
        answer = self.client.post(path, json=body)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return answer.get_json()

    def text(self, words: str, number: str = ZAHRA.mobile) -> dict[str, Any]:
        heard: dict[str, Any] = self.ask("/phone/texts", {"from": number, "text": words})
        self.said.append({**heard, "from": number, "text": words})
        self.bot.courier.deliver_due()
        return heard

    def later(self) -> None:
        self.said.append(self.ask("/phone/later", {}))

    def fault(self, fault: CarrierFault, *, on: bool = True) -> None:
        self.ask("/phone/faults", {"name": fault, "on": on})

    def looks(self, number: str = ZAHRA.mobile) -> dict[str, Any]:
        phone: dict[str, Any] = self.ask("/phone/now", {"numbers": [number]})["phones"][number]
        return phone

    def texts(self, number: str = ZAHRA.mobile) -> list[dict[str, Any]]:
        self.looks(number)  # the carrier is told that they arrived
        found: list[dict[str, Any]] = self.looks(number)["texts"]
        return found

    def code(self, number: str = ZAHRA.mobile) -> str:
        return str([it["code"] for it in self.texts(number) if it.get("code")][-1])

    def transcript(self) -> str:
        return self.client.post("/phone/transcript", json={"said": self.said}).get_data(as_text=True)


@pytest.fixture
def bot(make_bot: MakeBot, simulation: Simulation) -> Bot:
    return settled(make_bot(simulation=simulation))


@pytest.fixture
def page(bot: Bot) -> Page:
    return Page(bot)


@pytest.fixture
def client(page: Page) -> FlaskClient:
    return page.client


def test_it_recovers_a_password(page: Page) -> None:
    assert page.text(REQUEST)["event"] == "ASKED"
    assert page.looks()["states"] == [State.AWAITING_CODE.name]
    page.text(page.code())
    _, password = page.texts()
    assert re.search("^[a-z2-9]{4}(-[a-z2-9]{4}){2}$", password["text"], re.MULTILINE)
    assert {it["tick"] for it in page.texts()} == {"delivered"}
    assert page.looks()["states"] == [State.IDLE.name]


def test_it_shows_what_another_phone_caused(page: Page) -> None:
    page.text(REQUEST, OMID.mobile)
    assert len(page.code()) == 6
    assert [it["code"] for it in page.texts(OMID.mobile)] == [None]


def test_it_shows_which_rule_and_which_words_decided(page: Page) -> None:
    heard = page.text(f"سلام، لغو رمز {ZAHRA.national_id}")
    assert (heard["event"], heard["rule"], heard["by"]) == ("ASKED", "an ID", [ZAHRA.national_id])
    code = page.code()
    heard = page.text(f"{code} لغو نشه")
    assert (heard["event"], heard["by"]) == ("RIGHT_CODE", [code])
    assert heard["rule"] == "a run as long as a code, where one is out"


def test_it_measures_texts_both_ways(page: Page) -> None:
    assert page.text("س" * 1600)["size"] == {"encoding": "UCS-2", "units": 1600, "limit": 70, "segments": 24}
    (hint,) = page.texts()
    assert hint["size"]["segments"] == 1


def test_staff_reset_over_the_two_phones(
    make_bot: MakeBot, simulation: Simulation, carrier: Carrier, random_source: LoadedRandomSource, sqlite_url: str
) -> None:
    bot, clerk = make_bot(simulation=simulation), STAFF[0].mobile
    seed(bot.store)
    page = Page(bot)
    assert page.text(f"بازنشانی {ZAHRA.national_id}", clerk)["event"] == "RESET_ORDERED"
    assert page.looks(clerk)["states"] == [State.IDLE.name, StaffState.CONFIRMING_RESET.name]
    page.text(page.code(clerk), clerk)
    assert page.looks(clerk)["states"] == [State.IDLE.name, StaffState.AT_REST.name]
    orders = page.looks(clerk)["rows"]["confirmations"]
    assert orders["rows"][0][orders["names"].index("close_reason")] == "used"
    assert page.text(page.code())["event"] == "RIGHT_CODE"

    clock, store = StoppedClock(), Store(sqlite_url)
    fresh = settled(build(settings(), clock=clock, random_source=random_source, gateways=[carrier], store=store))
    employ(store)
    ((_, lines),) = titled(page.transcript())
    assert lines.startswith("tehran> بازنشانی")
    Player(fresh, carrier, clock).play(lines)
    store.close()


def test_a_change_of_mobile_shows_on_both_phones(make_bot: MakeBot, simulation: Simulation) -> None:
    bot = make_bot(simulation=simulation)
    seed(bot.store)
    page, new = Page(bot), "+989171112233"
    stands = []
    for clerk in (STAFF[0].mobile, STAFF[2].mobile):
        page.text(f"موبایل {ZAHRA.national_id} {new}", clerk)
        page.text(page.code(clerk), clerk)
        stands.append([page.looks(number)["states"][1:] for number in (ZAHRA.mobile, new, OMID.mobile)])
    assert stands == [[["PROPOSED"], ["PROPOSED"], []], [["HELD"], ["HELD"], []]]
    rows = page.looks()["rows"]["mobile_changes"]
    assert [dict(zip(rows["names"], row, strict=True))["state"] for row in rows["rows"]] == ["held"]
    page.text("لغو")
    assert page.looks()["states"] == [State.IDLE.name]


def test_transcripts_call_everybody_as_the_tests_do() -> None:
    assert {it.nick for it in mobiles()} <= PHONES.keys()
    for leader in mobiles()[: len(PEOPLE)]:
        assert PHONES[leader.nick] == leader.number


def test_a_text_is_handed_in_signed(page: Page) -> None:
    assert page.text(REQUEST)["heard"] is True
    form = {"from": ZAHRA.mobile, "id": "R1", "text": REQUEST}
    assert page.client.post("/webhooks/simulated/sms", data=form).status_code == 403


# Faults


def rows(bot: Bot, model: Any) -> list[Any]:
    with bot.store.reading() as connection:
        return list(connection.execute(table(model).select()))


def test_a_carrier_that_hands_in_everything_twice_has_one_effect(page: Page, bot: Bot) -> None:
    called: list[str] = []
    page.client.application.before_request(lambda: called.append(request.path))
    page.fault(CarrierFault.DUPLICATE)
    page.text(REQUEST)
    assert [it["tick"] for it in page.texts()] == ["delivered"]
    assert len(rows(bot, InboundMessageRow)) == len(rows(bot, OutboundMessageRow)) == 1
    for path in ("/webhooks/simulated/sms", "/webhooks/simulated/receipts"):
        assert called.count(path) == 2, path


def test_a_carrier_that_is_late_brings_a_text_later(page: Page, clock: StoppedClock) -> None:
    page.fault(CarrierFault.DELAY)
    page.text(REQUEST)
    (text,) = page.texts()
    assert (text["tick"], "text" in text) == ("accepted", False)
    clock.forward(seconds=DELAY.total_seconds())
    (text,) = page.texts()
    assert (text["tick"], "text" in text) == ("delivered", True)


def test_a_receipt_that_is_lost_stays_lost(page: Page) -> None:
    page.fault(CarrierFault.LOSE_RECEIPT)
    page.text(REQUEST)
    page.fault(CarrierFault.LOSE_RECEIPT, on=False)
    (text,) = page.texts()
    assert (text["tick"], len(text["code"])) == ("accepted", 6)


def test_what_is_not_delivered_is_not_on_the_phone(page: Page, bot: Bot) -> None:
    page.fault(CarrierFault.UNDELIVERED)
    page.text("راهنما")  # a code would be sent once more
    (text,) = page.texts()
    assert (text["tick"], "text" in text) == ("failed", False)
    assert [row.status for row in rows(bot, OutboundMessageRow)] == [DeliveryStatus.FAILED]


def test_a_gateway_that_is_down_comes_back_by_itself(page: Page, bot: Bot, clock: StoppedClock) -> None:
    page.fault(CarrierFault.DOWN)
    page.text(REQUEST)
    assert [it["tick"] for it in page.texts()] == ["queued"]
    clock.forward(seconds=DOWN.total_seconds())
    bot.courier.deliver_due()
    assert [it["tick"] for it in page.texts()] == ["delivered"]
    assert page.ask("/phone/now", {"numbers": []})["faults"] == []


def test_ten_minutes_later_the_code_has_expired(page: Page, bot: Bot) -> None:
    page.text(REQUEST)
    code = page.code()
    page.later()
    assert page.looks()["states"] == [State.IDLE.name]
    codes = page.looks()["rows"]["codes"]
    assert dict(zip(codes["names"], codes["rows"][0], strict=True))["close_reason"] == "expired"
    assert page.text(code)["event"] == "NO_LIVE_CODE"
    assert page.client.get("/readyz").get_json()["wrong"] == ["courier: not running"], "the jobs ran on the way"


# What is behind it


def test_no_secret_and_no_full_number_stands_in_the_rows(page: Page) -> None:
    page.text(REQUEST)
    code = page.code()
    page.text(REQUEST, OMID.mobile)
    page.text(code)
    password = next(it["text"].splitlines()[1] for it in page.texts() if "رمز تازه" in it.get("text", ""))
    shown = json.dumps(page.looks()["rows"], ensure_ascii=False)
    assert "…4567" in shown
    for secret in (code, password, ZAHRA.national_id, ZAHRA.mobile, ZAHRA.mobile[3:], ZAHRA.name):
        assert secret not in shown


def test_the_state_is_read_as_the_bot_reads_it(page: Page, clock: StoppedClock) -> None:
    page.text("رمز")
    assert page.looks()["states"] == [State.AWAITING_ID.name]
    clock.forward(minutes=10)
    assert page.looks()["states"] == [State.IDLE.name], "though nothing has swept"


# As a test


def test_what_was_tried_can_be_played_as_a_test(
    page: Page, clock: StoppedClock, carrier: Carrier, random_source: LoadedRandomSource, sqlite_url: str
) -> None:
    first = clock.now
    page.text(REQUEST)
    clock.forward(seconds=61.5)
    page.text(REQUEST)
    page.text(page.code().translate(str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")))
    page.text(f"RESET {ZAHRA.national_id}", OMID.mobile)
    page.text("", OMID.mobile)
    page.text("999999")
    page.later()
    page.text("راهنما\nلطفا {کمک}")
    page.text(page.code())
    written = page.transcript()
    ((_, lines),) = titled(written)
    assert "+ 61 s\n" in written
    assert "+ 10 min\n" in written
    assert "> {code}\n" in written
    assert "> {wrong}\n" in written
    assert ZAHRA.mobile[3:] not in written

    other, store = StoppedClock(first), Store(sqlite_url)
    fresh = settled(build(settings(), clock=other, random_source=random_source, gateways=[carrier], store=store))
    Player(fresh, carrier, other).play(lines)
    store.close()


def test_a_code_that_was_sent_once_more_is_played_too(
    page: Page, clock: StoppedClock, carrier: Carrier, random_source: LoadedRandomSource, sqlite_url: str
) -> None:
    first = clock.now
    page.fault(CarrierFault.UNDELIVERED)
    page.text(REQUEST)
    page.texts()
    page.fault(CarrierFault.UNDELIVERED, on=False)
    page.bot.courier.deliver_due()
    page.text(page.code())
    written = page.transcript()
    assert written.splitlines()[2:] == [
        "< fa code",
        "! undelivered zahra",
        "< fa code",
        "> {code}",
        "< fa new_password",
    ]
    other, store = StoppedClock(first), Store(sqlite_url)
    fresh = settled(build(settings(), clock=other, random_source=random_source, gateways=[carrier], store=store))
    ((_, lines),) = titled(written)
    Player(fresh, carrier, other).play(lines)
    store.close()


def test_a_stranger_texts_too_and_the_call_of_a_provider_is_shown(page: Page) -> None:
    heard = page.text("رمز", "+989300000001")
    assert heard["call"].startswith("POST http://127.0.0.1:8000/webhooks/simulated/sms\n")
    assert "from=%2B989300000001" in heard["call"] and ": …\n" in heard["call"]
    assert page.looks("+989300000001")["states"] == [State.AWAITING_ID.name]
    assert "> رمز\n" in page.transcript() and "stranger> " in page.transcript()


def test_texts_at_the_same_moment_are_told_apart(page: Page) -> None:
    numbers, app = [person.mobile for person in PEOPLE[:3]], page.client.application
    with ThreadPoolExecutor(3) as pool:
        said = list(pool.map(lambda number: Page(page.bot, app).text("راهنما", number), numbers))
    windows = sorted((it["after"], it["upto"]) for it in said)
    assert [upto - after for after, upto in windows] == [1, 1, 1]
    assert [after for after, _ in windows[1:]] == [upto for _, upto in windows[:-1]]


def test_nothing_tried_is_a_transcript_of_nothing(page: Page) -> None:
    assert page.transcript().splitlines() == ["== as it went on the phone page"]


# At the door


def test_everybody_in_the_demo_can_be_chosen(make_bot: MakeBot, simulation: Simulation) -> None:
    bot = make_bot(simulation=simulation)
    seed(bot.store)
    shown = Page(bot).client.get("/phone").get_data(as_text=True)
    for person in (*PEOPLE, *STAFF):
        assert shown.count(f'value="{person.mobile}"') == 2
    chosen = re.findall(r'value="(\+[0-9]+)" selected', shown)
    assert chosen == [ZAHRA.mobile, STAFF[0].mobile], "a pilgrim's phone and a staff member's"


def test_the_page_holds_no_key_and_nothing_that_its_policy_forbids(client: FlaskClient, bot: Bot) -> None:
    answer = client.get("/phone")
    shown = answer.get_data(as_text=True)
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<style|<script(?![^>]*\bsrc=)| style=| on[a-z]+=|https?://", shown)
    assert bot.keyring.webhook.hex() not in shown
    assert answer.headers["Cache-Control"] == "no-store"


def test_it_is_not_there_beside_a_real_gateway(make_bot: MakeBot) -> None:
    twilio = settings(GATEWAYS="twilio", TWILIO_ACCOUNT_SID="AC1", TWILIO_AUTH_TOKEN="t", TWILIO_SENDER="+982100000")
    client = create_app(make_bot(twilio, gateways=[Twilio(twilio, HttpClient())])).test_client()
    for path in PATHS:
        assert (client.get(path).status_code, client.post(path, json={}).status_code) == (404, 404), path


def test_a_service_has_no_weather(
    make_bot: MakeBot, store: Store, clock: StoppedClock, random_source: LoadedRandomSource
) -> None:
    bot = settled(make_bot(gateways=[Simulated(store, make_bot().keyring, clock, random_source)]))
    page = Page(bot)
    assert page.client.post("/phone/later", json={}).status_code == 404
    assert page.client.post("/phone/faults", json={"name": "down", "on": True}).status_code == 404
    shown = page.client.get("/phone").get_data(as_text=True)
    assert "checkbox" not in shown
    page.text(REQUEST)
    assert len(page.code()) == 6


def test_it_takes_nothing_that_another_sites_page_could_post(client: FlaskClient) -> None:
    for path in PATHS[1:]:
        assert client.post(path, data={"from": ZAHRA.mobile, "text": REQUEST}).status_code == 415, path
        assert client.post(path, data="{}", content_type="text/plain").status_code == 415, path
        assert client.get(path).status_code == 405, path


NONSENSE: tuple[tuple[str, Any], ...] = (
    ("/phone/now", {}),
    ("/phone/now", []),
    ("/phone/texts", {"from": "RAMZ", "text": "رمز"}),
    ("/phone/texts", {"from": ZAHRA.mobile}),
    ("/phone/texts", {"from": ZAHRA.mobile, "text": "x" * 1601}),
    ("/phone/faults", {"name": "gravity", "on": True}),
    ("/phone/faults", {"name": "delay", "on": "yes"}),
    ("/phone/faults", {"name": [], "on": True}),
    ("/phone/transcript", {}),
    ("/phone/transcript", {"said": [{"at": "yesterday"}]}),
    ("/phone/transcript", {"said": [{"at": "2026-09-01T09:00:00"}]}),
    ("/phone/transcript", {"said": [{"at": "2026-09-01T09:00:00Z", "later": "1e400"}]}),
    ("/phone/transcript", {"said": [{"at": "2026-09-01T09:00:00Z", "after": 0, "upto": 2**70}]}),
    ("/phone/transcript", {"said": [7]}),
)


def test_it_refuses_what_makes_no_sense(client: FlaskClient, bot: Bot) -> None:
    for path, body in NONSENSE:
        assert client.post(path, json=body).status_code == 400, (path, body)
    assert rows(bot, InboundMessageRow) == []


def test_its_clock_is_the_bots(page: Page, clock: StoppedClock) -> None:
    page.later()
    now = page.ask("/phone/now", {"numbers": []})
    assert datetime.fromisoformat(now["now"]) == clock.now + timedelta(minutes=10)
    assert now["ahead"] == 600
