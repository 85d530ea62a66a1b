"""A process's share of MESSAGES_PER_SECOND: a lease in the store, so that all processes of all hosts have one rate.

Each process looks every second which others run, and takes an equal part of the rate, but no more than the others have
left. So a process that joins waits until they have lowered theirs, and in sum it is never more than the rate. A process
that can't renew its lease sends nothing once it is over. The others take it away a little later, or at once where they
run on the same host and see that the process has ended; then its texts are due again, too.
"""

import time
from collections.abc import Callable, Iterable

from bot.platform.log import logger
from bot.platform.processes import HostProcesses
from bot.ports import RandomSource
from bot.sending.throttle import Throttle
from store import outbound_messages
from store.database.engine import Store, is_out_of_reach
from store.service import send_shares
from store.service.send_shares import SendShare

LOG = logger("share")

# In seconds. A process with less than an equal part looks more often.
RENEW_EVERY, JOIN_EVERY = 1.0, 0.25
# How long a lease holds, by its holder's clock, and by everybody else's: longer, for no two clocks run quite alike.
LEASE, GONE_AFTER = 5.0, 6.0


class Share:
    """How many texts may leave this process in a second. Before the first `join` it has the whole rate, and no name.

    `process` is this process's name, in its lease and in the texts that it claims.
    """

    def __init__(
        self,
        store: Store,
        random_source: RandomSource,
        whole: int,
        processes: int = 1,
        throttle: Throttle | None = None,
        now: Callable[[], float] = time.monotonic,
        host_processes: HostProcesses | None = None,
    ) -> None:
        """Take the whole rate, how many processes there are on this host, a clock that counts seconds, and the host."""
        self.store, self.whole, self.processes = store, whole, processes
        self.throttle = throttle or Throttle(whole)
        self._random_source, self._now = random_source, now
        self._host_processes = host_processes or HostProcesses()
        self.process, self._renewals = "", 0
        self._renewed_at = self._due_at = float("-inf")
        self._seen: dict[str, tuple[int, float]] = {}

    @property
    def per_second(self) -> int:
        """Texts a second."""
        return self.throttle.per_second

    def wait(self) -> bool:
        """Wait until a text may leave; False where none will any more."""
        return self.throttle.wait()

    def join(self) -> None:
        """Take part in the sharing of the rate."""
        self.process = self._random_source.token()
        self.throttle.set(0, self._now())
        self.renew_if_due()

    def leave(self) -> None:
        """Send nothing any more, and leave the share to the others."""
        self.throttle.close()
        try:
            with self.store.writing() as connection:
                send_shares.end(connection, [self.process])
        except Exception as error:  # the others take it away by themselves
            LOG.warning("share_not_left", error_seen=error)

    def renew_if_due(self) -> None:
        """Renew the lease, about once a second. Where the database is out of reach it runs out."""
        if self._now() < self._due_at:
            return
        try:
            fair = self.renew()
        except Exception as error:
            self._due_at = self._now() + RENEW_EVERY
            if is_out_of_reach(error):
                LOG.error("database_out_of_reach", error_seen=error)
            else:
                LOG.error("share_failed", error_seen=error)
        else:
            self._due_at = self._now() + (RENEW_EVERY if self.per_second >= fair else JOIN_EVERY)

    def renew(self) -> int:
        """Renew the lease now; what an equal part would be."""
        began = self._now()
        with self.store.writing() as connection:
            shares = send_shares.held(connection)
            others = {it.process: it for it in shares if it.process != self.process}
            ended = [it.process for it in others.values() if self._has_ended(it)]
            outbound_messages.give_back(connection, ended)
            gone = [*ended, *self._stand_still(others.values(), began)]
            send_shares.end(connection, gone)
            living = [it for name, it in others.items() if name not in gone]
            fair = self._fair(it.process for it in living)
            mine = max(0, min(fair, self.whole - sum(it.per_second for it in living)))
            # What is given up must not be used any more once it is written; what is gained, not before.
            self.throttle.set(min(mine, self.per_second), self._renewed_at + LEASE)
            whose = self._host_processes.host, self._host_processes.own()
            send_shares.renew(connection, SendShare(self.process, mine, self._renewals + 1, *whose))
        self._renewals += 1
        self._renewed_at = began
        self.throttle.set(mine, began + LEASE)
        return fair

    def _stand_still(self, others: Iterable[SendShare], now: float) -> list[str]:
        """Which processes have not renewed for too long, as far as this one could see."""
        away = now - self._renewed_at > LEASE  # it saw nobody, for the database was out of reach, perhaps to all
        known = {} if away else self._seen
        self._seen = {}
        gone = []
        for it in others:
            renewals, since = known.get(it.process, (-1, now))
            self._seen[it.process] = (it.renewals, since if renewals == it.renewals else now)
            if now - self._seen[it.process][1] > GONE_AFTER:
                gone.append(it.process)
        return gone

    def _has_ended(self, it: SendShare) -> bool:
        return it.host is not None and it.pid is not None and self._host_processes.has_ended(it.host, it.pid)

    def _fair(self, others: Iterable[str]) -> int:
        """An equal part in whole texts; what is left over goes to the first by name."""
        names = sorted([self.process, *others])
        part, rest = divmod(self.whole, max(len(names), self.processes))
        return part + (names.index(self.process) < rest)
