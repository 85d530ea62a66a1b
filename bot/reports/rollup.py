"""Counts texts once they no longer change, an hour at a time, so that a season's figures need not be counted afresh.

Every process does it every minute. Where two count the same, the first to commit is kept. Figures are right
without it, only slower: what has not been counted is counted when asked for (bot/reports/kpi.py).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby

from bot.platform.clock import HOUR, day_around
from bot.ports import Clock
from store import outbound_messages, stats_periods
from store.database.engine import Store
from store.stats_periods import SETTLED_AFTER, Kept
from store.views import delivery_stats
from store.views.delivery_stats import Cell, Counts

# Hours become a day when few receipts come for it any more: each would have the whole day counted again.
DAY_SETTLED_AFTER = timedelta(hours=12)
# Hours older than this are days by now, or stay hours.
LOOKED_BACK = timedelta(days=400)
# A first count after a long time goes on in the next minute.
MOST_AT_ONCE = 1_000


class Rollup:
    """What has been counted, kept up to date."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """Take the store whose texts are counted."""
        self.store, self.clock = store, clock

    def run(self) -> int:
        """Count again what late receipts changed, count what has settled, make days of hours; how many periods."""
        now = self.clock()
        self._drop_unsettled(now)
        return self._recount(now) + self._go_on(now) + self._merge(now)

    def _drop_unsettled(self, now: datetime) -> None:
        """Take back what was counted while the clock was ahead: there would be nothing in it for ever."""
        with self.store.reading() as connection:
            until = stats_periods.kept_until(connection)
        if until is not None and stats_periods.is_unsettled(until, now):
            with self.store.writing() as connection:
                stats_periods.drop_unsettled(connection, now)

    def _recount(self, now: datetime) -> int:
        with self.store.reading() as connection:
            changed = stats_periods.kept_late(connection)
        return sum(self._keep(period.begins_at, period.ends_at, now, [period]) for period in changed)

    def _go_on(self, now: datetime) -> int:
        with self.store.reading() as connection:
            begin, first = stats_periods.kept_until(connection), delivery_stats.oldest(connection)
            waiting = outbound_messages.oldest_queued(connection)
        if begin is None and first is None:
            return 0
        begin = begin or day_around(first or now)[0]
        done = 0
        for start, end in _spans(begin, now):
            # A text that has not left can still change at any time.
            if done == MOST_AT_ONCE or (waiting is not None and waiting < end):
                break
            done += self._keep(start, end, now)
        return done

    def _keep(self, begin: datetime, end: datetime, now: datetime, instead: Sequence[Kept] = ()) -> bool:
        # Counted outside the transaction that writes: an hour of a season's first day takes a while.
        with self.store.still() as connection:
            late = stats_periods.late_of(connection, begin, end)
            counted = delivery_stats.count(connection, begin, end, now)
        return self._put(begin, end, counted, late, instead)

    def _merge(self, now: datetime) -> int:
        with self.store.reading() as connection:
            kept = stats_periods.kept(connection, now - LOOKED_BACK, now)
        done = 0
        for (begin, end), periods in groupby(kept, lambda period: day_around(period.begins_at)):
            hours = list(periods)
            whole = len(hours) > 1 and (hours[0].begins_at, hours[-1].ends_at) == (begin, end)
            if whole and end + DAY_SETTLED_AFTER <= now and not any(hour.is_late for hour in hours):
                done += self._put(begin, end, self._sum(hours), [], hours)
        return done

    def _sum(self, periods: Sequence[Kept]) -> dict[Cell, Counts]:
        counted: dict[Cell, Counts] = {}
        with self.store.reading() as connection:
            for cell, found in stats_periods.counts(connection, [period.id for period in periods]):
                counted.setdefault(cell._replace(day=0), Counter()).update(found)
        return counted

    def _put(
        self, begin: datetime, end: datetime, counted: dict[Cell, Counts], late: list[int], instead: Sequence[Kept]
    ) -> bool:
        # A period's counts never change; another period takes its place. A process that finds one gone was too late.
        try:
            with self.store.writing() as connection:
                if not stats_periods.give_way(connection, [period.id for period in instead]):
                    raise _Overtaken
                return stats_periods.keep(connection, begin, end, counted, late)
        except _Overtaken:
            return False


class _Overtaken(Exception):
    """Another process has put something else in the place of what is to be replaced."""


def _spans(begin: datetime, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """What is to be counted next, one after the other: hours, or days where they are long over."""
    while True:
        midnight, end = day_around(begin)
        if begin > midnight or end + DAY_SETTLED_AFTER > now:
            end = min(begin + HOUR, end)
        if end + SETTLED_AFTER > now:
            return
        yield begin, end
        begin = end
