"""The texts behind a number of the figures, the newest first: what delivery_stats.py counts, one by one.

The same words decide here and there; a test holds every count to the number of texts that are listed for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, auto
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    and_,
    case,
    cast,
    false,
    func,
    literal_column,
    or_,
    select,
)

from store.database.dialect import Epoch
from store.tables import AccountRow, DeliveryStatus, MessageKind, OutboundMessageRow, table
from store.views.delivery_stats import EVERYBODY, TARGET, TARGET_MS, WITHDRAWN, Scope, Subject

ACCOUNT, MESSAGE = table(AccountRow), table(OutboundMessageRow)
KINDS = {Subject.CODE: MessageKind.CODE, Subject.PASSWORD: MessageKind.PASSWORD}


class Fate(StrEnum):
    """What became of a text, as a number of the figures counts it."""

    IN_TIME = auto()
    LATE = auto()
    FAILED = auto()
    PENDING = auto()
    NO_RECEIPT = auto()
    OPEN = auto()
    WITHDRAWN = auto()
    MISSED = auto()  # late, failed or pending


@dataclass(frozen=True)
class TextFilter:
    """Which texts are listed: of a time (its end not within it), a scope, and whatever else is named.

    With `error` they are texts of any kind that were not delivered for that reason; else those of a control point.
    """

    begin: datetime
    end: datetime
    scope: Scope = EVERYBODY
    subject: Subject | None = None
    fate: Fate | None = None
    gateway: str | None = None
    error: str | None = None


_STATUS, _ERROR = MESSAGE.c.status, MESSAGE.c.error
_GATEWAY: ColumnElement[str] = func.coalesce(MESSAGE.c.gateway, MESSAGE.c.inbound_gateway)
_TOOK: ColumnElement[int] = cast(
    func.round((Epoch(MESSAGE.c.ended_at) - Epoch(MESSAGE.c.request_received_at)) * literal_column("1000")), BigInteger
)
_COLUMNS = (
    *(MESSAGE.c[name] for name in ("id", "kind", "created_at", "request_received_at", "ended_at", "status", "error")),
    _GATEWAY.label("gateway"),
    MESSAGE.c.account_id,
    ACCOUNT.c.national_id,
    ACCOUNT.c.province,
)


def newest(connection: Connection, wanted: TextFilter, now: datetime, skip: int, most: int) -> list[Row[Any]]:
    """The wanted texts but for the newest `skip`, `most` at most: _COLUMNS, with the whole national ID."""
    found = (
        select(*_COLUMNS)
        .select_from(MESSAGE.outerjoin(ACCOUNT, ACCOUNT.c.id == MESSAGE.c.account_id))
        .where(*_conditions(wanted, now))
        .order_by(MESSAGE.c.created_at.desc(), MESSAGE.c.id.desc())
    )
    return list(connection.execute(found.offset(skip).limit(most)))


def in_time_and_missed(connection: Connection, begin: datetime, now: datetime) -> dict[Subject, tuple[int, int]]:
    """How many texts of each control point came within the minute since a time, and how many missed it, if known.

    It is asked at every scrape of /metrics: counted by no province, gateway or step, it takes a fraction of the time.
    """
    fates = _fates(now)
    both = [func.sum(case((fates[each], 1), else_=0)) for each in (Fate.IN_TIME, Fate.MISSED)]
    counted = select(MESSAGE.c.kind, *both).where(*_conditions(TextFilter(begin, now), now)).group_by(MESSAGE.c.kind)
    found = {kind: (int(in_time), int(missed)) for kind, in_time, missed in connection.execute(counted)}
    return {subject: found.get(int(kind), (0, 0)) for subject, kind in KINDS.items()}


def _conditions(wanted: TextFilter, now: datetime) -> list[ColumnElement[bool]]:
    found = [MESSAGE.c.created_at >= wanted.begin, MESSAGE.c.created_at < wanted.end]
    if wanted.error is not None:
        undelivered = (int(DeliveryStatus.DROPPED), int(DeliveryStatus.FAILED))
        found += [_STATUS.in_(undelivered), func.coalesce(_ERROR, "unknown") == wanted.error]
    else:
        kinds = [KINDS[wanted.subject]] if wanted.subject else list(KINDS.values())
        found += [MESSAGE.c.kind.in_([int(kind) for kind in kinds]), MESSAGE.c.account_id.is_not(None)]
    if wanted.fate is not None:
        found.append(_fates(now)[wanted.fate])
    if wanted.gateway is not None:
        found += [_GATEWAY.in_([wanted.gateway])]
    if wanted.scope.province is not None:
        found.append(func.coalesce(ACCOUNT.c.province, "") == wanted.scope.province)
    if wanted.scope.broker is not None:
        found.append(ACCOUNT.c.broker == wanted.scope.broker)
    return found


def _fates(now: datetime) -> Mapping[Fate, ColumnElement[bool]]:
    """Each fate as a condition, as delivery_stats.py tells them apart."""
    delivered, dropped = _STATUS == DeliveryStatus.DELIVERED, _STATUS == DeliveryStatus.DROPPED
    in_vain = func.coalesce(_ERROR.not_in(WITHDRAWN) | (_TOOK > TARGET_MS), False)
    on_its_way = _STATUS < DeliveryStatus.DROPPED
    is_new = MESSAGE.c.request_received_at >= now - TARGET
    fates = {
        Fate.IN_TIME: delivered & (_TOOK <= TARGET_MS),
        Fate.LATE: delivered & (_TOOK > TARGET_MS),
        Fate.FAILED: or_(_STATUS == DeliveryStatus.FAILED, dropped & in_vain),
        Fate.PENDING: and_(on_its_way, ~is_new, _STATUS != DeliveryStatus.ACCEPTED),
        Fate.NO_RECEIPT: and_(_STATUS == DeliveryStatus.ACCEPTED, ~is_new),
        Fate.OPEN: on_its_way & is_new,
        Fate.WITHDRAWN: dropped & ~in_vain,
    }
    missed = or_(false(), *(fates[each] for each in (Fate.LATE, Fate.FAILED, Fate.PENDING)))
    return {**fates, Fate.MISSED: missed}
