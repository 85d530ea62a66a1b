"""What befalls a world. Each fault is a function: what stands before its `yield` does it, what stands after undoes it.

A fault's end is when its function has returned: the service that was ended is up again, what was locked is free.
"""

import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from random import Random

import psycopg

from tests.soak import databases
from tests.soak.databases import Postgresql
from tests.soak.hosts import send
from tests.soak.worlds import BOTH, World, is_postgresql, key

Act = Callable[[World, Random], AbstractContextManager[None]]
# Connections that PostgreSQL keeps for its owner are of no use to anybody else.
TABLES = ("outbound_message", "account", "code", "conversation", "audit", "inbound_message")
HOUR = 3600
POSTGRESQL = "PostgreSQL"


@dataclass(frozen=True)
class Fault:
    """A fault, how many seconds it lasts (from, to), and which worlds it can befall; others lack what it needs."""

    act: Act
    seconds: tuple[float, float]
    can: Callable[[World], bool] = lambda world: True
    needs: str = ""


@contextmanager
def kill_worker(world: World, rng: Random) -> Iterator[None]:
    """One worker dies; its master begins another."""
    pid = rng.choice(world.hosts).one(rng)
    if pid is not None:
        send(pid, signal.SIGKILL)
    yield


@contextmanager
def kill_all(world: World, rng: Random) -> Iterator[None]:
    """Every process of every service dies at once."""
    for host in world.hosts:
        host.kill()
    yield
    for host in world.hosts:
        host.start()


@contextmanager
def kill_master(world: World, rng: Random) -> Iterator[None]:
    """A master dies; its workers find out, and end."""
    host = rng.choice(world.hosts)
    host.kill_master()
    yield
    host.start()


@contextmanager
def sigterm(world: World, rng: Random) -> Iterator[None]:
    """A service is asked to end while texts come in."""
    host = rng.choice(world.hosts)
    host.stop()
    yield
    host.start()


@contextmanager
def freeze(world: World, rng: Random) -> Iterator[None]:
    """A worker stands still; its master may lose patience and replace it."""
    pid = rng.choice(world.hosts).one(rng)
    if pid is not None:
        send(pid, signal.SIGSTOP)
    yield
    if pid is not None:
        send(pid, signal.SIGCONT)


@contextmanager
def freeze_service(world: World, rng: Random) -> Iterator[None]:
    """A service stands still, its master too, as a machine does that is moved or has no memory left."""
    pids = rng.choice(world.hosts).everyone()
    for pid in pids:
        send(pid, signal.SIGSTOP)
    yield
    for pid in reversed(pids):
        send(pid, signal.SIGCONT)


@contextmanager
def restart_postgresql(world: World, rng: Random) -> Iterator[None]:
    """PostgreSQL ends, in order or not, and begins again."""
    assert isinstance(world.database, Postgresql)
    world.database.end(rng.choice(("fast", "immediate")))
    yield
    world.database.mend()


@contextmanager
def use_up_connections(world: World, rng: Random) -> Iterator[None]:
    """Somebody takes every connection that there is, as often as one becomes free."""
    held: list[psycopg.Connection] = []
    assert isinstance(world.database, Postgresql)
    with suppress(psycopg.OperationalError):
        while len(held) < 2 * databases.CONNECTIONS:
            held.append(psycopg.connect(world.database.server.get_uri(), autocommit=True))
    yield
    for connection in held:
        connection.close()


@contextmanager
def lock_table(world: World, rng: Random) -> Iterator[None]:
    """Somebody holds a table's lock; on SQLite the only one there is."""
    if is_postgresql(world.database):
        url = world.database.url.replace("postgresql+psycopg", "postgresql")
        with psycopg.connect(url) as connection:
            connection.execute(f"LOCK TABLE {rng.choice(TABLES)} IN ACCESS EXCLUSIVE MODE".encode())
            yield
        return
    other = sqlite3.connect(world.database.url.removeprefix("sqlite:///"), timeout=30, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


@contextmanager
def fill_disk(world: World, rng: Random) -> Iterator[None]:
    """The database's disk is full."""
    assert world.database.disk is not None
    databases.fill(world.database.disk)
    yield
    databases.clear(world.database.disk)
    world.database.mend()


@contextmanager
def move_clock(world: World, rng: Random) -> Iterator[None]:
    """The clock is set, forth or back, by minutes or an hour; and then set right, the other way."""
    assert world.clock is not None
    world.clock.set(rng.choice((-1, 1)) * rng.choice((300, HOUR)))
    yield
    world.clock.set(0)


@contextmanager
def change_keys(world: World, rng: Random) -> Iterator[None]:
    """A new key, in the two steps of OPERATING.md, one service after the other."""
    new = key(f"k{len(world.keys) + 1}", rng)
    for order in ([*world.keys, new], [new, *world.keys]):
        for host in world.hosts:
            host.restart(SECRET_KEYS=",".join(order))
    world.keys = [new, *world.keys]
    yield


@contextmanager
def remove_gateway(world: World, rng: Random) -> Iterator[None]:
    """A gateway fails, texts wait for it, and the operator takes it out of the settings."""
    world.carriers.trouble("500", "kannel")
    time.sleep(rng.uniform(2, 4))
    for host in world.hosts:
        host.restart(GATEWAYS="twilio")
    yield
    world.carriers.mend()
    for host in world.hosts:
        host.restart(GATEWAYS=BOTH)


def provider(trouble: str) -> Act:
    """A provider is in trouble, or both of them are."""

    @contextmanager
    def act(world: World, rng: Random) -> Iterator[None]:
        world.carriers.trouble(trouble, *rng.choice((("twilio",), ("kannel",), ("twilio", "kannel"))))
        yield
        world.carriers.mend()

    return act


def receipts(way: str) -> Act:
    """Receipts are lost, late, or come twice and out of order."""

    @contextmanager
    def act(world: World, rng: Random) -> Iterator[None]:
        world.carriers.way = way
        yield
        world.carriers.way = "usual"

    return act


def _has_postgresql(world: World) -> bool:
    return is_postgresql(world.database)


FAULTS: dict[str, Fault] = {
    "kill_worker": Fault(kill_worker, (0, 0)),
    "kill_all": Fault(kill_all, (0, 3)),
    "kill_master": Fault(kill_master, (0, 3)),
    "sigterm": Fault(sigterm, (0, 3)),
    "freeze": Fault(freeze, (3, 20)),
    "freeze_service": Fault(freeze_service, (3, 20)),
    "restart_postgresql": Fault(restart_postgresql, (0, 5), _has_postgresql, POSTGRESQL),
    "use_up_connections": Fault(use_up_connections, (10, 10), _has_postgresql, POSTGRESQL),
    "lock_table": Fault(lock_table, (10, 10)),
    "fill_disk": Fault(
        fill_disk, (8, 12), lambda world: world.database.disk is not None, "a small disk, which root can make"
    ),
    "move_clock": Fault(move_clock, (8, 15), lambda world: world.clock is not None, "a C compiler"),
    "change_keys": Fault(change_keys, (0, 0)),
    "remove_gateway": Fault(remove_gateway, (2, 5)),
    "provider_500": Fault(provider("500"), (5, 12)),
    "provider_429": Fault(provider("429"), (5, 12)),
    "provider_hang": Fault(provider("hang"), (5, 12)),
    "provider_reset": Fault(provider("reset"), (5, 12)),
    "provider_slow": Fault(provider("slow"), (5, 12)),
    "receipts_lost": Fault(receipts("lost"), (5, 8)),
    "receipts_late": Fault(receipts("late"), (5, 8)),
    "receipts_twice": Fault(receipts("twice"), (5, 8)),
}


def possible(world: World, names: list[str]) -> list[str]:
    """Those of some faults that can befall a world."""
    return [name for name in names if FAULTS[name].can(world)]
