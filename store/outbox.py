"""The texts to be sent. A text is claimed by moving its due time on: a process that dies holding one gives it back."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from store import measures
from store.dialect import Prepared, named
from store.tables import FINAL, Kind, Outbox, Rank, table

OUTBOX = table(Outbox)
UTC_TYPE = OUTBOX.c.due_at.type
# A literal, so that the partial indexes on what is queued are used.
_QUEUED = OUTBOX.c.rank == literal_column(str(int(Rank.QUEUED)))
KEPT = timedelta(days=400)
UNTRIED = {"gateway": None, "setbacks": 0, "instead_of": None}
# What is not known yet when a text is written.
NOT_YET = (*UNTRIED, "provider_id", "accepted_at", "sent_at", "ended_at", "error")


@dataclass(frozen=True)
class Claimed:
    """A text that is this process's to send until its lease ends."""

    id: int
    kind: int
    phone: str
    language: str
    phrase: str
    parameters: dict[str, str]
    secret: bytes | None
    origin: str
    gateway: str | None  # that is to try it; None before the first failure
    attempts: int
    setbacks: int  # failures in a row by that gateway
    created_at: datetime
    expires_at: datetime
    due_at: datetime  # the end of the lease

    def __repr__(self) -> str:
        return f"Claimed({self.id}, {self.phrase}, attempt {self.attempts})"


@dataclass(frozen=True)
class Sent:
    """A text that a receipt speaks of. `has_risen` says whether the receipt told anything new."""

    id: int
    kind: int
    phone: str
    language: str
    phrase: str
    parameters: dict[str, str]
    code_id: str | None
    account_id: int | None
    origin: str
    heard_at: datetime
    instead_of: int | None
    has_risen: bool = False

    def __repr__(self) -> str:
        return f"Sent({self.id}, {self.phrase})"


_CLAIMED = tuple(Claimed.__dataclass_fields__)

_SENT = tuple(OUTBOX.c[name] for name in Sent.__dataclass_fields__ if name != "has_risen")

_NOW = bindparam("now", type_=UTC_TYPE)
_DUE = (
    select(OUTBOX.c.id)
    .where(_QUEUED, OUTBOX.c.due_at <= _NOW, OUTBOX.c.expires_at > _NOW)
    .order_by(OUTBOX.c.kind, OUTBOX.c.due_at)
    .limit(bindparam("most"))
)
QUEUE = Prepared(insert(OUTBOX).values(named(OUTBOX, "id", *NOT_YET)).returning(OUTBOX.c.id))
FOLLOW = Prepared(
    insert(OUTBOX)
    .values(named(OUTBOX, "id", *(name for name in NOT_YET if name not in UNTRIED)))
    .returning(OUTBOX.c.id)
)
CLAIM = (
    update(OUTBOX)
    .where(OUTBOX.c.id.in_(_DUE.with_for_update(skip_locked=True)))
    .values(due_at=bindparam("until", type_=UTC_TYPE), attempts=OUTBOX.c.attempts + 1)
    .returning(*(OUTBOX.c[name] for name in _CLAIMED))
)
ACCEPT = (
    update(OUTBOX)
    .where(OUTBOX.c.id == bindparam("text"))
    .values(
        rank=case((OUTBOX.c.rank < Rank.ACCEPTED, int(Rank.ACCEPTED)), else_=OUTBOX.c.rank),
        secret=None,
        accepted_at=bindparam("at", type_=UTC_TYPE),
        gateway=bindparam("by"),
        provider_id=bindparam("as"),
    )
)
RETRY = (
    update(OUTBOX)
    .where(OUTBOX.c.id == bindparam("text"), _QUEUED)
    .values(
        due_at=bindparam("at", type_=UTC_TYPE),
        error=bindparam("why"),
        gateway=bindparam("next"),
        setbacks=bindparam("failures"),
    )
)
GIVE_UP = (
    update(OUTBOX)
    .where(OUTBOX.c.id == bindparam("text"), OUTBOX.c.rank < FINAL)
    .values(
        rank=int(Rank.FAILED),
        secret=None,
        gateway=bindparam("by"),
        ended_at=bindparam("at", type_=UTC_TYPE),
        error=bindparam("why"),
    )
)


def queue(connection: Connection, row: dict[str, Any], now: datetime, lease: timedelta | None) -> Claimed:
    """Write a text to be sent. With a lease it is claimed as it is written, for this process to send at once."""
    attempts, due_at = (1, now + lease) if lease else (0, now)
    whole = {**UNTRIED, **row, "attempts": attempts, "due_at": due_at, "created_at": now, "rank": int(Rank.QUEUED)}
    (number,) = (FOLLOW if whole["instead_of"] else QUEUE)(connection, whole).fetchone()
    return Claimed(number, **{name: whole[name] for name in _CLAIMED if name != "id"})


def is_due(connection: Connection, now: datetime) -> bool:
    """Whether any text waits to be sent now."""
    return connection.execute(_DUE, {"now": now, "most": 1}).first() is not None


def claim(connection: Connection, now: datetime, most: int, lease: timedelta) -> list[Claimed]:
    """Take up to `most` due texts, codes before notices; each is one process's until the lease ends."""
    rows = connection.execute(CLAIM, {"now": now, "until": now + lease, "most": most}).all()
    return sorted((Claimed(*row) for row in rows), key=lambda text: (text.kind, text.id))


def accept(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Note that providers took these texts, and erase their secrets. Keys: text, by, as, at."""
    connection.execute(ACCEPT, rows)


def retry(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Note when to try these texts again. Keys: text, at, why; next, the gateway; failures, by that one in a row."""
    connection.execute(RETRY, rows)


def give_up(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Note that these texts can't be delivered, and erase their secrets. Keys: text, by, at, why."""
    connection.execute(GIVE_UP, rows)


def receive_receipt(
    connection: Connection,
    gateway: str,
    provider_id: str,
    rank: Rank,
    now: datetime,
    error: str | None = None,
    ref: int | None = None,
) -> Sent | None:
    """Raise a text's rank as a receipt says; the text, or None where none is known by it.

    Receipts come late, twice and out of order, so a lower or equal rank changes nothing. `ref` is the
    text's own id, which finds it even before its provider's id has been written.
    """
    same: ColumnElement[bool] = (OUTBOX.c.gateway == gateway) & (OUTBOX.c.provider_id == provider_id)
    if ref is not None:
        same = or_(same, (OUTBOX.c.id == ref) & OUTBOX.c.provider_id.is_(None))
    raised = update(OUTBOX).where(same, OUTBOX.c.rank < rank, OUTBOX.c.rank < FINAL)
    changes: dict[str, Any] = {"rank": int(rank), "secret": None}
    if rank is Rank.SENT:
        changes["sent_at"] = now
    if rank >= FINAL:
        changes.update(ended_at=now, error=error)
    row = connection.execute(raised.values(changes).returning(*_SENT, OUTBOX.c.created_at)).first()
    if row:
        measures.note_late(connection, row.created_at, now)
        return replace(Sent(*row[:-1]), has_risen=True)
    row = connection.execute(select(*_SENT).where(same)).first()
    return Sent(*row) if row else None


def drop_expired(connection: Connection, now: datetime) -> int:
    """Drop what was not sent in time, with its secrets; how many there were."""
    late = update(OUTBOX).where(_QUEUED, OUTBOX.c.expires_at <= now)
    return connection.execute(
        late.values(rank=int(Rank.DROPPED), secret=None, ended_at=now, error=func.coalesce(OUTBOX.c.error, "expired"))
    ).rowcount


def drop_to(connection: Connection, phone: str, now: datetime) -> None:
    """Drop what still waits to be sent to a phone that has opted out."""
    waiting = update(OUTBOX).where(_QUEUED, OUTBOX.c.phone == phone)
    connection.execute(waiting.values(rank=int(Rank.DROPPED), secret=None, ended_at=now, error="opted_out"))


def oldest_queued(connection: Connection) -> datetime | None:
    """When the text that waits longest was written."""
    # Of each kind, since a minimum of all would be looked for among all texts, in the order of their age.
    waiting = select(func.min(OUTBOX.c.created_at)).where(_QUEUED).group_by(OUTBOX.c.kind)
    return min(connection.execute(waiting).scalars(), default=None)


def codes_since(connection: Connection, since: datetime, prefix: str = "+") -> int:
    """How many codes were sent off since a time, to all phones whose number begins so."""
    counted = select(func.count()).where(OUTBOX.c.created_at > since, OUTBOX.c.kind == Kind.CODE)
    return connection.execute(counted.where(OUTBOX.c.phone.startswith(prefix))).scalar_one()


def count_by_rank(connection: Connection, since: datetime) -> dict[Rank, int]:
    """How many texts of the time since stand at each rank."""
    counted = select(OUTBOX.c.rank, func.count()).where(OUTBOX.c.created_at > since).group_by(OUTBOX.c.rank)
    return {Rank(rank): number for rank, number in connection.execute(counted)}


def forget_old(connection: Connection, now: datetime) -> int:
    """Drop texts that no season's report needs any more."""
    old = delete(OUTBOX).where(OUTBOX.c.created_at < now - KEPT, OUTBOX.c.rank != Rank.QUEUED)
    return connection.execute(old).rowcount
