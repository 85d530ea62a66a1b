"""What is done: the dialog's effects become rows, and texts to be sent."""

from datetime import timedelta
from typing import assert_never

from sqlalchemy import Connection

from bot import codes, passwords
from bot.calendars import shown
from bot.facts import DAY, HOUR
from bot.keys import Keys
from bot.settings import Settings
from bot.turn import Turn
from dialogs.phrases import languages
from dialogs.vocabulary import (
    BurnCode,
    DropCode,
    Effect,
    Hint,
    LockAccount,
    Notify,
    OptIn,
    OptOut,
    Say,
    SendCode,
    SetNewPassword,
    Shrug,
)
from store import accounts, outbox
from store import codes as kept
from store.tables import Fate, Kind

# Wrong codes in a row, over all codes, that end recovery until staff unlock it. NIST SP 800-63B-4, 3.2.2.
LOCKING_FAILURES = 100


def carry_out(connection: Connection, turn: Turn, effect: Effect, keys: Keys) -> None:
    """Do one effect within the text's transaction."""
    match effect:
        case SendCode():
            _send_code(connection, turn, keys)
        case SetNewPassword():
            _set_new_password(connection, turn)
        case DropCode():
            kept.close_at(connection, turn.text.phone, turn.now)
        case BurnCode():
            _burn_code(connection, turn)
        case LockAccount():
            assert turn.attempt is not None
            kept.lock_accounts(connection, turn.attempt.account_ids, LOCKING_FAILURES, turn.now)
        case OptOut():
            outbox.drop_to(connection, turn.text.phone, turn.now)
        case OptIn():
            pass  # written with the conversation
        case Say(phrase) | Hint(phrase) | Shrug(phrase):
            turn.say(phrase, parameters=_parameters(connection, turn, phrase))
        case Notify(phrase):
            turn.say(variant(phrase, turn.settings), Kind.NOTICE, parameters=_parameters(connection, turn, phrase))
        case _:
            assert_never(effect)


def variant(phrase: str, settings: Settings) -> str:
    """The form of a phrase that the settings ask for."""
    if phrase == "code" and settings.fakher_domain:
        return "code_with_domain"
    if phrase == "password_changed" and not settings.support_phone:
        return "password_changed_no_phone"
    return phrase


def _send_code(connection: Connection, turn: Turn, keys: Keys) -> None:
    view, settings, fresh = turn.view, turn.settings, turn.text.fresh
    assert fresh is not None and view.account_id is not None and view.account_mobile is not None
    if view.open_code_id is not None:
        kept.close(connection, view.open_code_id, Fate.VOIDED, turn.now)
    by_owner = view.account_mobile == turn.text.phone
    expires_at = turn.now + timedelta(seconds=settings.code_ttl_seconds)
    kept.issue(
        connection,
        {
            "id": fresh.id,
            "account_id": view.account_id,
            "phone": view.account_mobile,
            "by_owner": by_owner,
            "key_id": keys.newest,
            "digest": codes.digest(keys, keys.newest, fresh.id, view.account_id, fresh.digits),
            "tries_left": settings.code_tries,
            "created_at": turn.now,
            "expires_at": expires_at,
        },
    )
    turn.say(
        variant("code", settings),
        Kind.CODE,
        to=view.account_mobile,
        language=turn.language if by_owner else view.account_language or settings.default_language,
        parameters=_parameters(connection, turn, "code"),
        secret=fresh.sealed,
        code_id=fresh.id,
        account_id=view.account_id,
        expires_at=expires_at,
    )


def _set_new_password(connection: Connection, turn: Turn) -> None:
    assert turn.attempt is not None and turn.attempt.right is not None and turn.generated is not None
    right, new = turn.attempt.right, turn.generated
    kept.close(connection, right.id, Fate.USED, turn.now)
    dies_at = turn.now + passwords.TEMPORARY
    accounts.set_password(connection, right.account_id, new.kept.hash, new.kept.key_id, turn.now, dies_at)
    turn.say("new_password", Kind.PASSWORD, secret=new.sealed, account_id=right.account_id)


def _burn_code(connection: Connection, turn: Turn) -> None:
    assert turn.attempt is not None
    for code in turn.attempt.tried:
        kept.close(connection, code.id, Fate.BURNED, turn.now)


def _parameters(connection: Connection, turn: Turn, phrase: str) -> dict[str, str]:
    settings = turn.settings
    parameters = {
        "minutes": str(-(-settings.code_ttl_seconds // 60)),
        "digits": str(settings.code_length),
        "domain": settings.fakher_domain,
        "phone": settings.support_phone,
    }
    if turn.attempt is not None:
        parameters["tries"] = str(turn.attempt.tries_left)
    if turn.view.opens is not None:
        parameters["date"] = shown(turn.view.opens, languages()[turn.language]["calendar"])
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
