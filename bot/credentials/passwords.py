"""Passwords, kept as argon2id over a keyed pepper (NIST SP 800-63B-4, 3.1.1; OWASP password storage)."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from bot.credentials.keyring import PRODUCTION, Cost, Keyring
from bot.ports import RandomSource
from dialogs.parsing.normalise import composed, fold

# Lower case and digits without look-alikes (i, l, o; 0, 1), to be typed on any phone: 12 of 31 are 59 bits.
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
LENGTH, GROUP = 12, 4
TEMPORARY = timedelta(hours=72)
_HYPHENS = frozenset("-\u2010\u2011\u2012\u2013\u2014\u2212_")


@cache
def hasher(cost: Cost) -> PasswordHasher:
    """Hash and check at a cost, with argon2id."""
    # The GIL is released while it works; no transaction may be open.
    return PasswordHasher(time_cost=cost.passes, memory_cost=cost.memory, parallelism=cost.lanes)


@cache
def _thread_of(process: int) -> ThreadPoolExecutor:  # of a process, for no thread survives a fork
    """The thread that hashes for all others of a process, one password after the other.

    Each takes 19 MB. At once, several push each other out of a processor's caches: six took half as long again each,
    and the first was ready only when the last was. And the C library keeps the memory of every thread that has hashed.
    """
    return ThreadPoolExecutor(1, f"hashing-{process}")


@cache
def _decoy(cost: Cost) -> str:
    # Checked where there is no account or password, for the time that it takes; what comes of it is not used.
    return hasher(cost).hash("")


# Made before the first login, which would else take twice as long.
_decoy(PRODUCTION)


@dataclass(frozen=True)
class Hashed:
    """What is kept of a password."""

    hash: str
    key_id: str


@dataclass(frozen=True)
class Generated:
    """A temporary password, on its way to the registered mobile."""

    sealed: bytes = field(repr=False)
    kept: Hashed


def generate(random_source: RandomSource, keyring: Keyring) -> Generated:
    """Draw a temporary password, hash it, and seal it, in groups, for the text that brings it.

    One with a run of digits that a phone, or a person, could take for a code is drawn again,
    and so is one that begins with a group of digits, which right-to-left text would move.
    """
    password = random_source.password(LENGTH, ALPHABET)
    while re.search(r"[0-9]{6}|^[0-9]{4}", password):
        password = random_source.password(LENGTH, ALPHABET)
    return Generated(keyring.seal(grouped(password)), hashed(keyring, password))


def grouped(password: str) -> str:
    """A generated password as it is read: `k7mw-4qtz-9hdx`."""
    return "-".join(password[place : place + GROUP] for place in range(0, len(password), GROUP))


def as_generated(typed: str) -> str | None:
    """A generated password as it was drawn, however it is typed; None where it can be none.

    Case, the script of its digits, hyphens and spaces do not matter.
    """
    letters = "".join(each for each in fold(typed) if not (each.isspace() or each in _HYPHENS))
    return letters if len(letters) == LENGTH and set(letters) <= set(ALPHABET) else None


def hashed(keyring: Keyring, password: str) -> Hashed:
    """Hash a password under the newest key."""
    peppered = _peppered(keyring, keyring.newest, password)
    assert peppered is not None  # the newest key is always there
    hashing = _thread_of(os.getpid()).submit(hasher(keyring.cost).hash, peppered)
    return Hashed(hashing.result(), keyring.newest)


def verify(keyring: Keyring, kept: Hashed | None, password: str) -> bool:
    """Whether this is the password. False, too, where there is none, or its key or hash can't be used any more.

    It takes as long in any case, so that its time tells nothing of whether there is an account.
    """
    peppered = _peppered(keyring, kept.key_id if kept else keyring.newest, password)
    if kept is None or peppered is None:
        _check(keyring, _decoy(keyring.cost), "another")
        return False
    return _check(keyring, kept.hash, peppered)


def is_outdated(keyring: Keyring, kept: Hashed) -> bool:
    """Whether parameters or keys have moved on since it was hashed."""
    return kept.key_id != keyring.newest or hasher(keyring.cost).check_needs_rehash(kept.hash)


def _peppered(keyring: Keyring, key_id: str, password: str) -> str | None:
    # One spelling for what looks the same: phones differ in how they write an accent (SP 800-63B-4, 3.1.1.2).
    return keyring.pepper(key_id, composed(password))


def _check(keyring: Keyring, kept: str, peppered: str) -> bool:
    try:
        return _thread_of(os.getpid()).submit(hasher(keyring.cost).verify, kept, peppered).result()
    except (VerificationError, ValueError):
        return False
