"""Codes of staff: of those that a browser has asked for at the console, a try of the newest that lives is spent."""

from datetime import timedelta
from itertools import product

import pytest
from sqlalchemy import select

from dialogs.vocabulary import CodePurpose
from store import codes
from store.codes import NewCode
from store.database.engine import Store
from store.tables import RequestedBy, StaffRow, table
from tests.support.parts import NOON
from tests.support.people import CHIEF, COLLEAGUE, employ

STAFF = table(StaffRow)
LATER = NOON + timedelta(seconds=30)


@pytest.fixture
def chief(store: Store) -> int:
    employ(store, CHIEF, COLLEAGUE)
    with store.reading() as connection:
        found: int = connection.execute(select(STAFF.c.id).where(STAFF.c.mobile == CHIEF["mobile"])).scalar_one()
        return found


def a_code(staff_id: int, code_id: str, purpose: CodePurpose, age: float = 0, lives: float = 600) -> NewCode:
    """A code for the console; `age` is how many seconds ago it was asked for, `lives` how many it has left."""
    return NewCode(
        id=code_id,
        purpose=purpose,
        account_id=None,
        staff_id=staff_id,
        phone=CHIEF["mobile"],
        requested_by=RequestedBy.STAFF,
        key_id="k1",
        digest=bytes(32),
        tries_left=5,
        created_at=LATER - timedelta(seconds=age),
        expires_at=LATER + timedelta(seconds=lives),
    )


def spent(store: Store, staff_id: int, asked: list[str], *issued: NewCode) -> list[tuple[str, int]]:
    """Write codes in this order, and spend a try: the ids that one was spent of, and the tries left."""
    with store.writing() as connection:
        for code in issued:
            codes.issue(connection, code)
        return [(it.id, it.tries_left) for it in codes.spend_at_console(connection, staff_id, asked, LATER)]


# A browser asks as a stranger and as one that is known. Neither the ids nor the order of writing may decide.
@pytest.mark.parametrize("newer_is_written_first", [False, True])
@pytest.mark.parametrize("ids", [("a", "b"), ("b", "a")], ids="-".join)
@pytest.mark.parametrize(("older", "newer"), [codes.AT_CONSOLE, codes.AT_CONSOLE[::-1]])
def test_a_try_of_the_newest_code_is_spent(
    store: Store, chief: int, older: CodePurpose, newer: CodePurpose, ids: tuple[str, str], newer_is_written_first: bool
) -> None:
    written = [a_code(chief, ids[0], older, age=20), a_code(chief, ids[1], newer, age=10)]
    if newer_is_written_first:
        written.reverse()
    assert spent(store, chief, sorted(ids), *written) == [(ids[1], 4)]


@pytest.mark.parametrize("ids", [("a", "b"), ("b", "a")], ids="-".join)
def test_a_newest_code_that_has_expired_hides_none_that_lives(store: Store, chief: int, ids: tuple[str, str]) -> None:
    living = a_code(chief, ids[0], CodePurpose.CONSOLE, age=20)
    expired = a_code(chief, ids[1], CodePurpose.OWN_BROWSER, age=10, lives=0)
    assert spent(store, chief, list(ids), living, expired) == [(ids[0], 4)]


def test_what_the_browser_has_not_asked_for_and_what_is_not_for_the_console_is_never_spent(
    store: Store, chief: int
) -> None:
    others = [
        a_code(chief, "theirs", CodePurpose.OWN_BROWSER),
        a_code(chief, "change", CodePurpose.STAFF_CHANGE),
        a_code(chief, "mine", CodePurpose.CONSOLE, age=20),
    ]
    assert spent(store, chief, ["mine", "change"], *others) == [("mine", 4)]
    for staff_id, asked in product((chief, chief + 1), (["change"], [], ["nobody's"])):
        assert spent(store, staff_id, asked) == []
    assert spent(store, chief + 1, ["mine"]) == []
