"""The console over HTTP: who gets in, how often it may be tried, whose figures are seen, and what shows nowhere."""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from io import StringIO
from itertools import count, islice
from typing import Any

import pytest
from sqlalchemy import delete, insert, select
from werkzeug.test import TestResponse

from bot.accounts import staff_removal
from bot.accounts.console_login import IDLE, LONGEST, proof
from bot.build import Bot
from bot.credentials.password_policy import Weakness
from bot.platform.clock import midnight
from bot.ports import Inbound
from bot.reports.kpi import POINTS
from bot.sending.flood_guard import GUARDS, Flood
from dialogs.audit_vocabulary import Action, Actor, Outcome, Record, RecordOrder
from dialogs.limits import LOCKING_FAILURES, LOGIN_TRIES_OF_KNOWN_BROWSER, LOGIN_TRIES_PER_HOUR
from dialogs.parsing.normalise import national_id
from dialogs.staff_vocabulary import Command, StaffEvent
from dialogs.tables.machine import DIALOGS
from dialogs.vocabulary import CodePurpose
from store import staff, webhook_events
from store.service import circuit_breakers, heartbeats
from store.tables import (
    AuditRow,
    CloseReason,
    CodeRow,
    ConsoleBrowserRow,
    ConsoleSessionRow,
    DeliveryStatus,
    MessageKind,
    OutboundMessageRow,
    table,
)
from store.views.delivery_stats import STEPS
from store.webhook_events import NewEvent
from tests.conftest import MakeBot
from tests.support import made_texts
from tests.support.console_browser import Browser
from tests.support.databases import SQLITE_ONLY
from tests.support.parts import NOON, Carrier, StoppedClock, eventually
from tests.support.people import BROKER, CHIEF, OMID, STRANGER, TEHRAN, ZAHRA, employ, settle, settled
from webhooks import create_app, html

FARS: dict[str, Any] = {"mobile": "+989111110009", "name": "Fars", "role": "provincial", "province": "فارس"}
HOME = "http://127.0.0.1:8000"


@pytest.fixture
def home(bot: Bot) -> Bot:
    settled(bot)
    employ(bot.store)
    employ(bot.store, FARS)
    return bot


@pytest.fixture
def browser(home: Bot, carrier: Carrier) -> Browser:
    return Browser(home, carrier)


def is_in(browser: Browser) -> bool:
    return "Log out" in browser.get("/console?lang=en").text


def noted(bot: Bot) -> list[tuple[str, str, str | None]]:
    rows = table(AuditRow).c
    with bot.store.reading() as connection:
        return [
            tuple(row) for row in connection.execute(select(rows.action, rows.outcome, rows.reason).order_by(rows.id))
        ]


def recover(bot: Bot, person: dict[str, Any]) -> None:
    """A code for a pilgrim, sent off."""
    bot.hear(Inbound("simulated", f"I{person['mobile']}", person["mobile"], f"رمز {person['national_id']}"))
    bot.courier.deliver_due()


# The door


@pytest.mark.parametrize("person", [CHIEF, TEHRAN])
def test_staff_log_in_by_the_code_that_is_texted_to_them(browser: Browser, person: dict[str, Any]) -> None:
    browser.log_in(person["mobile"])
    assert noted(browser.bot) == [("console_code", "ok", None), ("console_login", "ok", None)]
    assert browser.carrier.sent[-1].to == person["mobile"]


@pytest.mark.parametrize("typed", ["{0}-{1}", "{0} {1}", "\u200f{0}–{1} ", "{0}.{1}", "{fa}"])
def test_the_code_may_be_typed_as_it_is_read(browser: Browser, typed: str) -> None:
    browser.ask(CHIEF["mobile"])
    code = browser.code()
    persian = code.translate(str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹"))
    written = typed.format(code[:3], code[3:], fa=f"{persian[:3]}-{persian[3:]}")
    answer = browser.post("/console/login", mobile=CHIEF["mobile"], code=written)
    assert answer.status_code == 303


def test_a_province_is_asked_for_in_any_spelling(browser: Browser) -> None:
    recover(browser.bot, ZAHRA)
    browser.log_in(CHIEF["mobile"])
    pages = [browser.get(f"/console/days?lang=en&province={it}").text for it in ("تهران", "تـهران", " تهران\u200c")]
    assert [page.count("<option selected>تهران</option>") for page in pages] == [1, 1, 1]


def test_the_first_page_is_there_for_whoever_asks_for_its_head(browser: Browser) -> None:
    assert browser.client.head("/console").status_code == 200


def test_everybody_is_told_the_same(home: Bot, carrier: Carrier) -> None:
    def told(mobile: str) -> tuple[int, str]:
        answer = Browser(home, carrier).ask(mobile)
        return answer.status_code, re.sub(r'value="[^"]*"', "", answer.text)

    known = told(CHIEF["mobile"])
    assert [told(it) for it in (STRANGER, BROKER["mobile"], ZAHRA["mobile"], "nonsense", "")] == [known] * 5
    assert len(carrier.sent) == 1


def test_what_is_written_in_vain_is_never_sent(home: Bot, carrier: Carrier) -> None:
    home.start()
    try:
        for mobile in (STRANGER, BROKER["mobile"], "nonsense", CHIEF["mobile"], CHIEF["mobile"]):
            home.console.ask(mobile, "address", "fa")
        assert eventually(lambda: carrier.sent)
    finally:
        home.stop()
    assert [text.to for text in carrier.sent] == [CHIEF["mobile"]]


def test_what_is_asked_in_vain_leaves_no_text_to_others_and_no_code_void(
    home: Bot, carrier: Carrier, clock: StoppedClock
) -> None:
    mobiles = (CHIEF["mobile"], STRANGER, BROKER["mobile"], "nonsense", CHIEF["mobile"])
    asked = [home.console.ask(mobile, "address", "fa") for mobile in mobiles]
    clock.forward(seconds=30)  # whatever a process has claimed is another's by now
    home.courier.deliver_due()
    assert [text.to for text in carrier.sent] == [CHIEF["mobile"]]
    code = re.findall(r"\b[0-9]{6}\b", carrier.sent[0].text)[-1]
    assert home.console.enter(CHIEF["mobile"], code, "address", asked) is not None


def test_a_code_is_good_once_and_for_ten_minutes(browser: Browser, clock: StoppedClock) -> None:
    mobile = CHIEF["mobile"]
    browser.log_in(mobile)
    assert browser.post("/console/logout").status_code == 303
    browser.get("/console?lang=en")
    assert browser.post("/console/login", mobile=mobile, code=browser.code()).status_code == 403
    other = Browser(browser.bot, browser.carrier)
    clock.forward(seconds=61)
    other.ask(mobile)
    clock.forward(seconds=599)
    assert other.post("/console/login", mobile=mobile, code=browser.code()).status_code == 303
    clock.forward(seconds=61)
    other.ask(mobile)
    clock.forward(seconds=601)
    assert other.post("/console/login", mobile=mobile, code=browser.code()).status_code == 403


def test_a_newer_code_voids_the_older_and_another_members_code_is_no_good(
    browser: Browser, clock: StoppedClock
) -> None:
    browser.ask(CHIEF["mobile"])
    older = browser.code()
    assert browser.post("/console/login", mobile=TEHRAN["mobile"], code=older).status_code == 403
    clock.forward(seconds=61)
    browser.ask(CHIEF["mobile"])
    assert browser.post("/console/login", mobile=CHIEF["mobile"], code=older).status_code == 403
    assert browser.post("/console/login", mobile=CHIEF["mobile"], code=browser.code()).status_code == 303


def test_five_wrong_tries_end_a_code(browser: Browser) -> None:
    browser.ask(CHIEF["mobile"])
    for _ in range(5):
        assert browser.post("/console/login", mobile=CHIEF["mobile"], code="000000").status_code == 403
    assert browser.post("/console/login", mobile=CHIEF["mobile"], code=browser.code()).status_code == 403
    assert [row[2] for row in noted(browser.bot)][-2:] == ["last_wrong", "no_live_code"]


def test_codes_are_sent_no_oftener_than_to_pilgrims(browser: Browser, clock: StoppedClock) -> None:
    browser.ask(CHIEF["mobile"])
    browser.ask(CHIEF["mobile"])
    assert len(browser.carrier.sent) == 1
    for _ in range(6):
        clock.forward(seconds=61)
        browser.ask(CHIEF["mobile"])
    assert len(browser.carrier.sent) == 5


def test_an_address_may_try_so_often_in_an_hour(browser: Browser, clock: StoppedClock) -> None:
    answers = [browser.ask(STRANGER).status_code for _ in range(LOGIN_TRIES_PER_HOUR + 1)]
    assert answers == [200] * LOGIN_TRIES_PER_HOUR + [429]
    assert browser.ask(CHIEF["mobile"]).status_code == 429
    assert browser.carrier.sent == []
    clock.forward(minutes=30)
    browser.bot.jobs.forget()
    assert browser.ask(CHIEF["mobile"]).status_code == 429
    clock.forward(minutes=31)
    assert browser.ask(CHIEF["mobile"]).status_code == 200


@SQLITE_ONLY
@pytest.mark.parametrize(
    ("host", "peer", "named", "apart"),
    [
        ("127.0.0.1", "127.0.0.1", "10.0.0.{}", True),
        ("127.0.0.1", "::1", "10.0.0.{}", True),
        ("10.0.0.1", "10.0.0.1", "10.0.0.{}", True),  # a proxy that has a second host behind it
        ("10.0.0.1", "10.0.0.1", "192.0.2.{}, 10.0.0.9", False),  # what the caller says of itself counts for nothing
        ("10.0.0.1", "10.0.0.2", "10.0.0.{}", False),
        ("0.0.0.0", "198.51.100.7", "10.0.0.{}", False),
        ("127.0.0.1", "127.0.0.1", "2001:db8::{}", False),  # whoever has one of a network's has all
        ("127.0.0.1", "127.0.0.1", "2001:db8:0:{}::1", True),
        ("127.0.0.1", "127.0.0.1", "unknown, {}", False),
        ("::", "::ffff:127.0.0.1", "10.0.0.{}", True),  # IPv4 over a socket of both kinds
        ("::", "::ffff:198.51.100.7", "10.0.0.{}", False),
        ("127.0.0.1", "127.0.0.1", "::ffff:10.0.0.{}", True),
    ],
)
def test_a_proxy_on_this_machine_says_who_calls_and_nobody_else_does(
    make_bot: MakeBot, carrier: Carrier, host: str, peer: str, named: str, apart: bool
) -> None:
    bot = settled(make_bot(HOST=host))
    browser = Browser(bot, carrier)
    browser.client.environ_base["REMOTE_ADDR"] = peer
    for number in range(LOGIN_TRIES_PER_HOUR):
        browser.client.environ_base["HTTP_X_FORWARDED_FOR"] = named.format(number + 2)
        assert browser.ask(STRANGER).status_code == 200
    browser.client.environ_base["HTTP_X_FORWARDED_FOR"] = named.format(99)
    assert browser.ask(STRANGER).status_code == (200 if apart else 429)


@SQLITE_ONLY
def test_callers_over_ipv4_are_told_apart_where_both_kinds_are_listened_to(make_bot: MakeBot, carrier: Carrier) -> None:
    browser = Browser(settled(make_bot(HOST="::")), carrier)
    for number in range(LOGIN_TRIES_PER_HOUR + 1):
        browser.client.environ_base["REMOTE_ADDR"] = f"::ffff:192.0.2.{number}"
        assert browser.ask(STRANGER).status_code == 200


@SQLITE_ONLY
def test_a_form_that_is_not_ours_is_refused(browser: Browser) -> None:
    for form in ({}, {"proof": ""}, {"proof": "0" * 64}, {"proof": "é"}):
        answer = browser.client.post("/console/code", data={"mobile": CHIEF["mobile"], **form}, base_url=HOME)
        assert answer.status_code == 403
    browser.log_in(CHIEF["mobile"])
    assert browser.client.post("/console/logout", data={"proof": "0" * 64}, base_url=HOME).status_code == 403
    assert is_in(browser)


def test_logging_out_ends_the_session_itself(browser: Browser) -> None:
    browser.log_in(CHIEF["mobile"])
    cookie = browser.client.get_cookie("ramz-console", domain="127.0.0.1")
    assert cookie
    assert browser.post("/console/logout").status_code == 303
    browser.client.set_cookie("ramz-console", cookie.value, domain="127.0.0.1")
    assert not is_in(browser)
    assert noted(browser.bot)[-1][0] == "console_logout"


@pytest.mark.parametrize("next_one", [CHIEF, TEHRAN])
def test_another_login_in_the_same_browser_ends_the_session_before_it(
    browser: Browser, clock: StoppedClock, next_one: dict[str, Any]
) -> None:
    """Whoever has a copy of its cookie is out, too."""
    door, copy = browser.page, Browser(browser.bot, browser.carrier)
    browser.log_in(CHIEF["mobile"])
    cookie = browser.client.get_cookie("ramz-console", "127.0.0.1")
    assert cookie
    copy.client.set_cookie("ramz-console", cookie.value, domain="127.0.0.1")
    clock.forward(minutes=2)
    browser.page = door
    browser.ask(next_one["mobile"])
    assert browser.post("/console/login", mobile=next_one["mobile"], code="000000").status_code == 403
    assert is_in(copy), "who is let in nowhere ends nothing"
    assert browser.post("/console/login", mobile=next_one["mobile"], code=browser.code()).status_code == 303
    assert is_in(browser) and not is_in(copy)
    assert [action for action, _, _ in noted(browser.bot)].count("console_logout") == 1


def test_a_session_ends_when_it_is_idle_and_after_eight_hours(browser: Browser, clock: StoppedClock) -> None:
    browser.log_in(CHIEF["mobile"])
    for _ in range(int(LONGEST / timedelta(minutes=29))):
        clock.forward(minutes=29)
        assert is_in(browser)
    clock.forward(minutes=29)
    assert not is_in(browser)
    browser.log_in(CHIEF["mobile"])
    clock.forward(seconds=IDLE.total_seconds())
    assert not is_in(browser)


def test_who_is_removed_is_out_at_once(browser: Browser, clock: StoppedClock) -> None:
    browser.log_in(CHIEF["mobile"])
    with browser.bot.store.writing() as connection:
        staff.remove(connection, CHIEF["mobile"], clock())
    assert not is_in(browser)
    employ(browser.bot.store, CHIEF)
    assert not is_in(browser)


def test_who_was_removed_and_taken_on_again_meanwhile_must_log_in_anew(browser: Browser, clock: StoppedClock) -> None:
    browser.log_in(CHIEF["mobile"])
    with browser.bot.store.writing() as connection:
        assert staff_removal.remove(connection, CHIEF["mobile"], clock()) is not None
    employ(browser.bot.store, CHIEF)
    assert not is_in(browser)


def test_who_becomes_a_broker_is_out_at_once(browser: Browser) -> None:
    browser.log_in(CHIEF["mobile"])
    employ(browser.bot.store, {**CHIEF, "role": "broker", "broker": "نور"})
    assert not is_in(browser)


def test_a_session_s_name_is_no_good_without_its_secret(browser: Browser) -> None:
    browser.log_in(CHIEF["mobile"])
    cookie = browser.client.get_cookie("ramz-console", domain="127.0.0.1")
    assert cookie
    name, _, secret = cookie.value.partition(".")
    for other in (secret[::-1], "A" * len(secret)):
        browser.client.set_cookie("ramz-console", f"{name}.{other}", domain="127.0.0.1")
        assert not is_in(browser)
    browser.client.set_cookie("ramz-console", cookie.value, domain="127.0.0.1")
    assert is_in(browser)


@pytest.mark.parametrize("cookie", ["", "x", "a.b", "é", f"{'a' * 22}.{'b' * 22}"])
@SQLITE_ONLY
def test_a_made_up_cookie_opens_nothing(browser: Browser, cookie: str) -> None:
    browser.client.set_cookie("ramz-console", cookie, domain="127.0.0.1")
    assert not is_in(browser)
    assert browser.get("/console/figures.csv").status_code == 401
    assert browser.get("/console/search").status_code == 401


@SQLITE_ONLY
def test_cookies_are_for_this_host_and_for_no_script(make_bot: MakeBot, carrier: Carrier) -> None:
    bot = settled(make_bot(PUBLIC_URL="https://ramz.example"))
    employ(bot.store)
    browser = Browser(bot, carrier)
    browser.ask(CHIEF["mobile"])
    answer = browser.post("/console/login", mobile=CHIEF["mobile"], code=browser.code())
    cookies = answer.headers.getlist("Set-Cookie")
    assert [it.partition("=")[0] for it in cookies] == ["__Host-ramz-console", "__Host-ramz-console-browser"]
    for cookie in (*cookies, *browser.ask(CHIEF["mobile"]).headers.getlist("Set-Cookie")):
        for flag in ("Secure", "HttpOnly", "Path=/", "SameSite=Strict"):
            assert flag in cookie
        assert "Domain" not in cookie


@SQLITE_ONLY
def test_pages_are_framed_kept_and_scripted_by_nobody(browser: Browser) -> None:
    for page in (browser.get("/console"), browser.log_in(CHIEF["mobile"]).page, browser.get("/console/search")):
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
        assert "unsafe" not in page.headers["Content-Security-Policy"]
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Referrer-Policy"] == "same-origin"
        assert not re.search(r"<style|\sstyle=|\son\w+=", page.text)
        assert not re.sub(r'<script src="/static/[^"]*" defer></script>', "", page.text).count("<script")


def test_no_code_and_no_session_is_kept_as_it_is(browser: Browser) -> None:
    browser.log_in(CHIEF["mobile"])
    cookie = browser.client.get_cookie("ramz-console", domain="127.0.0.1")
    assert cookie
    secret, code = cookie.value.partition(".")[2], browser.code()
    with browser.bot.store.reading() as connection:
        kept = [
            connection.execute(select(table(it))).all()
            for it in (CodeRow, ConsoleSessionRow, OutboundMessageRow, AuditRow)
        ]
    assert secret not in repr(kept)
    assert code not in repr([row[1:] for rows in kept for row in rows])


# Strangers at the door


def strangers(home: Bot, carrier: Carrier) -> Iterator[Browser]:
    """Browsers of whoever has many addresses, each new to the console."""
    app = create_app(home)
    for number in count():
        browser = Browser(home, carrier, app)
        browser.client.environ_base["REMOTE_ADDR"] = f"198.51.{number // 250}.{number % 250 + 1}"
        yield browser


def spend_the_strangers_codes(home: Bot, carrier: Carrier, clock: StoppedClock) -> None:
    """Ask for a member's codes from one browser after the other until none is sent any more."""
    for browser in islice(strangers(home, carrier), 12):
        clock.forward(seconds=61)
        browser.ask(CHIEF["mobile"])


def test_a_browser_that_has_logged_in_before_has_codes_of_its_own(
    browser: Browser, carrier: Carrier, clock: StoppedClock
) -> None:
    browser.log_in(CHIEF["mobile"])
    browser.post("/console/logout")
    clock.forward(hours=2)
    spend_the_strangers_codes(browser.bot, carrier, clock)
    sent = len(carrier.sent)
    next(strangers(browser.bot, carrier)).ask(CHIEF["mobile"])
    assert len(carrier.sent) == sent, "strangers have none left"
    browser.get("/console?lang=en")
    for _ in range(5):
        browser.log_in(CHIEF["mobile"])
        browser.post("/console/logout")
        browser.get("/console?lang=en")
        clock.forward(seconds=61)
    sent = len(carrier.sent)
    browser.ask(CHIEF["mobile"])
    assert len(carrier.sent) == sent, "nor has it without end"


def test_what_strangers_ask_for_voids_no_code_of_a_known_browser(
    browser: Browser, carrier: Carrier, clock: StoppedClock
) -> None:
    browser.log_in(CHIEF["mobile"])
    browser.post("/console/logout")
    browser.get("/console?lang=en")
    clock.forward(seconds=61)
    browser.ask(CHIEF["mobile"])
    code = browser.code()
    clock.forward(seconds=61)
    next(strangers(browser.bot, carrier)).ask(CHIEF["mobile"])
    assert browser.code() != code
    assert browser.post("/console/login", mobile=CHIEF["mobile"], code=code).status_code == 303


def test_a_code_is_good_in_the_browser_that_asked_for_it_alone(browser: Browser, carrier: Carrier) -> None:
    browser.ask(CHIEF["mobile"])
    code = browser.code()
    for other in islice(strangers(browser.bot, carrier), 8):
        assert other.post("/console/login", mobile=CHIEF["mobile"], code=code).status_code == 403
    assert {row[2] for row in noted(browser.bot)[1:]} == {"no_live_code"}
    assert browser.post("/console/login", mobile=CHIEF["mobile"], code=code).status_code == 303


@pytest.mark.parametrize("asked", ['"a\\000b"', "." * 90, "é.ü", ".".join(["x" * 22] * 90), "'; DROP TABLE code --"])
def test_a_made_up_cookie_of_codes_asked_for_is_no_error(browser: Browser, asked: str) -> None:
    browser.client.set_cookie("ramz-console-asked", "", domain="127.0.0.1")
    headers = {"Cookie": f"ramz-console-asked={asked}; ramz-console-form=x"}
    form = {"proof": proof("x"), "mobile": CHIEF["mobile"], "code": "123456"}
    client = create_app(browser.bot).test_client(use_cookies=False)
    for path, status in (("/console/login", 403), ("/console/code", 200)):
        answer = client.post(path, data=form, headers=headers, base_url=HOME)
        assert answer.status_code == status
        assert len(answer.headers.getlist("Set-Cookie")[-1]) < 500


def test_a_code_asked_for_too_soon_leaves_the_one_before_it_good(browser: Browser) -> None:
    for _ in range(3):
        browser.ask(CHIEF["mobile"])
    assert browser.post("/console/login", mobile=CHIEF["mobile"], code=browser.code()).status_code == 303


def test_a_known_browser_has_tries_of_its_own_and_an_address_few(
    browser: Browser, carrier: Carrier, clock: StoppedClock
) -> None:
    browser.log_in(CHIEF["mobile"])
    browser.post("/console/logout")
    stranger = Browser(browser.bot, carrier)
    while stranger.ask(STRANGER).status_code == 200:
        pass
    browser.get("/console?lang=en")
    clock.forward(seconds=61)
    answers = [browser.ask(CHIEF["mobile"]).status_code for _ in range(LOGIN_TRIES_OF_KNOWN_BROWSER + 1)]
    assert answers == [200] * LOGIN_TRIES_OF_KNOWN_BROWSER + [429]


@pytest.mark.parametrize("turn", [lambda it: f"{it[:22]}.{it[23:][::-1]}", lambda it: it[:-1], lambda it: f"x{it}"])
def test_a_known_browser_s_name_is_no_good_without_its_secret(
    browser: Browser, carrier: Carrier, clock: StoppedClock, turn: Callable[[str], str]
) -> None:
    browser.log_in(CHIEF["mobile"])
    cookie = browser.client.get_cookie("ramz-console-browser", domain="127.0.0.1")
    assert cookie
    clock.forward(hours=2)
    spend_the_strangers_codes(browser.bot, carrier, clock)
    thief, sent = next(strangers(browser.bot, carrier)), len(carrier.sent)
    thief.client.set_cookie("ramz-console-browser", turn(cookie.value), domain="127.0.0.1")
    thief.ask(CHIEF["mobile"])
    assert len(carrier.sent) == sent
    thief.client.set_cookie("ramz-console-browser", cookie.value, domain="127.0.0.1")
    thief.ask(CHIEF["mobile"])
    assert len(carrier.sent) == sent + 1


def test_a_browser_is_a_stranger_again_after_ninety_days_another_s_login_or_a_removal(
    browser: Browser, carrier: Carrier, clock: StoppedClock
) -> None:
    def has_codes_of_its_own() -> bool:
        browser.client.delete_cookie("ramz-console", domain="127.0.0.1")
        browser.get("/console?lang=en")
        clock.forward(hours=2)
        browser.ask(CHIEF["mobile"])
        with browser.bot.store.reading() as connection:
            newest = select(table(CodeRow).c.purpose).order_by(table(CodeRow).c.created_at.desc())
            return bool(connection.execute(newest.limit(1)).scalar_one() == CodePurpose.OWN_BROWSER)

    browser.log_in(CHIEF["mobile"])
    assert has_codes_of_its_own()
    clock.forward(days=90)
    assert not has_codes_of_its_own()
    clock.forward(seconds=61)
    browser.log_in(CHIEF["mobile"])
    assert has_codes_of_its_own()
    clock.forward(seconds=61)
    browser.log_in(TEHRAN["mobile"])
    assert not has_codes_of_its_own()
    clock.forward(seconds=61)
    browser.log_in(CHIEF["mobile"])
    with browser.bot.store.writing() as connection:
        staff_removal.remove(connection, CHIEF["mobile"], clock())
    employ(browser.bot.store, CHIEF)
    assert not has_codes_of_its_own()
    clock.forward(days=91)
    browser.bot.jobs.forget()
    with browser.bot.store.reading() as connection:
        assert connection.execute(select(table(ConsoleBrowserRow).c.id)).all() == []


def known_and_logged_out(make_bot: MakeBot, carrier: Carrier) -> tuple[Bot, Browser]:
    """A bot that sends any number of codes, and a browser of headquarters' that it knows, at the login's page."""
    home = settled(make_bot(CODES_PER_HOUR="1000", CODES_PER_DAY="1000"))
    employ(home.store)
    own = Browser(home, carrier).log_in(CHIEF["mobile"])
    own.post("/console/logout")
    own.get("/console?lang=en")
    return home, own


def test_a_hundred_wrong_codes_from_new_browsers_close_the_door_to_them_and_nothing_else(
    make_bot: MakeBot, carrier: Carrier, clock: StoppedClock, printed: StringIO
) -> None:
    home, own = known_and_logged_out(make_bot, carrier)
    wrong, guessers = 0, strangers(home, carrier)
    while wrong < LOCKING_FAILURES:
        guesser = next(guessers)
        clock.forward(seconds=61)
        guesser.ask(CHIEF["mobile"])
        for _ in range(5):
            guesser.post("/console/login", mobile=CHIEF["mobile"], code="000000")
        wrong += 5
        assert ("console_closed" in printed.getvalue()) == (wrong == LOCKING_FAILURES)
    figures = own.client.get("/metrics").text
    assert 'ramz_alarm_total{alarm="console_closed"} 1.0' in figures
    sent = len(carrier.sent)
    clock.forward(seconds=61)
    answer = next(guessers).ask(CHIEF["mobile"])
    assert (answer.status_code, len(carrier.sent)) == (200, sent)
    home.counting.flush()
    assert 'ramz_refused_total{door="console",reason="closed"} 1.0' in own.client.get("/metrics").text
    assert home.hear(Inbound("simulated", "S1", CHIEF["mobile"], "RESET 0012345679")) is StaffEvent.RESET_ORDERED
    own.log_in(CHIEF["mobile"])
    clock.forward(seconds=61)
    next(guessers).log_in(CHIEF["mobile"])


def test_a_hundred_wrong_codes_from_a_known_browser_lock_its_member_out(
    make_bot: MakeBot, carrier: Carrier, clock: StoppedClock, printed: StringIO
) -> None:
    home, own = known_and_logged_out(make_bot, carrier)
    for _ in range(LOCKING_FAILURES // 5):
        assert '"staff_locked_out"' not in printed.getvalue()
        clock.forward(minutes=11)
        own.ask(CHIEF["mobile"])
        for _ in range(5):
            own.post("/console/login", mobile=CHIEF["mobile"], code="000000")
    assert '"alarm": "staff_locked_out"' in printed.getvalue()
    assert home.hear(Inbound("simulated", "S1", CHIEF["mobile"], "RESET 0012345679")) is StaffEvent.LOCKED_OUT
    clock.forward(minutes=11)
    own.ask(CHIEF["mobile"])
    assert own.post("/console/login", mobile=CHIEF["mobile"], code=own.code()).status_code == 403
    employ(home.store, CHIEF)
    clock.forward(minutes=11)
    own.log_in(CHIEF["mobile"])


def test_whatever_is_refused_at_the_door_is_counted_and_the_same_rule_is_told(
    browser: Browser, clock: StoppedClock
) -> None:
    told = [browser.ask(mobile).text for mobile in (CHIEF["mobile"], CHIEF["mobile"], STRANGER, "nonsense")]
    for _ in range(5):
        clock.forward(seconds=61)
        told.append(browser.ask(CHIEF["mobile"]).text)
    browser.bot.counting.flush()
    figures = browser.client.get("/metrics").text
    counted = dict(re.findall(r'ramz_refused_total\{door="console",reason="(\w+)"\} (\d+)', figures))
    assert counted == {"too_soon": "1", "unknown": "2", "too_often": "1"}
    assert all("one code in 60 seconds, 5 an hour and 10 a day at most" in page for page in told)


def test_the_cookies_of_the_door_tell_nobody_who_is_staff(home: Bot, carrier: Carrier, clock: StoppedClock) -> None:
    callers = strangers(home, carrier)

    def cookies(mobile: str) -> list[list[tuple[str, int]]]:
        browser, found = next(callers), []
        for _ in range(8):
            clock.forward(seconds=40)
            answer = browser.ask(mobile)
            found.append(sorted((it.partition("=")[0], len(it)) for it in answer.headers.getlist("Set-Cookie")))
        return found

    assert cookies(CHIEF["mobile"]) == cookies(STRANGER) == cookies("nonsense")


# The figures


def provinces(page: TestResponse) -> set[str]:
    """The provinces that a page or a file names; the other language's name begins as one of them does."""
    return set(re.findall("تهران|فارس(?!ی)", page.text))


def test_a_province_sees_its_own_and_headquarters_all(home: Bot, carrier: Carrier) -> None:
    recover(home, ZAHRA)
    recover(home, OMID)
    tehran, fars, chief = (Browser(home, carrier).log_in(it["mobile"]) for it in (TEHRAN, FARS, CHIEF))
    seen = [provinces(it.get("/console/provinces?lang=en")) for it in (tehran, fars, chief)]
    assert seen == [{"تهران"}, {"فارس"}, {"تهران", "فارس"}]
    for path in ("/console/days?lang=en", "/console/texts?lang=en", "/console/figures.csv?x="):
        found = [provinces(it.get(f"{path}&province=فارس")) for it in (tehran, chief)]
        assert "تهران" not in found[1] or "days" in path  # the form offers all of them
        assert found[0] == {"تهران"}, path
    assert "Oldest unsent" in chief.get("/console?lang=en").text
    assert not re.search("Oldest unsent|simulated|فارس(?!ی)", tehran.get("/console?lang=en").text)


def test_the_file_is_that_of_the_command(browser: Browser) -> None:
    recover(browser.bot, ZAHRA)
    browser.log_in(CHIEF["mobile"])
    answer = browser.get("/console/figures.csv?from=1405-06-01&to=2026-09-01")
    assert answer.data.startswith(b"\xef\xbb\xbfcontrol_point,")
    assert "2026-08-23 to 2026-09-01,1405/06/01 to 1405/06/10" in answer.text
    assert "attachment" in answer.headers["Content-Disposition"]


def test_what_falls_short_of_the_target_is_marked_wherever_it_stands(browser: Browser) -> None:
    made_texts.put(
        browser.bot.store, made_texts.a_text(ended=60), made_texts.a_text(ended=61, gateway="kannel", account_id=2)
    )
    browser.log_in(CHIEF["mobile"])
    pages = [browser.get(f"/console/{it}&lang=en").text for it in ("provinces?", "gateways?", "days?table=code")]
    page = "".join(pages)
    rows = {
        name.strip(): bool(missed)
        for missed, name in re.findall(r'<tr( class="missed")?><th scope="row">(?:<bdi dir="rtl">)?([^<]*)', page)
    }
    assert {name: rows[name] for name in ("kannel", "twilio", "فارس", "تهران")} == {
        "kannel": True,
        "twilio": False,
        "فارس": True,
        "تهران": False,
    }
    assert ("50.0%" in page, page.count("▼ <span>below target") >= 3) == (True, True)
    first = browser.get("/console?lang=en").text
    assert "No, only 50.0% today" in first and '<bdi dir="rtl">فارس</bdi>, 0.0%' in first


def nothing(bot: Bot) -> None:
    """Nothing is wrong."""


def late_job(bot: Bot) -> None:
    with bot.store.writing() as connection:
        heartbeats.beat(connection, "codes", bot.clock() - timedelta(seconds=81))


def late_text(bot: Bot) -> None:
    made_texts.put(
        bot.store,
        made_texts.a_text(
            DeliveryStatus.QUEUED, request_received_at=bot.clock() - timedelta(seconds=61), accepted=None, sent=None
        ),
    )


def late_event(bot: Bot) -> None:
    with bot.store.writing() as connection:
        happened_at = bot.clock() - timedelta(minutes=5)
        webhook_events.queue(connection, NewEvent("e" * 22, "password.changed", 1, happened_at))


def shut_gateway(bot: Bot) -> None:
    with bot.store.writing() as connection:
        circuit_breakers.fail(connection, "simulated", 5, 5, bot.clock(), timedelta(seconds=30))


def unsealed(bot: Bot) -> None:
    row = {"actor": "pilgrim", "who": "", "action": "code_sent", "outcome": "ok", "key_id": "k", "digest": bytes(32)}
    with bot.store.writing() as connection:
        connection.execute(delete(table(AuditRow)))
        connection.execute(insert(table(AuditRow)), {**row, "at": bot.clock() - timedelta(minutes=5), "nonce": "n"})


def flood(bot: Bot) -> None:
    bot.flood_guard.flood = Flood(frozenset({"rate"}))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (nothing, None),
        (late_job, "A job is behind: expiring codes"),
        (late_text, "A text has waited for over a minute: 61 s"),
        (late_event, "An event for Fakher has waited long: 5 min"),
        (shut_gateway, "Out of order: simulated"),
        (unsealed, "The audit is not being sealed; run flask audit verify: 5 min"),
        (flood, "Flood of codes: too many"),
    ],
)
@SQLITE_ONLY
def test_what_is_wrong_now_stands_on_top(browser: Browser, wrong: Callable[[Bot], None], told: str | None) -> None:
    browser.log_in(CHIEF["mobile"])
    wrong(browser.bot)
    page = browser.get("/console?lang=en").text
    alarms = re.findall('<li class="alarm">▼ (.*?)</li>', page)
    assert (alarms, "Yes, no alarm" in page) == ([told] if told else [], told is None)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("from=yesterday", "The first day is not a date."),
        ("to=2026-02-30", "The last day is not a date."),
        ("from=2026-09-01&to=2026-08-01", "The period ends before it begins."),
        ("from=1390-01-01&to=2026-08-01", "The period is longer than 800 days."),
    ],
)
@SQLITE_ONLY
def test_a_bad_period_is_said_and_the_page_is_still_there(browser: Browser, asked: str, told: str) -> None:
    browser.log_in(CHIEF["mobile"])
    page = browser.get(f"/console/days?lang=en&{asked}")
    assert (page.status_code, told in page.text) == (400, True)
    assert browser.get(f"/console/figures.csv?lang=en&{asked}").status_code == 400


def test_both_calendars_ask_the_same(browser: Browser) -> None:
    browser.log_in(CHIEF["mobile"])
    for asked in ("from=1405/06/01&to=1405/06/10", "from=2026-08-23&to=2026-09-01", "from=۱۴۰۵-۰۶-۰۱&to=2026/9/1"):
        assert "Day by day: 23 August to 1 September 2026" in browser.get(f"/console/days?lang=en&{asked}").text
        assert "روز به روز: ۱ شهریور تا ۱۰ شهریور ۱۴۰۵" in browser.get(f"/console/days?lang=fa&{asked}").text


# The search


def test_a_story_is_told_masked_and_its_telling_is_noted(browser: Browser) -> None:
    recover(browser.bot, ZAHRA)
    browser.log_in(TEHRAN["mobile"]).get("/console/search?lang=en")
    for digits in (ZAHRA["national_id"][-4:], ZAHRA["mobile"][-5:], ZAHRA["national_id"], "09121234567"):
        told = browser.post("/console/search", digits=digits).text
        assert "…5679" in told and "…4567" in told and "code sent" in told and "تهران" in told
        assert ZAHRA["national_id"] not in told and ZAHRA["mobile"][3:] not in told
        assert browser.carrier.sent[0].text not in told
        assert noted(browser.bot)[-1][0] == "console_search"


def test_last_digits_find_everybody_the_last_texted_first(browser: Browser, clock: StoppedClock) -> None:
    ids = [f"{n:06d}5679" for n in range(100_000, 101_000) if national_id(f"{n:06d}5679")][:25]
    alike = [
        {"national_id": each, "username": f"leader{n}", "mobile": f"+9891300{n:05d}"} for n, each in enumerate(ids)
    ]
    settle(browser.bot.store, *alike)
    for person in (alike[24], ZAHRA, alike[3]):
        clock.forward(seconds=1)
        recover(browser.bot, person)
    browser.log_in(CHIEF["mobile"]).get("/console/search?lang=en")
    told = browser.post("/console/search", digits="5679").text
    found = re.findall(
        r'<button name="account".*?<bdi dir="ltr">(.*?)</bdi>.*?<bdi dir="ltr">(.*?)</bdi>', told, re.DOTALL
    )
    assert [mobile for _, mobile in found][:4] == ["…0003", "…4567", "…0024", "…0000"]
    assert (len(found), "With more digits, fewer are found." in told) == (20, True)
    one = browser.post("/console/search", digits=ids[3][-8:]).text
    assert "…0003" in one and 'class="found"' not in one


def test_another_provinces_account_is_not_found(browser: Browser) -> None:
    recover(browser.bot, ZAHRA)
    with browser.bot.store.reading() as connection:
        account = connection.execute(select(table(OutboundMessageRow).c.account_id)).scalar_one()
    browser.log_in(FARS["mobile"]).get("/console/search?lang=en")
    for digits in ("5679", ZAHRA["national_id"]):
        assert "Found: 0" in browser.post("/console/search", digits=digits).text
    assert browser.post("/console/search", account=str(account)).status_code == 404
    assert browser.post("/console/search", account="999999").status_code == 404
    assert browser.post("/console/search", account="x").status_code == 400


@pytest.mark.parametrize("digits", ["", "123", "12a4", "%%%%", "1" * 16])
@SQLITE_ONLY
def test_too_few_digits_find_nothing(browser: Browser, digits: str) -> None:
    browser.log_in(CHIEF["mobile"]).get("/console/search?lang=en")
    assert "Enter at least four digits." in browser.post("/console/search", digits=digits).text


# The audit trail


def trail(page: TestResponse) -> list[str]:
    """The actions of a page of the trail, from its top."""
    return re.findall(r"<tr><th scope=\"row\">.*?</th><td>.*?</td><td>.*?</td><td>(.*?)</td>", page.text)


def test_headquarters_reads_the_newest_of_the_trail_first(browser: Browser) -> None:
    recover(browser.bot, ZAHRA)
    browser.log_in(CHIEF["mobile"])
    page = browser.get("/console/audit?lang=en")
    assert trail(page) == ["login here", "code to log in here asked for", "code asked for", "code sent"]
    assert "…4567" in page.text and ZAHRA["mobile"][3:] not in page.text
    assert trail(browser.get("/console/audit?lang=en&staff=on")) == ["login here", "code to log in here asked for"]


def test_the_trail_goes_back_page_by_page(browser: Browser) -> None:
    row = {"at": NOON, "actor": "pilgrim", "who": "", "outcome": "ok", "key_id": "k", "digest": bytes(32)}
    rows = [{**row, "action": f"act {number}", "nonce": f"n{number}"} for number in range(230)]
    with browser.bot.store.writing() as connection:
        connection.execute(insert(table(AuditRow)), rows)
    browser.log_in(CHIEF["mobile"])
    address, seen = "/console/audit?lang=en", list[str]()
    while address:
        page = browser.get(address)
        seen += trail(page)
        older = [it for it in re.findall('href="([^"]*before=[^"]*)"', page.text) if "lang=fa" not in it]
        assert len(older) <= 1 and address not in older
        address = older[0].replace("&amp;", "&") if older else ""
    assert seen[2:] == [f"act {number}" for number in reversed(range(230))]


def test_the_trail_can_be_read_up_to_a_day(browser: Browser, clock: StoppedClock) -> None:
    row = {"actor": "pilgrim", "who": "", "outcome": "ok", "key_id": "k", "digest": bytes(32)}
    days = [date(2026, 8, 20), date(2026, 8, 21), date(2026, 8, 23)]
    times = [midnight(day) + timedelta(minutes=minute) for day in days for minute in (0, 1439)]
    rows = [{**row, "at": at, "action": f"act {number}", "nonce": f"n{number}"} for number, at in enumerate(times)]
    with browser.bot.store.writing() as connection:
        connection.execute(insert(table(AuditRow)), rows)
    browser.log_in(CHIEF["mobile"])
    last = {"2026-08-19": -1, "1405/05/29": 1, "۱۴۰۵/۰۵/۳۰": 3, "2026-08-22": 3, "2026-08-23": 5}
    for day, newest in last.items():
        shown = [f"act {number}" for number in range(newest, -1, -1)]
        assert trail(browser.get(f"/console/audit?lang=en&to={day}")) == shown, day
    bad = browser.get("/console/audit?lang=en&to=tomorrow")
    assert (bad.status_code, "is not a date" in bad.text, trail(bad)) == (400, True, [])


def test_only_headquarters_reads_the_trail(browser: Browser) -> None:
    browser.log_in(TEHRAN["mobile"])
    assert "/console/audit" not in browser.get("/console?lang=en").text
    assert browser.get("/console/audit").status_code == 403
    assert Browser(browser.bot, browser.carrier).get("/console/audit").status_code == 401


@pytest.mark.parametrize("asked", ["before=x", "before=-1", "before=99999999999999999999", "to=", "staff=off"])
@SQLITE_ONLY
def test_an_odd_address_of_the_trail_is_no_error(browser: Browser, asked: str) -> None:
    assert browser.log_in(CHIEF["mobile"]).get(f"/console/audit?{asked}").status_code == 200


@pytest.mark.parametrize("language", html.LANGUAGES)
@SQLITE_ONLY
def test_whatever_the_pages_may_have_to_say_has_words(bot: Bot, language: str) -> None:
    recorded = {
        effect.reason
        for dialog in DIALOGS.values()
        for arrows in (dialog.anywhere, *dialog.table.values())
        for arrow in arrows.values()
        for effect in arrow.effects
        if isinstance(effect, Record | RecordOrder) and effect.reason
    }
    assert {"too_soon", "last_wrong", "confirmed"} <= recorded
    kinds: dict[str, Iterable[str]] = {
        "actions": Action,
        "outcomes": Outcome,
        "actors": Actor,
        "reasons": recorded | set(Weakness),
        "jobs_of": [job.name for job in bot.jobs.all()],
        "guards": GUARDS,
        "fates": CloseReason,
        "ranks": [status.name.lower() for status in DeliveryStatus],
        "kinds": [kind.name.lower() for kind in MessageKind],
        "commands": Command,
        "points": POINTS,
        "steps": STEPS,
    }
    words = html.words(language)["console"]
    assert {kind: [name for name in names if not words[kind].get(name)] for kind, names in kinds.items()} == {
        kind: [] for kind in kinds
    }
