"""A provider's side of its gateway, for the contract that every gateway keeps. Every profile there is is taken in."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import pytest
from werkzeug.datastructures import Headers, MultiDict

from bot.credentials.keyring import Keyring
from bot.gateways.http.gateway import HttpGateway
from bot.platform.http_client import HttpClient
from bot.platform.random_source import SystemRandomSource
from bot.ports import Call, Outbound, SendFailed
from bot.profiles.profile import Profile, read
from bot.profiles.provider import SHIPPED, shipped
from bot.settings import Settings, read_keys
from store.tables import MessageKind
from tests.providers.described import DescribedStandIn, nested
from tests.providers.ippanel import IPPanelStandIn
from tests.providers.jasmin import JasminStandIn
from tests.providers.kavenegar import KavenegarStandIn
from tests.providers.magfa import MagfaStandIn
from tests.providers.melipayamak import MeliPayamakStandIn
from tests.providers.smsir import SmsIrStandIn
from tests.providers.standin import ProviderStandIn, Trouble
from tests.support.parts import KEYS, settings
from tests.support.people import ZAHRA

PUBLIC_URL = "https://ramz.example.ir"
HERE = Path(__file__).parent
# A profile without a line here is run against a stand-in made of itself.
STANDINS = {
    "kavenegar": KavenegarStandIn,
    "magfa": MagfaStandIn,
    "melipayamak": MeliPayamakStandIn,
    "smsir": SmsIrStandIn,
    "ippanel": IPPanelStandIn,
    "jasmin": JasminStandIn,
}
FILES = {name: SHIPPED / f"{name}.toml" for name in shipped()} | {file.stem: file for file in HERE.glob("*.toml")}
PROFILES = {name: read(file.read_text("utf-8")) for name, file in FILES.items()}
STAGES = {"sent": {"sent"}, "delivered": {"delivered"}, "undelivered": {"unreachable", "blocked", "unknown", "refused"}}

Form = dict[str, str]


def standin_of(name: str) -> ProviderStandIn:
    """The stand-in for a provider, its own or one made of its profile."""
    return STANDINS[name]() if name in STANDINS else DescribedStandIn(PROFILES[name])


def needed(name: str, standin: ProviderStandIn) -> dict[str, str]:
    """What a profile needs, by its own names."""
    return {key: standin.SETTINGS.get(key, f"the {key}") for key in PROFILES[name].needs}


def environment(name: str, standin: ProviderStandIn) -> dict[str, str]:
    """The settings of a service on this provider alone."""
    values = {f"HTTP_{name.upper()}_{key.upper()}": value for key, value in needed(name, standin).items()}
    own = {} if name in STANDINS else {f"HTTP_{name.upper()}_PROFILE": str(FILES[name])}
    return {
        "GATEWAYS": f"http-{name}",
        "PUBLIC_URL": PUBLIC_URL,
        f"HTTP_{name.upper()}_BASE": standin.url,
        **values,
        **own,
    }


def chosen(name: str, standin: ProviderStandIn, **changes: str) -> Settings:
    """The same, read."""
    return settings(**{**environment(name, standin), **changes})


@dataclass
class ProviderWire:
    """One gateway, its stand-in, and the calls that its provider makes."""

    standin: Any
    gateway: HttpGateway

    @classmethod
    @contextmanager
    def opened(cls, name: str, *, patience: float | None = None, **changes: str) -> Iterator[Self]:
        """Started, and stopped at the end."""
        with standin_of(name) as standin:
            found = chosen(name, standin, **changes)
            http = HttpClient() if patience is None else HttpClient(read_seconds=patience)
            keyring = Keyring.of(read_keys(KEYS))
            gateway = HttpGateway(
                found.providers[f"http-{name}"], found.public_url, keyring, SystemRandomSource(), http
            )
            yield cls(standin, gateway)
            http.close()

    @property
    def profile(self) -> Profile:
        """What is tested."""
        return self.gateway.profile

    @property
    def ids(self) -> tuple[str, ...]:
        """The fields that a text must have."""
        inbound = self.profile.inbound
        assert inbound is not None
        return (inbound.sender, inbound.id) if inbound.id else (inbound.sender,)

    @property
    def secrets(self) -> list[str]:
        """What must not be seen."""
        return [value for key, value in self.gateway.provider.values.items() if key not in {"line", "user", "domain"}]

    def sign(self, _url: str, _form: Form) -> str:
        """What makes a call authentic."""
        return self.gateway.provider.secret

    def call(self, url: str, form: Form, signature: str | None) -> Call:
        """A call as the provider makes it."""
        section = self.profile.receipts if "/receipts" in url else self.profile.inbound
        by_get = section is not None and section.methods == ["GET"]
        query: MultiDict[str, str] = MultiDict(form if by_get else {})
        headers = Headers()
        place, _, name = self.profile.secret.partition(":")
        if signature is not None and place == "query":
            query[name] = signature
        elif signature is not None and place == "header":
            headers.add(name, signature.encode("utf-8", "replace").decode("latin-1"))
        elif signature is not None:
            plain, mark, rest = url.partition("?")
            url = f"{plain}/{signature}{mark}{rest}"
        if section is not None and section is self.profile.receipts and section.items:
            headers.add("Content-Type", "application/json")
            body = json.dumps(nested({section.items: [nested(form)]})).encode()
            return Call(url, cast("Mapping[str, str]", headers), MultiDict(), query, body)
        return Call(url, cast("Mapping[str, str]", headers), MultiDict({} if by_get else form), query)

    @property
    def brings_several(self) -> bool:
        """Whether one call brings several receipts. Then those that can't be read are left out."""
        return self.profile.receipts is not None and bool(self.profile.receipts.items)

    def text(self, sender: str, name: str, words: str) -> Form:
        """A text that comes in."""
        inbound = self.profile.inbound
        assert inbound is not None
        form = {inbound.sender: sender, inbound.text: words, **({inbound.id: name} if inbound.id else {})}
        special = inbound.hex16
        if special:
            form |= {
                inbound.text: "?",
                special["text"]: words.encode("utf-16-be").hex(),
                special["where"]: special["is"],
            }
        return form

    def receipt(self, name: str, status: str) -> Form:
        """How far a text has come."""
        receipts = self.profile.receipts
        assert receipts is not None
        return {receipts.id: name, receipts.status: self.state(status)}

    def state(self, status: str) -> str:
        """The provider's word for a state; a word that is no state stays."""
        polls = self.profile.poll.receipts
        known = (polls.map if polls else {}) or (self.profile.receipts.map if self.profile.receipts else {})
        return next((word for word, stage in known.items() if stage in STAGES.get(status, ())), status)

    def arrived(self, phone: str) -> list[str]:
        """What a phone was sent."""
        return cast("ProviderStandIn", self.standin).texts_to(phone)


PERSIAN = "کد فاخر: 123456\nتا ۱۰ دقیقه همین‌جا پس بفرستید."
EVERY = pytest.mark.parametrize("name", list(PROFILES))

Open = Callable[..., ProviderWire]


def outbound(
    words: str = PERSIAN, *, ref: int = 7, attempt: int = 1, to: str = ZAHRA["mobile"], **more: Any
) -> Outbound:
    return Outbound(ref, MessageKind.CODE, to, words, more.pop("validity", 600), attempt=attempt, **more)


def failure(wire: ProviderWire, *troubles: Trouble, text: Outbound | None = None) -> SendFailed:
    wire.standin.trouble(*troubles)
    with pytest.raises(SendFailed) as failed:
        wire.gateway.send(text or outbound())
    return failed.value
