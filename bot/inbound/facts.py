"""What the dialog is told: the facts, out of what the store knows."""

from datetime import datetime, timedelta

from bot.clock import today_in_tehran
from bot.inbound import staff_context
from bot.inbound.context import MessageContext
from bot.settings import Settings
from dialogs.tables.machine import revive, step
from dialogs.vocabulary import Allowance, Asker, Event, Facts, Naming, Season, State
from store.conversations import View

# Codes an hour to one account at the wish of phones that are not its own, so that nobody is pestered.
OTHER_PHONES_PER_HOUR = 2
# Requests an hour from one phone that can make the bot text others: more than a clerk's busy hour.
ASKS_PER_HOUR = 30
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def current_state(view: View, now: datetime) -> State:
    """Where the conversation stands at this moment, whether or not a sweep has been by."""
    return standing(view.state, view.ends_at, now)


def standing(name: str, ends_at: datetime | None, now: datetime) -> State:
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
    return view.window_started_at is not None and now - view.window_started_at < HOUR


def unparsed_replies(view: View, now: datetime) -> int:
    """How many replies to what was not understood count still: all, until an hour has passed since the last."""
    return view.shrugged if view.shrugged_at is not None and now - view.shrugged_at < HOUR else 0


def gather(turn: MessageContext, flooded: bool) -> Facts:
    """All that the dialog knows besides the text."""
    view, counted = turn.view, within_hour(turn.view, turn.now)
    asker = _asker(view, turn.text.phone)
    return Facts(
        state=turn.state,
        season=turn.season,
        asker=asker,
        allowance=_allowance(turn, asker, flooded),
        in_dialog=turn.state is not State.IDLE or view.phone_has_live_code or view.staff_confirms,
        guess=turn.attempt.guess if turn.attempt else None,
        offer=turn.choice.offer if turn.choice else None,
        own_password_allowed=turn.settings.own_password_by_sms,
        mobile_held=bool(view.phone_is_moving),
        staff=staff_context.facts(turn.desk, turn.text.heard, turn.text.phone) if turn.desk else None,
        opted_out=view.opted_out_at is not None,
        named_this_hour=turn.text.heard.naming is Naming.ONE or (counted and view.asked > 0),
        stop_confirmed_this_hour=view.stop_confirmed_at is not None and turn.now - view.stop_confirmed_at < HOUR,
        unparsed_replies_this_hour=unparsed_replies(view, turn.now),
        hints_this_hour=view.hinted if counted else 0,
    )


def _asker(view: View, phone: str) -> Asker:
    if view.account_id is None:
        return Asker.STRANGER
    return Asker.OWNER if view.account_mobile == phone else Asker.OTHER_PHONE


def _allowance(turn: MessageContext, asker: Asker, flooded: bool) -> Allowance:
    view, settings = turn.view, turn.settings
    if _is_fresh(view, turn.now, settings):
        return Allowance.TOO_SOON
    if asker is Asker.OWNER:
        spent = view.owner_codes_hour >= settings.codes_per_hour or view.owner_codes_day >= settings.codes_per_day
    else:
        spent = flooded or _may_not_ask_for_another(turn)
    return Allowance.TOO_OFTEN if spent else Allowance.YES


def _may_not_ask_for_another(turn: MessageContext) -> bool:
    view = turn.view
    asked = view.asked if within_hour(view, turn.now) else 0
    return (
        not turn.settings.other_phones
        or view.holder_opted_out
        or view.other_codes_hour >= OTHER_PHONES_PER_HOUR
        or asked >= ASKS_PER_HOUR
    )


def _is_fresh(view: View, now: datetime, settings: Settings) -> bool:
    # A code that was used, burned or dropped leaves nothing to wait for.
    if view.open_code_at is None or view.open_code_expires_at is None or not view.open_code_tries:
        return False
    wait = timedelta(seconds=settings.resend_after_seconds)
    return now < view.open_code_expires_at and now - view.open_code_at < wait
