"""What is done: each effect of the tables becomes rows, and texts to be sent."""

from collections.abc import Sequence

from sqlalchemy import Connection

from bot.accounts import lockout, password_change
from bot.inbound import staff_effects
from bot.inbound.context import MessageContext
from bot.inbound.facts import DAY, HOUR
from bot.inbound.send_code import send_code
from bot.sending.messages import variant
from dialogs.audit_vocabulary import Action, Record
from dialogs.classify import is_request
from dialogs.staff_vocabulary import HoldMobile, SetMobile, TellNewMobile, TellOldMobile, TellStaff
from dialogs.vocabulary import (
    BurnCode,
    CodePurpose,
    DropCode,
    Effect,
    FakherEvent,
    LockAccount,
    Notify,
    NotifyFormer,
    OptIn,
    OptOut,
    Reply,
    SendCode,
    SetNewPassword,
    SetOwnPassword,
    TellFakher,
)
from store import accounts, codes, outbound_messages
from store.tables import CloseReason, MessageKind, RequestedBy


def apply(connection: Connection, ctx: MessageContext, effect: Effect) -> None:  # noqa: C901, PLR0912  # one case an effect
    """Do one effect within the text's transaction."""
    match effect:
        case SendCode(phrase, purpose):
            _send_code(connection, ctx, phrase, purpose)
        case SetNewPassword():
            _set_new_password(connection, ctx)
        case SetOwnPassword():
            _set_own_password(connection, ctx)
        case DropCode():
            _drop_code(connection, ctx)
        case BurnCode() | LockAccount():
            assert ctx.check is not None
            ctx.entries += lockout.carry_out(connection, ctx.parts, ctx.check, effect, ctx.now)
        case OptOut():
            outbound_messages.drop_to(connection, ctx.phone, ctx.now)
            _record_of_phone(connection, ctx, Action.OPTED_OUT)
        case OptIn():
            if ctx.view.opted_out_at is not None:
                _record_of_phone(connection, ctx, Action.OPTED_IN)
        case Reply(phrase):
            given = _parameters(connection, ctx, phrase)
            ctx.say(staff_effects.variant(phrase, given), parameters=given)
        case Notify(phrase):
            _notify(ctx, phrase)
        case NotifyFormer(phrase):
            _notify(ctx, phrase, former_only=True)
        case TellFakher(event):
            _tell_fakher(connection, ctx, event)
        case Record(action, outcome, reason):
            for account_id in _about(connection, ctx, action):
                ctx.record(action, account_id, outcome, reason)
        case HoldMobile() | SetMobile() | TellOldMobile() | TellNewMobile() | TellStaff():
            raise AssertionError("a change of mobile carries its own effects out")
        case _:
            staff_effects.apply(connection, ctx, effect)


def _about(connection: Connection, ctx: MessageContext, action: Action) -> Sequence[int | None]:
    """Whose accounts a text tries something with. An ID that nobody has leaves nothing of itself."""
    parsed = ctx.message.parsed
    if ctx.account is not None:
        return [ctx.account.id]
    if ctx.check is not None and ctx.check.account_ids and action is not Action.CODE_REQUESTED:
        return ctx.check.account_ids
    if parsed.national_id is not None:
        # The view knows accounts in good standing only.
        return [ctx.view.account_id or accounts.id_of(connection, parsed.national_id)]
    return [None] if is_request(parsed) else _registered(connection, ctx)


def _registered(connection: Connection, ctx: MessageContext) -> Sequence[int | None]:
    """The accounts that the phone is registered for, or none."""
    return accounts.ids_at(connection, ctx.phone) or [None]


def _record_of_phone(connection: Connection, ctx: MessageContext, action: Action) -> None:
    for account_id in _registered(connection, ctx):
        ctx.record(action, account_id)


def _drop_code(connection: Connection, ctx: MessageContext) -> None:
    for account_id in codes.close_at(connection, ctx.phone, ctx.now):
        ctx.record(Action.CODE_CANCELLED, account_id)
    if ctx.staff is not None:
        staff_id = ctx.staff.member.id
        codes.close_of_staff(connection, staff_id, CloseReason.CANCELLED, ctx.now, CodePurpose.STAFF_ORDER)


def _send_code(connection: Connection, ctx: MessageContext, phrase: str, purpose: CodePurpose) -> None:
    view = ctx.view
    assert view.account_id is not None and view.account_mobile is not None
    if view.open_code_id is not None:
        codes.close(connection, view.open_code_id, CloseReason.VOIDED, ctx.now)
    by_owner = view.account_mobile == ctx.phone
    send_code(
        connection,
        ctx,
        phrase,
        purpose,
        account_id=view.account_id,
        mobile=view.account_mobile,
        language=ctx.language if by_owner else view.account_language,
        requested_by=RequestedBy.OWNER if by_owner else RequestedBy.OTHER_PHONE,
    )


def _set_new_password(connection: Connection, ctx: MessageContext) -> None:
    new = ctx.work.generated
    assert ctx.account is not None and new is not None
    _use_code(connection, ctx)
    password_change.set_password(connection, ctx.account.id, new.kept, ctx.now, temporary=True)
    parameters = ctx.parameters()
    ctx.say(
        variant("new_password", ctx.parts.settings),
        MessageKind.PASSWORD,
        secret=new.sealed,
        account_id=ctx.account.id,
        parameters=parameters,
    )
    ctx.record(Action.PASSWORD_SET, ctx.account.id)


def _set_own_password(connection: Connection, ctx: MessageContext) -> None:
    assert ctx.account is not None and ctx.work.own is not None
    _use_code(connection, ctx)
    password_change.set_password(connection, ctx.account.id, ctx.work.own, ctx.now, temporary=False)
    ctx.record(Action.PASSWORD_CHANGED, ctx.account.id)


def _use_code(connection: Connection, ctx: MessageContext) -> None:
    assert ctx.check is not None and ctx.check.right is not None
    codes.close(connection, ctx.check.right.id, CloseReason.USED, ctx.now)


def _notify(ctx: MessageContext, phrase: str, *, former_only: bool = False) -> None:
    assert ctx.account is not None
    settings = ctx.parts.settings
    ctx.texts += password_change.notices(
        ctx.account,
        phrase,
        ctx.now,
        support_phone=settings.support_phone,
        default_language=settings.default_language,
        language=ctx.language,
        inbound_gateway=ctx.message.inbound.gateway,
        former_only=former_only,
    )


def _tell_fakher(connection: Connection, ctx: MessageContext, event: FakherEvent) -> None:
    assert ctx.account is not None
    password_change.tell_fakher(connection, ctx.parts, event, ctx.account.id, ctx.now)


def _parameters(connection: Connection, ctx: MessageContext, phrase: str) -> dict[str, str]:
    parameters = ctx.parameters() | staff_effects.parameters(connection, ctx, phrase)
    if phrase == "too_many_codes":
        parameters["hours"] = str(_hours_to_wait(connection, ctx))
    return parameters


def _hours_to_wait(connection: Connection, ctx: MessageContext) -> int:
    """How many hours, rounded up, until the account's next code: 1 to 24."""
    view = ctx.view
    assert view.account_id is not None
    span = DAY if view.owner_codes_day >= ctx.parts.settings.codes_per_day else HOUR
    oldest = codes.oldest_since(connection, view.account_id, ctx.now - span) or ctx.now
    return -(-int((oldest + span - ctx.now).total_seconds()) // 3600) or 1
