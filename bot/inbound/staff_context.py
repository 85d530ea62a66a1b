"""What is known of a staff member who texts: their scope, their limits, and the order that waits for its code."""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from bot.platform.phone_numbers import PhoneNumbers
from dialogs.limits import CONFIRMATIONS_PER_HOUR, RESETS_PER_DAY, RESETS_PER_HOUR
from dialogs.parsing.normalise import is_same_place, place_name
from dialogs.staff_vocabulary import (
    CONFIRMING,
    ChangeState,
    Command,
    NewMobile,
    Reach,
    Role,
    StaffFacts,
    StaffState,
)
from dialogs.vocabulary import ParsedMessage
from store import accounts, conversations, mobile_changes, staff, staff_orders
from store.accounts import Account
from store.mobile_changes import Change
from store.staff import Member
from store.staff_orders import StaffOrder, Workload

NOWHERE = "-"  # what no account's province or broker is called


@dataclass
class StaffContext:
    """A staff member, the order that waits for its code, and the account that it, or their text, is about."""

    member: Member
    order: StaffOrder | None
    workload: Workload
    now: datetime
    account: Account | None = None
    change: Change | None = None
    silent: bool = False  # the account's mobile has said STOP
    new_mobile: str | None = field(default=None, repr=False)
    confirmed: StaffOrder | None = None  # that a right code has just confirmed
    new_ref: str | None = None  # of the order that this text gives

    @property
    def state(self) -> StaffState:
        """Where the staff dialog stands."""
        return CONFIRMING[Command(self.order.command)] if self.order else StaffState.AT_REST

    @property
    def proposal(self) -> Change | None:
        """The proposal of a new mobile that waits for a second staff member."""
        change = self.change
        waits = change is not None and change.state == ChangeState.PROPOSED and change.due_at > self.now
        return change if waits else None

    def look_up(self, connection: Connection, account: Account | None, new_mobile: str | None) -> None:
        """Take an account, and the number that is to be its mobile, for what the text is about."""
        self.account, self.new_mobile = account, new_mobile
        if account is not None:
            self.change = mobile_changes.of_account(connection, account.id)
            self.silent = conversations.has_opted_out(connection, account.mobile)

    def confirm(self, connection: Connection, order_id: str) -> None:
        """Take the order that a right code has confirmed for what the text is about."""
        self.confirmed = self.order = staff_orders.find(connection, order_id)
        self.look_up(connection, accounts.get(connection, self.order.account_id), self.order.new_mobile)


def load(
    connection: Connection, staff_id: int, parsed: ParsedMessage, phone_numbers: PhoneNumbers, now: datetime
) -> StaffContext:
    """What is known of a staff member, and of the account that their text names."""
    found = StaffContext(
        staff.find(connection, staff_id),
        staff_orders.waiting(connection, staff_id, now),
        staff_orders.workload(connection, staff_id, Command.RESET, now),
        now,
    )
    account = accounts.find(connection, national_id=parsed.national_id) if parsed.national_id else None
    found.look_up(connection, account, phone_numbers.mobile(parsed.mobile) if parsed.mobile else None)
    return found


def is_in_scope(member: Member, account: Account) -> bool:
    """Whether a staff member's role reaches an account. Names are compared as people see them; none matches none."""
    if member.role == Role.HEADQUARTERS:
        return True
    ours, theirs = (
        (member.province, account.province) if member.role == Role.PROVINCIAL else (member.broker, account.broker)
    )
    return is_same_place(ours, theirs)


def scope_of(connection: Connection, staff_id: int) -> dict[str, str]:
    """The province or the broker whose accounts a staff member works on; neither for headquarters."""
    member = staff.find(connection, staff_id)
    if member.role == Role.HEADQUARTERS:
        return {}
    name, place = ("province", member.province) if member.role == Role.PROVINCIAL else ("broker", member.broker)
    return {name: place_name(place or "") or NOWHERE}


def facts(of: StaffContext, phone: str) -> StaffFacts:
    """What the dialog is told of it."""
    account, work = of.account, of.workload
    reaches = account is not None and account.active and is_in_scope(of.member, account)
    return StaffFacts(
        command=Command(of.confirmed.command) if of.confirmed else None,
        reach=Reach.IN_SCOPE if reaches else Reach.OUT_OF_SCOPE,
        is_own=account is not None and account.mobile == phone,
        locked=account is not None and account.locked_at is not None,
        silent=of.silent,
        held=of.change is not None and of.change.state == ChangeState.HELD,
        resets_used_up=work.done_in_hour >= RESETS_PER_HOUR or work.done_in_day >= RESETS_PER_DAY,
        codes_used_up=work.ordered_in_hour >= CONFIRMATIONS_PER_HOUR,
        locked_out=of.member.locked_at is not None,
        new_mobile=_new_mobile(of),
    )


def _new_mobile(of: StaffContext) -> NewMobile:
    if of.new_mobile is None or (of.account is not None and of.new_mobile == of.account.mobile):
        return NewMobile.MISSING
    made = of.proposal
    if made is None or made.new_mobile != of.new_mobile:
        return NewMobile.FIRST
    return NewMobile.AGAIN if made.proposed_by == of.member.id else NewMobile.BY_SECOND
