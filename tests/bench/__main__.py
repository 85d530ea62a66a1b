"""Run the benchmarks: requests a second of the inbound webhook, as a ratio to the floor."""

import base64
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import func, select

from bot.calendars import system_clock
from dialogs.text import national_id
from store import accounts, migrate
from store.engine import Store
from store.tables import Outbox, Rank, table
from tests.bench import load
from tests.bench.floor import METADATA

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
TEXTS = int(os.environ.get("BENCH_TEXTS", "3000"))
WORKERS = "2"
DRAINED_WITHIN = 120


def main() -> None:
    """Measure floor and bot in turn, and print the medians and their ratio."""
    people = list(_people(TEXTS * ROUNDS))
    with tempfile.TemporaryDirectory() as folder, _process([sys.executable, "-m", "tests.bench.sink"]) as sink:
        assert sink.stdout is not None
        provider = f"http://127.0.0.1:{int(sink.stdout.readline())}"
        floors, rates, drains = [], [], []
        for number in range(ROUNDS):
            floors.append(_floor(Path(folder) / f"floor{number}.db"))
            mine = people[number * TEXTS : (number + 1) * TEXTS]
            rate, drain = _bot(Path(folder) / f"bot{number}.db", mine, provider)
            rates.append(rate)
            drains.append(drain)
            print(f"round {number + 1}: floor {floors[-1]:.0f}/s, webhook {rate:.0f}/s, ratio {rate / floors[-1]:.2f}")
    ratios = [rate / floor for rate, floor in zip(rates, floors, strict=True)]
    print(
        f"inbound webhook: {statistics.median(rates):.0f} requests/s, floor {statistics.median(floors):.0f}/s, "
        f"ratio {statistics.median(ratios):.2f} ({WORKERS} workers, SQLite). "
        f"Sending stands back meanwhile: the last of {TEXTS} codes was out {statistics.median(drains):.1f} s later."
    )


def _people(number: int) -> Iterator[tuple[str, str]]:
    nine = 100_000_000
    found = 0
    while found < number:
        nine += 7
        person = next(p for digit in range(10) if (p := national_id(f"{nine:09d}{digit}")))
        yield person, f"+98912{found:07d}"
        found += 1


def _floor(path: Path) -> float:
    store = Store(f"sqlite:///{path}")
    METADATA.create_all(store.engine)
    store.close()
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    server = [sys.executable, "-m", "gunicorn", "-w", WORKERS, "-b", f"127.0.0.1:{port}", "--log-level", "error"]
    environment = {"BENCH_DATABASE": f"sqlite:///{path}", "BENCH_URL": url}
    requests = [load.text(url, f"SM{n:032x}", f"+98912{n:07d}", "رمز 0012345679") for n in range(TEXTS)]
    with _process([*server, "tests.bench.floor:create_app()"], environment):
        return _measured(port, requests)


def _bot(path: Path, people: list[tuple[str, str]], provider: str) -> tuple[float, float]:
    store = Store(f"sqlite:///{path}")
    migrate.upgrade(store)
    rows = [{"national_id": person, "username": person, "mobile": mobile} for person, mobile in people]
    with store.writing() as connection:
        accounts.put(connection, rows, system_clock())
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        "DATABASE_URL": f"sqlite:///{path}",
        "SECRET_KEYS": "bench:" + base64.b64encode(secrets.token_bytes(32)).decode(),
        "GATEWAYS": "twilio",
        "TWILIO_ACCOUNT_SID": load.SID,
        "TWILIO_AUTH_TOKEN": load.TOKEN,
        "TWILIO_SENDER": load.SENDER,
        "TWILIO_API_URL": provider,
        "PUBLIC_URL": url,
        "PORT": str(port),
        "WORKERS": WORKERS,
    }
    requests = [load.text(url, f"SM{n:032x}", mobile, f"رمز {person}") for n, (person, mobile) in enumerate(people)]
    with _process([sys.executable, "-m", "flask", "serve"], environment):
        rate = _measured(port, requests)
        drain = _drained(store)
    store.close()
    return rate, drain


def _drained(store: Store) -> float:
    """How many seconds until every code is out."""
    began = time.monotonic()
    outbox = table(Outbox)
    waiting = select(func.count()).where(outbox.c.rank == Rank.QUEUED)
    while time.monotonic() - began < DRAINED_WITHIN:
        with store.reading() as connection:
            if not connection.execute(waiting).scalar_one():
                return time.monotonic() - began
        time.sleep(0.1)
    raise TimeoutError("texts are still waiting")


def _measured(port: int, requests: list[bytes]) -> float:
    _wait(port)
    load.run(port, requests[:100])
    result = load.run(port, requests[100:])
    assert not result.failed, f"{result.failed} requests failed"
    return result.rate


def _wait(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(port)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _process(command: list[str], environment: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, env=os.environ | (environment or {}), stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    main()
