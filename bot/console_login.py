"""Lets staff of headquarters and provinces into the console: a code by text, then a session.

Whoever asks is told the same, in the same time, whether or not the number is one of theirs.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bot.audit.trail import Entry, Trail, masked
from bot.credentials import bearer, codes
from bot.credentials.bearer import Bearer
from bot.credentials.codes import Fresh
from bot.credentials.keyring import Keyring
from bot.phone_numbers import PhoneNumbers
from bot.ports import Clock, RandomSource
from bot.sending.courier import Courier
from bot.sending.messages import message
from bot.settings import Settings
from dialogs.staff_vocabulary import Role
from store import console_sessions, rate_limits
from store.audit import Action, Actor, Outcome
from store.console_sessions import CodesSent, Session, Tried
from store.database.engine import Store
from store.outbound_messages import ClaimedMessage
from store.staff import Member
from store.tables import CloseReason, MessageKind
from store.views.delivery_stats import EVERYBODY, Scope

ROLES = {Role.HEADQUARTERS, Role.PROVINCIAL}
LONGEST, IDLE = timedelta(hours=8), timedelta(minutes=30)
NOTED_EVERY = timedelta(minutes=1)
# Tries an hour from one address, of numbers and codes together.
TRIES_PER_HOUR = 40
NOBODY, NOWHERE = 0, "-"


class TooManyTries(Exception):
    """An address has tried too often in this hour."""


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
        return EVERYBODY if self.sees_all else Scope(province=self.member.province or "-")


def proof(secret: str) -> str:
    """What a form must hold to show that the page which holds this secret made it."""
    return hmac.new(secret.encode(), b"form", hashlib.sha256).hexdigest()


class Console:
    """The console's door."""

    def __init__(  # parts, as the other rooms take them
        self,
        store: Store,
        settings: Settings,
        phone_numbers: PhoneNumbers,
        keyring: Keyring,
        clock: Clock,
        random_source: RandomSource,
        courier: Courier,
    ) -> None:
        """Take what is needed to send codes and to check them."""
        self.store, self.settings, self.phone_numbers, self.keyring = store, settings, phone_numbers, keyring
        self.clock, self.random_source, self.courier = clock, random_source, courier
        self.trail = Trail(keyring, random_source)

    def ask(self, written: str, address: str, language: str) -> None:
        """Send a code to a number, if it is one of staff and may have another. TooManyTries from one address."""
        mobile = self.phone_numbers.mobile(written) or ""
        fresh = codes.make(self.random_source, self.keyring, self.settings.code_length)
        with self.store.writing() as connection:
            now = self.clock()
            excess = self._count(connection, address, now)
            claimed = [] if excess else self._answer(connection, mobile, fresh, language, now)
        if excess:
            raise TooManyTries
        self.courier.take(claimed)

    def enter(self, written: str, digits: str, address: str) -> Bearer | None:
        """Try a code; the session that a right one begins. TooManyTries from one address."""
        mobile, session = self.phone_numbers.mobile(written) or "", bearer.make(self.random_source)
        with self.store.writing() as connection:
            now = self.clock()
            excess = self._count(connection, address, now)
            member = None if excess else self._welcome(connection, mobile)
            is_right = not excess and self._try(connection, mobile, member, digits, now)
            if member is not None and is_right:
                console_sessions.begin(connection, session.id, member.id, session.digest, now)
        if excess:
            raise TooManyTries
        return session if is_right else None

    def login(self, cookie: str) -> Login | None:
        """Whose session a cookie holds; None where it is over, or its owner was removed."""
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
        if now - kept.used_at >= NOTED_EVERY:
            with self.store.writing() as connection:
                console_sessions.use(connection, session.id, now)
        return Login(member, session)

    def leave(self, login: Login) -> None:
        """End a session."""
        with self.store.writing() as connection:
            now = self.clock()
            if console_sessions.end(connection, login.session.id, now):
                self._note(connection, now, Action.CONSOLE_LOGOUT, login.member.mobile, login.member)

    def note_search(self, login: Login, account_id: int) -> None:
        """Write down whose account was looked up."""
        with self.store.writing() as connection:
            entry = Entry(
                Actor.STAFF,
                Action.CONSOLE_SEARCH,
                who=masked(login.member.mobile),
                account_id=account_id,
                staff_id=login.member.id,
            )
            self.trail.note(connection, self.clock(), entry)

    def _end(self, session_id: str) -> None:
        with self.store.writing() as connection:
            console_sessions.end(connection, session_id, self.clock())

    def _count(self, connection: Connection, address: str, now: datetime) -> bool:
        name = f"{rate_limits.HOURLY}console {self.keyring.alias(address)}"
        return rate_limits.count(connection, name, now).calls > TRIES_PER_HOUR

    def _welcome(self, connection: Connection, mobile: str) -> Member | None:
        member = console_sessions.member(connection, mobile=mobile)
        return member if member is not None and member.role in ROLES else None

    def _answer(
        self, connection: Connection, mobile: str, fresh: Fresh, language: str, now: datetime
    ) -> list[ClaimedMessage]:
        """Send a code, or do as much in vain: what is then written is undone, so that the time tells nothing."""
        member = self._welcome(connection, mobile)
        held = console_sessions.hold(connection, member.id if member else None)
        if held is None:
            return []
        sent = console_sessions.sent(connection, held, now)
        refusal = self._refusal(sent, now) if member else "unknown"
        outcome = Outcome.REFUSED if refusal else Outcome.OK
        self._note(connection, now, Action.CONSOLE_CODE, mobile, member, outcome, refusal)
        with connection.begin_nested() as written:
            claimed = self._send(connection, held, mobile or NOWHERE, fresh, language, now)
            if refusal:
                written.rollback()
        return [] if refusal else claimed

    def _send(
        self, connection: Connection, staff_id: int, mobile: str, fresh: Fresh, language: str, now: datetime
    ) -> list[ClaimedMessage]:
        expires_at = now + timedelta(seconds=self.settings.code_ttl_seconds)
        row = {
            "id": fresh.id,
            "staff_id": staff_id,
            "key_id": self.keyring.newest,
            "digest": _digest(self.keyring, self.keyring.newest, fresh.id, staff_id, fresh.digits),
            "tries_left": self.settings.code_tries,
            "created_at": now,
            "expires_at": expires_at,
        }
        console_sessions.issue(connection, row, now)
        return self.courier.write(connection, [self._letter(mobile, fresh, language, now, expires_at)], now)

    def _letter(
        self, mobile: str, fresh: Fresh, language: str, now: datetime, expires_at: datetime
    ) -> dict[str, object]:
        return message(
            "code_to_console",
            MessageKind.CODE,
            to=mobile,
            language=language,
            now=now,
            parameters={"minutes": str(-(-self.settings.code_ttl_seconds // 60))},
            secret=fresh.sealed,
            code_id=fresh.id,
            expires_at=expires_at,
        )

    def _refusal(self, sent: CodesSent, now: datetime) -> str | None:
        wait = timedelta(seconds=self.settings.resend_after_seconds)
        if sent.live_since is not None and now - sent.live_since < wait:
            return "too_soon"
        often = sent.in_hour >= self.settings.codes_per_hour or sent.in_day >= self.settings.codes_per_day
        return "too_often" if often else None

    def _try(self, connection: Connection, mobile: str, member: Member | None, digits: str, now: datetime) -> bool:
        """Spend a try, then compare; for nobody the same is done in vain."""
        tried = console_sessions.spend(connection, member.id if member else NOBODY, now)
        is_right = _is_right(self.keyring, tried or Tried("", NOBODY, self.keyring.newest, b"", 0), digits)
        if tried is None:
            rate_limits.count(connection, f"nobody:{digits[-2:]}", now)
            self._note(connection, now, Action.CONSOLE_LOGIN, mobile, member, Outcome.FAILED, "no_live_code")
            return False
        if is_right and console_sessions.close(connection, tried.id, CloseReason.USED, now):
            self._note(connection, now, Action.CONSOLE_LOGIN, mobile, member)
            return True
        if not tried.tries_left:
            console_sessions.close(connection, tried.id, CloseReason.BURNED, now)
        reason = "wrong" if tried.tries_left else "last_wrong"
        self._note(connection, now, Action.CONSOLE_LOGIN, mobile, member, Outcome.FAILED, reason)
        return False

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
    return now - kept.created_at >= LONGEST or now - kept.used_at >= IDLE


def _digest(keyring: Keyring, key_id: str, code_id: str, staff_id: int, digits: str) -> bytes | None:
    return keyring.code_digest(key_id, f"console:{code_id}:{staff_id}:{digits}")


def _is_right(keyring: Keyring, tried: Tried, digits: str) -> bool:
    expected = _digest(keyring, tried.key_id, tried.id, tried.staff_id, digits)
    return expected is not None and hmac.compare_digest(expected, tried.digest)
