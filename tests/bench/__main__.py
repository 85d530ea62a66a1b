"""Run the benchmarks: texts, verified codes and logins a second, each as a ratio to a floor of the same run."""

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
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from bot.clock import system_clock
from bot.credentials.keyring import Keyring
from bot.settings import read_keys
from dialogs.parsing.normalise import national_id
from store import accounts
from store.database import migrate
from store.database.engine import Store
from store.tables import DeliveryStatus, OutboundMessageRow, table
from tests.bench import fakher, load
from tests.bench.floor import METADATA

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
TEXTS = int(os.environ.get("BENCH_TEXTS", "3000"))
LOGINS = int(os.environ.get("BENCH_LOGINS", "600"))
BARE_SECONDS = 5.0
WORKERS = "2"
KEYS = "bench:" + base64.b64encode(secrets.token_bytes(32)).decode()
DRAINED_WITHIN = 120


@dataclass(frozen=True)
class Round:
    """One round's figures, each a rate a second; `drain` is in seconds."""

    floor: float
    bare: float
    texts: float
    verifies: float
    logins: float
    drain: float


def main() -> None:
    """Measure floors and bot in turn, and print the medians and their ratios."""
    people = list(_people(TEXTS * ROUNDS))
    rounds = []
    with tempfile.TemporaryDirectory() as folder, _process([sys.executable, "-m", "tests.bench.sink"]) as sink:
        assert sink.stdout is not None
        provider = f"http://127.0.0.1:{int(sink.stdout.readline())}"
        for number in range(ROUNDS):
            mine = people[number * TEXTS : (number + 1) * TEXTS]
            rounds.append(_round(Path(folder), number, mine, provider))
            print(f"round {number + 1}: {rounds[-1]}", flush=True)
    drain = statistics.median(each.drain for each in rounds)
    _tell("inbound webhook", [each.texts for each in rounds], "floor", [each.floor for each in rounds])
    print(f"  Sending stands back meanwhile: the last of {TEXTS} codes was out {drain:.1f} s later.")
    _tell("codes verified", [each.verifies for each in rounds], "floor", [each.floor for each in rounds])
    _tell("logins", [each.logins for each in rounds], "bare argon2id", [each.bare for each in rounds])


def _tell(what: str, rates: list[float], floor: str, floors: list[float]) -> None:
    ratios = [rate / least for rate, least in zip(rates, floors, strict=True)]
    print(
        f"{what}: {statistics.median(rates):.0f}/s, {floor} {statistics.median(floors):.0f}/s, "
        f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}; {WORKERS} workers, SQLite)"
    )


def _round(folder: Path, number: int, people: list[tuple[str, str]], provider: str) -> Round:
    floor = _floor(folder / f"floor{number}.db")
    texts, drain = _bot(folder / f"bot{number}.db", people, provider)
    verifies, logins = _fakher(folder / f"fakher{number}.db", people, provider)
    bare = fakher.bare_rate(int(WORKERS), BARE_SECONDS)
    return Round(floor, bare, texts, verifies, logins, drain)


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
    store = _store(path, people)
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    requests = [load.text(url, f"SM{n:032x}", mobile, f"رمز {person}") for n, (person, mobile) in enumerate(people)]
    with _process([sys.executable, "-m", "flask", "serve"], _environment(path, port, provider)):
        rate = _measured(port, requests)
        drain = _drained(store)
    store.close()
    return rate, drain


def _fakher(path: Path, people: list[tuple[str, str]], provider: str) -> tuple[float, float]:
    store, keyring, port = _store(path, people), Keyring.of(read_keys(KEYS)), _free_port()
    verifies = fakher.verifies(store, keyring, people)
    logins = fakher.logins(store, keyring, people, LOGINS)
    store.close()
    with _process([sys.executable, "-m", "flask", "serve"], _environment(path, port, provider)):
        return _measured(port, verifies), _measured(port, logins)


def _store(path: Path, people: list[tuple[str, str]]) -> Store:
    store = Store(f"sqlite:///{path}")
    migrate.upgrade(store)
    rows = [{"national_id": person, "username": person, "mobile": mobile} for person, mobile in people]
    with store.writing() as connection:
        accounts.put(connection, rows, system_clock())
    return store


def _environment(path: Path, port: int, provider: str) -> dict[str, str]:
    return {
        "DATABASE_URL": f"sqlite:///{path}",
        "SECRET_KEYS": KEYS,
        "GATEWAYS": "twilio",
        "MESSAGES_PER_SECOND": "10000",
        "TWILIO_ACCOUNT_SID": load.SID,
        "TWILIO_AUTH_TOKEN": load.TOKEN,
        "TWILIO_SENDER": load.SENDER,
        "TWILIO_API_URL": provider,
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "PORT": str(port),
        "WORKERS": WORKERS,
    }


def _drained(store: Store) -> float:
    """How many seconds until every code is out."""
    began = time.monotonic()
    outbox = table(OutboundMessageRow)
    waiting = select(func.count()).where(outbox.c.status == DeliveryStatus.QUEUED)
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
