"""When each job last ran to its end, in any process."""

from datetime import datetime

from sqlalchemy import Connection, select

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
