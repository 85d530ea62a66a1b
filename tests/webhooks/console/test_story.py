"""One account in words: how it stands, its last code's way, its last order, what to do next; and how it is found."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st
from sqlalchemy import insert, update
from werkzeug.test import TestResponse

from bot.build import Bot
from store import accounts
from store.database.engine import Store
from store.tables import (
    AccountRow,
    CodeRow,
    ConversationRow,
    DeliveryStatus,
    MobileChangeRow,
    StaffOrderRow,
    table,
)
from tests.support.console_browser import Browser
from tests.support.databases import SQLITE_ONLY
from tests.support.made_texts import a_code, a_text, put, put_accounts
from tests.support.parts import NOON, Carrier
from tests.support.people import CHIEF, employ, settle, settled
from webhooks import html
from webhooks.console import search, story
from webhooks.console.formatting import UNBROKEN, Formatter
from webhooks.console.story import MaskedPerson, Story

MOBILE = "+989120000001"  # of the one account
NOW = NOON + timedelta(minutes=5)
Change = Callable[[Store], None]


def account(**values: Any) -> Change:
    def change(store: Store) -> None:
        with store.writing() as connection:
            connection.execute(update(table(AccountRow)).values(values))

    return change


def said_stop(store: Store) -> None:
    row = {
        "phone": MOBILE,
        "state": "idle",
        "state_data": {},
        "version": 1,
        "last_text_at": NOON,
        "window_started_at": NOON,
        "opted_out_at": NOON,
    }
    put(store, row, into=table(ConversationRow))


def mobile_change(state: str, *, minutes_left: float = 25, **values: Any) -> Change:
    row = {
        "account_id": 1,
        "old_mobile": MOBILE,
        "new_mobile": "+989120000009",
        "ref": "M12345",
        "state": state,
        "proposed_by": 1,
        "proposed_at": NOON,
        "due_at": NOW + timedelta(minutes=minutes_left),
        **values,
    }
    return lambda store: put(store, row, into=table(MobileChangeRow))


def code(status: DeliveryStatus | None = DeliveryStatus.DELIVERED, **values: Any) -> Change:
    """A code that was asked for at noon, and its text; with no status, it went out in none."""
    of_text = {name: values.pop(name) for name in ("error", "accepted", "ended") if name in values}

    def change(store: Store) -> None:
        put(store, a_code("c1", **values), into=table(CodeRow))
        if status is not None:
            put(store, a_text(status, code_id="c1", decided=0.5, **of_text))

    return change


def ended(reason: str, seconds: float = 42) -> dict[str, Any]:
    return {"closed_at": NOON + timedelta(seconds=seconds), "close_reason": reason}


def order(command: str, *, done: bool = True, minutes: float = 3) -> Change:
    at = NOON + timedelta(minutes=minutes)
    row = {
        "id": f"o{command}{minutes}",
        "staff_id": 1,
        "command": command,
        "account_id": 1,
        "ref": f"R{minutes:.0f}2345",
        "created_at": at,
        "done_at": at if done else None,
    }
    return lambda store: put(store, row, into=table(StaffOrderRow))


@dataclass(frozen=True)
class Case:
    """What was done with an account, what is then said of it, in this order, and the first words of what to do."""

    done: Sequence[Change]
    said: Sequence[str]
    next: str


AT = "1 September 2026, 12:30:00"
INACTIVE, LOCKED, SILENT, NO_CODE = (
    "This account is inactive.",
    f"Recovery is locked since {AT}.",
    f"This mobile wants no texts since {AT}.",
    "No code has been sent for this account yet.",
)
PROPOSED = "A new mobile is proposed and needs a second staff member, until 1 September 2026, 13:00:00. Ref: M12345"
HELD = "A change of mobile waits: until 1 September 2026, 13:00:00 no code goes out. Ref: M12345"


def way(*steps: str, by: str = "the pilgrim") -> str:
    return ", ".join([f"The last code was asked for {AT} by {by}", *steps]) + "."


TAKEN = "twilio took it 1 s later"
DELIVERED = "it was delivered 5 s later"
ORDER = "Last order: reset, by Chief, 1 September 2026, 12"
# What to do next.
ACTIVATE, UNLOCK, WAIT = "The account has to be made active", "Once you know", "Wait until"
ASK_FROM_THERE = "Ask the pilgrim to text RESET and the national ID from that phone"
ASK, TEXT_BACK = (
    "Ask the pilgrim to text RESET and the national ID;",
    "The pilgrim has to text the code back by 12:40:00.",
)
CALL, NEW_PASSWORD = "Ask whether the phone is on", "A new password was sent."
FAILED, DROPPED, ACCEPTED, QUEUED = (
    DeliveryStatus.FAILED,
    DeliveryStatus.DROPPED,
    DeliveryStatus.ACCEPTED,
    DeliveryStatus.QUEUED,
)
CASES = {
    "nothing has happened": Case([], [NO_CODE], ASK),
    "inactive": Case([account(active=False)], [INACTIVE, NO_CODE], ACTIVATE),
    "locked": Case([account(locked_at=NOON)], [LOCKED, NO_CODE], UNLOCK),
    "silent": Case([said_stop], [SILENT, NO_CODE], ASK_FROM_THERE),
    "changed": Case([account(mobile_changed_at=NOON)], [f"The mobile was changed at {AT}.", NO_CODE], ASK),
    "proposed": Case([mobile_change("proposed")], [PROPOSED, NO_CODE], ASK),
    "held": Case([mobile_change("held")], [HELD, NO_CODE], WAIT),
    "held, and its time is over": Case([mobile_change("held", minutes_left=-1)], [NO_CODE], ASK),
    "a code lives": Case([code()], [way(TAKEN, DELIVERED)], TEXT_BACK),
    "by another phone": Case(
        [code(requested_by="other_phone")], [way(TAKEN, DELIVERED, by="another phone")], TEXT_BACK
    ),
    "by staff": Case([code(requested_by="staff")], [way(TAKEN, DELIVERED, by="staff")], TEXT_BACK),
    "no receipt": Case([code(ACCEPTED)], [way(TAKEN, "no receipt has come for it")], TEXT_BACK),
    "not taken yet": Case([code(QUEUED, accepted=None)], [way("no receipt has come for it")], TEXT_BACK),
    "not delivered": Case(
        [code(FAILED, error="unreachable")], [way(TAKEN, "it was not delivered (phone off or out of reach)")], CALL
    ),
    "for no known reason": Case([code(FAILED)], [way(TAKEN, "it was not delivered (not known)")], CALL),
    "dropped and expired": Case(
        [code(DROPPED, accepted=None, error="expired", **ended("expired", 600))],
        [way("it was not delivered (not delivered in time)", "it expired 10 min later")],
        CALL,
    ),
    "in no text": Case([code(None)], [way()], TEXT_BACK),
    "used": Case([code(**ended("used"))], [way(TAKEN, DELIVERED, "it was used 42 s later")], NEW_PASSWORD),
    "late": Case(
        [code(ended=90.2, **ended("used", 150))],
        [way(TAKEN, "it was delivered 91 s later", "it was used 2 min later")],
        NEW_PASSWORD,
    ),
    "expired": Case([code(**ended("expired", 600))], [way(TAKEN, DELIVERED, "it expired 10 min later")], ASK),
    "burned": Case([code(**ended("burned"))], [way(TAKEN, DELIVERED, "it was burned by wrong tries 42 s later")], ASK),
    "voided": Case([code(**ended("voided"))], [way(TAKEN, DELIVERED, "a newer one voided it 42 s later")], ASK),
    "cancelled": Case([code(**ended("cancelled"))], [way(TAKEN, DELIVERED, "it was cancelled 42 s later")], ASK),
    "reset by staff": Case([order("reset")], [NO_CODE, f"{ORDER}:33:00. Ref: R32345"], ASK),
    "the last order": Case([order("unlock"), order("reset", minutes=4)], [NO_CODE, f"{ORDER}:34:00. Ref: R42345"], ASK),
    "an order that waits": Case(
        [order("reset", minutes=1), order("unlock", done=False)], [NO_CODE, f"{ORDER}:31:00. Ref: R12345"], ASK
    ),
    # Where several hold, what to do next is about what stands in the way first.
    "inactive, and all else": Case(
        [account(active=False, locked_at=NOON), said_stop, mobile_change("held"), code()],
        [INACTIVE, LOCKED, SILENT, HELD, way(TAKEN, DELIVERED)],
        ACTIVATE,
    ),
    "locked and silent": Case([account(locked_at=NOON), said_stop], [LOCKED, SILENT, NO_CODE], UNLOCK),
    "held and silent": Case([mobile_change("held"), said_stop], [SILENT, HELD, NO_CODE], WAIT),
    "silent with a code": Case([said_stop, code()], [SILENT, way(TAKEN, DELIVERED)], ASK_FROM_THERE),
}


def told(store: Store, language: str) -> Story:
    with store.reading() as connection:
        return story.tell(connection, Formatter(language), accounts.get(connection, 1), NOW)


@pytest.fixture
def one(store: Store) -> Store:
    put_accounts(store, ("تهران", "نور"))
    employ(store, CHIEF)
    return store


@pytest.mark.parametrize("name", CASES)
def test_a_story_says_how_things_stand_and_what_to_do(one: Store, name: str) -> None:
    for change in CASES[name].done:
        change(one)
    it = told(one, "en")
    assert [line.replace(UNBROKEN, " ") for line in it.lines] == CASES[name].said
    assert it.next.startswith(CASES[name].next)


@pytest.mark.parametrize("name", CASES)
@SQLITE_ONLY
def test_it_says_as_much_in_persian_in_its_own_digits(one: Store, name: str) -> None:
    for change in CASES[name].done:
        change(one)
    it = told(one, "fa")
    said = [re.sub(r"[MR]\d{5}|twilio|Chief", "", line) for line in (*it.lines, it.next)]
    assert len(it.lines) == len(CASES[name].said)
    assert [line for line in said if re.search("[A-Za-z0-9{}]", line)] == []


def test_whatever_is_next_is_told_in_some_case() -> None:
    told = {it.next for it in CASES.values()}
    words = html.words("en")["console"]["story"]["next"]
    untold = [name for name, say in words.items() if not any(say.format("12:40:00").startswith(it) for it in told)]
    assert (untold, len(words)) == ([], len(told))


# How accounts are told apart


def looks(person: MaskedPerson) -> tuple[str, ...]:
    return person.name, person.place, person.national_id, person.mobile


# Family names are few, and so are provinces; last digits are what they were searched by.
PEOPLE = st.lists(
    st.tuples(
        st.sampled_from(["زهرا احمدی", None]),
        st.sampled_from(["تهران", None]),
        st.from_regex("[01]{6}5679", fullmatch=True),
        st.sampled_from(["+989121110042", "+989122220042", "+989121110043"]),
    ),
    min_size=2,
    max_size=20,
    unique_by=lambda it: it[2],
)


@given(people=PEOPLE)
@how(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
def test_no_two_results_read_the_same(sqlite_url: str, people: list[tuple[str | None, str | None, str, str]]) -> None:
    store = Store(sqlite_url)
    names = ("full_name", "province", "national_id", "mobile")
    rows = [
        {"id": number, "username": f"u{number}", "active": True, "failures": 0, **dict(zip(names, each, strict=True))}
        for number, each in enumerate(people, 1)
    ]
    with store.writing() as connection:
        connection.execute(table(AccountRow).delete())
        connection.execute(insert(table(AccountRow)), rows)
    with store.reading() as connection:
        found = search.people(
            connection, Formatter("en"), [accounts.get(connection, it) for it in range(1, len(people) + 1)]
        )
    store.close()
    assert len({looks(each) for each in found}) == len(people)
    # No more is shown than that takes.
    alone = [each for each in found if sum(looks(it)[:2] == looks(each)[:2] for it in found) == 1]
    assert all(len(each.national_id) == len("…5679") for each in alone)


# Language and search


@pytest.fixture
def browser(bot: Bot, carrier: Carrier) -> Browser:
    settled(bot)
    settle(bot.store, {"national_id": "1111115679", "username": "alike", "mobile": "+989130005679"})
    employ(bot.store)
    browser = Browser(bot, carrier).log_in(CHIEF["mobile"])
    browser.get("/console/search?lang=en")
    return browser


def in_the_other_language(browser: Browser, page: TestResponse) -> TestResponse:
    """What the button with the other language's name asks for."""
    form = re.search(r'<form method="post" action="/console/search\?lang=(\w+)">(.*?)</form>', page.text, re.DOTALL)
    assert form
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form[2]))
    return browser.client.post(f"/console/search?lang={form[1]}", data=fields, base_url=browser.bot.settings.public_url)


def shown(page: TestResponse) -> tuple[object, ...]:
    """What a page of the search shows, but for the words of its language."""
    entered = re.findall(r'id="digits"[^>]*?(?:value="([^"]*)")?>', page.text)
    who = re.findall(r'<h2 id="who">(.*?)</h2>', page.text)
    return (
        page.status_code,
        entered,
        re.findall(r'name="account" value="(\d+)"', page.text),
        len(who),
        'role="alert"' in page.text,
    )


@pytest.mark.parametrize("digits", ["5679", "4567", "0012345679", "9999", "12", "۵۶۷۹"])
@SQLITE_ONLY
def test_the_language_changes_and_what_was_found_stays(browser: Browser, digits: str) -> None:
    english = browser.post("/console/search", digits=digits)
    persian = in_the_other_language(browser, english)
    again = in_the_other_language(browser, persian)
    assert ('lang="en"' in english.text, 'dir="rtl"' in persian.text) == (True, True)
    assert shown(english) == shown(persian) == shown(again)
