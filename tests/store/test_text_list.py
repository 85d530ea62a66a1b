"""The texts behind a number are as many as the number says, whatever the number is of."""

from datetime import timedelta

import pytest

from bot.platform.clock import midnight, today_in_tehran
from bot.reports import kpi
from bot.reports.kpi import POINTS, Point
from store.database.engine import Store
from store.tables import DeliveryStatus
from store.views import text_list
from store.views.delivery_stats import Scope
from store.views.text_list import Fate, TextFilter
from tests.support import made_season
from tests.support.made_texts import a_text, put
from tests.support.parts import NOON

DAYS, MOST = 3, 10_000
FIRST = today_in_tehran(NOON) - timedelta(days=DAYS)
BEGIN, END = midnight(FIRST), midnight(FIRST + timedelta(days=DAYS + 1))
# Each of the cases that a season has few of.
ODD = [
    a_text(DeliveryStatus.QUEUED, accepted=None, sent=None, request_received_at=NOON - timedelta(seconds=10)),
    a_text(DeliveryStatus.QUEUED, accepted=None, sent=None, request_received_at=NOON - timedelta(seconds=90)),
    a_text(DeliveryStatus.DROPPED, accepted=None, sent=None, ended=30, error="voided"),
    a_text(DeliveryStatus.DROPPED, accepted=None, sent=None, ended=61, error="voided"),
    a_text(DeliveryStatus.DROPPED, accepted=None, sent=None, ended=600, error="expired"),
    a_text(ended=60),
    a_text(ended=60.001),
]


@pytest.fixture
def store(store: Store) -> Store:
    made_season.make(store, 400, BEGIN, days=DAYS)
    put(store, *ODD)
    return store


def listed(store: Store, wanted: TextFilter) -> int:
    with store.reading() as connection:
        return len(text_list.newest(connection, wanted, NOON, 0, MOST))


def counted(point: Point, fate: Fate) -> int:
    return int(getattr(point, fate))


@pytest.mark.parametrize("scope", [Scope(), Scope(province="province 03"), Scope(broker="broker 007")], ids=str)
def test_every_number_of_a_control_point_is_that_of_its_texts(store: Store, scope: Scope) -> None:
    found = kpi.figures(store, FIRST, FIRST + timedelta(days=DAYS), NOON, scope)
    for subject in POINTS:
        for fate in Fate:
            wanted = TextFilter(BEGIN, END, scope, subject, fate)
            assert listed(store, wanted) == counted(found.points[subject].whole, fate), (subject, fate)
        for gateway, point in found.points[subject].gateways.items():
            wanted = TextFilter(BEGIN, END, scope, subject, Fate.MISSED, gateway)
            assert listed(store, wanted) == point.missed, (subject, gateway)


def test_what_a_scrape_counts_is_what_the_figures_say(store: Store) -> None:
    # A scrape counts what was written before it.
    now = NOON + timedelta(seconds=1)
    found = kpi.figures(store, FIRST, FIRST + timedelta(days=DAYS), now)
    with store.reading() as connection:
        told = text_list.in_time_and_missed(connection, BEGIN, now)
        assert text_list.in_time_and_missed(connection, now, now) == dict.fromkeys(POINTS, (0, 0))
    whole = {subject: found.points[subject].whole for subject in POINTS}
    assert told == {subject: (point.in_time, point.missed) for subject, point in whole.items()}
    assert all(point.missed for point in whole.values())


def test_every_number_of_errors_is_that_of_its_texts(store: Store) -> None:
    found = kpi.figures(store, FIRST, FIRST + timedelta(days=DAYS), NOON)
    assert found.errors
    for (gateway, error), number in found.errors.items():
        assert listed(store, TextFilter(BEGIN, END, gateway=gateway, error=error)) == number, (gateway, error)


def test_the_newest_come_first_and_pages_hold_each_text_once(store: Store) -> None:
    with store.reading() as connection:
        whole = text_list.newest(connection, TextFilter(BEGIN, END), NOON, 0, MOST)
        pages = [
            text_list.newest(connection, TextFilter(BEGIN, END), NOON, skip, 50) for skip in range(0, len(whole), 50)
        ]
    assert [row.created_at for row in whole] == sorted((row.created_at for row in whole), reverse=True)
    assert [row.id for page in pages for row in page] == [row.id for row in whole]
