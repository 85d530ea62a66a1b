"""Generated passwords, and argon2id hashes over a keyed pepper (NIST SP 800-63B-4, 3.1.1; OWASP password storage)."""

import re
from dataclasses import dataclass, field
from datetime import timedelta

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from bot.keys import Keys
from bot.ports import Dice

# Lower case and digits without look-alikes (i, l, o; 0, 1), to be typed on any phone: 12 of 31 are 59 bits.
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
LENGTH = 12
TEMPORARY = timedelta(hours=72)

# About 20 ms. The GIL is released meanwhile; no transaction may be open.
HASHER = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)


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


def generate(dice: Dice, keys: Keys) -> Generated:
    """Draw a temporary password, hash it, and seal it for the text that brings it.

    One with a run of digits that a phone, or a person, could take for a code is drawn again.
    """
    password = dice.password(LENGTH, ALPHABET)
    while re.search("[0-9]{6}", password):
        password = dice.password(LENGTH, ALPHABET)
    return Generated(keys.seal(password), hashed(keys, password))


def hashed(keys: Keys, password: str) -> Hashed:
    """Hash a password under the newest key."""
    peppered = keys.pepper(keys.newest, password)
    assert peppered is not None  # the newest key is always there
    return Hashed(HASHER.hash(peppered), keys.newest)


def verify(keys: Keys, kept: Hashed, password: str) -> bool:
    """Whether this is the password. False, too, where the key or the hash can't be used any more."""
    peppered = keys.pepper(kept.key_id, password)
    if peppered is None:
        return False
    try:
        return HASHER.verify(kept.hash, peppered)
    except (VerificationError, ValueError):
        return False
