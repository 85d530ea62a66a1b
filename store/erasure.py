"""Erases a person: the account, and whatever else is about it or went to its phones. The audit's masked rows stay.

`delivery_stat` holds counts, which are of no one person; they stay too.
"""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, func, or_, select, update

from store import codes
from store.accounts import Account
from store.tables import (
    AccountRow,
    CloseReason,
    CodeRow,
    ConversationRow,
    MobileChangeRow,
    OutboundMessageRow,
    RateLimitRow,
    ResetGrantRow,
    SimulatedMessageRow,
    StaffOrderRow,
    StaffRow,
    WebhookEventRow,
    table,
)

ACCOUNT, CODE, ORDER, CHANGE = table(AccountRow), table(CodeRow), table(StaffOrderRow), table(MobileChangeRow)
MESSAGE, STAFF, CONVERSATION = table(OutboundMessageRow), table(StaffRow), table(ConversationRow)
SIMULATED, RATE_LIMIT = table(SimulatedMessageRow), table(RateLimitRow)
GRANT, EVENT = table(ResetGrantRow), table(WebhookEventRow)

# What an account is called that holds its number's place. Neither is any person's.
NOBODY = "#"
# So many ids in one statement: databases take only so many parameters.
AT_ONCE = 500


@dataclass(frozen=True)
class Traces:
    """What there is of a person. `phones` are theirs alone; `shared` are another account's or a staff member's too."""

    account_id: int
    phones: frozenset[str] = field(repr=False)
    shared: frozenset[str] = field(repr=False)
    texts: tuple[int, ...]


def traces(connection: Connection, account: Account) -> Traces:
    """Find what there is of a person. It reads every text, so no transaction should wait for it."""
    known = _phones(connection, account)
    shared = _of_others(connection, account.id, known)
    texts = connection.execute(select(MESSAGE.c.id).where(_about(account, known, known - shared)))
    return Traces(account.id, frozenset(known - shared), frozenset(shared), tuple(texts.scalars()))


def _phones(connection: Connection, account: Account) -> set[str]:
    """Every phone that the account was registered on, was to be, or had a text sent to."""
    of_changes = connection.execute(
        select(CHANGE.c.old_mobile, CHANGE.c.new_mobile).where(CHANGE.c.account_id == account.id)
    )
    of_orders = select(ORDER.c.new_mobile).where(ORDER.c.account_id == account.id, ORDER.c.new_mobile.is_not(None))
    of_codes = select(CODE.c.phone).where(CODE.c.account_id == account.id)
    of_texts = select(MESSAGE.c.phone).where(MESSAGE.c.account_id == account.id)
    found = {phone for row in of_changes for phone in row}
    for statement in (of_orders, of_codes, of_texts):
        found.update(connection.execute(statement.distinct()).scalars())
    return found | {account.mobile} | ({account.former_mobile} if account.former_mobile else set())


def _of_others(connection: Connection, account_id: int, phones: set[str]) -> set[str]:
    others = ACCOUNT.c.id != account_id
    found = {
        phone
        for column, *conditions in ((ACCOUNT.c.mobile, others), (ACCOUNT.c.former_mobile, others), (STAFF.c.mobile,))
        for phone in connection.execute(select(column).where(column.in_(phones), *conditions)).scalars()
    }
    return {str(phone) for phone in found}


def _about(account: Account, known: set[str], own: set[str]) -> ColumnElement[bool]:
    """Texts about the account, texts of any kind to its own phones, and those that name it to staff by last digits."""
    to_staff = MESSAGE.c.phone.in_(select(STAFF.c.mobile))
    said = MESSAGE.c.parameters
    ids = said["nid4"].as_string() == account.national_id[-4:]
    mobiles = said["mob4"].as_string().in_([phone[-4:] for phone in known])
    return or_(MESSAGE.c.account_id == account.id, MESSAGE.c.phone.in_(own), to_staff & or_(ids, mobiles))


def erase(connection: Connection, found: Traces, now: datetime) -> int:
    """Erase a person; how many rows went, in all tables together. An order of staff about them ends unconfirmed."""
    account_id = found.account_id
    orders = connection.execute(select(ORDER.c.id).where(ORDER.c.account_id == account_id)).scalars().all()
    for order in orders:  # its code is a staff member's
        codes.close(connection, order, CloseReason.CANCELLED, now)
    rows = 0
    for of in (ORDER, CHANGE, GRANT, EVENT, CODE, MESSAGE):
        rows += connection.execute(delete(of).where(of.c.account_id == account_id)).rowcount
    for at in range(0, len(found.texts), AT_ONCE):
        rows += connection.execute(delete(MESSAGE).where(MESSAGE.c.id.in_(found.texts[at : at + AT_ONCE]))).rowcount
    for of in (CONVERSATION, SIMULATED):
        rows += connection.execute(delete(of).where(of.c.phone.in_(found.phones))).rowcount
    rows += connection.execute(delete(RATE_LIMIT).where(RATE_LIMIT.c.name == f"account:{account_id}")).rowcount
    return rows + _erase_account(connection, account_id)


def _erase_account(connection: Connection, account_id: int) -> int:
    """Erase the account itself; 1, or 0 where there is none.

    SQLite gives the highest number that goes to the next row, and then what the audit says of one person would be
    another's. So the last account leaves its number behind, without anything of the person, until a later one comes.
    """
    last = connection.execute(select(func.max(ACCOUNT.c.id))).scalar()
    if last != account_id:
        return connection.execute(delete(ACCOUNT).where(ACCOUNT.c.id == account_id)).rowcount
    connection.execute(delete(ACCOUNT).where(ACCOUNT.c.national_id == NOBODY, ACCOUNT.c.id != account_id))
    blank: dict[str, str | None] = {column.name: None for column in ACCOUNT.columns if column.nullable}
    blank |= {"national_id": NOBODY, "username": NOBODY, "username_key": NOBODY, "mobile": NOBODY}
    emptied = update(ACCOUNT).where(ACCOUNT.c.id == account_id).values({**blank, "active": False, "failures": 0})
    return connection.execute(emptied).rowcount
