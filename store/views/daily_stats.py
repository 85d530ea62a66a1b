"""How much was done since a time, for a whole country, a province or a broker."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, case, exists, func, select

from store.tables import (
    FINAL,
    AccountRow,
    DeliveryStatus,
    MessageKind,
    OutboundMessageRow,
    StaffOrderRow,
    table,
)

ACCOUNT, ORDER, MESSAGE = table(AccountRow), table(StaffOrderRow), table(OutboundMessageRow)


@dataclass(frozen=True)
class DailyStats:
    """Codes and new passwords texted to pilgrims, resets by staff, and pilgrims' texts that were not delivered."""

    codes: int
    passwords: int
    done: int
    undelivered: int


def since(
    connection: Connection, at: datetime, command: str, *, province: str | None = None, broker: str | None = None
) -> DailyStats:
    """Count since a time, over the accounts of a province or a broker where one is named."""
    scope: list[Any] = [ACCOUNT.c.province == province] if province else []
    scope += [ACCOUNT.c.broker == broker] if broker else []
    newer = MESSAGE.alias("newer")
    followed = exists().where(newer.c.account_id == MESSAGE.c.account_id, newer.c.resend_of == MESSAGE.c.id)
    failed = MESSAGE.c.status.in_([int(DeliveryStatus.FAILED), int(FINAL)]) & ~followed
    first = (MESSAGE.c.kind == MessageKind.CODE) & MESSAGE.c.resend_of.is_(None)  # not one that was sent once more
    texts = (
        select(
            func.sum(case((first, 1), else_=0)),
            func.sum(case((MESSAGE.c.kind == MessageKind.PASSWORD, 1), else_=0)),
            func.sum(case((failed, 1), else_=0)),
        )
        .join(ACCOUNT, ACCOUNT.c.id == MESSAGE.c.account_id)
        .where(MESSAGE.c.created_at >= at, *scope)
    )
    codes, passwords, undelivered = (number or 0 for number in connection.execute(texts).one())
    carried_out = (
        select(func.count())
        .select_from(ORDER)
        .join(ACCOUNT, ACCOUNT.c.id == ORDER.c.account_id)
        .where(ORDER.c.command == command, ORDER.c.done_at >= at)
    )
    return DailyStats(codes, passwords, connection.execute(carried_out.where(*scope)).scalar_one(), undelivered)
