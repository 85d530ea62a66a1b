"""What texts cost once they are many: how large the tables are that grow, and what a text and a clean-up then take.

Of each recovery there are two texts heard and two sent, a code and three rows of the audit. BENCH_TEXTS says how many
texts were sent, BENCH_PER_SECOND how many a second; BENCH_DATABASES names the databases.
"""

import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, text

from bot.build import Bot, build
from bot.ports import Inbound
from store import accounts, expiry
from store.database import migrate
from store.database.engine import Store
from store.retention import Retention
from tests.support import databases
from tests.support.parts import NOON, Carrier, StoppedClock, settings
from tests.system.test_service import pilgrims
from webhooks import metrics

TEXTS = int(os.environ.get("BENCH_TEXTS", "1000000"))
PER_SECOND = int(os.environ.get("BENCH_PER_SECOND", "1"))
DATABASES = os.environ.get("BENCH_DATABASES", "postgresql sqlite").split()
ROUNDS, BATCH, SCRAPES = 200, 10_000, 5
NOTHING_IS_OLD = Retention(*[timedelta(days=4000)] * 3)
GROWING = ("outbound_message", "inbound_message", "code", "audit")

NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number}) "
AT = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', '2026-09-01 09:00:00', '-' || (i / {rate} % 34560000) || ' seconds')",
    "postgresql": "timestamptz '2026-09-01 09:00:00Z' - (i / {rate} % 34560000) * interval '1 second'",
}
BYTES = {"sqlite": "randomblob(32)", "postgresql": "sha256(i::text::bytea)"}
NAME = {"sqlite": "lower(hex(randomblob(11)))", "postgresql": "substr(md5(i::text), 1, 22)"}
ACCOUNT = "1 + i % 1000"
ROWS = {
    "inbound_message": (
        "gateway, provider_id, received_at, event, answered",
        "'twilio', {name} || i, {at}, 'asked', TRUE",
    ),
    "code": (
        "id, purpose, account_id, phone, requested_by, key_id, digest, tries_left, created_at, expires_at, closed_at",
        "{name}, 'recovery', {account}, '+989121234567', 'owner', 'k1', {bytes}, 5, {at}, {at}, {at}",
    ),
    "outbound_message": (
        "kind, phone, language, phrase, parameters, code_id, account_id, inbound_gateway, request_received_at, "
        "created_at, expires_at, next_attempt_at, attempts, consecutive_failures, status, gateway, provider_id, "
        "accepted_at, ended_at",
        "0, '+989121234567', 'fa', 'code', '{{\"minutes\": \"10\"}}', {name}, {account}, 'twilio', {at}, "
        "{at}, {at}, {at}, 1, 0, 9, 'twilio', 'SM' || {name} || i, {at}, {at}",
    ),
    "audit": (
        "at, actor, who, action, outcome, account_id, nonce, key_id, digest, seq, seal",
        "{at}, 'pilgrim', '4567', 'code_requested', 'done', {account}, {name}, 'k1', {bytes}, i, {bytes}",
    ),
}
SHARES = {"inbound_message": 1.0, "outbound_message": 1.0, "code": 0.5, "audit": 1.5}


def main() -> None:
    """On PostgreSQL, then on SQLite."""
    if "postgresql" in DATABASES:
        with databases.postgresql() as fresh:
            _measure(Store(fresh()))
    if "sqlite" in DATABASES:
        with tempfile.TemporaryDirectory() as folder:
            store = Store(f"sqlite:///{Path(folder) / 'growth.db'}")
            migrate.upgrade(store)
            _measure(store)


def _measure(store: Store) -> None:
    kind = store.engine.dialect.name
    bot = build(settings(), clock=StoppedClock(), gateways=[Carrier()], store=store)
    people = pilgrims()
    rows = [next(people) for _ in range(1000 + 2 * ROUNDS)]
    with store.writing() as connection:
        accounts.put(
            connection,
            [
                {"national_id": it.national_id, "username": it.national_id, "mobile": it.mobile, "language": "en"}
                for it in rows
            ],
            NOON,
        )
    asking = iter(rows[1000:])
    requests = (
        Inbound("twilio", f"new{n}", it.mobile, f"RESET {it.national_id}")
        for n, it in zip(count(), asking, strict=False)
    )
    before = _hearing(bot, requests)
    began = time.monotonic()
    for name, share in SHARES.items():
        with store.writing() as connection:
            if kind == "postgresql":
                connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            _fill(connection, kind, name, int(TEXTS * share))
    with store.reading() as connection:
        connection.exec_driver_sql("ANALYZE")
        sizes = {name: _size(connection, kind, name) for name in GROWING}
        indexes = {name: sizes[name] - _size(connection, kind, name, alone=True) for name in GROWING}
    total = sum(sizes.values())
    print(f"{kind}: {TEXTS:,} texts, filled in {time.monotonic() - began:.0f} s")
    parts = (f"{name} {size / 2**20:,.0f} (indexes {indexes[name] / 2**20:,.0f})" for name, size in sizes.items())
    print(f"  MiB: {', '.join(parts)}")
    each = total / TEXTS
    print(f"  in all {total / 2**20:,.0f} MiB, {each:,.0f} bytes a text; ten million: {each * 1e7 / 2**30:,.1f} GiB")
    print(f"  a text heard: {before * 1000:.2f} ms when empty, {_hearing(bot, requests) * 1000:.2f} ms now")
    _scrape(bot)
    print(f"  {BATCH:,} old texts dropped in {_dropping(store):.2f} s")
    print(f"  nothing old to be found in {_timed(lambda: expiry.drop(store, NOON, NOTHING_IS_OLD)):.2f} s")
    store.close()


def _scrape(bot: Bot) -> None:
    """How long a scrape of /metrics takes, and the statements that take most of it."""
    took: Counter[str] = Counter()

    @event.listens_for(bot.store.engine, "before_cursor_execute")
    def begin(*called: Any) -> None:
        called[4].began = time.perf_counter()

    @event.listens_for(bot.store.engine, "after_cursor_execute")
    def end(*called: Any) -> None:
        took[" ".join(called[2].split())] += round((time.perf_counter() - called[4].began) * 1e6 / SCRAPES)

    scrape = metrics.exposition(bot)
    first = _timed(scrape)
    took.clear()
    again = statistics.median(_timed(scrape) for _ in range(SCRAPES))
    print(f"  a scrape of /metrics: {first * 1000:.0f} ms the first time, {again * 1000:.0f} ms then")
    for statement, microseconds in took.most_common(3):
        print(f"    {microseconds / 1000:.1f} ms: {statement[:90]} … {statement[-60:]}")


def _fill(connection: Connection, kind: str, name: str, number: int) -> None:
    columns, values = ROWS[name]
    made = values.format(name=NAME[kind], at=AT[kind].format(rate=PER_SECOND), bytes=BYTES[kind], account=ACCOUNT)
    numbers = {"sqlite": NUMBERS.format(number=number), "postgresql": ""}[kind]
    source = {"sqlite": "n", "postgresql": f"generate_series(1, {number}) AS i"}[kind]
    connection.execute(text(f"INSERT INTO {name} ({columns}) {numbers}SELECT {made} FROM {source}".replace(":", r"\:")))


def _size(connection: Connection, kind: str, name: str, *, alone: bool = False) -> int:
    """Bytes of a table, with its indexes unless it stands alone."""
    if kind == "postgresql":
        size = "pg_table_size" if alone else "pg_total_relation_size"
        found = connection.execute(text(f"SELECT {size}(:name)"), {"name": name})
    else:
        parts = f"SELECT name FROM sqlite_schema WHERE {'name' if alone else 'tbl_name'} = :name"
        found = connection.execute(text(f"SELECT sum(pgsize) FROM dbstat WHERE name IN ({parts})"), {"name": name})
    return int(found.scalar_one())


def _hearing(bot: Bot, requests: Iterator[Inbound]) -> float:
    """Seconds that hearing a request takes, with its commit: the median."""
    return statistics.median(_timed(lambda: bot.hear(next(requests))) for _ in range(ROUNDS))


def _dropping(store: Store) -> float:
    old = f"SELECT id FROM outbound_message WHERE created_at < :before ORDER BY created_at LIMIT {BATCH}"

    def drop() -> None:
        with store.writing() as connection:
            connection.execute(
                text(f"DELETE FROM outbound_message WHERE id IN ({old})"), {"before": NOON - timedelta(days=1)}
            )

    return _timed(drop)


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
