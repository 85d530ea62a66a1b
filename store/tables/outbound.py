"""What is sent: texts, how far they have come, and the health of their gateways."""

from datetime import datetime
from enum import IntEnum
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, Column, Index, LargeBinary, text
from sqlalchemy.types import JSON
from sqlmodel import Field, SQLModel

from store.tables.base import CLUSTERED, moment, only


class DeliveryStatus(IntEnum):
    """How far a text has come. It only rises; the last three are final."""

    QUEUED = 0
    ACCEPTED = 1  # the provider has it
    SENDING = 2
    SENT = 3  # the operator has it
    DROPPED = 7  # its code died, or it was out of time, before it left
    FAILED = 8
    DELIVERED = 9


FINAL = DeliveryStatus.DROPPED


class MessageKind(IntEnum):
    """What a text is for; the lower go first."""

    NEUTRAL = -1  # before the code that the same request sends, so that its time tells nothing
    CODE = 0
    PASSWORD = 1
    REPLY = 2
    NOTICE = 3


# What protects an account goes out in spite of STOP: a new password is the notice, too, that it is another.
PROTECTIVE = frozenset({MessageKind.PASSWORD, MessageKind.NOTICE})


class OutboundMessageRow(SQLModel, table=True):
    """A text to be sent: a phrase and its parameters. What is secret is encrypted, and erased once it has left."""

    __tablename__: ClassVar[str] = "outbound_message"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index("outbound_message_due", "kind", "next_attempt_at", **only("status = 0")),
        Index("outbound_message_queued_at", "phone", **only("status = 0")),
        Index("outbound_message_provider", "provider_id", **only("provider_id IS NOT NULL")),
        Index("outbound_message_account", "account_id", "created_at", **only("account_id IS NOT NULL")),
        CheckConstraint("status = 0 OR secret IS NULL", name="outbound_message_secret_erased"),
    )

    id: int | None = Field(default=None, primary_key=True)
    kind: int
    phone: str = Field(max_length=16)
    language: str = Field(max_length=8)
    phrase: str = Field(max_length=40)
    parameters: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))
    secret: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    code_id: str | None = Field(default=None, max_length=22)
    account_id: int | None = Field(default=None)
    inbound_gateway: str = Field(max_length=20)  # the gateway that the text which it answers came in by
    request_received_at: datetime = moment()  # when that text was received: both control points count from it
    created_at: datetime = moment(index=True)
    expires_at: datetime = moment()
    next_attempt_at: datetime = moment()  # while it is being sent: when another process may take it over
    claimed_by: str | None = Field(default=None, max_length=22)  # while it is being sent: by which process
    attempts: int = Field(default=0)
    consecutive_failures: int = Field(
        default=0, sa_column_kwargs={"server_default": text("0")}
    )  # in a row, by one gateway; below zero, how many gateways in a row have refused it for good
    status: int = Field(default=0)
    gateway: str | None = Field(default=None, max_length=20)  # that took it; while it is queued: that is to try it
    provider_id: str | None = Field(default=None, max_length=64)
    accepted_at: datetime | None = moment(default=None)
    sent_at: datetime | None = moment(default=None)
    ended_at: datetime | None = moment(default=None)
    error: str | None = Field(default=None, max_length=80)
    resend_of: int | None = Field(default=None)  # the text that did not arrive, and that this one follows


class CircuitBreakerRow(SQLModel, table=True):
    """A gateway's health, for all processes. While `opened_at` is set, texts go by another where there is one."""

    __tablename__: ClassVar[str] = "circuit_breaker"
    __table_args__: ClassVar[dict[str, Any]] = CLUSTERED

    gateway: str = Field(max_length=20, primary_key=True)
    failures: int = Field(default=0)  # in a row
    opened_at: datetime | None = moment(default=None)
    probe_at: datetime | None = moment(default=None)


class SimulatedMessageRow(SQLModel, table=True):
    """A text that the simulated carrier delivered, encrypted. Empty wherever a real gateway is used."""

    __tablename__: ClassVar[str] = "simulated_message"

    id: int | None = Field(default=None, primary_key=True)
    phone: str = Field(max_length=16, index=True)
    provider_id: str = Field(max_length=64)
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    arrived_at: datetime = moment(index=True)
