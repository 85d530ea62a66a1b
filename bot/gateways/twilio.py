"""Twilio: signed webhooks in, its REST API out, status callbacks (https://www.twilio.com/docs/messaging)."""

import base64
import logging
import re
from collections.abc import Mapping
from urllib.parse import urlencode

from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.http import HttpClient as SdkHttpClient
from twilio.http.response import Response
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from bot.platform.http_client import HttpClient
from bot.ports import Answer, Call, Inbound, Malformed, Outbound, Reason, Receipt, SendFailed, as_name, as_ref
from bot.settings import Settings
from store.tables import DeliveryStatus

API = "https://api.twilio.com"
NO_RETENTION = 30029  # the account may not choose ContentRetention
# https://www.twilio.com/docs/api/errors, in the one vocabulary. What is not here is read from the status.
REASONS = {
    20003: Reason.REFUSED,  # not authenticated
    20429: Reason.BUSY,
    14107: Reason.BUSY,  # too many from one sender
    21211: Reason.NOT_A_MOBILE,  # no number
    21217: Reason.NOT_A_MOBILE,
    21408: Reason.REFUSED,  # the account may not text that country
    21602: Reason.NO_SENSE,  # an empty text
    21603: Reason.REFUSED,  # no sender
    21606: Reason.REFUSED,  # the sender is not the account's
    21610: Reason.OPTED_OUT,
    21611: Reason.BUSY,  # the sender's queue is full
    21612: Reason.UNREACHABLE,  # not from this sender
    21614: Reason.NOT_A_MOBILE,
    21617: Reason.NO_SENSE,  # too long a text
    30001: Reason.BUSY,  # the queue is full
    30002: Reason.REFUSED,  # the account is suspended
    30003: Reason.UNREACHABLE,
    30004: Reason.BLOCKED,
    30005: Reason.UNREACHABLE,  # a number that its operator does not know, at least now
    30006: Reason.NOT_A_MOBILE,  # a landline
    30007: Reason.SPAM,
    30008: Reason.UNKNOWN,
    30010: Reason.REFUSED,  # dearer than allowed
    30017: Reason.BUSY,  # the operator's network is
    30022: Reason.BUSY,
    30023: Reason.BUSY,
    30032: Reason.REFUSED,  # a sender that was not verified
    30034: Reason.REFUSED,  # a sender that was not registered
    30036: Reason.EXPIRED,
    30410: Reason.TIMEOUT,  # of the operator
    30500: Reason.BUSY,
}
# Errors that are the text's or its number's own: no gateway will do better.
PERMANENT = {21211, 21217, 21602, 21610, 21614, 21617}
# What Twilio says that it has done about a text (Advanced Opt-Out): words that mean the same to us.
# https://www.twilio.com/docs/messaging/tutorials/advanced-opt-out
ACTED_UPON = {"STOP", "START", "HELP"}
CONFIRMED = {"STOP", "START"}
MESSAGE_SID = re.compile("(SM|MM)[0-9a-fA-F]{32}")
NAMED_IN_RUN = re.compile("MessageSid((?:SM|MM)[0-9a-fA-F]{32})")
STATUSES = {401: Reason.REFUSED, 403: Reason.REFUSED, 404: Reason.REFUSED, 408: Reason.TIMEOUT, 429: Reason.BUSY}

DELIVERY_STATUSES = {
    "accepted": DeliveryStatus.ACCEPTED,
    "scheduled": DeliveryStatus.ACCEPTED,
    "queued": DeliveryStatus.ACCEPTED,
    "sending": DeliveryStatus.SENDING,
    "sent": DeliveryStatus.SENT,
    "delivered": DeliveryStatus.DELIVERED,
    "read": DeliveryStatus.DELIVERED,
    "undelivered": DeliveryStatus.FAILED,
    "failed": DeliveryStatus.FAILED,
    "canceled": DeliveryStatus.FAILED,
}


class _SdkHttpClient(SdkHttpClient):  # type: ignore[misc]
    """What the SDK sends by: our own connections, another base address where one is set, and no log of what is sent.

    The SDK's own client would build a session's request for each text, which costs twice as much, and has no timeout.
    """

    def __init__(self, http: HttpClient, base: str) -> None:
        super().__init__(logging.getLogger("twilio"), is_async=False)
        self.http, self.base = http, base.rstrip("/")

    def request(
        self,
        method: str,
        url: str,
        params: Mapping[str, object] | None = None,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # ours is the same for all calls
        allow_redirects: bool = False,  # none is followed
    ) -> Response:
        """Make one call, a form in its body."""
        address = self.base + url.removeprefix(API) + (f"?{urlencode(params, doseq=True)}" if params else "")
        whole = {**(headers or {}), **(_basic(*auth) if auth else {})}
        answer = self.http.request(method, address, headers=whole, body=urlencode(data or {}, doseq=True).encode())
        return Response(answer.status, answer.body.decode("utf-8", "replace"))


def _basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


class Twilio:
    """The `twilio` gateway."""

    name = "twilio"
    methods = ("POST",)
    heard = Answer(200, '<?xml version="1.0" encoding="UTF-8"?><Response/>', "text/xml; charset=utf-8")
    noted = Answer(204)

    def __init__(self, settings: Settings, http: HttpClient) -> None:
        """Take account, sender and addresses from the settings, and what calls are made by."""
        # Twilio signs by its primary token, from one moment on by the one that was the secondary until then.
        tokens = settings.twilio_auth_token.split(",")
        self.validators = [RequestValidator(token.strip()) for token in tokens if token.strip()]
        self.sender = settings.twilio_sender
        self.callback = f"{settings.public_url.rstrip('/')}/webhooks/twilio/receipts"
        self.client = Client(
            settings.twilio_api_key_sid or settings.twilio_account_sid,
            settings.twilio_api_key_secret or tokens[0].strip(),
            settings.twilio_account_sid,
            http_client=_SdkHttpClient(http, settings.twilio_api_url),
        )
        self.discreet = True  # until the account turns out not to allow it

    def is_authentic(self, call: Call) -> bool:
        """Whether X-Twilio-Signature was made with a token of ours over this URL and form."""
        signature = call.headers.get("X-Twilio-Signature")
        if not signature:
            return False
        try:
            return any(each.validate(call.url, call.form, signature) for each in self.validators)
        except (TypeError, ValueError):  # a URL or a value that the validator can't take
            return False

    def read_texts(self, call: Call) -> list[Inbound]:
        """From, Body and MessageSid; and OptOutType, where Twilio has acted upon the text by itself.

        The signature covers names and values run together, so who has seen one call can cut it into others that
        are as well signed. An id in Twilio's own form can be cut in one way only; and one that the sender has written
        into the text, with a sender of their choice before it, stands in the run beside the true one.

        Its own words for STOP and START are others than ours (END, QUIT, CANCEL, UNSTOP, what an operator has set), and
        from then on it refuses or takes what we send: so they are heard as what they have done. It has confirmed them
        too, and would refuse our confirmation of a STOP. Its words of help say nothing of ours, so HELP is answered.
        """
        sender, name = call.form.get("From", ""), call.form.get("MessageSid", "")
        if not MESSAGE_SID.fullmatch(name):
            raise Malformed("MessageSid is needed: SM or MM, and 32 hex digits")
        if not sender:
            raise Malformed("From is needed")
        if {each[1] for each in NAMED_IN_RUN.finditer(_run(call.form))} != {name}:
            raise Malformed("it names more than one message")
        done = call.form.get("OptOutType", "").upper()
        text = done if done in ACTED_UPON else call.form.get("Body", "")
        return [Inbound(self.name, name, sender, text, is_answered=done in CONFIRMED)]

    def read_receipts(self, call: Call) -> list[Receipt]:
        """MessageSid, MessageStatus and ErrorCode; our own `ref` from the callback's address."""
        name = as_name(call.form.get("MessageSid", "") or call.form.get("SmsSid", ""))
        status = DELIVERY_STATUSES.get(call.form.get("MessageStatus", "") or call.form.get("SmsStatus", ""))
        if status is None:
            return []
        code = call.form.get("ErrorCode", "")
        code = code if status is DeliveryStatus.FAILED and re.fullmatch("[0-9]{1,9}", code) else ""
        error = REASONS.get(int(code or 0), Reason.UNKNOWN) if status is DeliveryStatus.FAILED else None
        return [Receipt(self.name, name, status, error, as_ref(call.query.get("ref", "")), code)]

    def send(self, text: Outbound) -> str:
        """Create a message. Not idempotent at Twilio: after a timeout a second copy may go out."""
        try:
            return self._create(text)
        except (TwilioRestException, TwilioServiceException) as error:
            if self.discreet and _is_of_retention(error):
                self.discreet = False
                return self.send(text)
            raise _failure(error) from None
        except (TwilioException, AttributeError, LookupError, TypeError, ValueError):
            # Not an answer of Twilio's, or not one that its SDK can read: a proxy's page, a cut stream.
            raise SendFailed(Reason.NO_SENSE, permanent=False) from None

    def _create(self, text: Outbound) -> str:
        service = self.sender.startswith("MG")
        retention = {"content_retention": "discard", "address_retention": "obfuscate"} if self.discreet else {}
        message = self.client.messages.create(
            to=text.to,
            body=text.text,
            validity_period=min(text.validity, 36_000),
            status_callback=f"{self.callback}?{urlencode({'ref': text.ref})}",
            **({"messaging_service_sid": self.sender} if service else {"from_": self.sender}),
            **retention,
        )
        name = str(message.sid or "")[:64]
        if not re.fullmatch("[!-~]+", name):
            raise SendFailed(Reason.NO_SENSE, permanent=False)
        return name


def _run(form: Mapping[str, str]) -> str:
    """Names and values run together, as they are signed: a name that comes twice has both values in it."""
    values = getattr(form, "getlist", lambda name: [form[name]])
    return "".join(name + value for name in sorted(form) for value in values(name))


def _is_of_retention(error: TwilioException) -> bool:
    said = str(getattr(error, "msg", "") or getattr(error, "detail", "")).lower()
    return error.code == NO_RETENTION or (error.status == 400 and "retention" in said)


def _failure(error: TwilioException) -> SendFailed:
    code = error.code or 0
    by_status = STATUSES.get(error.status, Reason.BUSY if error.status >= 500 else Reason.UNKNOWN)
    return SendFailed(REASONS.get(code, by_status), permanent=code in PERMANENT, code=str(code or error.status))
