"""Hears one text: what is known, what it means, what is done, in one transaction.

All that takes time (reading the text, drawing and sealing a code, hashing a password) is done before
the transaction opens. What was read before it is checked under the lock; where another text from the
same phone came between, this one is decided again, under the lock from the start.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from bot import codes, passwords
from bot.courier import LEASE, Courier
from bot.effects import LOCKING_FAILURES, carry_out
from bot.facts import current_state, gather, season_on, shrugs, within_hour
from bot.keys import Keys
from bot.passwords import Generated
from bot.phones import Phones
from bot.ports import Clock, Dice, Inbound
from bot.settings import Settings
from bot.turn import Attempt, Text, Turn
from dialogs.listen import is_guess, is_request, listen
from dialogs.machine import lasts, step
from dialogs.recovery import VERSION
from dialogs.understanding import understand
from dialogs.vocabulary import Effect, Event, Guess, Hint, Naming, OptIn, OptOut, SendCode, Shrug, State
from store import codes as kept
from store import conversations, inbox, outbox
from store.conversations import Overtaken, View
from store.engine import Store, was_cut_off
from store.outbox import Claimed

# A text is overtaken only by others of its own phone, or by another request for the same account.
TURNS = 5


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
        self.flooded = False  # a job has seen more codes go out than people can want
        self._own = phones.mobile(settings.twilio_sender)
        understand("")  # the vocabulary is built at the first text: let it not be a pilgrim's

    def hear(self, inbound: Inbound) -> Event | None:
        """Hear a text and commit all that follows from it.

        None where it has no effect: it was heard before, or its sender is nobody whom the bot texts.
        Raises sqlalchemy.exc.OperationalError where the database is out of reach; the same text can
        then be handed in again.
        """
        phone = self.phones.mobile(inbound.sender)
        if phone is None or phone == self._own:
            return None
        heard = understand(inbound.text, self.settings.code_length)
        fresh = codes.make(self.dice, self.keys, self.settings.code_length) if is_request(heard) else None
        text = Text(inbound, phone, heard, fresh)
        try:
            return self._hear_over_two(text)
        except AlreadyHeard:
            return None

    def _hear_over_two(self, text: Text) -> Event:
        try:
            return self._hear(text)
        except DBAPIError as error:
            if not was_cut_off(error):
                raise
        return self._hear(text)  # over a new connection; if only the commit's answer was lost, this finds it heard

    def _hear(self, text: Text) -> Event:
        generated: Generated | None = None
        for turn in range(TURNS):
            now = self.clock()
            with self.store.reading() as connection:
                view = self._view(connection, text, now)
            guessing = is_guess(text.heard, view.phone_has_live_code)
            if guessing and view.phone_has_live_code and generated is None:
                generated = passwords.generate(self.dice, self.keys)
            try:
                # A guess is made under the lock from the start: the try is spent before it is compared.
                seen = None if guessing or turn else view
                event, claimed = self._answer(text, seen, now, generated)
            except Overtaken:
                continue
            self.courier.take(claimed)
            return event
        raise Overtaken

    def _answer(
        self, text: Text, seen: View | None, now: datetime, generated: Generated | None
    ) -> tuple[Event, list[Claimed]]:
        with self.store.writing() as connection:
            if seen is None:
                conversations.lock(connection, text.phone)
                seen = self._view(connection, text, now)
            state, season = current_state(seen, now), season_on(seen, now)
            turn = Turn(text, seen, now, state, season, self.settings, generated)
            event = self._decide(connection, turn)
            return event, self._queue(connection, turn)

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

    def _decide(self, connection: Connection, turn: Turn) -> Event:
        if is_guess(turn.text.heard, turn.view.phone_has_live_code):
            turn.attempt = self._attempt(connection, turn)
        event = listen(turn.text.heard, gather(turn, self.flooded))
        state, effects = step(turn.state, event)
        conversations.move(connection, turn.text.phone, turn.view.version, _moved(turn, state, effects))
        for effect in effects:
            carry_out(connection, turn, effect, self.keys)
        inbound = turn.text.inbound
        if not inbox.remember(connection, inbound.gateway, inbound.provider_id, event, turn.now):
            raise AlreadyHeard
        return event

    def _queue(self, connection: Connection, turn: Turn) -> list[Claimed]:
        lease = LEASE if self.courier.has_room() else None
        texts = [outbox.queue(connection, row, turn.now, lease) for row in turn.texts]
        return texts if lease else []

    def _attempt(self, connection: Connection, turn: Turn) -> Attempt:
        tried = tuple(kept.spend(connection, turn.text.phone, turn.now))
        if not tried:
            return Attempt(Guess.NO_LIVE_CODE)
        if turn.generated is None:
            raise Overtaken  # the code was sent just now: come back with a password at hand
        right = [code for code in tried if codes.is_right(self.keys, code, turn.text.heard.code or "")]
        if right:
            return Attempt(Guess.RIGHT, tried, right[0])
        failures = kept.count_failure(connection, [code.account_id for code in tried])
        if failures >= LOCKING_FAILURES:
            return Attempt(Guess.LOCKING, tried)
        return Attempt(Guess.WRONG if any(code.tries_left for code in tried) else Guess.LAST, tried)


def _moved(turn: Turn, state: State, effects: tuple[Effect, ...]) -> dict[str, Any]:
    view, now = turn.view, turn.now
    counted = within_hour(view, now)
    heard = turn.text.heard
    shrugged = any(isinstance(effect, Shrug) for effect in effects)
    return {
        "state": state,
        "table_version": VERSION,
        "language": heard.language or view.language,
        "ends_at": _ends_at(turn, state, effects),
        "heard_at": now,
        "opted_out_at": _opted_out_at(view, now, effects),
        "hour_began_at": view.hour_began_at if counted else now,
        "asked": (view.asked if counted else 0) + (is_request(heard) and heard.naming is Naming.ONE),
        "hinted": (view.hinted if counted else 0) + sum(isinstance(effect, Hint) for effect in effects),
        "shrugged": shrugs(view, now) + shrugged,
        "shrugged_at": now if shrugged else view.shrugged_at,
    }


def _ends_at(turn: Turn, state: State, effects: tuple[Effect, ...]) -> datetime | None:
    if state is turn.state and turn.view.ends_at is not None and SendCode() not in effects:
        return turn.view.ends_at if state is not State.IDLE else None
    span = lasts(state)
    return turn.now + span if span is not None else None


def _opted_out_at(view: View, now: datetime, effects: tuple[Effect, ...]) -> datetime | None:
    if OptOut() in effects:
        return now
    return None if OptIn() in effects else view.opted_out_at
