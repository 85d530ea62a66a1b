"""What it costs to understand the longest texts: anybody can send one, and others are heard after it."""

import sys
from itertools import permutations
from types import FrameType

import pytest

from dialogs.parsing.own_password import offered
from dialogs.parsing.parse import from_staff, parse
from dialogs.parsing.tokens import LONGEST

PARTS = ("a ", "a1", "0 ", "0-", "رمز ", "لغو", "ﷺ", "123456 ", "0012345679 ", "1234567890-", "کد ملی ", "MOBILE 0912 ")
PAIRS = [a + b for a, b in permutations(PARTS, 2)]
PART_OF_IT = LONGEST // 4


def understand(text: str) -> None:
    from_staff(parse(text, 6, "+989121234567"))
    offered(text, 6)


def calls(text: str) -> int:
    """How many calls of functions it takes to understand a text: the same on any machine."""
    number = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal number
        number += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        understand(text)
    finally:
        sys.setprofile(before)
    return number


@pytest.mark.parametrize("part", [*PARTS, *PAIRS[::12], "a a1", "a1a ", "0ﷺ"])
def test_a_text_of_four_times_the_length_takes_no_more_than_six_times_the_work(part: str) -> None:
    short, long = ((part * LONGEST)[:length] for length in (PART_OF_IT, LONGEST))
    understand(long)  # what is read once is read
    assert calls(long) < 6 * calls(short)


def test_of_a_longer_text_no_more_is_read() -> None:
    text = "a1" * LONGEST
    understand(text)
    assert calls(20 * text) < 1.1 * calls(text[:LONGEST])
