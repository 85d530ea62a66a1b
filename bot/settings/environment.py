"""The settings, read from the environment: for a trial, for one command, for the service. All faults at once."""

from collections.abc import Mapping
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from bot.profiles.named_file import UnreadableFile, read_file
from bot.profiles.profile import BadProfile
from bot.profiles.provider import PREFIX, Provider, read_provider
from bot.settings.fields import HALF_EVENTS, Settings, listed
from bot.settings.secret_keys import TRIAL_KEY, kept_keys, key_ids

TRIAL_DATABASE = Path("instance/ramz.db")
TRIAL_URL = f"sqlite:///{TRIAL_DATABASE}"
BEYOND_LOOPBACK = "HOST: the simulated carrier listens on this machine only, 127.0.0.1 or ::1"
NOT_ASCII = "a character that is not ASCII: a Persian digit, a mark that can't be seen, or an example's …"
# How alike two names are, of 1: OTHER_PHONE is OTHER_PHONES, HOSTNAME is not HOST.
LOOKS_LIKE = 0.85


class BadSettings(Exception):
    """The settings can't be used: one line a fault, each beginning with the setting's name."""

    def __init__(self, faults: list[str]) -> None:
        """Keep every fault."""
        super().__init__("\n".join(faults))
        self.faults = faults


def read(environment: Mapping[str, str], **defaults: str) -> Settings:
    """The settings, from X or the file that X_FILE names, else from `defaults`. BadSettings lists all faults."""
    faults: list[str] = []
    values = {name.lower(): value for name, value in defaults.items()}
    for name in Settings.model_fields:
        found = _value(name.upper(), environment, faults)
        if found:
            values[name] = found
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        faults += [_fault(detail, values) for detail in error.errors(include_input=False, include_url=False)]
        settings = None
    providers = _providers(str(values.get("gateways", "")), environment, faults)
    if faults or settings is None:
        raise BadSettings(faults)
    settings.providers.update(providers)
    return settings


def _providers(gateways: str, environment: Mapping[str, str], faults: list[str]) -> dict[str, Provider]:
    """What stands behind every `http-NAME`; what is wrong with profiles goes to the faults."""

    def setting(name: str) -> str:
        return _value(name, environment, faults)

    found = {}
    for name in sorted({name for name in listed(gateways) if name.startswith(PREFIX)}):
        try:
            found[name] = read_provider(name, setting)
        except BadProfile as bad:
            faults += [fault if fault.startswith("HTTP_") else f"{name}: {fault}" for fault in bad.faults]
    return found


def _value(name: str, environment: Mapping[str, str], faults: list[str]) -> str:
    path = environment.get(f"{name}_FILE", "")
    if not path or environment.get(name):
        return environment.get(name, "").strip()
    try:
        return read_file(Path(path)).strip()
    except UnreadableFile as unreadable:
        faults.append(f"{name}_FILE: {unreadable}")
        return ""


def _fault(detail: Any, values: Mapping[str, str]) -> str:
    message, name = detail["msg"].removeprefix("Value error, "), str(detail["loc"][0])
    if message == HALF_EVENTS:
        return HALF_EVENTS
    is_plain = values.get(name, "").isascii()
    if detail["type"] == "string_pattern_mismatch" and not is_plain:
        return f"{name.upper()}: has {NOT_ASCII}"
    return f"{name.upper()}: {message}" + ("" if is_plain else f" (it has {NOT_ASCII})")


def misspelt(environment: Mapping[str, str]) -> list[str]:
    """A line for each name that is no setting but looks like one, and so changes nothing: which it may be meant for."""
    known = {name.upper() for name in Settings.model_fields}
    found = {name: _nearest(name.removesuffix("_FILE"), known) for name in sorted(environment)}
    return [f"{name}: is no setting, and changes nothing; {near} is one" for name, near in found.items() if near]


def _nearest(name: str, known: set[str]) -> str | None:
    if name in known:
        return None
    longer = sorted(each for each in known if "_" in name and each.startswith(f"{name}_"))
    return next(iter(get_close_matches(name, sorted(known), 1, LOOKS_LIKE) or longer), None)


def read_for_trial(environment: Mapping[str, str]) -> Settings:
    """The settings of a trial on this machine: the simulated carrier, and keys of its own. BadSettings as ever."""
    keys = environment.get("SECRET_KEYS") or environment.get("SECRET_KEYS_FILE")
    kept = {} if keys else {"SECRET_KEYS": kept_keys()}
    port = environment.get("PORT", "")
    address = f"http://127.0.0.1:{port if port.isdecimal() else 8000}"
    found = read(environment, DATABASE_URL=TRIAL_URL, GATEWAYS="simulated", PUBLIC_URL=address, **kept)
    if not is_loopback(found.host):
        raise BadSettings([BEYOND_LOOPBACK])
    return found


def read_for_command(environment: Mapping[str, str]) -> Settings:
    """The settings of one command: the service's, or without DATABASE_URL the trial's database, where there is one.

    BadSettings where there is neither: a command must not work on a database that nobody named.
    """
    if environment.get("DATABASE_URL") or environment.get("DATABASE_URL_FILE"):
        found = read(environment)
        if not found.database_url:
            raise BadSettings(["DATABASE_URL: missing"])
        return found
    if not TRIAL_DATABASE.exists():
        raise BadSettings(["DATABASE_URL: missing, and there is no trial's database here"])
    return read(environment, DATABASE_URL=TRIAL_URL)


def is_loopback(host: str) -> bool:
    """Whether an address, or a name, is this machine's own and no other's."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


REQUIRED = ("database_url", "secret_keys", "gateways")
REQUIRED_BY: dict[str, tuple[str, ...]] = {
    "twilio": ("twilio_account_sid", "twilio_auth_token", "twilio_sender"),
    "kannel": ("kannel_send_url", "kannel_user", "kannel_password", "kannel_sender", "kannel_inbound_secret"),
    "simulated": (),
}


def read_for_service(environment: Mapping[str, str]) -> Settings:
    """The settings of a service for real people, whole and safe. BadSettings lists all faults."""
    faults: list[str] = []
    try:
        settings = read(environment)
    except BadSettings as bad:
        faults, settings = bad.faults, None
    given = settings or _as_far_as_given(environment, faults)
    faults += _missing(given)
    if faults or settings is None:
        raise BadSettings(sorted(set(faults)))
    return settings


def _as_far_as_given(environment: Mapping[str, str], faults: list[str]) -> Settings:
    given = Settings.model_construct(**_raw(environment, faults))
    given.providers.update(_providers(",".join(given.gateways), environment, []))
    return given


def _raw(environment: Mapping[str, str], faults: list[str]) -> dict[str, Any]:
    # Good enough to see what is missing beside what is bad.
    ignored: list[str] = []
    values: dict[str, Any] = {name: _value(name.upper(), environment, ignored) for name in Settings.model_fields}
    values["gateways"] = listed(values["gateways"])
    bad = {fault.partition(":")[0].removesuffix("_FILE").lower() for fault in faults}
    return values | {name: "bad" for name in bad & values.keys() if not values[name]}


def _missing(settings: Settings) -> list[str]:
    names = list(REQUIRED)
    for gateway in settings.gateways:
        names += REQUIRED_BY.get(gateway, ())
    missing = [f"{name.upper()}: missing" for name in names if not getattr(settings, name)]
    missing += [
        f"{name}: missing; the profile of {each.name} needs it"
        for each in settings.providers.values()
        for name in each.missing
    ]
    if settings.gateways and settings.providers.keys() == set(settings.gateways):
        heard = any(each.profile.is_heard for each in settings.providers.values())
        missing += ["GATEWAYS: no text could come in by any of them"] * (not heard)
    if TRIAL_KEY in key_ids(settings.secret_keys):
        missing.append("SECRET_KEYS: are the trial's, made by make run")
    if "simulated" in settings.gateways and settings.host and not is_loopback(settings.host):
        missing.append(BEYOND_LOOPBACK)
    if set(settings.gateways) - {"simulated"} and _is_open(settings.public_url):
        missing.append("PUBLIC_URL: must be https, for providers call it over the network")
    half = bool(settings.twilio_api_key_sid) != bool(settings.twilio_api_key_secret)
    half_events = bool(settings.fakher_events_url) != bool(settings.fakher_events_secret)
    return (
        missing
        + ["TWILIO_API_KEY_SID, TWILIO_API_KEY_SECRET: one without the other"] * half
        + [HALF_EVENTS] * half_events
    )


def _is_open(url: str) -> bool:
    found = urlsplit(url)
    return found.scheme == "http" and not is_loopback(found.hostname or "")
