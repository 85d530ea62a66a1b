"""One-time passwords: digits from `secrets`, kept only as a keyed hash over the code, its row and its owner.

NIST SP 800-63B-4, 3.1.3.2. Six digits fall to any hash that needs no key, however slow; with one the key protects.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bot.credentials.keyring import Keyring
from bot.ports import RandomSource
from bot.settings import Settings
from dialogs.limits import LOCKING_FAILURES
from dialogs.parsing.normalise import national_id
from dialogs.vocabulary import CodePurpose, CodeResult
from store import codes, rate_limits
from store.codes import Code, NewCode
from store.tables import RequestedBy

# No account and no staff member has this id: what is asked about nobody is asked of the store all the same.
NOBODY = 0

# What the keyed hash is over, besides the digits. Codes that are out while a release is installed stay good.
_BINDING = {
    CodePurpose.RECOVERY: "{id}:{owner}:",
    CodePurpose.CHANGE: "{id}:{owner}:",
    CodePurpose.STAFF_ORDER: "confirmation:{id}:{owner}:",
    CodePurpose.CONSOLE: "console:{id}:{owner}:",
    CodePurpose.OWN_BROWSER: "own browser:{id}:{owner}:",
    CodePurpose.STAFF_CHANGE: "staff change:{id}:{owner}:",
}


class UnknownKey(Exception):
    """The code was made under a key that this process lacks, so it can't say whether it is right.

    The transaction in which it is raised is undone, and with it the try.
    """


@dataclass(frozen=True)
class DrawnCode:
    """New digits, before it is known whose they will be. `sealed` is the same, encrypted for the text."""

    id: str
    digits: str = field(repr=False)
    sealed: bytes = field(repr=False)


@dataclass(frozen=True)
class CodeCheck:
    """What came of digits that were handed back: the codes that a try was spent of, and the right one."""

    result: CodeResult
    spent: tuple[Code, ...] = ()
    right: Code | None = None

    @property
    def purpose(self) -> CodePurpose | None:
        """What the right code is for, or else the wrong ones; None where there was none."""
        about = self.right or next(iter(self.spent), None)
        return CodePurpose(about.purpose) if about else None

    @property
    def tries_left(self) -> int:
        """How many tries are left."""
        return max((code.tries_left for code in self.spent), default=0)

    @property
    def account_ids(self) -> list[int]:
        """The accounts that the codes were for."""
        return [code.account_id for code in self.spent if code.account_id is not None]


def draw(random_source: RandomSource, keyring: Keyring, length: int) -> DrawnCode:
    """Draw a code. One that could be read as a national ID is drawn again."""
    digits = random_source.digits(length)
    while national_id(digits) is not None:
        digits = random_source.digits(length)
    return DrawnCode(random_source.token(), digits, keyring.seal(digits))


def new(
    drawn: DrawnCode,
    keyring: Keyring,
    settings: Settings,
    now: datetime,
    purpose: CodePurpose,
    phone: str,
    *,
    account_id: int | None = None,
    staff_id: int | None = None,
    requested_by: RequestedBy = RequestedBy.STAFF,
) -> NewCode:
    """The code to be written, for an account or for a staff member, live for CODE_TTL_SECONDS."""
    owner = account_id if account_id is not None else staff_id
    assert owner is not None
    made = digest(keyring, keyring.newest, purpose, drawn.id, owner, drawn.digits)
    assert made is not None  # the newest key is always there
    return NewCode(
        id=drawn.id,
        purpose=purpose,
        account_id=account_id,
        staff_id=staff_id,
        phone=phone,
        requested_by=requested_by,
        key_id=keyring.newest,
        digest=made,
        tries_left=settings.code_tries,
        created_at=now,
        expires_at=now + timedelta(seconds=settings.code_ttl_seconds),
    )


def digest(keyring: Keyring, key_id: str, purpose: CodePurpose, code_id: str, owner: int, digits: str) -> bytes | None:
    """What is kept of a code; None where its key is not in the keyring."""
    return keyring.code_digest(key_id, _BINDING[purpose].format(id=code_id, owner=owner) + digits)


def check(connection: Connection, keyring: Keyring, spent: Sequence[Code], digits: str, now: datetime) -> CodeCheck:
    """Compare digits with codes that a try has just been spent of, and count a failure.

    The one verdict on a code, by text, at Fakher and at the console. A try for nobody's code takes as long as any.
    Raises UnknownKey.
    """
    if not spent:
        _take_as_long(connection, keyring, digits, now)
        return CodeCheck(CodeResult.NO_LIVE_CODE)
    right = [code for code in spent if _is_right(keyring, code, digits)]
    if right:
        return CodeCheck(CodeResult.RIGHT, tuple(spent), right[0])
    if any(not keyring.knows(code.key_id) for code in spent):
        raise UnknownKey
    about = tuple(code for code in spent if code.account_id is not None) or tuple(spent)
    if _count_failure(connection, about) >= LOCKING_FAILURES:
        return CodeCheck(CodeResult.LOCKING_WRONG, about)
    left = any(code.tries_left for code in about)
    return CodeCheck(CodeResult.WRONG if left else CodeResult.LAST_WRONG, about)


def _is_right(keyring: Keyring, code: Code, digits: str) -> bool:
    """Whether these are the digits, in the same time for right and wrong ones."""
    owner = code.account_id if code.account_id is not None else code.staff_id
    expected = digest(keyring, code.key_id, CodePurpose(code.purpose), code.id, owner or NOBODY, digits)
    return expected is not None and hmac.compare_digest(expected, code.digest)


def _count_failure(connection: Connection, wrong: Sequence[Code]) -> int:
    accounts = [code.account_id for code in wrong if code.account_id is not None]
    if accounts:
        return codes.count_failure(connection, accounts)
    # Anybody can guess from a new browser: these guesses end logins from new browsers, and not the member's orders.
    return max(
        codes.count_staff_failure(connection, code.staff_id or NOBODY, new_browser=code.purpose == CodePurpose.CONSOLE)
        for code in wrong
    )


def _take_as_long(connection: Connection, keyring: Keyring, digits: str, now: datetime) -> None:
    """Do the work of a wrong code without its effect: the time of an answer must not tell whether there was one."""
    _is_right(keyring, Code("", CodePurpose.RECOVERY, NOBODY, None, keyring.newest, b"", 0), digits)
    codes.count_failure(connection, [NOBODY])
    rate_limits.count(connection, f"nobody:{digits[-2:]}", now)  # many rows, so that few wait for one another
