"""When each job last ran to its end, in any process."""

from datetime import datetime

from sqlalchemy import Connection, select

from store.dialect import upsert
from store.tables import Heartbeat, table

HEARTBEAT = table(Heartbeat)


def beat(connection: Connection, job: str, now: datetime) -> None:
    """Note that a job has just run."""
    statement = upsert(connection, HEARTBEAT).values(job=job, beat_at=now)
    connection.execute(statement.on_conflict_do_update(index_elements=["job"], set_={"beat_at": now}))


def last(connection: Connection) -> dict[str, datetime]:
    """When each job last ran."""
    return {row.job: row.beat_at for row in connection.execute(select(HEARTBEAT.c.job, HEARTBEAT.c.beat_at))}
