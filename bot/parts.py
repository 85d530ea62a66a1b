"""What every service of the bot works with, handed to each as one."""

from collections.abc import Callable
from dataclasses import dataclass

from bot.audit.trail import Trail
from bot.credentials.keyring import Keyring
from bot.platform.phone_numbers import PhoneNumbers
from bot.ports import Clock, RandomSource
from bot.settings import Settings
from store.database.engine import Store
from store.service.counting import Counting


@dataclass(frozen=True)
class Job:
    """Something to do every so many seconds, in every process."""

    name: str
    seconds: int
    run: Callable[[], object]


@dataclass(frozen=True)
class Parts:
    """The store, the settings, the keys, the ports, the audit's writer, and what is counted."""

    store: Store
    settings: Settings
    keyring: Keyring
    clock: Clock
    random_source: RandomSource
    phone_numbers: PhoneNumbers
    trail: Trail
    counting: Counting
