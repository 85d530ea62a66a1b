"""How fast texts were delivered and what became of codes: what is counted, and the sums that a season adds up to.

Here stands what counts as what; bot/reports/kpi.py makes shares and percentiles of it. Counts are kept a period
at a time: an hour, and later a day. What has not been counted yet, and what changed since, is counted when asked for.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum, auto
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Select,
    bindparam,
    case,
    cast,
    delete,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
)

from store.database.dialect import Epoch, Least, upsert
from store.retention import LATEST_RECEIPT
from store.tables import (
    AccountRow,
    CloseReason,
    CodeRow,
    DeliveryStatRow,
    DeliveryStatus,
    InboundMessageRow,
    LateReceiptRow,
    MessageKind,
    OutboundMessageRow,
    StatsPeriodRow,
    table,
)

ACCOUNT, CODE, INBOUND, MESSAGE = table(AccountRow), table(CodeRow), table(InboundMessageRow), table(OutboundMessageRow)
PERIOD, STAT, LATE_RECEIPT = table(StatsPeriodRow), table(DeliveryStatRow), table(LateReceiptRow)

# Both control points: from the text that was heard to the delivery of the one that answers it.
TARGET = timedelta(seconds=60)
TARGET_MS = int(TARGET.total_seconds() * 1000)
# A receipt that comes later than this is noted. What is counted is older still: by then a code has ended too.
LATE_AFTER = timedelta(minutes=10)
SETTLED_AFTER = timedelta(minutes=15)


class Subject(StrEnum):
    """What is counted."""

    CODE = auto()  # control point 1: request to code
    PASSWORD = auto()  # control point 2: code texted back to new password
    FATE = auto()  # what became of codes
    ERROR = auto()  # why texts of any kind were not delivered
    UNANSWERED = auto()  # texts that were heard and not answered: the sender has had its replies, or said STOP


class Outcome(StrEnum):
    """What became of a text that a control point is measured by."""

    DELIVERED = auto()  # counted by its seconds
    FAILED = auto()  # refused, undeliverable, or never taken by a provider
    PENDING = auto()  # over a minute old, and on its way by what its last receipt says, or not yet taken
    NO_RECEIPT = auto()  # over a minute old: a provider took it and has said nothing since
    OPEN = auto()  # under a minute old
    WITHDRAWN = auto()  # within its minute its owner no longer wanted it: a newer code, a cancellation, a STOP


WITHDRAWN = (CloseReason.VOIDED, CloseReason.CANCELLED, CloseReason.USED, CloseReason.BURNED, "opted_out")
LIVE = "live"  # the fate of a code that has none yet

STEPS = ("decided", "accepted", "sent", "delivered")
IN_TIME, LATE_TEXTS = "in_time", "late"

Counts = Counter[str]
"""How often what happened.

Of a control point: a number is within how many seconds texts were delivered, rounded up to whole ones up to a
minute, to five up to ten minutes, to sixty beyond; a word is another Outcome; `sent:in_time` is how many milliseconds
passed until they were sent, all together, of those that were delivered in time. Of a FATE or ERROR: which it was.
"""


class Cell(NamedTuple):
    """What is counted together. `day` counts the days from the first that was asked for, or is a period's id."""

    day: int
    subject: str
    province: str
    gateway: str


@dataclass(frozen=True)
class Scope:
    """Whose accounts are meant: a province's, a broker's, or everybody's."""

    province: str | None = None
    broker: str | None = None


EVERYBODY = Scope()


@dataclass(frozen=True)
class Kept:
    """A period that has been counted; `is_late` says that receipts have come since."""

    id: int
    begins_at: datetime
    ends_at: datetime
    is_late: bool


# Counting


_KEYS = ("day", "subject", "province", "gateway", "outcome", "seconds")
_TIME = MESSAGE.c.created_at.type
_FROM, _TO, _NOW = (bindparam(name, type_=_TIME) for name in ("begin", "end", "now"))
_MIDNIGHT, _MINUTE_AGO = (Epoch(bindparam(name, type_=_TIME)) for name in ("midnight", "minute_ago"))
_DAY_MS = 24 * 60 * 60 * 1000
_GATEWAY: ColumnElement[str] = func.coalesce(MESSAGE.c.gateway, MESSAGE.c.inbound_gateway)
_PROVINCE: ColumnElement[str] = func.coalesce(ACCOUNT.c.province, "")
# A literal, so that the partial index is used.
# As the partial index has it.
_UNANSWERED: ColumnElement[bool] = INBOUND.c.answered == literal_column("FALSE")


def _whole(number: int) -> ColumnElement[int]:
    return literal_column(str(number), Integer)


def _ms(earlier: Any, later: Any) -> ColumnElement[int]:
    return cast(func.round((later - earlier) * _whole(1000)), BigInteger)


def _day(moment: Any) -> ColumnElement[int]:
    # Tehran has had no summer time since 2022: its days are as long as each other.
    return _ms(_MIDNIGHT, moment) // _whole(_DAY_MS)


def _rounded_up(ms: ColumnElement[int]) -> ColumnElement[int]:
    def to(step: int) -> ColumnElement[int]:
        return (ms + _whole(step * 1000 - 1)) // _whole(step * 1000) * _whole(step)

    return case((ms <= TARGET_MS, to(1)), (ms <= 10 * TARGET_MS, to(5)), else_=to(60))


def _points(*of: ColumnElement[bool]) -> Select[Any]:
    """Each text of the control points: what became of it, and the milliseconds until each step."""
    it = _texts(*of)
    delivered, whole = it.status == DeliveryStatus.DELIVERED, _ms(it.heard, it.ended)
    failed = (it.status == DeliveryStatus.FAILED) | (
        (it.status == DeliveryStatus.DROPPED) & (it.error.not_in(WITHDRAWN) | (whole > TARGET_MS))
    )
    # Receipts overtake each other, and what a sender notes: no step ends after the next.
    sent = Least(_ms(it.heard, it.sent), whole)
    accepted = Least(_ms(it.heard, it.accepted), sent)
    steps = zip(STEPS, (Least(_ms(it.heard, it.decided), accepted), accepted, sent, whole), strict=True)
    return select(
        _day(it.decided).label("day"),
        case((it.kind == MessageKind.CODE, Subject.CODE), else_=Subject.PASSWORD).label("subject"),
        it.province,
        it.gateway,
        case(
            (delivered, Outcome.DELIVERED),
            (failed, Outcome.FAILED),
            (it.status == DeliveryStatus.DROPPED, Outcome.WITHDRAWN),
            (it.heard >= _MINUTE_AGO, Outcome.OPEN),
            (it.status == DeliveryStatus.ACCEPTED, Outcome.NO_RECEIPT),
            else_=Outcome.PENDING,
        ).label("outcome"),
        case((delivered, _rounded_up(whole)), else_=0).label("seconds"),
        *(case((delivered, ms), else_=0).label(step) for step, ms in steps),
    )


def _texts(*of: ColumnElement[bool]) -> Any:
    """The texts of the control points, with their times as numbers."""
    accepted = func.coalesce(MESSAGE.c.accepted_at, MESSAGE.c.ended_at)
    times = {
        "heard": MESSAGE.c.request_received_at,
        "decided": MESSAGE.c.created_at,
        "accepted": accepted,
        "sent": func.coalesce(MESSAGE.c.sent_at, accepted),
        "ended": MESSAGE.c.ended_at,
    }
    chosen = (
        select(
            *(MESSAGE.c.kind, MESSAGE.c.status, MESSAGE.c.error),
            _PROVINCE.label("province"),
            _GATEWAY.label("gateway"),
            *(Epoch(time).label(name) for name, time in times.items()),
        )
        .select_from(MESSAGE.outerjoin(ACCOUNT, ACCOUNT.c.id == MESSAGE.c.account_id))
        .where(MESSAGE.c.created_at >= _FROM, MESSAGE.c.created_at < _TO)
        .where(
            MESSAGE.c.kind.in_((int(MessageKind.CODE), int(MessageKind.PASSWORD))),
            MESSAGE.c.account_id.is_not(None),
            *of,
        )
    )
    # The offset keeps a database from reading the times anew wherever they are used, which is most of the work.
    return chosen.offset(0).subquery().c


def _plain(subject: Subject, moment: ColumnElement[Any], province: Any, gateway: Any, outcome: Any) -> Select[Any]:
    """What is only counted, without times."""
    return select(
        _day(Epoch(moment)).label("day"),
        literal(subject.value).label("subject"),
        province.label("province"),
        gateway.label("gateway"),
        outcome.label("outcome"),
        literal(0).label("seconds"),
        *(literal(0).label(step) for step in STEPS),
    ).where(moment >= _FROM, moment < _TO)


def _fates(*of: ColumnElement[bool]) -> Select[Any]:
    over = or_(CODE.c.expires_at <= _NOW, CODE.c.tries_left <= 0)
    ended = case(
        (CODE.c.tries_left <= 0, CloseReason.BURNED), else_=CloseReason.EXPIRED
    )  # though no sweep has closed it yet
    close_reason = func.coalesce(CODE.c.close_reason, case((over, ended), else_=LIVE))
    return (
        _plain(Subject.FATE, MESSAGE.c.created_at, _PROVINCE, literal(""), close_reason)
        .select_from(
            MESSAGE.join(CODE, CODE.c.id == MESSAGE.c.code_id).outerjoin(ACCOUNT, ACCOUNT.c.id == MESSAGE.c.account_id)
        )
        .where(MESSAGE.c.kind == MessageKind.CODE, MESSAGE.c.account_id.is_not(None), *of)
        .where(MESSAGE.c.resend_of.is_(None))  # a code that was sent once more is one code still
    )


def _errors(*of: ColumnElement[bool]) -> Select[Any]:
    why = func.coalesce(MESSAGE.c.error, "unknown")
    return (
        _plain(Subject.ERROR, MESSAGE.c.created_at, _PROVINCE, _GATEWAY, why)
        .select_from(MESSAGE.outerjoin(ACCOUNT, ACCOUNT.c.id == MESSAGE.c.account_id))
        .where(MESSAGE.c.status.in_((int(DeliveryStatus.DROPPED), int(DeliveryStatus.FAILED))), *of)
    )


def _unanswered() -> Select[Any]:
    nobody = literal("")
    return _plain(Subject.UNANSWERED, INBOUND.c.received_at, nobody, INBOUND.c.gateway, nobody).where(_UNANSWERED)


def _summed(each: Select[Any]) -> Select[Any]:
    found = each.subquery()
    keyring = [found.c[name] for name in _KEYS]
    sums = [cast(func.sum(found.c[step]), BigInteger).label(step) for step in STEPS]
    return select(*keyring, func.count().label("texts"), *sums).group_by(*keyring)


def _of_accounts(*of: ColumnElement[bool]) -> list[Select[Any]]:
    return [_summed(each(*of)) for each in (_points, _fates, _errors)]


_POINTS_OF_ALL = _summed(_points())
_EVERYBODY = [*_of_accounts(), _summed(_unanswered())]
_OF_PROVINCE = _of_accounts(ACCOUNT.c.province == bindparam("province"))
# The accounts are asked for first, and then their texts: without that, all of the period's texts would be read.
_OF_BROKER = _of_accounts(MESSAGE.c.account_id.in_(select(ACCOUNT.c.id).where(ACCOUNT.c.broker == bindparam("broker"))))


def count(
    connection: Connection,
    begin: datetime,
    end: datetime,
    now: datetime,
    scope: Scope = EVERYBODY,
    midnight: datetime | None = None,
) -> dict[Cell, Counts]:
    """Count the texts of a time, `end` not within it, out of themselves. Days are counted from `midnight`, if given."""
    statements = _OF_BROKER if scope.broker is not None else _OF_PROVINCE if scope.province is not None else _EVERYBODY
    values = {
        "begin": begin,
        "end": end,
        "now": now,
        "minute_ago": now - TARGET,
        "midnight": midnight or begin,
        "province": scope.province,
        "broker": scope.broker,
    }
    found: dict[Cell, Counts] = {}
    for statement in statements:
        for row in connection.execute(statement, values):
            _add(found.setdefault(Cell(*row[:4]), Counter()), *row[4:])
    return found


def lately(connection: Connection, begin: datetime, now: datetime) -> dict[str, Counts]:
    """What became of the texts of each control point since a time; by Subject, the whole country."""
    values = {"begin": begin, "end": now, "now": now, "minute_ago": now - TARGET, "midnight": begin}
    found: dict[str, Counts] = {Subject.CODE: Counter(), Subject.PASSWORD: Counter()}
    for row in connection.execute(_POINTS_OF_ALL, values):
        _add(found[row.subject], *row[4:])
    return found


def _add(counts: Counts, outcome: str, seconds: int, texts: int, *sums: int) -> None:
    if outcome != Outcome.DELIVERED:
        counts[outcome] += texts
        return
    counts[str(seconds)] += texts
    when = IN_TIME if seconds * 1000 <= TARGET_MS else LATE_TEXTS
    for step, ms in zip(STEPS, sums, strict=True):
        counts[f"{step}:{when}"] += ms


# What is kept


_LATE = (
    select(LATE_RECEIPT.c.id)
    .where(LATE_RECEIPT.c.created_at >= PERIOD.c.begins_at, LATE_RECEIPT.c.created_at < PERIOD.c.ends_at)
    .exists()
)
_KEPT = select(PERIOD.c.id, PERIOD.c.begins_at, PERIOD.c.ends_at, _LATE).order_by(PERIOD.c.begins_at)
_COUNTS = select(STAT.c.period, STAT.c.subject, STAT.c.province, STAT.c.gateway, STAT.c.counts).where(
    STAT.c.period.in_(bindparam("periods", expanding=True))
)
_COUNTS_OF_PROVINCE = _COUNTS.where(
    STAT.c.subject.in_(list(Subject)), STAT.c.province == bindparam("province", type_=STAT.c.province.type)
)


def kept(connection: Connection, begin: datetime, end: datetime) -> list[Kept]:
    """The counted periods that begin within a time, the oldest first."""
    within = _KEPT.where(PERIOD.c.begins_at >= begin, PERIOD.c.begins_at < end)
    return [Kept(*row) for row in connection.execute(within)]


def kept_late(connection: Connection) -> list[Kept]:
    """The counted periods that receipts have come for since, the oldest first."""
    if connection.execute(select(LATE_RECEIPT.c.id).limit(1)).first() is None:
        return []
    return [Kept(*row) for row in connection.execute(_KEPT.where(_LATE))]


def kept_until(connection: Connection) -> datetime | None:
    """The end of the last counted period: all before it has been counted."""
    return connection.execute(select(PERIOD.c.ends_at).order_by(PERIOD.c.begins_at.desc()).limit(1)).scalar()


def counts(
    connection: Connection,
    periods: Iterable[int],
    province: str | None = None,
    subjects: Iterable[Subject] | None = None,
) -> Iterator[tuple[Cell, dict[str, int]]]:
    """What was counted in these periods; of one province, or of some subjects, where they are named.

    A cell's `day` is its period's id.
    """
    statement = _COUNTS if province is None else _COUNTS_OF_PROVINCE
    if subjects is not None:
        statement = statement.where(STAT.c.subject.in_(list(subjects)))
    for *cell, found in connection.execute(statement, {"periods": list(periods), "province": province}):
        yield Cell(*cell), found


def oldest(connection: Connection) -> datetime | None:
    """When the oldest text was written."""
    first: datetime | None = connection.execute(select(func.min(MESSAGE.c.created_at))).scalar_one()
    return first


def locked(connection: Connection, begin: datetime, end: datetime, scope: Scope = EVERYBODY) -> int:
    """How many accounts were locked within a time, and still are."""
    found = select(func.count()).where(ACCOUNT.c.locked_at >= begin, ACCOUNT.c.locked_at < end)
    wanted = {ACCOUNT.c.province: scope.province, ACCOUNT.c.broker: scope.broker}
    chosen = [column == value for column, value in wanted.items() if value is not None]
    return connection.execute(found.where(*chosen)).scalar_one()


def late_of(connection: Connection, begin: datetime, end: datetime) -> list[int]:
    """The notes of late receipts for texts of a time."""
    found = select(LATE_RECEIPT.c.id).where(LATE_RECEIPT.c.created_at >= begin, LATE_RECEIPT.c.created_at < end)
    return list(connection.execute(found).scalars())


def note_late(connection: Connection, written_at: datetime, now: datetime) -> None:
    """Note a receipt, if it comes so late that its text may have been counted; not if it comes weeks late."""
    if LATE_AFTER < now - written_at < LATEST_RECEIPT:
        connection.execute(insert(LATE_RECEIPT), {"created_at": written_at})


def keep(
    connection: Connection, begin: datetime, end: datetime, counted: dict[Cell, Counts], late: Iterable[int]
) -> bool:
    """Write the counts of a period that had none; False where another process was quicker.

    `late` are the notes of receipts that had been there when it was counted.
    """
    new = (
        upsert(connection, PERIOD).values(begins_at=begin, ends_at=end).on_conflict_do_nothing().returning(PERIOD.c.id)
    )
    period: int | None = connection.execute(new).scalar()
    if period is None:
        return False
    rows = [{**cell._asdict(), "period": period, "counts": dict(found)} for cell, found in counted.items()]
    if rows:
        connection.execute(insert(STAT), [{name: row[name] for name in STAT.c.keys()} for row in rows])
    connection.execute(delete(LATE_RECEIPT).where(LATE_RECEIPT.c.id.in_(list(late))))
    return True


def give_way(connection: Connection, periods: Iterable[int]) -> bool:
    """Delete the counts of these periods, for a longer period to replace. False where any was gone already."""
    which = list(periods)
    dropped = connection.execute(delete(PERIOD).where(PERIOD.c.id.in_(which))).rowcount
    connection.execute(delete(STAT).where(STAT.c.period.in_(which)))
    return dropped == len(which)


def is_old_period(before: datetime) -> ColumnElement[bool]:
    """Periods that ended before a time."""
    return PERIOD.c.ends_at < before


def is_old_count(before: datetime) -> ColumnElement[bool]:
    """The counts of those periods."""
    return STAT.c.period.in_(select(PERIOD.c.id).where(is_old_period(before)))
