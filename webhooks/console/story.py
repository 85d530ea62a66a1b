"""What there is to know of one account: who it is, how it stands, its last code's way, and what to do next."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row

from bot.audit.trail import masked
from dialogs.staff_vocabulary import ChangeState, Command
from store import audit, mobile_changes
from store.accounts import Account
from store.mobile_changes import Change
from store.tables import CloseReason, DeliveryStatus, MessageKind, RequestedBy
from store.views import account_history
from webhooks.console import audit_trail
from webhooks.console.formatting import Formatter, Table

BY = {RequestedBy.OWNER: "by_owner", RequestedBy.OTHER_PHONE: "by_other", RequestedBy.STAFF: "by_staff"}
NOT_DELIVERED = (DeliveryStatus.FAILED, DeliveryStatus.DROPPED)
AUDITED, SHOWN_DIGITS = 50, 4
SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class MaskedPerson:
    """Who an account is, as staff in whose scope it lies may see it: its numbers by their last digits only."""

    id: int
    name: str
    national_id: str
    mobile: str
    place: str
    last_text: str


@dataclass(frozen=True)
class Story:
    """A person, how things stand with them, what to do next, and the rows behind it all."""

    person: MaskedPerson
    lines: Sequence[str]
    next: str
    tables: Sequence[Table]


@dataclass(frozen=True)
class StoryFacts:
    """What a story is told from. Rows come the newest first."""

    account: Account
    now: datetime
    opted_out_at: datetime | None
    change: Change | None
    codes: Sequence[Row[Any]]
    texts: Sequence[Row[Any]]
    orders: Sequence[Row[Any]]

    @property
    def code_text(self) -> Row[Any] | None:
        """The text that the last code went out in, the last of them."""
        return next((it for it in self.texts if self.codes and it.code_id == self.codes[0].id), None)

    @property
    def code_lives(self) -> bool:
        """Whether the last code can still be texted back."""
        return bool(self.codes) and self.codes[0].closed_at is None and self.codes[0].expires_at > self.now

    @property
    def is_undelivered(self) -> bool:
        """Whether the last code's text did not arrive."""
        return self.code_text is not None and self.code_text.status in NOT_DELIVERED

    @property
    def is_held(self) -> bool:
        """Whether a change of mobile keeps codes back."""
        return self.change is not None and self.change.state == ChangeState.HELD and self.change.due_at > self.now


def person(formatter: Formatter, account: Account, about: Row[Any]) -> MaskedPerson:
    """Who an account is. `about` is a row of account_history.people."""
    place = [part for part in (about.province, about.broker) if part]
    return MaskedPerson(
        account.id,
        about.full_name or formatter.words["no_name"],
        ending(formatter, account.national_id),
        formatter.digits(masked(account.mobile)),
        f"{formatter.words['comma']} ".join(place) or formatter.words["unknown"],
        formatter.moment(about.last_texted),
    )


def ending(formatter: Formatter, national_id: str, digits: int = SHOWN_DIGITS) -> str:
    """An ID by its last digits."""
    return formatter.digits(f"…{national_id[-digits:]}")


def tell(connection: Connection, formatter: Formatter, account: Account, now: datetime) -> Story:
    """The story of an account."""
    facts = StoryFacts(
        account,
        now,
        account_history.opted_out_at(connection, account.mobile),
        mobile_changes.of_account(connection, account.id),
        account_history.codes(connection, account.id),
        account_history.texts(connection, account.id),
        account_history.orders(connection, account.id),
    )
    about = account_history.people(connection, [account.id])[account.id]
    lines = [*_standing(formatter, facts), *_last_code(formatter, facts), *_last_order(formatter, facts)]
    trail = audit_trail.table(formatter, audit.about(connection, account.id, AUDITED)[::-1])
    tables = [*_tables(formatter, facts), trail]
    return Story(person(formatter, account, about), lines, _next(formatter, facts), tables)


def _standing(formatter: Formatter, facts: StoryFacts) -> Iterator[str]:
    words, account, change = formatter.words["story"], facts.account, facts.change
    if not account.active:
        yield words["inactive"]
    if account.locked_at:
        yield words["locked"].format(formatter.moment(account.locked_at))
    if facts.opted_out_at:
        yield words["opted_out"].format(formatter.moment(facts.opted_out_at))
    if facts.is_held and change:
        yield words["held"].format(formatter.moment(change.due_at), change.ref)
    elif change and change.due_at > facts.now:
        yield words["proposed"].format(formatter.moment(change.due_at), change.ref)
    if account.mobile_changed_at:
        yield words["mobile_changed"].format(formatter.moment(account.mobile_changed_at))


def _last_code(formatter: Formatter, facts: StoryFacts) -> Iterator[str]:
    """The way of the last code, each step by how long after the request it was."""
    words = formatter.words["story"]
    if not facts.codes:
        yield words["no_code"]
        return
    code, text = facts.codes[0], facts.code_text
    begin = text.request_received_at if text else code.created_at
    steps = [words["asked"].format(formatter.moment(begin), formatter.words[BY[RequestedBy(code.requested_by)]])]
    if text:
        steps += _steps_of_text(formatter, text, begin)
    if code.close_reason:
        steps.append(words["ended"][code.close_reason].format(_later(formatter, code.closed_at, begin)))
    yield f"{formatter.words['comma']} ".join(steps) + "."


def _steps_of_text(formatter: Formatter, text: Row[Any], begin: datetime) -> Iterator[str]:
    words = formatter.words["story"]
    if text.accepted_at:
        yield words["accepted"].format(text.gateway, _later(formatter, text.accepted_at, begin))
    if text.status == DeliveryStatus.DELIVERED:
        yield words["delivered"].format(_later(formatter, text.ended_at, begin))
    elif text.status in NOT_DELIVERED:
        yield words["not_delivered"].format(formatter.word("errors_of", text.error or "unknown"))
    else:
        yield words["no_receipt"]


def _later(formatter: Formatter, at: datetime, begin: datetime) -> str:
    """How long after the request, rounded up as the figures do."""
    passed = max(0, -(-(at - begin) // SECOND)) * SECOND
    return str(formatter.words["story"]["later"]).format(formatter.age(begin, begin + passed))


def _last_order(formatter: Formatter, facts: StoryFacts) -> Iterator[str]:
    """Who carried out the last order, and the ref that it is spoken of by."""
    done = next((it for it in facts.orders if it.done_at is not None), None)
    if done is not None:
        command = formatter.word("commands", done.command)
        yield formatter.words["story"]["order"].format(command, done.name, formatter.moment(done.done_at), done.ref)


def _next(formatter: Formatter, facts: StoryFacts) -> str:
    """What to do next. What staff can text names the command; they know the whole ID from the caller."""
    account = facts.account
    states = {
        "inactive": not account.active,
        "locked": account.locked_at is not None,
        "held": facts.is_held,
        "opted_out": facts.opted_out_at is not None,
        "live": facts.code_lives and not facts.is_undelivered,
        "used": bool(facts.codes) and facts.codes[0].close_reason == CloseReason.USED,
        "undelivered": facts.is_undelivered,
        "reset": True,
    }
    name = next(name for name, holds in states.items() if holds)
    until = formatter.clock(facts.codes[0].expires_at) if name == "live" else ""
    return str(formatter.words["story"]["next"][name]).format(until)


def _tables(formatter: Formatter, facts: StoryFacts) -> Iterator[Table]:
    heads = formatter.words["heads"]
    for name, rows, told in (
        ("codes", facts.codes, _code),
        ("texts", facts.texts, _text),
        ("orders", facts.orders, _order),
    ):
        title, *head = heads[name]
        yield Table(title, head, [told(formatter, row) for row in rows])


def _code(formatter: Formatter, row: Row[Any]) -> Sequence[str]:
    return (
        formatter.moment(row.created_at),
        formatter.words[BY[RequestedBy(row.requested_by)]],
        formatter.word("fates", row.close_reason or "live"),
        formatter.clock(row.closed_at),
        formatter.digits(row.tries_left),
    )


def _text(formatter: Formatter, row: Row[Any]) -> Sequence[str]:
    times = (formatter.clock(at) for at in (row.request_received_at, row.accepted_at, row.sent_at, row.ended_at))
    state = formatter.word("ranks", DeliveryStatus(row.status).name.lower())
    why = formatter.word("errors_of", row.error) if row.error else ""
    kind = formatter.word("kinds", MessageKind(row.kind).name.lower())
    phone = formatter.digits(masked(row.phone))
    return (formatter.moment(row.created_at), state, kind, phone, *times, row.gateway or "", why)


def _order(formatter: Formatter, row: Row[Any]) -> Sequence[str]:
    command = formatter.word("commands", Command(row.command))
    ended = formatter.word("fates", row.close_reason or "live")
    return (formatter.moment(row.created_at), command, row.ref, row.name, formatter.digits(masked(row.mobile)), ended)
