"""An upgrade brings every spelling of a province and a broker together, and what was counted under each."""

import importlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from dialogs.parsing.normalise import place_name
from store.database import migrate
from store.database.engine import Store
from store.tables import AccountRow, DeliveryStatRow, StaffRow, table
from tests.store.test_upgrade_of_codes import put

SPELLINGS = ["خراسان رضوی", "خراسان\u200cرضوي", " خراسان  رضوى", "خراسان رضـوی"]
ONE = "خراسان رضوی"


@pytest.fixture
def upgraded(former: Store) -> Store:
    """A database of before, with every spelling in it, brought up to date."""
    migrate.upgrade(former, "0012")
    with former.writing() as connection:
        for number, place in enumerate([*SPELLINGS, "\u200c", None], 1):
            who = {"national_id": f"{number:010d}", "username": f"u{number}", "mobile": f"+98912000000{number}"}
            put(connection, "account", **who, active=True, failures=0, province=place, broker=place)
            put(connection, "staff", mobile=who["mobile"], name="n", role="provincial", province=place, failures=0)
        for place in ("", *SPELLINGS, "قم"):
            key = {"period": 1, "subject": "code", "gateway": "twilio"}
            put(connection, "delivery_stat", **key, province=place, counts={"delivered": 2, "3": 1})
    migrate.upgrade(former)
    return former


def test_every_spelling_is_one(upgraded: Store) -> None:
    account, staff = table(AccountRow), table(StaffRow)
    wanted = [*[ONE] * len(SPELLINGS), None, None]
    with upgraded.reading() as connection:
        for column in (account.c.province, account.c.broker, staff.c.province):
            assert list(connection.execute(select(column).order_by(column.table.c.id)).scalars()) == wanted


def test_what_was_counted_apart_is_added_up(upgraded: Store) -> None:
    of = table(DeliveryStatRow).c
    with upgraded.reading() as connection:
        found = {row.province: row.counts for row in connection.execute(select(of.province, of.counts))}
    once, all_of_them = {"delivered": 2, "3": 1}, {"delivered": 8, "3": 4}
    assert found == {"": once, ONE: all_of_them, "قم": once}


@given(st.text(max_size=30))
def test_it_spells_as_the_service_does(written: str) -> None:
    former = importlib.import_module("store.migrations.versions.0013_one_spelling_of_a_place")
    if len(place_name(written)) <= 60:
        assert former.place_name(written) == place_name(written)
