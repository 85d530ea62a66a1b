"""How fast texts were delivered and what became of codes, counted out of the texts themselves.

Here stands what counts as what; bot/reports/kpi.py makes shares and percentiles of it. What was counted is kept by
store/stats_periods.py.
"""

from collections import Counter
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
    func,
    literal,
    literal_column,
    or_,
    select,
)

from store.database.dialect import Epoch, Least
from store.tables import (
    AccountRow,
    CloseReason,
    CodeRow,
    DeliveryStatus,
    InboundMessageRow,
    MessageKind,
    OutboundMessageRow,
    table,
)

ACCOUNT, CODE, INBOUND, MESSAGE = table(AccountRow), table(CodeRow), table(InboundMessageRow), table(OutboundMessageRow)

# Both control points: from the text that was heard to the delivery of the one that answers it.
TARGET = timedelta(seconds=60)
TARGET_MS = int(TARGET.total_seconds() * 1000)


class Subject(StrEnum):
    """What is counted."""

    CODE = auto()  # control point 1: request to code
    PASSWORD = auto()  # control point 2: code texted back to new password
    FATE = auto()  # what became of codes
    ERROR = auto()  # why texts of any kind were not delivered
    UNANSWERED = auto()  # texts that were heard and not answered: the sender has had its replies, or said STOP


class DeliveryOutcome(StrEnum):
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
minute, to five up to ten minutes, to sixty beyond; a word is another DeliveryOutcome; `sent:in_time` is how many
milliseconds passed until they were sent, all together, of those delivered in time. Of a FATE or ERROR: which it was.
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


_KEYS = ("day", "subject", "province", "gateway", "outcome", "seconds")
_TIME = MESSAGE.c.created_at.type
_FROM, _TO, _NOW = (bindparam(name, type_=_TIME) for name in ("begin", "end", "now"))
_MIDNIGHT, _MINUTE_AGO = (Epoch(bindparam(name, type_=_TIME)) for name in ("midnight", "minute_ago"))
_DAY_MS = 24 * 60 * 60 * 1000
_GATEWAY: ColumnElement[str] = func.coalesce(MESSAGE.c.gateway, MESSAGE.c.inbound_gateway)
_PROVINCE: ColumnElement[str] = func.coalesce(ACCOUNT.c.province, "")
# A literal, as the partial index has it, so that the index is used.
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
            (delivered, DeliveryOutcome.DELIVERED),
            (failed, DeliveryOutcome.FAILED),
            (it.status == DeliveryStatus.DROPPED, DeliveryOutcome.WITHDRAWN),
            (it.heard >= _MINUTE_AGO, DeliveryOutcome.OPEN),
            (it.status == DeliveryStatus.ACCEPTED, DeliveryOutcome.NO_RECEIPT),
            else_=DeliveryOutcome.PENDING,
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


def _add(counts: Counts, outcome: str, seconds: int, texts: int, *sums: int) -> None:
    if outcome != DeliveryOutcome.DELIVERED:
        counts[outcome] += texts
        return
    counts[str(seconds)] += texts
    when = IN_TIME if seconds * 1000 <= TARGET_MS else LATE_TEXTS
    for step, ms in zip(STEPS, sums, strict=True):
        counts[f"{step}:{when}"] += ms


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
