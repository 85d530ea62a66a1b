"""What the dialog is told: the facts, out of what the store knows."""

from datetime import datetime, timedelta

from bot.inbound import staff_context
from bot.inbound.context import MessageContext
from bot.platform.clock import today_in_tehran
from bot.settings import Settings
from dialogs.classify import is_request
from dialogs.limits import OTHER_PHONES_PER_HOUR
from dialogs.tables.machine import revive, step
from dialogs.vocabulary import (
    Allowance,
    Asker,
    CodePurpose,
    CodeResult,
    Event,
    Facts,
    Naming,
    ParsedMessage,
    Season,
    State,
)
from store.conversations import View
from store.service.clock_set_back import APART

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def current_state(view: View, now: datetime) -> State:
    """Where the conversation stands at this moment, whether or not the job that ends overdue states has run."""
    return state_of(view.state, view.ends_at, now)


def state_of(name: str, ends_at: datetime | None, now: datetime) -> State:
    """The state that a row's name means at this moment."""
    state = revive(name)
    if ends_at is not None and ends_at <= now:
        state, _ = step(state, Event.TIMED_OUT)
    return state


def season_on(view: View, now: datetime) -> Season:
    """Whether the Umrah operation is on, by Tehran's clock; always, where none is set."""
    if view.opens is None or view.closes is None:
        return Season.OPEN
    today = today_in_tehran(now)
    if today < view.opens:
        return Season.OPENS_LATER
    return Season.OPEN if today <= view.closes else Season.CLOSED


def within_hour(view: View, now: datetime) -> bool:
    """Whether the counts of replies are still of this hour."""
    return _is_of_late(view.window_started_at, now)


def unparsed_replies(view: View, now: datetime) -> int:
    """How many replies to what was not understood count still: all, until an hour has passed since the last."""
    return view.unparsed_replies if _is_of_late(view.unparsed_replied_at, now) else 0


def _is_of_late(moment: datetime | None, now: datetime) -> bool:
    """Whether something was within the hour. One of a time to come was not: the clock was set back."""
    return moment is not None and -APART < now - moment < HOUR


def facts_of(ctx: MessageContext, *, flooded: bool) -> Facts:
    """All that the dialog knows besides the text."""
    view, counted = ctx.view, within_hour(ctx.view, ctx.now)
    asker = _asker(view, ctx.phone)
    result, purpose = _result(ctx)
    return Facts(
        state=ctx.state,
        season=ctx.season,
        asker=asker,
        allowance=_allowance(ctx, asker, flooded=flooded),
        in_dialog=ctx.state is not State.IDLE or view.phone_has_live_code or view.staff_has_live_code,
        result=result,
        purpose=purpose,
        was_last_try=ctx.check is not None and ctx.check.right is not None and not ctx.check.right.tries_left,
        password=ctx.password,
        own_password_allowed=ctx.parts.settings.own_password_by_sms,
        mobile_held=bool(view.phone_is_moving),
        staff=staff_context.facts(ctx.staff, ctx.phone) if ctx.staff else None,
        opted_out=view.opted_out_at is not None,
        named_this_hour=names_by_request(ctx.message.parsed) or (counted and view.requests_this_hour > 0),
        starts_this_hour=view.starts_this_hour if counted else 0,
        unparsed_replies_this_hour=unparsed_replies(view, ctx.now),
        hints_this_hour=view.hints_this_hour if counted else 0,
    )


def names_by_request(parsed: ParsedMessage) -> bool:
    """Whether a text asks for a code by a right ID. A code beside one asks for nothing."""
    return is_request(parsed) and parsed.naming is Naming.ONE


def _result(ctx: MessageContext) -> tuple[CodeResult | None, CodePurpose | None]:
    if ctx.has_unknown_key:
        return CodeResult.UNKNOWN_KEY, None
    return (ctx.check.result, ctx.check.purpose) if ctx.check else (None, None)


def _asker(view: View, phone: str) -> Asker:
    if view.account_id is None:
        return Asker.STRANGER
    return Asker.OWNER if view.account_mobile == phone else Asker.OTHER_PHONE


def _allowance(ctx: MessageContext, asker: Asker, *, flooded: bool) -> Allowance:
    view, settings = ctx.view, ctx.parts.settings
    if _is_fresh(view, ctx.now, settings):
        return Allowance.TOO_SOON
    if asker is Asker.OWNER:
        spent = view.owner_codes_hour >= settings.codes_per_hour or view.owner_codes_day >= settings.codes_per_day
    else:
        spent = flooded or _may_not_ask_for_another(view, settings)
    return Allowance.TOO_OFTEN if spent else Allowance.YES


def _may_not_ask_for_another(view: View, settings: Settings) -> bool:
    # The account's own budget, whichever phone asks: a helper's number can be forged, and must not be silenced so.
    return not settings.other_phones or view.holder_opted_out or view.other_codes_hour >= OTHER_PHONES_PER_HOUR


def _is_fresh(view: View, now: datetime, settings: Settings) -> bool:
    # A code that was used, burned or dropped leaves nothing to wait for.
    if view.open_code_at is None or view.open_code_expires_at is None or not view.open_code_tries:
        return False
    wait = timedelta(seconds=settings.resend_after_seconds)
    return now < view.open_code_expires_at and now - view.open_code_at < wait
