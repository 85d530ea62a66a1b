"""Who did or tried what."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column, Index, LargeBinary
from sqlmodel import Field, SQLModel

from store.tables.base import hashed, moment, only


class AuditRow(SQLModel, table=True):
    """What was done or tried, by whom, about whose account. `digest` proves the row, `seal` its place in the chain."""

    __tablename__: ClassVar[str] = "audit"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index("audit_account", "account_id", **only("account_id IS NOT NULL")),
        Index("audit_seq", "seq", unique=True, **only("seq IS NOT NULL")),
        Index("audit_unsealed", "id", **only("seq IS NULL")),
        Index("audit_by_staff", "id", **only("actor IN ('staff', 'operator')")),
    )

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = moment()
    actor: str = Field(max_length=10)
    who: str = Field(max_length=60)  # masked: the last digits of a mobile, a token's name
    action: str = Field(max_length=40)
    outcome: str = Field(max_length=10)
    reason: str | None = Field(default=None, max_length=40)
    account_id: int | None = Field(default=None)
    staff_id: int | None = Field(default=None)
    ref: str | None = Field(default=None, max_length=32)
    nonce: str = Field(max_length=22)  # so that no row can be a copy of another
    key_id: str = Field(max_length=32)
    digest: bytes = hashed()
    chain_length: int | None = Field(default=None)  # as far as its writer knew; none in rows older than the column
    seq: int | None = Field(default=None)  # its place in the chain, from 1; none before it is sealed
    seal: bytes | None = Field(default=None, sa_column=Column(LargeBinary(32)))


class AuditHeadRow(SQLModel, table=True):
    """The end of the audit's chain, so that rows missing there show; always one row."""

    __tablename__: ClassVar[str] = "audit_head"

    id: int = Field(default=1, primary_key=True)
    seq: int
    key_id: str = Field(max_length=32)
    seal: bytes = hashed()


class AuditKeyRow(SQLModel, table=True):
    """What a key that is to leave SECRET_KEYS proves in the audit, encrypted under a newer one."""

    __tablename__: ClassVar[str] = "audit_key"

    key_id: str = Field(max_length=32, primary_key=True)
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
