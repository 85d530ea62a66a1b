"""How many texts a second each process may send: leases on MESSAGES_PER_SECOND, which all hosts share.

`renewals` counts up while a process runs. Another that sees it stand still for long enough takes the lease away; no
time of day is written or compared, so that hosts' clocks need not agree. One on the same host, by `host` and `pid`,
can see at once that the process has ended.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from store.database.dialect import one_at_a_time, upsert
from store.tables import SendShareRow, table

SEND_SHARE = table(SendShareRow)
# Any number that nothing else uses, see migrate.ADVISORY_LOCK.
ADVISORY_LOCK = 7041327


@dataclass(frozen=True)
class SendShare:
    """One process's lease: texts a second, how often it has been renewed, and whose it is where that is known."""

    process: str
    per_second: int
    renewals: int
    host: str | None = None
    pid: int | None = None


def held(connection: Connection) -> list[SendShare]:
    """Every lease. Locked for others until the transaction ends: what is free is still free when it is taken."""
    one_at_a_time(connection, ADVISORY_LOCK)
    return [SendShare(*row) for row in connection.execute(select(SEND_SHARE))]


def renew(connection: Connection, share: SendShare) -> None:
    """Write a lease, new or renewed."""
    row = vars(share)
    changes = {name: value for name, value in row.items() if name != "process"}
    statement = upsert(connection, SEND_SHARE).values(row)
    connection.execute(statement.on_conflict_do_update(index_elements=["process"], set_=changes))


def end(connection: Connection, processes: list[str]) -> None:
    """Take away the leases of processes that have stopped or are gone."""
    if processes:
        connection.execute(delete(SEND_SHARE).where(SEND_SHARE.c.process.in_(processes)))
