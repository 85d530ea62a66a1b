"""What is done: the dialog's effects become rows, and texts to be sent."""

from datetime import timedelta

from sqlalchemy import Connection

from bot import attempts, changes, staff_effects
from bot.facts import DAY, HOUR
from bot.issuing import Whose, send_code
from bot.keys import Keys
from bot.ports import Dice
from bot.turn import Turn
from dialogs.orders import HoldMobile, SetMobile, TellNewMobile, TellOldMobile, TellStaff
from dialogs.vocabulary import (
    BurnCode,
    DropCode,
    Effect,
    FakherEvent,
    GrantTicket,
    Hint,
    LockAccount,
    Notify,
    OptIn,
    OptOut,
    Say,
    SendCode,
    SetNewPassword,
    SetOwnPassword,
    Shrug,
    TellFakher,
)
from store import accounts, confirmations, outbox, tickets
from store import codes as kept
from store.conversations import Overtaken
from store.tables import Fate, Kind

# How long a right code lets its holder choose a password.
TICKET = timedelta(minutes=10)


def carry_out(  # noqa: C901, PLR0912  # one case an effect, and nothing else
    connection: Connection, turn: Turn, effect: Effect, keys: Keys, dice: Dice
) -> None:
    """Do one effect within the text's transaction."""
    match effect:
        case SendCode(phrase):
            _send_code(connection, turn, phrase, keys)
        case SetNewPassword():
            _set_new_password(connection, turn)
        case GrantTicket():
            _grant_ticket(connection, turn, dice)
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
            outbox.drop_to(connection, turn.text.phone, turn.now)
        case OptIn():
            pass  # written with the conversation
        case Say(phrase) | Hint(phrase) | Shrug(phrase):
            given = _parameters(connection, turn, phrase)
            turn.say(staff_effects.form(phrase, given), parameters=given)
        case Notify(phrase):
            _notify(connection, turn, phrase)
        case TellFakher(event):
            _tell_fakher(connection, turn, event, dice)
        case HoldMobile() | SetMobile() | TellOldMobile() | TellNewMobile() | TellStaff():
            raise AssertionError("what befalls a change of mobile is done by mobiles.py")
        case _:
            staff_effects.carry_out(connection, turn, effect, keys, dice)


def _drop_code(connection: Connection, turn: Turn) -> None:
    turn.dropped = kept.close_at(connection, turn.text.phone, turn.now)
    tickets.close_at(connection, turn.text.phone, turn.now)
    if turn.desk is not None:
        confirmations.close_of(connection, turn.desk.member.id, Fate.CANCELLED, turn.now)


def _send_code(connection: Connection, turn: Turn, phrase: str, keys: Keys) -> None:
    view = turn.view
    assert view.account_id is not None and view.account_mobile is not None
    if view.open_code_id is not None:
        kept.close(connection, view.open_code_id, Fate.VOIDED, turn.now)
    by_owner = view.account_mobile == turn.text.phone
    language = turn.language if by_owner else view.account_language
    whose = Whose(view.account_id, view.account_mobile, language)
    send_code(connection, turn, keys, phrase, whose, by_owner=by_owner)


def _set_new_password(connection: Connection, turn: Turn) -> None:
    assert turn.holder is not None and turn.prepared.generated is not None
    new = turn.prepared.generated
    _use_code(connection, turn)
    changes.set_password(connection, turn.holder.id, new.kept, turn.now, temporary=True)
    turn.say("new_password", Kind.PASSWORD, secret=new.sealed, account_id=turn.holder.id)


def _set_own_password(connection: Connection, turn: Turn) -> None:
    assert turn.holder is not None and turn.choice is not None and turn.prepared.own is not None
    if turn.choice.ticket is None:
        _use_code(connection, turn)
    elif not tickets.spend(connection, turn.choice.ticket.id, turn.now):
        raise Overtaken
    changes.set_password(connection, turn.holder.id, turn.prepared.own, turn.now, temporary=False)


def _grant_ticket(connection: Connection, turn: Turn, dice: Dice) -> None:
    code = _use_code(connection, turn)
    tickets.issue(
        connection,
        {
            "id": dice.token(),
            "account_id": code.account_id,
            "code_id": code.id,
            "phone": turn.text.phone,
            "digest": None,
            "created_at": turn.now,
            "expires_at": turn.now + TICKET,
        },
    )
    accounts.end_failures(connection, code.account_id)


def _use_code(connection: Connection, turn: Turn) -> kept.Tried:
    assert turn.attempt is not None and turn.attempt.right is not None
    kept.close(connection, turn.attempt.right.id, Fate.USED, turn.now)
    return turn.attempt.right


def _notify(connection: Connection, turn: Turn, phrase: str) -> None:
    assert turn.holder is not None
    origin = turn.text.inbound.gateway
    turn.texts += changes.notices(
        connection, turn.settings, turn.holder, phrase, turn.now, language=turn.language, origin=origin
    )


def _tell_fakher(connection: Connection, turn: Turn, event: FakherEvent, dice: Dice) -> None:
    about = turn.locked if event is FakherEvent.RECOVERY_LOCKED else [turn.holder.id] if turn.holder else []
    for account_id in about:
        changes.announce(connection, turn.settings, dice, event, account_id, turn.now)


def _parameters(connection: Connection, turn: Turn, phrase: str) -> dict[str, str]:
    parameters = turn.parameters() | staff_effects.parameters(connection, turn, phrase)
    if phrase == "too_many_codes":
        parameters["hours"] = str(_hours_to_wait(connection, turn))
    return parameters


def _hours_to_wait(connection: Connection, turn: Turn) -> int:
    """How many hours, rounded up, until the account's next code: 1 to 24."""
    view = turn.view
    assert view.account_id is not None
    span = DAY if view.owner_codes_day >= turn.settings.codes_per_day else HOUR
    oldest = kept.oldest_since(connection, view.account_id, turn.now - span) or turn.now
    return -(-int((oldest + span - turn.now).total_seconds()) // 3600) or 1
