"""A world: a database, its services and carriers, the people who text, and a clock that can be set."""

import base64
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random

from bot.credentials import bearer
from bot.platform.clock import system_clock
from bot.platform.random_source import SystemRandomSource
from store import accounts, staff, tokens
from store.database.engine import Store
from store.staff import NewMember
from tests.providers import kannel_standin
from tests.providers.twilio_standin import settings_at
from tests.soak import databases
from tests.soak.carriers import Carriers
from tests.soak.clocks import SetClock
from tests.soak.databases import Database, Postgresql
from tests.soak.doors import Doors, Ledger
from tests.soak.hosts import Host

BOTH = "twilio,kannel"
AT_ONCE = 500  # rows in a statement


@dataclass(frozen=True)
class Person:
    """Somebody with a phone; a national ID, unless of staff."""

    mobile: str = field(repr=False)
    national_id: str = field(default="", repr=False)


@dataclass
class World:
    """All of it. `people` are all pilgrims; `pilgrims` and `clerks` those who have not texted yet."""

    name: str
    folder: Path
    database: Database
    carriers: Carriers
    hosts: list[Host]
    doors: Doors
    ledger: Ledger
    people: list[Person]
    pilgrims: Iterator[Person]
    clerks: Iterator[Person]
    keys: list[str]
    clock: SetClock | None

    @property
    def printed(self) -> str:
        """What all of its services have written."""
        return "".join(host.printed for host in self.hosts)

    def store(self) -> Store:
        """A way into its database, from beside the services."""
        return Store(self.database.url)


def person(number: int) -> Person:
    """A pilgrim, with an ID whose check digit is right."""
    nine = f"{number * 7919 + 100_000_000:09d}"
    rest = sum(int(digit) * (10 - place) for place, digit in enumerate(nine)) % 11
    return Person(f"+98912{number:07d}", f"{nine}{rest if rest < 2 else 11 - rest}")


def clerk(number: int) -> Person:
    """A staff member."""
    return Person(f"+98913{number:07d}")


def key(name: str, rng: Random) -> str:
    """A key as SECRET_KEYS has it."""
    return f"{name}:{base64.b64encode(rng.randbytes(32)).decode()}"


@contextmanager
def world(
    name: str, folder: Path, hosts: int, number: int, rng: Random, *, movable_clock: bool, small_disk: bool
) -> Iterator[World]:
    """A world named after its database, with so many services and people, up and ready."""
    folder.mkdir()
    with ExitStack() as stack:
        database = stack.enter_context(_database(name, folder, small_disk))
        carriers = stack.enter_context(Carriers(rng))
        people, clerks = [person(it) for it in range(1, number + 1)], [clerk(it) for it in range(1, number // 4)]
        ledger, token = Ledger(), _settle(database.url, people, clerks)
        clock = SetClock.make(folder) if movable_clock else None
        keys = [key("k1", rng)]
        settings = _settings(database.url, keys, carriers) | (clock.environment() if clock else {})
        made = [Host(f"{name}-{it}", dict(settings), folder) for it in range(1, hosts + 1)]
        carriers.doors = doors = Doors([host.address for host in made], token, ledger, rng)
        for host in made:
            stack.callback(_end, host)
            host.start()
        yield World(
            name, folder, database, carriers, made, doors, ledger, people, iter(people), iter(clerks), keys, clock
        )


def _database(name: str, folder: Path, small: bool) -> AbstractContextManager[Database]:
    if name == "postgresql":
        return databases.postgresql(on_small_disk=small)
    return databases.sqlite(folder, on_small_disk=small)


def _end(host: Host) -> None:
    if host.process is not None and host.process.poll() is None:
        host.kill()


def _settings(url: str, keys: list[str], carriers: Carriers) -> dict[str, str]:
    kannel = {
        "KANNEL_SEND_URL": carriers.kannel.url,
        "KANNEL_USER": kannel_standin.USER,
        "KANNEL_PASSWORD": kannel_standin.PASSWORD,
        "KANNEL_SENDER": kannel_standin.SENDER,
        "KANNEL_INBOUND_SECRET": kannel_standin.SECRET,
    }
    return {
        "DATABASE_URL": url,
        "SECRET_KEYS": ",".join(keys),
        "WORKERS": "2",
        **settings_at(carriers.twilio.url, GATEWAYS=BOTH, **kannel),
    }


def _settle(url: str, people: list[Person], clerks: list[Person]) -> str:
    """Put pilgrims and staff into a database; a token of Fakher's."""
    store, now = Store(url), system_clock()
    rows = [
        {"national_id": it.national_id, "username": it.national_id, "mobile": it.mobile, "language": "en"}
        for it in people
    ]
    made = bearer.make(SystemRandomSource())
    with store.writing() as connection:
        for first in range(0, len(rows), AT_ONCE):
            accounts.put(connection, rows[first : first + AT_ONCE], now)
        for it in clerks:
            staff.put(connection, NewMember(it.mobile, "headquarters", "Clerk"))
        tokens.issue(connection, made.id, "fakher", made.digest, now, now + timedelta(days=30))
    store.close()
    return made.text


def is_postgresql(database: Database) -> bool:
    """Whether a world lives on PostgreSQL."""
    return isinstance(database, Postgresql)
