"""How often things have happened, in all processes together."""

from collections import Counter

from sqlalchemy import Connection, select

from store.dialect import upsert
from store.tables import Tally, table

TALLY = table(Tally)
Key = tuple[str, str]
"""What is counted, and of whom."""


def count(connection: Connection, happened: Counter[Key]) -> None:
    """Add to the tallies: last in a transaction, always in one order, so that no two wait for each other."""
    for (name, label), number in sorted(happened.items()):
        new = upsert(connection, TALLY).values(name=name, label=label, number=number)
        more = {"number": TALLY.c.number + new.excluded.number}
        connection.execute(new.on_conflict_do_update(index_elements=["name", "label"], set_=more))


def every(connection: Connection) -> dict[Key, int]:
    """All tallies."""
    return {(row.name, row.label): row.number for row in connection.execute(select(TALLY))}
