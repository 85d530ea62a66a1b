"""What staff order is done: the staff table's effects become rows, and texts to be sent."""

from datetime import timedelta
from typing import Any, assert_never

from sqlalchemy import Connection

from bot.accounts import mobile_change
from bot.clock import time_in_tehran
from bot.credentials.keyring import Keyring
from bot.inbound import staff_context
from bot.inbound.context import MessageContext
from bot.inbound.send_code import Whose, send_code
from bot.inbound.staff_context import StaffContext
from bot.ports import RandomSource
from dialogs.replies.phrases import say
from dialogs.staff_vocabulary import (
    BurnConfirmation,
    ChangeEvent,
    ChangeState,
    Command,
    Confirmation,
    MoveChange,
    RaiseAlarm,
    SendCodeToHolder,
    SendConfirmation,
    StaffEffect,
    UnlockRecovery,
    UseConfirmation,
)
from store import accounts, staff_orders
from store import codes as kept
from store import mobile_changes as changes
from store.accounts import Account
from store.conversations import StaleRead
from store.tables import CloseReason, DeliveryStatus, MessageKind

COMMANDS = {
    "code_to_reset": Command.RESET,
    "code_to_unlock": Command.UNLOCK,
    "code_to_propose_mobile": Command.PROPOSE_MOBILE,
    "code_to_approve_mobile": Command.APPROVE_MOBILE,
}
# How far back STATUS looks, and how many staff members' resets it has room for.
OF_LATE = timedelta(days=1)
SHOWN = 2


def carry_out(
    connection: Connection,
    turn: MessageContext,
    effect: StaffEffect | MoveChange,
    keyring: Keyring,
    random_source: RandomSource,
) -> None:
    """Do one effect within the text's transaction."""
    match effect:
        case SendConfirmation(phrase):
            _send_confirmation(connection, turn, phrase, keyring, random_source)
        case UseConfirmation():
            _use_confirmation(connection, turn)
        case BurnConfirmation():
            _close(connection, turn, CloseReason.BURNED)
        case SendCodeToHolder():
            _send_code_to_holder(connection, turn, keyring)
        case UnlockRecovery():
            accounts.unlock(connection, _account(turn).id)
        case MoveChange(event):
            turn.texts += _move_change(connection, turn, event)
        case RaiseAlarm(alarm):
            turn.alarms.append(alarm)
        case _:
            assert_never(effect)


def parameters(connection: Connection, turn: MessageContext, phrase: str) -> dict[str, str]:
    """What the phrases to staff say: last digits, refs, counts."""
    desk = turn.desk
    if desk is None:
        return {}
    found = _names(desk)
    if phrase == "staff_status":
        found |= _status(connection, turn, _account(turn))
    if phrase == "staff_stats" and turn.prepared.tally is not None:
        found |= {name: str(number) for name, number in vars(turn.prepared.tally).items()}
    return found


def form(phrase: str, given: dict[str, str]) -> str:
    """The form of a phrase to staff: a status names resets only where there are any."""
    return "staff_status_with_resets" if phrase == "staff_status" and given.get("resets") else phrase


def _send_code_to_holder(connection: Connection, turn: MessageContext, keyring: Keyring) -> None:
    account, desk = _account(turn), turn.desk
    assert desk is not None
    kept.close_of(connection, account.id, CloseReason.VOIDED, turn.now)
    whose = Whose(account.id, account.mobile, account.language)
    send_code(connection, turn, keyring, "code", whose, staff_id=desk.member.id)


def _send_confirmation(
    connection: Connection, turn: MessageContext, phrase: str, keyring: Keyring, random_source: RandomSource
) -> None:
    desk, fresh, settings = turn.desk, turn.text.fresh, turn.settings
    assert desk is not None and fresh is not None
    staff_orders.close_of(connection, desk.member.id, CloseReason.VOIDED, turn.now)
    desk.new_ref = _ref(random_source)
    expires_at = turn.now + timedelta(seconds=settings.code_ttl_seconds)
    staff_orders.issue(
        connection,
        {
            "id": fresh.id,
            "staff_id": desk.member.id,
            "command": COMMANDS[phrase],
            "account_id": _account(turn).id,
            "new_mobile": desk.new_mobile,
            "ref": desk.new_ref,
            "key_id": keyring.newest,
            "digest": staff_context.digest(keyring, keyring.newest, fresh.id, desk.member.id, fresh.digits),
            "tries_left": settings.code_tries,
            "created_at": turn.now,
            "expires_at": expires_at,
        },
    )
    turn.say(
        phrase,
        MessageKind.CODE,
        to=desk.member.mobile,
        parameters=turn.parameters() | _names(desk),
        secret=fresh.sealed,
        code_id=fresh.id,
        expires_at=expires_at,
    )


def _use_confirmation(connection: Connection, turn: MessageContext) -> None:
    desk = turn.desk
    assert desk is not None and desk.pending is not None
    is_reset = desk.pending.command == Command.RESET and desk.confirmation is Confirmation.RIGHT
    _close(connection, turn, CloseReason.USED, turn.text.fresh.id if is_reset and turn.text.fresh else None)


def _close(connection: Connection, turn: MessageContext, close_reason: CloseReason, code_id: str | None = None) -> None:
    assert turn.desk is not None and turn.desk.pending is not None
    if not staff_orders.close(connection, turn.desk.pending.id, close_reason, turn.now, code_id):
        raise StaleRead


def _move_change(connection: Connection, turn: MessageContext, event: ChangeEvent) -> list[dict[str, Any]]:
    desk = turn.desk
    if event is ChangeEvent.OBJECTED:
        turn.stopped = changes.from_mobile(connection, turn.text.phone, ChangeState.HELD, turn.now)
        moved = (mobile_change.advance(connection, turn.settings, each, event, turn.now) for each in turn.stopped)
        return [row for rows in moved for row in rows]
    assert desk is not None and desk.pending is not None
    if event is ChangeEvent.PROPOSED:
        row = {
            "account_id": _account(turn).id,
            "old_mobile": _account(turn).mobile,
            "new_mobile": desk.new_mobile,
            "ref": desk.pending.ref,
            "proposed_by": desk.member.id,
        }
        mobile_change.propose(connection, desk.change, row, turn.now)
        return []
    assert desk.change is not None
    return mobile_change.advance(connection, turn.settings, desk.change, event, turn.now, by=desk.member.id)


def _account(turn: MessageContext) -> Account:
    assert turn.desk is not None and turn.desk.account is not None
    return turn.desk.account


def _ref(random_source: RandomSource) -> str:
    """By which staff speak of an order: one run, which keeps its order in any script, shorter than any code."""
    return random_source.digits(5)


def _names(desk: StaffContext) -> dict[str, str]:
    if desk.account is None:
        return {}
    mobile = desk.new_mobile or desk.account.mobile
    of_change = desk.change.ref if desk.change else ""
    approving = desk.pending is not None and desk.pending.command == Command.APPROVE_MOBILE
    ref = desk.pending.ref if desk.confirmation and desk.pending and not approving else of_change
    return {"nid4": desk.account.national_id[-4:], "mob4": mobile[-4:], "ref": ref}


def _status(connection: Connection, turn: MessageContext, account: Account) -> dict[str, str]:
    assert turn.desk is not None
    newest = staff_orders.resets_of(connection, account.id, Command.RESET, turn.now - OF_LATE)[:SHOWN]
    return {
        "state": say(_state(connection, turn.desk, account, turn), turn.language, {}),
        "failures": str(account.failures),
        "resets": " / ".join(f"{each.ref} {time_in_tehran(each.at)}" for each in reversed(newest)),
    }


def _state(connection: Connection, desk: StaffContext, account: Account, turn: MessageContext) -> str:
    """The phrase that says where the account's recovery stands."""
    if account.locked_at is not None or desk.is_held:
        return "state_locked" if account.locked_at is not None else "state_held"
    newest = kept.newest_of(connection, account.id, turn.now - OF_LATE)
    if newest is None:
        return "state_none"
    if newest.close_reason == CloseReason.USED:
        return "state_used"
    return _delivery(newest, turn)


def _delivery(newest: kept.Newest, turn: MessageContext) -> str:
    if newest.status in {DeliveryStatus.FAILED, DeliveryStatus.DROPPED}:
        return "state_undelivered"
    if newest.close_reason is not None or newest.expires_at <= turn.now:
        return "state_over"
    if newest.status == DeliveryStatus.DELIVERED:
        return "state_delivered"
    return "state_waiting" if newest.status == DeliveryStatus.QUEUED else "state_sent"
