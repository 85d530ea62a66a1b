"""The one reader of the environment. Every missing or bad setting is named at once."""

import base64
import binascii
import re
import secrets
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from bot.platform.phone_numbers import REGIONS, fault_of_prefix
from bot.profiles.profile import BadProfile
from bot.profiles.provider import PREFIX, Provider, read_provider
from dialogs.replies.phrases import LONGEST, languages, say
from dialogs.replies.segments import size
from store.retention import Retention


class BadSettings(Exception):
    """The settings can't be used: one line a fault, each beginning with the setting's name."""

    def __init__(self, faults: list[str]) -> None:
        """Keep every fault."""
        super().__init__("\n".join(faults))
        self.faults = faults


def _listed(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _switch(value: Any) -> Any:
    words = {"on": True, "off": False}
    if isinstance(value, str) and value.lower() not in words:
        raise ValueError("must be on or off")
    return words[value.lower()] if isinstance(value, str) else value


Switch = Annotated[bool, BeforeValidator(_switch)]
GatewayName = Annotated[str, Field(pattern=r"^(twilio|kannel|simulated|http-[a-z0-9]{1,15})$")]
Gateways = Annotated[tuple[GatewayName, ...], BeforeValidator(_listed)]
Region = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
Regions = Annotated[tuple[Region, ...], BeforeValidator(_listed)]

Listed = Annotated[tuple[str, ...], BeforeValidator(_listed)]

KEPT_KEYS = Path("instance/secret_keys")
TRIAL_DATABASE = Path("instance/ramz.db")
TRIAL_KEY = "trial"
TRIAL_URL = f"sqlite:///{TRIAL_DATABASE}"
BEYOND_LOOPBACK = "HOST: the simulated carrier listens on this machine only, 127.0.0.1 or ::1"
HALF_EVENTS = "FAKHER_EVENTS_URL, FAKHER_EVENTS_SECRET: one without the other"


class Settings(BaseModel):
    """Every setting, under the name that it has in the environment, in lower case."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, extra="ignore")

    database_url: str = Field(default="", repr=False)
    sqlite_synchronous: Literal["normal", "full"] = "normal"
    secret_keys: str = Field(default="", repr=False)
    gateways: Gateways = ()
    public_url: str = Field(default="http://127.0.0.1:8000", pattern=r"^https?://[^\s?#]+$")
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    workers: int = Field(default=2, ge=1, le=64)
    twilio_account_sid: str = ""
    twilio_auth_token: str = Field(default="", repr=False)
    twilio_sender: str = ""
    twilio_api_key_sid: str = ""
    twilio_api_key_secret: str = Field(default="", repr=False)
    twilio_api_url: str = Field(default="https://api.twilio.com", pattern=r"^https?://[^\s?#]+$")
    kannel_send_url: str = Field(default="", pattern=r"^(https?://[^\s?#]+)?$")
    kannel_user: str = Field(default="", pattern=r"^[!-~]*$")
    kannel_password: str = Field(default="", pattern=r"^[!-~]*$", repr=False)
    kannel_sender: str = Field(default="", pattern=r"^(\+?[0-9]{3,15})?$")
    kannel_inbound_secret: str = Field(default="", pattern=r"^[!-~]*$", repr=False)
    default_region: Region = "IR"
    default_language: str = "fa"
    allowed_countries: Regions = ("IR",)
    mobile_prefixes: Listed = ()
    messages_per_second: int = Field(default=100, ge=1, le=10_000)
    code_length: int = Field(default=6, ge=6, le=10)
    code_ttl_seconds: int = Field(default=600, ge=1, le=600)
    code_tries: int = Field(default=5, ge=1, le=9)
    resend_after_seconds: int = Field(default=60, ge=0, le=600)
    codes_per_hour: int = Field(default=5, ge=1, le=1000)
    codes_per_day: int = Field(default=10, ge=1, le=10000)
    other_phones: Switch = True
    fakher_domain: str = Field(default="", pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9-]+)+)?$")
    own_password_by_sms: Switch = False
    fakher_events_url: str = Field(default="", pattern=r"^(https?://[^\s#]+)?$")
    fakher_events_secret: str = Field(default="", repr=False, validate_default=True)
    support_phone: str = Field(default="", pattern=r"^(\+?[0-9]{3,12})?$")
    keep_recoveries_days: int = Field(default=400, ge=30, le=4000)
    keep_heard_days: int = Field(default=400, ge=400, le=4000)
    keep_figures_days: int = Field(default=2000, ge=400, le=20_000)
    _providers: dict[str, Provider] = PrivateAttr(default_factory=dict)

    @property
    def retention(self) -> Retention:
        """How long rows are kept."""
        days = (self.keep_recoveries_days, self.keep_heard_days, self.keep_figures_days)
        return Retention(*(timedelta(days=each) for each in days))

    @property
    def providers(self) -> dict[str, Provider]:
        """The providers of the gateways `http-NAME`, by those names; their settings are `HTTP_NAME_…`."""
        return self._providers

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: str) -> str:
        if not url:
            return url  # some commands need none; whoever does names it as missing
        if not url.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise ValueError("must begin with sqlite:/// or postgresql+psycopg://")
        try:
            found = make_url(url)
        except (ArgumentError, ValueError):
            hint = "; several hosts: postgresql+psycopg://user@/ramz?host=a:5432&host=b:5432" if "," in url else ""
            raise ValueError(f"is not a database's address{hint}") from None
        if found.database in {None, "", ":memory:"}:
            raise ValueError("names no file or database that processes can share")
        return url

    @field_validator("public_url")
    @classmethod
    def _callable_address(cls, url: str) -> str:
        try:
            found = urlsplit(url)
            _ = found.port  # an impossible one raises ValueError
        except ValueError:
            raise ValueError("has a host or a port that there can't be") from None
        if found.username is not None or not found.hostname:
            raise ValueError("must be a scheme, a host, and if need be a port and a path")
        return url

    @field_validator("default_region", "allowed_countries")
    @classmethod
    def _known_regions(cls, regions: str | tuple[str, ...]) -> str | tuple[str, ...]:
        unknown = {regions} if isinstance(regions, str) else set(regions)
        unknown -= REGIONS
        if unknown:
            raise ValueError(f"no country has the code {', '.join(sorted(unknown))}")
        return regions

    @field_validator("secret_keys")
    @classmethod
    def _keys_of_32_bytes(cls, keys: str) -> str:
        if keys:
            read_keys(keys)
        return keys

    @field_validator("fakher_events_secret")
    @classmethod
    def _standard_secret(cls, secret: str) -> str:
        if secret and not 24 <= len(_unbased(secret.removeprefix("whsec_"))) <= 64:
            raise ValueError("must be whsec_ and the base64 of 24 to 64 bytes")
        return secret

    @field_validator("default_language")
    @classmethod
    def _known_language(cls, language: str) -> str:
        if language not in languages():
            raise ValueError(f"must be one of {', '.join(languages())}")
        return language

    @field_validator("allowed_countries")
    @classmethod
    def _at_least_one(cls, countries: tuple[str, ...]) -> tuple[str, ...]:
        if not countries:
            raise ValueError("must name at least one country")
        return countries

    @field_validator("gateways")
    @classmethod
    def _simulated_alone(cls, gateways: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(gateways)) < len(gateways):
            raise ValueError("names a gateway twice")
        if "simulated" in gateways and len(gateways) > 1:
            raise ValueError("simulated can't stand beside a real gateway")
        return gateways

    # What is judged by another setting is judged beside it, so that all faults are named at once: where that one is
    # bad, by its own form alone.
    @field_validator("mobile_prefixes")
    @classmethod
    def _prefixes_of_allowed_countries(cls, prefixes: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for prefix in prefixes:
            fault = fault_of_prefix(prefix, info.data.get("allowed_countries"))
            if fault:
                raise ValueError(f"{prefix[:12]} {fault}")
        return prefixes

    @field_validator("fakher_events_secret")
    @classmethod
    def _events_are_signed(cls, secret: str, info: ValidationInfo) -> str:
        if bool(info.data.get("fakher_events_url", secret)) != bool(secret):
            raise ValueError(HALF_EVENTS)
        return secret

    @field_validator("fakher_domain")
    @classmethod
    def _code_fits_one_text(cls, domain: str, info: ValidationInfo) -> str:
        length = info.data.get("code_length")
        if not domain or length is None:
            return domain
        if re.search(rf"(?<![0-9])[0-9]{{{length}}}(?![0-9])", domain):
            raise ValueError("has digits that could be taken for a code")
        longest = LONGEST | {"code": "9" * length, "domain": domain}
        phrases = [f"{name}_with_domain" for name in ("code", "code_for_fakher", "code_with_password")]
        over = max(_excess(say(phrase, language, longest)) for language in languages() for phrase in phrases)
        if over > 0:
            raise ValueError(f"{over} characters too long for a code to fit one text")
        return domain


def _unbased(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _excess(text: str) -> int:
    measured = size(text)
    return measured.units - measured.limit


def read_keys(keys: str) -> dict[str, bytes]:
    """SECRET_KEYS as key id to key, newest first. ValueError says what is wrong, never a key."""
    found = dict(_key(part.strip()) for part in keys.split(","))
    if len(found) < len(keys.split(",")):
        raise ValueError("two keys have one id")
    return found


def key_ids(keys: str) -> list[str]:
    """The ids of SECRET_KEYS, the newest first."""
    return [part.partition(":")[0].strip() for part in keys.split(",")]


def _key(part: str) -> tuple[str, bytes]:
    name, colon, value = part.partition(":")
    if not (colon and name.isascii() and name.replace("-", "").replace("_", "").isalnum() and len(name) <= 32):
        raise ValueError("must be id:base64[,id:base64…], an id being 1 to 32 letters, digits, - or _")
    try:
        key = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"key {name} is not base64") from None
    if len(key) != 32:
        raise ValueError(f"key {name} has {len(key)} bytes in place of 32")
    if len(set(key)) == 1:
        raise ValueError(f"key {name} is one byte 32 times: draw it by openssl rand -base64 32")
    return name, key


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
        faults += [_fault(detail) for detail in error.errors(include_input=False, include_url=False)]
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
    for name in sorted({name for name in _listed(gateways) if name.startswith(PREFIX)}):
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
        return Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        faults.append(f"{name}_FILE: cannot be read ({type(error).__name__})")
        return ""


def _fault(detail: Any) -> str:
    message = detail["msg"].removeprefix("Value error, ")
    return message if message == HALF_EVENTS else f"{str(detail['loc'][0]).upper()}: {message}"


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
        return read(environment)
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
    values["gateways"] = _listed(values["gateways"])
    bad = {fault.partition(":")[0].removesuffix("_FILE").lower() for fault in faults}
    return values | {name: "bad" for name in bad & values.keys() if not values[name]}


def _missing(settings: Settings) -> list[str]:
    names = list(REQUIRED)
    for gateway in settings.gateways:
        names += REQUIRED_BY.get(gateway, ())
    missing = [f"{name.upper()}: missing" for name in names if not getattr(settings, name)]
    missing += [f"{name}: missing" for each in settings.providers.values() for name in each.missing]
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


def kept_keys(path: Path = KEPT_KEYS) -> str:
    """The keys of a trial, made and kept the first time; readable by their owner alone. `make serve` refuses them."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = base64.b64encode(secrets.token_bytes(32)).decode()
        path.touch(mode=0o600)
        path.write_text(f"{TRIAL_KEY}:{fresh}\n", "utf-8")
    return path.read_text("utf-8").strip()
