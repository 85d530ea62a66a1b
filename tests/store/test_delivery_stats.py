"""What counts as what at the control points; that counting ahead changes no figure; that no table is read whole."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from random import Random
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import Connection, delete, event, select, text, update

from bot.platform.clock import midnight, today_in_tehran
from bot.reports import kpi
from bot.reports.kpi import Figures, Point
from bot.reports.rollup import Rollup
from store import audit, outbound_messages, stats_periods
from store.database.engine import Store
from store.service import heartbeats
from store.tables import METADATA, CloseReason, DeliveryStatus, LateReceiptRow, MessageKind, StatsPeriodRow, table
from store.views import account_history
from store.views.delivery_stats import EVERYBODY, IN_TIME, LATE_TEXTS, Scope, Subject
from tests.support import made_season
from tests.support.databases import Fresh
from tests.support.made_texts import ACCOUNT, CODE, INBOUND, a_code, a_text, put, put_accounts
from tests.support.parts import NOON, StoppedClock

PERIOD, LATE_RECEIPT = table(StatsPeriodRow), table(LateReceiptRow)
TODAY = today_in_tehran(NOON)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def store(store: Store) -> Store:
    put_accounts(store, ("Fars", "North"), ("Qom", "South"), (None, None))
    return store


def figures(store: Store, now: datetime = NOON + HOUR, scope: Scope = EVERYBODY, days: int = 0) -> Figures:
    return kpi.figures(store, TODAY, TODAY + days * DAY, now, scope)


def point(store: Store, now: datetime = NOON + HOUR, scope: Scope = EVERYBODY) -> Point:
    return figures(store, now, scope).points[Subject.CODE].whole


# What counts as what


@pytest.mark.parametrize(
    ("row", "age", "outcome"),
    [
        (a_text(ended=0.001), 1, "in_time"),
        (a_text(ended=60), 90, "in_time"),
        (a_text(ended=60.001), 90, "late"),
        (a_text(ended=9 * 3600), 36_000, "late"),
        (a_text(DeliveryStatus.FAILED, ended=2, error="unreachable"), 5, "failed"),
        (a_text(DeliveryStatus.FAILED, accepted=None, sent=None, ended=2, error="not_a_mobile"), 5, "failed"),
        (a_text(DeliveryStatus.DROPPED, accepted=None, sent=None, ended=600, error="expired"), 700, "failed"),
        (a_text(DeliveryStatus.DROPPED, accepted=None, sent=None, ended=30, error="expired"), 40, "failed"),
        (a_text(DeliveryStatus.DROPPED, accepted=None, sent=None, ended=61, error=CloseReason.VOIDED), 90, "failed"),
        (a_text(DeliveryStatus.DROPPED, accepted=None, sent=None, ended=59, error=CloseReason.VOIDED), 90, "withdrawn"),
        (
            a_text(DeliveryStatus.DROPPED, accepted=None, sent=None, ended=3, error=CloseReason.CANCELLED),
            90,
            "withdrawn",
        ),
        (a_text(DeliveryStatus.DROPPED, accepted=None, sent=None, ended=3, error="opted_out"), 90, "withdrawn"),
        (a_text(DeliveryStatus.SENT), 61, "pending"),
        (a_text(DeliveryStatus.SENDING, sent=None), 61, "pending"),
        (a_text(DeliveryStatus.QUEUED, accepted=None, sent=None), 61, "pending"),
        (a_text(DeliveryStatus.SENT), 60, "open"),
        (a_text(DeliveryStatus.QUEUED, accepted=None, sent=None), 59, "open"),
        (a_text(DeliveryStatus.ACCEPTED, sent=None), 60, "open"),
        (a_text(DeliveryStatus.ACCEPTED, sent=None), 61, "no_receipt"),
        (a_text(DeliveryStatus.ACCEPTED, sent=None), 36_000, "no_receipt"),
    ],
)
def test_each_text_counts_as_one_thing(store: Store, row: dict[str, Any], age: float, outcome: str) -> None:
    put(store, row)
    found = point(store, NOON + timedelta(seconds=age))
    counted = ("in_time", "late", "failed", "pending", "no_receipt", "open", "withdrawn")
    assert {name: getattr(found, name) for name in counted if getattr(found, name)} == {outcome: 1}
    assert found.texts == 1


def test_the_share_is_of_the_texts_whose_fate_is_known(store: Store) -> None:
    put(
        store,
        *[a_text()] * 6,
        a_text(ended=61),
        a_text(DeliveryStatus.SENT),
        *[a_text(DeliveryStatus.ACCEPTED, sent=None)] * 4,
    )
    found = point(store)
    assert (found.share, found.share_at_least) == (6 / 8, 6 / 12)
    assert figures(store).points[Subject.PASSWORD].whole.share is None


@pytest.mark.parametrize(
    ("seconds", "within"),
    [(0.2, 1), (1, 1), (1.001, 2), (59.2, 60), (60.2, 65), (65, 65), (599, 600), (600.5, 660), (3600, 3600)],
)
def test_seconds_are_rounded_up(store: Store, seconds: float, within: int) -> None:
    put(store, a_text(ended=seconds))
    assert [point(store, NOON + 2 * HOUR).percentile(percent) for percent in (1, 50, 100)] == [within] * 3


def test_percentiles_are_of_the_delivered_texts(store: Store) -> None:
    put(store, *(a_text(ended=second + 0.5) for second in range(100)), *[a_text(DeliveryStatus.SENT)] * 50)
    found = point(store)
    assert [found.percentile(percent) for percent in (50, 95, 99)] == [50, 95, 100]
    assert found.mean == pytest.approx(50.0)


@pytest.mark.parametrize(
    ("times", "steps"),
    [
        ({"decided": 0.5, "accepted": 1, "sent": 3, "ended": 8}, [0.5, 0.5, 2, 5]),
        ({"decided": 0.5, "accepted": 1, "sent": None, "ended": 8}, [0.5, 0.5, 0, 7]),
        ({"decided": 0.5, "accepted": 4, "sent": 3, "ended": 8}, [0.5, 2.5, 0, 5]),
        ({"decided": 0.5, "accepted": 9, "sent": 10, "ended": 8}, [0.5, 7.5, 0, 0]),
        ({"decided": 0.5, "accepted": None, "sent": None, "ended": 8}, [0.5, 7.5, 0, 0]),
    ],
)
def test_the_steps_follow_each_other_and_add_up(store: Store, times: dict[str, Any], steps: list[float]) -> None:
    put(store, a_text(**times))
    found = point(store)
    assert [seconds for _, seconds in found.waterfall()] == pytest.approx(steps)
    assert sum(steps) == pytest.approx(found.mean)
    assert found.waterfall(LATE_TEXTS) == []


def test_late_texts_have_steps_of_their_own(store: Store) -> None:
    put(store, a_text(ended=8), a_text(sent=70, ended=100))
    assert dict(point(store).waterfall(IN_TIME))["delivered"] == pytest.approx(6)
    assert dict(point(store).waterfall(LATE_TEXTS)) == pytest.approx(
        {"decided": 0, "accepted": 1, "sent": 69, "delivered": 30}
    )


def test_the_second_control_point_is_the_new_password_and_other_texts_are_neither(store: Store) -> None:
    put(store, *(a_text(kind=int(kind)) for kind in MessageKind), a_text(kind=int(MessageKind.PASSWORD), ended=70))
    found = figures(store).points
    assert (found[Subject.CODE].whole.texts, found[Subject.PASSWORD].whole.texts) == (1, 2)


def test_a_code_to_nobody_s_account_is_no_recovery(store: Store) -> None:
    put(store, a_text(account_id=None))
    assert point(store).texts == 0


# Days, provinces, gateways


def test_a_day_is_tehran_s(store: Store) -> None:
    begin = midnight(TODAY)
    put(store, *(a_text(request_received_at=begin + timedelta(seconds=second)) for second in (-1, 0, 86_399, 86_400)))
    found = kpi.figures(store, TODAY - DAY, TODAY + DAY, NOON + 2 * DAY).points[Subject.CODE]
    assert [(day, each.texts) for day, each in found.days.items()] == [(TODAY - DAY, 1), (TODAY, 2), (TODAY + DAY, 1)]
    assert figures(store).points[Subject.CODE].whole.texts == 2


def test_a_text_is_of_its_account_s_province_and_of_the_gateway_that_took_it(store: Store) -> None:
    refused = a_text(DeliveryStatus.DROPPED, account_id=3, gateway=None, inbound_gateway="kannel", error="expired")
    put(store, a_text(), a_text(account_id=2, gateway="kannel"), refused)
    found = figures(store).points[Subject.CODE]
    assert {name: each.texts for name, each in found.provinces.items()} == {"Fars": 1, "Qom": 1, "": 1}
    assert {name: each.texts for name, each in found.gateways.items()} == {"twilio": 1, "kannel": 2}


@pytest.mark.parametrize("counted_ahead", [False, True])
@pytest.mark.parametrize("scope", [Scope(province="Fars"), Scope(broker="North")])
def test_a_scope_sees_its_own_and_nothing_of_others(store: Store, scope: Scope, counted_ahead: bool) -> None:
    put(
        store,
        *(a_code(f"c{number}", number, close_reason=CloseReason.USED, closed_at=NOON) for number in (1, 2, 3)),
        into=CODE,
    )
    put(store, *(a_text(account_id=number, code_id=f"c{number}") for number in (1, 2, 3)))
    put(store, *(a_text(DeliveryStatus.FAILED, account_id=number, error="unreachable") for number in (1, 2)))
    put(
        store,
        {
            "gateway": "twilio",
            "provider_id": "SM1",
            "received_at": NOON,
            "event": "unanswered",
            "answered": False,
        },
        into=INBOUND,
    )
    with store.writing() as connection:
        connection.execute(update(ACCOUNT).values(locked_at=NOON))
    if counted_ahead:
        assert Rollup(store, lambda: NOON + 2 * DAY).run()
    found, whole = (figures(store, NOON + 2 * DAY, each) for each in (scope, EVERYBODY))
    assert (found.points[Subject.CODE].whole.texts, whole.points[Subject.CODE].whole.texts) == (2, 5)
    assert (found.codes, whole.codes) == ({"used": 1}, {"used": 3})
    assert (found.errors, whole.errors) == ({("twilio", "unreachable"): 1}, {("twilio", "unreachable"): 2})
    assert (found.locked, whole.locked) == (1, 3)
    assert (found.unanswered, whole.unanswered) == (None, 1)
    assert figures(store, NOON + 2 * DAY, Scope("Nowhere")).is_empty
    assert figures(store, NOON + 2 * DAY, Scope(broker="Nobody")).is_empty


# Codes and errors


@pytest.mark.parametrize(
    ("changes", "age", "close_reason"),
    [
        ({}, 599, "live"),
        ({}, 600, "expired"),
        ({"tries_left": 0}, 5, "burned"),
        *(({"close_reason": close_reason, "closed_at": NOON}, 5, str(close_reason)) for close_reason in CloseReason),
    ],
)
def test_a_code_has_one_fate_swept_or_not(store: Store, changes: dict[str, Any], age: int, close_reason: str) -> None:
    put(store, a_code("c1", **changes), into=CODE)
    put(store, a_text(code_id="c1"))
    found = figures(store, NOON + timedelta(seconds=age))
    assert (found.codes, found.codes_sent) == ({close_reason: 1}, 1)


def test_errors_are_of_texts_that_never_arrived(store: Store) -> None:
    rows = [
        a_text(error="timeout"),
        a_text(DeliveryStatus.SENT, error="timeout"),
        a_text(DeliveryStatus.FAILED, error=None),
    ]
    put(store, *rows, *(a_text(DeliveryStatus.FAILED, kind=int(kind), error="unreachable") for kind in MessageKind))
    assert figures(store).errors == {("twilio", "unknown"): 1, ("twilio", "unreachable"): len(MessageKind)}


def test_nothing_at_all_is_empty(store: Store) -> None:
    assert figures(store).is_empty
    put(store, a_text(kind=int(MessageKind.REPLY)))
    assert figures(store).is_empty
    put(store, a_text())
    assert not figures(store).is_empty


# Counting ahead


def spans(store: Store) -> list[tuple[datetime, datetime]]:
    with store.reading() as connection:
        rows = connection.execute(select(PERIOD.c.begins_at, PERIOD.c.ends_at).order_by(PERIOD.c.begins_at))
        return [(row.begins_at, row.ends_at) for row in rows]


def afresh(store: Store, now: datetime, scope: Scope, days: int) -> Figures:
    """The figures out of the texts alone."""
    with store.writing() as connection:
        kept = [dict(row._mapping) for row in connection.execute(select(PERIOD))]
        connection.execute(delete(PERIOD))
    found = figures(store, now, scope, days)
    if kept:
        put(store, *kept, into=PERIOD)
    return found


def test_hours_are_counted_once_settled_and_become_days(store: Store, clock: StoppedClock) -> None:
    put(store, a_text())
    begin, tallies = midnight(TODAY), Rollup(store, clock)
    clock.now = begin + HOUR + stats_periods.SETTLED_AFTER - timedelta(seconds=1)
    assert (tallies.run(), spans(store)) == (0, [])
    clock.now += timedelta(seconds=1)
    assert (tallies.run(), spans(store)) == (1, [(begin, begin + HOUR)])
    clock.now = begin + DAY + 2 * HOUR
    assert tallies.run() == 24
    assert len(spans(store)) == 25
    clock.now = begin + DAY + 12 * HOUR
    tallies.run()
    assert spans(store)[0] == (begin, begin + DAY)
    assert spans(store)[1:] == [(begin + DAY + n * HOUR, begin + DAY + (n + 1) * HOUR) for n in range(11)]
    assert point(store, clock.now).in_time == 1


def test_a_first_count_long_after_goes_by_days(store: Store) -> None:
    put(store, a_text())
    assert Rollup(store, lambda: midnight(TODAY) + 100 * DAY + 12 * HOUR).run() == 100 + 11
    assert [end - begin for begin, end in spans(store)] == [DAY] * 100 + [HOUR] * 11


@pytest.mark.parametrize("ahead", [20 * MINUTE, HOUR, DAY, 300 * DAY])
def test_what_was_counted_while_the_clock_was_ahead_is_counted_again(
    store: Store, clock: StoppedClock, ahead: timedelta
) -> None:
    """Texts of a time that had been counted before it came would be in no figure, for ever."""
    put(store, a_text(request_received_at=NOON - 2 * HOUR))
    tallies = Rollup(store, clock)
    tallies.run()
    clock.now = NOON + ahead
    tallies.run()
    clock.now = NOON + MINUTE
    tallies.run()
    put(store, a_text())
    clock.now = NOON + 2 * HOUR
    tallies.run()
    assert point(store, clock.now).in_time == 2
    assert figures(store, clock.now) == afresh(store, clock.now, EVERYBODY, 0)


def test_what_waits_to_be_sent_is_not_counted_ahead(store: Store) -> None:
    put(store, a_text(), a_text(DeliveryStatus.QUEUED, accepted=None, sent=None, request_received_at=NOON + HOUR))
    Rollup(store, lambda: NOON + 3 * HOUR).run()
    assert spans(store)[-1][1] <= NOON + HOUR
    with store.writing() as connection:
        outbound_messages.drop_expired(connection, NOON + 3 * HOUR)
    Rollup(store, lambda: NOON + 3 * HOUR).run()
    assert spans(store)[-1][1] > NOON + HOUR
    assert (point(store, NOON + 3 * HOUR).in_time, point(store, NOON + 3 * HOUR).failed) == (1, 1)


def test_a_text_that_is_sent_long_after_counts_as_it_ended(store: Store) -> None:
    put(
        store,
        a_text(DeliveryStatus.SENT, provider_id="P1"),
        a_text(DeliveryStatus.ACCEPTED, sent=None, provider_id="P2"),
    )
    tallies = Rollup(store, lambda: NOON + 3 * HOUR)
    tallies.run()
    assert (point(store, NOON + 3 * HOUR).pending, point(store, NOON + 3 * HOUR).no_receipt) == (1, 1)
    for provider_id in ("P1", "P2"):
        with store.writing() as connection:
            outbound_messages.receive_receipt(
                connection, "twilio", provider_id, DeliveryStatus.DELIVERED, NOON + 3 * HOUR
            )
        swept = provider_id == "P2"
        assert tallies.run() == 1 if swept else True  # right at once, and as right when it has been counted again
        assert point(store, NOON + 3 * HOUR).late == 1 + swept
    with store.reading() as connection:
        assert connection.execute(select(LATE_RECEIPT)).all() == []


def test_nobody_waits_for_what_the_job_is_about_to_count_again(store: Store) -> None:
    put(store, a_text(DeliveryStatus.SENT, provider_id="P1"))
    later = NOON + 3 * HOUR
    tallies = Rollup(store, lambda: later)
    tallies.run()
    with store.writing() as connection:
        outbound_messages.receive_receipt(connection, "twilio", "P1", DeliveryStatus.DELIVERED, later)
        heartbeats.beat(connection, "measures", later)
    assert [point(store, later + minutes * MINUTE).late for minutes in (1, 2)] == [0, 1]
    tallies.run()
    assert point(store, later).late == 1


def test_a_receipt_in_time_leaves_no_note(store: Store) -> None:
    put(store, a_text(DeliveryStatus.SENT, provider_id="P1"))
    with store.writing() as connection:
        outbound_messages.receive_receipt(
            connection, "twilio", "P1", DeliveryStatus.DELIVERED, NOON + timedelta(seconds=9)
        )
    with store.reading() as connection:
        assert connection.execute(select(LATE_RECEIPT)).all() == []


def some_texts(random_source: Random, number: int, days: int) -> Iterator[dict[str, Any]]:
    for n in range(number):
        request_received_at = midnight(TODAY) + timedelta(seconds=random_source.uniform(0, days * 86_400))
        status = random_source.choice(
            [
                DeliveryStatus.DELIVERED,
                DeliveryStatus.DELIVERED,
                DeliveryStatus.FAILED,
                DeliveryStatus.DROPPED,
                DeliveryStatus.SENT,
                DeliveryStatus.ACCEPTED,
            ]
        )
        yield a_text(
            status,
            request_received_at=request_received_at,
            ended=random_source.uniform(1, 90) if status >= DeliveryStatus.DROPPED else None,
            kind=random_source.choice([0, 1, 2]),
            account_id=random_source.choice([1, 2, 3]),
            gateway=random_source.choice(["twilio", "kannel"]),
            provider_id=f"P{n}",
            error=random_source.choice(["unreachable", "voided", None])
            if status in (DeliveryStatus.FAILED, DeliveryStatus.DROPPED)
            else None,
        )


# On PostgreSQL, where each of them takes half a minute, one: what a seed finds is arithmetic, and not the database's.
@pytest.mark.parametrize(("backend", "seed"), [("sqlite", 0), ("sqlite", 1), ("sqlite", 2), ("postgresql", 0)])
@pytest.mark.slow
def test_counting_ahead_changes_no_figure_at_any_time(store: Store, clock: StoppedClock, seed: int) -> None:
    random_source, days = Random(seed), 4
    put(store, *some_texts(random_source, 300, days))
    clock.now = midnight(TODAY)
    while clock.now < midnight(TODAY + (days + 2) * DAY):
        clock.forward(hours=random_source.uniform(0.5, 9))
        if random_source.random() < 0.7:
            Rollup(store, clock).run()
        with store.writing() as connection:
            for n in random_source.sample(range(300), 12):
                name = random_source.choice(["twilio", "kannel"])
                outbound_messages.receive_receipt(
                    connection,
                    name,
                    f"P{n}",
                    random_source.choice([DeliveryStatus.SENT, DeliveryStatus.DELIVERED]),
                    clock.now,
                )
        for scope in (EVERYBODY, Scope(province="Fars")):
            assert figures(store, clock.now, scope, days) == afresh(store, clock.now, scope, days)
    assert len(spans(store)) > days


# Processes


def test_every_process_may_count_at_once(store: Store, database_url: str) -> None:
    put(store, *some_texts(Random(1), 200, 3))
    others = [Store(database_url) for _ in range(4)]
    now = midnight(TODAY) + 3 * DAY + 13 * HOUR
    errors: list[Exception] = []

    def run(mine: Store) -> None:
        try:
            Rollup(mine, lambda: now).run()
        except Exception as error:
            errors.append(error)

    threads = [Thread(target=run, args=(other,)) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for other in others:
        other.close()
    assert errors == []
    assert len(spans(store)) == len(set(spans(store))) == 3 + 12
    assert figures(store, now, days=3) == afresh(store, now, EVERYBODY, 3)


# No table is read whole


@contextmanager
def statements(store: Store) -> Iterator[list[tuple[str, Any]]]:
    """Every SELECT that is made meanwhile."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if statement.startswith("SELECT"):
            seen.append((statement, parameters))

    event.listen(store.engine, "before_cursor_execute", note)
    yield seen
    event.remove(store.engine, "before_cursor_execute", note)


def plan(store: Store, statement: str, parameters: Any) -> list[str]:
    with store.reading() as connection:
        explain = "EXPLAIN QUERY PLAN" if store.is_sqlite else "EXPLAIN"
        return [row[-1] for row in connection.exec_driver_sql(f"{explain} {statement}", parameters)]


BIG = ("outbound_message", "code", "inbound_message", "audit")
# Indices that hold only what waits.
WAITING = "outbound_message_due|audit_unsealed"
WHOLE = re.compile(rf"(SCAN|Seq Scan on|Parallel Seq Scan on) ({'|'.join(BIG)})\b(?! USING INDEX (?:{WAITING}))")
ASKED: dict[str, Callable[[Store, date, datetime], object]] = {
    "everybody": lambda store, first, now: kpi.figures(store, first, first + 160 * DAY, now),
    "a month": lambda store, first, now: kpi.figures(store, first + 99 * DAY, first + 129 * DAY, now),
    "a day": lambda store, first, now: kpi.figures(store, first + 100 * DAY, first + 100 * DAY, now),
    "a province": lambda store, first, now: kpi.figures(store, first, first + 160 * DAY, now, Scope("province 07")),
    "a broker": lambda store, first, now: kpi.figures(store, first, first + 160 * DAY, now, Scope(broker="broker 007")),
    "what stands now": lambda store, _first, _now: kpi.now_of(store),
    "counting": lambda store, _first, now: Rollup(store, lambda: now + 2 * HOUR).run(),
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def filled(request: pytest.FixtureRequest) -> Iterator[Store]:
    """Some of a season, counted but for its last hours, with a late receipt; filled once, and then only asked."""
    fresh: Fresh = request.getfixturevalue(f"fresh_{request.param}")
    store = Store(fresh())
    made_season.make(store, 20_000, midnight(TODAY))
    Rollup(store, lambda: midnight(TODAY) + 160 * DAY + 12 * HOUR).run()
    put(store, {"created_at": midnight(TODAY) + 100 * DAY + HOUR}, into=LATE_RECEIPT)
    if not store.is_sqlite:  # as it keeps them by itself
        with store.writing() as connection:
            connection.execute(text("ANALYZE"))
    yield store
    store.close()


@pytest.mark.slow
def test_no_question_reads_a_table_whole(filled: Store) -> None:
    now = midnight(TODAY) + 160 * DAY + 13 * HOUR
    for name, ask in ASKED.items():
        with statements(filled) as asked:
            ask(filled, TODAY, now)
        assert asked, name
        for statement, parameters in asked:
            steps = plan(filled, statement, parameters)
            assert not [step for step in steps if WHOLE.search(step)], (name, statement, steps)


LOOKED_UP: dict[str, Callable[[Connection], object]] = {
    "last digits": lambda connection: account_history.ending(connection, "0042"),
    "codes": lambda connection: account_history.codes(connection, 42),
    "texts": lambda connection: account_history.texts(connection, 42),
    "orders": lambda connection: account_history.orders(connection, 42),
    "an account's rows": lambda connection: audit.about(connection, 42, 50),
    "the trail": lambda connection: audit.newest(connection, 9_999, 100, by_staff=False),
    "the trail of staff": lambda connection: audit.newest(connection, 9_999, 100, by_staff=True),
    "the trail's days": lambda connection: audit.first_since(connection, midnight(TODAY) + 9 * DAY),
}


@pytest.mark.slow
def test_no_story_reads_a_table_whole(filled: Store) -> None:
    for name, look in LOOKED_UP.items():
        with statements(filled) as asked, filled.reading() as connection:
            assert look(connection) or name == "orders", name
        assert asked, name
        for statement, parameters in asked:
            steps = plan(filled, statement, parameters)
            assert not [step for step in steps if WHOLE.search(step)], (name, statement, steps)
            assert not [step for step in steps if re.search("(SCAN|Seq Scan on) account", step)], (name, steps)


@pytest.mark.slow
def test_what_staff_did_is_found_by_an_index_of_its_own(filled: Store) -> None:
    with statements(filled) as asked, filled.reading() as connection:
        audit.newest(connection, 9_999, 100, by_staff=True)
    assert any("audit_by_staff" in step for it in asked for step in plan(filled, *it))


@pytest.mark.slow
def test_it_would_be_seen_if_one_did(filled: Store) -> None:
    for big in BIG:
        assert big in METADATA.tables
        assert any(WHOLE.search(step) for step in plan(filled, f"SELECT * FROM {big}", ()))
