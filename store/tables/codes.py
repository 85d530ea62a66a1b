"""Codes, and what a right one opens: a password, an order, the console."""

from datetime import datetime
from enum import StrEnum, auto
from typing import Any, ClassVar

from sqlalchemy import Column, Index, LargeBinary
from sqlmodel import Field, SQLModel

from store.tables.base import CLUSTERED, hashed, moment, only


class CloseReason(StrEnum):
    """Why a code is no longer good."""

    USED = auto()
    VOIDED = auto()  # a newer code took its place
    CANCELLED = auto()
    BURNED = auto()  # no try left
    EXPIRED = auto()


class CodeRow(SQLModel, table=True):
    """A one-time password. It is live while `closed_at` is empty and its time runs; one account has one live code."""

    __tablename__: ClassVar[str] = "code"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index("code_one_live", "account_id", unique=True, **only("closed_at IS NULL")),
        Index("code_account_created", "account_id", "created_at"),
        CLUSTERED,
    )

    id: str = Field(max_length=22, primary_key=True)
    account_id: int = Field(foreign_key="account.id")
    phone: str = Field(max_length=16)  # the mobile that it went to
    by_owner: bool  # asked for by that mobile, not by another phone
    staff_id: int | None = Field(default=None)  # sent at this staff member's order
    key_id: str = Field(max_length=32)
    digest: bytes = hashed()
    tries_left: int
    created_at: datetime = moment()
    expires_at: datetime = moment()
    closed_at: datetime | None = moment(default=None)
    close_reason: str | None = Field(default=None, max_length=10)


class ResetGrantRow(SQLModel, table=True):
    """What a right code gives: the right to choose a password, once. To a phone, or to whoever holds the ticket."""

    __tablename__: ClassVar[str] = "reset_grant"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index("reset_grant_account", "account_id"),
        Index("reset_grant_phone", "phone", **only("phone IS NOT NULL")),
        CLUSTERED,
    )

    id: str = Field(max_length=22, primary_key=True)
    account_id: int = Field(foreign_key="account.id")
    code_id: str = Field(max_length=22)  # the code that it was given for
    phone: str | None = Field(default=None, max_length=16)
    digest: bytes | None = Field(default=None, sa_column=Column(LargeBinary(32)))
    created_at: datetime = moment()
    expires_at: datetime = moment()
    closed_at: datetime | None = moment(default=None)


class StaffOrderRow(SQLModel, table=True):
    """An order that waits for its code, or that was carried out. One staff member has one live one."""

    __tablename__: ClassVar[str] = "staff_order"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index("staff_order_one_live", "staff_id", unique=True, **only("closed_at IS NULL")),
        Index("staff_order_staff_created", "staff_id", "created_at"),
        Index("staff_order_account_closed", "account_id", "closed_at"),
        Index("staff_order_watched", "closed_at", **only("code_id IS NOT NULL AND staff_notified_at IS NULL")),
        CLUSTERED,
    )

    id: str = Field(max_length=22, primary_key=True)
    staff_id: int = Field(foreign_key="staff.id")
    command: str = Field(max_length=20)
    account_id: int = Field(foreign_key="account.id")
    new_mobile: str | None = Field(default=None, max_length=16)
    ref: str = Field(max_length=7)  # by which staff speak of it
    key_id: str = Field(max_length=32)
    digest: bytes = hashed()
    tries_left: int
    created_at: datetime = moment()
    expires_at: datetime = moment()
    closed_at: datetime | None = moment(default=None)
    close_reason: str | None = Field(default=None, max_length=10)
    code_id: str | None = Field(default=None, max_length=22)  # what a reset sent to the registered mobile
    staff_notified_at: datetime | None = moment(default=None)  # when staff were told that it was not delivered


class ConsoleCodeRow(SQLModel, table=True):
    """A code that lets a staff member into the console. One staff member has one live code."""

    __tablename__: ClassVar[str] = "console_code"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index("console_code_one_live", "staff_id", unique=True, **only("closed_at IS NULL")),
        Index("console_code_staff_created", "staff_id", "created_at"),
        CLUSTERED,
    )

    id: str = Field(max_length=22, primary_key=True)
    staff_id: int = Field(foreign_key="staff.id")
    key_id: str = Field(max_length=32)
    digest: bytes = hashed()
    tries_left: int
    created_at: datetime = moment()
    expires_at: datetime = moment()
    closed_at: datetime | None = moment(default=None)
    close_reason: str | None = Field(default=None, max_length=10)


class ConsoleSessionRow(SQLModel, table=True):
    """A staff member at the console, by a secret that only their browser holds; here is its SHA-256."""

    __tablename__: ClassVar[str] = "console_session"
    __table_args__: ClassVar[dict[str, Any]] = CLUSTERED

    id: str = Field(max_length=22, primary_key=True)
    staff_id: int = Field(foreign_key="staff.id")
    digest: bytes = hashed()
    created_at: datetime = moment()
    used_at: datetime = moment()  # to the minute
    ended_at: datetime | None = moment(default=None)
