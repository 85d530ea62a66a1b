"""One-time passwords: issued, tried and closed by statements that say by their row count who won."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, exists, func, insert, literal_column, null, select, update
from sqlalchemy.exc import IntegrityError

from store.conversations import StaleRead
from store.database.dialect import PreparedStatement, named
from store.outbound_messages import KEPT
from store.tables import (
    AccountRow,
    CloseReason,
    CodeRow,
    DeliveryStatus,
    MessageKind,
    MobileChangeRow,
    OutboundMessageRow,
    table,
)

CODE, ACCOUNT, MESSAGE, CHANGE = table(CodeRow), table(AccountRow), table(OutboundMessageRow), table(MobileChangeRow)


@dataclass(frozen=True)
class Tried:
    """A live code, one try of which has just been spent."""

    id: str
    account_id: int
    key_id: str
    digest: bytes
    tries_left: int


@dataclass(frozen=True)
class CodeUse:
    """What became of codes."""

    sent: int
    unused: int


ISSUE = PreparedStatement(insert(CODE).values(named(CODE, "closed_at", "close_reason")))
_HOLDER = exists().where(
    ACCOUNT.c.id == CODE.c.account_id,
    ACCOUNT.c.mobile == CODE.c.phone,
    ACCOUNT.c.active.is_(True),
    ACCOUNT.c.locked_at.is_(None),
    ~exists().where(
        CHANGE.c.account_id == ACCOUNT.c.id, CHANGE.c.ended_at.is_(None), CHANGE.c.approved_at.is_not(None)
    ),
)
_TRIED = tuple(CODE.c[name] for name in Tried.__dataclass_fields__)


def _spend(*conditions: Any) -> PreparedStatement:
    live = update(CODE).where(
        *conditions,
        CODE.c.expires_at > bindparam("now", type_=CODE.c.expires_at.type),
        CODE.c.closed_at.is_(None),
        CODE.c.tries_left > 0,
        _HOLDER,
    )
    return PreparedStatement(live.values(tries_left=CODE.c.tries_left - 1).returning(*_TRIED))


SPEND = _spend(
    CODE.c.account_id.in_(select(ACCOUNT.c.id).where(ACCOUNT.c.mobile == bindparam("sent_to"))),
    CODE.c.phone == bindparam("sent_to"),
)
SPEND_OF = _spend(CODE.c.account_id == bindparam("account"))
CLOSE = PreparedStatement(
    update(CODE)
    .where(CODE.c.id == bindparam("code"), CODE.c.closed_at.is_(None))
    .values(closed_at=bindparam("now", type_=CODE.c.closed_at.type), close_reason=bindparam("why"))
)
COUNT_FAILURE = PreparedStatement(
    update(ACCOUNT)
    .where(ACCOUNT.c.id == bindparam("account"))
    .values(failures=ACCOUNT.c.failures + literal_column("1"))
    .returning(ACCOUNT.c.failures)
)
# A text that waits with a code in it dies with the code.
DROP_TEXTS = PreparedStatement(
    update(MESSAGE)
    .where(
        MESSAGE.c.status == literal_column(str(int(DeliveryStatus.QUEUED))),
        MESSAGE.c.kind == literal_column(str(int(MessageKind.CODE))),
        MESSAGE.c.code_id == bindparam("code"),
    )
    .values(
        status=literal_column(str(int(DeliveryStatus.DROPPED))),
        secret=null(),
        ended_at=bindparam("now", type_=MESSAGE.c.ended_at.type),
        error=bindparam("why"),
    )
)


def issue(connection: Connection, row: dict[str, Any]) -> None:
    """Write a new code; Overtaken where the account has another live one, written meanwhile."""
    try:
        ISSUE(connection, {"staff_id": None, **row})
    except IntegrityError as conflict:
        raise StaleRead from conflict


def oldest_since(connection: Connection, account_id: int, since: datetime) -> datetime | None:
    """When the oldest code of a time was sent at its owner's own wish."""
    own = select(func.min(CODE.c.created_at)).where(CODE.c.account_id == account_id, CODE.c.by_owner.is_(True))
    oldest: datetime | None = connection.execute(own.where(CODE.c.created_at > since)).scalar_one()
    return oldest


def spend(connection: Connection, phone: str, now: datetime) -> list[Tried]:
    """Spend one try of every live code that was sent to a phone, before any is compared.

    Usually one; two where a mobile is registered for two accounts.
    """
    return [Tried(*row) for row in SPEND.rows(connection, {"sent_to": phone, "now": now})]


def spend_of(connection: Connection, account_id: int, now: datetime) -> list[Tried]:
    """Spend one try of the account's live code, if there is one, before it is compared."""
    return [Tried(*row) for row in SPEND_OF.rows(connection, {"account": account_id, "now": now})]


def find(connection: Connection, code_id: str) -> Tried | None:
    """A code, whatever has become of it; None where it is forgotten. No try is spent."""
    row = connection.execute(select(*_TRIED).where(CODE.c.id == code_id)).first()
    return Tried(*row) if row else None


def renew(
    connection: Connection, code_id: str, key_id: str, digest: bytes, now: datetime, *, own: bool
) -> datetime | None:
    """Put other digits into a live code's place; until when it lives. None where it is no longer good.

    All else stays: whose it is, its time, the tries that are left, and that it counts as one. With `own`, only
    what its owner has asked for is renewed.
    """
    live = update(CODE).where(CODE.c.id == code_id, CODE.c.closed_at.is_(None), CODE.c.tries_left > 0)
    live = live.where(CODE.c.expires_at > now, *[CODE.c.by_owner.is_(True)] * own, _HOLDER)
    renewed = live.values(key_id=key_id, digest=digest).returning(CODE.c.expires_at)
    expires_at: datetime | None = connection.execute(renewed).scalar_one_or_none()
    return expires_at


def close(connection: Connection, code_id: str, close_reason: CloseReason, now: datetime) -> bool:
    """Close a code that is still open, with its unsent text; whether this call was the one."""
    done = bool(CLOSE(connection, {"code": code_id, "why": close_reason, "now": now}).rowcount == 1)
    if done:
        DROP_TEXTS(connection, {"code": code_id, "why": close_reason, "now": now})
    return done


def close_at(connection: Connection, phone: str, now: datetime) -> list[int]:
    """Close every open code that was sent to a phone, because its owner cancelled; whose accounts' codes they were."""
    mine = (
        select(CODE.c.id, CODE.c.account_id)
        .join(ACCOUNT, ACCOUNT.c.id == CODE.c.account_id)
        .where(ACCOUNT.c.mobile == phone)
    )
    found = connection.execute(mine.where(CODE.c.phone == phone, CODE.c.closed_at.is_(None)))
    return [row.account_id for row in found.all() if close(connection, row.id, CloseReason.CANCELLED, now)]


def close_of(connection: Connection, account_id: int, close_reason: CloseReason, now: datetime) -> None:
    """Close the account's open code, if it has one."""
    found = connection.execute(select(CODE.c.id).where(CODE.c.account_id == account_id, CODE.c.closed_at.is_(None)))
    for code_id in found.scalars().all():
        close(connection, code_id, close_reason, now)


def count_failure(connection: Connection, account_ids: list[int]) -> int:
    """Count one more failure in a row for each account; the highest count among them, 0 where there is none."""
    rows = [row for each in sorted(account_ids) for row in COUNT_FAILURE(connection, {"account": each}).fetchall()]
    return max((failures for (failures,) in rows), default=0)


def lock_accounts(connection: Connection, account_ids: list[int], failures: int, now: datetime) -> list[int]:
    """Disable recovery for those of the accounts that have failed so often in a row; which they are."""
    failing = update(ACCOUNT).where(ACCOUNT.c.id.in_(account_ids), ACCOUNT.c.failures >= failures)
    return list(connection.execute(failing.values(locked_at=now).returning(ACCOUNT.c.id)).scalars())


@dataclass(frozen=True)
class Newest:
    """An account's newest code, and how far its text has come."""

    close_reason: str | None
    expires_at: datetime
    status: int | None


def newest_of(connection: Connection, account_id: int, since: datetime) -> Newest | None:
    """The account's newest code since a time."""
    # The account finds the texts by an index. Where one was sent once more, the newer tells.
    texted = and_(MESSAGE.c.account_id == CODE.c.account_id, MESSAGE.c.code_id == CODE.c.id)
    found = select(CODE.c.close_reason, CODE.c.expires_at, MESSAGE.c.status).outerjoin(MESSAGE, texted)
    mine = found.where(CODE.c.account_id == account_id, CODE.c.created_at > since)
    row = connection.execute(mine.order_by(CODE.c.created_at.desc(), MESSAGE.c.id.desc()).limit(1)).first()
    return Newest(*row) if row else None


def close_expired(connection: Connection, now: datetime, most: int = 500) -> int:
    """Close codes whose time or tries ran out, with their unsent texts; how many there were."""
    late = select(CODE.c.id, CODE.c.tries_left).where(CODE.c.closed_at.is_(None))
    late = late.where((CODE.c.expires_at <= now) | (CODE.c.tries_left <= 0)).limit(most)
    found = connection.execute(late).all()
    return sum(
        close(connection, row.id, CloseReason.EXPIRED if row.tries_left else CloseReason.BURNED, now) for row in found
    )


def use_of(connection: Connection, after: datetime, until: datetime) -> CodeUse:
    """How many codes of a time were texted, and never used."""
    sent = select(func.count(), func.count().filter(CODE.c.close_reason.is_distinct_from(CloseReason.USED)))
    sent = sent.select_from(MESSAGE).join(CODE, CODE.c.id == MESSAGE.c.code_id)
    of_then = sent.where(
        MESSAGE.c.created_at > after, MESSAGE.c.created_at <= until, MESSAGE.c.kind == MessageKind.CODE
    )
    return CodeUse(*connection.execute(of_then).one())


def forget_old(connection: Connection, now: datetime) -> int:
    """Drop codes that no season's report needs any more."""
    return connection.execute(delete(CODE).where(CODE.c.closed_at < now - KEPT)).rowcount
