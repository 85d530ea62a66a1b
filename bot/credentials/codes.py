"""One-time passwords: digits from `secrets`, kept only as a keyed hash over the code, its row and its account.

NIST SP 800-63B-4, 3.1.3.2. Six digits fall to any hash that needs no key, however slow; with one the key protects.
"""

import hmac
from dataclasses import dataclass, field

from bot.credentials.keyring import Keyring
from bot.ports import RandomSource
from dialogs.parsing.normalise import national_id
from store.codes import Tried


@dataclass(frozen=True)
class Fresh:
    """A new code, before it is known whose it will be."""

    id: str
    digits: str = field(repr=False)
    sealed: bytes = field(repr=False)


def make(random_source: RandomSource, keyring: Keyring, length: int) -> Fresh:
    """Draw a code. One that could be read as a national ID is drawn again."""
    digits = random_source.digits(length)
    while national_id(digits) is not None:
        digits = random_source.digits(length)
    return Fresh(random_source.token(), digits, keyring.seal(digits))


def digest(keyring: Keyring, key_id: str, code_id: str, account_id: int, digits: str) -> bytes | None:
    """What is kept of a code; None where its key is gone."""
    return keyring.code_digest(key_id, f"{code_id}:{account_id}:{digits}")


def is_right(keyring: Keyring, tried: Tried, digits: str) -> bool:
    """Whether these are the digits, in the same time for right and wrong ones."""
    expected = digest(keyring, tried.key_id, tried.id, tried.account_id, digits)
    return expected is not None and hmac.compare_digest(expected, tried.digest)
