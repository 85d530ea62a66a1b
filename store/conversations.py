"""Where each phone's dialog stands, and all that the dialog must know, in one statement."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    update,
)

from dialogs.vocabulary import CodePurpose
from store.database.dialect import insert_or_skip, named
from store.database.prepared import PreparedStatement
from store.tables import (
    AccountRow,
    CodeRow,
    ConversationRow,
    InboundMessageRow,
    MobileChangeRow,
    RequestedBy,
    SeasonRow,
    StaffRow,
    table,
)

CONVERSATION, ACCOUNT, CODE = table(ConversationRow), table(AccountRow), table(CodeRow)
SEASON, INBOUND = table(SeasonRow), table(InboundMessageRow)
STAFF, CHANGE = table(StaffRow), table(MobileChangeRow)


class StaleRead(Exception):
    """Another text changed what this one was decided on: decide again."""


@dataclass(frozen=True)
class View:
    """What is known when a text is read. `account_*` and the codes belong to the national ID in the text."""

    already_heard: bool
    version: int | None
    state: str
    language: str | None
    ends_at: datetime | None
    opted_out_at: datetime | None
    window_started_at: datetime | None
    requests_this_hour: int
    starts_this_hour: int
    hints_this_hour: int
    unparsed_replies: int
    unparsed_replied_at: datetime | None
    opens: date | None
    closes: date | None
    account_id: int | None
    account_mobile: str | None
    account_language: str | None
    open_code_id: str | None
    open_code_at: datetime | None
    open_code_expires_at: datetime | None
    open_code_tries: int | None
    owner_codes_hour: int
    owner_codes_day: int
    other_codes_hour: int
    holder_opted_out: bool
    phone_has_live_code: bool  # for an account that is registered on it
    phone_language: str | None
    phone_is_moving: bool
    staff_id: int | None
    staff_has_live_code: bool  # for an order


@dataclass(frozen=True)
class ConversationValues:
    """What is written of a conversation after a text. `ends_at` is when its state ends by itself."""

    state: str
    last_text_at: datetime
    window_started_at: datetime
    language: str | None = None
    ends_at: datetime | None = None
    opted_out_at: datetime | None = None
    requests_this_hour: int = 0
    starts_this_hour: int = 0
    hints_this_hour: int = 0
    unparsed_replies: int = 0
    unparsed_replied_at: datetime | None = None


def _codes(*conditions: Any) -> Any:
    counted = select(func.count()).where(CODE.c.account_id == ACCOUNT.c.id, *conditions)
    return counted.correlate(ACCOUNT).scalar_subquery()


def _view() -> Any:
    # Open is a code that has no reason why it was closed: see store/codes.py.
    one = select(literal(1).label("one")).subquery()
    opened = CODE.alias("opened")
    holder = CONVERSATION.alias("holder")
    sent = CODE.alias("sent")
    here = ACCOUNT.alias("here")
    phone: Any = bindparam("phone")
    now: Any = bindparam("now", type_=CODE.c.created_at.type)
    hour, day = (bindparam(name, type_=CODE.c.created_at.type) for name in ("hour_ago", "day_ago"))
    by_owner, by_other = (
        CODE.c.requested_by == literal_column(f"'{it}'") for it in (RequestedBy.OWNER, RequestedBy.OTHER_PHONE)
    )
    known = exists().where(INBOUND.c.gateway == bindparam("gateway"), INBOUND.c.provider_id == bindparam("provider_id"))
    live = exists().where(
        here.c.mobile == phone,
        sent.c.account_id == here.c.id,
        sent.c.phone == phone,
        sent.c.expires_at > now,
        sent.c.close_reason.is_(None),
        sent.c.tries_left > 0,
    )
    spoken = select(here.c.language).where(here.c.mobile == phone).order_by(here.c.id).limit(1).scalar_subquery()
    # A change that is held is an approved one; while it is, no phone counts as the account's.
    held = and_(CHANGE.c.ended_at.is_(None), CHANGE.c.approved_at.is_not(None))
    standing = and_(
        ACCOUNT.c.national_id == bindparam("national_id"),
        ACCOUNT.c.active.is_(True),
        ACCOUNT.c.locked_at.is_(None),
        ~exists().where(CHANGE.c.account_id == ACCOUNT.c.id, held),
    )
    confirms = exists().where(
        sent.c.staff_id == STAFF.c.id,
        sent.c.purpose == literal_column(f"'{CodePurpose.STAFF_ORDER}'"),
        sent.c.expires_at > now,
        sent.c.created_at > day,  # any that lives; of all that a staff member was ever sent, the index finds those
        sent.c.close_reason.is_(None),
        sent.c.tries_left > 0,
    )
    moving = exists().where(CHANGE.c.old_mobile == phone, held, CHANGE.c.due_at > now)
    since_hour, since_day = CODE.c.created_at > hour, CODE.c.created_at > day
    return (
        select(
            known.label("already_heard"),
            CONVERSATION.c.version,
            func.coalesce(CONVERSATION.c.state, "").label("state"),
            CONVERSATION.c.language,
            CONVERSATION.c.ends_at,
            CONVERSATION.c.opted_out_at,
            CONVERSATION.c.window_started_at,
            func.coalesce(CONVERSATION.c.requests_this_hour, 0).label("requests_this_hour"),
            func.coalesce(CONVERSATION.c.starts_this_hour, 0).label("starts_this_hour"),
            func.coalesce(CONVERSATION.c.hints_this_hour, 0).label("hints_this_hour"),
            func.coalesce(CONVERSATION.c.unparsed_replies, 0).label("unparsed_replies"),
            CONVERSATION.c.unparsed_replied_at,
            SEASON.c.opens,
            SEASON.c.closes,
            ACCOUNT.c.id.label("account_id"),
            ACCOUNT.c.mobile.label("account_mobile"),
            ACCOUNT.c.language.label("account_language"),
            opened.c.id.label("open_code_id"),
            opened.c.created_at.label("open_code_at"),
            opened.c.expires_at.label("open_code_expires_at"),
            opened.c.tries_left.label("open_code_tries"),
            _codes(by_owner, since_hour).label("owner_codes_hour"),
            _codes(by_owner, since_day).label("owner_codes_day"),
            _codes(by_other, since_hour).label("other_codes_hour"),
            holder.c.opted_out_at.is_not(None).label("holder_opted_out"),
            live.label("phone_has_live_code"),
            spoken.label("phone_language"),
            moving.label("phone_is_moving"),
            STAFF.c.id.label("staff_id"),
            confirms.label("staff_has_live_code"),
        )
        .select_from(one)
        .outerjoin(CONVERSATION, CONVERSATION.c.phone == phone)
        .outerjoin(SEASON, SEASON.c.id == 1)
        .outerjoin(ACCOUNT, standing)
        .outerjoin(opened, and_(opened.c.account_id == ACCOUNT.c.id, opened.c.close_reason.is_(None)))
        .outerjoin(holder, holder.c.phone == ACCOUNT.c.mobile)
        .outerjoin(STAFF, and_(STAFF.c.mobile == phone, STAFF.c.removed_at.is_(None)))
    )


VIEW = PreparedStatement(_view())
LOCK = PreparedStatement(
    select(CONVERSATION.c.version).where(CONVERSATION.c.phone == bindparam("phone")).with_for_update()
)
BEGIN = PreparedStatement(insert_or_skip(CONVERSATION))
MOVE = PreparedStatement(
    update(CONVERSATION)
    .where(CONVERSATION.c.phone == bindparam("of"), CONVERSATION.c.version == bindparam("seen"))
    .values(named(CONVERSATION, "phone"))
)


def view(
    connection: Connection, *, phone: str, national_id: str | None, gateway: str, provider_id: str, now: datetime
) -> View:
    """What is known of a phone, and of the account that its text names."""
    (row,) = VIEW.rows(
        connection,
        {
            "phone": phone,
            "national_id": national_id,
            "gateway": gateway,
            "provider_id": provider_id,
            "now": now,
            "hour_ago": now - timedelta(hours=1),
            "day_ago": now - timedelta(days=1),
        },
    )
    return View(*row)


def lock(connection: Connection, phone: str) -> None:
    """Lock the phone's row: other texts from it wait until the transaction ends."""
    LOCK.later(connection, {"phone": phone})


def move(connection: Connection, phone: str, seen: int | None, to: ConversationValues) -> None:
    """Write where the conversation stands now, if nothing has changed it since version `seen`.

    Else StaleRead, at the latest when the transaction ends.
    """
    if seen is None:
        BEGIN.later(connection, {"phone": phone, "version": 1, **vars(to)}, StaleRead)
    else:
        MOVE.later(connection, {"of": phone, "seen": seen, "version": seen + 1, **vars(to)}, StaleRead)


def opt_out(connection: Connection, phone: str, now: datetime, idle: str) -> None:
    """Remember that a phone wants no texts, as its provider tells us."""
    new = ConversationValues(state=idle, last_text_at=now, opted_out_at=now, window_started_at=now)
    connection.execute(insert_or_skip(CONVERSATION), {"phone": phone, "version": 1, **vars(new)})
    connection.execute(
        update(CONVERSATION)
        .where(CONVERSATION.c.phone == phone)
        .values(opted_out_at=now, version=CONVERSATION.c.version + 1)
    )


def has_opted_out(connection: Connection, phone: str) -> bool:
    """Whether a phone wants no texts."""
    found = select(CONVERSATION.c.phone).where(CONVERSATION.c.phone == phone, CONVERSATION.c.opted_out_at.is_not(None))
    return connection.execute(found).first() is not None


def language_of(connection: Connection, phone: str) -> str | None:
    """The language in which a phone last texted, where that could be told."""
    spoken = select(CONVERSATION.c.language).where(CONVERSATION.c.phone == phone)
    language: str | None = connection.execute(spoken).scalar_one_or_none()
    return language


def end_overdue(connection: Connection, now: datetime, idle: str) -> int:
    """Set conversations whose state has lasted its time to `idle`; how many there were."""
    overdue = update(CONVERSATION).where(CONVERSATION.c.ends_at <= now)
    return connection.execute(overdue.values(state=idle, ends_at=None, version=CONVERSATION.c.version + 1)).rowcount


def is_old(before: datetime) -> ColumnElement[bool]:
    """Phones that have been silent since a time, and have not opted out."""
    over = or_(CONVERSATION.c.ends_at.is_(None), CONVERSATION.c.ends_at < before)
    return and_(CONVERSATION.c.last_text_at < before, CONVERSATION.c.opted_out_at.is_(None), over)
