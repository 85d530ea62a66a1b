"""Who there is: holders of accounts, staff, and changes of registered mobiles."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from store.tables.base import moment, only


class AccountRow(SQLModel, table=True):
    """A group leader's account at Fakher."""

    __tablename__: ClassVar[str] = "account"
    # None of them is written as texts come and go.
    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index("account_broker", "broker", **only("broker IS NOT NULL")),
        Index("account_locked", "locked_at", **only("locked_at IS NOT NULL")),
        # What people read out over the telephone.
        Index("account_national_id_end", text("substr(national_id, length(national_id) - 3)")),
        Index("account_mobile_end", text("substr(mobile, length(mobile) - 3)")),
    )

    id: int | None = Field(default=None, primary_key=True)
    national_id: str = Field(max_length=10, unique=True)
    username: str = Field(max_length=80, unique=True)
    # As it is compared (store/accounts.py). Not unique: names that are alike may have been there before it was.
    username_key: str = Field(default="", max_length=160, index=True, sa_column_kwargs={"server_default": text("''")})
    mobile: str = Field(max_length=16, index=True)  # E.164
    full_name: str | None = Field(default=None, max_length=120)
    province: str | None = Field(default=None, max_length=60)
    broker: str | None = Field(default=None, max_length=60)
    language: str | None = Field(default=None, max_length=8)
    active: bool = Field(default=True)
    former_mobile: str | None = Field(default=None, max_length=16)
    mobile_changed_at: datetime | None = moment(default=None)
    password_hash: str | None = Field(default=None, max_length=200)
    password_key: str | None = Field(default=None, max_length=32)  # which pepper
    password_expires_at: datetime | None = moment(default=None)  # set: temporary, must be changed
    failures: int = Field(default=0)  # wrong codes in a row, over all codes
    locked_at: datetime | None = moment(default=None)


class StaffRow(SQLModel, table=True):
    """Somebody who may order by text. One who was removed stays, for what they have done."""

    __tablename__: ClassVar[str] = "staff"

    id: int | None = Field(default=None, primary_key=True)
    mobile: str = Field(max_length=16, unique=True)  # E.164
    name: str = Field(max_length=120)
    role: str = Field(max_length=12)
    province: str | None = Field(default=None, max_length=60)
    broker: str | None = Field(default=None, max_length=60)
    removed_at: datetime | None = moment(default=None)
    failures: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})  # wrong confirmations in a row
    locked_at: datetime | None = moment(default=None)
    # Wrong codes in a row at the console, from browsers that are new to it: anybody's guesses.
    console_failures: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})


class MobileChangeRow(SQLModel, table=True):
    """A change of an account's registered mobile, from its proposal to its end. An account has one at a time."""

    __tablename__: ClassVar[str] = "mobile_change"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index("mobile_change_one_open", "account_id", unique=True, **only("ended_at IS NULL")),
        Index("mobile_change_from", "old_mobile", **only("ended_at IS NULL")),
    )

    id: int | None = Field(default=None, primary_key=True)
    account_id: int = Field(foreign_key="account.id")
    old_mobile: str = Field(max_length=16)
    new_mobile: str = Field(max_length=16)
    ref: str = Field(max_length=7)
    state: str = Field(max_length=10)
    proposed_by: int = Field(foreign_key="staff.id")
    proposed_at: datetime = moment()
    approved_by: int | None = Field(default=None, foreign_key="staff.id")
    approved_at: datetime | None = moment(default=None)
    due_at: datetime = moment()  # when its state ends by itself
    ended_at: datetime | None = moment(default=None)
    close_reason: str | None = Field(default=None, max_length=10)
