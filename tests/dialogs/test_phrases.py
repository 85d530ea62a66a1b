"""What the bot says: one text each, in every language, and typed or read by a machine without a slip."""

import re
import string
import unicodedata
from itertools import product

import pytest
from bidi import get_display  # type: ignore[import-untyped]

from dialogs.parsing.parse import parse
from dialogs.replies.phrases import LONGEST, dialled, languages, say
from dialogs.replies.segments import size
from dialogs.vocabulary import Intent
from tests.cases import for_each
from tests.support.parts import settings

LANGUAGES = sorted(languages())
PHRASES = sorted(languages()["fa"]["phrases"])
EACH = list(product(LANGUAGES, PHRASES))
CODE_PHRASES = list(product(LANGUAGES, ["code", "code_with_domain"]))
CODES = ["0" * 6, "012345", "999999", "1234567", "87654321", "987654321", "9876543210"]
ZWNJ = "\u200c"


def parameters(language: str, phrase: str) -> set[str]:
    template = languages()[language]["phrases"][phrase]
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def test_a_language_is_one_file_and_these_are_there() -> None:
    assert {"ar", "en", "fa"} <= set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_phrases(language: str) -> None:
    assert sorted(languages()[language]["phrases"]) == PHRASES


@for_each(("language", "phrase"), EACH)
def test_every_language_takes_the_same_parameters(language: str, phrase: str) -> None:
    assert parameters(language, phrase) == parameters("fa", phrase)
    assert parameters(language, phrase) <= LONGEST.keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_its_name_its_calendar_and_ten_digits(language: str) -> None:
    book = languages()[language]
    assert book["name"]
    assert book["calendar"] in ("jalali", "gregorian")
    assert [unicodedata.decimal(digit) for digit in book["digits"]] == list(range(10))


@for_each(("language", "phrase"), EACH)
def test_every_phrase_at_its_longest_fits_one_text(language: str, phrase: str) -> None:
    measured = size(say(phrase, language, LONGEST))
    assert measured.segments == 1
    assert measured.units <= measured.limit


@for_each("code", CODES)
@for_each("minutes", ["1", "10"])
@for_each(("language", "phrase"), CODE_PHRASES)
def test_a_code_of_any_length_fits_one_text(language: str, phrase: str, code: str, minutes: str) -> None:
    assert size(say(phrase, language, LONGEST | {"code": code, "minutes": minutes})).segments == 1


def test_the_longest_parameters_are_the_longest_that_settings_allow() -> None:
    longest = settings(
        CODE_LENGTH="10", SUPPORT_PHONE=LONGEST["phone"], FAKHER_DOMAIN=LONGEST["domain"][:-3] + ".ir", CODE_TRIES="9"
    )
    assert len(LONGEST["code"]) == longest.code_length
    assert int(LONGEST["minutes"]) == 600 // 60
    assert len(LONGEST["password"].replace("-", "")) == 12


@for_each("phrase", PHRASES)
def test_english_is_pure_gsm_7(phrase: str) -> None:
    text = say(phrase, "en", LONGEST)
    assert size(text).encoding == "GSM-7", [c for c in text if size(c).encoding != "GSM-7"]


@for_each("code", CODES)
@for_each(("language", "phrase"), CODE_PHRASES)
def test_a_code_is_the_only_run_of_its_length_and_in_ascii(language: str, phrase: str, code: str) -> None:
    text = say(phrase, language, {"code": code, "minutes": "10", "domain": "fakher.haj.ir"})
    runs = re.findall(r"\d+", text)
    assert [run for run in runs if len(run) == len(code)] == [code]
    assert re.findall(rf"(?<![0-9])[0-9]{{{len(code)}}}(?![0-9])", text) == [code]


@for_each("language", LANGUAGES)
@for_each("length", range(6, 11))
def test_no_other_phrase_has_a_run_that_could_pass_for_a_code(language: str, length: int) -> None:
    others = [phrase for phrase in PHRASES if not phrase.startswith("code") and "phone" not in parameters("fa", phrase)]
    for phrase in others:
        assert not re.search(rf"(?<!\d)\d{{{length}}}(?!\d)", say(phrase, language, LONGEST))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_password_stands_alone_on_its_line(language: str) -> None:
    for phrase in ("new_password", "new_password_no_phone"):
        text = say(phrase, language, LONGEST)
        assert text.split("\n").count("k7mw-4qtz-9hdx") == 1
        assert text.count("k7mw-4qtz-9hdx") == 1


@for_each("code", CODES)
@for_each("language", LANGUAGES)
def test_a_text_for_autofill_ends_in_the_bound_code(language: str, code: str) -> None:
    text = say("code_with_domain", language, {"code": code, "minutes": "10", "domain": "fakher.haj.ir"})
    assert text.split("\n")[-1] == f"@fakher.haj.ir #{code}"
    assert text.count("@") == 1
    assert text.count("#") == 1


@for_each(("language", "phrase"), EACH)
def test_no_phrase_has_an_odd_or_needless_space(language: str, phrase: str) -> None:
    text = say(phrase, language, LONGEST)
    assert {c for c in text if c.isspace()} <= {" ", "\n"}
    assert not [c for c in text if unicodedata.category(c) in ("Cf", "Cc", "Co") and c not in (ZWNJ, "\n")]
    assert text == text.strip()
    assert "  " not in text
    assert not any(line != line.strip() for line in text.split("\n"))
    assert ZWNJ not in text or language == "fa"


@for_each(("language", "phrase"), EACH)
def test_numbers_are_in_the_languages_own_digits_but_for_what_is_typed(language: str, phrase: str) -> None:
    shown = say(phrase, language, LONGEST)
    for name in parameters(language, phrase):
        if name in ("code", "password", "domain"):
            assert LONGEST[name] in shown
        elif name == "phone":
            assert dialled(LONGEST[name]) in shown
        else:
            assert LONGEST[name].translate(str.maketrans("0123456789", languages()[language]["digits"])) in shown


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_parameter_that_is_missing_is_no_silent_gap(language: str) -> None:
    with pytest.raises(KeyError):
        say("wrong_code", language, {})


# The order in which they are read


@for_each(("language", "phrase"), EACH)
def test_what_is_read_right_to_left_keeps_its_numbers_in_order(language: str, phrase: str) -> None:
    digits = str.maketrans("0123456789", languages()[language]["digits"])
    given = {
        name: value for name, value in LONGEST.items() if name in parameters(language, phrase) - {"resets", "state"}
    }
    shown = [*given.values(), *(value.translate(digits) for value in given.values()), dialled(LONGEST["phone"])]
    for line in say(phrase, language, LONGEST | {"state": "-"}).split("\n"):
        seen = get_display(line)
        for number in filter(line.__contains__, shown):
            assert number in seen, (line, seen)


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_of_several_refs_keeps_its_order(language: str) -> None:
    line = say("staff_status_with_resets", language, LONGEST).split("\n")[-1]
    for part in re.findall(r"[\d:]+", line):
        assert part in get_display(line)


@pytest.mark.parametrize(
    ("written", "shown"),
    [("+982112345678", "02112345678"), ("+9647801234567", "009647801234567"), ("1666", "1666"), ("02188", "02188")],
)
def test_a_number_is_shown_as_it_is_dialled_here(written: str, shown: str) -> None:
    assert dialled(written) == shown


def test_no_phrase_points_to_digits_by_a_sign_that_right_to_left_text_moves() -> None:
    for language, phrase in EACH:
        text = say(phrase, language, LONGEST | {"password": ""})
        assert not re.search(r"…|\+\d|\d-\d", text), text


# What they ask for

A_PASSWORD = {"fa": "کلمه رمز", "ar": "كلمة رمز"}


@for_each(("language", "phrase"), EACH)
def test_whoever_forgot_a_password_is_never_asked_for_it(language: str, phrase: str) -> None:
    assert A_PASSWORD.get(language, "password and") not in languages()[language]["phrases"][phrase]


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_it_asks_for_is_enough(language: str) -> None:
    """The ID alone, which the replies ask for, is understood; so are the words that help names."""
    assert parse("0012345679").intent is Intent.RECOVER
    told = say("help", language, LONGEST)
    stops = [it for it in re.findall(r"\d+", told) if parse(it).intent is Intent.OPT_OUT]
    assert len(stops) == 1


# Segments, counted by hand


@for_each(
    ("text", "encoding", "units", "limit", "segments"),
    [
        ("", "GSM-7", 0, 160, 1),
        ("hello", "GSM-7", 5, 160, 1),
        ("a" * 160, "GSM-7", 160, 160, 1),
        ("a" * 161, "GSM-7", 161, 160, 2),
        ("a" * 306, "GSM-7", 306, 160, 2),
        ("a" * 307, "GSM-7", 307, 160, 3),
        ("@£$_\nΔé", "GSM-7", 7, 160, 1),
        ("€", "GSM-7", 2, 160, 1),
        ("[a]{b}", "GSM-7", 10, 160, 1),
        ("^\\~|\f", "GSM-7", 10, 160, 1),
        ("€" * 80, "GSM-7", 160, 160, 1),
        ("€" * 80 + "a", "GSM-7", 161, 160, 2),
        ("`", "UCS-2", 1, 70, 1),
        ("ç", "UCS-2", 1, 70, 1),
        ("a\u00a0b", "UCS-2", 3, 70, 1),
        ("رمز", "UCS-2", 3, 70, 1),
        ("ر" * 70, "UCS-2", 70, 70, 1),
        ("ر" * 71, "UCS-2", 71, 70, 2),
        ("ر" * 134, "UCS-2", 134, 70, 2),
        ("ر" * 135, "UCS-2", 135, 70, 3),
        ("a" * 70 + "ر", "UCS-2", 71, 70, 2),
        ("👍", "UCS-2", 2, 70, 1),
        ("👍" * 35, "UCS-2", 70, 70, 1),
        ("👍" * 36, "UCS-2", 72, 70, 2),
        ("می‌شود", "UCS-2", 6, 70, 1),
        ("[ر]", "UCS-2", 3, 70, 1),
    ],
)
def test_a_text_is_measured_as_a_carrier_does(text: str, encoding: str, units: int, limit: int, segments: int) -> None:
    assert size(text) == (encoding, units, limit, segments)
