"""What texts mean: the examples in data/, and what must hold of any text."""

import csv
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dialogs.parsing import lexicon
from dialogs.parsing.lexicon import Meaning
from dialogs.parsing.normalise import fold, national_id
from dialogs.parsing.own_password import CodeAndPassword, offered, trimmed
from dialogs.parsing.parse import from_staff, parse
from dialogs.replies.phrases import LONGEST, languages
from dialogs.vocabulary import Intent, Naming, ParsedMessage
from tests.cases import for_each
from tests.support.places import TESTS

DATA = TESTS / "data"
LANGUAGES = {"fa-latn": "fa", "none": None, "": None}

# Where a code beside the rest matters, though none is out.
WITH_CODE = {Intent.CODE, Intent.RECOVER, Intent.CHANGE, Intent.STAFF_RESET}
# A pilgrim who writes "reset password" means what staff mean: both are requests.
BY_WHO_ASKS = {Intent.RECOVER, Intent.STAFF_RESET}

ID = "8052916372"
SCRIPTS = ["0123456789", "۰۱۲۳۴۵۶۷۸۹", "٠١٢٣٤٥٦٧٨٩", "０１２３４５６７８９"]


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def as_sent(row: dict[str, str]) -> ParsedMessage:
    """The text, from staff where it is an order of theirs."""
    heard = parse(row["text"])
    return from_staff(heard) if row["intent"].startswith("staff") else heard


@for_each("row", rows("inbound_examples.csv"))
def test_it_understands_the_examples(row: dict[str, str]) -> None:
    heard = as_sent(row)
    assert heard.intent == row["intent"] or {heard.intent, Intent(row["intent"])} == BY_WHO_ASKS
    assert (heard.national_id or "") == row["national_id"]
    assert heard.language == LANGUAGES.get(row["lang"], row["lang"])


@for_each("row", rows("inbound_more.csv"))
def test_it_understands_more_examples(row: dict[str, str]) -> None:
    heard = as_sent(row)
    code = heard.code if heard.intent in WITH_CODE else None
    apart = replace(heard, code=code, password_follows=False, phrase_follows=False, mobile=None, objects=False)
    assert apart == ParsedMessage(
        intent=Intent(row["intent"]),
        naming=Naming(row["naming"]),
        national_id=row["national_id"] or None,
        code=row["code"] or None,
        language=row["language"] or None,
        own_password=row["note"] == "own password",
    )


@given(st.text(st.characters()), st.integers(6, 10))
def test_it_has_a_meaning_for_any_text(text: str, code_length: int) -> None:
    heard = parse(text, code_length)
    assert (heard.national_id is not None) == (heard.naming is Naming.ONE)
    assert heard.code is None or (len(heard.code) == code_length and heard.code.isascii() and heard.code.isdigit())
    assert heard.language in {*languages(), None}


NUMBERS = [ID, "2815093766", "482913", "4471", "09121234567", "100012345678", "5,000,000", "1405/09/02", "10:20"]
WORDS = ["رمز", "تغییر", "لغو", "11", "کد", "ramz", "reset", "status", "نکنید", "http://x.example/", "x"]
pieces = st.sampled_from([*NUMBERS, *WORDS, "#", "-", " ", "\n", "؟"])


@given(st.lists(pieces).map("".join), st.integers(6, 10))
def test_it_names_only_ids_that_were_written(text: str, code_length: int) -> None:
    heard = parse(text, code_length)
    assert heard.national_id is None or heard.national_id.lstrip("0") in "".join(filter(str.isdigit, fold(text)))
    assert heard.national_id is None or national_id(heard.national_id)


@pytest.mark.parametrize(
    "text", ["\ud83d\ud83d", "\x00", "\x00ر\x00م\x00ز", "1 " * 50_000, "رمز" * 40_000, "x" * 100_000]
)
def test_it_survives_hostile_texts(text: str) -> None:
    assert min(_seconds(text) for _ in range(3)) < 0.5


@given(
    st.lists(st.sampled_from(SCRIPTS), min_size=10, max_size=10),
    st.lists(st.sampled_from(["", " ", ".", "-", "_", "/", "*", "#", "،", "\u200c", " - "]), min_size=9, max_size=9),
)
def test_it_reads_an_id_in_any_digits_with_any_separators(scripts: list[str], separators: list[str]) -> None:
    digits = [script[int(digit)] for script, digit in zip(scripts, ID, strict=True)]
    spaced = "".join(digit + separator for digit, separator in zip(digits, [*separators, ""], strict=True))
    # Spaces may also make of ten digits a number that stands by itself and a few more.
    assume(not any(len(run) in {6, 8, 9} for run in fold(spaced).replace("-", " ").split()))
    assert parse(f"رمز {spaced}").national_id == ID


@given(st.sampled_from(["رمز ", "تغییر ", "", "RESET ", "کد ملی "]), st.text("0123456789", min_size=1, max_size=6))
def test_it_never_cuts_an_id_out_of_a_longer_number(keyword: str, more: str) -> None:
    for digits in (ID + more, more + ID):
        heard = parse(keyword + digits)
        assert heard.national_id is None


@pytest.mark.parametrize("code_length", [6, 7, 8, 9, 10])
def test_it_takes_a_run_as_long_as_a_code_for_one(code_length: int) -> None:
    code = "4829136582"[:code_length]
    assert national_id(code) is None
    assert parse(code, code_length) == ParsedMessage(Intent.CODE, code=code)
    assert parse(f"{code[:3]} {code[3:]}", code_length) == ParsedMessage(Intent.CODE, code=code)
    assert parse(f"رمز {code}", code_length) == ParsedMessage(Intent.RECOVER, Naming.INVALID, None, code, "fa")


@pytest.mark.parametrize(
    ("text", "code_length", "canonical"), [(ID, 10, ID), ("105829315", 9, "0105829315"), ("93142651", 8, "0093142651")]
)
def test_it_takes_a_national_id_for_one_however_long_codes_are(text: str, code_length: int, canonical: str) -> None:
    assert parse(text, code_length) == ParsedMessage(Intent.RECOVER, Naming.ONE, canonical)


def test_it_shows_no_secret_in_its_repr() -> None:
    assert "482913" not in repr(parse("تغییر 482913 Mecca#1447"))


def test_it_keeps_look_alikes_apart_from_keywords() -> None:
    for listed in lexicon.written().values():
        if Meaning.ALIKE in listed.meanings:
            assert not listed.meanings & (lexicon.REQUESTS | {Meaning.CANCEL, Meaning.STOP, Meaning.HELP})


def test_it_knows_every_meaning_in_every_language_that_needs_it() -> None:
    for language in languages():
        meant = {meaning for word in lexicon._vocabulary(language).values() for meaning in word.meanings}
        assert meant >= set(Meaning) - {Meaning.SLIP}


def slips(word: str) -> Iterator[str]:
    """A word with one letter doubled, and with two neighbours swapped."""
    for place in range(1, len(word)):
        yield word[:place] + word[place - 1] + word[place:]
    for place in range(1, len(word) - 1):
        yield word[:place] + word[place + 1] + word[place] + word[place + 2 :]


@pytest.mark.parametrize(
    "keyword", ["پسورد", "بازیابی", "فراموش", "گذرواژه", "password", "recover", "bazyabi", "faramosh"]
)
def test_it_forgives_one_slip_in_a_long_keyword(keyword: str) -> None:
    for slip in slips(keyword):
        assert parse(f"{slip} 2815093").naming is Naming.INVALID, slip


def test_it_understands_in_microseconds() -> None:
    text = f"رمز {ID}"
    parse(text)
    best = min(_seconds(text) for _ in range(50))
    assert best < 0.001  # a twentieth of it here; slow machines share their cores


def _seconds(text: str) -> float:
    began = time.perf_counter()
    parse(text)
    return time.perf_counter() - began


OFFERS = [
    ("482913 Mecca#1447", "Mecca#1447"),
    ("۴۸۲۹۱۳  Mecca#1447 ", "Mecca#1447"),
    ("482913\nMecca#1447", "Mecca#1447"),
    ("482913: Mecca#1447", "Mecca#1447"),
    ("482913 - Mecca#1447", "Mecca#1447"),
    ("482 913 Mecca#1447", "Mecca#1447"),
    ("۴۸۲-۹۱۳ Mecca#1447", "Mecca#1447"),
    ("482 913 1447 Mecca", None),
    ("11 482 913 Mecca#1447", None),
    ("482913\nرمز دلخواه: Mecca#1447", "Mecca#1447"),
    ("482913 رمز دلخواهم Mecca#1447", "Mecca#1447"),
    ("482913 -Mecca1-", "-Mecca1-"),
    ("482913 زعفران۱۴۴۷", "زعفران۱۴۴۷"),
    ("482913 \u200fMecca#1447\u200e", "Mecca#1447"),
    ("کد من 482913 Mecca#1447", "Mecca#1447"),
    ("تغییر رمز 482913 به Mecca#1447", "Mecca#1447"),
    ("change 482913 saffron and old copper pots", "saffron and old copper pots"),
    ("482913 رمز: Mecca#1447", "Mecca#1447"),
    ("482913 my password is Mecca#1447", "Mecca#1447"),
    ("482913 Mecca#1447\nممنون", "Mecca#1447"),
    ("482913", None),
    ("482913 482913", None),
    ("482913 ممنون", None),
    ("482913 cancel", None),
    ("482913 این کد منه", None),
    ("saffron 482913", None),
    ("saffron 482913 Mecca#1447", None),
    ("4829131 Mecca#1447", None),
    ("48291 Mecca#1447", None),
    ("482913-Mecca#1447", None),
    ("Fakher code: 482913\nText it back here within 10 min to get a new password.", None),
]


@for_each(("text", "password"), OFFERS)
def test_it_finds_the_password_that_follows_a_code(text: str, password: str | None) -> None:
    assert offered(text, 6) == (password and CodeAndPassword("482913", password))
    assert parse(text).password_follows == (password is not None)


PHRASES = [
    ("482913 horse battery staple", "horse battery staple"),
    ("482913 good evening my old hotel", "good evening my old hotel"),
    ("482913\nمادر من خانه خوب دوست دارد", "مادر من خانه خوب دوست دارد"),
    ("change 482913 good evening my old hotel", "good evening my old hotel"),
    ("482913 password: lantern over the well", "lantern over the well"),
    ("482913 سلام ممنون", None),
    ("482913 please change it for me", None),
    ("482913 the code from your message", None),
    ("482913 lotfan komak konid", None),
]


@pytest.mark.parametrize(("text", "password"), PHRASES)
def test_it_takes_several_words_after_a_code_that_do_not_speak_of_it(text: str, password: str | None) -> None:
    assert offered(text, 6) == (password and CodeAndPassword("482913", password, is_phrase=True))
    assert parse(text).phrase_follows == (password is not None)


@pytest.mark.parametrize("language", sorted(languages()))
def test_no_text_of_ours_that_brings_a_code_is_a_password(language: str) -> None:
    brought = {name: text for name, text in languages()[language]["phrases"].items() if "{code}" in text}
    for name, text in brought.items():
        said = text.format_map(LONGEST | {"code": "482913"})
        assert offered(said, 6) is None, name
        assert offered(said[said.index("482913") :], 6) is None, name


@given(st.text(), st.integers(6, 10))
def test_it_takes_a_password_as_it_was_written(text: str, code_length: int) -> None:
    found = offered(text, code_length)
    assert found is None or (found.password in text and found.password == trimmed(found.password) != "")
    assert trimmed(text) in text
