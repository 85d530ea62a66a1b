"""The providers' side of a world: what they took, what they are in trouble with, and their receipts."""

import heapq
import time
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import count
from random import Random
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from tests.providers import kannel_standin, twilio_standin
from tests.providers.kannel_standin import KannelStandIn, Taken
from tests.providers.twilio_standin import PUBLIC_URL, TwilioStandIn
from tests.soak.doors import DONE, Doors

# In seconds: how often what came in is looked through; how long a slow provider takes.
LOOK_SECONDS, SLOW_SECONDS = 0.02, 4.0
TELLERS = 4
TRIES = 4  # of a receipt that is not answered
TROUBLES = ("500", "429", "hang", "reset", "slow")
WAYS = ("usual", "lost", "late", "twice")
OF_TWILIO: dict[str, twilio_standin.Trouble] = {
    "500": twilio_standin.SERVER_ERROR,
    "429": twilio_standin.TOO_MANY,
    "hang": twilio_standin.Hang(),
    "reset": twilio_standin.Cut(),
    "slow": twilio_standin.Slow(SLOW_SECONDS),
}


@dataclass(frozen=True)
class Arrived:
    """A text that a provider took. `sid` is the provider's id of it, `ref` ours, `at` is on the monotonic clock."""

    gateway: str
    sid: str
    ref: int
    to: str = field(repr=False)
    body: str = field(repr=False)
    at: float
    callback: str = field(repr=False)


class SoakKannel(KannelStandIn):
    """smsbox, which can be in trouble until it is mended, and knows when it took what."""

    def __init__(self) -> None:
        """Begin well."""
        super().__init__()
        self.trouble: str | None = None
        self.mended = Event()
        self.times: list[float] = []
        self._lock = Lock()

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> kannel_standin.Trouble:
        """Take a call, or say what is wrong with it."""
        match self.trouble:
            case "500":
                return 500, b"Internal error"
            case "429":
                return 429, b"Too many"
            case "hang":
                self.mended.wait()
                return kannel_standin.Cut()
            case "slow":
                self.mended.wait(SLOW_SECONDS)
        with self._lock:  # so that both lists keep one order
            said = super().answer(path, headers, body)
            self.times += [time.monotonic()] * (len(self.taken) - len(self.times))
        return kannel_standin.Cut() if self.trouble == "reset" else said


class Carriers:
    """Both providers of one world. `with Carriers(rng) as carriers:` starts and stops them."""

    def __init__(self, rng: Random) -> None:
        """Listen on free ports."""
        self.twilio, self.kannel, self.rng = TwilioStandIn(), SoakKannel(), rng
        self.arrived: list[Arrived] = []
        self.way = "usual"  # of receipts
        self.doors: Doors | None = None
        self._to: defaultdict[str, list[Arrived]] = defaultdict(list)
        self._seen = {"twilio": 0, "kannel": 0}
        self._due: list[tuple[float, int, Arrived, str, int]] = []
        self._telling, self._lock = 0, Lock()
        self._numbers, self._ending = count(), Event()
        self._threads = [Thread(target=work, daemon=True) for work in (self._look_on, *[self._tell_on] * TELLERS)]

    def __enter__(self) -> Self:
        self.twilio.start()
        self.kannel.__enter__()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.mend()
        self._ending.set()
        self.twilio.stop()
        self.kannel.__exit__()

    def trouble(self, name: str, *gateways: str) -> None:
        """Be in trouble, until mended."""
        if "twilio" in gateways:
            self.twilio.trouble(OF_TWILIO[name], None)
        if "kannel" in gateways:
            self.kannel.mended = Event()
            self.kannel.trouble = name

    def mend(self) -> None:
        """Be well again; what hangs is let go."""
        self.twilio.mend()
        self.kannel.trouble = None
        self.kannel.mended.set()

    def texts_to(self, phone: str) -> list[Arrived]:
        """What a phone was sent, oldest first."""
        return list(self._to[phone])

    def are_quiet(self) -> bool:
        """Whether no receipt waits."""
        with self._lock:
            return not self._due and not self._telling

    def _look_on(self) -> None:
        while not self._ending.wait(LOOK_SECONDS):
            self.look()

    def look(self) -> None:
        """Take in what has come since the last look, and plan its receipts."""
        twilio, kannel = self.twilio.taken, self.kannel.taken
        new = [_of_twilio(message) for message in twilio[self._seen["twilio"] :]]
        places = range(self._seen["kannel"], len(self.kannel.times))
        new += [self._of_kannel(kannel[place], place) for place in places]
        self._seen = {"twilio": self._seen["twilio"] + len(new) - len(places), "kannel": places.stop}
        for text in new:
            self.arrived.append(text)
            self._to[text.to].append(text)
            self._plan(text)

    def _of_kannel(self, taken: Taken, place: int) -> Arrived:
        callback = taken.headers["x-kannel-dlr-url"].replace("%%", "%")
        name = parse_qs(urlsplit(callback).query)["ref"][0]
        ref, to = int(name.partition(".")[0]), taken.headers["x-kannel-to"]
        return Arrived("kannel", name, ref, to, taken.text, self.kannel.times[place], _path(callback))

    def _plan(self, text: Arrived) -> None:
        soon = time.monotonic() + self.rng.uniform(0.1, 1.0)
        match self.way:
            case "usual":
                self._push(soon, text, "delivered")
            case "late":
                self._push(soon + 10, text, "delivered")
            case "twice":
                for said in ("delivered", "delivered", "sent"):
                    self._push(soon, text, said)

    def _push(self, at: float, text: Arrived, said: str, tries: int = TRIES) -> None:
        with self._lock:
            heapq.heappush(self._due, (at, next(self._numbers), text, said, tries))

    def _tell_on(self) -> None:
        while not self._ending.wait(LOOK_SECONDS):
            with self._lock:
                self._telling += 1
                due = heapq.heappop(self._due) if self._due and self._due[0][0] <= time.monotonic() else None
            if due:
                self._tell(*due[2:])
            with self._lock:
                self._telling -= 1

    def _tell(self, text: Arrived, said: str, tries: int) -> None:
        assert self.doors is not None
        status = self.doors.receipt(text.gateway, text.callback, text.sid, said)
        if status not in DONE and tries > 1:
            self._push(time.monotonic() + 3, text, said, tries - 1)


def _of_twilio(message: twilio_standin.Message) -> Arrived:
    callback = message.form["StatusCallback"]
    ref = int(parse_qs(urlsplit(callback).query)["ref"][0])
    return Arrived("twilio", message.sid, ref, message.to, message.body, message.at, _path(callback))


def _path(callback: str) -> str:
    return callback.removeprefix(PUBLIC_URL)
