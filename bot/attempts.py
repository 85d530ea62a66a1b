"""A code that is handed back, by text or to Fakher: one way to try it, one count of failures."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from bot import codes
from bot.keys import Keys
from dialogs.vocabulary import Guess
from store import codes as kept
from store import rates
from store.codes import Tried
from store.tables import Fate

# Wrong codes in a row, over all codes, that end recovery until staff unlock it. NIST SP 800-63B-4, 3.2.2.
LOCKING_FAILURES = 100

# No account has this id: what is asked about nobody is asked of the store all the same.
NOBODY = 0


@dataclass(frozen=True)
class Attempt:
    """What came of a code that was handed back: the codes that a try was spent of, and the right one."""

    guess: Guess
    tried: tuple[Tried, ...] = ()
    right: Tried | None = None

    @property
    def tries_left(self) -> int:
        """How many tries are left."""
        return max((code.tries_left for code in self.tried), default=0)

    @property
    def account_ids(self) -> list[int]:
        """The accounts that the codes were for."""
        return [code.account_id for code in self.tried]


def attempt(connection: Connection, keys: Keys, tried: Sequence[Tried], digits: str, now: datetime) -> Attempt:
    """Compare digits with codes that a try has just been spent of, and count a failure."""
    if not tried:
        _take_as_long(connection, keys, digits, now)
        return Attempt(Guess.NO_LIVE_CODE)
    right = [code for code in tried if codes.is_right(keys, code, digits)]
    if right:
        return Attempt(Guess.RIGHT, tuple(tried), right[0])
    failures = kept.count_failure(connection, [code.account_id for code in tried])
    if failures >= LOCKING_FAILURES:
        return Attempt(Guess.LOCKING, tuple(tried))
    return Attempt(Guess.WRONG if any(code.tries_left for code in tried) else Guess.LAST, tuple(tried))


def _take_as_long(connection: Connection, keys: Keys, digits: str, now: datetime) -> None:
    """Do in vain what a wrong code costs, so that the time of an answer tells nothing of whether there was one."""
    codes.is_right(keys, Tried("", NOBODY, keys.newest, b"", 0), digits)
    kept.count_failure(connection, [NOBODY])
    rates.count(connection, f"nobody:{digits[-2:]}", now)  # many rows, so that few wait for one another


def burn(connection: Connection, failed: Attempt, now: datetime) -> None:
    """Close the codes that were tried: none is good any more."""
    for code in failed.tried:
        kept.close(connection, code.id, Fate.BURNED, now)


def lock(connection: Connection, failed: Attempt, now: datetime) -> list[int]:
    """Disable recovery for the accounts that have failed too often in a row; which they are."""
    return kept.lock_accounts(connection, failed.account_ids, LOCKING_FAILURES, now)
