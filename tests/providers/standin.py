"""What stand-ins for HTTP providers have in common: what they were asked, and the trouble that they can be in."""

import base64
import json
import time
from dataclasses import dataclass, field
from itertools import count
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from tests.providers.http_standin import Called, HttpStandIn, Write


@dataclass(frozen=True)
class Page:
    """An answer, whatever it is."""

    body: str | bytes
    status: int = 200
    content_type: str = "text/html"
    headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Hang:
    """No answer until the stand-in is mended or stopped. `taken`: but it did what it was asked."""

    taken: bool = False


@dataclass(frozen=True)
class Cut:
    """The connection ends: before the answer, or in the middle of it. `taken`: but it did what it was asked."""

    midway: bool = False
    taken: bool = False


@dataclass(frozen=True)
class Drip:
    """An answer whose bytes come one by one, so many seconds apart."""

    seconds: float


Trouble = Page | Hang | Cut | Drip

HTML = Page("<html>Bad gateway</html>", 502)
WELCOME = Page("<html>Welcome to the hotel's WiFi</html>")
TOO_MANY = Page("Too many requests", 429)
HALF = Page('{"return": {"status": 200, "mess', 200, "application/json")
EMPTY = Page("", 200, "application/json")
ENDLESS = Page("[" * (1024 * 1024 + 1), 200, "application/json")


def redirect_to(url: str) -> Page:
    """An answer that points elsewhere."""
    return Page("", 302, headers=(f"Location: {url}",))


def answer(data: Any, status: int = 200) -> Page:
    """An answer in JSON."""
    return Page(json.dumps(data, ensure_ascii=False), status, "application/json")


@dataclass(frozen=True)
class Asked:
    """A call, taken apart."""

    method: str
    path: str
    query: dict[str, str] = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def form(self) -> dict[str, str]:
        """The form that it brings."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def json(self) -> Any:
        """The JSON that it brings; None where there is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def user(self) -> tuple[str, str]:
        """Who asks, by Basic."""
        given = self.headers.get("authorization", "").removeprefix("Basic ")
        user, _, password = base64.b64decode(given).decode().partition(":")
        return user, password


@dataclass(frozen=True)
class Taken:
    """A text that the provider took."""

    to: str
    text: str = field(repr=False)
    id: str
    uid: str = ""
    template: str = ""


@dataclass(frozen=True)
class Waiting:
    """A text that came in and waits to be fetched."""

    sender: str
    text: str = field(repr=False)
    id: str
    at: float


class ProviderStandIn(HttpStandIn):
    """A provider on loopback. `with KavenegarStandIn() as provider:` starts and stops it."""

    SETTINGS: ClassVar[dict[str, str]] = {}  # what its profile needs, by the names in it

    def __init__(self) -> None:
        """Listen on a free port."""
        super().__init__()
        self.asked: list[Asked] = []
        self.taken: list[Taken] = []
        self.waiting: list[Waiting] = []
        self.states: dict[str, str] = {}  # of texts, by their id
        self.ids = count(8_792_343)
        self._troubles: list[tuple[str, Trouble]] = []
        self._lasting: dict[str, Trouble] = {}

    def respond(self, asked: Asked) -> Page:
        """What the provider says to a call. Each stand-in has its own; it is called by one thread at a time."""
        raise NotImplementedError

    def trouble(self, *troubles: Trouble, at: str = "") -> None:
        """Be in trouble, one a call; at calls whose path has this in it."""
        with self._changed:
            self._troubles += [(at, each) for each in troubles]
            self._may_hang()

    def last(self, trouble: Trouble, at: str = "") -> None:
        """Be in trouble until mended."""
        with self._changed:
            self._lasting[at] = trouble
            self._may_hang()

    def forget_troubles(self) -> None:
        """Those that were to come, and those that last."""
        self._troubles.clear()
        self._lasting.clear()

    def texts_to(self, phone: str) -> list[str]:
        """What a phone in E.164 was sent, oldest first."""
        return [it.text for it in list(self.taken) if it.to == phone]

    def bring(self, sender: str, text: str) -> None:
        """Have a text wait to be fetched."""
        with self._changed:
            self.waiting.append(Waiting(sender, text, str(next(self.ids)), time.time()))

    def take(self, to: str, text: str, uid: str = "", template: str = "") -> str:
        """Take a text for a phone, however it is written; its id."""
        name = str(next(self.ids))
        self.taken.append(Taken(e164(to), text, name, uid, template))
        return name

    def talk(self, called: Called, write: Write) -> bool:
        """Answer one call, or be in trouble with it."""
        parts = urlsplit(called.target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        asked = Asked(called.method, parts.path, query, called.headers, called.body)
        return _written(*self.answer(asked), write)

    def answer(self, asked: Asked) -> tuple[Trouble | None, Page]:
        """Take one call; the trouble with it, and what is said. For the connections."""
        with self._changed:
            self.asked.append(asked)
            trouble, mended = self._next_trouble(asked), self._mended
            does = trouble is None or isinstance(trouble, Drip) or getattr(trouble, "taken", False)
            page = self.respond(asked) if does else Page('{"an answer": "of which the half is left out"}')
            self._changed.notify_all()
        if isinstance(trouble, Hang):
            mended.wait()
        return trouble, trouble if isinstance(trouble, Page) else page

    def _next_trouble(self, asked: Asked) -> Trouble | None:
        for place, (at, trouble) in enumerate(self._troubles):
            if at in asked.path:
                del self._troubles[place]
                return trouble
        return next((trouble for at, trouble in self._lasting.items() if at in asked.path), None)


def e164(written: str) -> str:
    """A number as providers write them, in E.164."""
    digits = written.removeprefix("+").removeprefix("00")
    return f"+98{digits.removeprefix('98').removeprefix('0')}"


def _written(trouble: Trouble | None, page: Page, write: Write) -> bool:
    """Write an answer, as far as the trouble lets it; whether the connection lives on."""
    if isinstance(trouble, Hang) or (isinstance(trouble, Cut) and not trouble.midway):
        return False
    content = page.body.encode() if isinstance(page.body, str) else page.body
    lines = [f"HTTP/1.1 {page.status} Answer", f"Content-Type: {page.content_type}", *page.headers]
    whole = "\r\n".join([*lines, f"Content-Length: {len(content)}", "", ""]).encode() + content
    if isinstance(trouble, Cut):
        whole = whole[: -len(content) // 2 or None]
    if isinstance(trouble, Drip):
        for byte in whole:
            write(bytes([byte]))
            time.sleep(trouble.seconds)
        return True
    write(whole)
    return not isinstance(trouble, Cut)
