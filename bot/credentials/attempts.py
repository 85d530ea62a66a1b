"""A code that is handed back, by text or to Fakher: one way to try it, one count of failures."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from bot.credentials import codes
from bot.credentials.keyring import Keyring
from dialogs.vocabulary import CodeResult
from store import codes as kept
from store import rate_limits
from store.codes import Tried
from store.tables import CloseReason

# Wrong codes in a row, over all codes, that end recovery until staff unlock it. NIST SP 800-63B-4, 3.2.2.
LOCKING_FAILURES = 100

# No account has this id: what is asked about nobody is asked of the store all the same.
NOBODY = 0


@dataclass(frozen=True)
class CodeCheck:
    """What came of a code that was handed back: the codes that a try was spent of, and the right one."""

    guess: CodeResult
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


def check(connection: Connection, keyring: Keyring, tried: Sequence[Tried], digits: str, now: datetime) -> CodeCheck:
    """Compare digits with codes that a try has just been spent of, and count a failure."""
    if not tried:
        _take_as_long(connection, keyring, digits, now)
        return CodeCheck(CodeResult.NO_LIVE_CODE)
    right = [code for code in tried if codes.is_right(keyring, code, digits)]
    if right:
        return CodeCheck(CodeResult.RIGHT, tuple(tried), right[0])
    failures = kept.count_failure(connection, [code.account_id for code in tried])
    if failures >= LOCKING_FAILURES:
        return CodeCheck(CodeResult.LOCKING, tuple(tried))
    return CodeCheck(CodeResult.WRONG if any(code.tries_left for code in tried) else CodeResult.LAST, tuple(tried))


def _take_as_long(connection: Connection, keyring: Keyring, digits: str, now: datetime) -> None:
    """Do in vain what a wrong code costs, so that the time of an answer tells nothing of whether there was one."""
    codes.is_right(keyring, Tried("", NOBODY, keyring.newest, b"", 0), digits)
    kept.count_failure(connection, [NOBODY])
    rate_limits.count(connection, f"nobody:{digits[-2:]}", now)  # many rows, so that few wait for one another


def burn(connection: Connection, failed: CodeCheck, now: datetime) -> None:
    """Close the codes that were tried: none is good any more."""
    for code in failed.tried:
        kept.close(connection, code.id, CloseReason.BURNED, now)


def lock(connection: Connection, failed: CodeCheck, now: datetime) -> list[int]:
    """Disable recovery for the accounts that have failed too often in a row; which they are."""
    return kept.lock_accounts(connection, failed.account_ids, LOCKING_FAILURES, now)
