"""What a password of one's own must be: long enough, not common, not about its owner. Nothing else is asked of it."""

import dataclasses
import unicodedata
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.credentials.password_policy import COMMON, SHORTEST, Weakness, weaknesses
from store.accounts import Account
from tests.cases import for_each

HOLDER = Account(
    id=7,
    national_id="0012345679",
    username="zahra",
    mobile="+989121234567",
    language="fa",
    active=True,
    locked_at=None,
    former_mobile="+989127654321",
    mobile_changed_at=None,
    password_hash=None,
    password_key=None,
    password_expires_at=None,
)
GOOD = "Saffron-1447"
SHORT, COMMONPLACE, PERSONAL = Weakness.TOO_SHORT, Weakness.TOO_COMMON, Weakness.TOO_PERSONAL
EVERY_DIGIT = "0123456789"
# Signs and letters of no name, no number and no word that all the world uses.
NEUTRAL = "qjxvkw#%&*=+~ |"


def named(username: str) -> Account:
    return dataclasses.replace(HOLDER, username=username)


def in_script(zero: str, written: str) -> str:
    """The digits of a text in another script."""
    return written.translate({ord(digit): ord(zero) + int(digit) for digit in EVERY_DIGIT})


# Long enough


@pytest.mark.parametrize(
    ("password", "is_short"),
    [
        ("xkq-vjw", True),
        ("xkq-vjwz", False),
        ("فانوس-چ", True),
        ("فانوس-چا", False),
        ("🏮🕌🐪🌙🌴🫖🧿", True),
        ("🏮🕌🐪🌙🌴🫖🧿🪔", False),
        ("k 1 v 2", True),
        ("k 1 v 2 ", False),
        ("", True),
    ],
)
def test_it_asks_for_eight_characters_of_any_kind(password: str, is_short: bool) -> None:
    assert weaknesses(password, HOLDER).count(SHORT) == is_short


@pytest.mark.parametrize(("letters", "is_short"), [("éüñçøåî", True), ("éüñçøåîö", False)])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_it_counts_a_letter_with_its_mark_as_one(form: Literal["NFC", "NFD"], letters: str, is_short: bool) -> None:
    written = unicodedata.normalize(form, letters)
    assert len(written) >= (7 if form == "NFC" else 13)
    assert weaknesses(written, HOLDER) == ([SHORT] if is_short else [])


def test_it_counts_marks_that_make_no_letter_by_themselves() -> None:
    assert weaknesses("xkqvj\u0308\u0323", HOLDER) == [SHORT]  # j with two marks stays three
    assert weaknesses("xkqvjw\u0308\u0323", HOLDER) == [SHORT]  # w with both is two
    assert weaknesses("xkqvjwz\u0308\u0323", HOLDER) == []  # and z with both is two


@pytest.mark.parametrize("length", [8, 64, 65, 128, 500, 1_000])
def test_it_allows_any_length_from_there_on(length: int) -> None:
    assert weaknesses(("Kettle of saffron, " * 60)[:length], HOLDER) == []


@for_each(
    "password",
    [
        GOOD,
        "kettlepot",
        "KETTLEPOT",
        "84629175",
        "#%&*~|<>",
        "a lantern over the well",
        "فانوسی روی چاه",
        "مصباح فوق البئر",
        "🏮 فانوس 🏮 well",
        "\u200cچراغ\u200cها",
        "tab\tand\nline",
        "with\0nothing",
        "torn \ud800 apart",
        "'; DROP TABLE account; --",
    ],
)
def test_it_allows_any_character_and_demands_none(password: str) -> None:
    assert weaknesses(password, HOLDER) == []


# Not common


def test_it_knows_thousands_that_a_length_alone_would_let_pass() -> None:
    assert len(COMMON) >= 20_000
    assert sum(len(each) >= SHORTEST for each in COMMON) >= 3_000


@for_each(
    "password",
    [
        "password",
        "PASSWORD",
        "PaSsWoRd",
        "passw0rd",
        "ｐａｓｓｗｏｒｄ",
        "pássword",
        "pass\u200bword",
        "123456789",
        "۱۲۳۴۵۶۷۸۹",
        "١٢٣٤٥٦٧٨٩",
        "１２３４５６７８９",
        "qwertyuiop",
        "Iloveyou1",
        "iloveyou۱",
        "trustno1",
    ],
)
def test_it_refuses_a_common_one_however_it_is_written(password: str) -> None:
    assert weaknesses(password, HOLDER) == [COMMONPLACE]


@pytest.mark.parametrize("password", ["kkkkkkkk", "KkKkKkKk", "K" * 15, "00000000", "7" * 15, "٧" * 12])
def test_it_refuses_one_key_held_down(password: str) -> None:
    assert weaknesses(password, HOLDER) == [COMMONPLACE]


@pytest.mark.parametrize("password", ["k" * 16, "K" * 64, "0" * 128, "🏮" * 8, "é" * 8, "e\u0301" * 8, "س" * 8])
def test_it_demands_no_second_character(password: str) -> None:
    assert weaknesses(password, HOLDER) == []


@pytest.mark.parametrize("password", ["\u200c" * 9, " " * 8])
def test_it_refuses_what_cannot_be_seen(password: str) -> None:
    assert weaknesses(password, HOLDER) == [COMMONPLACE]


@pytest.mark.parametrize("password", ["my password is a kettle", "password1447kettle", "kkkkkkkq", "🏮🏮🏮🏮🏮🏮🏮🕌"])
def test_it_refuses_a_common_one_only_where_there_is_nothing_else(password: str) -> None:
    assert weaknesses(password, HOLDER) == []


# Not about its owner


@pytest.mark.parametrize(
    "password",
    [
        "zahra",
        "zahra-kettle",
        "kettle-of-ZAHRA",
        "kettleZahra1447",
        "ｚａｈｒａ kettle",
        "zahrá the great",
        "za\u200bhra kettle",
    ],
)
def test_it_refuses_the_user_name_wherever_it_stands(password: str) -> None:
    assert PERSONAL in weaknesses(password, HOLDER)
    assert PERSONAL not in weaknesses(password, named("omid"))


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("Caravan_21", "caravan_21 kettle"),
        ("کاروان۲۱", "كاروان21 kettle"),
        ("k.rahimi", "K.Rahimi-kettle"),
        ("ali", "kettle of alim"),
    ],
)
def test_it_compares_the_user_name_however_either_is_written(username: str, password: str) -> None:
    assert weaknesses(password, named(username)) == [PERSONAL]


@pytest.mark.parametrize(
    ("username", "is_name"), [("sa", False), ("k", False), ("", False), ("é", False), ("sáf", True)]
)
def test_it_passes_over_a_user_name_that_any_word_could_hold(username: str, is_name: bool) -> None:
    assert weaknesses("Kettle of saffron", named(username)) == ([PERSONAL] if is_name else [])


@for_each(
    "written",
    ["0012345679", "12345679", "012345679", "001-234567-9", "001 234 5679", "0.0.1.2.3.4.5.6.7.9", "00 12a34b56c79"],
)
@for_each("zero", ["0", "۰", "٠", "０"])
def test_it_refuses_the_national_id_however_it_is_written(written: str, zero: str) -> None:
    assert weaknesses(f"Kettle {in_script(zero, written)}", HOLDER) == [PERSONAL]
    assert weaknesses(f"{in_script(zero, written)}, a kettle", HOLDER) == [PERSONAL]


@for_each(
    "written",
    [
        "09121234567",
        "9121234567",
        "+989121234567",
        "00989121234567",
        "0912 123 45 67",
        "0912-123-4567",
        "(0912) 1234567",
        "+98 (912) 123.45.67",
        "21234567",
    ],
)
@for_each("zero", ["0", "۰", "٠", "０"])
def test_it_refuses_the_mobile_however_it_is_written(written: str, zero: str) -> None:
    assert weaknesses(f"Kettle {in_script(zero, written)}", HOLDER) == [PERSONAL]
    assert weaknesses(f"{in_script(zero, written)}, a kettle", HOLDER) == [PERSONAL]


@pytest.mark.parametrize("digits", ["8052916372", "09351112233", "1234567", "1234679", "9765432100", "1447", "2123456"])
def test_it_allows_other_numbers_and_less_than_the_whole(digits: str) -> None:
    assert weaknesses(f"Kettle {digits}", HOLDER) == []


# More than one


@pytest.mark.parametrize(
    ("password", "reasons"),
    [
        ("zahra#", [SHORT, PERSONAL]),
        ("dragon", [SHORT, COMMONPLACE]),
        ("", [SHORT, COMMONPLACE]),
        ("kkkk", [SHORT, COMMONPLACE]),
        ("123456789", [COMMONPLACE]),
        ("12345679", [COMMONPLACE, PERSONAL]),
    ],
)
def test_it_gives_every_reason_the_length_first(password: str, reasons: list[Weakness]) -> None:
    assert weaknesses(password, HOLDER) == reasons


def test_it_gives_all_three() -> None:
    assert weaknesses("dragon", named("dragon")) == [SHORT, COMMONPLACE, PERSONAL]
    assert weaknesses("password", named("password")) == [COMMONPLACE, PERSONAL]


# Whatever it is


@given(password=st.text())
def test_it_says_the_same_of_both_ways_to_write_a_mark(password: str) -> None:
    composed, apart = (unicodedata.normalize(form, password) for form in ("NFC", "NFD"))
    assert weaknesses(composed, HOLDER) == weaknesses(apart, HOLDER) == weaknesses(password, HOLDER)


@given(password=st.text(alphabet=st.characters()))
def test_it_has_a_word_for_any_text_and_gives_no_reason_twice(password: str) -> None:
    reasons = weaknesses(password, HOLDER)
    assert reasons == sorted(set(reasons), key=list(Weakness).index)
    assert (SHORT in reasons) == (len(unicodedata.normalize("NFC", password)) < 8)


@given(before=st.text(NEUTRAL, max_size=30), after=st.text(NEUTRAL, max_size=30))
def test_it_finds_what_is_the_owners_in_the_middle_of_anything(before: str, after: str) -> None:
    for theirs in ("zahra", "0012345679", "۰۹۱۲۱۲۳۴۵۶۷"):
        assert PERSONAL in weaknesses(before + theirs + after, HOLDER)
    assert PERSONAL not in weaknesses(before + after, HOLDER)


@given(password=st.sampled_from(sorted(COMMON)), upper=st.integers(min_value=0))
def test_it_refuses_a_common_one_in_any_mixture_of_cases(password: str, upper: int) -> None:
    mixed = "".join(
        letter.upper() if letter.isascii() and upper >> place & 1 else letter for place, letter in enumerate(password)
    )
    assert COMMONPLACE in weaknesses(mixed, HOLDER)


def test_its_reasons_are_called_as_fakher_reads_them() -> None:
    assert [str(each) for each in Weakness] == ["too_short", "too_common", "too_personal"]
