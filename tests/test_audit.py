"""The audit: a row for whatever is done or tried, that says enough and tells no secret."""

from typing import Any

import pytest
from sqlalchemy import select

from bot.audit import Entry, Trail, masked
from bot.build import Bot
from store.audit import AUDIT, Action, Actor, Outcome
from store.engine import Store
from tests.parts import NOON


def rows(store: Store) -> list[Any]:
    with store.reading() as connection:
        return list(connection.execute(select(AUDIT).order_by(AUDIT.c.id)))


@pytest.fixture
def trail(bot: Bot) -> Trail:
    return Trail(bot.keys, bot.dice)


def test_it_writes_rows_in_order(trail: Trail, store: Store) -> None:
    asked = Entry(Actor.STAFF, Action.STAFF_RESET, who="…4567", account_id=3, staff_id=2, ref="R1")
    sent = Entry(Actor.BOT, Action.CODE_SENT, Outcome.REFUSED, "too_often", account_id=3)
    with store.writing() as connection:
        trail.note(connection, NOON, asked, sent)
    first, second = rows(store)
    assert (first.at, first.actor, first.who, first.action, first.outcome) == (
        NOON, "staff", "…4567", "staff_reset", "ok",
    )  # fmt: skip
    assert (first.account_id, first.staff_id, first.ref, first.reason, first.seq) == (3, 2, "R1", None, None)
    assert (second.actor, second.outcome, second.reason, second.who) == ("bot", "refused", "too_often", "")
    assert first.nonce != second.nonce


def test_what_is_undone_leaves_no_row(trail: Trail, store: Store) -> None:
    with store.writing() as connection:
        trail.note(connection, NOON, Entry(Actor.BOT, Action.CODE_SENT))
        connection.rollback()
    assert rows(store) == []


@pytest.mark.parametrize("who", ["a\r\nb", "a\x1b[2Jb", "a\u202eb", "a\x00b", "a\u2028b", "a\ud800b"])
def test_nothing_breaks_a_line_or_steers_a_terminal(trail: Trail, store: Store, who: str) -> None:
    with store.writing() as connection:
        trail.note(connection, NOON, Entry(Actor.STAFF, Action.STAFF_STATS, who=who, reason=who, ref=who))
    (row,) = rows(store)
    for said in (row.who, row.reason, row.ref):
        assert said.isprintable()
        assert said.startswith("a ")
        assert said.endswith("b")


def test_a_long_name_is_cut(trail: Trail, store: Store) -> None:
    with store.writing() as connection:
        trail.note(connection, NOON, Entry(Actor.STAFF, Action.STAFF_STATS, who="ن" * 90))
    assert rows(store)[0].who == "ن" * 60


def test_a_number_is_shown_by_its_last_digits() -> None:
    assert masked("+989121234567") == "…4567"
