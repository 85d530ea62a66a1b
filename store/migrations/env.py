"""Where Alembic finds the connection and the tables."""

from typing import Any, Literal

from alembic import context

from store.database.times import Utc
from store.tables import METADATA


def render(kind: str, item: Any, _autogen: object) -> str | Literal[False]:
    """Write column types plainly, so that a migration needs nothing of the code that it outlives."""
    if kind == "type" and isinstance(item, Utc):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and type(item).__name__ == "AutoString":
        return f"sa.String({item.length or ''})"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    render_item=render,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
