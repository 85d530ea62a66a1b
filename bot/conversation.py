"""Hears one text: what is known, what it means, what is done, in one transaction.

All that takes time (reading the text, drawing and sealing a code, hashing a password) is done before
the transaction opens. What was read before it is checked under the lock; where another text from the
same phone came between, this one is decided again, under the lock from the start.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from bot import audited, codes, passwords, policy, staff
from bot.attempts import Attempt, attempt
from bot.audit import Trail
from bot.calendars import midnight_in_tehran
from bot.courier import Courier
from bot.effects import carry_out
from bot.facts import current_state, gather, season_on, shrugs, within_hour
from bot.flood import Flood
from bot.keys import Keys
from bot.log import logger
from bot.phones import Phones
from bot.ports import Clock, Dice, Inbound
from bot.settings import Settings
from bot.staff import Desk
from bot.turn import Choice, Prepared, Text, Turn
from dialogs.listen import brings_password, is_guess, is_password, is_request, listen
from dialogs.machine import lasts, step
from dialogs.offers import offered, trimmed
from dialogs.ordering import ORDERS
from dialogs.orders import Command, Confirmation, StaffEvent
from dialogs.recovery import VERSION
from dialogs.understanding import understand
from dialogs.vocabulary import (
    AnyEvent,
    Effect,
    Event,
    Hint,
    Intent,
    Naming,
    Offer,
    OptIn,
    OptOut,
    Say,
    SendCode,
    Shrug,
    State,
)
from store import accounts, conversations, inbox, tally, tickets
from store import codes as kept
from store.accounts import Holder
from store.conversations import Overtaken, View
from store.engine import Store, was_cut_off
from store.outbox import Claimed

LOG = logger("conversation")

OFFERS = {
    policy.Weakness.TOO_SHORT: Offer.SHORT,
    policy.Weakness.TOO_COMMON: Offer.COMMON,
    policy.Weakness.TOO_PERSONAL: Offer.PERSONAL,
}

CONFIRMED_STOP = {Say("opted_out"), Shrug("opted_out")}

# A text is overtaken only by others of its own phone, or by another request for the same account.
TURNS = 5

# What may come to send a code: one is drawn for each of these, before anything is known of the sender.
MAY_SEND_CODE = ORDERS | {Intent.CODE}


class AlreadyHeard(Exception):
    """The same text was committed meanwhile, by another process."""


class Conversation:
    """The dialog with every phone."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        phones: Phones,
        keys: Keys,
        clock: Clock,
        dice: Dice,
        courier: Courier,
    ) -> None:
        """Take what is needed to hear a text, and the courier who sends what answers it."""
        self.store, self.settings, self.phones, self.keys = store, settings, phones, keys
        self.clock, self.dice, self.courier = clock, dice, courier
        self.trail = Trail(keys, dice)
        self.flood = Flood()  # what a job has seen
        self._own = {phones.mobile(it) for it in (settings.twilio_sender, settings.kannel_sender)}
        understand("")  # the vocabulary is built at the first text: let it not be a pilgrim's

    def hear(self, inbound: Inbound) -> AnyEvent | None:
        """Hear a text and commit all that follows from it.

        None where it has no effect: it was heard before, or its sender is nobody whom the bot texts.
        Raises sqlalchemy.exc.OperationalError where the database is out of reach; the same text can
        then be handed in again.
        """
        phone = self.phones.mobile(inbound.sender)
        if phone is None or phone in self._own:
            return None
        heard = understand(inbound.text, self.settings.code_length)
        drawing = is_request(heard) or heard.intent in MAY_SEND_CODE
        fresh = codes.make(self.dice, self.keys, self.settings.code_length) if drawing else None
        found = offered(inbound.text, self.settings.code_length) if heard.code or heard.password_follows else None
        text = Text(inbound, phone, heard, fresh, found)
        try:
            return self._hear_over_two(text)
        except AlreadyHeard:
            return None

    def _hear_over_two(self, text: Text) -> AnyEvent:
        try:
            return self._hear(text)
        except DBAPIError as error:
            if not was_cut_off(error):
                raise
        return self._hear(text)  # over a new connection; if only the commit's answer was lost, this finds it heard

    def _hear(self, text: Text) -> AnyEvent:
        prepared = Prepared()
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
                prepared = Prepared(tally=counted)
            try:
                # A guess is made under the lock from the start: the try is spent before it is compared.
                seen = None if guessing or password or turn else view
                event, claimed = self._answer(text, seen, now, prepared)
            except Overtaken:
                continue
            self.courier.take(claimed)
            return event
        raise Overtaken

    def _is_guess(self, text: Text, view: View, state: State) -> bool:
        allowed = self.settings.own_password_by_sms
        live = view.phone_has_live_code or view.staff_confirms
        return is_guess(text.heard, state, has_live_code=live, own_password_allowed=allowed)

    def _tally(self, connection: Connection, text: Text, view: View, now: datetime) -> tally.Tally | None:
        """What STATS tells, counted before the transaction: it is of a whole day."""
        if view.staff_id is None or text.heard.intent is not Intent.STAFF_STATS:
            return None
        scope = staff.scope_of(connection, view.staff_id)
        return tally.since(connection, midnight_in_tehran(now), Command.RESET, **scope)

    def _password(self, connection: Connection, text: Text, state: State, now: datetime) -> str | None:
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

    def _has_just_served(self, connection: Connection, text: Text, digits: str, now: datetime) -> bool:
        """Whether it is the code that the right to choose a password came by: some send it along again."""
        ticket = tickets.find_at(connection, text.phone, now)
        code = kept.find(connection, ticket.code_id) if ticket else None
        return code is not None and codes.is_right(self.keys, code, digits)

    def _prepare(self, password: str | None) -> Prepared:
        if password is None:
            return Prepared(passwords.generate(self.dice, self.keys))
        return Prepared(password=password, own=passwords.hashed(self.keys, password))

    def _answer(
        self, text: Text, seen: View | None, now: datetime, prepared: Prepared
    ) -> tuple[AnyEvent, list[Claimed]]:
        with self.store.writing() as connection:
            if seen is None:
                conversations.lock(connection, text.phone)
                seen = self._view(connection, text, now)
            state, season = current_state(seen, now), season_on(seen, now)
            turn = Turn(text, seen, now, state, season, self.settings, prepared)
            event = self._decide(connection, turn)
            # Written by the time now: the wait for the lock is part of the minute.
            claimed = self.courier.write(connection, turn.texts, self.clock())
        for alarm in turn.alarms:
            LOG.error("alarm", alarm=alarm, staff=turn.desk.member.id if turn.desk else None)
        return event, claimed

    def _view(self, connection: Connection, text: Text, now: datetime) -> View:
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

    def _decide(self, connection: Connection, turn: Turn) -> AnyEvent:
        turn.desk = self._desk(connection, turn)
        if self._is_guess(turn.text, turn.view, turn.state):
            turn.attempt = self._attempt(connection, turn)
        turn.choice = self._choice(connection, turn)
        event = listen(turn.text.heard, gather(turn, self.flood.holds(turn.view.account_mobile)))
        state, effects = _stepped(turn, event)
        moved = _moved(turn, state, effects) | {"asked": _asked(turn, event)}
        conversations.move(connection, turn.text.phone, turn.view.version, moved)
        for effect in effects:
            carry_out(connection, turn, effect, self.keys, self.dice)
        self.trail.note(connection, turn.now, *audited.entries(connection, turn, event, effects))
        inbound = turn.text.inbound
        if not inbox.remember(connection, inbound.gateway, inbound.provider_id, event, turn.now):
            raise AlreadyHeard
        return event

    def _desk(self, connection: Connection, turn: Turn) -> Desk | None:
        if turn.view.staff_id is None:
            return None
        return staff.sit_down(connection, turn.view.staff_id, turn.text.heard, self.phones, turn.now)

    def _attempt(self, connection: Connection, turn: Turn) -> Attempt | None:
        """Try a code on what waits for one: a staff member's order first, then the codes of this phone."""
        text = turn.text
        if turn.desk is not None and text.heard.code is not None:
            staff.confirm(connection, turn.desk, self.keys, text.heard.code, turn.now)
            if turn.desk.confirmation not in {None, Confirmation.WRONG, Confirmation.LAST}:
                return None
        tried = kept.spend(connection, text.phone, turn.now)
        if tried and turn.prepared == Prepared():
            raise Overtaken  # the code was sent just now: come back with a password at hand
        with_password = text.offered is not None and brings_password(text.heard, turn.state)
        digits = text.offered.code if text.offered and with_password else text.heard.code
        made = attempt(connection, self.keys, tried, digits or "", turn.now)
        if made.right is not None:
            turn.holder = accounts.holder(connection, made.right.account_id)
        return made

    def _choice(self, connection: Connection, turn: Turn) -> Choice | None:
        password = self._password(connection, turn.text, turn.state, turn.now)
        if password != turn.prepared.password:
            raise Overtaken  # the conversation has moved on meanwhile: come back with this one hashed
        if password is None:
            return None
        if turn.attempt is not None:
            return Choice(self._worth(password, turn.holder)) if turn.holder else None
        ticket = tickets.find_at(connection, turn.text.phone, turn.now)
        if ticket is None:
            return Choice(Offer.TOO_LATE)
        turn.holder = accounts.holder(connection, ticket.account_id)
        return Choice(self._worth(password, turn.holder), ticket)

    def _worth(self, password: str, holder: Holder) -> Offer:
        weak = policy.weaknesses(password, holder)
        return OFFERS[weak[0]] if weak else Offer.GOOD


def _stepped(turn: Turn, event: AnyEvent) -> tuple[State, tuple[Effect, ...]]:
    """Where the dialog with this phone stands then, and what is done. An order leaves it where it stands."""
    if isinstance(event, StaffEvent):
        assert turn.desk is not None
        return turn.state, step(turn.desk.state, event)[1]
    return step(turn.state, event)


def _moved(turn: Turn, state: State, effects: tuple[Effect, ...]) -> dict[str, Any]:
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
        "hour_began_at": view.hour_began_at if counted else now,
        "hinted": (view.hinted if counted else 0) + sum(isinstance(effect, Hint) for effect in effects),
        "shrugged": shrugs(view, now) + shrugged,
        "shrugged_at": now if shrugged else view.shrugged_at,
        "stop_confirmed_at": view.stop_confirmed_at if CONFIRMED_STOP.isdisjoint(effects) else now,
    }


def _asked(turn: Turn, event: AnyEvent) -> int:
    """How many requests came from this phone within the hour; orders have limits of their own."""
    before = turn.view.asked if within_hour(turn.view, turn.now) else 0
    asks = isinstance(event, Event) and is_request(turn.text.heard) and turn.text.heard.naming is Naming.ONE
    return before + asks


def _ends_at(turn: Turn, state: State, effects: tuple[Effect, ...]) -> datetime | None:
    sent = any(isinstance(effect, SendCode) for effect in effects)
    if state is turn.state and turn.view.ends_at is not None and not sent:
        return turn.view.ends_at if state is not State.IDLE else None
    span = lasts(state)
    return turn.now + span if span is not None else None


def _opted_out_at(view: View, now: datetime, effects: tuple[Effect, ...]) -> datetime | None:
    if OptOut() in effects:
        return now
    return None if OptIn() in effects else view.opted_out_at
