"""What staff order is done: the staff table's effects become rows, and texts to be sent."""

from datetime import timedelta
from typing import assert_never

from sqlalchemy import Connection

from bot.accounts import lockout, mobile_change
from bot.credentials import one_time_codes
from bot.inbound.context import MessageContext
from bot.inbound.send_code import send_code
from bot.inbound.staff_context import StaffContext
from bot.platform.clock import time_in_tehran
from bot.ports import RandomSource
from dialogs.audit_vocabulary import Action, Actor, Outcome, RecordOrder
from dialogs.replies.phrases import say
from dialogs.staff_vocabulary import (
    ChangeEvent,
    ChangeState,
    CloseOrder,
    Command,
    LockStaff,
    MoveChange,
    RaiseAlarm,
    SendCodeToAccount,
    SendConfirmation,
    StaffEffect,
    UnlockRecovery,
)
from dialogs.vocabulary import CodePurpose, Intent
from store import accounts, codes, mobile_changes, staff, staff_orders
from store.accounts import Account
from store.conversations import StaleRead
from store.staff_orders import NewOrder, StaffOrder
from store.tables import CloseReason, DeliveryStatus, MessageKind, RequestedBy

COMMANDS = {
    "code_to_reset": Command.RESET,
    "code_to_unlock": Command.UNLOCK,
    "code_to_propose_mobile": Command.PROPOSE_MOBILE,
    "code_to_approve_mobile": Command.APPROVE_MOBILE,
}
_ACTIONS = {
    Command.RESET: Action.STAFF_RESET,
    Command.UNLOCK: Action.STAFF_UNLOCK,
    Command.PROPOSE_MOBILE: Action.MOBILE_CHANGE_PROPOSED,
    Command.APPROVE_MOBILE: Action.MOBILE_CHANGE_APPROVED,
}
_ORDERED = {
    Intent.STAFF_RESET: Action.STAFF_RESET,
    Intent.STAFF_UNLOCK: Action.STAFF_UNLOCK,
    Intent.STAFF_STATUS: Action.STAFF_STATUS,
    Intent.STAFF_STATS: Action.STAFF_STATS,
    Intent.STAFF_MOBILE: Action.MOBILE_CHANGE_PROPOSED,
}
# How far back STATUS looks, and how many staff members' resets it has room for.
OF_LATE = timedelta(days=1)
SHOWN = 2


def apply(connection: Connection, ctx: MessageContext, effect: StaffEffect | MoveChange | RecordOrder) -> None:
    """Do one effect within the text's transaction."""
    match effect:
        case SendConfirmation(phrase):
            _send_confirmation(connection, ctx, phrase)
        case CloseOrder(done):
            _close_order(connection, ctx, done=done)
        case LockStaff():
            ctx.entries.append(lockout.lock_staff(connection, _staff(ctx).member.id, ctx.now))
        case SendCodeToAccount():
            _send_code_to_account(connection, ctx)
        case UnlockRecovery():
            accounts.unlock(connection, _account(ctx).id)
        case MoveChange(event):
            _move_change(connection, ctx, event)
        case RaiseAlarm(alarm):
            ctx.alarms.append(alarm)
        case RecordOrder(outcome, reason):
            _record(ctx, outcome, reason)
        case _:
            assert_never(effect)


def parameters(connection: Connection, ctx: MessageContext, phrase: str) -> dict[str, str]:
    """What the phrases to staff say: last digits, refs, counts."""
    if ctx.staff is None:
        return {}
    found = _names(ctx.staff)
    if phrase == "staff_status":
        found |= _status(connection, ctx, _account(ctx))
    if phrase == "staff_stats" and ctx.work.stats is not None:
        found |= {name: str(number) for name, number in vars(ctx.work.stats).items()}
    return found


def variant(phrase: str, given: dict[str, str]) -> str:
    """The form of a phrase to staff: a status names resets only where there are any."""
    return "staff_status_with_resets" if phrase == "staff_status" and given.get("resets") else phrase


def _send_code_to_account(connection: Connection, ctx: MessageContext) -> None:
    account = _account(ctx)
    codes.close_of_account(connection, account.id, CloseReason.VOIDED, ctx.now)
    send_code(
        connection,
        ctx,
        "code",
        CodePurpose.RECOVERY,
        account_id=account.id,
        mobile=account.mobile,
        language=account.language,
        requested_by=RequestedBy.STAFF,
    )


def _send_confirmation(connection: Connection, ctx: MessageContext, phrase: str) -> None:
    of, drawn, parts = _staff(ctx), ctx.message.drawn, ctx.parts
    assert drawn is not None
    codes.close_of_staff(connection, of.member.id, CloseReason.VOIDED, ctx.now, CodePurpose.STAFF_ORDER)
    code = one_time_codes.new(
        drawn,
        parts.keyring,
        parts.settings,
        ctx.now,
        CodePurpose.STAFF_ORDER,
        of.member.mobile,
        staff_id=of.member.id,
    )
    codes.issue(connection, code)
    of.new_ref = _ref(parts.random_source)
    account_id = _account(ctx).id
    order = NewOrder(code.id, of.member.id, COMMANDS[phrase], account_id, of.new_mobile, of.new_ref, ctx.now)
    staff_orders.write(connection, order)
    ctx.say(
        phrase,
        MessageKind.CODE,
        to=of.member.mobile,
        parameters=ctx.parameters() | _names(of),
        secret=drawn.sealed,
        code_id=drawn.id,
        expires_at=code.expires_at,
    )


def _close_order(connection: Connection, ctx: MessageContext, *, done: bool) -> None:
    order, drawn = _confirmed(ctx), ctx.message.drawn
    if not codes.close(connection, order.id, CloseReason.USED, ctx.now):
        raise StaleRead
    staff.end_failures(connection, order.staff_id)
    if done:
        sent = drawn.id if order.command == Command.RESET and drawn else None
        staff_orders.finish(connection, order.id, ctx.now, sent)


def _move_change(connection: Connection, ctx: MessageContext, event: ChangeEvent) -> None:
    if event is ChangeEvent.OBJECTED:
        for change in mobile_changes.from_mobile(connection, ctx.phone, ChangeState.HELD, ctx.now):
            ctx.texts += mobile_change.advance(connection, ctx.parts, change, event, ctx.now)
            ctx.record(Action.MOBILE_CHANGE_STOPPED, change.account_id, ref=change.ref)
        return
    of, order, account = _staff(ctx), _confirmed(ctx), _account(ctx)
    if event is ChangeEvent.PROPOSED:
        assert order.new_mobile is not None
        mobile_change.propose(
            connection,
            of.change,
            ctx.now,
            account_id=account.id,
            old_mobile=account.mobile,
            new_mobile=order.new_mobile,
            ref=order.ref,
            proposed_by=of.member.id,
        )
        return
    assert of.change is not None
    ctx.texts += mobile_change.advance(connection, ctx.parts, of.change, event, ctx.now, by=of.member.id)


def _record(ctx: MessageContext, outcome: Outcome, reason: str) -> None:
    """A row for an order, given or confirmed."""
    of = _staff(ctx)
    order = of.order if ctx.confirms_order() else None
    ref = of.new_ref or (order.ref if order else None)
    about = of.account.id if of.account else order.account_id if order else None
    ctx.record(
        _action(ctx, order, reason),
        about,
        outcome,
        reason,
        actor=Actor.STAFF,
        staff_id=of.member.id,
        ref=ref,
    )


def _action(ctx: MessageContext, order: StaffOrder | None, reason: str) -> Action:
    if order is not None:
        return _ACTIONS[Command(order.command)]
    by_second = reason == "ordered_by_second"
    return Action.MOBILE_CHANGE_APPROVED if by_second else _ORDERED[ctx.message.parsed.intent]


def _staff(ctx: MessageContext) -> StaffContext:
    assert ctx.staff is not None
    return ctx.staff


def _account(ctx: MessageContext) -> Account:
    account = _staff(ctx).account
    assert account is not None
    return account


def _confirmed(ctx: MessageContext) -> StaffOrder:
    order = _staff(ctx).confirmed
    assert order is not None
    return order


def _ref(random_source: RandomSource) -> str:
    """By which staff speak of an order: one run, which keeps its order in any script, shorter than any code."""
    return random_source.digits(5)


def _names(of: StaffContext) -> dict[str, str]:
    if of.account is None:
        return {}
    mobile = of.new_mobile or of.account.mobile
    of_change = of.change.ref if of.change else ""
    approving = of.confirmed is not None and of.confirmed.command == Command.APPROVE_MOBILE
    ref = of.confirmed.ref if of.confirmed and not approving else of_change
    return {"nid4": of.account.national_id[-4:], "mob4": mobile[-4:], "ref": ref}


def _status(connection: Connection, ctx: MessageContext, account: Account) -> dict[str, str]:
    newest = staff_orders.resets_of(connection, account.id, Command.RESET, ctx.now - OF_LATE)[:SHOWN]
    return {
        "state": say(_state(connection, ctx, account), ctx.language, {}),
        "failures": str(account.failures),
        "resets": " / ".join(f"{each.ref} {time_in_tehran(each.at)}" for each in reversed(newest)),
    }


def _state(connection: Connection, ctx: MessageContext, account: Account) -> str:
    """The phrase that says where the account's recovery stands."""
    if account.locked_at is not None:
        return "state_locked"
    change = _staff(ctx).change
    if change is not None and change.state == ChangeState.HELD:
        return "state_held"
    newest = codes.newest_of(connection, account.id, ctx.now - OF_LATE)
    if newest is None:
        return "state_none"
    if newest.close_reason == CloseReason.USED:
        return "state_used"
    return _delivery(newest, ctx)


def _delivery(newest: codes.Newest, ctx: MessageContext) -> str:
    if newest.status in {DeliveryStatus.FAILED, DeliveryStatus.DROPPED}:
        return "state_undelivered"
    if newest.close_reason is not None or newest.expires_at <= ctx.now:
        return "state_over"
    if newest.status == DeliveryStatus.DELIVERED:
        return "state_delivered"
    return "state_waiting" if newest.status == DeliveryStatus.QUEUED else "state_sent"
