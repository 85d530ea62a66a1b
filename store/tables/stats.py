"""What is counted: over periods for the control points, and since the beginning."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column, Integer
from sqlalchemy.types import JSON
from sqlmodel import Field, SQLModel

from store.tables.base import CLUSTERED, moment


class StatsPeriodRow(SQLModel, table=True):
    """A stretch of time, within one day of Tehran's, whose texts have been counted into `delivery_stat`."""

    __tablename__: ClassVar[str] = "stats_period"

    id: int | None = Field(default=None, primary_key=True)
    begins_at: datetime = moment(unique=True)
    ends_at: datetime = moment()


class DeliveryStatRow(SQLModel, table=True):
    """Counts of one period, by subject, province and gateway.

    `counts` is number by name; store/views/delivery_stats.py says which names there are.
    """

    __tablename__: ClassVar[str] = "delivery_stat"
    __table_args__: ClassVar[dict[str, Any]] = CLUSTERED

    period: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    subject: str = Field(max_length=10, primary_key=True)
    province: str = Field(max_length=60, primary_key=True)  # empty where it isn't known
    gateway: str = Field(max_length=20, primary_key=True)
    counts: dict[str, int] = Field(sa_column=Column(JSON, nullable=False))


class LateReceiptRow(SQLModel, table=True):
    """A receipt that came so late that its text may have been counted already: its period is to be counted again."""

    __tablename__: ClassVar[str] = "late_receipt"

    id: int | None = Field(default=None, primary_key=True)
    created_at: datetime = moment(index=True)  # when the text was written


class CounterRow(SQLModel, table=True):
    """How often something has happened, in all processes together, since the beginning."""

    __tablename__: ClassVar[str] = "counter"
    __table_args__: ClassVar[dict[str, Any]] = CLUSTERED

    name: str = Field(max_length=40, primary_key=True)
    label: str = Field(max_length=80, primary_key=True)
    number: int = Field(default=0)
