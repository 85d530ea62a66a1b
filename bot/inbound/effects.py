"""What is done: the dialog's effects become rows, and texts to be sent."""

from datetime import timedelta

from sqlalchemy import Connection

from bot.accounts import password_change
from bot.credentials import attempts
from bot.credentials.keyring import Keyring
from bot.inbound import staff_effects
from bot.inbound.context import MessageContext
from bot.inbound.facts import DAY, HOUR
from bot.inbound.send_code import Whose, send_code
from bot.ports import RandomSource
from bot.sending.messages import variant
from dialogs.staff_vocabulary import HoldMobile, SetMobile, TellNewMobile, TellOldMobile, TellStaff
from dialogs.vocabulary import (
    BurnCode,
    DropCode,
    Effect,
    FakherEvent,
    GrantTicket,
    Hint,
    LockAccount,
    Notify,
    NotifyFormer,
    OptIn,
    OptOut,
    Say,
    SendCode,
    SetNewPassword,
    SetOwnPassword,
    Shrug,
    TellFakher,
)
from store import accounts, outbound_messages, reset_grants, staff_orders
from store import codes as kept
from store.conversations import StaleRead
from store.tables import CloseReason, MessageKind

# How long a right code lets its holder choose a password.
GRANT = timedelta(minutes=10)


def carry_out(  # noqa: C901, PLR0912  # one case an effect, and nothing else
    connection: Connection, turn: MessageContext, effect: Effect, keyring: Keyring, random_source: RandomSource
) -> None:
    """Do one effect within the text's transaction."""
    match effect:
        case SendCode(phrase):
            _send_code(connection, turn, phrase, keyring)
        case SetNewPassword():
            _set_new_password(connection, turn)
        case GrantTicket():
            _grant_ticket(connection, turn, random_source)
        case SetOwnPassword():
            _set_own_password(connection, turn)
        case DropCode():
            _drop_code(connection, turn)
        case BurnCode():
            assert turn.attempt is not None
            attempts.burn(connection, turn.attempt, turn.now)
        case LockAccount():
            assert turn.attempt is not None
            turn.locked = attempts.lock(connection, turn.attempt, turn.now)
        case OptOut():
            outbound_messages.drop_to(connection, turn.text.phone, turn.now)
        case OptIn():
            pass  # written with the conversation
        case Say(phrase) | Hint(phrase) | Shrug(phrase):
            given = _parameters(connection, turn, phrase)
            turn.say(staff_effects.form(phrase, given), parameters=given)
        case Notify(phrase):
            _notify(connection, turn, phrase)
        case NotifyFormer(phrase):
            _notify(connection, turn, phrase, former_only=True)
        case TellFakher(event):
            _tell_fakher(connection, turn, event, random_source)
        case HoldMobile() | SetMobile() | TellOldMobile() | TellNewMobile() | TellStaff():
            raise AssertionError("what befalls a change of mobile is done by mobiles.py")
        case _:
            staff_effects.carry_out(connection, turn, effect, keyring, random_source)


def _drop_code(connection: Connection, turn: MessageContext) -> None:
    turn.dropped = kept.close_at(connection, turn.text.phone, turn.now)
    reset_grants.close_at(connection, turn.text.phone, turn.now)
    if turn.desk is not None:
        staff_orders.close_of(connection, turn.desk.member.id, CloseReason.CANCELLED, turn.now)


def _send_code(connection: Connection, turn: MessageContext, phrase: str, keyring: Keyring) -> None:
    view = turn.view
    assert view.account_id is not None and view.account_mobile is not None
    if view.open_code_id is not None:
        kept.close(connection, view.open_code_id, CloseReason.VOIDED, turn.now)
    by_owner = view.account_mobile == turn.text.phone
    language = turn.language if by_owner else view.account_language
    whose = Whose(view.account_id, view.account_mobile, language)
    send_code(connection, turn, keyring, phrase, whose, by_owner=by_owner)


def _set_new_password(connection: Connection, turn: MessageContext) -> None:
    assert turn.holder is not None and turn.prepared.generated is not None
    new = turn.prepared.generated
    _use_code(connection, turn)
    password_change.set_password(connection, turn.holder.id, new.kept, turn.now, temporary=True)
    turn.say(
        variant("new_password", turn.settings),
        MessageKind.PASSWORD,
        parameters=turn.parameters(),
        secret=new.sealed,
        account_id=turn.holder.id,
    )


def _set_own_password(connection: Connection, turn: MessageContext) -> None:
    assert turn.holder is not None and turn.choice is not None and turn.prepared.own is not None
    if turn.choice.ticket is None:
        _use_code(connection, turn)
    elif not reset_grants.spend(connection, turn.choice.ticket.id, turn.now):
        raise StaleRead
    password_change.set_password(connection, turn.holder.id, turn.prepared.own, turn.now, temporary=False)


def _grant_ticket(connection: Connection, turn: MessageContext, random_source: RandomSource) -> None:
    code = _use_code(connection, turn)
    reset_grants.issue(
        connection,
        {
            "id": random_source.token(),
            "account_id": code.account_id,
            "code_id": code.id,
            "phone": turn.text.phone,
            "digest": None,
            "created_at": turn.now,
            "expires_at": turn.now + GRANT,
        },
    )
    accounts.end_failures(connection, code.account_id)


def _use_code(connection: Connection, turn: MessageContext) -> kept.Tried:
    assert turn.attempt is not None and turn.attempt.right is not None
    kept.close(connection, turn.attempt.right.id, CloseReason.USED, turn.now)
    return turn.attempt.right


def _notify(connection: Connection, turn: MessageContext, phrase: str, *, former_only: bool = False) -> None:
    assert turn.holder is not None
    inbound_gateway = turn.text.inbound.gateway
    turn.texts += password_change.notices(
        connection,
        turn.settings,
        turn.holder,
        phrase,
        turn.now,
        language=turn.language,
        inbound_gateway=inbound_gateway,
        former_only=former_only,
    )


def _tell_fakher(connection: Connection, turn: MessageContext, event: FakherEvent, random_source: RandomSource) -> None:
    about = turn.locked if event is FakherEvent.RECOVERY_LOCKED else [turn.holder.id] if turn.holder else []
    for account_id in about:
        password_change.tell_fakher(connection, turn.settings, random_source, event, account_id, turn.now)


def _parameters(connection: Connection, turn: MessageContext, phrase: str) -> dict[str, str]:
    parameters = turn.parameters() | staff_effects.parameters(connection, turn, phrase)
    if phrase == "too_many_codes":
        parameters["hours"] = str(_hours_to_wait(connection, turn))
    return parameters


def _hours_to_wait(connection: Connection, turn: MessageContext) -> int:
    """How many hours, rounded up, until the account's next code: 1 to 24."""
    view = turn.view
    assert view.account_id is not None
    span = DAY if view.owner_codes_day >= turn.settings.codes_per_day else HOUR
    oldest = kept.oldest_since(connection, view.account_id, turn.now - span) or turn.now
    return -(-int((oldest + span - turn.now).total_seconds()) // 3600) or 1
