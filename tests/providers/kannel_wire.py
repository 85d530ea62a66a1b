"""Kannel's side of its gateway, for the contract that every gateway keeps: calls by POST and by GET."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self, cast

from werkzeug.datastructures import Headers, MultiDict

from bot.gateways.kannel import Kannel
from bot.platform.http_client import READ_SECONDS, HttpClient
from bot.platform.random_source import SystemRandomSource
from bot.ports import Call
from bot.settings import Settings
from tests.providers.kannel_standin import PASSWORD, SECRET, SENDER, USER, KannelStandIn
from tests.support.parts import settings

PUBLIC_URL = "https://ramz.example.ir"
TYPES = {"sent": "8", "delivered": "1", "undelivered": "2"}

Form = dict[str, str]


def chosen(send_url: str, **changes: str) -> Settings:
    """Settings of a service on Kannel."""
    return settings(
        **{
            "GATEWAYS": "kannel",
            "PUBLIC_URL": PUBLIC_URL,
            "KANNEL_SEND_URL": send_url,
            "KANNEL_USER": USER,
            "KANNEL_PASSWORD": PASSWORD,
            "KANNEL_SENDER": SENDER,
            "KANNEL_INBOUND_SECRET": SECRET,
            **changes,
        }
    )


@dataclass
class KannelWire:
    """One gateway, its stand-in, and the form that calls take."""

    standin: KannelStandIn
    gateway: Kannel
    by_get: bool = False
    ids: tuple[str, str] = ("from", "id")

    @classmethod
    @contextmanager
    def opened(cls, name: str = "kannel-post", *, read_seconds: float = READ_SECONDS, **changes: str) -> Iterator[Self]:
        """Started, and stopped at the end."""
        with KannelStandIn() as standin:
            gateway = Kannel(
                chosen(standin.url, **changes), SystemRandomSource(), HttpClient(read_seconds=read_seconds)
            )
            yield cls(standin, gateway, name == "kannel-get")
            gateway.http.close()

    def sign(self, _url: str, _form: Form) -> str:
        """What makes a call authentic."""
        return SECRET

    def call(self, url: str, form: Form, signature: str | None) -> Call:
        """A call as smsbox makes it."""
        query = MultiDict(form)
        headers, body = Headers(), b""
        if signature is not None:
            query["secret"] = signature
        if not self.by_get:
            body = query.pop("text", "").encode()
            if "from" in query:
                headers["X-Kannel-From"] = query.pop("from")
        return Call(url, cast("Mapping[str, str]", headers), MultiDict(), query, body)

    def text(self, sender: str, name: str, words: str) -> Form:
        """A text that comes in."""
        return {"id": name, "from": sender, "to": SENDER, "text": words}

    def receipt(self, name: str, status: str) -> Form:
        """How far a text has come."""
        return {"ref": name, "type": TYPES.get(status, status)}

    def arrived(self, phone: str) -> list[str]:
        """What a phone was sent."""
        return self.standin.texts_to(phone)
