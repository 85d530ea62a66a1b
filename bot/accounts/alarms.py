"""Alarms about accounts and staff: a line in the log at level error, and a count in the metrics."""

from collections import Counter

from sqlalchemy import Connection

from bot.platform.log import logger
from store.service import counters

LOG = logger("alarms")
NAME = "alarm"


def raise_alarm(connection: Connection, alarm: str, **about: int | None) -> None:
    """Raise an alarm, and count it in the transaction of what it tells of. `about` are ids of ours."""
    counters.count(connection, Counter({(NAME, alarm): 1}))
    LOG.error("alarm", alarm=alarm, **about)
