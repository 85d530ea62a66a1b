"""What a staff member may order: their scope, their limits, and the order that waits for its code."""

import hmac
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from bot.credentials.keyring import Keyring
from bot.phone_numbers import PhoneNumbers
from dialogs.parsing.normalise import is_same_place, place_name
from dialogs.parsing.parse import from_staff
from dialogs.staff_vocabulary import (
    CONFIRMING,
    ChangeState,
    Command,
    Confirmation,
    NewMobile,
    Reach,
    Role,
    StaffFacts,
    StaffState,
)
from dialogs.vocabulary import Intent, ParsedMessage
from store import accounts, conversations, mobile_changes, staff_orders
from store import staff as members
from store.accounts import Account
from store.mobile_changes import Change
from store.staff import Member
from store.staff_orders import Done, Pending

RESETS_PER_HOUR, RESETS_PER_DAY = 30, 100
# Orders that were mistyped or not carried out have room besides; who forges a number can't have its owner texted
# without end.
CODES_PER_HOUR = 60
NOWHERE = "-"  # what no account's province or broker is called


@dataclass
class StaffContext:
    """A staff member at work: who they are, what waits for its code, and whom it, or their text, is about."""

    member: Member
    pending: Pending | None
    done: Done
    now: datetime
    account: Account | None = None
    change: Change | None = None
    silent: bool = False
    new_mobile: str | None = field(default=None, repr=False)
    confirmation: Confirmation | None = None
    new_ref: str | None = None  # of the order that this text gives

    @property
    def state(self) -> StaffState:
        """Where the staff dialog stands."""
        return CONFIRMING[Command(self.pending.command)] if self.pending else StaffState.AT_REST

    @property
    def reach(self) -> Reach:
        """Whether the account is one that this staff member may work on."""
        found = self.account is not None and self.account.active and is_in_scope(self.member, self.account)
        return Reach.IN_SCOPE if found else Reach.OUT_OF_SCOPE

    @property
    def is_held(self) -> bool:
        """Whether the account's mobile is being changed."""
        return self.change is not None and self.change.state == ChangeState.HELD

    @property
    def proposal(self) -> Change | None:
        """The proposal of a new mobile that waits for a second staff member."""
        change = self.change
        waits = change is not None and change.state == ChangeState.PROPOSED and change.due_at > self.now
        return change if waits else None

    @property
    def has_reset_too_often(self) -> bool:
        """Whether the hour's or the day's resets are used up."""
        return self.done.resets_in_hour >= RESETS_PER_HOUR or self.done.resets_in_day >= RESETS_PER_DAY


def is_in_scope(member: Member, account: Account) -> bool:
    """Whether a staff member's role reaches an account. Names are compared as people see them."""
    if member.role == Role.HEADQUARTERS:
        return True
    ours, theirs = (
        (member.province, account.province) if member.role == Role.PROVINCIAL else (member.broker, account.broker)
    )
    return is_same_place(ours, theirs)


def scope_of(connection: Connection, staff_id: int) -> dict[str, str]:
    """The province or the broker whose accounts a staff member works on; neither for headquarters."""
    member = members.find(connection, staff_id)
    if member.role == Role.HEADQUARTERS:
        return {}
    name, place = ("province", member.province) if member.role == Role.PROVINCIAL else ("broker", member.broker)
    return {name: place_name(place or "") or NOWHERE}


def look_up(
    connection: Connection, staff_id: int, heard: ParsedMessage, phone_numbers: PhoneNumbers, now: datetime
) -> StaffContext:
    """What is known of a staff member, and of the account that their text names."""
    desk = StaffContext(
        members.find(connection, staff_id),
        staff_orders.live(connection, staff_id, now),
        staff_orders.done(connection, staff_id, Command.RESET, now),
        now,
    )
    if heard.national_id is not None:
        _look_up(connection, desk, accounts.find(connection, national_id=heard.national_id))
    desk.new_mobile = phone_numbers.mobile(heard.mobile) if heard.mobile else None
    return desk


def confirm(connection: Connection, desk: StaffContext, keyring: Keyring, digits: str, now: datetime) -> None:
    """Try a code on the order that waits for one: the try is spent, then the code compared."""
    tried = staff_orders.spend(connection, desk.member.id, now)
    if tried is None:
        return
    desk.pending = tried
    if not is_right(keyring, tried, digits):
        desk.confirmation = Confirmation.WRONG if tried.tries_left else Confirmation.LAST
        return
    _look_up(connection, desk, accounts.get(connection, tried.account_id))
    desk.new_mobile = tried.new_mobile
    desk.confirmation = _still_right(desk)


def digest(keyring: Keyring, key_id: str, confirmation_id: str, staff_id: int, digits: str) -> bytes | None:
    """What is kept of a confirmation code; None where its key is gone."""
    return keyring.code_digest(key_id, f"confirmation:{confirmation_id}:{staff_id}:{digits}")


def is_right(keyring: Keyring, tried: Pending, digits: str) -> bool:
    """Whether these are the digits, in the same time for right and wrong ones."""
    expected = digest(keyring, tried.key_id, tried.id, tried.staff_id, digits)
    return expected is not None and hmac.compare_digest(expected, tried.digest)


def facts(desk: StaffContext, heard: ParsedMessage, phone: str) -> StaffFacts:
    """What the dialog is told of it."""
    account = desk.account
    resets = from_staff(heard).intent is Intent.STAFF_RESET and desk.has_reset_too_often
    return StaffFacts(
        reach=desk.reach,
        is_own=account is not None and account.mobile == phone,
        locked=account is not None and account.locked_at is not None,
        silent=desk.silent,
        held=desk.is_held,
        too_often=resets or desk.done.codes_in_hour >= CODES_PER_HOUR,
        new_mobile=_new_mobile(desk),
        confirmation=desk.confirmation,
    )


def is_approval(desk: StaffContext) -> bool:
    """Whether another staff member has proposed this very number for the account."""
    made = desk.proposal
    return made is not None and made.new_mobile == desk.new_mobile and made.proposed_by != desk.member.id


def _look_up(connection: Connection, desk: StaffContext, account: Account | None) -> None:
    desk.account = account
    if account is not None:
        desk.change = mobile_changes.of_account(connection, account.id)
        desk.silent = conversations.has_opted_out(connection, account.mobile)


def _still_right(desk: StaffContext) -> Confirmation:
    """Whether what was confirmed can still be carried out: the account may have changed since."""
    assert desk.pending is not None and desk.account is not None
    command = Command(desk.pending.command)
    if desk.reach is not Reach.IN_SCOPE:
        return Confirmation.IN_VAIN
    if command is Command.RESET:
        if desk.has_reset_too_often:
            return Confirmation.TOO_OFTEN
        return _in_vain(desk.account.locked_at is not None or desk.is_held or desk.silent)
    if command is Command.APPROVE_MOBILE:
        return _in_vain(not is_approval(desk))
    return _in_vain(command is Command.PROPOSE_MOBILE and desk.is_held)


def _in_vain(holds: bool) -> Confirmation:
    return Confirmation.IN_VAIN if holds else Confirmation.RIGHT


def _new_mobile(desk: StaffContext) -> NewMobile:
    if desk.new_mobile is None or (desk.account is not None and desk.new_mobile == desk.account.mobile):
        return NewMobile.MISSING
    if is_approval(desk):
        return NewMobile.BY_SECOND
    same = desk.proposal is not None and desk.proposal.new_mobile == desk.new_mobile
    return NewMobile.AGAIN if same else NewMobile.FIRST
