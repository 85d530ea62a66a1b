"""Lets staff of headquarters and provinces into the console: a code by text, then a session.

Whoever asks is told the same, in the same time, whether or not the number is one of theirs.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bot import bearer, codes
from bot.audit import Entry, Trail, masked
from bot.bearer import Bearer
from bot.codes import Fresh
from bot.courier import Courier
from bot.keys import Keys
from bot.letters import letter
from bot.phones import Phones
from bot.ports import Clock, Dice
from bot.settings import Settings
from dialogs.orders import Role
from store import console, rates
from store.audit import Action, Actor, Outcome
from store.console import Sent, Session, Tried
from store.engine import Store
from store.measures import EVERYBODY, Scope
from store.outbox import Claimed
from store.staff import Member
from store.tables import Fate, Kind

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
        self, store: Store, settings: Settings, phones: Phones, keys: Keys, clock: Clock, dice: Dice, courier: Courier
    ) -> None:
        """Take what is needed to send codes and to check them."""
        self.store, self.settings, self.phones, self.keys = store, settings, phones, keys
        self.clock, self.dice, self.courier = clock, dice, courier
        self.trail = Trail(keys, dice)

    def ask(self, written: str, address: str, language: str) -> None:
        """Send a code to a number, if it is one of staff and may have another. TooManyTries from one address."""
        mobile = self.phones.mobile(written) or ""
        fresh = codes.make(self.dice, self.keys, self.settings.code_length)
        with self.store.writing() as connection:
            now = self.clock()
            excess = self._count(connection, address, now)
            claimed = [] if excess else self._answer(connection, mobile, fresh, language, now)
        if excess:
            raise TooManyTries
        self.courier.take(claimed)

    def enter(self, written: str, digits: str, address: str) -> Bearer | None:
        """Try a code; the session that a right one begins. TooManyTries from one address."""
        mobile, session = self.phones.mobile(written) or "", bearer.make(self.dice)
        with self.store.writing() as connection:
            now = self.clock()
            excess = self._count(connection, address, now)
            member = None if excess else self._welcome(connection, mobile)
            is_right = not excess and self._try(connection, mobile, member, digits, now)
            if member is not None and is_right:
                console.begin(connection, session.id, member.id, session.digest, now)
        if excess:
            raise TooManyTries
        return session if is_right else None

    def login(self, cookie: str) -> Login | None:
        """Whose session a cookie holds; None where it is over, or its owner was removed."""
        session, now = bearer.read(cookie), self.clock()
        if session is None:
            return None
        with self.store.reading() as connection:
            kept = console.session(connection, session.id)
            if kept is None or not session.is_of(kept.digest) or kept.ended_at is not None:
                return None
            member = console.member(connection, staff_id=kept.staff_id)
        if member is None or member.role not in ROLES or _is_over(kept, now):
            self._end(session.id)
            return None
        if now - kept.used_at >= NOTED_EVERY:
            with self.store.writing() as connection:
                console.use(connection, session.id, now)
        return Login(member, session)

    def leave(self, login: Login) -> None:
        """End a session."""
        with self.store.writing() as connection:
            now = self.clock()
            if console.end(connection, login.session.id, now):
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
            console.end(connection, session_id, self.clock())

    def _count(self, connection: Connection, address: str, now: datetime) -> bool:
        name = f"{rates.HOURLY}console {self.keys.alias(address)}"
        return rates.count(connection, name, now).calls > TRIES_PER_HOUR

    def _welcome(self, connection: Connection, mobile: str) -> Member | None:
        member = console.member(connection, mobile=mobile)
        return member if member is not None and member.role in ROLES else None

    def _answer(self, connection: Connection, mobile: str, fresh: Fresh, language: str, now: datetime) -> list[Claimed]:
        """Send a code, or do as much in vain: what is then written is undone, so that the time tells nothing."""
        member = self._welcome(connection, mobile)
        held = console.hold(connection, member.id if member else None)
        if held is None:
            return []
        sent = console.sent(connection, held, now)
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
    ) -> list[Claimed]:
        expires_at = now + timedelta(seconds=self.settings.code_ttl_seconds)
        row = {
            "id": fresh.id,
            "staff_id": staff_id,
            "key_id": self.keys.newest,
            "digest": _digest(self.keys, self.keys.newest, fresh.id, staff_id, fresh.digits),
            "tries_left": self.settings.code_tries,
            "created_at": now,
            "expires_at": expires_at,
        }
        console.issue(connection, row, now)
        return self.courier.write(connection, [self._letter(mobile, fresh, language, now, expires_at)], now)

    def _letter(
        self, mobile: str, fresh: Fresh, language: str, now: datetime, expires_at: datetime
    ) -> dict[str, object]:
        return letter(
            "code_to_console",
            Kind.CODE,
            to=mobile,
            language=language,
            now=now,
            parameters={"minutes": str(-(-self.settings.code_ttl_seconds // 60))},
            secret=fresh.sealed,
            code_id=fresh.id,
            expires_at=expires_at,
        )

    def _refusal(self, sent: Sent, now: datetime) -> str | None:
        wait = timedelta(seconds=self.settings.resend_after_seconds)
        if sent.live_since is not None and now - sent.live_since < wait:
            return "too_soon"
        often = sent.in_hour >= self.settings.codes_per_hour or sent.in_day >= self.settings.codes_per_day
        return "too_often" if often else None

    def _try(self, connection: Connection, mobile: str, member: Member | None, digits: str, now: datetime) -> bool:
        """Spend a try, then compare; for nobody the same is done in vain."""
        tried = console.spend(connection, member.id if member else NOBODY, now)
        is_right = _is_right(self.keys, tried or Tried("", NOBODY, self.keys.newest, b"", 0), digits)
        if tried is None:
            rates.count(connection, f"nobody:{digits[-2:]}", now)
            self._note(connection, now, Action.CONSOLE_LOGIN, mobile, member, Outcome.FAILED, "no_live_code")
            return False
        if is_right and console.close(connection, tried.id, Fate.USED, now):
            self._note(connection, now, Action.CONSOLE_LOGIN, mobile, member)
            return True
        if not tried.tries_left:
            console.close(connection, tried.id, Fate.BURNED, now)
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


def _digest(keys: Keys, key_id: str, code_id: str, staff_id: int, digits: str) -> bytes | None:
    return keys.code_digest(key_id, f"console:{code_id}:{staff_id}:{digits}")


def _is_right(keys: Keys, tried: Tried, digits: str) -> bool:
    expected = _digest(keys, tried.key_id, tried.id, tried.staff_id, digits)
    return expected is not None and hmac.compare_digest(expected, tried.digest)
