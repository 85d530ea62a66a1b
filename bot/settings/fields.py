"""Every setting, its default, and what its value must be."""

import base64
import binascii
import re
from datetime import timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
    field_validator,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from bot.platform.phone_numbers import REGIONS, fault_of_prefix
from bot.profiles.provider import Provider
from bot.settings.secret_keys import read_keys
from dialogs.replies.phrases import LONGEST, languages, say
from dialogs.replies.segments import size
from store.retention import Retention


def listed(value: Any) -> Any:
    """The parts of a text between commas, as a tuple; anything else as it is."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _switch(value: Any) -> Any:
    words = {"on": True, "off": False}
    if isinstance(value, str) and value.lower() not in words:
        raise ValueError("must be on or off")
    return words[value.lower()] if isinstance(value, str) else value


Switch = Annotated[bool, BeforeValidator(_switch)]
GatewayName = Annotated[str, Field(pattern=r"^(twilio|kannel|simulated|http-[a-z0-9]{1,15})$")]
Gateways = Annotated[tuple[GatewayName, ...], BeforeValidator(listed)]
Region = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
Regions = Annotated[tuple[Region, ...], BeforeValidator(listed)]

Listed = Annotated[tuple[str, ...], BeforeValidator(listed)]

# What providers hand out. An example's "…" that was left standing is none of it.
PRINTABLE = r"^[!-~]*$"
# Of several between commas: ASCII that can be seen, and spaces.
PART = r"[ -+\--~]*[!-+\--~][ -+\--~]*"
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
    twilio_account_sid: str = Field(default="", pattern=PRINTABLE)
    twilio_auth_token: str = Field(default="", pattern=rf"^({PART}(,{PART})?)?$", repr=False)
    twilio_sender: str = Field(default="", pattern=PRINTABLE)
    twilio_api_key_sid: str = Field(default="", pattern=PRINTABLE)
    twilio_api_key_secret: str = Field(default="", pattern=r"^[ -~]*$", repr=False)
    twilio_api_url: str = Field(default="https://api.twilio.com", pattern=r"^https?://[^\s?#]+$")
    kannel_send_url: str = Field(default="", pattern=r"^(https?://[^\s?#]+)?$")
    kannel_user: str = Field(default="", pattern=PRINTABLE)
    kannel_password: str = Field(default="", pattern=PRINTABLE, repr=False)
    kannel_sender: str = Field(default="", pattern=r"^(\+?[0-9]{3,15})?$")
    kannel_inbound_secret: str = Field(default="", pattern=PRINTABLE, repr=False)
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
            return url  # some commands need none; the others name it as missing
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


def _excess(text: str) -> int:
    measured = size(text)
    return measured.units - measured.limit


def _unbased(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""
