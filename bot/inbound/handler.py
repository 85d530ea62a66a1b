"""Hears one text: prepare, decide, apply.

All that takes long (reading the text, drawing a code, hashing a password, counting a day) is prepared before the
transaction opens. What was read before it is checked under the lock; where another text from the same phone came
between, or more must be prepared than was thought, this one is decided again.
"""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from bot.accounts import alarms
from bot.credentials import one_time_codes, password_policy, passwords
from bot.credentials.one_time_codes import UnknownKey
from bot.inbound import staff_context
from bot.inbound.context import IncomingMessage, MessageContext, Need, Precomputed
from bot.inbound.effects import apply
from bot.inbound.facts import current_state, facts_of, names_by_request, season_on, unparsed_replies, within_hour
from bot.parts import Parts
from bot.platform.clock import midnight_in_tehran
from bot.ports import Inbound
from bot.sending.courier import Courier
from bot.sending.flood_guard import FloodGuard
from dialogs.classify import (
    WRONG_BESIDE_REQUEST,
    as_staff_send_it,
    brings_password,
    classify,
    hands_back_code,
    is_request,
    tries_beside_request,
)
from dialogs.classify_staff import ORDERS
from dialogs.limits import HINTS_PER_HOUR, STAFF_REPLIES_PER_HOUR, UNPARSED_PER_HOUR
from dialogs.parsing.own_password import offered
from dialogs.parsing.parse import from_staff, parse
from dialogs.reply_caps import OPTED_IN, within_reply_caps
from dialogs.staff_vocabulary import Command, StaffEvent
from dialogs.tables.machine import after_order, lasts, step
from dialogs.vocabulary import (
    AnyEvent,
    CodePurpose,
    Effect,
    Event,
    Intent,
    OptIn,
    OptOut,
    OwnPasswordVerdict,
    Reply,
    SendCode,
    State,
)
from store import accounts, codes, conversations, inbound_messages
from store.conversations import ConversationValues, StaleRead, View
from store.database.engine import was_cut_off, was_deadlocked
from store.outbound_messages import ClaimedMessage
from store.views import daily_stats

# A text is decided again only where others of its own phone, or another request for the same account, came between,
# and once where its need was misjudged.
ATTEMPTS = 6

# What may come to send a code: one is drawn for each of these, before anything is known of the sender.
_MAY_SEND_CODE = ORDERS | {Intent.CODE}

_VERDICTS = {
    password_policy.Weakness.TOO_SHORT: OwnPasswordVerdict.SHORT,
    password_policy.Weakness.TOO_COMMON: OwnPasswordVerdict.COMMON,
    password_policy.Weakness.TOO_PERSONAL: OwnPasswordVerdict.PERSONAL,
}


class AlreadyHeard(Exception):
    """The same text was committed before, here or by another process."""


class InboundHandler:
    """The dialog with every phone."""

    def __init__(self, parts: Parts, courier: Courier, flood_guard: FloodGuard) -> None:
        """Take what is needed to hear a text, the courier that sends what answers it, and the flood guard."""
        self.parts, self.courier, self.flood_guard = parts, courier, flood_guard
        settings = parts.settings
        lines = (each.values.get("line", "") for each in settings.providers.values())
        self._own = {parts.phone_numbers.mobile(it) for it in (settings.twilio_sender, settings.kannel_sender, *lines)}
        parse("")  # the lexicon is built at the first text: no pilgrim waits for it

    def hear(self, inbound: Inbound) -> AnyEvent | None:
        """Hear a text and commit all that follows from it.

        None where it has no effect: it was heard before, or its sender is nobody whom the bot texts.
        Raises sqlalchemy.exc.OperationalError where the database is out of reach; the same text can
        then be handed in again.
        """
        phone = self.parts.phone_numbers.mobile(inbound.sender)
        if phone is None or phone in self._own:
            return None
        message = self._read(inbound, phone)
        with suppress(AlreadyHeard):
            event = self._hear_over_two(message)
            self.parts.counting.count("heard", inbound.gateway, event.lower())
            return event
        return None

    def _read(self, inbound: Inbound, phone: str) -> IncomingMessage:
        parts, length = self.parts, self.parts.settings.code_length
        parsed = parse(inbound.text, length, phone)
        meant = {parsed.intent, from_staff(parsed).intent}
        drawing = is_request(parsed) or not meant.isdisjoint(_MAY_SEND_CODE)
        drawn = one_time_codes.draw(parts.random_source, parts.keyring, length) if drawing else None
        may_bring = parsed.code is not None or parsed.password_follows or parsed.phrase_follows
        brought = offered(inbound.text, length) if may_bring else None
        return IncomingMessage(inbound, phone, parsed, drawn, brought)

    def _hear_over_two(self, message: IncomingMessage) -> AnyEvent:
        """Hear it once more where the connection broke, or where it and another transaction waited for each other.

        Of the former the commit's answer alone may have been lost; a provider may not call again for either.
        """
        try:
            return self._hear(message)
        except DBAPIError as error:
            if not (was_cut_off(error) or was_deadlocked(error)):
                raise
        return self._hear(message)

    def _hear(self, message: IncomingMessage) -> AnyEvent:
        work, has_unknown_key = Precomputed(), False
        for attempt in range(ATTEMPTS):
            now = self.parts.clock()
            with self.parts.store.reading() as connection:
                view = self._view(connection, message, now)
            message = _as_sent_by(message, view, now)
            need = self._need(message, view, now)
            if need != work.need:
                work = self._prepare(message, view, need, now)
            # A try is spent under the lock from the start, and so is whatever was decided on a stale view.
            seen = None if need.check or attempt else view
            try:
                event, claimed = self._decide(message, seen, work, now, has_unknown_key=has_unknown_key)
            except StaleRead:
                continue
            except UnknownKey:
                has_unknown_key = True
                continue
            self.courier.take(claimed)
            return event
        raise StaleRead

    def _view(self, connection: Connection, message: IncomingMessage, now: datetime) -> View:
        found = conversations.view(
            connection,
            phone=message.phone,
            national_id=message.parsed.national_id,
            gateway=message.inbound.gateway,
            provider_id=message.inbound.provider_id,
            now=now,
        )
        if found.already_heard:
            raise AlreadyHeard
        return found

    def _need(self, message: IncomingMessage, view: View, now: datetime) -> Need:
        state, parsed = current_state(view, now), message.parsed
        has_live_code = view.phone_has_live_code or view.staff_has_live_code
        allowed = self.parts.settings.own_password_by_sms
        opted_out = view.opted_out_at is not None
        if not hands_back_code(
            parsed, state, has_live_code=has_live_code, own_password_allowed=allowed, opted_out=opted_out
        ):
            return Need(stats=view.staff_id is not None and parsed.intent is Intent.STAFF_STATS)
        brings = brings_password(parsed, state, own_password_allowed=allowed)
        own = message.brought.password if message.brought and brings else None
        return Need(check=True, generated=own is None and view.phone_has_live_code, own_password=own)

    def _prepare(self, message: IncomingMessage, view: View, need: Need, now: datetime) -> Precomputed:
        keyring = self.parts.keyring
        if need.generated:
            return Precomputed(need, generated=passwords.generate(self.parts.random_source, keyring))
        if need.own_password is not None:
            return Precomputed(need, own=passwords.hashed(keyring, need.own_password))
        return Precomputed(need, stats=self._count(view, now) if need.stats else None)

    def _count(self, view: View, now: datetime) -> daily_stats.DailyStats:
        """What STATS tells of a day."""
        assert view.staff_id is not None
        with self.parts.store.reading() as connection:
            scope = staff_context.scope_of(connection, view.staff_id)
            return daily_stats.since(connection, midnight_in_tehran(now), Command.RESET, **scope)

    def _decide(
        self,
        message: IncomingMessage,
        seen: View | None,
        work: Precomputed,
        now: datetime,
        *,
        has_unknown_key: bool,
    ) -> tuple[AnyEvent, list[ClaimedMessage]]:
        with self.parts.store.writing() as connection:
            if seen is None:
                conversations.lock(connection, message.phone)
                seen = self._view(connection, message, now)
            message = _as_sent_by(message, seen, now)
            if self._need(message, seen, now) != work.need:
                raise StaleRead
            state, season = current_state(seen, now), season_on(seen, now)
            ctx = MessageContext(message, seen, now, state, season, self.parts, work, has_unknown_key=has_unknown_key)
            event = self._apply(connection, ctx)
            # Written by the time now: the wait for the lock is part of the minute.
            claimed = self.courier.write(connection, ctx.texts, self.parts.clock())
            for alarm in ctx.alarms:
                alarms.raise_alarm(connection, alarm, staff=ctx.staff.member.id if ctx.staff else None)
        return event, claimed

    def _apply(self, connection: Connection, ctx: MessageContext) -> AnyEvent:
        parsed, inbound = ctx.message.parsed, ctx.message.inbound
        if ctx.view.staff_id is not None:
            ctx.staff = staff_context.load(connection, ctx.view.staff_id, parsed, self.parts.phone_numbers, ctx.now)
            if ctx.staff.member.removed_at is not None:
                raise StaleRead
        if ctx.work.need.check and not ctx.has_unknown_key:
            self._check(connection, ctx)
        facts = facts_of(ctx, flooded=self.flood_guard.flood.holds(ctx.view.account_mobile))
        event = classify(parsed, facts)
        state, decided = _step(ctx, event)
        if tries_beside_request(parsed, facts):
            decided = (*decided, WRONG_BESIDE_REQUEST)
        effects = within_reply_caps(decided, facts)
        if inbound.is_answered:
            effects = tuple(effect for effect in effects if not isinstance(effect, Reply))
        conversations.move(connection, ctx.phone, ctx.view.version, _values(ctx, event, state, effects))
        for effect in effects:
            apply(connection, ctx, effect)
        self.parts.trail.note(connection, ctx.now, *ctx.entries)
        inbound_messages.remember(
            connection,
            inbound.gateway,
            inbound.provider_id,
            event,
            ctx.now,
            answered=bool(ctx.texts),
            otherwise=AlreadyHeard,
        )
        return event

    def _check(self, connection: Connection, ctx: MessageContext) -> None:
        """Spend a try of every code that the phone may hand back, and then compare."""
        spent = codes.spend_at(connection, ctx.phone, ctx.now)
        if ctx.staff is not None:
            staff_id = ctx.staff.member.id
            spent += codes.spend_of_staff(connection, staff_id, CodePurpose.STAFF_ORDER, ctx.now)
        own = ctx.work.need.own_password
        digits = ctx.message.brought.code if ctx.message.brought and own is not None else ctx.message.parsed.code
        ctx.check = one_time_codes.check(connection, self.parts.keyring, spent, digits or "", ctx.now)
        right = ctx.check.right
        if right is None:
            return
        if right.account_id is None:
            assert ctx.staff is not None
            ctx.staff.confirm(connection, right.id)
            return
        ctx.account = accounts.get(connection, right.account_id)
        if own is not None:
            weak = password_policy.weaknesses(own, ctx.account)
            ctx.password = _VERDICTS[weak[0]] if weak else OwnPasswordVerdict.GOOD


def _as_sent_by(message: IncomingMessage, view: View, now: datetime) -> IncomingMessage:
    """The text as it is to be understood, now that it is known whether staff sent it."""
    if view.staff_id is None:
        return message
    return replace(message, parsed=as_staff_send_it(message.parsed, current_state(view, now)))


def _step(ctx: MessageContext, event: AnyEvent) -> tuple[State, tuple[Effect, ...]]:
    """Where the dialog with this phone stands then, and what is done."""
    if isinstance(event, StaffEvent):
        assert ctx.staff is not None
        return after_order(ctx.state, event), step(ctx.staff.state, event)[1]
    return step(ctx.state, event)


def _values(ctx: MessageContext, event: AnyEvent, state: State, effects: tuple[Effect, ...]) -> ConversationValues:
    view, now = ctx.view, ctx.now
    counted = within_hour(view, now)
    unparsed = _replies(effects, {UNPARSED_PER_HOUR})
    return ConversationValues(
        state=state,
        last_text_at=now,
        window_started_at=view.window_started_at if counted and view.window_started_at else now,
        language=ctx.text_language or view.language,
        ends_at=_ends_at(ctx, state, effects),
        opted_out_at=_opted_out_at(view, now, effects),
        requests_this_hour=(view.requests_this_hour if counted else 0) + _is_own_request(ctx, event),
        starts_this_hour=(view.starts_this_hour if counted else 0) + (OPTED_IN in effects),
        hints_this_hour=(view.hints_this_hour if counted else 0)
        + _replies(effects, {HINTS_PER_HOUR, STAFF_REPLIES_PER_HOUR}),
        unparsed_replies=unparsed_replies(view, now) + unparsed,
        unparsed_replied_at=now if unparsed else view.unparsed_replied_at,
    )


def _replies(effects: tuple[Effect, ...], caps: set[int]) -> int:
    return sum(isinstance(effect, Reply) and effect.per_hour in caps for effect in effects)


def _is_own_request(ctx: MessageContext, event: AnyEvent) -> bool:
    """Whether it is a request for a code, by a right ID; orders have limits of their own."""
    return isinstance(event, Event) and names_by_request(ctx.message.parsed)


def _ends_at(ctx: MessageContext, state: State, effects: tuple[Effect, ...]) -> datetime | None:
    sent = any(isinstance(effect, SendCode) for effect in effects)
    if state is ctx.state and ctx.view.ends_at is not None and not sent:
        return ctx.view.ends_at if state is not State.IDLE else None
    span = lasts(state)
    return ctx.now + span if span is not None else None


def _opted_out_at(view: View, now: datetime, effects: tuple[Effect, ...]) -> datetime | None:
    if any(isinstance(effect, OptOut) for effect in effects):
        return now
    return None if any(isinstance(effect, OptIn) for effect in effects) else view.opted_out_at
