"""The gateway `http-NAME`: whatever is its provider's own stands in the profile."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from operator import itemgetter
from urllib.parse import quote

from bot.credentials.keyring import Keyring
from bot.gateways.http import polling, push
from bot.gateways.http.answer import NAME, NoSense, Reading, taken_as
from bot.gateways.http.request import Composed, compose, number
from bot.platform.http_client import HttpAnswer, HttpClient
from bot.ports import (
    Answer,
    Batch,
    Call,
    Inbound,
    Malformed,
    Outbound,
    RandomSource,
    Reason,
    Receipt,
    ReceiptRounds,
    SendFailed,
)
from bot.profiles.places import places
from bot.profiles.profile import RequestTemplate, request_texts
from bot.profiles.provider import Provider

# All that one attempt to send may take, in seconds: asking for the text first, where it may be there, and sending it.
ATTEMPT_SECONDS, RECALL_SECONDS = 10.0, 3.0
# The most pages that one round of asking for texts turns.
PAGES = 10
HOUR = 3600
NEVER_CALLS = "this provider does not call"
# A number that JSON keeps whole everywhere, for texts that are no secret to whom it is sent.
UID_BITS = 53


class HttpGateway:
    """A provider with an HTTP API, by its profile."""

    def __init__(
        self,
        provider: Provider,
        public_url: str,
        keyring: Keyring,
        random_source: RandomSource,
        http: HttpClient,
    ) -> None:
        """Take the provider, the address that it calls, what names texts that it gives no id, and what calls it."""
        self.provider, self.profile, self.name = provider, provider.profile, provider.name
        self.public_url, self.keyring, self.random_source = public_url.rstrip("/"), keyring, random_source
        self.http = http
        self.has_secret_in_path = self.profile.secret == "path"  # noqa: S105

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods of both sections; without any, calls are refused all the same."""
        calls = (self.profile.inbound, self.profile.receipts)
        return tuple(sorted({method for each in calls if each for method in each.methods})) or ("POST",)

    @property
    def heard(self) -> Answer:
        """What [inbound] says."""
        return Answer(200, self.profile.inbound.answer if self.profile.inbound else "")

    @property
    def noted(self) -> Answer:
        """What [receipts] says."""
        return Answer(200, self.profile.receipts.answer if self.profile.receipts else "")

    def address(self, what: str, secret: str) -> str:
        """Where the provider is to bring texts (`sms`) or `receipts`, with this as the secret in it."""
        plain, place = f"{self.public_url}/webhooks/{self.name}/{what}", self.profile.secret
        if place.startswith("query:"):
            return f"{plain}?{place.removeprefix('query:')}={quote(secret, safe='<>')}"
        return f"{plain}/{quote(secret, safe='<>')}" if place == "path" else plain

    def is_authentic(self, call: Call) -> bool:
        """Whether the call carries the secret."""
        return push.is_authentic(self.profile, call, self.provider.secret)

    def read_texts(self, call: Call) -> list[Inbound]:
        """The fields that [inbound] names."""
        if self.profile.inbound is None:
            raise Malformed(NEVER_CALLS)
        return push.read_texts(self.name, self.profile.inbound, call, self._named)

    def read_receipts(self, call: Call) -> list[Receipt]:
        """The fields that [receipts] names."""
        if self.profile.receipts is None:
            raise Malformed(NEVER_CALLS)
        return push.read_receipts(self.name, self.profile.receipts, call)

    def send(self, text: Outbound) -> str:
        """Hand a text over, as a template where it has one; a text that was tried before is first asked for."""
        ends = time.monotonic() + ATTEMPT_SECONDS
        if text.attempt > 1 and (known := self._recalled(text)) is not None:
            return known
        request, id_path = self.request(text, self.provider.values)
        reply = self._call(request, ends - time.monotonic())
        return taken_as(self.profile, reply, uid(text), id_path)

    def request(self, text: Outbound, settings: Mapping[str, str]) -> tuple[Composed, str]:
        """How a text is sent, with these settings; and where its id is, if not where [answer] says.

        SendFailed where the provider takes templates only, and has none for this phrase.
        """
        pattern, written = self.profile.pattern, f"{text.phrase}.{text.language}"
        if pattern is None or (written not in pattern.templates and pattern.otherwise == "text"):
            return compose(self.profile, self.provider.base, self.profile.send, self._values(text, settings)), ""
        if written not in pattern.templates:
            raise SendFailed(Reason.NO_TEMPLATE, permanent=False)
        template, *names = pattern.templates[written]
        chosen = {str(place): text.parameters.get(name, "") for place, name in enumerate(names, 1)}
        values = self._values(text, settings) | {"template": template} | chosen
        return compose(self.profile, self.provider.base, pattern, values), pattern.id

    @property
    def texts_every(self) -> int | None:
        """What [poll.inbound] says."""
        return self.profile.poll.inbound.every if self.profile.poll.inbound else None

    @property
    def receipt_rounds(self) -> ReceiptRounds | None:
        """What [poll.receipts] says."""
        asked = self.profile.poll.receipts
        return ReceiptRounds(asked.batch, asked.from_seconds, asked.until_hours * HOUR) if asked else None

    def poll_inbound(self, cursor: str) -> Batch:
        """One batch where it pops: it has to be stored before the next is fetched. Else every page since the cursor.

        Where a provider keeps texts and tells no date, a whole batch of them in the first round is what has gathered
        for months, and is left out; fewer have come just now.
        """
        asked = self.profile.poll.inbound
        assert asked is not None
        knows_new = asked.pops or bool(asked.date) or bool(cursor)
        cursor = furthest = cursor or asked.start
        pages: list[polling.PolledPage] = []
        for place in range(1, PAGES + 1):
            reply = self._ask(asked, {"cursor": cursor, "page": str(place)})
            pages.append(polling.read_page(self.profile, self.name, asked, reply, furthest, self._named))
            furthest = pages[-1].cursor
            if pages[-1].items < asked.batch or not _turns_pages(asked):
                break
        texts = sorted((pair for page in pages for pair in page.texts), key=itemgetter(0))
        is_full = pages[-1].items >= asked.batch and (asked.pops or furthest != cursor)
        lost = sum(page.lost for page in pages)
        if not knows_new and len(texts) >= asked.batch:
            return Batch([], furthest, is_full, lost, old=len(texts))
        return Batch([text for _, text in texts], furthest, is_full, lost)

    def poll_receipts(self, names: Sequence[str]) -> list[Receipt]:
        """One call of [poll.receipts]."""
        asked = self.profile.poll.receipts
        assert asked is not None
        reply = self._ask(asked, {"ids": ",".join(names)})
        return polling.read_receipts(self.profile, self.name, asked, reply, names)

    def _recalled(self, text: Outbound) -> str | None:
        """The provider's id of a text that it has from an earlier attempt; None where it has none, or can't tell.

        SendFailed where it can't be reached: sending would fare no better.
        """
        recall = self.profile.recall
        if recall is None:
            return None
        reply = self._ask(recall, {"uid": uid(text), "ref": uid(text)}, RECALL_SECONDS)
        try:
            found = Reading("json", reply.body, reply.content_type).value(recall.id)
        except NoSense:
            return None
        is_there = reply.status == 200 and found is not None and found not in recall.none and NAME.fullmatch(found)
        return found if is_there else None

    def _ask(self, asked: RequestTemplate, values: Mapping[str, str], seconds: float | None = None) -> HttpAnswer:
        return self._call(compose(self.profile, self.provider.base, asked, {**self.provider.values, **values}), seconds)

    def _call(self, request: Composed, seconds: float | None = None) -> HttpAnswer:
        return self.http.request(
            request.method, request.url, headers=request.headers, body=request.body, seconds=seconds
        )

    def _values(self, text: Outbound, settings: Mapping[str, str]) -> dict[str, str]:
        return {
            **settings,
            "to": number(text.to, self.profile.numbers),
            "text": text.text,
            "uid": uid(text),
            "ref": uid(text),
            "seconds": str(text.validity),
            "minutes": str(max(1, text.validity // 60)),
            "receipts": self.address("receipts", settings.get("inbound_secret", "")),
        }

    def _named(self, sender: str, text: str, date: str) -> str:
        """An id for a text that has none. Without a date a fresh one: by a digest a second «رمز» would be a repeat."""
        if not date:
            return f"f{self.random_source.token()}"
        return "d" + self.keyring.alias("\n".join((sender, date, text)))[:43]


def uid(text: Outbound) -> str:
    """Our own id of a text at the provider: the same for every attempt, another for every text.

    Our number of it alone would not do: where a database is begun anew, or a second service has the same account,
    the provider would take a new text for one that it has sent before.
    """
    whole = hashlib.sha256(f"{text.ref}\n{text.to}\n{text.text}".encode()).digest()
    return str((int.from_bytes(whole[:8]) >> (64 - UID_BITS)) | 1)


def _turns_pages(asked: RequestTemplate) -> bool:
    return "page" in {name for name, _ in places(request_texts(asked))}
