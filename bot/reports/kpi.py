"""The figures: both control points, what became of codes and texts. The console and `flask kpi` show these.

A control point is met where a text was delivered within 60 s of the moment when the text that it answers was heard.
Its share is of all texts that were bound to be: delivered in time, or late, or failed, or on the way for over a
minute. Left out are those under a minute old, those that their owner withdrew within the minute (a newer code, a
cancellation, a STOP), and those that a provider took and never sent a receipt for. The last are told apart: nobody
knows whether they arrived. `share_at_least` holds them all for missed.

What counts as what is written once, in store/views/delivery_stats.py.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache, cached_property
from typing import TypeVar

from sqlalchemy import Connection

from bot.platform.clock import HOUR, days_of, midnight, today_in_tehran
from store import audit, outbound_messages, stats_periods, webhook_events
from store.database.engine import Store
from store.service import circuit_breakers, heartbeats
from store.service.circuit_breakers import GatewayHealth
from store.stats_periods import Kept
from store.views import delivery_stats
from store.views.delivery_stats import (
    EVERYBODY,
    IN_TIME,
    LATE_TEXTS,
    STEPS,
    TARGET,
    Cell,
    Counts,
    DeliveryOutcome,
    Scope,
    Subject,
)

Key = TypeVar("Key")
POINTS = (Subject.CODE, Subject.PASSWORD)
TARGET_SECONDS = int(TARGET.total_seconds())
# The job that counts has run so lately that it is sure to come back.
COUNTING = timedelta(minutes=2)
# The share of texts that are to be there within it. The process card names the minute, and no share.
TARGET_SHARE = 0.95
PERCENTILES = (50, 95, 99)
DAY = timedelta(days=1)


@dataclass
class Point:
    """What one control point came to, out of counts as store/views/delivery_stats.py names them."""

    counts: Counts = field(default_factory=Counter)

    @cached_property
    def by_seconds(self) -> dict[int, int]:
        """How many texts were delivered within how many seconds, the quickest first."""
        return {int(name): self.counts[name] for name in sorted(filter(str.isdigit, self.counts), key=int)}

    @cached_property
    def in_time(self) -> int:
        """Texts delivered within the minute."""
        return sum(texts for seconds, texts in self.by_seconds.items() if seconds <= TARGET_SECONDS)

    @cached_property
    def late(self) -> int:
        """Texts delivered after it."""
        return sum(self.by_seconds.values()) - self.in_time

    @property
    def failed(self) -> int:
        """Texts refused, undeliverable, or never taken by a provider."""
        return self.counts[DeliveryOutcome.FAILED]

    @property
    def pending(self) -> int:
        """Texts over a minute old that are on their way, by a receipt, or were not taken yet."""
        return self.counts[DeliveryOutcome.PENDING]

    @property
    def no_receipt(self) -> int:
        """Texts over a minute old that a provider took and has said nothing of since."""
        return self.counts[DeliveryOutcome.NO_RECEIPT]

    @property
    def open(self) -> int:
        """Texts under a minute old."""
        return self.counts[DeliveryOutcome.OPEN]

    @property
    def withdrawn(self) -> int:
        """Texts that their owner no longer wanted within the minute."""
        return self.counts[DeliveryOutcome.WITHDRAWN]

    @property
    def missed(self) -> int:
        """Texts that were not delivered within the minute, as far as is known."""
        return self.late + self.failed + self.pending

    @property
    def texts(self) -> int:
        """All texts, whatever became of them."""
        return self.in_time + self.missed + self.no_receipt + self.open + self.withdrawn

    @property
    def share(self) -> float | None:
        """The share in time, from 0 to 1, of the texts whose fate is known; None where there are none."""
        return _share(self.in_time, self.missed)

    @property
    def is_below(self) -> bool:
        """Whether the share is known, and falls short of TARGET_SHARE."""
        return self.share is not None and self.share < TARGET_SHARE

    @property
    def share_at_least(self) -> float | None:
        """The same, where all texts without a receipt were missed."""
        return _share(self.in_time, self.missed + self.no_receipt)

    @property
    def mean(self) -> float | None:
        """The mean seconds to delivery; None where nothing was delivered."""
        texts = self.in_time + self.late
        return (
            sum(self.counts[f"{STEPS[-1]}:{when}"] for when in (IN_TIME, LATE_TEXTS)) / texts / 1000 if texts else None
        )

    def percentile(self, percent: int) -> int | None:
        """Within how many seconds so many of a hundred delivered texts were there; None where none was."""
        wanted = -(-(self.in_time + self.late) * percent // 100)
        for seconds, texts in self.by_seconds.items():
            wanted -= texts
            if wanted <= 0:
                return seconds
        return None

    def waterfall(self, when: str = IN_TIME) -> list[tuple[str, float]]:
        """The mean seconds of each step, one after the other, of the texts delivered IN_TIME, or of LATE_TEXTS."""
        texts = self.in_time if when == IN_TIME else self.late
        if not texts:
            return []
        until = [self.counts[f"{step}:{when}"] / texts / 1000 for step in STEPS]
        return [(step, end - begin) for step, begin, end in zip(STEPS, [0.0, *until], until, strict=False)]


def _share(part: int, rest: int) -> float | None:
    return part / (part + rest) if part + rest else None


@dataclass
class Views:
    """One control point, whole and in parts. A day without texts has its place; an unknown province is ''."""

    whole: Point
    days: dict[date, Point]
    provinces: dict[str, Point]
    gateways: dict[str, Point]


@dataclass(frozen=True)
class Figures:
    """All figures of a period, both of its days with it. Those that no account can be told of are everybody's only.

    `codes` is what became of them: used, expired, burned, voided, cancelled, live. `errors` are texts of any kind
    that were not delivered, by (gateway, reason). `locked` accounts still are. `unanswered` texts were heard and
    answered with silence.
    """

    first: date
    last: date
    scope: Scope
    points: dict[Subject, Views]
    codes: dict[str, int]
    errors: dict[tuple[str, str], int]
    locked: int
    unanswered: int | None

    @property
    def codes_sent(self) -> int:
        """All codes."""
        return sum(self.codes.values())

    @property
    def is_empty(self) -> bool:
        """Whether there was nothing at all."""
        counts = [views.whole.texts for views in self.points.values()]
        return not any([*counts, self.codes_sent, self.errors, self.locked, self.unanswered])


@dataclass(frozen=True)
class Now:
    """The present state: since when the oldest text and the oldest event for Fakher wait, how jobs and gateways do.

    `heartbeats` is when each job last ran to its end, `gateways` the health of every one that ever failed;
    `oldest_unsealed` since when a row of the audit waits for its seal.
    """

    oldest_unsent: datetime | None
    oldest_untold: datetime | None
    heartbeats: dict[str, datetime]
    gateways: dict[str, GatewayHealth]
    oldest_unsealed: datetime | None = None


def now_of(store: Store) -> Now:
    """Read the present state of texts, events, jobs and gateways, of the whole country."""
    with store.reading() as connection:
        return Now(
            outbound_messages.oldest_queued(connection),
            webhook_events.oldest_waiting(connection),
            heartbeats.last(connection),
            circuit_breakers.every(connection),
            audit.oldest_waiting(connection),
        )


def per_cent(share: float) -> float:
    """A share in per cent, to a tenth, never rounded up to what was not reached."""
    return int(share * 1000 + 1e-9) / 10


def figures(store: Store, first: date, last: date, now: datetime, scope: Scope = EVERYBODY) -> Figures:
    """The figures of the days from one to another, both with them; receipts hours late are in them after a minute.

    A broker's are counted out of the broker's own texts. Everybody's and a province's are sums of what was counted
    before, and of what has been added since.
    """
    begin, end = midnight(first), midnight(last + DAY)
    with store.still() as connection:
        sums, day_of = _Sums(first, last), cache(today_in_tehran)
        for at, cell, found in _counted(connection, begin, end, now, scope):
            sums.add(day_of(at), cell, found)
        locked = delivery_stats.locked(connection, begin, end, scope)
    return sums.figures(scope, locked)


@dataclass(frozen=True)
class Today:
    """The figures of the day that it is in Tehran, and its requests (control point 1) by the hours that have begun."""

    figures: Figures
    hours: Sequence[Point]


def today_of(store: Store, now: datetime, scope: Scope = EVERYBODY) -> Today:
    """Today's figures and requests."""
    day = today_in_tehran(now)
    begin, end = midnight(day), midnight(day + DAY)
    hours: list[Counts] = [Counter() for _ in range((now - begin) // HOUR + 1)]
    with store.still() as connection:
        sums = _Sums(day, day)
        for at, cell, found in _counted(connection, begin, end, now, scope, by_hour=True):
            sums.add(day, cell, found)
            if cell.subject == Subject.CODE:
                hours[min((at - begin) // HOUR, len(hours) - 1)].update(found)
        locked = delivery_stats.locked(connection, begin, end, scope)
    return Today(sums.figures(scope, locked), [Point(hour) for hour in hours])


class PastDays:
    """Both control points over days that are over. What a counted period came to never changes, so it is kept here."""

    MOST = 40_000  # sums kept: a season's periods for headquarters and every province, several times over

    def __init__(self, store: Store) -> None:
        """Take the store that is read."""
        self.store = store
        self._kept: dict[tuple[int, str | None], dict[Subject, Counts]] = {}

    def points(self, first: date, last: date, now: datetime, scope: Scope = EVERYBODY) -> dict[Subject, Point]:
        """Each control point over the days from one to another, both with them, of everybody or of a province."""
        begin, end = midnight(first), midnight(last + DAY)
        sums: dict[Subject, Counts] = {point: Counter() for point in POINTS}
        with self.store.still() as connection:
            spans = _sound(connection, begin, end, now, scope)
            for kept in self._sums(connection, [span.id for span in spans], scope):
                for point, found in kept.items():
                    sums[point].update(found)
            for start, stop in _gaps(spans, begin, end):
                for cell, counts in delivery_stats.count(connection, start, stop, now, scope).items():
                    if cell.subject in POINTS:
                        sums[Subject(cell.subject)].update(counts)
        return {point: Point(found) for point, found in sums.items()}

    def _sums(self, connection: Connection, periods: list[int], scope: Scope) -> list[dict[Subject, Counts]]:
        if len(self._kept) > self.MOST:
            self._kept = {}
        kept, province = self._kept, scope.province
        new: dict[int, dict[Subject, Counts]] = {
            period: {point: Counter() for point in POINTS} for period in periods if (period, province) not in kept
        }
        for cell, counts in stats_periods.counts(connection, new, province, POINTS) if new else ():
            new[cell.day][Subject(cell.subject)].update(counts)
        kept.update({(period, province): sums for period, sums in new.items()})
        return [kept[period, province] for period in periods]


def _counted(
    connection: Connection, begin: datetime, end: datetime, now: datetime, scope: Scope, *, by_hour: bool = False
) -> Iterator[tuple[datetime, Cell, Mapping[str, int]]]:
    """What was counted before, and what is counted now: the time that it is of, and its counts.

    That time is a moment of the day that they belong to; with `by_hour`, of the hour, where it is still kept so.
    """
    spans = {span.id: span for span in _sound(connection, begin, end, now, scope)}
    for cell, found in stats_periods.counts(connection, spans, scope.province):
        yield spans[cell.day].begins_at, cell, found
    for start, stop in _gaps(list(spans.values()), begin, end):
        for at, until in _hours(start, stop, now) if by_hour else [(start, stop)]:
            for cell, counts in delivery_stats.count(connection, at, until, now, scope, midnight=begin).items():
                yield max(at, begin + cell.day * DAY), cell, counts


def _sound(connection: Connection, begin: datetime, end: datetime, now: datetime, scope: Scope) -> list[Kept]:
    """The counted periods that hold: none for a broker, and none that is to be counted again by nobody."""
    if scope.broker is not None:
        return []
    # The job is about to count the late ones again; nobody need wait for that, as long as it runs.
    counted_at = heartbeats.last(connection).get("measures")
    is_counting = counted_at is not None and now - counted_at < COUNTING
    return [span for span in stats_periods.kept(connection, begin, end) if is_counting or not span.is_late]


def _hours(start: datetime, stop: datetime, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The hours of a stretch that have begun; the last one goes on to the stretch's end."""
    while start + HOUR < stop and start + HOUR <= now:
        yield start, start + HOUR
        start += HOUR
    yield start, stop


def _gaps(spans: list[Kept], begin: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The times within a period that no counted period covers."""
    for span in spans:
        if begin < span.begins_at:
            yield begin, span.begins_at
        begin = span.ends_at
    if begin < end:
        yield begin, end


class _Sums:
    """Counts on their way to figures, each added to every sum that it is part of."""

    def __init__(self, first: date, last: date) -> None:
        self.first, self.last = first, last
        self.days: dict[tuple[str, date], Counts] = {}
        self.cells: dict[tuple[str, str, str], Counts] = {}

    def add(self, day: date, cell: Cell, found: Mapping[str, int]) -> None:
        if cell.subject in POINTS:
            _into(self.days, (cell.subject, day), found)
        _into(self.cells, cell[1:], found)

    def figures(self, scope: Scope, locked: int) -> Figures:
        errors: Counter[tuple[str, str]] = Counter()
        for (subject, _province, gateway), found in self.cells.items():
            if subject == Subject.ERROR:
                errors.update({(gateway, reason): number for reason, number in found.items()})
        unanswered = self._sum(Subject.UNANSWERED).total() if scope == EVERYBODY else None
        points = {point: self._views(point) for point in POINTS}
        fates = dict(self._sum(Subject.FATE))
        return Figures(self.first, self.last, scope, points, fates, dict(errors), locked, unanswered)

    def _views(self, point: Subject) -> Views:
        days = {day: Point(self.days.get((point, day), Counter())) for day in days_of(self.first, self.last)}
        return Views(Point(self._sum(point)), days, self._parts(point, 1), self._parts(point, 2))

    def _parts(self, point: Subject, place: int) -> dict[str, Point]:
        parts: dict[str, Counts] = {}
        for key, found in self.cells.items():
            if key[0] == point:
                _into(parts, key[place], found)
        return {name: Point(found) for name, found in parts.items()}

    def _sum(self, subject: Subject) -> Counts:
        whole: Counts = Counter()
        for key, found in self.cells.items():
            if key[0] == subject:
                whole.update(found)
        return whole


def _into(sums: dict[Key, Counts], key: Key, found: Mapping[str, int]) -> None:
    counts = sums.get(key)
    if counts is None:
        sums[key] = Counter(found)
    else:
        counts.update(found)
