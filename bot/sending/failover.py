"""By which gateway a text goes: in what order, when it moves on, and which are left out.

The health of each gateway is kept in the store, so all processes know of a failing one as soon as one does, and so that
one of them probes it. Each keeps a copy, a second old at most: a text is routed without asking the database.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bot.platform.log import logger
from bot.ports import Reason
from store import outbound_messages
from store.outbound_messages import ClaimedMessage
from store.service import circuit_breakers
from store.service.circuit_breakers import GatewayHealth
from store.service.counters import Key
from store.tables import MessageKind

LOG = logger("courier")

# A second failure moves a text on, and so does one so slow that another like it would end beyond ten seconds.
TRIES, MOVE_ON_SECONDS = 2, 10.0
# Failures in a row, in all processes, that open a breaker; a gateway that hangs costs the most, so it has fewer.
LIMIT, SLOW = 5, 3
PAUSE = timedelta(seconds=15)
# What waits for its next attempt goes at once when a gateway is back that was down for so long. One that takes a text
# now and then, since we are too fast for it, is not to get them all each time.
DOWN_FOR_LONG = timedelta(seconds=5)
# What tells of the provider or of our account there. The rest is the text's own, and shows the provider well.
SICK = {Reason.BUSY, Reason.REFUSED, Reason.NO_CONNECTION, Reason.TIMEOUT, Reason.NO_SENSE, Reason.UNKNOWN}
# What a gateway will say of a text however often it is asked, and another need not: the number is on its list, or it
# has no template. Such a text goes to the next, and ends where every gateway has said so.
FOR_GOOD = {Reason.BLOCKED, Reason.NOT_A_MOBILE, Reason.OPTED_OUT, Reason.SPAM, Reason.NO_TEMPLATE}
# The provider was not asked: it has no template for the phrase, or this process lacks the key of its secret.
UNASKED = {Reason.NO_TEMPLATE, Reason.KEY_REMOVED}
# What a probe may send a second time: two copies of one code harm nobody.
PROBES = {MessageKind.CODE}


class Failover:
    """The gateways in their order, and their health."""

    def __init__(self, names: Sequence[str]) -> None:
        """Take the gateways' names in their order."""
        self.names = list(names)
        self._health: dict[str, GatewayHealth] = {}
        self._probes: set[str] = set()

    def order(self, text: ClaimedMessage) -> list[str]:
        """The gateways that a text tries, in this order: first the one that brought the text which it answers."""
        order = sorted(self.names, key=lambda name: name != text.inbound_gateway)
        index = order.index(text.gateway) if text.gateway in order else 0
        return order[index:] + order[:index]

    def choose(self, text: ClaimedMessage) -> str:
        """The gateway that is to try a text: the first whose breaker is closed; where all are open, the first."""
        order = self.order(text)
        return next((name for name in order if not self.is_open(name)), order[0])

    def after(self, text: ClaimedMessage, gateway: str, seconds: float, delay: float) -> tuple[str, int]:
        """Which gateway tries a text next that one failed at in so many seconds, and how often that one has failed."""
        order = self.order(text)
        consecutive_failures = 1 + (max(0, text.consecutive_failures) if gateway == order[0] else 0)
        if consecutive_failures < TRIES and 2 * seconds + delay <= MOVE_ON_SECONDS:
            return gateway, consecutive_failures
        return order[(order.index(gateway) + 1) % len(order)], 0

    def after_refusal(self, text: ClaimedMessage, gateway: str) -> tuple[str, int] | None:
        """Which gateway tries a text next that one refused for good; how many have in a row, as a number below zero.

        None where every gateway has refused it.
        """
        order = self.order(text)
        if gateway != order[0]:  # another's turn, which is out of order: it has not been asked
            return order[0], text.consecutive_failures
        refusals = 1 + max(0, -text.consecutive_failures)
        return None if refusals >= len(order) else (order[1], -refusals)

    def is_open(self, gateway: str) -> bool:
        """Whether a gateway is out of order."""
        health = self._health.get(gateway)
        return health is not None and health.opened_at is not None

    def look(self, connection: Connection) -> None:
        """Read the health of the gateways."""
        self._health = circuit_breakers.every(connection)

    def is_probe_due(self, now: datetime) -> bool:
        """Whether a gateway that is out of order is to be tried."""
        return any(each.probe_at is not None and each.probe_at <= now for each in self._health.values())

    def claim_probes(self, connection: Connection, now: datetime) -> None:
        """Claim for this process the probes that are due."""
        for name, health in sorted(self._health.items()):
            if (
                health.probe_at
                and health.probe_at <= now
                and circuit_breakers.claim_probe(connection, name, now, PAUSE)
            ):
                self._probes.add(name)

    def take_probe(self, text: ClaimedMessage, gateway: str) -> str | None:
        """Another gateway, out of order, that a text which a gateway took is to try; each is given out once."""
        if text.kind not in PROBES:
            return None
        for name in [name for name in self.names if name in self._probes and name != gateway]:
            with suppress(KeyError):  # another thread was quicker
                self._probes.remove(name)
                if self.is_open(name):
                    return name
        return None

    def note(
        self, connection: Connection, attempts: Iterable[tuple[str, Reason | None]], now: datetime
    ) -> Counter[Key]:
        """Write down how attempts went, each a gateway and why it failed; what there is to count."""
        happened: Counter[Key] = Counter()
        by_gateway: dict[str, list[Reason | None]] = {}
        for gateway, reason in attempts:
            if reason not in UNASKED:
                by_gateway.setdefault(gateway, []).append(reason)
        for gateway, reasons in sorted(by_gateway.items()):
            self._note(connection, gateway, reasons, now, happened)
        return happened

    def _note(
        self,
        connection: Connection,
        gateway: str,
        reasons: list[Reason | None],
        now: datetime,
        happened: Counter[Key],
    ) -> None:
        health = self._health.get(gateway)
        last_well = max((place for place, reason in enumerate(reasons) if reason not in SICK), default=-1)
        if last_well >= 0 and health and health.failures and circuit_breakers.succeed(connection, gateway):
            happened["gateway_closed", gateway] += 1
            LOG.warning("gateway_back", gateway=gateway)
            if health.opened_at and now - health.opened_at >= DOWN_FOR_LONG:
                outbound_messages.retry_now(connection, now)
        failures = sum(SLOW if reason is Reason.TIMEOUT else 1 for reason in reasons[last_well + 1 :])
        if failures and circuit_breakers.fail(connection, gateway, failures, LIMIT, now, PAUSE):
            happened["gateway_opened", gateway] += 1
            LOG.error("gateway_down", gateway=gateway, others=self._others(gateway))

    def _others(self, gateway: str) -> list[str]:
        """The gateways that are in order, but for one."""
        return [name for name in self.names if name != gateway and not self.is_open(name)]
