"""Run the benchmarks and write BENCHMARKS.md: floors and bot in turn, on both databases, with one worker, two and four.

BENCH_ROUNDS, BENCH_TEXTS (requests a measurement) and BENCH_SECONDS (of each load by the clock) make it shorter or
longer. With BENCH_LONG=1 the same requests are measured once more where a million accounts are known.
"""

import base64
import os
import secrets
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from bot.credentials.keyring import Keyring
from bot.settings import read_keys
from store.database.engine import Store
from tests.bench import fakher, load, people, provider, recoveries, table
from tests.bench.floor import METADATA
from tests.bench.provider import Provider
from tests.bench.servers import WAVE, WAVES, Server, serving
from tests.bench.table import Line
from tests.support import databases

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "2"))
TEXTS = int(os.environ.get("BENCH_TEXTS", "1000"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "10"))
LONG = os.environ.get("BENCH_LONG") == "1"
RECOVERIES, LOGINS, VERIFIES, BARE_SECONDS = TEXTS // 4, TEXTS // 4, TEXTS // 2, 4.0
RATES = (50, 100)  # requests a second; the second is what a short code carries
BURST = 1_000  # requests in one second, at the pace below
PACE, UNBOUNDED = 100, 10_000  # MESSAGES_PER_SECOND
SLOW = 0.1  # how late a real provider answers, in seconds
ACCOUNTS = 20_000
WARMING = WAVE * WAVES
KEYS = "bench:" + base64.b64encode(secrets.token_bytes(32)).decode()

Figures = defaultdict[tuple[str, str, int, str], list[float]]
"""Values, one a round, by what was measured, database, workers and unit."""


def main() -> None:
    """Measure, print and write."""
    load_before, figures = os.getloadavg()[0], Figures(list)
    with _databases() as fresh, provider.started() as sink:
        for number in range(ROUNDS):
            for name, make in fresh.items():
                for workers in (1, 2, 4):
                    _round(figures, name, make, workers, sink)
            print(f"round {number + 1} of {ROUNDS} is done", flush=True)
        if LONG:
            for name, make in fresh.items():
                _many_accounts(figures, name, make, sink)
    print(table.write(list(_lines(figures)), ROUNDS, load_before))


@contextmanager
def _databases() -> Iterator[dict[str, Callable[[], str]]]:
    with tempfile.TemporaryDirectory() as folder, databases.postgresql() as postgresql:
        yield {"SQLite": databases.sqlite(Path(folder)), "PostgreSQL": postgresql}


def _round(figures: Figures, name: str, fresh: Callable[[], str], workers: int, sink: Provider) -> None:
    def note(what: str, value: float, unit: str = "/s") -> None:
        figures[what, name, workers, unit].append(value)

    _floor(fresh(), workers, note)
    _bot(fresh(), workers, sink, note)
    if workers == 2:
        note("floor: bare argon2id", fakher.bare_rate(workers, BARE_SECONDS))


Note = Callable[..., None]


def _floor(url: str, workers: int, note: Note) -> None:
    store = Store(url)
    METADATA.create_all(store.engine)
    store.close()

    def environment(port: int) -> dict[str, str]:
        return {"BENCH_DATABASE": url, "BENCH_URL": f"http://127.0.0.1:{port}", "BENCH_PORT": str(port)}

    command = [sys.executable, "-m", "tests.bench.floor", str(workers)]
    with serving(command, environment, workers) as server:
        asking = people.asking(f"http://127.0.0.1:{server.port}", people.everybody())
        server.warm_up(iter(asking(WARMING)[0]))
        note("floor: requests, 8 at once", _closed(server, asking(TEXTS)[0], 8).rate)
        note("floor: p99, 32 at once", _p(99, _closed(server, asking(TEXTS)[0], 32).latencies), " ms")


def _bot(url: str, workers: int, sink: Provider, note: Note) -> None:
    store, mine = people.known(url, ACCOUNTS)
    keyring, logging_in = Keyring.of(read_keys(KEYS)), list(islice(mine, VERIFIES))
    verifies = fakher.verifies(store, keyring, logging_in)
    logins = fakher.logins(store, keyring, logging_in, LOGINS)
    store.close()
    sink.answer_after(0)
    sink.forget()
    with serving(*_served(url, workers, sink)) as server:
        note("start to ready", server.ready_after, " s")
        asking = people.asking(f"http://127.0.0.1:{server.port}", mine)
        _warm_up(server, asking, sink)
        _requests(server, asking, sink, note)
        if workers == 2:
            note("recoveries", recoveries.rate(server.port, _public(server), list(islice(mine, RECOVERIES)), sink))
            note("codes verified by API", _closed(server, verifies, 8).rate)
            note("logins by API", _closed(server, logins, 8).rate)
            _by_the_clock(server, asking, sink, note)
        note("memory of the largest process", max(server.memory()), " MB")
    if workers == 2:
        _burst(url, mine, sink, note)


Asking = Callable[[int], tuple[list[bytes], list[str]]]


def _warm_up(server: Server, asking: Asking, sink: Provider) -> None:
    requests, mobiles = asking(WARMING)
    sink.has_had(mobiles[: server.warm_up(iter(requests))])


def _requests(server: Server, asking: Asking, sink: Provider, note: Note) -> None:
    requests, mobiles = asking(TEXTS)
    accepted = _closed(server, requests, 8)
    sent = len(requests) / (sink.has_had(mobiles) - accepted.began)
    note("requests accepted, 8 at once", accepted.rate)
    note("requests sent, 8 at once", sent)
    requests, mobiles = asking(TEXTS)
    note("p99, 32 at once", _p(99, _closed(server, requests, 32).latencies), " ms")
    sink.has_had(mobiles)


def _by_the_clock(server: Server, asking: Asking, sink: Provider, note: Note) -> None:
    """How long from a request's moment to its code at the provider, who answers as late as a real one."""
    sink.answer_after(SLOW)
    for rate in RATES:
        requests, mobiles = asking(rate * SECONDS)
        result = load.by_the_clock(server.port, requests, rate)
        sink.has_had(mobiles)
        waits = [sink.first[mobile] - result.began - number / rate for number, mobile in enumerate(mobiles)]
        note(f"{rate} a second: request to code at the provider, p50", _p(50, waits), " ms")
        note(f"{rate} a second: request to code at the provider, p99", _p(99, waits), " ms")
        note(f"{rate} a second: refused", result.failed, "")


def _burst(url: str, mine: Iterator[people.Person], sink: Provider, note: Note) -> None:
    """How long a second's burst takes to be out, where so many may leave in a second as a short code carries."""
    sink.answer_after(SLOW)
    with serving(*_served(url, 2, sink, PACE)) as server:
        asking = people.asking(_public(server), mine)
        requests, mobiles = asking(BURST)
        result = load.by_the_clock(server.port, requests, BURST)
        note(
            f"{BURST:,} in a second, {PACE} a second may leave: the last code",
            sink.has_had(mobiles) - result.began,
            " s",
        )
        note(f"{BURST:,} in a second: refused", result.failed, "")


def _many_accounts(figures: Figures, name: str, fresh: Callable[[], str], sink: Provider) -> None:
    """The same requests where a thousand accounts are known, and where a million are."""
    for number in (5_000, 1_000_000):
        url = fresh()
        store, mine = people.known(url, number)
        store.close()
        sink.answer_after(0)
        sink.forget()
        with serving(*_served(url, 2, sink)) as server:
            asking = people.asking(_public(server), mine)
            _warm_up(server, asking, sink)
            requests, mobiles = asking(TEXTS)
            accepted = _closed(server, requests, 8)
            figures[f"requests accepted, {number:,} accounts", name, 2, "/s"].append(accepted.rate)
            rate = len(requests) / (sink.has_had(mobiles) - accepted.began)
            figures[f"requests sent, {number:,} accounts", name, 2, "/s"].append(rate)


def _served(
    url: str, workers: int, sink: Provider, pace: int = UNBOUNDED
) -> tuple[list[str], Callable[[int], dict[str, str]], int]:
    def environment(port: int) -> dict[str, str]:
        return {
            "DATABASE_URL": url,
            "SECRET_KEYS": KEYS,
            "GATEWAYS": "twilio",
            "MESSAGES_PER_SECOND": str(pace),
            "TWILIO_ACCOUNT_SID": load.SID,
            "TWILIO_AUTH_TOKEN": load.TOKEN,
            "TWILIO_SENDER": load.SENDER,
            "TWILIO_API_URL": sink.url,
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "PORT": str(port),
            "WORKERS": str(workers),
        }

    return [sys.executable, "-m", "flask", "serve"], environment, workers


def _public(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}"


def _closed(server: Server, requests: list[bytes], at_once: int) -> load.Result:
    result = load.closed(server.port, requests, at_once)
    assert not result.failed, f"{result.failed} requests failed"
    return result


def _p(percent: int, seconds: list[float]) -> float:
    """A percentile, in milliseconds."""
    return 1000 * statistics.quantiles(seconds, n=100, method="inclusive")[percent - 1]


# What is shown beside which floor.
FLOORS = {
    "requests accepted, 8 at once": "floor: requests, 8 at once",
    "requests sent, 8 at once": "floor: requests, 8 at once",
    "codes verified by API": "floor: requests, 8 at once",
    "p99, 32 at once": "floor: p99, 32 at once",
    "recoveries": "floor: bare argon2id",
    "logins by API": "floor: bare argon2id",
}


def _lines(figures: Figures) -> Iterator[Line]:
    for (what, database, workers, unit), values in sorted(figures.items(), key=lambda it: it[0][1:3], reverse=True):
        if not what.startswith("floor:"):
            floors = figures.get((FLOORS.get(what, ""), database, workers, unit), [])
            yield Line(what, database, workers, values, unit, floors, places=2 if unit == " s" else 0)


if __name__ == "__main__":
    main()
