"""When each job last ran to its end, in any process; and whose turn it is where one process is to do it for all."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, or_, select

from store.database.dialect import upsert
from store.tables import HeartbeatRow, table

HEARTBEAT = table(HeartbeatRow)


def beat(connection: Connection, job: str, now: datetime) -> None:
    """Note that a job has just run."""
    statement = upsert(connection, HEARTBEAT).values(job=job, last_run_at=now)
    connection.execute(statement.on_conflict_do_update(index_elements=["job"], set_={"last_run_at": now}))


def last(connection: Connection) -> dict[str, datetime]:
    """When each job last ran."""
    return {row.job: row.last_run_at for row in connection.execute(select(HEARTBEAT.c.job, HEARTBEAT.c.last_run_at))}


def claim(connection: Connection, name: str, now: datetime, every: timedelta) -> bool:
    """Take what is to be done once in so long by one process of all hosts; whether it is this one's now.

    The claim is the transaction's: where that is undone, the next process that asks has it. A time in the future counts
    as long past: the clock was set back.
    """
    new = upsert(connection, HEARTBEAT).values(job=name, last_run_at=now)
    is_due = or_(HEARTBEAT.c.last_run_at <= now - every, HEARTBEAT.c.last_run_at > now + every)
    claimed = new.on_conflict_do_update(index_elements=["job"], set_={"last_run_at": now}, where=is_due)
    # A row that comes back, for an INSERT's row count is not told on every database.
    return connection.execute(claimed.returning(HEARTBEAT.c.job)).first() is not None
