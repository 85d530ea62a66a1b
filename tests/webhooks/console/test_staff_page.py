"""Staff at the console: who may change whom, by which code, what ends at once, and what the audit has of it."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from bot.accounts.staff_changes import ChangeRefused, StaffChange, StaffCommand
from bot.build import Bot
from bot.ports import Inbound
from store import accounts, mobile_changes, staff
from store.tables import AuditRow, StaffRow, table
from tests.support.console_browser import Browser
from tests.support.parts import Carrier, StoppedClock
from tests.support.people import BROKER, CHIEF, COLLEAGUE, OMID, STRANGER, TEHRAN, ZAHRA, employ, settled
from webhooks import html

SECOND: dict[str, Any] = {"mobile": "+989111110008", "name": "Second chief", "role": "headquarters"}
NEW = {"mobile": "09111110010", "name": "مریم نو", "role": "provincial", "province": "فارس"}


@pytest.fixture
def home(bot: Bot) -> Bot:
    settled(bot)
    employ(bot.store)
    employ(bot.store, SECOND)
    return bot


@pytest.fixture
def chief(home: Bot, carrier: Carrier) -> Browser:
    browser = Browser(home, carrier).log_in(CHIEF["mobile"])
    browser.get("/console/staff?lang=en")
    return browser


def there(bot: Bot) -> set[str]:
    with bot.store.reading() as connection:
        return {it.mobile for it in staff.every(connection)}


def id_of(bot: Bot, mobile: str) -> str:
    with bot.store.reading() as connection:
        return str(connection.execute(select(StaffRow.id).where(StaffRow.mobile == mobile)).scalar_one())  # type: ignore[call-overload]


def noted(bot: Bot) -> list[tuple[Any, ...]]:
    rows = table(AuditRow).c
    told = (rows.actor, rows.action, rows.outcome, rows.reason, rows.who, rows.ref)
    with bot.store.reading() as connection:
        found = connection.execute(select(*told).order_by(rows.id))
        return [tuple(row) for row in found if row.action.startswith(("staff_", "mobile_change_stopped"))]


def order(browser: Browser, **form: str) -> TestResponse:
    answer = browser.post("/console/staff", **form)
    browser.bot.courier.deliver_due()
    return answer


def confirm(browser: Browser, page: TestResponse, code: str) -> TestResponse:
    found = re.search(r'name="order" value="([^"]+)"', page.text)
    assert found
    answer = browser.post("/console/staff/confirm", order=found[1], code=code)
    browser.bot.courier.deliver_due()
    return answer


def remove(browser: Browser, mobile: str) -> TestResponse:
    return order(browser, remove=id_of(browser.bot, mobile))


def test_somebody_is_taken_on_by_a_code_to_who_takes_them_on(chief: Browser) -> None:
    page = order(chief, **NEW)
    assert (chief.carrier.sent[-1].to, "0010" in chief.carrier.sent[-1].text) == (CHIEF["mobile"], True)
    assert "+989111110010" not in there(chief.bot) and "…0010" in page.text
    assert confirm(chief, page, chief.code()).status_code == 303
    with chief.bot.store.reading() as connection:
        member = staff.at(connection, "+989111110010")
    assert member is not None and (member.role, member.province, member.name) == ("provincial", "فارس", "مریم نو")
    assert noted(chief.bot) == [
        ("staff", "staff_added", "ok", "ordered", "…0004", "…0010"),
        ("staff", "staff_added", "ok", "confirmed", "…0004", "…0010"),
    ]


def test_the_others_of_headquarters_hear_of_it_unless_they_want_no_texts(chief: Browser) -> None:
    """Whoever has a second number of their own taken on would be the two who can change a mobile, and nobody knew."""

    def told(mobile: str) -> list[tuple[str, str]]:
        page, code = order(chief, **{**NEW, "mobile": mobile, "role": "headquarters", "province": ""}), chief.code()
        sent = len(chief.carrier.sent)
        assert confirm(chief, page, code).status_code == 303
        return sorted((text.to, text.phrase) for text in chief.carrier.sent[sent:])

    second, third, said = SECOND["mobile"], "+989111110010", "staff_taken_on"
    assert told(third) == [(second, said)]
    assert told("+989111110011") == [(second, said), (third, said)]
    chief.bot.hear(Inbound("simulated", "S1", second, "STOP"))
    chief.bot.courier.deliver_due()
    assert told("+989111110012") == [(third, said), ("+989111110011", said)]


def test_who_is_removed_is_out_at_once(chief: Browser, clock: StoppedClock) -> None:
    """Session, order and proposal of theirs end in the same transaction."""
    bot, person = chief.bot, ZAHRA["national_id"]
    tehran = Browser(bot, chief.carrier).log_in(TEHRAN["mobile"])
    for number, words in enumerate((f"موبایل {person} 09171112233", "", f"ریست {person}")):
        bot.hear(Inbound("simulated", f"T{number}", TEHRAN["mobile"], words or chief.code()))
        bot.courier.deliver_due()
    waiting = chief.code()
    page = remove(chief, TEHRAN["mobile"])
    assert confirm(chief, page, chief.code()).status_code == 303
    assert TEHRAN["mobile"] not in there(bot)
    assert "Log out" not in tehran.get("/console?lang=en").text
    with bot.store.reading() as connection:
        assert mobile_changes.lock_of_staff(connection, int(id_of(bot, TEHRAN["mobile"]))) == []
    sent = len(chief.carrier.sent)
    bot.hear(Inbound("simulated", "T9", TEHRAN["mobile"], waiting))
    bot.courier.deliver_due()
    assert ZAHRA["mobile"] not in [text.to for text in chief.carrier.sent[sent:]]
    assert [row[:4] for row in noted(bot)][-2:] == [
        ("staff", "staff_removed", "ok", "confirmed"),
        ("staff", "mobile_change_stopped", "ok", None),
    ]


def test_whoever_is_changed_begins_anew(chief: Browser) -> None:
    second = Browser(chief.bot, chief.carrier).log_in(SECOND["mobile"])
    page = order(chief, **{**NEW, "mobile": SECOND["mobile"], "role": "broker", "province": "نور"})
    assert confirm(chief, page, chief.code()).status_code == 303
    assert "Log out" not in second.get("/console?lang=en").text
    with chief.bot.store.reading() as connection:
        member = staff.at(connection, SECOND["mobile"])
    assert member is not None and (member.role, member.broker, member.province) == ("broker", "نور", None)


@pytest.mark.parametrize("form", [{"remove": "own"}, {**NEW, "mobile": CHIEF["mobile"]}])
def test_nobody_removes_or_demotes_themselves(chief: Browser, form: dict[str, str]) -> None:
    if "remove" in form:
        form = {"remove": id_of(chief.bot, CHIEF["mobile"])}
    sent = len(chief.carrier.sent)
    answer = order(chief, **form)
    assert (answer.status_code, "Nobody changes or removes themselves" in answer.text) == (403, True)
    assert len(chief.carrier.sent) == sent and CHIEF["mobile"] in there(chief.bot)
    assert noted(chief.bot)[-1][2:4] == ("refused", "own_account")


@pytest.mark.parametrize("times", range(3))
def test_two_who_remove_each_other_leave_one(home: Bot, carrier: Carrier, times: int) -> None:
    pair = []
    for by, whom in ((CHIEF, SECOND), (SECOND, CHIEF)):
        with home.store.reading() as connection:
            member = staff.at(connection, by["mobile"])
        assert member is not None
        sealed = home.staff_changes.order(member, StaffChange(StaffCommand.REMOVE, whom["mobile"]), "en")
        home.courier.deliver_due()
        code = re.findall(r"(?<!\d)\d{6}(?!\d)", carrier.sent[-1].text)[0]
        pair.append((member, sealed, code))

    def carry_out(member: Any, sealed: str, code: str) -> bool:
        try:
            home.staff_changes.confirm(member, sealed, code)
        except ChangeRefused:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda each: carry_out(*each), pair))
    assert sorted(done) == [False, True]
    assert len(there(home) & {CHIEF["mobile"], SECOND["mobile"]}) == 1


@pytest.mark.parametrize("person", [TEHRAN, COLLEAGUE])
def test_others_see_and_do_nothing_of_it(home: Bot, carrier: Carrier, person: dict[str, Any]) -> None:
    browser = Browser(home, carrier).log_in(person["mobile"])
    assert "/console/staff" not in browser.page.text
    assert browser.get("/console/staff?lang=en").status_code == 403
    assert order(browser, **NEW).status_code == 403
    assert browser.post("/console/staff/confirm", order="x", code="1").status_code == 403
    assert noted(home) == []


def test_strangers_and_forms_of_other_pages_are_refused(home: Bot, chief: Browser, carrier: Carrier) -> None:
    assert Browser(home, carrier).get("/console/staff").status_code == 401
    assert Browser(home, carrier).post("/console/staff", **NEW).status_code == 401
    for path in ("/console/staff", "/console/staff/confirm"):
        assert chief.post(path, proof="0" * 64, **NEW).status_code == 403
    assert noted(home) == []


def test_a_wrong_code_changes_nothing_and_the_right_one_is_good_once(chief: Browser) -> None:
    page = order(chief, **NEW)
    code = chief.code()
    answer = confirm(chief, page, "000000")
    assert (answer.status_code, "Nothing was changed" in answer.text) == (403, True)
    assert "+989111110010" not in there(chief.bot)
    assert confirm(chief, page, code).status_code == 303
    removal = remove(chief, "+989111110010")
    assert confirm(chief, removal, chief.code()).status_code == 303
    assert confirm(chief, page, code).status_code == 403
    assert "+989111110010" not in there(chief.bot)
    assert ("staff", "staff_added", "failed", "wrong_code", "…0004", "…0010") in noted(chief.bot)


def test_five_wrong_codes_burn_it(chief: Browser) -> None:
    page = order(chief, **NEW)
    for _ in range(5):
        confirm(chief, page, "000000")
    assert confirm(chief, page, chief.code()).status_code == 403
    assert "+989111110010" not in there(chief.bot)


def test_a_code_ends_after_ten_minutes_and_by_a_newer_order(chief: Browser, clock: StoppedClock) -> None:
    old = order(chief, **NEW)
    code = chief.code()
    newer = remove(chief, BROKER["mobile"])
    assert confirm(chief, old, code).status_code == 403
    assert confirm(chief, old, chief.code()).status_code == 403  # the newer order's, for the older one
    clock.forward(seconds=601)
    assert confirm(chief, newer, chief.code()).status_code == 403
    assert BROKER["mobile"] in there(chief.bot) and "+989111110010" not in there(chief.bot)


def test_an_order_can_t_be_made_up_or_carried_out_by_another(chief: Browser) -> None:
    page = order(chief, **NEW)
    second = Browser(chief.bot, chief.carrier)
    code = chief.code()
    second.log_in(SECOND["mobile"])
    assert confirm(second, page, code).status_code == 403
    for made_up in ("", "x", "gAAAAA", chief.bot.keyring.seal("{}").decode()):
        assert chief.post("/console/staff/confirm", order=made_up, code=code).status_code == 403
    assert "+989111110010" not in there(chief.bot)
    assert confirm(chief, page, code).status_code == 303


def test_who_was_removed_meanwhile_confirms_nothing(chief: Browser) -> None:
    page, code = order(chief, **NEW), chief.code()
    second = Browser(chief.bot, chief.carrier).log_in(SECOND["mobile"])
    second.get("/console/staff?lang=en")
    assert confirm(second, remove(second, CHIEF["mobile"]), second.code()).status_code == 303
    assert confirm(chief, page, code).status_code == 401
    assert "+989111110010" not in there(chief.bot)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"mobile": "12"}, "bad_mobile"),
        ({"mobile": "+15005550006"}, "bad_mobile"),
        ({"role": "king"}, "bad_role"),
        ({"name": " \u202e"}, "bad_name"),
        ({"province": ""}, "bad_province"),
        ({"role": "broker", "province": ""}, "bad_broker"),
    ],
)
def test_what_can_t_be_taken_is_said_and_stays_in_the_form(chief: Browser, changes: dict[str, str], fault: str) -> None:
    answer = order(chief, **{**NEW, **changes})
    assert answer.status_code == 400
    assert html.words("en")["staff_page"]["faults"][fault] in answer.text.replace("&#39;", "'")
    assert (NEW["name"] in answer.text) == ("name" not in changes)


def test_so_many_changes_in_an_hour_are_too_many(chief: Browser) -> None:
    answers = [order(chief, **NEW).status_code for _ in range(21)]
    assert answers == [200] * 20 + [403]


def test_no_whole_number_stands_in_the_pages_or_the_audit(chief: Browser) -> None:
    pages = chief.get("/console/staff?lang=fa").text + order(chief, **NEW).text
    for whole in (TEHRAN["mobile"], NEW["mobile"], "9111110010"):
        assert whole not in pages and whole not in repr(noted(chief.bot))
    assert STRANGER not in pages


def test_pages_say_the_same_in_both_languages() -> None:
    fa, en = (html.words(language)["staff_page"] for language in ("fa", "en"))
    assert fa.keys() == en.keys()
    assert all(fa[name].keys() == en[name].keys() for name in fa if isinstance(fa[name], dict))


# Files


def test_the_audit_as_a_file_is_for_headquarters_and_is_audited(chief: Browser, home: Bot, carrier: Carrier) -> None:
    home.hear(Inbound("simulated", "P1", ZAHRA["mobile"], f"رمز {ZAHRA['national_id']}"))
    answer = chief.get("/console/audit.csv?from=2026-09-01&to=2026-09-01")
    lines = answer.text.splitlines()
    assert answer.content_type == "text/csv; charset=utf-8" and lines[0].startswith("\ufeffid,gregorian,jalali,time,")
    assert any(",pilgrim,…4567,code_requested,ok," in line for line in lines) and len(lines) == 5
    assert ZAHRA["mobile"] not in answer.text and ZAHRA["national_id"] not in answer.text
    by_staff = chief.get("/console/audit.csv?staff=on").text.splitlines()
    assert [line.split(",")[6] for line in by_staff[1:]] == ["console_code", "console_login", "audit_exported"]
    assert len(chief.get("/console/audit.csv?to=2026-08-31").text.splitlines()) == 1
    assert chief.get("/console/audit.csv?to=nonsense").status_code == 400
    tehran = Browser(home, carrier).log_in(TEHRAN["mobile"])
    assert tehran.get("/console/audit.csv").status_code == 403


def test_a_story_as_a_file_is_for_those_whose_scope_it_is_in(home: Bot, carrier: Carrier) -> None:
    home.hear(Inbound("simulated", "P1", ZAHRA["mobile"], f"رمز {ZAHRA['national_id']}"))
    tehran = Browser(home, carrier).log_in(TEHRAN["mobile"])
    page = tehran.post("/console/search", digits=ZAHRA["national_id"]).text
    found = re.search(r'search\.csv.*?name="account" value="(\d+)"', page, re.DOTALL)
    assert found
    answer = tehran.post("/console/search.csv", account=found[1])
    assert [line.split(",")[0] for line in answer.text.splitlines()[:3]] == ["\ufeffwhat", "code", "text"]
    assert ZAHRA["mobile"] not in answer.text and ZAHRA["national_id"] not in answer.text
    with home.store.reading() as connection:
        rows = table(AuditRow).c
        last = connection.execute(select(rows.action, rows.reason).order_by(rows.id.desc()).limit(1)).one()
    assert tuple(last) == ("console_search", "exported")
    with home.store.reading() as connection:
        omid = accounts.id_of(connection, OMID["national_id"])
    assert tehran.post("/console/search.csv", account=str(omid)).status_code == 404
    assert tehran.post("/console/search.csv", account="x").status_code == 400
    assert tehran.post("/console/search.csv", proof="0" * 64, account=found[1]).status_code == 403
    assert tehran.get("/console/search.csv").status_code == 405
