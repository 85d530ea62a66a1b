"""A one-time password to a registered mobile: its row, and the text that brings it."""

from sqlalchemy import Connection

from bot.credentials import one_time_codes
from bot.inbound.context import MessageContext
from bot.sending.messages import variant
from dialogs.audit_vocabulary import Action, Actor
from dialogs.vocabulary import CodePurpose
from store.codes import issue
from store.tables import MessageKind, RequestedBy


def send_code(
    connection: Connection,
    ctx: MessageContext,
    phrase: str,
    purpose: CodePurpose,
    *,
    account_id: int,
    mobile: str,
    language: str | None,
    requested_by: RequestedBy,
) -> None:
    """Write the code that was drawn for the text, and have it sent. No other of the account may be open any more."""
    settings, drawn = ctx.parts.settings, ctx.message.drawn
    assert drawn is not None
    code = one_time_codes.new(
        drawn,
        ctx.parts.keyring,
        settings,
        ctx.now,
        purpose,
        mobile,
        account_id=account_id,
        requested_by=requested_by,
    )
    issue(connection, code)
    ctx.say(
        variant(phrase, settings),
        MessageKind.CODE,
        to=mobile,
        language=language or settings.default_language,
        parameters=ctx.parameters(),
        secret=drawn.sealed,
        code_id=drawn.id,
        account_id=account_id,
        expires_at=code.expires_at,
    )
    staff_id = ctx.staff.member.id if requested_by is RequestedBy.STAFF and ctx.staff else None
    ctx.record(Action.CODE_SENT, account_id, actor=Actor.BOT, staff_id=staff_id)
