"""Logs staff of headquarters and provinces in to the console: a code by text, then a session.

Every caller gets the same answer, in the same time, whether or not the number is a staff member's.

Anybody can ask for codes to a staff member's number, and guess at them. So a browser in which they have logged in
before has codes and a budget of its own, and a code is good only in the browser that asked for it: what others try
uses up the budget of new browsers only, and at worst ends logins from these.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bot.accounts import alarms, lockout
from bot.audit.trail import Entry, masked
from bot.credentials import bearer, one_time_codes
from bot.credentials.bearer import Bearer
from bot.credentials.one_time_codes import NOBODY, DrawnCode
from bot.parts import Parts
from bot.sending.courier import Courier
from bot.sending.messages import message
from dialogs.audit_vocabulary import Action, Actor, Outcome
from dialogs.limits import LOCKING_FAILURES, LOGIN_TRIES_OF_KNOWN_BROWSER, LOGIN_TRIES_PER_HOUR
from dialogs.parsing.normalise import place_name
from dialogs.staff_vocabulary import Role
from dialogs.vocabulary import CodePurpose, CodeResult
from store import codes, console_sessions, rate_limits, staff
from store.codes import CodesSent
from store.console_sessions import Session
from store.outbound_messages import ClaimedMessage, NewMessage
from store.service.clock_set_back import APART
from store.staff import Member
from store.tables import CloseReason, MessageKind
from store.views.delivery_stats import EVERYBODY, Scope

ROLES = {Role.HEADQUARTERS, Role.PROVINCIAL}
LONGEST, IDLE = timedelta(hours=8), timedelta(minutes=30)
NOTED_EVERY = timedelta(minutes=1)
NOWHERE = "-"
DOOR = "console"


class TooManyTries(Exception):
    """An address, or a browser that is known, has tried too often in this hour."""


@dataclass(frozen=True)
class Entered:
    """What a right code gives: a session, and what the browser is known by from now on."""

    session: Bearer
    browser: Bearer


@dataclass(frozen=True)
class _Caller:
    """Where a request comes from: an address, and the browser if it is known, with the member who logged in there."""

    address: str
    browser_id: str | None = None
    staff_id: int | None = None


@dataclass(frozen=True)
class Login:
    """A staff member at the console, and their session."""

    member: Member
    session: Bearer

    @property
    def sees_all(self) -> bool:
        """Whether they see everybody's accounts, and what is of no account."""
        return self.member.role == Role.HEADQUARTERS

    @property
    def scope(self) -> Scope:
        """Whose accounts they see."""
        return EVERYBODY if self.sees_all else Scope(province=place_name(self.member.province or "") or NOWHERE)


def proof(secret: str) -> str:
    """What a form must hold to show that the page which holds this secret made it."""
    return hmac.new(secret.encode(), b"form", hashlib.sha256).hexdigest()


class Console:
    """Logs staff in to the console, and out."""

    def __init__(self, parts: Parts, courier: Courier) -> None:
        """Take what is needed to send codes, to check them, and to count what is refused."""
        self.parts, self.courier = parts, courier
        self.store, self.keyring, self.clock, self.trail = parts.store, parts.keyring, parts.clock, parts.trail

    def ask(self, written: str, address: str, language: str, browser: str = "") -> str:
        """Send a code to a number, if it is one of staff and may have another. TooManyTries, as the caller may be.

        The id under which the browser can hand the code back, whether or not there is one. `browser` is what it is
        known by, if anything.
        """
        mobile = self.parts.phone_numbers.mobile(written) or ""
        drawn = one_time_codes.draw(self.parts.random_source, self.keyring, self.parts.settings.code_length)
        with self.store.writing() as connection:
            now = self.clock()
            caller = self._caller(connection, address, browser, now)
            excess = self._count(connection, caller, now)
            claimed = [] if excess else self._answer(connection, caller, mobile, drawn, language, now)
        if excess:
            raise TooManyTries
        self.courier.take(claimed)
        return drawn.id

    def enter(
        self, written: str, digits: str, address: str, asked: Sequence[str], browser: str = "", session: str = ""
    ) -> Entered | None:
        """Try a code that this browser has asked for, under one of these ids; what a right one gives. TooManyTries.

        It ends the `session` that the browser has, whoever's that is: another takes its place.
        """
        mobile = self.parts.phone_numbers.mobile(written) or ""
        new = Entered(bearer.make(self.parts.random_source), bearer.make(self.parts.random_source))
        with self.store.writing() as connection:
            now = self.clock()
            caller = self._caller(connection, address, browser, now)
            excess = self._count(connection, caller, now)
            member = None if excess else self._may_log_in(connection, mobile)
            is_right = not excess and self._try(connection, mobile, member, asked, digits, now)
            if member is not None and is_right:
                self._end_replaced(connection, session, now)
                self._log_in(connection, caller, member, new, now)
        if excess:
            raise TooManyTries
        return new if is_right else None

    def login(self, cookie: str, *, is_used: bool = True) -> Login | None:
        """Whose session a cookie holds; None where it is over, or its owner was removed.

        A page that refreshes itself does not prolong the session.
        """
        session, now = bearer.read(cookie), self.clock()
        if session is None:
            return None
        with self.store.reading() as connection:
            kept = console_sessions.session(connection, session.id)
            if kept is None or not session.is_of(kept.digest) or kept.ended_at is not None:
                return None
            member = console_sessions.member(connection, staff_id=kept.staff_id)
        if member is None or member.role not in ROLES or _is_over(kept, now):
            self._end(session.id)
            return None
        if is_used and now - kept.used_at >= NOTED_EVERY:
            with self.store.writing() as connection:
                console_sessions.use(connection, session.id, now)
        return Login(member, session)

    def leave(self, login: Login) -> None:
        """End a session."""
        with self.store.writing() as connection:
            self._leave(connection, login.session.id, login.member, self.clock())

    def _leave(self, connection: Connection, session_id: str, member: Member, now: datetime) -> None:
        if console_sessions.end(connection, session_id, now):
            self._note(connection, now, Action.CONSOLE_LOGOUT, member.mobile, member)

    def _end_replaced(self, connection: Connection, cookie: str, now: datetime) -> None:
        """End the session that a cookie holds. Whoever copied the cookie would else go on with it. ASVS 5.0, 7.2.4."""
        held = bearer.read(cookie)
        kept = console_sessions.session(connection, held.id) if held else None
        if held is not None and kept is not None and held.is_of(kept.digest):
            self._leave(connection, held.id, staff.find(connection, kept.staff_id), now)

    def note_search(self, login: Login, account_id: int) -> None:
        """Write down whose account was looked up."""
        self.note(login, Action.CONSOLE_SEARCH, account_id)

    def note(self, login: Login, action: Action, account_id: int | None = None, reason: str | None = None) -> None:
        """Write down what was done in a session."""
        with self.store.writing() as connection:
            who, staff_id = masked(login.member.mobile), login.member.id
            entry = Entry(Actor.STAFF, action, reason=reason, who=who, account_id=account_id, staff_id=staff_id)
            self.trail.note(connection, self.clock(), entry)

    def _end(self, session_id: str) -> None:
        with self.store.writing() as connection:
            console_sessions.end(connection, session_id, self.clock())

    def _caller(self, connection: Connection, address: str, browser: str, now: datetime) -> _Caller:
        held = bearer.read(browser)
        known = console_sessions.browser(connection, held.id, now) if held else None
        if held is None or known is None or not held.is_of(known.digest):
            return _Caller(address)
        return _Caller(address, held.id, known.staff_id)

    def _count(self, connection: Connection, caller: _Caller, now: datetime) -> bool:
        if caller.browser_id is not None:
            name, most = f"browser {caller.browser_id}", LOGIN_TRIES_OF_KNOWN_BROWSER
        else:
            name, most = f"console {self.keyring.alias(caller.address)}", LOGIN_TRIES_PER_HOUR
        return rate_limits.count(connection, f"{rate_limits.HOURLY}{name}", now).calls > most

    def _log_in(self, connection: Connection, caller: _Caller, member: Member, new: Entered, now: datetime) -> None:
        console_sessions.begin(connection, new.session.id, member.id, new.session.digest, now)
        if caller.browser_id is not None:
            console_sessions.forget_browser(connection, caller.browser_id)
        console_sessions.remember_browser(connection, new.browser.id, member.id, new.browser.digest, now)

    def _may_log_in(self, connection: Connection, mobile: str) -> Member | None:
        member = console_sessions.member(connection, mobile=mobile)
        return member if member is not None and member.role in ROLES else None

    def _answer(
        self, connection: Connection, caller: _Caller, mobile: str, drawn: DrawnCode, language: str, now: datetime
    ) -> list[ClaimedMessage]:
        """Send a code; or do the same work and undo it, so that the time of the answer tells nothing."""
        member = self._may_log_in(connection, mobile)
        held = console_sessions.lock_member(connection, member.id if member else None)
        if held is None:
            return []
        is_own = member is not None and member.id == caller.staff_id
        purpose = CodePurpose.OWN_BROWSER if is_own else CodePurpose.CONSOLE
        sent = self._sent(connection, held, purpose, now)
        refusal = self._refusal(member, purpose, sent, now)
        if refusal:
            self.parts.counting.count("refused", DOOR, refusal)
        outcome = Outcome.REFUSED if refusal else Outcome.OK
        self._note(connection, now, Action.CONSOLE_CODE, mobile, member, outcome, refusal)
        with connection.begin_nested() as written:
            claimed = self._send(connection, held, purpose, mobile or NOWHERE, drawn, language, now)
            if refusal:
                written.rollback()
        return [] if refusal else claimed

    def _sent(self, connection: Connection, staff_id: int, purpose: CodePurpose, now: datetime) -> CodesSent:
        hour_ago, day_ago = now - timedelta(hours=1), now - timedelta(days=1)
        return codes.sent_to_staff(connection, staff_id, purpose, hour_ago, day_ago, now)

    def _send(
        self,
        connection: Connection,
        staff_id: int,
        purpose: CodePurpose,
        mobile: str,
        drawn: DrawnCode,
        language: str,
        now: datetime,
    ) -> list[ClaimedMessage]:
        settings = self.parts.settings
        codes.close_of_staff(connection, staff_id, CloseReason.VOIDED, now, purpose)
        code = one_time_codes.new(drawn, self.keyring, settings, now, purpose, mobile, staff_id=staff_id)
        codes.issue(connection, code)
        return self.courier.write(connection, [self._text(mobile, drawn, language, now, code.expires_at)], now)

    def _text(self, mobile: str, drawn: DrawnCode, language: str, now: datetime, expires_at: datetime) -> NewMessage:
        return message(
            "code_to_console",
            MessageKind.CODE,
            to=mobile,
            language=language,
            now=now,
            parameters={"minutes": str(-(-self.parts.settings.code_ttl_seconds // 60))},
            secret=drawn.sealed,
            code_id=drawn.id,
            expires_at=expires_at,
        )

    def _refusal(self, member: Member | None, purpose: CodePurpose, sent: CodesSent, now: datetime) -> str | None:
        settings = self.parts.settings
        if member is None:
            return "unknown"
        if purpose is CodePurpose.CONSOLE and member.console_failures >= LOCKING_FAILURES:
            return "closed"
        wait = timedelta(seconds=settings.resend_after_seconds)
        if sent.live_since is not None and now - sent.live_since < wait:
            return "too_soon"
        often = sent.in_hour >= settings.codes_per_hour or sent.in_day >= settings.codes_per_day
        return "too_often" if often else None

    def _try(
        self,
        connection: Connection,
        mobile: str,
        member: Member | None,
        asked: Sequence[str],
        digits: str,
        now: datetime,
    ) -> bool:
        """Spend a try, then compare; for an unknown number the same work is done. UnknownKey, as check says."""
        spent = codes.spend_at_console(connection, member.id if member else NOBODY, asked, now)
        check = one_time_codes.check(connection, self.keyring, spent, digits, now)
        if member is not None and check.right is not None:
            codes.close(connection, check.right.id, CloseReason.USED, now)
            staff.end_console_failures(connection, member.id)
            self._note(connection, now, Action.CONSOLE_LOGIN, mobile, member)
            return True
        self._note(connection, now, Action.CONSOLE_LOGIN, mobile, member, Outcome.FAILED, check.result)
        self.trail.note(connection, now, *lockout.after_wrong_code(connection, self.parts, check, now))
        if member is not None and check.result is CodeResult.LOCKING_WRONG:
            self._lock(connection, member, check.purpose, now)
        return False

    def _lock(self, connection: Connection, member: Member, purpose: CodePurpose | None, now: datetime) -> None:
        """After a hundred wrong codes in a row: end logins from new browsers, or lock the member out."""
        if purpose is CodePurpose.CONSOLE:
            entry = Entry(Actor.BOT, Action.STAFF_LOCKED, reason="new_browsers", staff_id=member.id)
        else:
            entry = lockout.lock_staff(connection, member.id, now)
        self.trail.note(connection, now, entry)
        alarm = "console_closed" if purpose is CodePurpose.CONSOLE else "staff_locked_out"
        alarms.raise_alarm(connection, alarm, staff=member.id)

    def _note(
        self,
        connection: Connection,
        now: datetime,
        action: Action,
        mobile: str,
        member: Member | None,
        outcome: Outcome = Outcome.OK,
        reason: str | None = None,
    ) -> None:
        staff_id, who = member.id if member else None, masked(mobile) if mobile else ""
        self.trail.note(connection, now, Entry(Actor.STAFF, action, outcome, reason, who, staff_id=staff_id))


def _is_over(kept: Session, now: datetime) -> bool:
    """Whether it has lasted long enough, or is of a time to come: the clock was set back."""
    is_to_come = max(kept.created_at, kept.used_at) > now + APART
    return is_to_come or now - kept.created_at >= LONGEST or now - kept.used_at >= IDLE
