"""A season that is played, not made: people text, gateways fail, receipts come late, twice or never, and jobs run.

The clock moves from one thing that happens to the next. What came of it all is told by the carriers' side alone: by
what they were handed, when, and what they said of it. Nothing is asked of the bot's database.
"""

import heapq
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count
from random import Random

from sqlalchemy import insert

from bot.build import Bot
from bot.platform.clock import today_in_tehran
from bot.ports import Inbound, Outbound, Reason, Receipt, SendFailed
from store.database.engine import Store
from store.tables import AccountRow, CloseReason, DeliveryStatus, MessageKind, table
from tests.support.parts import Carrier, StoppedClock

PROVINCES = ("تهران", "فارس", "قم", "خوزستان")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
CODE_LIVES = timedelta(seconds=600)
# Nobody begins anew so soon after having begun: five codes an hour are the most.
RESTED = timedelta(hours=2)
SWEEP_SECONDS = 10.0
POINTS = {MessageKind.CODE: "code", MessageKind.PASSWORD: "password"}
SENT_THOUGH_OVER = "sent though it was refused, or withdrawn by its owner"
DIGITS = re.compile(r"(?<!\d)\d{6}(?!\d)", re.ASCII)
# In a hundred, what becomes of a text that a carrier has taken, and what a person does who has a code.
FATES = [
    *(["soon"] * 80 + ["late"] * 6 + ["hours late"] * 2),
    *(["twice"] * 4 + ["lost"] * 3 + ["sent only"] + ["fails"] * 4),
]
DEEDS = [
    *(["right"] * 80 + ["wrong first"] * 8 + ["wrong to the end"] * 2),
    *(["nothing"] * 6 + ["stop"] * 2 + ["cancel"] * 2),
]


def settle_people(store: Store, number: int) -> None:
    """Put so many account holders into the store, over four provinces."""
    rows = [
        {
            "id": n + 1,
            "national_id": national_id(n),
            "username": f"leader{n}",
            "username_key": f"leader{n}",
            "mobile": mobile(n),
            "province": PROVINCES[n % len(PROVINCES)],
            "active": True,
            "failures": 0,
        }
        for n in range(number)
    ]
    with store.writing() as connection:
        connection.execute(insert(table(AccountRow)), rows)


def mobile(number: int) -> str:
    """The registered mobile of a person."""
    return f"+98912{number:07d}"


def national_id(number: int) -> str:
    """An ID whose check digit is right."""
    first = f"{300000000 + number * 7:09d}"
    rest = sum(int(digit) * (10 - place) for place, digit in enumerate(first)) % 11
    return first + str(rest if rest < 2 else 11 - rest)


@dataclass
class Sent:
    """What a carrier knows of a text of a control point."""

    point: str
    person: int
    heard_at: datetime
    written_at: datetime
    code: "Code"  # that it brings, or that it answers
    by: str = ""
    delivered_at: datetime | None = None
    failed: bool = False  # a carrier said so
    seen_by_operator: bool = False  # a receipt said sent, and no more
    withdrawn: bool = False  # its owner said so within the minute, before any carrier had taken it

    @property
    def dies_at(self) -> datetime:
        """When nobody tries to send it any more."""
        return self.heard_at + (CODE_LIVES if self.point == "code" else DAY)

    @property
    def outcome(self) -> str:
        """What became of it, as bot/reports/kpi.py names it; right once all is over."""
        if self.delivered_at is not None:
            return "in_time" if self.delivered_at - self.heard_at <= MINUTE else "late"
        if self.failed or not self.by:
            return "withdrawn" if self.withdrawn else "failed"
        return "pending" if self.seen_by_operator else "no_receipt"


@dataclass
class Code:
    """The code that a person has asked for last."""

    digits: str
    until: datetime
    fate: str = CloseReason.EXPIRED.value
    wrong: int = 0

    def is_live(self, now: datetime) -> bool:
        return self.fate == CloseReason.EXPIRED and now < self.until


@dataclass
class Tally:
    """What a season came to, out of what its carriers know."""

    points: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in POINTS.values()})
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(POINTS.values(), 0.0))
    days: Counter[tuple[str, date]] = field(default_factory=Counter)
    provinces: Counter[tuple[str, str]] = field(default_factory=Counter)
    delivered_by: Counter[tuple[str, str]] = field(default_factory=Counter)
    fates: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)


class PlayedCarrier(Carrier):
    """A gateway as the season has it."""

    def __init__(self, name: str, hand_over: Callable[[str, Outbound], None]) -> None:
        """Take its name, and what is asked of each text: SendFailed, or nothing."""
        super().__init__(name)
        self.hand_over = hand_over

    def send(self, text: Outbound) -> str:
        self.hand_over(self.name, text)
        return f"{self.name}-{text.ref}"


class Season:
    """One season, by a seed. `gateways` are the carriers that its bot is to be built with; then give it that bot."""

    bot: Bot

    def __init__(self, clock: StoppedClock, people: int, counted_every: timedelta = HOUR) -> None:
        """Take the bot's clock, how many people there are, and how often texts are counted: most of a small season."""
        self.clock, self.people, self.counted_every = clock, people, counted_every
        names = ("first", "second")
        self.gateways = [PlayedCarrier(name, self._hand_over) for name in names]
        self._numbers = count()
        self._agenda: list[tuple[datetime, int, Callable[[], object]]] = []
        self._first_of_season(0)

    def _first_of_season(self, seed: int) -> None:
        self.random = Random(seed)
        self.sent: dict[int, Sent] = {}
        self.codes: list[Code] = []
        self.faults: Counter[str] = Counter()
        self._code_of: dict[int, Code] = {}
        self._resent: Sent | None = None
        self._waiting: set[int] = set()
        self._is_sweeping = False
        self._refused: set[int] = set()
        self._began_at: dict[int, datetime] = {}
        self._down: dict[str, list[tuple[datetime, datetime]]] = {it.name: [] for it in self.gateways}
        self._rested_at = self._counted_at = self.clock.now

    def play(self, recoveries: int, seed: int, days: int) -> Tally:
        """Play so many recoveries over so many days, with the jobs in between, and a day more until all is over."""
        self._first_of_season(seed)
        begin = self.clock.now
        self._plan_outages(begin, days)
        for _ in range(recoveries):
            self._at(begin + timedelta(seconds=self.random.uniform(0, days * 86_400 - 3_600)), self._begin)
        for day in range(1, days + 2):
            self._at(begin + day * DAY, self._end_day)
        while self._agenda:
            moment, _, happens = heapq.heappop(self._agenda)
            self.clock.now = max(self.clock.now, moment)
            if self.clock.now - self._rested_at >= HOUR:
                self.rest()
            happens()
        self.rest()
        return self._tally()

    def rest(self) -> None:
        """What an hour's jobs do."""
        self._rested_at = self.clock.now
        jobs = {job.name: job for job in self.bot.jobs.all()}
        for name in ("codes", "outbox", "conversations", "audit", "counting"):
            jobs[name].run()
        if self.clock.now - self._counted_at >= self.counted_every:
            self._counted_at = self.clock.now
            jobs["measures"].run()

    def wait(self, until: datetime) -> None:
        """Let time pass in which nobody texts; jobs run to their ends."""
        self.clock.now = max(self.clock.now, until)
        jobs = {job.name: job for job in self.bot.jobs.all()}
        self.rest()
        while jobs["measures"].run():
            pass
        jobs["forget"].run()
        jobs["heartbeat"].run()

    # What happens

    def _at(self, moment: datetime, happens: Callable[[], object]) -> None:
        heapq.heappush(self._agenda, (moment, next(self._numbers), happens))

    def _after(self, seconds: float, happens: Callable[[], object]) -> None:
        self._at(self.clock.now + timedelta(seconds=seconds), happens)

    def _plan_outages(self, begin: datetime, days: int) -> None:
        """Each carrier is down for an hour a week; and once all are, for longer than a code lives."""
        for spans in self._down.values():
            for week in range(days // 7):
                start = begin + timedelta(days=7 * week, seconds=self.random.uniform(0, 6 * 86_400))
                spans.append((start, start + HOUR))
        start = begin + timedelta(days=days / 2)
        for spans in self._down.values():
            spans.append((start, start + HOUR))
        # Somebody is there to see it.
        for minutes in (0, 3, 30):
            self._at(start + timedelta(minutes=minutes), self._begin)
        self._at(start + timedelta(minutes=5), self._begin_and_stop)

    def _end_day(self) -> None:
        self.rest()
        next(job for job in self.bot.jobs.all() if job.name == "forget").run()

    def _begin_and_stop(self) -> None:
        """Somebody asks, and within the minute wants no text any more, before any carrier has taken one."""
        person = self._begin()
        code = self._code_of[person]
        self._after(20, lambda: self._end(person, code, "stop"))

    def _begin(self) -> int:
        """Somebody who has not of late asks for a code; who that is."""
        now = self.clock.now
        rested = (n for n in iter(lambda: self.random.randrange(self.people), -1))
        person = next(n for n in rested if now - self._began_at.get(n, now - DAY) >= RESTED)
        self._began_at[person] = now
        self._ask(person, times=1)
        return person

    def _ask(self, person: int, times: int) -> None:
        """A request; the code that its person had is void then."""
        now, former = self.clock.now, self._code_of.get(person)
        if former is not None and former.is_live(now):
            former.fate = CloseReason.VOIDED.value
        code = Code("", now + CODE_LIVES)
        self._code_of[person] = code
        self.codes.append(code)
        self._text(person, f"رمز {national_id(person)}")
        if times < 3 and self.random.random() < 0.5:
            self._after(self.random.uniform(90, 200), lambda: self._ask_again(person, code, times))

    def _ask_again(self, person: int, code: Code, times: int) -> None:
        """Who has seen no code by now asks once more."""
        if not code.digits and self._code_of[person] is code and code.is_live(self.clock.now):
            self.faults["asked again"] += 1
            self._ask(person, times + 1)

    def _has_code(self, person: int, code: Code, digits: str) -> None:
        """A code has come to a phone: what its owner does with it, a little later."""
        if not code.is_live(self.clock.now):
            return
        code.digits = digits
        deed = self.random.choice(DEEDS)
        after = self.random.uniform(3, 100)
        if deed in {"stop", "cancel"}:
            self._after(after, lambda: self._end(person, code, deed))
        elif deed != "nothing":
            wrong = {"right": 0, "wrong first": 1 + self.random.randrange(3), "wrong to the end": 5}[deed]
            self._after(after, lambda: self._hand_back(person, code, wrong))

    def _hand_back(self, person: int, code: Code, wrong: int) -> None:
        if self._code_of[person] is not code or not code.is_live(self.clock.now):
            return
        if wrong:
            self.faults["wrong code"] += 1
            code.wrong += 1
            if code.wrong == 5:
                code.fate = CloseReason.BURNED.value
            self._text(person, "000000" if code.digits != "000000" else "111111")
            self._after(5, lambda: self._hand_back(person, code, wrong - 1))
            return
        code.fate = CloseReason.USED.value
        self._text(person, code.digits)

    def _end(self, person: int, code: Code, deed: str) -> None:
        if self._code_of[person] is code and code.is_live(self.clock.now):
            self._withdraw(person, code, deed)

    def _withdraw(self, person: int, code: Code, deed: str) -> None:
        now = self.clock.now
        self.faults[deed] += 1
        code.fate = CloseReason.CANCELLED.value
        for text in [self.sent[ref] for ref in self._waiting]:
            if text.person == person:
                text.failed, text.withdrawn = True, now - text.heard_at <= MINUTE
        self._text(person, "لغو11" if deed == "stop" else "انصراف")

    def _text(self, person: int, words: str) -> None:
        """The bot hears a text, twice where the provider repeats itself, and sends what is due."""
        inbound = Inbound(self.gateways[0].name, f"S{next(self._numbers)}", mobile(person), words)
        repeats = self.random.random() < 0.05
        self.faults["repeated by the provider"] += repeats
        for _ in range(1 + repeats):
            self.bot.hear(inbound)
        self._send()

    def _send(self) -> None:
        self.bot.courier.deliver_due()

    # The carriers' side

    def _hand_over(self, name: str, outbound: Outbound) -> None:
        """A text as a carrier is handed it: taken, or SendFailed."""
        now, point, person = self.clock.now, POINTS.get(outbound.kind), int(outbound.to[-7:])
        text = self.sent.get(outbound.ref)
        if text is None and point is not None:
            heard_at = self._resent.heard_at if self._resent else now
            text = self.sent[outbound.ref] = Sent(point, person, heard_at, now, self._code_of[person])
            self._waiting.add(outbound.ref)
            if self.random.random() < 0.02:
                self._refused.add(outbound.ref)
        if any(start <= now < end for start, end in self._down[name]):
            self.faults[f"{name} is down"] += 1
            self._sweep_soon()
            raise SendFailed(Reason.NO_CONNECTION, permanent=False)
        if text is None:
            return
        if text.failed:  # no error here: the bot would take it for the carrier's
            self.faults[SENT_THOUGH_OVER] += 1
            return
        if outbound.ref in self._refused:
            text.failed = True
            self._waiting.remove(outbound.ref)
            self.faults["refused"] += 1
            raise SendFailed(Reason.NOT_A_MOBILE, permanent=True)
        if text.by:  # a copy, to see whether this carrier is well again: what it says of it changes nothing
            self.faults["probe"] += 1
            self._after(20, lambda: self._say(name, outbound.ref, DeliveryStatus.DELIVERED))
            return
        text.by = name
        self._waiting.remove(outbound.ref)
        self._plan(text, outbound)

    def _sweep_soon(self) -> None:
        """The sweeps of a time in which a carrier is down: they go on for as long as something waits."""
        if not self._is_sweeping:
            self._is_sweeping = True
            self._after(SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        self._is_sweeping = False
        self._send()
        jobs = {job.name: job for job in self.bot.jobs.all()}
        for name in ("codes", "outbox"):
            jobs[name].run()
        # A code's text dies with it; a password's outlives every outage.
        over = {it for it in self._waiting if self.sent[it].dies_at <= self.clock.now}
        self._waiting -= over
        if self._waiting:
            self._sweep_soon()

    def _plan(self, text: Sent, outbound: Outbound) -> None:
        """What a carrier will say of a text that it has taken, and when."""
        fate, ref = self.random.choice(FATES), outbound.ref
        self.faults[fate] += 1
        arrives = {"late": self.random.uniform(61, 500), "hours late": self.random.uniform(1, 14) * 3_600}
        after = arrives.get(fate, self.random.uniform(1, 45))
        if fate == "lost":
            self._after(after, lambda: self._arrive(text, outbound))
        elif fate == "sent only":
            self._after(after, lambda: self._say(text.by, ref, DeliveryStatus.SENT))
            text.seen_by_operator = True
        elif fate == "fails":
            self._after(after, lambda: self._fail(text, ref))
        else:
            self._after(after, lambda: self._deliver(text, outbound))
        if fate == "twice":  # and out of order
            self._after(after + 1, lambda: self._say(text.by, ref, DeliveryStatus.SENT))
            self._after(after + 30, lambda: self._say(text.by, ref, DeliveryStatus.DELIVERED))

    def _arrive(self, text: Sent, outbound: Outbound) -> None:
        """The phone has it."""
        if text.point == "code":
            found = DIGITS.search(outbound.text)
            assert found is not None
            self._has_code(text.person, text.code, found[0])

    def _deliver(self, text: Sent, outbound: Outbound) -> None:
        text.delivered_at = self.clock.now
        self._say(text.by, outbound.ref, DeliveryStatus.DELIVERED)
        self._arrive(text, outbound)

    def _fail(self, text: Sent, ref: int) -> None:
        """It did not arrive. A code goes out once more, with other digits, and its minute began with the first."""
        text.failed, self._resent = True, text
        self._say(text.by, ref, DeliveryStatus.FAILED, Reason.UNREACHABLE)
        self._send()
        self._resent = None

    def _say(self, name: str, ref: int, status: DeliveryStatus, error: Reason | None = None) -> None:
        self.bot.note(Receipt(name, f"{name}-{ref}", status, error))

    # What it came to

    def _tally(self) -> Tally:
        tally = Tally(fates=Counter(code.fate for code in self.codes), faults=self.faults)
        for text in self.sent.values():
            tally.points[text.point][text.outcome] += 1
            tally.days[text.point, today_in_tehran(text.written_at)] += 1
            tally.provinces[text.point, PROVINCES[text.person % len(PROVINCES)]] += 1
            if text.delivered_at is not None:
                tally.seconds[text.point] += (text.delivered_at - text.heard_at).total_seconds()
                tally.delivered_by[text.point, text.by] += 1
        return tally
