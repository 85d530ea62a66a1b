"""The texts to be sent. A text is claimed by moving its next attempt on: if the process ends, it is due again.

By `claimed_by` the others can give it back sooner, where they know that the process has ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    case,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    update,
)

from store import stats_periods
from store.database.dialect import named, not_held
from store.database.prepared import PreparedStatement, flush
from store.tables import FINAL, PROTECTIVE, CloseReason, DeliveryStatus, MessageKind, OutboundMessageRow, table

MESSAGE = table(OutboundMessageRow)
UTC_TYPE = MESSAGE.c.next_attempt_at.type
# A literal, so that the partial indexes on what is queued are used.
_QUEUED = MESSAGE.c.status == literal_column(str(int(DeliveryStatus.QUEUED)))
# Before it had left, as far as is known: its provider may have taken it, and its answer not be written yet.
_DROPPED = MESSAGE.c.status == literal_column(str(int(DeliveryStatus.DROPPED)))
ACCEPTED = int(DeliveryStatus.ACCEPTED)
UNTRIED = {"gateway": None, "consecutive_failures": 0, "resend_of": None}
# What is not known yet when a text is written.
NOT_YET = (*UNTRIED, "provider_id", "accepted_at", "sent_at", "ended_at", "error")


@dataclass(frozen=True)
class NewMessage:
    """A text to be written: a phrase and its parameters. `secret` is encrypted.

    `inbound_gateway` is the one that the text which it answers came in by, empty where it answers none, and
    `request_received_at` when that text was received. `gateway` and `resend_of`: that is to try it first, and the text
    that did not arrive, whose place it takes.
    """

    kind: int
    phone: str = field(repr=False)
    language: str
    phrase: str
    parameters: dict[str, str] = field(repr=False)
    secret: bytes | None = field(repr=False)
    code_id: str | None
    account_id: int | None
    inbound_gateway: str
    request_received_at: datetime
    expires_at: datetime
    gateway: str | None = None
    resend_of: int | None = None


@dataclass(frozen=True)
class ClaimedMessage:
    """A text that is this process's to send until its lease ends."""

    id: int
    kind: int
    phone: str
    language: str
    phrase: str
    parameters: dict[str, str]
    secret: bytes | None
    inbound_gateway: str
    gateway: str | None  # that is to try it; None before the first failure
    attempts: int
    consecutive_failures: int  # in a row by that gateway; below zero, gateways in a row that refused it for good
    created_at: datetime
    expires_at: datetime
    next_attempt_at: datetime  # the end of the lease

    def __repr__(self) -> str:
        return f"Claimed({self.id}, {self.phrase}, attempt {self.attempts})"


@dataclass(frozen=True)
class SentMessage:
    """A text that a receipt speaks of. `has_risen` says whether the receipt told anything new."""

    id: int
    kind: int
    phone: str
    language: str
    phrase: str
    parameters: dict[str, str]
    code_id: str | None
    account_id: int | None
    inbound_gateway: str
    request_received_at: datetime
    resend_of: int | None
    has_risen: bool = False

    def __repr__(self) -> str:
        return f"Sent({self.id}, {self.phrase})"


_CLAIMED = tuple(ClaimedMessage.__dataclass_fields__)

_SENT = tuple(MESSAGE.c[name] for name in SentMessage.__dataclass_fields__ if name != "has_risen")

_NOW = bindparam("now", type_=UTC_TYPE)
_DUE = (
    select(MESSAGE.c.id)
    .where(_QUEUED, MESSAGE.c.next_attempt_at <= _NOW, MESSAGE.c.expires_at > _NOW)
    .order_by(MESSAGE.c.kind, MESSAGE.c.next_attempt_at)
    .limit(bindparam("most"))
)
QUEUE = PreparedStatement(insert(MESSAGE).values(named(MESSAGE, "id", *NOT_YET)).returning(MESSAGE.c.id))
QUEUE_RESEND = PreparedStatement(
    insert(MESSAGE)
    .values(named(MESSAGE, "id", *(name for name in NOT_YET if name not in UNTRIED)))
    .returning(MESSAGE.c.id)
)
CLAIM = (
    update(MESSAGE)
    .where(MESSAGE.c.id.in_(not_held(_DUE)))
    .values(
        next_attempt_at=bindparam("until", type_=UTC_TYPE), claimed_by=bindparam("by"), attempts=MESSAGE.c.attempts + 1
    )
    .returning(*(MESSAGE.c[name] for name in _CLAIMED))
)
ACCEPT = (
    update(MESSAGE)
    .where(MESSAGE.c.id == bindparam("text"))
    .values(
        status=case((or_(_DROPPED, MESSAGE.c.status < ACCEPTED), ACCEPTED), else_=MESSAGE.c.status),
        secret=None,
        claimed_by=None,
        ended_at=case((_DROPPED, null()), else_=MESSAGE.c.ended_at),
        error=case((_DROPPED, null()), else_=MESSAGE.c.error),
        accepted_at=bindparam("at", type_=UTC_TYPE),
        gateway=bindparam("by"),
        provider_id=bindparam("as"),
    )
)
RETRY = (
    update(MESSAGE)
    .where(MESSAGE.c.id == bindparam("text"), _QUEUED)
    .values(
        next_attempt_at=bindparam("at", type_=UTC_TYPE),
        claimed_by=None,
        error=bindparam("why"),
        gateway=bindparam("next"),
        consecutive_failures=bindparam("failures"),
    )
)
# An attempt failed, as far as is known; but meanwhile the code was used. So the text had arrived.
ARRIVED_ALL_THE_SAME = (
    update(MESSAGE)
    .where(MESSAGE.c.id == bindparam("text"), _DROPPED, MESSAGE.c.error == literal_column(f"'{CloseReason.USED}'"))
    .values(status=int(DeliveryStatus.DELIVERED), error=None)
)
GIVE_UP = (
    update(MESSAGE)
    .where(MESSAGE.c.id == bindparam("text"), MESSAGE.c.status < FINAL)
    .values(
        status=int(DeliveryStatus.FAILED),
        secret=None,
        gateway=bindparam("by"),
        ended_at=bindparam("at", type_=UTC_TYPE),
        error=bindparam("why"),
    )
)


def queue(
    connection: Connection,
    messages: Sequence[NewMessage],
    now: datetime,
    lease: timedelta | None,
    by: str | None = None,
) -> list[ClaimedMessage]:
    """Write texts to be sent. With a lease they are claimed as they are written, by a process that sends at once."""
    attempts, next_attempt_at = (1, now + lease) if lease else (0, now)
    state = {
        "attempts": attempts,
        "next_attempt_at": next_attempt_at,
        "claimed_by": by if lease else None,
        "created_at": now,
        "status": int(DeliveryStatus.QUEUED),
        "consecutive_failures": 0,
    }
    rows = [{**vars(message), **state} for message in messages]
    queued = [(QUEUE_RESEND if row["resend_of"] else QUEUE).later(connection, row) for row in rows]
    flush(connection)
    return [
        ClaimedMessage(it.cursor.fetchone()[0], **{name: row[name] for name in _CLAIMED if name != "id"})
        for it, row in zip(queued, rows, strict=True)
    ]


def is_due(connection: Connection, now: datetime) -> bool:
    """Whether any text waits to be sent now."""
    return connection.execute(_DUE, {"now": now, "most": 1}).first() is not None


def claim(
    connection: Connection, now: datetime, most: int, lease: timedelta, by: str | None = None
) -> list[ClaimedMessage]:
    """Take up to `most` due texts, codes before notices; each is one process's until the lease ends."""
    rows = connection.execute(CLAIM, {"now": now, "until": now + lease, "most": most, "by": by}).all()
    return sorted((ClaimedMessage(*row) for row in rows), key=lambda text: (text.kind, text.id))


def give_back(connection: Connection, processes: list[str]) -> None:
    """Make the texts due that processes had claimed which have ended."""
    if processes:
        theirs = update(MESSAGE).where(_QUEUED, MESSAGE.c.claimed_by.in_(processes))
        connection.execute(theirs.values(next_attempt_at=MESSAGE.c.created_at, claimed_by=None))


def retry_now(connection: Connection, now: datetime) -> None:
    """Make the texts due that failed and wait for their next attempt, but for those that a process is sending."""
    paused = update(MESSAGE).where(_QUEUED, MESSAGE.c.error.is_not(None), MESSAGE.c.claimed_by.is_(None))
    connection.execute(paused.where(MESSAGE.c.next_attempt_at > now).values(next_attempt_at=now))


def accept(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Note that providers took these texts, and erase their secrets.

    Keys: text, its id; by, the gateway; as, the provider's id of it; at.

    One that was dropped meanwhile, because its code died, has arrived all the same.
    """
    connection.execute(ACCEPT, rows)


def retry(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Note when to try these texts again. Keys: text (its id), at, why (a Reason), next (a gateway), failures.

    One whose code was used meanwhile is delivered: the phone that texted the code back had it from that text.
    """
    connection.execute(RETRY, rows)
    connection.execute(ARRIVED_ALL_THE_SAME, [{"text": row["text"]} for row in rows])


def give_up(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Note that these texts can't be delivered, and erase their secrets. Keys: text, by, at, why."""
    connection.execute(GIVE_UP, rows)


def receive_receipt(
    connection: Connection,
    gateway: str,
    provider_id: str,
    status: DeliveryStatus,
    now: datetime,
    error: str | None = None,
    ref: int | None = None,
) -> SentMessage | None:
    """Raise a text's status as a receipt says; the text, or None where none is known by it.

    Receipts come late, twice and out of order, so a lower or equal status changes nothing; a text that was dropped may
    turn out to have arrived. `ref` is the text's own id, which finds it even before its provider's id has been written.
    A text that is to be tried again, here or by another gateway, does not end because an earlier attempt has failed.
    """
    same: ColumnElement[bool] = (MESSAGE.c.gateway == gateway) & (MESSAGE.c.provider_id == provider_id)
    if ref is not None:
        # One that nobody has tried yet is another's of this number: a backup's, which gives its numbers out again.
        same = or_(same, (MESSAGE.c.id == ref) & MESSAGE.c.provider_id.is_(None) & (MESSAGE.c.attempts > 0))
    is_open = MESSAGE.c.status <= FINAL if status is DeliveryStatus.DELIVERED else MESSAGE.c.status < FINAL
    if status is DeliveryStatus.FAILED:
        is_open &= (MESSAGE.c.status > DeliveryStatus.QUEUED) | _is_first_attempt(gateway)
    raised = update(MESSAGE).where(same, MESSAGE.c.status < status, is_open)
    changes: dict[str, Any] = {"status": int(status), "secret": None}
    if status is DeliveryStatus.SENT:
        changes["sent_at"] = now
    if status >= FINAL:
        changes.update(ended_at=now, error=error)
    row = connection.execute(raised.values(changes).returning(*_SENT, MESSAGE.c.created_at)).first()
    if row:
        stats_periods.note_late(connection, row.created_at, now)
        return replace(SentMessage(*row[:-1]), has_risen=True)
    row = connection.execute(select(*_SENT).where(same)).first()
    return SentMessage(*row) if row else None


def known(connection: Connection, provider_ids: Sequence[str]) -> set[tuple[str, str]]:
    """Which of these ids texts have by now, each with its gateway before it."""
    found = select(MESSAGE.c.gateway, MESSAGE.c.provider_id).where(MESSAGE.c.provider_id.in_(provider_ids))
    return {(row.gateway, row.provider_id) for row in connection.execute(found)}


def _is_first_attempt(gateway: str) -> ColumnElement[bool]:
    """Whether nothing has failed yet: then a receipt that names no text by its provider's id is about this attempt."""
    by = MESSAGE.c.gateway
    return (MESSAGE.c.attempts <= 1) & (MESSAGE.c.consecutive_failures == 0) & (by.is_(None) | (by == gateway))


def drop_expired(connection: Connection, now: datetime) -> int:
    """Drop what was not sent in time, with its secrets; how many there were."""
    late = update(MESSAGE).where(_QUEUED, MESSAGE.c.expires_at <= now)
    return connection.execute(
        late.values(
            status=int(DeliveryStatus.DROPPED),
            secret=None,
            ended_at=now,
            error=func.coalesce(MESSAGE.c.error, "expired"),
        )
    ).rowcount


def drop_to(connection: Connection, phone: str, now: datetime) -> None:
    """Drop what still waits to be sent to a phone that has opted out, but for what protects its account."""
    waiting = update(MESSAGE).where(_QUEUED, MESSAGE.c.phone == phone, MESSAGE.c.kind.not_in(map(int, PROTECTIVE)))
    connection.execute(waiting.values(status=int(DeliveryStatus.DROPPED), secret=None, ended_at=now, error="opted_out"))


def oldest_queued(connection: Connection) -> datetime | None:
    """When the text that waits longest was written."""
    # Of each kind, since a minimum of all would be looked for among all texts, in the order of their age.
    waiting = select(func.min(MESSAGE.c.created_at)).where(_QUEUED).group_by(MESSAGE.c.kind)
    return min(connection.execute(waiting).scalars(), default=None)


def waiting(connection: Connection, now: datetime) -> dict[tuple[MessageKind, bool], int]:
    """How many texts have not left, by kind and whether they are due; else a process has them, or a pause."""
    is_due = case((MESSAGE.c.next_attempt_at <= now, 1), else_=0)
    counted = select(MESSAGE.c.kind, is_due, func.count()).where(_QUEUED).group_by(MESSAGE.c.kind, is_due)
    return {(MessageKind(kind), bool(due)): number for kind, due, number in connection.execute(counted)}


def codes_between(connection: Connection, after: datetime, until: datetime, prefix: str = "+") -> int:
    """How many codes were sent off in a time, to all phones whose number begins so."""
    counted = select(func.count()).where(MESSAGE.c.created_at > after, MESSAGE.c.created_at <= until)
    counted = counted.where(MESSAGE.c.kind == MessageKind.CODE)
    return connection.execute(counted.where(MESSAGE.c.phone.startswith(prefix))).scalar_one()


def count_by_status(connection: Connection, since: datetime) -> dict[DeliveryStatus, int]:
    """How many texts of the time since have each status."""
    counted = select(MESSAGE.c.status, func.count()).where(MESSAGE.c.created_at > since).group_by(MESSAGE.c.status)
    return {DeliveryStatus(status): number for status, number in connection.execute(counted)}


def is_old(before: datetime) -> ColumnElement[bool]:
    """Texts written before a time, but for those that still wait."""
    return (MESSAGE.c.created_at < before) & (MESSAGE.c.status != DeliveryStatus.QUEUED)
