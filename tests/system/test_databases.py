"""What tests are given to work on: a store that is as it was migrated, though other tests have had it before."""

import pytest
from sqlalchemy import update

from store import audit, staff
from store.database.engine import Store
from tests.support.databases import Emptied
from tests.support.people import TEHRAN, employ


@pytest.fixture
def emptied(request: pytest.FixtureRequest, backend: str) -> Emptied:
    found: Emptied = request.getfixturevalue(f"emptied_{backend}")
    return found


def people(store: Store) -> list[int]:
    with store.reading() as connection:
        return [it.id for it in staff.every(connection)]


def test_it_is_emptied_and_not_made_anew(emptied: Emptied) -> None:
    """To make a database for each test would take ten times as long, and nobody would notice."""
    store = emptied()
    employ(store, TEHRAN)
    first = people(store)
    with store.writing() as connection:
        connection.execute(update(audit.HEAD).values(seq=7))
    assert emptied() is store
    assert people(store) == []
    with store.reading() as connection:
        assert connection.execute(audit.HEAD.select()).one().seq == 0
    employ(store, TEHRAN)
    assert people(store) == first == [1], "ids are counted anew"


def test_it_is_made_anew_where_its_tables_were_changed(emptied: Emptied) -> None:
    store = emptied()
    with store.writing() as connection:
        connection.exec_driver_sql("DROP TABLE season")
    assert emptied() is not store
