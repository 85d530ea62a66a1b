"""Settings: what they default to, where they come from, and what is said of bad ones, which is never a secret."""

import base64
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.settings import BadSettings, Settings, kept_keys, misspelt, read, read_for_command, read_for_service, read_keys
from dialogs.replies.phrases import languages, say
from dialogs.replies.segments import size
from tests.cases import for_each
from tests.support.parts import KEYS

OTHER = base64.b64encode(bytes(range(32, 64))).decode()
TRIAL = "trial:" + base64.b64encode(bytes(range(64, 96))).decode()
SECRETS = ("SECRET_KEYS", "TWILIO_AUTH_TOKEN", "TWILIO_API_KEY_SECRET", "KANNEL_PASSWORD", "KANNEL_INBOUND_SECRET")
WHOLE = {
    "DATABASE_URL": "sqlite:////var/lib/ramz/ramz.db",
    "SECRET_KEYS": KEYS,
    "GATEWAYS": "twilio",
    "TWILIO_ACCOUNT_SID": "AC00000000000000000000000000000000",
    "TWILIO_AUTH_TOKEN": "an-auth-token",
    "TWILIO_SENDER": "+15005550006",
}
KANNEL = {
    "DATABASE_URL": "sqlite:////var/lib/ramz/ramz.db",
    "SECRET_KEYS": KEYS,
    "GATEWAYS": "kannel",
    "KANNEL_SEND_URL": "http://127.0.0.1:13013/cgi-bin/sendsms",
    "KANNEL_USER": "ramz",
    "KANNEL_PASSWORD": "a-sending-password",
    "KANNEL_SENDER": "3000555",
    "KANNEL_INBOUND_SECRET": "an-inbound-secret",
}

SIMULATED = {"DATABASE_URL": "sqlite:////var/lib/ramz/ramz.db", "SECRET_KEYS": KEYS, "GATEWAYS": "simulated"}

# The contract's, word for word. What stands there with a dash or as unset is empty here.
DEFAULTS = {
    "SQLITE_SYNCHRONOUS": "normal",
    "MESSAGES_PER_SECOND": 100,
    "DATABASE_URL": "",
    "SECRET_KEYS": "",
    "GATEWAYS": (),
    "PUBLIC_URL": "http://127.0.0.1:8000",
    "HOST": "127.0.0.1",
    "PORT": 8000,
    "WORKERS": 2,
    "TWILIO_ACCOUNT_SID": "",
    "TWILIO_AUTH_TOKEN": "",
    "TWILIO_SENDER": "",
    "TWILIO_API_KEY_SID": "",
    "TWILIO_API_KEY_SECRET": "",
    "TWILIO_API_URL": "https://api.twilio.com",
    "DEFAULT_REGION": "IR",
    "DEFAULT_LANGUAGE": "fa",
    "ALLOWED_COUNTRIES": ("IR",),
    "MOBILE_PREFIXES": (),
    "KEEP_RECOVERIES_DAYS": 400,
    "KEEP_HEARD_DAYS": 400,
    "KEEP_FIGURES_DAYS": 2000,
    "CODE_LENGTH": 6,
    "CODE_TTL_SECONDS": 600,
    "CODE_TRIES": 5,
    "RESEND_AFTER_SECONDS": 60,
    "CODES_PER_HOUR": 5,
    "CODES_PER_DAY": 10,
    "OTHER_PHONES": True,
    "FAKHER_DOMAIN": "",
    "SUPPORT_PHONE": "",
    "KANNEL_SEND_URL": "",
    "KANNEL_USER": "",
    "KANNEL_PASSWORD": "",
    "KANNEL_SENDER": "",
    "KANNEL_INBOUND_SECRET": "",
    "OWN_PASSWORD_BY_SMS": False,
    "FAKHER_EVENTS_URL": "",
    "FAKHER_EVENTS_SECRET": "",
}
NAMES = [name.upper() for name in Settings.model_fields]

# A bad value of every kind, and one that is just good.
BAD = [
    ("DATABASE_URL", "mysql://host/ramz"),
    ("DATABASE_URL", "sqlite://"),
    ("DATABASE_URL", "postgresql://host/ramz"),
    ("DATABASE_URL", "postgresql+psycopg://host:port/ramz"),
    ("DATABASE_URL", "sqlite:///"),  # would be a database in memory, another one for every connection
    ("DATABASE_URL", "sqlite:///:memory:"),
    ("PUBLIC_URL", "ramz.example.ir"),
    ("PUBLIC_URL", "https://ramz.example.ir/?a=b"),
    ("PUBLIC_URL", "https://ramz example"),
    ("PUBLIC_URL", "https://ramz.example.ir:99999999"),
    ("PUBLIC_URL", "https://user:word@ramz.example.ir"),
    ("DEFAULT_REGION", "ZZ"),
    ("ALLOWED_COUNTRIES", "IR,UK"),
    ("PORT", "0"),
    ("PORT", "65536"),
    ("PORT", "eighty"),
    ("WORKERS", "0"),
    ("WORKERS", "-1"),
    ("GATEWAYS", "carrier-pigeon"),
    ("GATEWAYS", "twilio,twilio"),
    ("GATEWAYS", "twilio,simulated"),
    ("GATEWAYS", "simulated,twilio"),
    ("TWILIO_ACCOUNT_SID", "AC…"),  # an example's, left standing
    ("TWILIO_SENDER", "+98…"),
    ("TWILIO_API_KEY_SID", "SK 1"),
    ("TWILIO_API_KEY_SECRET", "…"),
    ("TWILIO_API_URL", "ftp://api"),
    ("KANNEL_SEND_URL", "127.0.0.1:13013/cgi-bin/sendsms"),
    ("KANNEL_SEND_URL", "http://127.0.0.1:13013/cgi-bin/sendsms?user=x"),
    ("KANNEL_USER", "two words"),
    ("KANNEL_PASSWORD", "line\nfeed"),
    ("KANNEL_SENDER", "Ramz"),
    ("KANNEL_SENDER", "30"),
    ("KANNEL_INBOUND_SECRET", "رمز"),
    ("DEFAULT_REGION", "Iran"),
    ("DEFAULT_REGION", "ir"),
    ("DEFAULT_LANGUAGE", "de"),
    ("DEFAULT_LANGUAGE", "../fa"),
    ("ALLOWED_COUNTRIES", ","),
    ("ALLOWED_COUNTRIES", "IR,98"),
    ("MOBILE_PREFIXES", "98941"),
    ("MOBILE_PREFIXES", "+98941,+1415"),
    ("MOBILE_PREFIXES", "+98"),
    ("MOBILE_PREFIXES", "0941"),
    ("MESSAGES_PER_SECOND", "0"),
    ("MESSAGES_PER_SECOND", "10001"),
    ("CODE_LENGTH", "5"),
    ("CODE_LENGTH", "11"),
    ("CODE_LENGTH", "6.5"),
    ("CODE_TTL_SECONDS", "0"),
    ("CODE_TTL_SECONDS", "601"),
    ("CODE_TRIES", "0"),
    ("CODE_TRIES", "-5"),
    ("RESEND_AFTER_SECONDS", "-1"),
    ("CODES_PER_HOUR", "0"),
    ("CODES_PER_DAY", "many"),
    ("OTHER_PHONES", "yes"),
    ("OTHER_PHONES", "1"),
    ("FAKHER_DOMAIN", "https://fakher.haj.ir"),
    ("FAKHER_DOMAIN", "fakher"),
    ("FAKHER_DOMAIN", "fakher.haj.ir."),
    ("FAKHER_DOMAIN", "fakher..ir"),
    ("FAKHER_DOMAIN", "Fakher.ir"),
    ("FAKHER_DOMAIN", "fakher.ir #1"),
    ("SUPPORT_PHONE", "021-12345"),
    ("SUPPORT_PHONE", "+9821123456789"),
    ("SUPPORT_PHONE", "۰۲۱۱۲۳۴۵"),
    ("SECRET_KEYS", "k1"),
    ("SECRET_KEYS", "k1:" + "A" * 43 + "="),
    ("SECRET_KEYS", "k1:"),
    ("SECRET_KEYS", ":" + OTHER),
    ("SECRET_KEYS", "k1:dG9vIHNob3J0"),
    ("SECRET_KEYS", "k1:***"),
    ("SECRET_KEYS", f"k1:{OTHER},"),
    ("SECRET_KEYS", f"k1:{OTHER},k1:{OTHER}"),
    ("SECRET_KEYS", f"k2:{OTHER},k1:{OTHER}"),
    ("SECRET_KEYS", f"a key:{OTHER}"),
    ("SECRET_KEYS", f"{'k' * 33}:{OTHER}"),
    ("SECRET_KEYS", OTHER),
]
GOOD = [
    ("DATABASE_URL", "postgresql+psycopg://ramz:p@db:5432/ramz", "postgresql+psycopg://ramz:p@db:5432/ramz"),
    ("DATABASE_URL", "sqlite:////var/lib/ramz.db", "sqlite:////var/lib/ramz.db"),
    ("PUBLIC_URL", "https://ramz.example.ir:8443/sms", "https://ramz.example.ir:8443/sms"),
    ("CODE_LENGTH", "10", 10),
    ("CODE_TTL_SECONDS", "600", 600),
    ("CODE_TTL_SECONDS", "30", 30),
    ("RESEND_AFTER_SECONDS", "0", 0),
    ("OTHER_PHONES", "off", False),
    ("OTHER_PHONES", "ON", True),
    ("ALLOWED_COUNTRIES", "IR, IQ ,SA", ("IR", "IQ", "SA")),
    ("MOBILE_PREFIXES", "+98941, +98995", ("+98941", "+98995")),
    ("DEFAULT_LANGUAGE", "ar", "ar"),
    ("FAKHER_DOMAIN", "fakher.haj.ir", "fakher.haj.ir"),
    ("SUPPORT_PHONE", "+982112345678", "+982112345678"),
    ("SUPPORT_PHONE", "1234", "1234"),
    ("GATEWAYS", " twilio ", ("twilio",)),
    ("GATEWAYS", "kannel, twilio", ("kannel", "twilio")),
    ("KANNEL_SENDER", "3000555", "3000555"),
    ("KANNEL_INBOUND_SECRET", "a&b%c+d", "a&b%c+d"),
    ("PORT", " 9000 ", 9000),
]


def faults_of(environment: dict[str, str]) -> list[str]:
    with pytest.raises(BadSettings) as caught:
        read(environment)
    return caught.value.faults


def attempt(environment: dict[str, str]) -> tuple[Settings | None, list[str]]:
    try:
        return read(environment), []
    except BadSettings as bad:
        return None, bad.faults


def names(faults: list[str]) -> list[str]:
    return [fault.partition(":")[0] for fault in faults]


# Defaults


@for_each("name", NAMES)
def test_it_defaults_as_the_contract_says(name: str) -> None:
    assert getattr(read({}), name.lower()) == DEFAULTS[name]


@for_each("name", NAMES)
def test_it_takes_an_empty_variable_for_an_unset_one(name: str) -> None:
    assert read({name: "", f"{name}_FILE": ""}) == read({})
    assert read({name: "  "}) == read({})


def test_it_looks_at_nothing_but_its_own_names() -> None:
    assert read({"PATH": "/bin", "port": "1", "RAMZ_PORT": "2"}) == read({})


def test_it_can_not_be_changed_once_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        read({}).port = 1


# Values


@for_each(("name", "written", "value"), GOOD)
def test_it_takes_a_good_value(name: str, written: str, value: Any) -> None:
    assert getattr(read({name: written}), name.lower()) == value


@for_each(("name", "written"), BAD)
def test_it_refuses_a_bad_value_by_its_name(name: str, written: str) -> None:
    assert names(faults_of({name: written})) == [name]


def test_it_names_all_faults_at_once() -> None:
    every = dict(BAD)
    assert sorted(names(faults_of(every))) == sorted(every)


def test_it_judges_by_its_own_form_what_another_bad_setting_would_judge() -> None:
    assert names(faults_of({"ALLOWED_COUNTRIES": "IR,98", "MOBILE_PREFIXES": "0941"})) == [
        "ALLOWED_COUNTRIES",
        "MOBILE_PREFIXES",
    ]
    assert names(faults_of({"ALLOWED_COUNTRIES": "IR,98", "MOBILE_PREFIXES": "+964750"})) == ["ALLOWED_COUNTRIES"]


def test_it_names_the_half_of_a_pair_that_is_lacking_beside_other_faults() -> None:
    faults = faults_of({"PORT": "0", "FAKHER_EVENTS_URL": "http://127.0.0.1/x"})
    assert [fault.split(":")[0] for fault in faults] == ["PORT", "FAKHER_EVENTS_URL, FAKHER_EVENTS_SECRET"]


@given(st.sampled_from(["CODE_LENGTH", "CODE_TTL_SECONDS", "CODE_TRIES", "PORT", "WORKERS"]), st.text(max_size=12))
def test_it_takes_a_number_in_its_range_or_says_which_setting_is_bad(name: str, written: str) -> None:
    found, faults = attempt({name: written})
    assert names(faults) == ([] if found else [name])
    assert found is None or 1 <= getattr(found, name.lower()) <= 65535


@given(st.text(max_size=40))
def test_it_never_fails_otherwise_whatever_the_keys_are(written: str) -> None:
    found, faults = attempt({"SECRET_KEYS": written})
    assert names(faults) == ([] if found else ["SECRET_KEYS"])


# Files


def test_it_reads_a_value_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"{KEYS}\n", "utf-8")
    assert read({"SECRET_KEYS_FILE": str(tmp_path / "keys")}).secret_keys == KEYS


@pytest.mark.parametrize("name", NAMES)
def test_it_reads_any_setting_from_a_file(name: str, tmp_path: Path) -> None:
    missing = str(tmp_path / "none")
    assert names(faults_of({f"{name}_FILE": missing})) == [f"{name}_FILE"]


def test_it_prefers_the_variable_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "port").write_text("9001", "utf-8")
    assert read({"PORT": "9000", "PORT_FILE": str(tmp_path / "port")}).port == 9000


def test_it_says_no_more_of_an_unreadable_file_than_its_setting(tmp_path: Path) -> None:
    (tmp_path / "torn").write_bytes(b"k1:\xff\xfe")
    fault = faults_of({"SECRET_KEYS_FILE": str(tmp_path / "torn")})
    assert names(fault) == ["SECRET_KEYS_FILE"]
    assert str(tmp_path) not in fault[0]


@pytest.mark.parametrize("name", ["SECRET_KEYS_FILE", "HTTP_PIGEON_PROFILE"])
def test_it_waits_for_no_pipe_that_stands_in_a_files_place(name: str, tmp_path: Path) -> None:
    """Nobody writes into it: the start would wait for ever, and say nothing."""
    os.mkfifo(pipe := tmp_path / "pipe")
    (fault, *_) = faults_of({"GATEWAYS": "http-pigeon,twilio", "HTTP_PIGEON_PROFILE": "/none", name: str(pipe)})
    assert fault.startswith(f"{name}: ") and fault.endswith("is no file")


@pytest.mark.parametrize("name", ["/dev/zero", "/", "/dev/null"])
def test_nor_does_it_read_what_else_is_no_file(name: str) -> None:
    assert faults_of({"SECRET_KEYS_FILE": name}) == ["SECRET_KEYS_FILE: is no file"]


def test_a_command_is_told_that_the_database_it_was_to_be_given_is_missing(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n", "utf-8")
    for environment in ({"DATABASE_URL": " "}, {"DATABASE_URL_FILE": str(tmp_path / "empty")}):
        with pytest.raises(BadSettings) as bad:
            read_for_command(environment)
        assert bad.value.faults == ["DATABASE_URL: missing"]


@pytest.mark.parametrize("tokens", [",", "a,", ",a", "a, ", "a,b,c", "…"])
def test_it_takes_one_token_of_twilios_or_two(tokens: str) -> None:
    assert names(faults_of({"TWILIO_AUTH_TOKEN": tokens})) == ["TWILIO_AUTH_TOKEN"]
    assert read({"TWILIO_AUTH_TOKEN": "one"}).twilio_auth_token == "one"
    assert read({"TWILIO_AUTH_TOKEN": "new, old"}).twilio_auth_token == "new, old"


# What a tired hand writes


@pytest.mark.parametrize("name", ["PORT", "SUPPORT_PHONE", "MESSAGES_PER_SECOND", "TWILIO_SENDER"])
def test_a_persian_digit_is_said_to_be_none_that_is_read(name: str) -> None:
    (fault,) = faults_of({name: "۸۰۰"})
    assert fault.startswith(f"{name}: ") and "Persian digit" in fault and "۸" not in fault
    (fault,) = faults_of({name: "\ufeff800"})
    assert "a mark that can't be seen" in fault
    (fault,) = faults_of({"PORT": "80 80"})
    assert "ASCII" not in fault


@for_each("name", NAMES)
def test_a_name_that_is_nearly_a_settings_is_said_with_that_one(name: str) -> None:
    assert misspelt({name: "", f"{name}_FILE": ""}) == []
    for slip in (f"{name}X", f"{name}X_FILE") if len(name) > len("PORT") else ():
        (said,) = misspelt({slip: "1"})
        assert said.startswith(f"{slip}: is no setting") and said.endswith("is one")


def test_half_a_name_is_said_too_and_what_a_system_has_is_not() -> None:
    assert misspelt({"CODE_TTL": "1"}) == ["CODE_TTL: is no setting, and changes nothing; CODE_TTL_SECONDS is one"]
    of_systems = ("HOSTNAME", "HOME", "PATH", "USER", "LOGNAME", "INVOCATION_ID", "JOURNAL_STREAM", "NOTIFY_SOCKET")
    others = ("FLASK_APP", "HTTP_PROXY", "HTTP_KAVENEGAR_KEY", "STATE_DIRECTORY", "PGHOST", "KANNEL", "SHELL", "SHLVL")
    assert misspelt(dict.fromkeys([*of_systems, *others], "x")) == []


# Secrets


@pytest.mark.parametrize("name", SECRETS)
def test_it_shows_no_secret(name: str) -> None:
    environment = WHOLE | KANNEL | {"TWILIO_API_KEY_SID": "SK1", "TWILIO_API_KEY_SECRET": "an-api-secret"}
    found = read(environment)
    for shown in (repr(found), str(found), f"{found}", repr([found])):
        assert environment[name].removeprefix("k1:") not in shown


@pytest.mark.parametrize(
    "written",
    [
        f"k1:{OTHER}x",
        f"k1:{OTHER[:-4]}",
        f"k1:{OTHER},k1:{OTHER}",
        f"{OTHER}:{OTHER}",
        OTHER,
        f"k1={OTHER}",
        f"k1 {OTHER}:",
    ],
)
def test_it_says_what_is_wrong_with_keys_but_never_a_key(written: str) -> None:
    with pytest.raises(BadSettings) as caught:
        read({"SECRET_KEYS": written})
    told = str(caught.value) + repr(caught.value) + repr(caught.value.__cause__) + repr(caught.value.__context__)
    assert OTHER[:12] not in told


@given(st.sampled_from(SECRETS), st.text(st.characters(categories=("L", "N")), min_size=8, max_size=40))
def test_it_quotes_no_secret_in_a_fault(name: str, written: str) -> None:
    for environment in ({name: written, "PORT": "x"}, {name: f"k1:{written}", "PORT": "x"}):
        with pytest.raises(BadSettings) as caught:
            read(environment)
        assert written not in str(caught.value)


def test_it_hides_the_password_of_the_database() -> None:
    found = read({"DATABASE_URL": "postgresql+psycopg://ramz:hunter2hunter2@db/ramz"})
    assert "hunter2hunter2" not in repr(found)


# Keys


def test_it_reads_keys_newest_first() -> None:
    found = read_keys(f"k2:{OTHER}, {KEYS}")
    assert list(found) == ["k2", "k1"]
    assert found["k1"] == bytes(range(32))


@pytest.mark.parametrize("name", ["k", "2026-09", "a_b-C", "k" * 32])
def test_it_takes_any_plain_id(name: str) -> None:
    assert list(read_keys(f"{name}:{OTHER}")) == [name]


# The domain of a code's text


def test_it_takes_every_domain_that_leaves_a_code_one_text_and_no_other() -> None:
    for length in range(5, 40):
        domain = "d" * (length - 3) + ".ir"
        for digits in (6, 10):
            parameters = {"minutes": "10", "domain": domain, "code": "9" * digits}
            fits = all(size(say("code_with_domain", language, parameters)).segments == 1 for language in languages())
            environment = {"FAKHER_DOMAIN": domain, "CODE_LENGTH": str(digits)}
            if fits:
                assert read(environment).fakher_domain == domain
            else:
                assert names(faults_of(environment)) == ["FAKHER_DOMAIN"]


def test_it_refuses_a_domain_whose_digits_could_pass_for_a_code() -> None:
    assert read({"FAKHER_DOMAIN": "a12345.ir"}).fakher_domain == "a12345.ir"
    assert names(faults_of({"FAKHER_DOMAIN": "a123456.ir"})) == ["FAKHER_DOMAIN"]


# For real people


def service_faults(environment: dict[str, str]) -> list[str]:
    with pytest.raises(BadSettings) as caught:
        read_for_service(environment)
    return caught.value.faults


def test_it_serves_with_all_that_is_needed() -> None:
    assert read_for_service(WHOLE).gateways == ("twilio",)
    assert read_for_service(KANNEL).gateways == ("kannel",)
    assert read_for_service(SIMULATED).gateways == ("simulated",)


def test_it_needs_a_database_keys_and_gateways() -> None:
    assert names(service_faults({})) == ["DATABASE_URL", "GATEWAYS", "SECRET_KEYS"]


@pytest.mark.parametrize("name", WHOLE)
def test_it_names_each_missing_setting(name: str) -> None:
    assert names(service_faults({key: value for key, value in WHOLE.items() if key != name})) == [name]


@pytest.mark.parametrize("name", KANNEL)
def test_it_names_each_missing_setting_of_kannels(name: str) -> None:
    assert names(service_faults({key: value for key, value in KANNEL.items() if key != name})) == [name]


def test_it_names_what_either_gateway_lacks() -> None:
    found = names(service_faults(SIMULATED | {"GATEWAYS": "kannel,twilio", "KANNEL_SENDER": "x"}))
    assert found == sorted((WHOLE | KANNEL).keys() - SIMULATED.keys())


def test_it_names_what_is_missing_beside_what_is_bad() -> None:
    found = names(service_faults({"GATEWAYS": "twilio", "PORT": "x", "CODE_LENGTH": "3"}))
    assert found == sorted(
        ["CODE_LENGTH", "DATABASE_URL", "PORT", "SECRET_KEYS", *(name for name in WHOLE if name.startswith("TWILIO"))]
    )


def test_it_names_a_bad_setting_once() -> None:
    assert names(service_faults(WHOLE | {"SECRET_KEYS": "k1:short"})) == ["SECRET_KEYS"]
    assert names(service_faults(WHOLE | {"GATEWAYS": "pigeon"})) == ["GATEWAYS"]


def test_it_names_a_file_that_cannot_be_read_and_not_its_setting_as_well(tmp_path: Path) -> None:
    rest = {key: value for key, value in WHOLE.items() if key != "SECRET_KEYS"}
    assert names(service_faults(rest | {"SECRET_KEYS_FILE": str(tmp_path / "none")})) == ["SECRET_KEYS_FILE"]


@pytest.mark.parametrize("keys", [TRIAL, f"{TRIAL},{KEYS}", f"{KEYS},{TRIAL}", f"{KEYS}, {TRIAL}"])
def test_it_refuses_the_keys_of_a_trial(keys: str) -> None:
    assert names(service_faults(WHOLE | {"SECRET_KEYS": keys})) == ["SECRET_KEYS"]


@pytest.mark.parametrize("gateways", ["simulated,twilio", "twilio,simulated"])
def test_it_refuses_the_simulated_carrier_beside_a_real_one(gateways: str) -> None:
    assert names(service_faults(WHOLE | {"GATEWAYS": gateways})) == ["GATEWAYS"]


@pytest.mark.parametrize("half", ["TWILIO_API_KEY_SID", "TWILIO_API_KEY_SECRET"])
def test_it_refuses_half_of_an_api_key(half: str) -> None:
    assert names(service_faults(WHOLE | {half: "x"})) == ["TWILIO_API_KEY_SID, TWILIO_API_KEY_SECRET"]


# The keys of a trial


def test_it_makes_a_trials_keys_once_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "instance" / "secret_keys"
    first = kept_keys(path)
    assert kept_keys(path) == first
    assert path.stat().st_mode & 0o077 == 0
    assert list(read_keys(first)) == ["trial"]
    assert kept_keys(tmp_path / "other") != first


def test_several_hosts_of_one_database_are_named_one_by_one() -> None:
    url = "postgresql+psycopg://ramz@/ramz?host=db1:5432&host=db2:5432"
    assert read({"DATABASE_URL": url}).database_url == url
    with pytest.raises(BadSettings) as bad:
        read({"DATABASE_URL": "postgresql+psycopg://ramz:hunter2@db1:5432,db2:5432/ramz"})
    (fault,) = bad.value.faults
    assert "host=a:5432&host=b:5432" in fault and "hunter2" not in fault
