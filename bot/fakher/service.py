"""What Fakher asks: whether a code is right, to set a password, whether a password is right. HTTP is elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bot.accounts import lockout, password_change
from bot.audit.trail import Entry
from bot.credentials import bearer, one_time_codes, password_policy, passwords
from bot.credentials.bearer import Bearer
from bot.credentials.one_time_codes import NOBODY, CodeCheck
from bot.credentials.password_policy import Weakness
from bot.credentials.passwords import Hashed
from bot.parts import Parts
from bot.sending.courier import Courier
from dialogs.audit_vocabulary import Action, Actor, Outcome
from dialogs.limits import CALLS_PER_ACCOUNT_AND_MINUTE, CALLS_PER_TOKEN_AND_MINUTE
from dialogs.parsing.normalise import fold, national_id
from dialogs.vocabulary import CodeResult, FakherEvent
from store import accounts, codes, rate_limits, reset_grants, tokens
from store.accounts import Account
from store.outbound_messages import ClaimedMessage
from store.rate_limits import Counted
from store.reset_grants import NewGrant, ResetGrant
from store.tables import CloseReason

# How long a right code lets its holder choose a password at Fakher.
TICKET = timedelta(minutes=10)

Done = tuple[Action, Outcome, str | None]
TICKET_GONE: Done = (Action.PASSWORD_CHANGED, Outcome.REFUSED, "ticket_gone")


class NotAuthorised(Exception):
    """The token is unknown, expired or revoked."""


class TooManyCalls(Exception):
    """The token, or calls about this account, are over the minute's limit."""

    def __init__(self, wait: timedelta) -> None:
        """Say how long it lasts."""
        super().__init__(wait)
        self.wait = wait


class TicketGone(Exception):
    """The ticket is used, expired, void or unknown."""


class WeakPassword(Exception):
    """The policy refuses the password; the ticket stays good."""

    def __init__(self, reasons: list[Weakness]) -> None:
        """Keep every reason."""
        super().__init__(reasons)
        self.reasons = reasons


@dataclass(frozen=True)
class CodeVerdict:
    """Whether a code is right. `ticket` is the right to choose a password, for its bearer."""

    ticket: Bearer | None = None
    expires_at: datetime | None = None
    reason: str = ""
    tries_left: int = 0


@dataclass(frozen=True)
class LoginVerdict:
    """Whether a password is right, and whether it must be changed now."""

    verified: bool
    must_change: bool = False


@dataclass(frozen=True)
class Caller:
    """Who calls: the id of a token in force, and its name."""

    token: str = field(repr=False)
    name: str = ""


class Fakher:
    """The reservation system's side of recovery."""

    def __init__(self, parts: Parts, courier: Courier) -> None:
        """Take what is needed to check codes and passwords, and the courier that sends notices."""
        self.parts, self.courier = parts, courier
        self.store, self.keyring, self.clock = parts.store, parts.keyring, parts.clock

    def authorise(self, token: str) -> Caller:
        """Whose token this is; NotAuthorised for one that is not in force."""
        held = bearer.read(token)
        if held is None:
            raise NotAuthorised
        with self.store.reading() as connection:
            issued = tokens.find(connection, held.id)
        is_right = held.is_of(issued.digest if issued else None)
        if not is_right or issued is None or issued.revoked_at is not None or issued.expires_at <= self.clock():
            raise NotAuthorised
        return Caller(issued.id, issued.name)

    def verify_code(self, caller: Caller, person: str, digits: str) -> CodeVerdict:
        """Try a code. A right one is used up, and gives a ticket. TooManyCalls beyond the limits; UnknownKey.

        `person` is a national ID, of 8 to 10 digits; `digits` may be of any script.
        """
        person, now = _national_id(person), self.clock()
        with self.store.reading() as connection:
            account = accounts.find(connection, national_id=person)
        ticket = bearer.make(self.parts.random_source)
        with self._call(caller, now) as connection:
            self._count(connection, account, person, now)
            spent = codes.spend_of_account(connection, account.id if account else NOBODY, now)
            check = one_time_codes.check(connection, self.keyring, spent, fold(digits), now)
            verdict = self._verdict(connection, check, account, ticket, now)
            self._note(connection, caller, now, account, *_tried(verdict))
            self.parts.trail.note(connection, now, *lockout.after_wrong_code(connection, self.parts, check, now))
            return verdict

    def set_password(self, caller: Caller, ticket: str, password: str) -> None:
        """Set the password that a ticket's account has chosen. TicketGone, WeakPassword or TooManyCalls."""
        held, now = bearer.read(ticket), self.clock()
        with self._call(caller, now) as connection:
            granted = self._granted(connection, held, now)
            account = accounts.get(connection, granted.account_id) if granted else None
            self._count(connection, account, held.id if held else "", now)
            if granted is None:
                self._note(connection, caller, now, None, TICKET_GONE)
        if granted is None or account is None:
            raise TicketGone
        weak = password_policy.weaknesses(password, account)
        if weak:
            with self.store.writing() as connection:
                self._note(connection, caller, now, account, _refused(weak[0]))
            raise WeakPassword(weak)
        new = passwords.hashed(self.keyring, password)
        with self.store.writing() as connection:
            is_live = self._granted(connection, held, now) == granted and reset_grants.spend(
                connection, granted.id, now
            )
            claimed = self._change(connection, caller, granted, new, now) if is_live else None
            if claimed is None:
                self._note(connection, caller, now, account, TICKET_GONE)
        if claimed is None:
            raise TicketGone
        self.courier.take(claimed)

    def _change(
        self, connection: Connection, caller: Caller, granted: ResetGrant, new: Hashed, now: datetime
    ) -> list[ClaimedMessage]:
        account = accounts.get(connection, granted.account_id)
        password_change.set_password(connection, account.id, new, now, temporary=False)
        settings = self.parts.settings
        notices = password_change.notices(
            account,
            "password_changed",
            now,
            support_phone=settings.support_phone,
            default_language=settings.default_language,
        )
        claimed = self.courier.write(connection, notices, now)
        password_change.tell_fakher(connection, self.parts, FakherEvent.PASSWORD_CHANGED, account.id, now)
        self._note(connection, caller, now, account, (Action.PASSWORD_CHANGED, Outcome.OK, None))
        return claimed

    def verify_password(
        self, caller: Caller, password: str, *, person: str | None = None, username: str | None = None
    ) -> LoginVerdict:
        """Whether an account's password is this one. TooManyCalls beyond the limits.

        One that is right, but was hashed by parameters or a key that have moved on, is hashed anew.
        """
        now, person = self.clock(), _national_id(person) if person is not None else None
        with self._call(caller, now) as connection:
            account = accounts.find(connection, national_id=person, username=username)
            self._count(connection, account, person or username or "", now)
        kept, ends_at = _kept(account), account.password_expires_at if account else None
        generated = passwords.as_generated(password)  # read for anybody: a long one takes its time
        if ends_at is not None:  # it was generated, to be typed from a text
            password = generated or password
        is_right = passwords.verify(self.keyring, kept, password)
        why = "wrong_password" if not is_right else "expired" if ends_at is not None and ends_at <= now else None
        with self.store.writing() as connection:
            self._note(connection, caller, now, account, (Action.LOGIN, Outcome.FAILED if why else Outcome.OK, why))
        if why or account is None or kept is None:
            return LoginVerdict(False)
        if passwords.is_outdated(self.keyring, kept):
            self._rehash(account, kept, password)
        return LoginVerdict(True, must_change=ends_at is not None)

    def _verdict(
        self, connection: Connection, check: CodeCheck, account: Account | None, ticket: Bearer, now: datetime
    ) -> CodeVerdict:
        if check.right is not None and account is not None:
            codes.close(connection, check.right.id, CloseReason.USED, now)
            # Grants before the account, here as everywhere, so that no two wait for each other.
            grant = NewGrant(ticket.id, account.id, check.right.id, ticket.digest, now, now + TICKET)
            reset_grants.issue(connection, grant)
            accounts.end_failures(connection, account.id)
            return CodeVerdict(ticket, grant.expires_at)
        if check.result is CodeResult.NO_LIVE_CODE:
            is_locked = account is not None and account.active and account.locked_at is not None
            return CodeVerdict(reason="locked" if is_locked else "no_live_code")
        if check.result is CodeResult.WRONG:
            return CodeVerdict(reason="wrong_code", tries_left=check.tries_left)
        return CodeVerdict(reason="locked")

    def _granted(self, connection: Connection, held: Bearer | None, now: datetime) -> ResetGrant | None:
        granted = reset_grants.find(connection, held.id, now) if held else None
        return granted if granted and held and held.is_of(granted.digest) else None

    def _note(
        self, connection: Connection, caller: Caller, now: datetime, account: Account | None, *done: Done
    ) -> None:
        about = account.id if account else None
        rows = (Entry(Actor.FAKHER, *each, who=caller.name, account_id=about) for each in done)
        self.parts.trail.note(connection, now, *rows)

    def _rehash(self, account: Account, old: Hashed, password: str) -> None:
        new = passwords.hashed(self.keyring, password)
        with self.store.writing() as connection:
            accounts.rehash(connection, account.id, old.hash, new.hash, new.key_id)

    @contextmanager
    def _call(self, caller: Caller, now: datetime) -> Iterator[Connection]:
        """A call's transaction, which counts it by its token, and is undone beyond the limit.

        It counts last: every call changes the token's row, and keeps the others waiting from then until it commits.
        """
        with self.store.writing() as connection:
            yield connection
            counted = rate_limits.count(connection, f"token:{caller.token}", now)
            if counted.calls == 1:
                tokens.note_use(connection, caller.token, now)
            _check_limit(counted, CALLS_PER_TOKEN_AND_MINUTE, now)

    def _count(self, connection: Connection, account: Account | None, name: str, now: datetime) -> None:
        """Count a call about an account, or about a name that nobody has."""
        about = f"account:{account.id}" if account else f"name:{self.keyring.alias(name)}"
        _check_limit(rate_limits.count(connection, about, now), CALLS_PER_ACCOUNT_AND_MINUTE, now)


def _check_limit(counted: Counted, limit: int, now: datetime) -> None:
    """TooManyCalls beyond a limit: the transaction is undone, and with it the count."""
    if counted.calls > limit:
        raise TooManyCalls(counted.window_started_at + rate_limits.MINUTE - now)


def _tried(verdict: CodeVerdict) -> Iterator[Done]:
    yield Action.CODE_TRIED, Outcome.OK if verdict.ticket else Outcome.FAILED, verdict.reason or None
    if verdict.ticket:
        yield Action.TICKET_GRANTED, Outcome.OK, None


def _refused(reason: str) -> Done:
    return Action.PASSWORD_CHANGED, Outcome.REFUSED, reason


def _kept(account: Account | None) -> Hashed | None:
    if account is None or not account.active or account.password_hash is None or account.password_key is None:
        return None
    return Hashed(account.password_hash, account.password_key)


def _national_id(written: str) -> str:
    """An ID as it is stored: zeros that were lost are put back. One that can't be is nobody's."""
    digits = fold(written)
    return national_id(digits) or digits.zfill(10)
