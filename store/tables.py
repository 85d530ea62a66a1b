"""The tables. Times are aware UTC; SQLModel's tables don't validate, so what is written is checked at the edges."""

from datetime import date, datetime
from enum import IntEnum, StrEnum, auto
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, Column, Index, Integer, LargeBinary, Table, text
from sqlalchemy.types import JSON
from sqlmodel import Field, SQLModel

from store.times import Utc

METADATA = SQLModel.metadata
METADATA.naming_convention = {
    "ix": "%(table_name)s_%(column_0_name)s",
    "uq": "%(table_name)s_%(column_0_name)s_unique",
    "ck": "%(constraint_name)s",
    "fk": "%(table_name)s_%(column_0_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}


class Rank(IntEnum):
    """How far a text has come. It only rises; the last three are final."""

    QUEUED = 0
    ACCEPTED = 1  # the provider has it
    SENDING = 2
    SENT = 3  # the operator has it
    DROPPED = 7  # its code died, or it was out of time, before it left
    FAILED = 8
    DELIVERED = 9


FINAL = Rank.DROPPED


class Kind(IntEnum):
    """What a text is for; the lower go first."""

    CODE = 0
    PASSWORD = 1
    REPLY = 2
    NOTICE = 3


class Fate(StrEnum):
    """Why a code is no longer good."""

    USED = auto()
    VOIDED = auto()  # a newer code took its place
    CANCELLED = auto()
    BURNED = auto()  # no try left
    EXPIRED = auto()


def moment(**options: Any) -> Any:
    """A field that holds an aware UTC time."""
    return Field(sa_type=Utc, **options)


def only(condition: str) -> dict[str, Any]:
    """An index over some of the rows."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


# Every index is a page more to write for every text, so there are few; and SQLite keeps a table with a key of
# its own in one tree, not two.
CLUSTERED: dict[str, Any] = {"sqlite_with_rowid": False}


class Account(SQLModel, table=True):
    """A group leader's account at Fakher."""

    __tablename__: ClassVar[str] = "account"
    # Neither is written as texts come and go.
    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index(
            "account_broker",
            "broker",
            **only("broker IS NOT NULL"),
        ),
        Index(
            "account_locked",
            "locked_at",
            **only("locked_at IS NOT NULL"),
        ),
        # What people read out over the telephone.
        Index("account_national_id_end", text("substr(national_id, length(national_id) - 3)")),
        Index("account_mobile_end", text("substr(mobile, length(mobile) - 3)")),
    )

    id: int | None = Field(default=None, primary_key=True)
    national_id: str = Field(max_length=10, unique=True)
    username: str = Field(max_length=80, unique=True)
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
    password_set_at: datetime | None = moment(default=None)
    password_expires_at: datetime | None = moment(default=None)  # set: temporary, must be changed
    failures: int = Field(default=0)  # wrong codes in a row, over all codes
    locked_at: datetime | None = moment(default=None)


class Conversation(SQLModel, table=True):
    """Where the dialog with one phone stands. `version` counts the texts heard, so that two at once show."""

    __tablename__: ClassVar[str] = "conversation"
    __table_args__: ClassVar[dict[str, Any]] = CLUSTERED

    phone: str = Field(max_length=16, primary_key=True)
    version: int = Field(default=1)
    state: str = Field(max_length=40)
    table_version: int
    language: str | None = Field(default=None, max_length=8)
    ends_at: datetime | None = moment(default=None)
    heard_at: datetime = moment()
    opted_out_at: datetime | None = moment(default=None)
    hour_began_at: datetime = moment()  # the hour that the next two counts are of
    asked: int = Field(default=0)
    hinted: int = Field(default=0)
    shrugged: int = Field(default=0)  # with no hour between them
    shrugged_at: datetime | None = moment(default=None)
    stop_confirmed_at: datetime | None = moment(default=None)  # the last STOP that was answered


class Code(SQLModel, table=True):
    """A one-time password. It is live while `closed_at` is empty and its time runs; one account has one live code."""

    __tablename__: ClassVar[str] = "code"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index(
            "code_one_live",
            "account_id",
            unique=True,
            **only("closed_at IS NULL"),
        ),
        Index("code_account_created", "account_id", "created_at"),
        CLUSTERED,
    )

    id: str = Field(max_length=22, primary_key=True)
    account_id: int = Field(foreign_key="account.id")
    phone: str = Field(max_length=16)  # the mobile that it went to
    by_owner: bool  # asked for by that mobile, not by another phone
    staff_id: int | None = Field(default=None)  # sent at this staff member's order
    key_id: str = Field(max_length=32)
    digest: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False))
    tries_left: int
    created_at: datetime = moment()
    expires_at: datetime = moment()
    closed_at: datetime | None = moment(default=None)
    fate: str | None = Field(default=None, max_length=10)


class Staff(SQLModel, table=True):
    """Somebody who may order by text. One who was removed stays, for what they have done."""

    __tablename__: ClassVar[str] = "staff"

    id: int | None = Field(default=None, primary_key=True)
    mobile: str = Field(max_length=16, unique=True)  # E.164
    name: str = Field(max_length=120)
    role: str = Field(max_length=12)
    province: str | None = Field(default=None, max_length=60)
    broker: str | None = Field(default=None, max_length=60)
    added_at: datetime = moment()
    removed_at: datetime | None = moment(default=None)


class Confirmation(SQLModel, table=True):
    """An order that waits for its code, or that was carried out. One staff member has one live one."""

    __tablename__: ClassVar[str] = "confirmation"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index(
            "confirmation_one_live",
            "staff_id",
            unique=True,
            **only("closed_at IS NULL"),
        ),
        Index("confirmation_staff_created", "staff_id", "created_at"),
        Index("confirmation_account_closed", "account_id", "closed_at"),
        Index(
            "confirmation_watched",
            "closed_at",
            **only("code_id IS NOT NULL AND told_at IS NULL"),
        ),
        CLUSTERED,
    )

    id: str = Field(max_length=22, primary_key=True)
    staff_id: int = Field(foreign_key="staff.id")
    command: str = Field(max_length=20)
    account_id: int = Field(foreign_key="account.id")
    new_mobile: str | None = Field(default=None, max_length=16)
    ref: str = Field(max_length=7)  # by which staff speak of it
    key_id: str = Field(max_length=32)
    digest: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False))
    tries_left: int
    created_at: datetime = moment()
    expires_at: datetime = moment()
    closed_at: datetime | None = moment(default=None)
    fate: str | None = Field(default=None, max_length=10)
    code_id: str | None = Field(default=None, max_length=22)  # what a reset sent to the registered mobile
    told_at: datetime | None = moment(default=None)  # when staff were told that it was not delivered


class ConsoleCode(SQLModel, table=True):
    """A code that lets a staff member into the console. One staff member has one live code."""

    __tablename__: ClassVar[str] = "console_code"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index(
            "console_code_one_live",
            "staff_id",
            unique=True,
            **only("closed_at IS NULL"),
        ),
        Index("console_code_staff_created", "staff_id", "created_at"),
        CLUSTERED,
    )

    id: str = Field(max_length=22, primary_key=True)
    staff_id: int = Field(foreign_key="staff.id")
    key_id: str = Field(max_length=32)
    digest: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False))
    tries_left: int
    created_at: datetime = moment()
    expires_at: datetime = moment()
    closed_at: datetime | None = moment(default=None)
    fate: str | None = Field(default=None, max_length=10)


class ConsoleSession(SQLModel, table=True):
    """A staff member at the console, by a secret that only their browser holds; here is its SHA-256."""

    __tablename__: ClassVar[str] = "console_session"
    __table_args__: ClassVar[dict[str, Any]] = CLUSTERED

    id: str = Field(max_length=22, primary_key=True)
    staff_id: int = Field(foreign_key="staff.id")
    digest: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False))
    created_at: datetime = moment()
    used_at: datetime = moment()  # to the minute
    ended_at: datetime | None = moment(default=None)


class MobileChange(SQLModel, table=True):
    """A change of an account's registered mobile, from its proposal to its end. An account has one at a time."""

    __tablename__: ClassVar[str] = "mobile_change"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index(
            "mobile_change_one_open",
            "account_id",
            unique=True,
            **only("ended_at IS NULL"),
        ),
        Index(
            "mobile_change_from",
            "old_mobile",
            **only("ended_at IS NULL"),
        ),
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
    fate: str | None = Field(default=None, max_length=10)


class Ticket(SQLModel, table=True):
    """What a right code gives: the right to choose a password, once. To a phone, or to whoever holds the ticket."""

    __tablename__: ClassVar[str] = "ticket"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index("ticket_account", "account_id"),
        Index(
            "ticket_phone",
            "phone",
            **only("phone IS NOT NULL"),
        ),
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


class Token(SQLModel, table=True):
    """A bearer token of Fakher's, as its SHA-256: it is 128 random bits, which no key need protect."""

    __tablename__: ClassVar[str] = "token"

    id: str = Field(max_length=22, primary_key=True)
    name: str = Field(max_length=60)
    digest: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False))
    created_at: datetime = moment()
    expires_at: datetime = moment()
    revoked_at: datetime | None = moment(default=None)
    last_used_at: datetime | None = moment(default=None)  # to the minute


class Rate(SQLModel, table=True):
    """How many calls a token has made, or were made about an account, since a minute began."""

    __tablename__: ClassVar[str] = "rate"
    __table_args__: ClassVar[dict[str, Any]] = CLUSTERED

    name: str = Field(max_length=80, primary_key=True)
    began_at: datetime = moment()
    calls: int


class Announcement(SQLModel, table=True):
    """Something that Fakher is told, until it has taken it or a day has passed."""

    __tablename__: ClassVar[str] = "announcement"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index(
            "announcement_due",
            "due_at",
            **only("ended_at IS NULL"),
        ),
        CLUSTERED,
    )

    id: str = Field(max_length=22, primary_key=True)
    event: str = Field(max_length=40)
    account_id: int = Field(foreign_key="account.id")
    happened_at: datetime = moment()
    due_at: datetime = moment()  # while it is being posted: when another process may take it over
    attempts: int = Field(default=0)
    taken_at: datetime | None = moment(default=None)
    ended_at: datetime | None = moment(default=None)  # taken, or given up
    error: str | None = Field(default=None, max_length=80)


class Inbox(SQLModel, table=True):
    """A text that was heard: its id and what it meant, never its words."""

    __tablename__: ClassVar[str] = "inbox"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        # Few texts are: it costs the others nothing.
        Index(
            "inbox_unanswered",
            "heard_at",
            **only("event = 'unanswered'"),
        ),
        CLUSTERED,
    )

    gateway: str = Field(max_length=20, primary_key=True)
    provider_id: str = Field(max_length=64, primary_key=True)
    heard_at: datetime = moment()
    event: str = Field(max_length=40)


class Outbox(SQLModel, table=True):
    """A text to be sent: a phrase and its parameters. What is secret is encrypted, and erased once it has left."""

    __tablename__: ClassVar[str] = "outbox"
    __table_args__: ClassVar[tuple[Any, ...]] = (
        Index(
            "outbox_due",
            "kind",
            "due_at",
            **only("rank = 0"),
        ),
        Index(
            "outbox_provider",
            "provider_id",
            **only("provider_id IS NOT NULL"),
        ),
        Index(
            "outbox_account",
            "account_id",
            "created_at",
            **only("account_id IS NOT NULL"),
        ),
        CheckConstraint("rank = 0 OR secret IS NULL", name="outbox_secret_erased"),
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
    origin: str = Field(max_length=20)  # the gateway that the text which it answers came in by
    heard_at: datetime = moment()  # when that text was received: both control points count from it
    created_at: datetime = moment(index=True)
    expires_at: datetime = moment()
    due_at: datetime = moment()  # while it is being sent: when another process may take it over
    attempts: int = Field(default=0)
    setbacks: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})  # in a row, by one gateway
    rank: int = Field(default=0)
    gateway: str | None = Field(default=None, max_length=20)  # that took it; while it is queued: that is to try it
    provider_id: str | None = Field(default=None, max_length=64)
    accepted_at: datetime | None = moment(default=None)
    sent_at: datetime | None = moment(default=None)
    ended_at: datetime | None = moment(default=None)
    error: str | None = Field(default=None, max_length=80)
    instead_of: int | None = Field(default=None)  # the text that did not arrive, and that this one follows


class Breaker(SQLModel, table=True):
    """How a gateway fares, for all processes. While `opened_at` is set, texts go by another where there is one."""

    __tablename__: ClassVar[str] = "breaker"
    __table_args__: ClassVar[dict[str, Any]] = CLUSTERED

    gateway: str = Field(max_length=20, primary_key=True)
    failures: int = Field(default=0)  # in a row
    opened_at: datetime | None = moment(default=None)
    probe_at: datetime | None = moment(default=None)


class Occurrence(SQLModel, table=True):
    """How often something has happened, in all processes together, since the beginning."""

    __tablename__: ClassVar[str] = "occurrence"
    __table_args__: ClassVar[dict[str, Any]] = CLUSTERED

    name: str = Field(max_length=40, primary_key=True)
    label: str = Field(max_length=80, primary_key=True)
    number: int = Field(default=0)


class Span(SQLModel, table=True):
    """A stretch of time, within one day of Tehran's, whose texts have been counted into `measure`."""

    __tablename__: ClassVar[str] = "span"

    id: int | None = Field(default=None, primary_key=True)
    begins_at: datetime = moment(unique=True)
    ends_at: datetime = moment()


class Measure(SQLModel, table=True):
    """How often what happened in a span. What is counted, and under which names, is told in measures.py."""

    __tablename__: ClassVar[str] = "measure"
    __table_args__: ClassVar[dict[str, Any]] = CLUSTERED

    span: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    subject: str = Field(max_length=10, primary_key=True)
    province: str = Field(max_length=60, primary_key=True)  # empty where it isn't known
    gateway: str = Field(max_length=20, primary_key=True)
    counts: dict[str, int] = Field(sa_column=Column(JSON, nullable=False))


class Late(SQLModel, table=True):
    """A receipt that came so late that its text may have been counted already: its span is to be counted again."""

    __tablename__: ClassVar[str] = "late"

    id: int | None = Field(default=None, primary_key=True)
    created_at: datetime = moment(index=True)  # when the text was written


class Season(SQLModel, table=True):
    """The Umrah operation; one row at most. Both days are within it, by Tehran's clock."""

    __tablename__: ClassVar[str] = "season"

    id: int = Field(default=1, primary_key=True)
    opens: date
    closes: date


class Handset(SQLModel, table=True):
    """A text that the simulated carrier delivered, encrypted. Empty wherever a real gateway is used."""

    __tablename__: ClassVar[str] = "handset"

    id: int | None = Field(default=None, primary_key=True)
    phone: str = Field(max_length=16, index=True)
    provider_id: str = Field(max_length=64)
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    arrived_at: datetime = moment(index=True)


class Heartbeat(SQLModel, table=True):
    """When a job last ran to its end, in any process."""

    __tablename__: ClassVar[str] = "heartbeat"

    job: str = Field(max_length=40, primary_key=True)
    beat_at: datetime = moment()


class Audit(SQLModel, table=True):
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
    digest: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False))
    seq: int | None = Field(default=None)  # its place in the chain, from 1; none before it is sealed
    seal: bytes | None = Field(default=None, sa_column=Column(LargeBinary(32)))


class AuditHead(SQLModel, table=True):
    """The end of the audit's chain, so that rows missing there show; always one row."""

    __tablename__: ClassVar[str] = "audit_head"

    id: int = Field(default=1, primary_key=True)
    seq: int
    key_id: str = Field(max_length=32)
    seal: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False))


class AuditKey(SQLModel, table=True):
    """What a key that is to leave SECRET_KEYS proves in the audit, encrypted under a newer one."""

    __tablename__: ClassVar[str] = "audit_key"

    key_id: str = Field(max_length=32, primary_key=True)
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


def table(model: type[SQLModel]) -> Table:
    """The table behind a model, for statements that are built once."""
    found: Table = model.__table__  # type: ignore[attr-defined]
    return found


__all__ = [
    "FINAL",
    "METADATA",
    "Account",
    "Announcement",
    "Audit",
    "AuditHead",
    "AuditKey",
    "Breaker",
    "Code",
    "Confirmation",
    "ConsoleCode",
    "ConsoleSession",
    "Conversation",
    "Fate",
    "Handset",
    "Heartbeat",
    "Inbox",
    "Kind",
    "Late",
    "Measure",
    "MobileChange",
    "Occurrence",
    "Outbox",
    "Rank",
    "Rate",
    "Season",
    "Span",
    "Staff",
    "Ticket",
    "Token",
    "Utc",
    "table",
]
