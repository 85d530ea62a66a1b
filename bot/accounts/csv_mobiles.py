"""Changes of registered mobiles that an import is told to make: audited, and told to both mobiles."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from bot.accounts import mobile_change
from bot.audit.trail import Entry, Trail
from bot.sending.messages import message
from dialogs.audit_vocabulary import Action, Actor
from store import accounts, codes, outbound_messages, reset_grants
from store.tables import CloseReason, MessageKind


@dataclass(frozen=True)
class Move:
    """A change of one account's registered mobile."""

    account_id: int
    former: str
    new: str
    language: str | None


@dataclass(frozen=True)
class MobileChanges:
    """Carries changes out, within the caller's transaction."""

    trail: Trail
    default_language: str

    def end_former(self, connection: Connection, moves: list[Move], now: datetime) -> None:
        """End changes that staff have begun, and codes and tickets of the former mobiles.

        Changes are written before an account's codes, and those before accounts, everywhere: no deadlock.
        """
        for move in moves:
            mobile_change.overtake(connection, move.account_id, now)
            codes.close_of_account(connection, move.account_id, CloseReason.VOIDED, now)
            reset_grants.close_of(connection, move.account_id, now)

    def carry_out(self, connection: Connection, moves: list[Move], now: datetime) -> int:
        """Register the new mobiles, but for accounts whose former one is another meanwhile; how many have changed."""
        return sum(self._carry_out(connection, move, now) for move in moves)

    def _carry_out(self, connection: Connection, move: Move, now: datetime) -> bool:
        if not accounts.set_mobile(connection, move.account_id, move.former, move.new, now):
            return False
        made = Entry(Actor.OPERATOR, Action.MOBILE_CHANGED, reason="import", account_id=move.account_id)
        self.trail.note(connection, now, made)
        # Also after STOP: the notice protects the account.
        for phrase, mobile in (("mobile_changed", move.former), ("mobile_registered", move.new)):
            language = move.language or self.default_language
            text = message(
                phrase, MessageKind.NOTICE, to=mobile, language=language, now=now, account_id=move.account_id
            )
            outbound_messages.queue(connection, [text], now, None)
        return True
