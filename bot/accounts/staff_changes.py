"""Staff added, changed and removed by headquarters: each change is confirmed by a code to the member who makes it.

The order waits in the page that asks for the code, encrypted together with the code's id. So no order is stored, and
neither a page nor the thief of a session can put another in its place.
"""

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum, auto

from sqlalchemy import Connection

from bot.accounts import lockout, staff_removal
from bot.audit.trail import Entry, masked
from bot.credentials import one_time_codes
from bot.credentials.keyring import Unreadable
from bot.credentials.one_time_codes import CodeCheck, DrawnCode
from bot.parts import Parts
from bot.sending.courier import Courier
from bot.sending.messages import message, queue
from dialogs.audit_vocabulary import Action, Actor, Outcome
from dialogs.staff_vocabulary import Role
from dialogs.vocabulary import CodePurpose, CodeResult
from store import codes, conversations, staff
from store.outbound_messages import ClaimedMessage
from store.staff import Member, NewMember
from store.tables import CloseReason, MessageKind


class StaffCommand(StrEnum):
    """What is done to a staff member."""

    PUT = auto()  # added, or changed
    REMOVE = auto()


_ACTIONS = {StaffCommand.PUT: Action.STAFF_ADDED, StaffCommand.REMOVE: Action.STAFF_REMOVED}
_PHRASES = {StaffCommand.PUT: "code_to_put_staff", StaffCommand.REMOVE: "code_to_remove_staff"}


@dataclass(frozen=True)
class StaffChange:
    """A change to be confirmed. All but the mobile is empty where somebody is removed."""

    command: StaffCommand
    mobile: str = field(repr=False)
    role: str = ""
    name: str = field(default="", repr=False)
    province: str | None = None
    broker: str | None = None


class ChangeRefused(Exception):
    """A change was not taken, or not carried out; `reason` is a word of the audit's."""

    def __init__(self, reason: str) -> None:
        """Keep why."""
        super().__init__(reason)
        self.reason = reason


class StaffChanges:
    """Takes changes of staff, and carries them out once they are confirmed."""

    def __init__(self, parts: Parts, courier: Courier) -> None:
        """Take what is needed to send codes and to check them."""
        self.parts, self.courier = parts, courier

    def order(self, by: Member, change: StaffChange, language: str) -> str:
        """Send a code for a change to the member who orders it; the encrypted order. ChangeRefused says why not."""
        parts = self.parts
        drawn = one_time_codes.draw(parts.random_source, parts.keyring, parts.settings.code_length)
        with parts.store.writing() as connection:
            now = parts.clock()
            member = self._lock(connection, by)
            refusal = _fault(connection, member, change) or self._too_many(connection, by, now)
            self._note(connection, by, change, now, Outcome.REFUSED if refusal else Outcome.OK, refusal or "ordered")
            claimed = [] if refusal else self._send(connection, by, change, drawn, language, now)
        if refusal:
            raise ChangeRefused(refusal)
        self.courier.take(claimed)
        return parts.keyring.seal(json.dumps({"code": drawn.id, "change": asdict(change)})).decode()

    def confirm(self, by: Member, sealed: str, digits: str) -> StaffChange:
        """Try the code, and carry the change out; the change. ChangeRefused says why not. UnknownKey as check says."""
        code_id, change = self.opened(sealed)
        with self.parts.store.writing() as connection:
            now = self.parts.clock()
            member = self._lock(connection, by)
            spent = codes.spend_of_staff(connection, by.id, CodePurpose.STAFF_CHANGE, now)
            check = one_time_codes.check(connection, self.parts.keyring, spent, digits, now)
            is_right = check.right is not None and check.right.id == code_id
            refusal = _fault(connection, member, change) if is_right else "wrong_code"
            if is_right:
                codes.close(connection, code_id, CloseReason.USED, now)
                staff.end_failures(connection, by.id)
            else:
                self._count(connection, by, check, now)
            outcome = Outcome.OK if not refusal else Outcome.REFUSED if is_right else Outcome.FAILED
            self._note(connection, by, change, now, outcome, refusal or "confirmed")
            if not refusal:
                self._carry_out(connection, by, change, now)
        if refusal:
            raise ChangeRefused(refusal)
        return change

    def _lock(self, connection: Connection, by: Member) -> Member | None:
        """The member as they stand, while nobody else changes headquarters' staff; None where they may no longer."""
        standing = {it.id: it for it in staff.lock_role(connection, Role.HEADQUARTERS)}
        return standing.get(by.id)

    def _too_many(self, connection: Connection, by: Member, now: datetime) -> str | None:
        settings, hour, day = self.parts.settings, now - timedelta(hours=1), now - timedelta(days=1)
        sent = codes.sent_to_staff(connection, by.id, CodePurpose.STAFF_CHANGE, hour, day, now)
        # Each change has a code of its own, so there is no waiting: only so many in a time.
        return "too_often" if sent.in_hour >= 4 * settings.codes_per_hour else None

    def _send(
        self, connection: Connection, by: Member, change: StaffChange, drawn: DrawnCode, language: str, now: datetime
    ) -> list[ClaimedMessage]:
        settings, keyring = self.parts.settings, self.parts.keyring
        codes.close_of_staff(connection, by.id, CloseReason.VOIDED, now, CodePurpose.STAFF_CHANGE)
        code = one_time_codes.new(drawn, keyring, settings, now, CodePurpose.STAFF_CHANGE, by.mobile, staff_id=by.id)
        codes.issue(connection, code)
        text = message(
            _PHRASES[change.command],
            MessageKind.CODE,
            to=by.mobile,
            language=language,
            now=now,
            parameters={"minutes": str(-(-settings.code_ttl_seconds // 60)), "mob4": change.mobile[-4:]},
            secret=drawn.sealed,
            code_id=drawn.id,
            expires_at=code.expires_at,
        )
        return self.courier.write(connection, [text], now)

    def opened(self, sealed: str) -> tuple[str, StaffChange]:
        """The id of the code that an order waits for, and the order. ChangeRefused where it can't be read."""
        try:
            said = json.loads(self.parts.keyring.open(sealed.encode()))
            found = said["change"]
            return said["code"], StaffChange(**{**found, "command": StaffCommand(found["command"])})
        except (Unreadable, ValueError, KeyError, TypeError):
            raise ChangeRefused("unknown_key") from None

    def _count(self, connection: Connection, by: Member, check: CodeCheck, now: datetime) -> None:
        if check.right is not None:  # of another order of theirs, which stays to be confirmed
            return
        entries = lockout.after_wrong_code(connection, self.parts, check, now)
        if check.result is CodeResult.LOCKING_WRONG:
            entries.append(lockout.lock_staff(connection, by.id, now))
        self.parts.trail.note(connection, now, *entries)

    def _carry_out(self, connection: Connection, by: Member, change: StaffChange, now: datetime) -> None:
        if change.command is StaffCommand.REMOVE:
            ended = staff_removal.remove(connection, change.mobile, now) or []
        else:
            new = NewMember(change.mobile, change.role, change.name, change.province, change.broker)
            _, ended = staff_removal.put(connection, new, now)
            self._tell_others(connection, by, change.mobile, now)
        stopped = [entry for entry in ended if entry.action is not Action.STAFF_REMOVED]
        mine = [replace(entry, actor=Actor.STAFF, who=masked(by.mobile), staff_id=by.id) for entry in stopped]
        self.parts.trail.note(connection, now, *mine)

    def _tell_others(self, connection: Connection, by: Member, mobile: str, now: datetime) -> None:
        """Tell the others of headquarters who is staff now: two are needed for much, and one could take on a second."""
        told = [it for it in staff.every(connection) if it.role == Role.HEADQUARTERS]
        texts = [
            message(
                "staff_taken_on",
                MessageKind.REPLY,
                to=it.mobile,
                language=conversations.language_of(connection, it.mobile) or self.parts.settings.default_language,
                now=now,
                parameters={"mob4": mobile[-4:]},
            )
            for it in told
            if it.mobile not in {by.mobile, mobile} and not conversations.has_opted_out(connection, it.mobile)
        ]
        queue(connection, texts, now)

    def _note(
        self, connection: Connection, by: Member, change: StaffChange, now: datetime, outcome: Outcome, reason: str
    ) -> None:
        action, ref = _ACTIONS[change.command], masked(change.mobile)
        entry = Entry(Actor.STAFF, action, outcome, reason, masked(by.mobile), staff_id=by.id, ref=ref)
        self.parts.trail.note(connection, now, entry)


def _fault(connection: Connection, by: Member | None, change: StaffChange) -> str | None:
    """Why a member may not make a change, or None. Nobody can remove themselves, so headquarters is never empty."""
    if by is None:
        return "out_of_scope"
    if change.mobile == by.mobile:
        return "own_account"
    if change.command is StaffCommand.REMOVE and staff.at(connection, change.mobile) is None:
        return "unknown"
    return None
