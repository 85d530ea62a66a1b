"""Whatever a page of the console is asked, by whoever has logged in: an answer, and never an error of ours."""

import re
from collections.abc import Sequence
from io import StringIO

import pytest

from bot.build import Bot
from tests.conftest import MakeBot
from tests.support.console_browser import Browser
from tests.support.parts import Carrier
from tests.support.people import CHIEF, TEHRAN, employ, settled

DAYS = ("from", "to", "from_day,from_month,from_year", "to_day,to_month,to_year")
# Names that Flask keeps for itself where it builds an address.
BUILDERS = ("endpoint", "_scheme", "_external", "_anchor", "_method", "values", "lang")
# What every page of figures reads alike stands with one of them.
QUERIES: dict[str, Sequence[str]] = {
    "/": (),
    "/console": (),
    "/console/days": (*DAYS, "province", "skip"),
    "/console/provinces": (),
    "/console/gateways": (),
    "/console/codes": (),
    "/console/texts": ("skip", "point", "fate", "gateway", "error"),
    "/console/figures.csv": ("from", "to"),
    "/console/audit": ("to", "to_day,to_month,to_year", "before", "staff"),
    "/console/audit.csv": ("from", "to", "staff"),
    "/console/search": (),
    "/console/staff": ("done",),
}
FORMS: dict[str, Sequence[str]] = {
    "/console/code": ("mobile", "proof"),
    "/console/login": ("mobile", "code", "proof"),
    "/console/search": ("digits", "account", "proof"),
    "/console/search.csv": ("account", "proof"),
    "/console/staff": ("mobile", "name", "role", "province", "broker", "remove", "proof"),
    "/console/staff/confirm": ("order", "code", "proof"),
}
NASTY = (
    *("a\0b", b"\xff", "\ud7ff\u202e", "x" * 50_000, "\r\nX: y", "1_0", "-" + "9" * 30, "9" * 5_000),
    *(str(2**31), str(2**63), "0001-01-01", "9999-12-31"),
)


@pytest.fixture
def home(make_bot: MakeBot) -> Bot:
    bot = settled(make_bot())
    employ(bot.store)
    return bot


def errors(printed: StringIO) -> list[str]:
    return [line for line in printed.getvalue().splitlines() if '"request_broken"' in line]


@pytest.mark.slow
def test_no_address_is_too_much_for_a_page(home: Bot, carrier: Carrier, printed: StringIO) -> None:
    client = Browser(home, carrier).log_in(CHIEF["mobile"]).client
    answered = {
        (path, names, said): client.get(
            path, query_string=dict.fromkeys(names.split(","), said), base_url=home.settings.public_url
        ).status_code
        for path, known in QUERIES.items()
        for names, all_said in [*((it, NASTY) for it in known), *((it, ("x",)) for it in BUILDERS)]
        for said in all_said
    }
    assert {what: status for what, status in answered.items() if status not in {200, 400}} == {}
    assert not errors(printed)


@pytest.mark.parametrize("member", [CHIEF, TEHRAN], ids=lambda it: it["name"])
def test_no_form_is_too_much_for_a_page(home: Bot, carrier: Carrier, printed: StringIO, member: dict[str, str]) -> None:
    browser = Browser(home, carrier).log_in(member["mobile"])
    found = re.search(r'name="proof" value="(\w+)"', browser.get("/console").text)
    assert found
    whole = {"mobile": CHIEF["mobile"], "name": "N", "role": "broker", "broker": "نور", "proof": found[1]}
    for path, names in FORMS.items():
        for name in names:
            for said in NASTY:
                given = {"proof": found[1]} if name == "remove" else whole
                answer = browser.client.post(path, data=given | {name: said}, base_url=home.settings.public_url)
                assert answer.status_code < 500, (path, name, said)
    assert not errors(printed)
    assert "Log out" in browser.get("/console?lang=en").text


def test_the_same_page_in_the_other_language_stays_on_this_host(home: Bot, carrier: Carrier) -> None:
    client = Browser(home, carrier).client
    page = client.get("/?_external=1&_scheme=javascript&x=%22%3E", headers={"Host": "elsewhere.example"})
    assert 'href="/?_external=1&amp;_scheme=javascript&amp;x=%22%3E&amp;lang=' in page.text
    assert "elsewhere" not in page.text
