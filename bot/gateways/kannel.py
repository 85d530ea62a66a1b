"""Kannel, an SMS gateway of one's own: its smsbox posts texts to us and takes ours (https://www.kannel.org)."""

import hmac
import re
from collections.abc import Mapping
from urllib.parse import quote

from bot.platform.http_client import HttpAnswer, HttpClient
from bot.ports import (
    Answer,
    Call,
    Inbound,
    Malformed,
    Outbound,
    RandomSource,
    Reason,
    Receipt,
    SendFailed,
    as_name,
    as_ref,
)
from bot.settings import Settings
from dialogs.replies.segments import size
from store.tables import DeliveryStatus

ACCEPTED, BAD_REQUEST = 202, 400
EVERY_RECEIPT = "31"
UCS2 = "2"
# What an address may hold as it is. A secret's other characters are escaped; and so is each % of theirs, because
# Kannel takes %d and its like for what it is to fill in.
PLAIN = "!$'()*,;:@/?"

# The types of receipts. Kannel adds to 2, failed, what it knows of the failure: 32 for expired, 64 for unknown.
DELIVERY_STATUSES = {
    "1": DeliveryStatus.DELIVERED,
    "2": DeliveryStatus.FAILED,
    "34": DeliveryStatus.FAILED,
    "66": DeliveryStatus.FAILED,
    "4": DeliveryStatus.SENDING,  # waits at the operator's
    "8": DeliveryStatus.SENT,
    "16": DeliveryStatus.FAILED,
}
REASONS = {"2": Reason.UNREACHABLE, "16": Reason.REFUSED, "34": Reason.EXPIRED, "66": Reason.UNKNOWN}
# Where the operator tells it, the network's own error (3GPP TS 29.002, 17.6.6): type 3, two octets.
NETWORK_ERROR = re.compile("dlr_err=%03%([0-9A-Fa-f]{2})%([0-9A-Fa-f]{2})")
NETWORK_REASONS = {
    9: Reason.BLOCKED,  # illegal subscriber
    11: Reason.NOT_A_MOBILE,  # takes no texts
    12: Reason.BLOCKED,  # illegal equipment
    13: Reason.BLOCKED,  # barred
}
STATUSES = {408: Reason.TIMEOUT, 429: Reason.BUSY}
# Answers that say something of the text, not of our account or of Kannel.
OF_THE_TEXT = {BAD_REQUEST, 413, 422}
# But a list of numbers, which is this Kannel's own: another gateway may take the text.
ON_A_LIST = b"denied by"


class Kannel:
    """The `kannel` gateway."""

    name = "kannel"
    methods = ("GET", "POST")
    heard = Answer(200)
    noted = Answer(200)

    def __init__(self, settings: Settings, random_source: RandomSource, http: HttpClient) -> None:
        """Take addresses, user and secret from the settings, and what calls are made by."""
        self.secret, self.random_source, self.http = settings.kannel_inbound_secret, random_source, http
        self.url = settings.kannel_send_url
        self.callback = f"{settings.public_url.rstrip('/')}/webhooks/kannel/receipts?secret={_quoted(self.secret)}"
        self.headers = {
            "X-Kannel-Username": settings.kannel_user,
            "X-Kannel-Password": settings.kannel_password,
            "X-Kannel-From": settings.kannel_sender,
            "X-Kannel-DLR-Mask": EVERY_RECEIPT,
            "Content-Type": "text/plain; charset=UTF-8",
        }

    def is_authentic(self, call: Call) -> bool:
        """Whether the call knows the secret."""
        given = call.query.get("secret", "")
        return bool(self.secret) and hmac.compare_digest(given.encode("utf-8", "replace"), self.secret.encode())

    def read_texts(self, call: Call) -> list[Inbound]:
        """A POST's text is its body and its sender stands in X-Kannel-From; a GET has `text` and `from`."""
        name = as_name(call.query.get("id", ""))
        sender, text = call.headers.get("X-Kannel-From", ""), call.body.decode("utf-8", "replace")
        if not sender:
            sender, text = call.query.get("from", ""), call.query.get("text", "")
        if not sender:
            raise Malformed("X-Kannel-From or from is needed")
        return [Inbound(self.name, name, sender, text)]

    def read_receipts(self, call: Call) -> list[Receipt]:
        """`ref`, which is our own id of the text, `type`, and the operator's error in `meta`."""
        name, kind = as_name(call.query.get("ref", "")), call.query.get("type", "")
        status = DELIVERY_STATUSES.get(kind)
        if status is None:
            return []
        error, code = _error(kind, call.query.get("meta", "")) if status is DeliveryStatus.FAILED else (None, "")
        return [Receipt(self.name, name, status, error, as_ref(name.partition(".")[0]), code)]

    def send(self, text: Outbound) -> str:
        """Hand a text over. Kannel has no name for it that receipts would bear, so it gets one of ours."""
        name = f"{text.ref}.{self.random_source.token()}"
        headers = {**self.headers, **self._headers(text, name)}
        answer = self.http.request("POST", self.url, headers=headers, body=text.text.encode())
        if answer.status != ACCEPTED:
            raise _failure(answer)
        return name

    def _headers(self, text: Outbound, name: str) -> Mapping[str, str]:
        needs_ucs2 = size(text.text).encoding == "UCS-2"
        return {
            "X-Kannel-To": text.to,
            "X-Kannel-Validity": str(max(1, text.validity // 60)),  # in minutes
            # %A would tell more of a failure than %D, but quotes the text.
            "X-Kannel-DLR-Url": f"{_kept(self.callback)}&ref={name}&type=%d&meta=%D",
            **({"X-Kannel-Coding": UCS2} if needs_ucs2 else {}),
        }


def _quoted(secret: str) -> str:
    return quote(secret, safe=PLAIN)


def _kept(address: str) -> str:
    return address.replace("%", "%%")


def _error(kind: str, meta: str) -> tuple[Reason, str]:
    found = NETWORK_ERROR.search(meta)
    number = int("".join(found.groups()), 16) if found else 0
    return NETWORK_REASONS.get(number, REASONS[kind]), f"{kind}/{number}" if number else kind


def _failure(answer: HttpAnswer) -> SendFailed:
    status = answer.status
    if status == BAD_REQUEST and ON_A_LIST in answer.body:
        return SendFailed(Reason.BLOCKED, permanent=False, code=str(status))
    if 400 <= status < 500:
        reason = STATUSES.get(status, Reason.REFUSED)
        return SendFailed(reason, permanent=status in OF_THE_TEXT, code=str(status))
    return SendFailed(Reason.BUSY if status >= 500 else Reason.NO_SENSE, permanent=False, code=str(status))
