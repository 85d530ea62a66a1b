"""Counters of events such as a failed attempt to send, summed over all processes. A row is a name and a label."""

from collections import Counter

from sqlalchemy import Connection, select

from store.database.dialect import upsert
from store.tables import CounterRow, table

COUNTER = table(CounterRow)
Key = tuple[str, str]
"""What is counted, and of whom."""


def count(connection: Connection, happened: Counter[Key]) -> None:
    """Add to what was counted: last in a transaction, always in one order, so that no two wait for each other."""
    for (name, label), number in sorted(happened.items()):
        new = upsert(connection, COUNTER).values(name=name, label=label, number=number)
        more = {"number": COUNTER.c.number + new.excluded.number}
        connection.execute(new.on_conflict_do_update(index_elements=["name", "label"], set_=more))


def every(connection: Connection) -> dict[Key, int]:
    """All that was counted."""
    return {(row.name, row.label): row.number for row in connection.execute(select(COUNTER))}
