"""Hears one text: what is known, what it means, what is done, in one transaction.

All that takes time (reading the text, drawing and sealing a code, hashing a password) is done before
the transaction opens. What was read before it is checked under the lock; where another text from the
same phone came between, this one is decided again, under the lock from the start.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from bot.audit.trail import Trail
from bot.clock import midnight_in_tehran
from bot.credentials import codes, password_policy, passwords
from bot.credentials.attempts import CodeCheck, check
from bot.credentials.keyring import Keyring
from bot.inbound import audited, staff_context
from bot.inbound.context import IncomingMessage, MessageContext, NewPassword, Precomputed
from bot.inbound.effects import carry_out
from bot.inbound.facts import current_state, gather, season_on, unparsed_replies, within_hour
from bot.inbound.staff_context import StaffContext
from bot.log import logger
from bot.phone_numbers import PhoneNumbers
from bot.ports import Clock, Inbound, RandomSource
from bot.sending.courier import Courier
from bot.sending.flood_guard import Flood
from bot.settings import Settings
from dialogs.classify import brings_password, classify, is_guess, is_password, is_request
from dialogs.classify_staff import ORDERS
from dialogs.parsing.own_password import offered, trimmed
from dialogs.parsing.parse import from_staff, parse
from dialogs.staff_vocabulary import Command, Confirmation, StaffEvent
from dialogs.tables.machine import lasts, step
from dialogs.tables.recovery import VERSION
from dialogs.vocabulary import (
    AnyEvent,
    Effect,
    Event,
    Hint,
    Intent,
    Naming,
    OptIn,
    OptOut,
    PasswordVerdict,
    Say,
    SendCode,
    Shrug,
    State,
)
from store import accounts, conversations, inbound_messages, reset_grants
from store import codes as kept
from store.accounts import Account
from store.conversations import StaleRead, View
from store.database.engine import Store, was_cut_off
from store.outbound_messages import ClaimedMessage
from store.views import daily_stats

LOG = logger("conversation")

OFFERS = {
    password_policy.Weakness.TOO_SHORT: PasswordVerdict.SHORT,
    password_policy.Weakness.TOO_COMMON: PasswordVerdict.COMMON,
    password_policy.Weakness.TOO_PERSONAL: PasswordVerdict.PERSONAL,
}

CONFIRMED_STOP = {Say("opted_out"), Shrug("opted_out")}

# A text is overtaken only by others of its own phone, or by another request for the same account.
TURNS = 5

# What may come to send a code: one is drawn for each of these, before anything is known of the sender.
MAY_SEND_CODE = ORDERS | {Intent.CODE}


class AlreadyHeard(Exception):
    """The same text was committed meanwhile, by another process."""


class InboundHandler:
    """The dialog with every phone."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        phone_numbers: PhoneNumbers,
        keyring: Keyring,
        clock: Clock,
        random_source: RandomSource,
        courier: Courier,
    ) -> None:
        """Take what is needed to hear a text, and the courier who sends what answers it."""
        self.store, self.settings, self.phone_numbers, self.keyring = store, settings, phone_numbers, keyring
        self.clock, self.random_source, self.courier = clock, random_source, courier
        self.trail = Trail(keyring, random_source)
        self.flood = Flood()  # what a job has seen
        self._own = {phone_numbers.mobile(it) for it in (settings.twilio_sender, settings.kannel_sender)}
        parse("")  # the vocabulary is built at the first text: let it not be a pilgrim's

    def hear(self, inbound: Inbound) -> AnyEvent | None:
        """Hear a text and commit all that follows from it.

        None where it has no effect: it was heard before, or its sender is nobody whom the bot texts.
        Raises sqlalchemy.exc.OperationalError where the database is out of reach; the same text can
        then be handed in again.
        """
        phone = self.phone_numbers.mobile(inbound.sender)
        if phone is None or phone in self._own:
            return None
        heard = parse(inbound.text, self.settings.code_length, phone)
        drawing = is_request(heard) or heard.intent in MAY_SEND_CODE or from_staff(heard).intent in MAY_SEND_CODE
        fresh = codes.make(self.random_source, self.keyring, self.settings.code_length) if drawing else None
        found = offered(inbound.text, self.settings.code_length) if heard.code or heard.password_follows else None
        text = IncomingMessage(inbound, phone, heard, fresh, found)
        try:
            return self._hear_over_two(text)
        except AlreadyHeard:
            return None

    def _hear_over_two(self, text: IncomingMessage) -> AnyEvent:
        try:
            return self._hear(text)
        except DBAPIError as error:
            if not was_cut_off(error):
                raise
        return self._hear(text)  # over a new connection; if only the commit's answer was lost, this finds it heard

    def _hear(self, text: IncomingMessage) -> AnyEvent:
        prepared = Precomputed()
        for turn in range(TURNS):
            now = self.clock()
            with self.store.reading() as connection:
                view = self._view(connection, text, now)
                state = current_state(view, now)
                password = self._password(connection, text, state, now)
                counted = self._tally(connection, text, view, now)
            guessing = self._is_guess(text, view, state)
            drawing = guessing and view.phone_has_live_code and password is None
            if prepared.password != password or (drawing and prepared.generated is None):
                prepared = self._prepare(password)
            if counted is not None:
                prepared = Precomputed(tally=counted)
            try:
                # A guess is made under the lock from the start: the try is spent before it is compared.
                seen = None if guessing or password or turn else view
                event, claimed = self._answer(text, seen, now, prepared)
            except StaleRead:
                continue
            self.courier.take(claimed)
            return event
        raise StaleRead

    def _is_guess(self, text: IncomingMessage, view: View, state: State) -> bool:
        allowed = self.settings.own_password_by_sms
        live = view.phone_has_live_code or view.staff_confirms
        return is_guess(text.heard, state, has_live_code=live, own_password_allowed=allowed)

    def _tally(
        self, connection: Connection, text: IncomingMessage, view: View, now: datetime
    ) -> daily_stats.Tally | None:
        """What STATS tells, counted before the transaction: it is of a whole day."""
        if view.staff_id is None or from_staff(text.heard).intent is not Intent.STAFF_STATS:
            return None
        scope = staff_context.scope_of(connection, view.staff_id)
        return daily_stats.since(connection, midnight_in_tehran(now), Command.RESET, **scope)

    def _password(self, connection: Connection, text: IncomingMessage, state: State, now: datetime) -> str | None:
        """The password of their own that the text brings, where such are taken."""
        if not self.settings.own_password_by_sms:
            return None
        if brings_password(text.heard, state):
            return text.offered.password if text.offered else None
        if not is_password(text.heard, state):
            return None
        if text.offered and self._has_just_served(connection, text, text.offered.code, now):
            return text.offered.password
        return trimmed(text.inbound.text) or None

    def _has_just_served(self, connection: Connection, text: IncomingMessage, digits: str, now: datetime) -> bool:
        """Whether it is the code that the right to choose a password came by: some send it along again."""
        ticket = reset_grants.find_at(connection, text.phone, now)
        code = kept.find(connection, ticket.code_id) if ticket else None
        return code is not None and codes.is_right(self.keyring, code, digits)

    def _prepare(self, password: str | None) -> Precomputed:
        if password is None:
            return Precomputed(passwords.generate(self.random_source, self.keyring))
        return Precomputed(password=password, own=passwords.hashed(self.keyring, password))

    def _answer(
        self, text: IncomingMessage, seen: View | None, now: datetime, prepared: Precomputed
    ) -> tuple[AnyEvent, list[ClaimedMessage]]:
        with self.store.writing() as connection:
            if seen is None:
                conversations.lock(connection, text.phone)
                seen = self._view(connection, text, now)
            state, season = current_state(seen, now), season_on(seen, now)
            turn = MessageContext(text, seen, now, state, season, self.settings, prepared)
            event = self._decide(connection, turn)
            # Written by the time now: the wait for the lock is part of the minute.
            claimed = self.courier.write(connection, turn.texts, self.clock())
        for alarm in turn.alarms:
            LOG.error("alarm", alarm=alarm, staff=turn.desk.member.id if turn.desk else None)
        return event, claimed

    def _view(self, connection: Connection, text: IncomingMessage, now: datetime) -> View:
        found = conversations.view(
            connection,
            phone=text.phone,
            national_id=text.heard.national_id,
            gateway=text.inbound.gateway,
            provider_id=text.inbound.provider_id,
            now=now,
        )
        if found.already_heard:
            raise AlreadyHeard
        return found

    def _decide(self, connection: Connection, turn: MessageContext) -> AnyEvent:
        turn.desk = self._desk(connection, turn)
        if self._is_guess(turn.text, turn.view, turn.state):
            turn.attempt = self._attempt(connection, turn)
        turn.choice = self._choice(connection, turn)
        event = classify(turn.text.heard, gather(turn, self.flood.holds(turn.view.account_mobile)))
        state, effects = _stepped(turn, event)
        moved = _moved(turn, state, effects) | {"asked": _asked(turn, event)}
        conversations.move(connection, turn.text.phone, turn.view.version, moved)
        for effect in effects:
            carry_out(connection, turn, effect, self.keyring, self.random_source)
        self.trail.note(connection, turn.now, *audited.entries(connection, turn, event, effects))
        inbound = turn.text.inbound
        if not inbound_messages.remember(connection, inbound.gateway, inbound.provider_id, event, turn.now):
            raise AlreadyHeard
        return event

    def _desk(self, connection: Connection, turn: MessageContext) -> StaffContext | None:
        if turn.view.staff_id is None:
            return None
        return staff_context.look_up(connection, turn.view.staff_id, turn.text.heard, self.phone_numbers, turn.now)

    def _attempt(self, connection: Connection, turn: MessageContext) -> CodeCheck | None:
        """Try a code on what waits for one: a staff member's order first, then the codes of this phone."""
        text = turn.text
        if turn.desk is not None and text.heard.code is not None:
            staff_context.confirm(connection, turn.desk, self.keyring, text.heard.code, turn.now)
            if turn.desk.confirmation not in {None, Confirmation.WRONG, Confirmation.LAST}:
                return None
        tried = kept.spend(connection, text.phone, turn.now)
        if tried and turn.prepared == Precomputed():
            raise StaleRead  # the code was sent just now: come back with a password at hand
        with_password = text.offered is not None and brings_password(text.heard, turn.state)
        digits = text.offered.code if text.offered and with_password else text.heard.code
        made = check(connection, self.keyring, tried, digits or "", turn.now)
        if made.right is not None:
            turn.holder = accounts.get(connection, made.right.account_id)
        return made

    def _choice(self, connection: Connection, turn: MessageContext) -> NewPassword | None:
        password = self._password(connection, turn.text, turn.state, turn.now)
        if password != turn.prepared.password:
            raise StaleRead  # the conversation has moved on meanwhile: come back with this one hashed
        if password is None:
            return None
        if turn.attempt is not None:
            return NewPassword(self._worth(password, turn.holder)) if turn.holder else None
        ticket = reset_grants.find_at(connection, turn.text.phone, turn.now)
        if ticket is None:
            return NewPassword(PasswordVerdict.TOO_LATE)
        turn.holder = accounts.get(connection, ticket.account_id)
        return NewPassword(self._worth(password, turn.holder), ticket)

    def _worth(self, password: str, holder: Account) -> PasswordVerdict:
        weak = password_policy.weaknesses(password, holder)
        return OFFERS[weak[0]] if weak else PasswordVerdict.GOOD


def _stepped(turn: MessageContext, event: AnyEvent) -> tuple[State, tuple[Effect, ...]]:
    """Where the dialog with this phone stands then, and what is done. An order leaves it where it stands."""
    if isinstance(event, StaffEvent):
        assert turn.desk is not None
        return turn.state, step(turn.desk.state, event)[1]
    return step(turn.state, event)


def _moved(turn: MessageContext, state: State, effects: tuple[Effect, ...]) -> dict[str, Any]:
    view, now = turn.view, turn.now
    counted = within_hour(view, now)
    shrugged = any(isinstance(effect, Shrug) for effect in effects)
    return {
        "state": state,
        "table_version": VERSION,
        "language": turn.heard_language or view.language,
        "ends_at": _ends_at(turn, state, effects),
        "heard_at": now,
        "opted_out_at": _opted_out_at(view, now, effects),
        "window_started_at": view.window_started_at if counted else now,
        "hinted": (view.hinted if counted else 0) + sum(isinstance(effect, Hint) for effect in effects),
        "shrugged": unparsed_replies(view, now) + shrugged,
        "shrugged_at": now if shrugged else view.shrugged_at,
        "stop_confirmed_at": view.stop_confirmed_at if CONFIRMED_STOP.isdisjoint(effects) else now,
    }


def _asked(turn: MessageContext, event: AnyEvent) -> int:
    """How many requests came from this phone within the hour; orders have limits of their own."""
    before = turn.view.asked if within_hour(turn.view, turn.now) else 0
    asks = isinstance(event, Event) and is_request(turn.text.heard) and turn.text.heard.naming is Naming.ONE
    return before + asks


def _ends_at(turn: MessageContext, state: State, effects: tuple[Effect, ...]) -> datetime | None:
    sent = any(isinstance(effect, SendCode) for effect in effects)
    if state is turn.state and turn.view.ends_at is not None and not sent:
        return turn.view.ends_at if state is not State.IDLE else None
    span = lasts(state)
    return turn.now + span if span is not None else None


def _opted_out_at(view: View, now: datetime, effects: tuple[Effect, ...]) -> datetime | None:
    if OptOut() in effects:
        return now
    return None if OptIn() in effects else view.opted_out_at
