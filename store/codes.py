"""One-time passwords of every purpose: issued, tried and closed by statements whose row count says who won."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    null,
    select,
    update,
)

from dialogs.vocabulary import CodePurpose
from store.conversations import StaleRead
from store.database.dialect import InsertOrSkip, named
from store.database.prepared import PreparedStatement
from store.tables import (
    AccountRow,
    CloseReason,
    CodeRow,
    DeliveryStatus,
    MessageKind,
    MobileChangeRow,
    OutboundMessageRow,
    RequestedBy,
    StaffRow,
    table,
)

CODE, ACCOUNT, STAFF = table(CodeRow), table(AccountRow), table(StaffRow)
MESSAGE, CHANGE = table(OutboundMessageRow), table(MobileChangeRow)
# By an index of what is open. PostgreSQL may read all of it for one code, if it was short when the statement was
# planned; a code that has no reason why it was closed is as open, and found by whose it is.
_OPEN, _UNCLOSED = CODE.c.closed_at.is_(None), CODE.c.close_reason.is_(None)
AT_CONSOLE = (CodePurpose.CONSOLE, CodePurpose.OWN_BROWSER)
_OF_CONSOLE = (*AT_CONSOLE, CodePurpose.STAFF_CHANGE)


@dataclass(frozen=True)
class Code:
    """A code, a try of which has just been spent where it comes from `spend_*`. Its owner is an account or of staff."""

    id: str
    purpose: str
    account_id: int | None
    staff_id: int | None
    key_id: str
    digest: bytes = field(repr=False)
    tries_left: int


@dataclass(frozen=True)
class NewCode:
    """A code to be written: an account's or a staff member's. `digest` is the keyed hash of its digits."""

    id: str
    purpose: CodePurpose
    account_id: int | None
    staff_id: int | None
    phone: str = field(repr=False)
    requested_by: RequestedBy
    key_id: str
    digest: bytes = field(repr=False)
    tries_left: int
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class CodeUse:
    """How many codes were sent in a time, and how many of them never used."""

    sent: int
    unused: int


@dataclass(frozen=True)
class CodesSent:
    """How many codes of a purpose a staff member was sent of late, and when the one that is still good was."""

    in_hour: int
    in_day: int
    live_since: datetime | None


ISSUE = PreparedStatement(InsertOrSkip(CODE).values(named(CODE, "closed_at", "close_reason")))
# Only while the account is in good standing, and still registered on the mobile that the code went to.
_ACCOUNT_STANDS = exists().where(
    ACCOUNT.c.id == CODE.c.account_id,
    ACCOUNT.c.mobile == CODE.c.phone,
    ACCOUNT.c.active.is_(True),
    ACCOUNT.c.locked_at.is_(None),
    ~exists().where(
        CHANGE.c.account_id == ACCOUNT.c.id, CHANGE.c.ended_at.is_(None), CHANGE.c.approved_at.is_not(None)
    ),
)
_STAFF_STANDS = exists().where(
    STAFF.c.id == CODE.c.staff_id,
    STAFF.c.mobile == CODE.c.phone,
    STAFF.c.removed_at.is_(None),
    STAFF.c.locked_at.is_(None),
)
_CODE = tuple(CODE.c[name] for name in Code.__dataclass_fields__)


def _spend(is_open: ColumnElement[bool], *conditions: Any) -> PreparedStatement:
    live = update(CODE).where(
        *conditions,
        CODE.c.expires_at > bindparam("now", type_=CODE.c.expires_at.type),
        is_open,
        CODE.c.tries_left > 0,
    )
    return PreparedStatement(live.values(tries_left=CODE.c.tries_left - 1).returning(*_CODE))


SPEND_AT = _spend(
    _UNCLOSED,
    CODE.c.account_id.in_(select(ACCOUNT.c.id).where(ACCOUNT.c.mobile == bindparam("sent_to"))),
    CODE.c.phone == bindparam("sent_to"),
    _ACCOUNT_STANDS,
)
SPEND_OF_ACCOUNT = _spend(_UNCLOSED, CODE.c.account_id == bindparam("account"), _ACCOUNT_STANDS)
SPEND_AT_CONSOLE = _spend(
    _UNCLOSED, CODE.c.id == bindparam("asked"), CODE.c.staff_id == bindparam("member"), _STAFF_STANDS
)
SPEND_OF_STAFF = _spend(
    _OPEN, CODE.c.staff_id == bindparam("member"), CODE.c.purpose == bindparam("wanted"), _STAFF_STANDS
)
CLOSE = PreparedStatement(
    update(CODE)
    .where(CODE.c.id == bindparam("code"), _UNCLOSED)
    .values(closed_at=bindparam("now", type_=CODE.c.closed_at.type), close_reason=bindparam("why"))
)


def _count_failure(of: Any, column: str = "failures") -> PreparedStatement:
    counted = update(of).where(of.c.id == bindparam("key")).values({column: of.c[column] + literal_column("1")})
    return PreparedStatement(counted.returning(of.c[column]))


COUNT_FAILURE, COUNT_STAFF_FAILURE = _count_failure(ACCOUNT), _count_failure(STAFF)
COUNT_CONSOLE_FAILURE = _count_failure(STAFF, "console_failures")


def _end_texts(status: Any, error: Any) -> PreparedStatement:
    # By the phone, as the index of what is queued has them: it may be a whole rush's texts.
    phone = select(CODE.c.phone).where(CODE.c.id == bindparam("code")).scalar_subquery()
    return PreparedStatement(
        update(MESSAGE)
        .where(
            MESSAGE.c.status == literal_column(str(int(DeliveryStatus.QUEUED))),
            MESSAGE.c.phone == phone,
            MESSAGE.c.code_id == bindparam("code"),
        )
        .values(status=status, secret=null(), ended_at=bindparam("now", type_=MESSAGE.c.ended_at.type), error=error)
    )


def _status(status: DeliveryStatus) -> ColumnElement[int]:
    return literal_column(str(int(status)))


# A text that waits to be sent, with a code in it, is dropped as the code is closed.
DROP_TEXTS = _end_texts(_status(DeliveryStatus.DROPPED), bindparam("why"))
# But one whose code came back had arrived, though the attempt to send it failed, as far as was known. If the first one
# is still under way, its end will tell; see outbound_messages.
_IS_UNTRIED = MESSAGE.c.error.is_(None)
END_TEXTS_OF_USED = _end_texts(
    case((_IS_UNTRIED, _status(DeliveryStatus.DROPPED)), else_=_status(DeliveryStatus.DELIVERED)),
    case((_IS_UNTRIED, literal_column(f"'{CloseReason.USED}'")), else_=null()),
)


def issue(connection: Connection, code: NewCode) -> None:
    """Write a new code. StaleRead, at the latest when the transaction ends, where its owner has another open one."""
    ISSUE.later(connection, vars(code), StaleRead)


def spend_at(connection: Connection, phone: str, now: datetime) -> list[Code]:
    """Spend one try of every live code that was sent to a phone for its account, before any is compared.

    Usually one; two where a mobile is registered for two accounts.
    """
    return [Code(*row) for row in SPEND_AT.rows(connection, {"sent_to": phone, "now": now})]


def spend_of_account(connection: Connection, account_id: int, now: datetime) -> list[Code]:
    """Spend one try of the account's live code, if there is one, before it is compared."""
    return [Code(*row) for row in SPEND_OF_ACCOUNT.rows(connection, {"account": account_id, "now": now})]


def spend_of_staff(connection: Connection, staff_id: int, purpose: CodePurpose, now: datetime) -> list[Code]:
    """Spend one try of a staff member's live code of a purpose, if there is one, before it is compared."""
    return [Code(*row) for row in SPEND_OF_STAFF.rows(connection, {"member": staff_id, "wanted": purpose, "now": now})]


def spend_at_console(connection: Connection, staff_id: int, asked: Sequence[str], now: datetime) -> list[Code]:
    """Spend one try of a staff member's live code that one browser has asked for, before it is compared.

    `asked` are the ids of the codes that it asked for: nobody else can spend a try of them.
    """
    found = select(CODE.c.id).where(CODE.c.staff_id == staff_id, CODE.c.purpose.in_(AT_CONSOLE), _OPEN)
    # The browser may have asked both before and after it was known: the code that it asked for last counts.
    live = found.where(CODE.c.id.in_(asked), CODE.c.expires_at > now).order_by(CODE.c.created_at.desc())
    mine = connection.execute(live).scalars().first()
    # Also where there is none, so that the time of the answer tells nothing.
    return [
        Code(*row) for row in SPEND_AT_CONSOLE.rows(connection, {"asked": mine or "", "member": staff_id, "now": now})
    ]


def renew(
    connection: Connection, code_id: str, key_id: str, digest: bytes, now: datetime, *, own: bool
) -> datetime | None:
    """Replace a live code's digits; when it expires, or None where it is no longer good.

    All else stays: whose it is, its time, the tries that are left, and that it counts as one. With `own`, only
    what its owner has asked for is renewed.
    """
    live = update(CODE).where(CODE.c.id == code_id, _UNCLOSED, CODE.c.tries_left > 0)
    by_owner = CODE.c.requested_by == RequestedBy.OWNER
    live = live.where(CODE.c.expires_at > now, *[by_owner] * own, _ACCOUNT_STANDS)
    renewed = live.values(key_id=key_id, digest=digest).returning(CODE.c.expires_at)
    expires_at: datetime | None = connection.execute(renewed).scalar_one_or_none()
    return expires_at


def close(connection: Connection, code_id: str, reason: CloseReason, now: datetime) -> bool:
    """Close a code that is still open, and end its text if it still waits; whether this call was the one."""
    done = bool(CLOSE(connection, {"code": code_id, "why": reason, "now": now}).rowcount == 1)
    if done and reason is CloseReason.USED:
        END_TEXTS_OF_USED.later(connection, {"code": code_id, "now": now})
    elif done:
        DROP_TEXTS.later(connection, {"code": code_id, "why": reason, "now": now})
    return done


def close_at(connection: Connection, phone: str, now: datetime) -> list[int]:
    """Close every open code that was sent to a phone, because its owner cancelled; whose accounts' codes they were."""
    mine = (
        select(CODE.c.id, CODE.c.account_id)
        .join(ACCOUNT, ACCOUNT.c.id == CODE.c.account_id)
        .where(ACCOUNT.c.mobile == phone)
    )
    found = connection.execute(mine.where(CODE.c.phone == phone, _UNCLOSED))
    return [row.account_id for row in found.all() if close(connection, row.id, CloseReason.CANCELLED, now)]


def close_of_account(connection: Connection, account_id: int, reason: CloseReason, now: datetime) -> None:
    """Close the account's open code, if it has one."""
    _close_those(connection, and_(CODE.c.account_id == account_id, _UNCLOSED), reason, now)


def close_of_staff(
    connection: Connection, staff_id: int, reason: CloseReason, now: datetime, purpose: CodePurpose | None = None
) -> None:
    """Close a staff member's open codes, of one purpose or of all."""
    of = CODE.c.purpose == purpose if purpose is not None else CODE.c.purpose.is_not(None)
    _close_those(connection, and_(CODE.c.staff_id == staff_id, of, _OPEN), reason, now)


def _close_those(connection: Connection, which: Any, reason: CloseReason, now: datetime) -> None:
    found = connection.execute(select(CODE.c.id).where(which))
    for code_id in found.scalars().all():
        close(connection, code_id, reason, now)


def count_failure(connection: Connection, account_ids: list[int]) -> int:
    """Count one more failure in a row for each account; the highest count among them, 0 where there is none."""
    rows = [row for each in sorted(account_ids) for row in COUNT_FAILURE(connection, {"key": each}).fetchall()]
    return max((failures for (failures,) in rows), default=0)


def count_staff_failure(connection: Connection, staff_id: int, *, new_browser: bool = False) -> int:
    """Count one more failure in a row for a staff member; how many there are now, 0 where there is no such member.

    Those at the console from browsers that are new to it are a run of their own.
    """
    counting = COUNT_CONSOLE_FAILURE if new_browser else COUNT_STAFF_FAILURE
    rows = counting(connection, {"key": staff_id}).fetchall()
    return rows[0][0] if rows else 0


def lock_accounts(connection: Connection, account_ids: list[int], failures: int, now: datetime) -> list[int]:
    """Disable recovery for those of the accounts that have failed so often in a row; which they are."""
    failing = update(ACCOUNT).where(ACCOUNT.c.id.in_(account_ids), ACCOUNT.c.failures >= failures)
    return list(connection.execute(failing.values(locked_at=now).returning(ACCOUNT.c.id)).scalars())


def was_asked_for(connection: Connection, text: int) -> bool:
    """Whether a text brings a code that its owner has asked for."""
    mine = select(CODE.c.id).join(MESSAGE, MESSAGE.c.code_id == CODE.c.id).where(MESSAGE.c.id == text)
    return connection.execute(mine.where(CODE.c.requested_by == RequestedBy.OWNER)).first() is not None


def oldest_since(connection: Connection, account_id: int, since: datetime) -> datetime | None:
    """When the oldest code of a time was sent at its owner's own wish."""
    own = select(func.min(CODE.c.created_at)).where(
        CODE.c.account_id == account_id, CODE.c.requested_by == RequestedBy.OWNER
    )
    oldest: datetime | None = connection.execute(own.where(CODE.c.created_at > since)).scalar_one()
    return oldest


def sent_to_staff(
    connection: Connection, staff_id: int, purpose: CodePurpose, hour_ago: datetime, day_ago: datetime, now: datetime
) -> CodesSent:
    """How many codes of a purpose a staff member was sent since an hour and a day ago."""
    mine = select(func.count()).where(CODE.c.staff_id == staff_id, CODE.c.purpose == purpose)
    live = select(func.max(CODE.c.created_at)).where(CODE.c.staff_id == staff_id, CODE.c.purpose == purpose, _OPEN)
    counts = select(
        mine.where(CODE.c.created_at > hour_ago).scalar_subquery(),
        mine.where(CODE.c.created_at > day_ago).scalar_subquery(),
        live.where(CODE.c.expires_at > now, CODE.c.tries_left > 0).scalar_subquery(),
    )
    return CodesSent(*connection.execute(counts).one())


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
    late = select(CODE.c.id, CODE.c.tries_left).where(_OPEN)
    late = late.where((CODE.c.expires_at <= now) | (CODE.c.tries_left <= 0)).limit(most)
    reasons = {
        row.id: CloseReason.EXPIRED if row.tries_left else CloseReason.BURNED for row in connection.execute(late)
    }
    return sum(close(connection, code_id, reason, now) for code_id, reason in reasons.items())


def use_of(connection: Connection, after: datetime, until: datetime) -> CodeUse:
    """How many codes of a time were texted to accounts' mobiles, and never used."""
    sent = select(func.count(), func.count().filter(CODE.c.close_reason.is_distinct_from(CloseReason.USED)))
    sent = sent.select_from(MESSAGE).join(CODE, CODE.c.id == MESSAGE.c.code_id)
    of_then = sent.where(MESSAGE.c.created_at > after, MESSAGE.c.created_at <= until)
    of_accounts = of_then.where(MESSAGE.c.kind == MessageKind.CODE, CODE.c.account_id.is_not(None))
    of_accounts = of_accounts.where(MESSAGE.c.resend_of.is_(None))  # one that was sent once more is one code still
    return CodeUse(*connection.execute(of_accounts).one())


def is_old(before: datetime) -> ColumnElement[bool]:
    """Codes of recoveries that ended before a time."""
    return (CODE.c.closed_at < before) & CODE.c.purpose.not_in(_OF_CONSOLE)


def is_old_of_console(before: datetime) -> ColumnElement[bool]:
    """Codes for the console that ended before a time."""
    return (CODE.c.closed_at < before) & CODE.c.purpose.in_(_OF_CONSOLE)
