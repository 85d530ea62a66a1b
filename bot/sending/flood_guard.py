"""The flood guard: when more codes go out than people can want, or hardly any is used, strangers' requests wait.

A stranger is any phone but the registered one: its request has the bot text another phone. All other texts go on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bot.platform.log import logger
from bot.ports import Clock
from dialogs.limits import CODES_PER_MINUTE, CODES_PER_MINUTE_ABROAD
from store import codes, outbound_messages
from store.codes import CodeUse
from store.database.engine import Store
from store.service.clock_set_back import APART

LOG = logger("flood")

MINUTE = timedelta(minutes=1)
# A code's fate is known when its time is up. This long a time is looked at then, beside what is usual.
UNDECIDED, LATELY, USUALLY = timedelta(minutes=10), timedelta(minutes=30), timedelta(days=14)
# With fewer codes a share says little. Where too few ever went out, half of them is taken for usual.
ENOUGH, USUAL = 100, 0.5
GUARDS = ("rate", "unused", "abroad")
# How long what is usual is remembered: it takes counting two weeks' codes.
REMEMBERED = timedelta(hours=1)


@dataclass(frozen=True)
class Flood:
    """What is held back of strangers' requests: all, or codes to numbers that begin so."""

    alarms: frozenset[str] = frozenset()
    everywhere: bool = False
    prefixes: tuple[str, ...] = ()

    def holds(self, phone: str | None) -> bool:
        """Whether a stranger's request for a code to this phone waits."""
        return self.everywhere or (phone is not None and phone.startswith(self.prefixes))


def far_above(usual: float) -> float:
    """The share of unused codes that is far above what is usual: halfway from there to all of them."""
    return (1 + usual) / 2


class FloodGuard:
    """Looks at what went out. Every process does, at the same rows, so all come to the same."""

    def __init__(self, store: Store, clock: Clock, abroad: Sequence[str]) -> None:
        """Take the prefixes of the other countries' numbers, each as `+964`."""
        self.store, self.clock, self.abroad = store, clock, tuple(abroad)
        self.flood = Flood()
        self._usual = USUAL
        self._counted_at: datetime | None = None

    def look(self) -> Flood:
        """What is held back now; an alarm is raised, and taken back, in the log."""
        now = self.clock()
        # Up to what other hosts' clocks may be ahead; beyond that the clock was set back, and they are not of late.
        minute = now - MINUTE, now + APART
        with self.store.reading() as connection:
            sent = outbound_messages.codes_between(connection, *minute)
            lately = codes.use_of(connection, now - UNDECIDED - LATELY, now - UNDECIDED)
            flooded = [
                it
                for it in self.abroad
                if outbound_messages.codes_between(connection, *minute, it) > CODES_PER_MINUTE_ABROAD
            ]
            unused = lately.sent >= ENOUGH and lately.unused / lately.sent > far_above(self._level(connection, now))
        alarms = dict(zip(GUARDS, (sent > CODES_PER_MINUTE, unused, bool(flooded)), strict=True))
        raised = frozenset(name for name, is_on in alarms.items() if is_on)
        found = Flood(raised, everywhere=sent > CODES_PER_MINUTE or unused, prefixes=tuple(flooded))
        self._tell(found, sent, lately)
        self.flood = found
        return found

    def _level(self, connection: Connection, now: datetime) -> float:
        """The share of codes that usually goes unused: over two weeks, up to what is looked at."""
        if self._counted_at is None or now - self._counted_at >= REMEMBERED:
            usual = codes.use_of(connection, now - USUALLY, now - UNDECIDED - LATELY)
            self._usual = usual.unused / usual.sent if usual.sent >= ENOUGH else USUAL
            self._counted_at = now
        return self._usual

    def _tell(self, found: Flood, sent: int, lately: CodeUse) -> None:
        facts = {"codes_in_a_minute": sent, "codes_lately": lately.sent, "unused": lately.unused, "usual": self._usual}
        for alarm in sorted(found.alarms - self.flood.alarms):
            LOG.error("flood_alarm", guard=alarm, **facts)
        for alarm in sorted(self.flood.alarms - found.alarms):
            LOG.error("flood_over", guard=alarm, **facts)
