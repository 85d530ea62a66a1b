"""The health of each gateway, for all processes: failures in a row open its breaker, a success closes it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update

from store.database.dialect import upsert
from store.tables import CircuitBreakerRow, table

CIRCUIT_BREAKER = table(CircuitBreakerRow)


@dataclass(frozen=True)
class GatewayHealth:
    """A gateway's health. Its breaker is open while `opened_at` is set: texts go by another gateway then."""

    failures: int
    opened_at: datetime | None
    probe_at: datetime | None


_STANDING = tuple(CIRCUIT_BREAKER.c[name] for name in GatewayHealth.__dataclass_fields__)


def every(connection: Connection) -> dict[str, GatewayHealth]:
    """The health of every gateway that has ever failed."""
    rows = connection.execute(select(CIRCUIT_BREAKER.c.gateway, *_STANDING))
    return {gateway: GatewayHealth(*standing) for gateway, *standing in rows}


def fail(connection: Connection, gateway: str, failures: int, limit: int, now: datetime, pause: timedelta) -> bool:
    """Count failures in a row; whether they have just opened the breaker, which takes `limit` of them."""
    new = upsert(connection, CIRCUIT_BREAKER).values(gateway=gateway, failures=failures)
    more = {"failures": CIRCUIT_BREAKER.c.failures + new.excluded.failures}
    connection.execute(new.on_conflict_do_update(index_elements=["gateway"], set_=more))
    opening = update(CIRCUIT_BREAKER).where(CIRCUIT_BREAKER.c.gateway == gateway, CIRCUIT_BREAKER.c.opened_at.is_(None))
    opening = opening.where(CIRCUIT_BREAKER.c.failures >= limit).values(opened_at=now, probe_at=now + pause)
    return connection.execute(opening).rowcount == 1


def succeed(connection: Connection, gateway: str) -> bool:
    """End the failures in a row; whether this has closed the breaker."""
    mine = update(CIRCUIT_BREAKER).where(CIRCUIT_BREAKER.c.gateway == gateway)
    closed = connection.execute(
        mine.where(CIRCUIT_BREAKER.c.opened_at.is_not(None)).values(opened_at=None, probe_at=None)
    )
    connection.execute(mine.where(CIRCUIT_BREAKER.c.failures > 0).values(failures=0))
    return closed.rowcount == 1


def claim_probe(connection: Connection, gateway: str, now: datetime, pause: timedelta) -> bool:
    """Whether it is this process that is to try the gateway now. The next probe is due after a pause."""
    due = update(CIRCUIT_BREAKER).where(CIRCUIT_BREAKER.c.gateway == gateway, CIRCUIT_BREAKER.c.opened_at.is_not(None))
    return connection.execute(due.where(CIRCUIT_BREAKER.c.probe_at <= now).values(probe_at=now + pause)).rowcount == 1
