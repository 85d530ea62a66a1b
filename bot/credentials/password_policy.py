"""What a password of one's own must be (NIST SP 800-63B-4, 3.1.1.2): long enough, not common, not about its owner."""

import re
from collections.abc import Iterator
from enum import StrEnum, auto

from zxcvbn.frequency_lists import FREQUENCY_LISTS

from dialogs.parsing.normalise import composed, fold
from store.accounts import Account

SHORTEST = 8  # code points, after NFC
# A name of fewer letters stands in too many words by chance.
SHORTEST_NAME = 3


class Weakness(StrEnum):
    """Why a password is refused."""

    TOO_SHORT = auto()
    TOO_COMMON = auto()
    TOO_PERSONAL = auto()  # it holds the user name, national ID or mobile


# The commonest of leaked passwords, as they fold; and what cannot be seen at all.
COMMON = frozenset(map(fold, FREQUENCY_LISTS["passwords"])) | {""}
# One letter or digit up to 15 times (a key held down): the list has some lengths of such runs and not others.
HELD_DOWN = re.compile(r"([a-z]|\d)\1{,14}", re.IGNORECASE)


def weaknesses(password: str, account: Account) -> list[Weakness]:
    """Every reason to refuse a password; none, for a good one. Any character counts, none is demanded."""
    return list(_weaknesses(composed(password), account))


def _weaknesses(password: str, account: Account) -> Iterator[Weakness]:
    folded = fold(password)
    if len(password) < SHORTEST:
        yield Weakness.TOO_SHORT
    if folded.strip() in COMMON or HELD_DOWN.fullmatch(password):
        yield Weakness.TOO_COMMON
    if _names(folded, account):
        yield Weakness.TOO_PERSONAL


def _names(folded: str, account: Account) -> bool:
    name, digits = fold(account.username), re.sub("[^0-9]", "", folded)
    if len(name) >= SHORTEST_NAME and name in folded:
        return True
    # However either is written: without the zeros at its front, with a country's code, with separators.
    return account.national_id.lstrip("0") in digits or account.mobile[-8:] in digits
