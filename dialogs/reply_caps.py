"""How many replies an hour go to one phone: those beyond it are left out, and the last one says that it is the last."""

from collections.abc import Iterable

from dialogs.limits import (
    HINTS_PER_HOUR,
    REPLIES_WITHOUT_ID_PER_HOUR,
    STAFF_REPLIES_PER_HOUR,
    STARTS_PER_HOUR,
    UNPARSED_PER_HOUR,
)
from dialogs.vocabulary import Effect, Facts, OptIn, Reply

LAST_REPLY = "last_reply"
# Counted by STARTS_PER_HOUR alone.
OPTED_IN = Reply("opted_in")


def within_reply_caps(effects: Iterable[Effect], facts: Facts) -> tuple[Effect, ...]:
    """The effects without the replies that are beyond the phone's cap. Effects that are no replies stay."""
    effects = tuple(effects)
    allowed = tuple(each for effect in effects if (each := _allowed(effect, facts)) is not None)
    is_silent = len(allowed) < len(effects)
    ends_stop = facts.opted_out and any(isinstance(effect, OptIn) for effect in effects)
    return _saying_that_stop_ends(effects, facts) if ends_stop and is_silent else allowed


def _saying_that_stop_ends(effects: tuple[Effect, ...], facts: Facts) -> tuple[Effect, ...]:
    """The effects of a request that ends a STOP, and whose reply is beyond the cap: that it ends is said in its place.

    As often as it is said to START; a STOP is not ended after that.
    """
    if facts.starts_this_hour < STARTS_PER_HOUR:
        return tuple(OPTED_IN if isinstance(effect, Reply) else effect for effect in effects)
    return tuple(effect for effect in effects if not isinstance(effect, Reply | OptIn))


def _allowed(effect: Effect, facts: Facts) -> Effect | None:
    if not isinstance(effect, Reply) or effect.per_hour is None:
        return effect
    left = _left(effect.per_hour, facts)
    if left <= 0:
        return None
    return Reply(LAST_REPLY, effect.per_hour) if left == 1 else effect


def _left(per_hour: int, facts: Facts) -> int:
    """How many replies the phone may still have, this one with them."""
    hints, unparsed = facts.hints_this_hour, facts.unparsed_replies_this_hour
    left = per_hour - unparsed if per_hour == UNPARSED_PER_HOUR else _most_hints(facts) - hints
    if facts.named_this_hour or facts.staff is not None:
        return left
    return min(left, REPLIES_WITHOUT_ID_PER_HOUR - hints - unparsed)


def _most_hints(facts: Facts) -> int:
    return HINTS_PER_HOUR if facts.staff is None else STAFF_REPLIES_PER_HOUR
