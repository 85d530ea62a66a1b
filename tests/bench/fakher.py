"""What Fakher asks, as loads: codes to verify and logins to check, about many accounts, by several tokens."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from itertools import cycle

from bot.credentials import bearer, one_time_codes, passwords
from bot.credentials.keyring import Keyring
from bot.platform.clock import system_clock
from bot.platform.random_source import SystemRandomSource
from dialogs.vocabulary import CodePurpose
from store import accounts, codes, tokens
from store.database.engine import Store
from tests.support.parts import settings

PASSWORD = "saffron and copper pots"
CALLS_PER_TOKEN = 1_000  # so that no token comes near its limit
LOGINS_PER_ACCOUNT = 20


def verifies(store: Store, keyring: Keyring, people: list[tuple[str, str]]) -> list[bytes]:
    """A right code for everybody, and the request that hands it to Fakher."""
    random_source, now = SystemRandomSource(), system_clock()
    asked = []
    with store.writing() as connection:
        holders = ((accounts.find(connection, national_id=person), phone) for person, phone in people)
        for holder, phone in list(holders):
            assert holder is not None
            drawn = one_time_codes.draw(random_source, keyring, 6)
            code = one_time_codes.new(
                drawn, keyring, settings(), now, CodePurpose.RECOVERY, phone, account_id=holder.id
            )
            codes.issue(connection, code)
            asked.append({"national_id": holder.national_id, "code": drawn.digits})
    return _requests("/api/v1/codes/verify", asked, _tokens(store, len(asked)))


def logins(store: Store, keyring: Keyring, people: list[tuple[str, str]], number: int) -> list[bytes]:
    """So many logins with the right password."""
    mine = people[: -(-number // LOGINS_PER_ACCOUNT)]
    new = passwords.hashed(keyring, PASSWORD)
    with store.writing() as connection:
        for person, _ in mine:
            holder = accounts.find(connection, national_id=person)
            assert holder is not None
            accounts.set_password(connection, holder.id, new.hash, new.key_id, None)
    names = cycle(person for person, _ in mine)
    asked = [{"national_id": next(names), "password": PASSWORD} for _ in range(number)]
    return _requests("/api/v1/passwords/verify", asked, _tokens(store, number))


def bare_rate(processes: int, seconds: float) -> float:
    """How many passwords a second this machine checks when it does nothing else."""
    command = [sys.executable, "-m", "tests.bench.argon", str(seconds)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    return sum(float(process.communicate()[0]) for process in running)


def _tokens(store: Store, calls: int) -> list[str]:
    random_source, now = SystemRandomSource(), system_clock()
    made = [bearer.make(random_source) for _ in range(-(-calls // CALLS_PER_TOKEN))]
    with store.writing() as connection:
        for each in made:
            tokens.issue(connection, each.id, "bench", each.digest, now, now + timedelta(days=1))
    return [each.text for each in made]


def _requests(path: str, asked: list[dict[str, str]], bearers: list[str]) -> list[bytes]:
    return list(_written(path, asked, cycle(bearers)))


def _written(path: str, asked: list[dict[str, str]], bearers: Iterator[str]) -> Iterator[bytes]:
    for body, token in zip(map(json.dumps, asked), bearers, strict=False):
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        yield (head + body).encode()
