"""What is derived from SECRET_KEYS and outlives a rotation; codes, passwords, calendars and telephone numbers."""

import hmac
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from argon2 import extract_parameters
from hypothesis import given
from hypothesis import strategies as st

from bot.build import Bot
from bot.credentials import one_time_codes, passwords
from bot.credentials.keyring import Keyring, Unreadable
from bot.credentials.passwords import ALPHABET, LENGTH, Hashed
from bot.platform.clock import jalali, next_rabi_al_awwal, shown, system_clock, today_in_tehran
from bot.platform.phone_numbers import PhoneNumbers
from bot.platform.random_source import SystemRandomSource
from bot.ports import Inbound
from dialogs.parsing.normalise import national_id
from dialogs.vocabulary import CodePurpose, Event
from store.codes import Code
from tests.cases import for_each
from tests.conftest import MakeBot
from tests.support.parts import KEYS, Carrier, LoadedRandomSource, settings
from tests.support.people import ZAHRA, settled

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
BEFORE = Keyring.of({"old": OLD})
BETWEEN = Keyring.of({"new": NEW, "old": OLD})
AFTER = Keyring.of({"new": NEW})
NEW_FIRST = "k2:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="


def tried(keyring: Keyring, code_id: str = "c1", account_id: int = 7, digits: str = "012345") -> Code:
    """A code as it is kept, made with the newest key."""
    purpose = CodePurpose.RECOVERY
    digest = one_time_codes.digest(keyring, keyring.newest, purpose, code_id, account_id, digits)
    assert digest is not None
    return Code(code_id, purpose, account_id, None, keyring.newest, digest, 4)


def is_right(keyring: Keyring, code: Code, digits: str) -> bool:
    return one_time_codes._is_right(keyring, code, digits)


# Rotation


def test_it_makes_what_is_new_with_the_newest_key() -> None:
    assert BETWEEN.newest == "new"
    assert tried(BETWEEN).digest == tried(AFTER).digest
    assert passwords.hashed(BETWEEN, "x").key_id == "new"
    assert AFTER.open(BETWEEN.seal("k7mw4qtz9hdx")) == "k7mw4qtz9hdx"


def test_it_still_checks_and_opens_what_an_older_key_made() -> None:
    assert is_right(BETWEEN, tried(BEFORE), "012345")
    assert not is_right(BETWEEN, tried(BEFORE), "012346")
    assert passwords.verify(BETWEEN, passwords.hashed(BEFORE, "k7mw4qtz9hdx"), "k7mw4qtz9hdx")
    assert BETWEEN.open(BEFORE.seal("012345")) == "012345"


def test_it_refuses_what_only_a_removed_key_could_check() -> None:
    assert not is_right(AFTER, tried(BEFORE), "012345")
    assert not passwords.verify(AFTER, passwords.hashed(BEFORE, "k7mw4qtz9hdx"), "k7mw4qtz9hdx")
    with pytest.raises(Unreadable):
        AFTER.open(BEFORE.seal("012345"))


def test_it_does_not_take_another_key_of_the_same_id() -> None:
    impostor = Keyring.of({"old": NEW})
    assert not is_right(impostor, tried(BEFORE), "012345")
    assert not passwords.verify(impostor, passwords.hashed(BEFORE, "x"), "x")


def ask_for_a_code(bot: Bot) -> None:
    assert settled(bot).hear(Inbound("simulated", "M1", ZAHRA["mobile"], f"رمز {ZAHRA['national_id']}")) is Event.ASKED


@pytest.mark.parametrize(
    ("keys", "event"), [(f"{NEW_FIRST},{KEYS}", Event.RIGHT_CODE), (NEW_FIRST, Event.CODE_UNDER_UNKNOWN_KEY)]
)
def test_a_code_outlives_a_rotation_but_not_its_key(
    make_bot: MakeBot, carrier: Carrier, keys: str, event: Event
) -> None:
    first = make_bot()
    ask_for_a_code(first)
    first.courier.deliver_due()
    (text,) = carrier.sent
    second = make_bot(SECRET_KEYS=keys)
    code = re.findall(r"[0-9]{6}", text.text)[0]
    assert second.hear(Inbound("simulated", "M2", ZAHRA["mobile"], code)) is event


def test_an_unsent_text_outlives_a_rotation(make_bot: MakeBot, carrier: Carrier) -> None:
    ask_for_a_code(make_bot())
    make_bot(SECRET_KEYS=f"{NEW_FIRST},{KEYS}").courier.deliver_due()
    assert "100001" in carrier.sent[0].text


def test_a_text_that_only_a_removed_key_could_open_is_given_up(make_bot: MakeBot, carrier: Carrier) -> None:
    ask_for_a_code(make_bot())
    second = make_bot(SECRET_KEYS=NEW_FIRST)
    assert second.courier.deliver_due() == 1
    assert second.courier.deliver_due() == 0
    assert carrier.sent == []


def test_it_derives_a_key_of_its_own_for_every_purpose() -> None:
    message = "c1:7:012345"
    under_the_key_itself = hmac.digest(OLD, message.encode(), "sha256")
    digests = {
        BEFORE.code_digest("old", message),
        bytes.fromhex(BEFORE.pepper("old", message) or ""),
        hmac.digest(BEFORE.webhook, message.encode(), "sha256"),
    }
    assert len(digests) == 3
    assert under_the_key_itself not in digests


def test_keys_show_nothing_of_themselves() -> None:
    told = repr(BETWEEN) + str(BETWEEN)
    assert told == repr(BETWEEN) * 2
    assert "new" in told
    assert not any(secret.hex() in told or repr(secret)[2:12] in told for secret in (OLD, NEW, BETWEEN.webhook))


# Codes


def test_a_codes_digest_is_bound_to_its_row_and_its_account() -> None:
    mine = tried(BEFORE)
    assert len({mine.digest, tried(BEFORE, code_id="c2").digest, tried(BEFORE, account_id=8).digest}) == 3
    moved_row = replace(mine, id="c2")
    moved_account = replace(mine, account_id=8)
    assert not is_right(BEFORE, moved_row, "012345")
    assert not is_right(BEFORE, moved_account, "012345")
    for purpose in (CodePurpose.STAFF_ORDER, CodePurpose.CONSOLE):
        assert not is_right(BEFORE, replace(mine, purpose=purpose), "012345")
        assert not is_right(BEFORE, replace(mine, purpose=purpose, account_id=None, staff_id=7), "012345")


@pytest.mark.parametrize("digits", ["", "12345", "0123456", "012345 ", "٠١٢٣٤٥", "012345\0"])
def test_a_code_is_right_digit_for_digit_or_not_at_all(digits: str) -> None:
    assert not is_right(BEFORE, tried(BEFORE), digits)


def test_a_digest_is_a_whole_sha_256_and_not_of_the_bare_digits() -> None:
    assert len(tried(BEFORE).digest) == 32
    assert tried(BEFORE).digest != BEFORE.code_digest("old", "012345")


@pytest.mark.parametrize("length", range(6, 11))
def test_it_draws_a_code_of_any_length_that_is_no_national_id(length: int) -> None:
    for _ in range(300):
        fresh = one_time_codes.draw(SystemRandomSource(), BEFORE, length)
        assert re.fullmatch(rf"[0-9]{{{length}}}", fresh.digits)
        assert national_id(fresh.digits) is None
        assert BEFORE.open(fresh.sealed) == fresh.digits


class SecondThrow(LoadedRandomSource):
    """A random source whose first digits are a national ID."""

    def __init__(self) -> None:
        super().__init__()
        self.throws = ["0012345679", "0012345678"]

    def digits(self, number: int) -> str:
        return self.throws.pop(0)


def test_it_throws_again_where_the_code_is_a_national_id() -> None:
    assert one_time_codes.draw(SecondThrow(), BEFORE, 10).digits == "0012345678"


def test_a_code_shows_nothing_of_itself() -> None:
    fresh = one_time_codes.draw(LoadedRandomSource(), BEFORE, 6)
    assert "100001" not in repr(fresh)
    assert repr(fresh.sealed)[2:-1] not in repr(fresh)


def test_the_dice_keep_leading_zeros_and_show_every_digit_everywhere() -> None:
    throws = [SystemRandomSource().digits(6) for _ in range(2000)]
    assert all(len(throw) == 6 for throw in throws)
    for place in range(6):
        assert {throw[place] for throw in throws} == set("0123456789")
    assert len({SystemRandomSource().token() for _ in range(200)}) == 200
    assert all(len(SystemRandomSource().token()) == 22 for _ in range(200))


# Passwords


def test_a_generated_password_can_be_typed_on_any_phone() -> None:
    assert LENGTH == 12
    assert set(ALPHABET) == set("abcdefghijklmnopqrstuvwxyz23456789") - set("ilo")
    for _ in range(200):
        word = SystemRandomSource().password(LENGTH, ALPHABET)
        assert re.fullmatch(r"[a-z2-9]{12}", word)
        assert not set(word) & set("ilo01")


def test_a_generated_password_uses_the_whole_alphabet() -> None:
    drawn = "".join(SystemRandomSource().password(LENGTH, ALPHABET) for _ in range(200))
    assert set(drawn) == set(ALPHABET)


def test_a_generated_password_is_sealed_for_its_text_and_hashed_for_the_store() -> None:
    made = passwords.generate(LoadedRandomSource(), BEFORE)
    word = BEFORE.open(made.sealed)
    assert passwords.verify(BEFORE, made.kept, passwords.as_generated(word) or "")
    assert word not in repr(made)
    assert word not in made.kept.hash


def test_a_hash_is_argon2id_and_as_strong_as_it_must_be() -> None:
    kept = passwords.hashed(BEFORE, "k7mw4qtz9hdx")
    parameters = extract_parameters(kept.hash)
    assert kept.hash.startswith("$argon2id$")
    assert parameters.memory_cost >= 19456
    assert parameters.time_cost >= 2
    assert parameters.parallelism >= 1
    assert parameters.salt_len >= 16


def test_the_same_password_has_another_hash_each_time() -> None:
    assert passwords.hashed(BEFORE, "x").hash != passwords.hashed(BEFORE, "x").hash


def test_a_password_is_checked_to_the_letter() -> None:
    kept = passwords.hashed(BEFORE, "k7mw4qtz9hdx")
    assert passwords.verify(BEFORE, kept, "k7mw4qtz9hdx")
    for wrong in ("k7mw4qtz9hdy", "K7MW4QTZ9HDX", "k7mw4qtz9hdx ", ""):
        assert not passwords.verify(BEFORE, kept, wrong)


@pytest.mark.parametrize("torn", ["", "x", "$argon2id$", "$argon2id$v=19$m=19456,t=2,p=1$AAAA$AAAA", "$2b$12$abc", "é"])
def test_a_hash_that_can_not_be_read_lets_nobody_in(torn: str) -> None:
    assert not passwords.verify(BEFORE, Hashed(torn, "old"), "x")


@given(st.text(max_size=80))
def test_any_text_can_be_peppered(password: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", BEFORE.pepper("old", password) or "")


def test_a_long_password_counts_to_its_end() -> None:
    long = "x" * 200
    assert BEFORE.pepper("old", long + "a") != BEFORE.pepper("old", long + "b")


# Calendars


@pytest.mark.parametrize(
    ("day", "written"),
    [
        (date(2026, 3, 21), "1405/01/01"),
        (date(2026, 3, 20), "1404/12/29"),
        (date(2025, 3, 20), "1403/12/30"),
        (date(2025, 3, 21), "1404/01/01"),
        (date(2026, 8, 14), "1405/05/23"),
        (date(1979, 2, 11), "1357/11/22"),
        (date(2000, 1, 1), "1378/10/11"),
    ],
)
def test_it_knows_irans_calendar(day: date, written: str) -> None:
    assert jalali(day) == written
    assert shown(day, "jalali") == written
    assert shown(day, "gregorian") == f"{day:%Y/%m/%d}"


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2026, 9, 1, 20, 29, 59, tzinfo=UTC), date(2026, 9, 1)),
        (datetime(2026, 9, 1, 20, 30, tzinfo=UTC), date(2026, 9, 2)),
        (datetime(2026, 1, 1, 20, 30, tzinfo=UTC), date(2026, 1, 2)),
        (datetime(2026, 9, 1, 0, 0, tzinfo=UTC), date(2026, 9, 1)),
        # Until 2022 Tehran had a summer time.
        (datetime(2021, 7, 1, 19, 30, tzinfo=UTC), date(2021, 7, 2)),
    ],
)
def test_the_day_ends_at_tehrans_midnight(moment: datetime, day: date) -> None:
    assert today_in_tehran(moment) == day


@pytest.mark.parametrize(
    ("day", "first"),
    [
        (date(2025, 1, 1), date(2025, 8, 24)),
        (date(2025, 8, 24), date(2025, 8, 24)),
        (date(2025, 8, 25), date(2026, 8, 14)),
        (date(2026, 8, 14), date(2026, 8, 14)),
        (date(2026, 9, 1), date(2027, 8, 3)),
    ],
)
def test_it_finds_the_next_rabi_al_awwal(day: date, first: date) -> None:
    assert next_rabi_al_awwal(day) == first


@given(st.dates(date(2024, 1, 1), date(2060, 1, 1)))
def test_it_always_finds_one_within_a_lunar_year(day: date) -> None:
    assert timedelta(0) <= next_rabi_al_awwal(day) - day <= timedelta(days=356)


def test_the_clock_is_aware_and_in_utc() -> None:
    assert system_clock().utcoffset() == timedelta(0)


# Telephone numbers


@pytest.mark.parametrize(
    "written",
    [
        "+989121234567",
        "09121234567",
        "9121234567",
        "00989121234567",
        " 09121234567 ",
        "0912 123 4567",
        "0912-123-4567",
        "+98 (912) 123-4567",
        "+98 912 123 45 67",
    ],
)
def test_a_mobile_is_read_however_it_is_written(written: str) -> None:
    assert PhoneNumbers("IR", ("IR",)).mobile(written) == "+989121234567"


@for_each(
    "written",
    [
        "",
        "   ",
        "Fakher",
        "IRANCELL",
        "0912CALLNOW",
        "09121234567ext5",
        "09121234567 ext. 5",
        "09121234567;ext=5",
        "09121234567x5",
        "tel:+989121234567",
        "9.12123E+09",
        "9.12123456E+09",
        "+966501234567",
        "+14155550100",
        "00966501234567",
        "02112345678",
        "+982112345678",
        "11",
        "12",
        "110",
        "1234",
        "20009",
        "100012345",
        "30001234567890",
        "0912123456",
        "091212345678",
        "+9891212345678",
        "++989121234567",
        "+98912123456a",
        "۰۹۱۲۱۲۳۴۵۶۷",  # folded by whoever reads them
        "09121234567\n09121234568",
        "+989121234567\0",
        "+98912١234567",
        "0" * 200,
        "9" * 5000,
    ],
)
def test_anything_else_is_no_mobile_to_text(written: str) -> None:
    assert PhoneNumbers("IR", ("IR",)).mobile(written) is None


def test_other_countries_are_texted_where_they_are_allowed() -> None:
    phone_numbers = PhoneNumbers("IR", ("IR", "SA"))
    assert phone_numbers.mobile("+966501234567") == "+966501234567"
    assert phone_numbers.mobile("+9647901234567") is None
    assert PhoneNumbers("SA", ("SA",)).mobile("0501234567") == "+966501234567"
    assert PhoneNumbers("SA", ("SA",)).mobile("09121234567") is None


@given(st.text(max_size=40))
def test_any_text_is_a_mobile_of_iran_or_none(written: str) -> None:
    found = PhoneNumbers("IR", ("IR",)).mobile(written)
    assert found is None or re.fullmatch(r"\+989[0-9]{9}", found)


def test_a_bot_never_talks_to_itself(make_bot: MakeBot) -> None:
    bot = make_bot(settings(TWILIO_SENDER="+989121234567"))
    assert settled(bot).hear(Inbound("simulated", "M1", "+989121234567", "راهنما")) is None


class StubbornDice(LoadedRandomSource):
    """A random source whose first password could be read as a code."""

    def __init__(self, *words: str) -> None:
        super().__init__()
        self.waiting = list(words)

    def password(self, length: int, alphabet: str) -> str:
        return self.waiting.pop(0)


def test_a_generated_password_holds_nothing_like_a_code() -> None:
    made = passwords.generate(StubbornDice("ab234567cdef", "a2b3c4d5e6f7"), BEFORE)
    assert BEFORE.open(made.sealed) == "a2b3-c4d5-e6f7"


@given(st.text("0123456789", min_size=7, max_size=7), st.sampled_from(["0", "+98", "0098"]))
def test_a_range_that_the_metadata_lacks_is_read_where_a_setting_names_it(rest: str, before: str) -> None:
    named = PhoneNumbers("IR", ("IR",), ("+98941", "+98995"))
    assert named.mobile(f"{before}941{rest}") == f"+98941{rest}"
    assert named.mobile(f"{before}941{rest}0") is None
    assert PhoneNumbers("IR", ("IR",)).mobile(f"{before}941{rest}") is None
