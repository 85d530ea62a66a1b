"""Codes, and what a right one opens: a password, an order, the console."""

from datetime import datetime
from enum import StrEnum, auto
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field, SQLModel

from store.tables.base import CLUSTERED, hashed, moment, only


class CloseReason(StrEnum):
    """Why a code is no longer good."""

    USED = auto()
    VOIDED = auto()  # a newer code took its place
    CANCELLED = auto()
    BURNED = auto()  # no try left
    EXPIRED = auto()


class RequestedBy(StrEnum):
    """Who had a code sent."""

    OWNER = auto()  # the mobile that it went to
    OTHER_PHONE = auto()
    STAFF = auto()  # a staff member, for a pilgrim or for themselves


class CodeRow(SQLModel, table=True):
    """A one-time password, of any purpose. It is live while `closed_at` is empty, its time runs and a try is left.

    It is an account's or a staff member's, never both. An account has one that is not closed, a staff member one of
    each purpose.
    """

    __tablename__: ClassVar[str] = "code"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index("code_one_live", "account_id", unique=True, **only("closed_at IS NULL")),
        Index(
            "code_one_live_of_staff",
            "staff_id",
            "purpose",
            unique=True,
            **only("closed_at IS NULL AND staff_id IS NOT NULL"),
        ),
        Index("code_account_created", "account_id", "created_at", **only("account_id IS NOT NULL")),
        Index("code_staff_created", "staff_id", "created_at", **only("staff_id IS NOT NULL")),
        CheckConstraint("(account_id IS NULL) <> (staff_id IS NULL)", name="code_of_account_or_staff"),
        CLUSTERED,
    )

    id: str = Field(max_length=22, primary_key=True)
    purpose: str = Field(max_length=12)
    account_id: int | None = Field(default=None, foreign_key="account.id")
    staff_id: int | None = Field(default=None, foreign_key="staff.id")  # the staff member who is to hand it back
    phone: str = Field(max_length=16)  # the mobile that it went to
    requested_by: str = Field(max_length=12)
    key_id: str = Field(max_length=32)
    digest: bytes = hashed()
    tries_left: int
    created_at: datetime = moment()
    expires_at: datetime = moment()
    closed_at: datetime | None = moment(default=None)
    close_reason: str | None = Field(default=None, max_length=10)


class ResetGrantRow(SQLModel, table=True):
    """What a right code gives at Fakher: the right to choose a password, once, to the bearer of the ticket."""

    __tablename__: ClassVar[str] = "reset_grant"
    __table_args__: ClassVar[tuple[Any, ...]] = (Index("reset_grant_account", "account_id"), CLUSTERED)

    id: str = Field(max_length=22, primary_key=True)
    account_id: int = Field(foreign_key="account.id")
    code_id: str = Field(max_length=22)  # the code that it was given for
    digest: bytes = hashed()
    created_at: datetime = moment()
    expires_at: datetime = moment()
    closed_at: datetime | None = moment(default=None)


class StaffOrderRow(SQLModel, table=True):
    """What a staff member has ordered. Its id is that of the code that confirms it."""

    __tablename__: ClassVar[str] = "staff_order"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index("staff_order_staff_created", "staff_id", "created_at"),
        Index("staff_order_account_done", "account_id", "done_at"),
        Index("staff_order_watched", "done_at", **only("sent_code_id IS NOT NULL AND staff_notified_at IS NULL")),
        CLUSTERED,
    )

    id: str = Field(max_length=22, primary_key=True)
    staff_id: int = Field(foreign_key="staff.id")
    command: str = Field(max_length=20)
    account_id: int = Field(foreign_key="account.id")
    new_mobile: str | None = Field(default=None, max_length=16)
    ref: str = Field(max_length=7)  # by which staff speak of it
    created_at: datetime = moment()
    done_at: datetime | None = moment(default=None)  # when it was carried out
    sent_code_id: str | None = Field(default=None, max_length=22)  # what a reset sent to the registered mobile
    staff_notified_at: datetime | None = moment(default=None)  # when staff were told that it was not delivered


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


class ConsoleBrowserRow(SQLModel, table=True):
    """A browser in which a staff member has logged in before, by a secret that it holds; here is its SHA-256."""

    __tablename__: ClassVar[str] = "console_browser"
    __table_args__: ClassVar[dict[str, Any]] = CLUSTERED

    id: str = Field(max_length=22, primary_key=True)
    staff_id: int = Field(foreign_key="staff.id")
    digest: bytes = hashed()
    logged_in_at: datetime = moment()
