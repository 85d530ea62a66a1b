"""How texts, receipts and calls reach a service, as from a provider or Fakher: by any host, until it answers."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from threading import local
from typing import Any

import requests

from tests.providers import kannel_standin, twilio_standin
from tests.providers.twilio_standin import PUBLIC_URL

TWILIO_SMS, KANNEL_SMS = "/webhooks/twilio/sms", "/webhooks/kannel/sms"
# In seconds: how long a provider waits for an answer, and for how long it tries to hand a text over.
ANSWER_SECONDS, PATIENCE_SECONDS = 15.0, 90.0
DONE = {200, 204}
# Postings that had no answer: the connection was refused, cut, or nobody said anything.
NO_ANSWER = 0


@dataclass
class Text:
    """A text from a phone. `statuses` are the answers to its postings; `answered_at` is on the monotonic clock."""

    gateway: str
    sid: str
    sender: str = field(repr=False)
    words: str = field(repr=False)
    statuses: list[int] = field(default_factory=list)
    answered_at: float | None = None


@dataclass(frozen=True)
class Call:
    """A call of Fakher's API about somebody, by their mobile; `said` is the JSON that was answered, if any."""

    path: str
    mobile: str = field(repr=False)
    status: int
    said: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Told:
    """A receipt that was posted: of which text, by the provider's id, what it said, and what was answered."""

    gateway: str
    sid: str
    said: str
    status: int


@dataclass
class Ledger:
    """All that was posted to the services of one world."""

    texts: list[Text] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    receipts: list[Told] = field(default_factory=list)


class Doors:
    """The services of one world from outside; `addresses` are where they listen."""

    def __init__(self, addresses: Sequence[str], token: str, ledger: Ledger, rng: Random) -> None:
        """Know where to knock, and Fakher's token."""
        self.addresses, self.token, self.ledger, self.rng = addresses, token, ledger, rng
        self._own = local()

    def text(self, gateway: str, sender: str, words: str, sid: str | None = None, only: str | None = None) -> bool:
        """Hand a text over, at any address or at one only; whether it was answered in the end.

        `sid` names one that was handed over before: a provider that sends it again.
        """
        text = Text(gateway, sid or f"SM{secrets.token_hex(16)}", sender, words)
        self.ledger.texts.append(text)
        form = twilio_standin.text_form(sender, words, text.sid)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            address = only or self.rng.choice(self.addresses)
            status = self._once(lambda at=address: self._post_text(at, text, form))  # type: ignore[misc]
            text.statuses.append(status)
            if status in DONE:
                text.answered_at = time.monotonic()
                return True
            time.sleep(0.1 if only else self.rng.uniform(0.3, 1.0))
        return False

    def receipt(self, gateway: str, path: str, sid: str, said: str) -> int:
        """Say once how far a text has come; the status of the answer."""
        address = self.rng.choice(self.addresses)
        status = self._once(lambda: self._post_receipt(address, gateway, path, sid, said))
        self.ledger.receipts.append(Told(gateway, sid, said, status))
        return status

    def call(self, path: str, mobile: str, body: Mapping[str, str], seconds: float = PATIENCE_SECONDS) -> Call:
        """Call Fakher's API, again until it answers something but 503; each answer is noted."""
        deadline = time.monotonic() + seconds
        while True:
            done = self._call(path, mobile, body)
            self.ledger.calls.append(done)
            if done.status not in (NO_ANSWER, 503) or time.monotonic() > deadline:
                return done
            time.sleep(self.rng.uniform(0.3, 1.0))

    def _call(self, path: str, mobile: str, body: Mapping[str, str]) -> Call:
        address, headers = self.rng.choice(self.addresses), {"Authorization": f"Bearer {self.token}"}
        try:
            answer = self._session.post(address + path, json=body, headers=headers, timeout=ANSWER_SECONDS)
            said = answer.json() if answer.status_code == 200 else {}
        except (requests.RequestException, ValueError):
            return Call(path, mobile, NO_ANSWER)
        return Call(path, mobile, answer.status_code, said)

    def _post_text(self, address: str, text: Text, form: Mapping[str, str]) -> int:
        if text.gateway == "twilio":
            return twilio_standin.post(self._session, address, PUBLIC_URL, TWILIO_SMS, form, ANSWER_SECONDS)
        headers = {"X-Kannel-From": text.sender, "X-Kannel-To": kannel_standin.SENDER}
        query = {"secret": kannel_standin.SECRET, "id": text.sid}
        body = text.words.encode()
        asked = self._session.post(
            address + KANNEL_SMS, params=query, data=body, headers=headers, timeout=ANSWER_SECONDS
        )
        return asked.status_code

    def _post_receipt(self, address: str, gateway: str, path: str, sid: str, said: str) -> int:
        if gateway == "twilio":
            form = twilio_standin.receipt_form(sid, said)
            return twilio_standin.post(self._session, address, PUBLIC_URL, path, form, ANSWER_SECONDS)
        kind = {"sent": "8", "delivered": "1"}[said]
        where = address + path.replace("type=%d", f"type={kind}").replace("meta=%D", "meta=")
        return self._session.get(where, timeout=ANSWER_SECONDS).status_code

    def _once(self, posting: Callable[[], int]) -> int:
        try:
            return posting()
        except requests.RequestException:
            return NO_ANSWER

    @property
    def _session(self) -> requests.Session:
        """This thread's own. It goes by no proxy."""
        if not hasattr(self._own, "session"):
            self._own.session = requests.Session()
            self._own.session.trust_env = False
        session: requests.Session = self._own.session
        return session
