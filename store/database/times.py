"""Aware UTC times, as both databases keep them."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect
from sqlalchemy.dialects import sqlite
from sqlalchemy.types import TypeDecorator


class Utc(TypeDecorator[datetime]):
    """An aware time in UTC. SQLite, which has no times, keeps it as text that sorts as the times do."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive time; hand over UTC."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a time without a zone")
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give it in UTC, whatever zone the database's session is in."""
        return value and value.astimezone(UTC)

    def bind_processor(self, dialect: Dialect) -> Any:
        """For SQLite, write text without SQLAlchemy's detour, which costs as much as a statement."""
        return self._written if dialect.name == "sqlite" else super().bind_processor(dialect)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """For SQLite, read that text."""
        return _read if dialect.name == "sqlite" else super().result_processor(dialect, coltype)

    def _written(self, value: datetime | None) -> str | None:
        whole = value if value is None or value.tzinfo is UTC else self.process_bind_param(value, sqlite.dialect())
        return as_text(whole) if whole else None


def as_text(moment: datetime) -> str:
    """A time in UTC as it is written: to the microsecond, always as long."""
    return moment.isoformat(" ", "microseconds")


def _read(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value).astimezone(UTC) if value else None
