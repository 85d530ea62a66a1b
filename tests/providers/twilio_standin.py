"""A stand-in for Twilio on this machine: takes messages as its REST API does, and signs what it sends as it does."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from urllib.parse import parse_qsl

import requests

from tests.providers.http_standin import Called, HttpStandIn, Write

ACCOUNT = "AC" + "f0e1d2c3" * 4
TOKEN = "the account's auth token"
SENDER = "+989990000000"
SIGNATURE = "X-Twilio-Signature"
PUBLIC_URL = "https://ramz.example.ir"


def settings_at(url: str, **changes: str) -> dict[str, str]:
    """The settings of a service on Twilio, whose REST API is at this address."""
    return {
        "GATEWAYS": "twilio",
        "PUBLIC_URL": PUBLIC_URL,
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_SENDER": SENDER,
        "TWILIO_API_URL": url,
        **changes,
    }


@dataclass(frozen=True)
class Refusal:
    """An error as Twilio words it."""

    status: int
    code: int
    message: str = "Something is wrong"


@dataclass(frozen=True)
class Page:
    """An answer that is none of Twilio's: a proxy's page, an empty body, a redirect."""

    body: str
    status: int = 201
    content_type: str = "text/html"


@dataclass(frozen=True)
class Hang:
    """No answer, until the stand-in is mended or stopped; then the connection ends."""


@dataclass(frozen=True)
class Cut:
    """The connection ends: before the answer, or in the middle of it."""

    midway: bool = False


@dataclass(frozen=True)
class Slow:
    """A right answer, late."""

    seconds: float


Trouble = Refusal | Page | Hang | Cut | Slow

TOO_MANY = Refusal(429, 20429, "Too Many Requests")
UNAVAILABLE = Refusal(503, 20503, "Service Unavailable")
SERVER_ERROR = Refusal(500, 20500, "Internal Server Error")
UNAUTHORISED = Refusal(401, 20003, "Authenticate")
NOT_FOUND = Refusal(404, 20404, "The requested resource was not found")
OPTED_OUT = Refusal(400, 21610, "Attempt to send to unsubscribed recipient")
NOT_A_NUMBER = Refusal(400, 21211, "Invalid 'To' Phone Number")
NOT_A_MOBILE = Refusal(400, 21614, "'To' number is not a valid mobile number")
NO_RETENTION = Refusal(400, 30029, "Invalid ContentRetention")


@dataclass(frozen=True)
class Message:
    """A call of Messages.json. `sid` is empty where the call was not answered with a message."""

    path: str
    user: str
    password: str = field(repr=False)
    form: dict[str, str] = field(repr=False)
    at: float
    sid: str = ""

    @property
    def to(self) -> str:
        """Whom the text is for."""
        return self.form.get("To", "")

    @property
    def body(self) -> str:
        """The text."""
        return self.form.get("Body", "")


class TwilioStandIn(HttpStandIn):
    """Twilio's REST API on loopback. `with TwilioStandIn() as twilio:` starts and stops it."""

    def __init__(self, secrets_by_user: Mapping[str, str] | None = None) -> None:
        """Know some users and their passwords; by default the account and its token."""
        super().__init__()
        self.known = dict(secrets_by_user if secrets_by_user is not None else {ACCOUNT: TOKEN})
        self.allows_retention = True
        self.calls: list[Message] = []  # every one, in the order of their coming
        self.taken: list[Message] = []  # those that were answered with a message
        self._trouble: list[Trouble] = []
        self._lasting: Trouble | None = None

    def trouble(self, trouble: Trouble, times: int | None = 1) -> None:
        """Be in trouble for the next so many calls, or until mended where `times` is None."""
        with self._changed:
            if times is None:
                self._lasting = trouble
            else:
                self._trouble += [trouble] * times
            self._may_hang()

    def forget_troubles(self) -> None:
        """Those that were to come, and the one that lasts."""
        self._trouble.clear()
        self._lasting = None

    def texts_to(self, phone: str) -> list[str]:
        """What a phone was sent, oldest first."""
        return [message.body for message in list(self.taken) if message.to == phone]

    def talk(self, called: Called, write: Write) -> bool:
        """Answer one call of the REST API, or be in trouble with it."""
        given = called.headers.get("authorization", "")
        return _written(*self.answer(called.target, given, called.body), write)

    def answer(self, path: str, authorization: str, body: bytes) -> tuple[Trouble | None, bytes, int]:
        """Take one call; the trouble with it, else the message and its status. For the connections."""
        user, password = _credentials(authorization)
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
        at = time.monotonic()
        with self._changed:
            mended, trouble = self._mended, self._next_trouble(user, password, path, form)
            sid = "" if isinstance(trouble, Refusal | Page | Hang) else f"SM{secrets.token_hex(16)}"
            message = Message(path, user, password, form, at, sid)
            self.calls.append(message)
            if sid:
                self.taken.append(message)
            self._changed.notify_all()
        match trouble:
            case Hang():
                mended.wait()
            case Slow(seconds):
                mended.wait(seconds)
                trouble = None
            case Refusal():
                return None, _refusal(trouble), trouble.status
        return trouble, _resource(sid, form), 201

    def _next_trouble(self, user: str, password: str, path: str, form: Mapping[str, str]) -> Trouble | None:
        if self.known.get(user) != password:
            return UNAUTHORISED
        if self._trouble:
            return self._trouble.pop(0)
        if self._lasting is not None:
            return self._lasting
        if path != f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json":
            return NOT_FOUND
        return self._fault(form)

    def _fault(self, form: Mapping[str, str]) -> Refusal | None:
        if not form.get("To"):
            return Refusal(400, 21604, "A 'To' phone number is required.")
        if not form.get("Body"):
            return Refusal(400, 21602, "Message body is required.")
        if not form.get("From") and not form.get("MessagingServiceSid"):
            return Refusal(400, 21603, "A 'From' phone number is required.")
        if not 1 <= int(form.get("ValidityPeriod", "36000")) <= 36_000:
            return Refusal(400, 21641, "ValidityPeriod must be between 1 and 36000")
        if not self.allows_retention and ("ContentRetention" in form or "AddressRetention" in form):
            return NO_RETENTION
        return None


def _written(trouble: Trouble | None, content: bytes, status: int, write: Write) -> bool:
    """Write an answer, as far as the trouble lets it; whether the connection lives on."""
    kind = "application/json"
    if isinstance(trouble, Page):
        content, status, kind = trouble.body.encode(), trouble.status, trouble.content_type
    elif isinstance(trouble, Hang) or trouble == Cut(midway=False):
        return False
    head = f"HTTP/1.1 {status} Answer\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n"
    if isinstance(trouble, Cut):
        content = content[: len(content) // 2]
    write(head.encode() + content)
    return not isinstance(trouble, Cut)


def _credentials(authorization: str) -> tuple[str, str]:
    user, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
    return user, password


def _refusal(refusal: Refusal) -> bytes:
    return json.dumps(
        {
            "code": refusal.code,
            "message": refusal.message,
            "more_info": f"https://www.twilio.com/docs/errors/{refusal.code}",
            "status": refusal.status,
        }
    ).encode()


def _resource(sid: str, form: Mapping[str, str]) -> bytes:
    path = f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{sid}"
    now = formatdate()
    return json.dumps(
        {
            "account_sid": ACCOUNT,
            "api_version": "2010-04-01",
            "body": form.get("Body", ""),
            "date_created": now,
            "date_sent": None,
            "date_updated": now,
            "direction": "outbound-api",
            "error_code": None,
            "error_message": None,
            "from": form.get("From"),
            "messaging_service_sid": form.get("MessagingServiceSid"),
            "num_media": "0",
            "num_segments": "1",
            "price": None,
            "price_unit": None,
            "sid": sid,
            "status": "queued",
            "subresource_uris": {"media": f"{path}/Media.json"},
            "tags": None,
            "to": form.get("To", ""),
            "uri": f"{path}.json",
        }
    ).encode()


def sign(token: str, url: str, form: Mapping[str, str]) -> str:
    """The signature of a webhook: HMAC-SHA-1 over the address and the sorted form, in base64."""
    signed = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.digest(token.encode(), signed.encode(), hashlib.sha1)).decode()


def new_sid() -> str:
    """A name for a text that comes in."""
    return f"SM{secrets.token_hex(16)}"


def text_form(sender: str, words: str, sid: str | None = None, **changes: str) -> dict[str, str]:
    """The form of an inbound text, with all that Twilio sends along."""
    name = sid or new_sid()
    return {
        "ToCountry": "IR",
        "ToState": "",
        "SmsMessageSid": name,
        "NumMedia": "0",
        "ToCity": "",
        "FromZip": "",
        "SmsSid": name,
        "FromState": "",
        "SmsStatus": "received",
        "FromCity": "",
        "Body": words,
        "FromCountry": "IR",
        "To": SENDER,
        "ToZip": "",
        "NumSegments": "1",
        "MessageSid": name,
        "AccountSid": ACCOUNT,
        "From": sender,
        "ApiVersion": "2010-04-01",
        **changes,
    }


def receipt_form(sid: str, status: str, **changes: str) -> dict[str, str]:
    """The form of a status callback."""
    return {
        "SmsSid": sid,
        "SmsStatus": status,
        "MessageStatus": status,
        "MessageSid": sid,
        "AccountSid": ACCOUNT,
        "From": SENDER,
        "ApiVersion": "2010-04-01",
        **changes,
    }


def post(
    session: requests.Session, address: str, public_url: str, path: str, form: Mapping[str, str], timeout: float = 15.0
) -> int:
    """Call a webhook as Twilio does: signed over the public address, sent to wherever that leads; the status."""
    headers = {
        SIGNATURE: sign(TOKEN, public_url + path, form),
        "I-Twilio-Idempotency-Token": secrets.token_hex(16),
        "User-Agent": "TwilioProxy/1.1",
    }
    return session.post(address + path, data=dict(form), headers=headers, timeout=timeout).status_code


def post_text(
    session: requests.Session,
    address: str,
    public_url: str,
    sender: str,
    words: str,
    sid: str | None = None,
    timeout: float = 15.0,
) -> int:
    """Text the bot over its webhook; the status."""
    return post(session, address, public_url, "/webhooks/twilio/sms", text_form(sender, words, sid), timeout)
