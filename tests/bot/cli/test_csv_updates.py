"""An import of accounts that are there: what it changes, what it leaves, and whose a user name is."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from bot.accounts import password_change
from bot.accounts.csv_import import BATCH, ImportResult
from bot.build import Bot
from bot.ports import Inbound
from store import accounts, reset_grants
from store.reset_grants import NewGrant
from store.tables import AuditRow, OutboundMessageRow, WebhookEventRow
from tests.support.import_desk import ACCOUNT, FULL, HEADER, ROW, Desk, national_ids
from tests.support.parts import NOON, Carrier, StoppedClock
from tests.support.people import ZAHRA, settled

# Updates


def test_it_updates_an_account_and_leaves_absent_columns_alone(desk: Desk) -> None:
    desk.take(FULL + "0012345679,zahra,09121234567,Zahra,Tehran,Noor,en,Mecca#1447,no\n")
    before = desk.accounts()["0012345679"]
    assert desk.take(HEADER + "0012345679,zahra2,09121234567\n") == ImportResult(1, 0)
    after = desk.accounts()["0012345679"]
    assert after.username == "zahra2"
    changed = {name for name in before._fields if getattr(before, name) != getattr(after, name)}
    assert changed == {"username", "username_key"}


def test_it_leaves_what_an_empty_cell_would_erase(desk: Desk) -> None:
    desk.take(FULL + "0012345679,zahra,09121234567,Zahra,Tehran,Noor,en,Mecca#1447,no\n")
    before = desk.accounts()["0012345679"]
    desk.take(FULL + "0012345679,zahra,09121234567,,,  ,,,\n")
    assert desk.accounts()["0012345679"] == before


def test_it_changes_no_registered_mobile(desk: Desk, clock: StoppedClock) -> None:
    desk.take(HEADER + ROW)
    before = desk.accounts()
    clock.forward(days=1)
    line, reason = desk.refused(HEADER + "8052916372,omid,09351112233\n0012345679,zahra2,09351112233\n")
    assert (line, "mobile" in reason) == (3, True)
    assert desk.accounts()["0012345679"] == before["0012345679"]
    assert "8052916372" in desk.accounts()


def test_it_changes_mobiles_where_it_is_told_to_and_tells_both(desk: Desk, clock: StoppedClock) -> None:
    desk.take(f"{HEADER.strip()},language\n{ROW.strip()},en\n8052916372,omid,09351112233,\n")
    clock.forward(days=1)
    desk.change_mobiles()
    result = desk.take(HEADER + ROW.replace("1234567\n", "1230000\n") + "8052916372,omid2,09351112233\n")
    assert result == ImportResult(2, 0, moved=1)
    account = desk.accounts()["0012345679"]
    assert (account.mobile, account.former_mobile) == ("+989121230000", "+989121234567")
    assert account.mobile_changed_at == NOON + timedelta(days=1)
    assert [(it.phrase, it.phone, it.language) for it in desk.rows(OutboundMessageRow)] == [
        ("mobile_changed", "+989121234567", "en"),
        ("mobile_registered", "+989121230000", "en"),
    ]
    (row,) = desk.rows(AuditRow)
    assert (row.actor, row.action, row.account_id, row.reason) == ("operator", "mobile_changed", account.id, "import")


WITH_PASSWORD = f"{HEADER.strip()},password\n{ROW.strip()},"


def test_a_password_that_a_list_changes_is_told_to_both_mobiles_and_audited(
    bot: Bot, tmp_path: Path, clock: StoppedClock
) -> None:
    """Else whoever may write a line of a list takes an account, and its holder never hears of it."""
    desk = Desk(bot.store, tmp_path, clock)
    desk.take(HEADER + "0012345679,zahra,09351112233\n")
    desk.change_mobiles()
    desk.take(HEADER + ROW)
    before = len(desk.rows(AuditRow))
    bot.hear(Inbound("simulated", "M1", ZAHRA["mobile"], "STOP"))
    assert desk.take(WITH_PASSWORD + "Lantern-1448-kettle\n").passwords == 1
    told = [(row.phrase, row.phone) for row in desk.rows(OutboundMessageRow) if row.phrase == "password_changed"]
    assert told == [("password_changed", ZAHRA["mobile"]), ("password_changed", "+989351112233")]
    (row,) = desk.rows(AuditRow)[before + 1 :]  # after the STOP
    assert (row.actor, row.action, row.reason) == ("operator", "password_changed", "import")
    assert row.account_id == desk.accounts()["0012345679"].id


def test_fakher_is_told_of_passwords_that_a_list_changes_and_of_no_others(desk: Desk) -> None:
    """It ends open sessions: whoever holds the old password must not stay logged in."""
    desk.tells_fakher = True
    desk.take(HEADER + ROW)
    both = WITH_PASSWORD + "Lantern-1448-kettle\n8052916372,omid,09351112233,Harbour-1447-candle\n"
    assert desk.take(both).passwords == 1  # the other account is new
    told = [(row.event, row.account_id, row.ended_at) for row in desk.rows(WebhookEventRow)]
    assert told == [("password.changed", desk.accounts()["0012345679"].id, None)]
    desk.take(both)
    assert len(desk.rows(WebhookEventRow)) == 1


def test_no_event_waits_where_fakher_wants_none(desk: Desk) -> None:
    desk.take(HEADER + ROW)
    assert desk.take(WITH_PASSWORD + "Lantern-1448-kettle\n").passwords == 1
    assert desk.rows(WebhookEventRow) == []


def test_a_ticket_that_is_out_dies_with_the_password(bot: Bot, tmp_path: Path, clock: StoppedClock) -> None:
    desk = Desk(bot.store, tmp_path, clock)
    desk.take(HEADER + ROW)
    account_id = desk.accounts()["0012345679"].id
    with bot.store.writing() as connection:
        grant = NewGrant("ticket", account_id, "code", b"digest", clock(), clock() + timedelta(minutes=10))
        reset_grants.issue(connection, grant)
    desk.take(WITH_PASSWORD + "Lantern-1448-kettle\n")
    with bot.store.reading() as connection:
        assert reset_grants.find(connection, "ticket", clock()) is None


def test_a_list_with_the_same_passwords_changes_and_tells_nothing(
    bot: Bot, tmp_path: Path, clock: StoppedClock
) -> None:
    desk = Desk(bot.store, tmp_path, clock)
    assert desk.take(WITH_PASSWORD + "Lantern-1448-kettle\n").passwords == 0  # an account that is new
    first = desk.accounts()["0012345679"]
    assert desk.take(WITH_PASSWORD + "Lantern-1448-kettle\n").passwords == 0
    assert desk.accounts()["0012345679"] == first
    assert desk.rows(OutboundMessageRow) == []
    # one that was generated is changed for good
    with bot.store.writing() as connection:
        accounts.set_password(connection, first.id, first.password_hash, first.password_key, clock())
    assert desk.take(WITH_PASSWORD + "Lantern-1448-kettle\n").passwords == 1
    assert desk.accounts()["0012345679"].password_expires_at is None


def test_the_former_mobile_hears_of_changes_for_72_hours(bot: Bot, tmp_path: Path, clock: StoppedClock) -> None:
    desk = Desk(bot.store, tmp_path, clock)
    desk.take(HEADER + ROW)
    desk.change_mobiles()
    desk.take(HEADER + "0012345679,zahra,09351112233\n")
    told: list[list[str]] = []
    for _ in range(2):
        clock.forward(hours=71.9 if not told else 0.2)
        with bot.store.reading() as connection:
            holder = accounts.find(connection, national_id="0012345679")
            assert holder is not None
            notices = password_change.notices(
                holder, "password_changed", clock(), support_phone="02112345678", default_language="fa"
            )
            told.append([each.phone for each in notices])
    assert told == [["+989351112233", "+989121234567"], ["+989351112233"]]


def test_a_code_that_is_out_to_the_former_mobile_dies_with_the_change(
    bot: Bot, carrier: Carrier, tmp_path: Path, clock: StoppedClock
) -> None:
    settled(bot)
    bot.hear(Inbound("simulated", "M1", ZAHRA["mobile"], f"رمز {ZAHRA['national_id']}"))
    bot.courier.deliver_due()
    code = next(iter(re.findall(r"\b\d{6}\b", " ".join(text.text for text in carrier.sent))))
    desk = Desk(bot.store, tmp_path, clock)
    desk.change_mobiles()
    assert desk.take(HEADER + "0012345679,zahra,09171112233\n").moved == 1
    carrier.sent.clear()
    bot.hear(Inbound("simulated", "M2", ZAHRA["mobile"], code))
    bot.courier.deliver_due()
    assert {text.to for text in carrier.sent} == {ZAHRA["mobile"], "+989171112233"}
    assert desk.accounts()["0012345679"].password_hash is None


def test_it_tells_both_mobiles_though_they_said_stop(bot: Bot, tmp_path: Path, clock: StoppedClock) -> None:
    settled(bot)
    bot.hear(Inbound("simulated", "M1", ZAHRA["mobile"], "STOP"))
    desk = Desk(bot.store, tmp_path, clock)
    desk.change_mobiles()
    desk.take(HEADER + "0012345679,zahra,09171112233\n")
    assert [it.phone for it in desk.rows(OutboundMessageRow) if it.phrase == "mobile_changed"] == [ZAHRA["mobile"]]


def test_it_unlocks_nobody_and_forgets_no_failure(desk: Desk) -> None:
    desk.take(HEADER + ROW)
    with desk.store.writing() as connection:
        connection.execute(update(ACCOUNT).values(failures=99, locked_at=NOON))
    desk.take(HEADER + ROW)
    account = desk.accounts()["0012345679"]
    assert (account.failures, account.locked_at) == (99, NOON)


def test_the_later_of_two_rows_for_one_person_holds(desk: Desk) -> None:
    assert desk.take(HEADER + ROW + "0012345679,zahra3,09121234567\n") == ImportResult(1, 0, repeated=1)
    assert desk.accounts()["0012345679"].username == "zahra3"


def test_one_id_counts_once_however_far_apart_it_stands(desk: Desk) -> None:
    between = "".join(f"{person},u{person},09351112233\n" for person in national_ids(BATCH + 10))
    assert desk.take(HEADER + ROW + between + ROW) == ImportResult(BATCH + 11, 0, repeated=1)


def test_of_two_mobiles_for_one_new_person_the_second_is_refused(desk: Desk) -> None:
    """Whichever is right: it is not for the file's order to say."""
    assert desk.refused(HEADER + ROW + "0012345679,zahra,09351112233\n")[0] == 3
    assert desk.accounts()["0012345679"].mobile == "+989121234567"


@pytest.mark.parametrize("apart", [0, BATCH])
def test_a_user_name_that_was_given_up_earlier_in_the_file_is_free(desk: Desk, apart: int) -> None:
    desk.take(HEADER + ROW + "8052916372,omid,09351112233\n")
    between = "".join(f"{person},u{person},09351112233\n" for person in national_ids(apart))
    result = desk.take(HEADER + "0012345679,z,09121234567\n" + between + "8052916372,ZAHRA,09351112233\n")
    assert result.rejected == 0
    assert [desk.accounts()[it].username for it in ("0012345679", "8052916372")] == ["z", "ZAHRA"]


def test_two_people_can_change_their_user_names_by_way_of_a_third(desk: Desk) -> None:
    desk.take(HEADER + ROW + "8052916372,omid,09351112233\n")
    rows = "0012345679,x,09121234567\n8052916372,zahra,09351112233\n0012345679,omid,09121234567\n"
    assert desk.take(HEADER + rows) == ImportResult(2, 0, repeated=1)
    assert [desk.accounts()[it].username for it in ("0012345679", "8052916372")] == ["omid", "zahra"]


ALIKE = [
    ("zahra", "ZaHRA"),
    ("علی", "علي"),
    ("کریم", "كريم"),
    ("José", "Jose\u0301"),
    ("zahra1", "zahra۱"),
    ("zahra", "ｚａｈｒａ"),
    ("علی\u200cرضا", "علیرضا"),
    ("a b", "a\u00a0 b"),
]


@pytest.mark.parametrize(("name", "other"), ALIKE)
def test_a_user_name_that_differs_in_its_spelling_only_is_taken(desk: Desk, name: str, other: str) -> None:
    for first, second in ((name, other), (other, name)):
        line, reason = desk.refused(f"{HEADER}0012345679,{first},09121234567\n8052916372,{second},09351112233\n")
        assert (line, "username" in reason) == (3, True)
        assert list(desk.accounts()) == ["0012345679"]


@pytest.mark.parametrize(("name", "other"), [("jose", "josé"), ("زهرا", "زهراء"), ("ali.r", "alir")])
def test_user_names_that_differ_in_more_are_two(desk: Desk, name: str, other: str) -> None:
    result = desk.take(f"{HEADER}0012345679,{name},09121234567\n8052916372,{other},09351112233\n")
    assert result == ImportResult(2, 0)


def test_names_that_were_alike_before_stay_whose_they_are(desk: Desk) -> None:
    with desk.store.writing() as connection:
        for person, name in (("0012345679", "zahra"), ("8052916372", "ZAHRA")):
            row = {"national_id": person, "username": name, "mobile": "+989121234567"}
            accounts.put(connection, [row], NOON)
    rows = "0012345679,zahra,09121234567\n8052916372,ZAHRA,09121234567\n"
    assert desk.take(HEADER + rows) == ImportResult(2, 0)
    assert desk.refused(HEADER + "8052916372,Zahra,09121234567\n")[0] == 2


def test_a_refused_later_row_for_one_person_undoes_no_earlier_one(desk: Desk) -> None:
    result = desk.take(HEADER + "8052916372,omid,09351112233\n" + ROW + "0012345679,omid,09121234567\n")
    assert [line for line, _ in desk.put_aside()] == [4]
    assert sorted(desk.accounts()) == ["0012345679", "8052916372"]
    assert result == ImportResult(2, 1)
