"""The order of evidence: what a text means, by a table that is read from the top.

Hard evidence stands first: a code that is awaited, then a national ID. Then come commands, which must be the whole
text. Single words decide only what is left. What does harm where it was not meant (opting out, voiding a code,
spending a try) takes stronger evidence than a hint does.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from dialogs.vocabulary import Evidence, Intent

E = Evidence


class Rule(NamedTuple):
    """Where all of `given` is there and nothing of `unless`, the text means this."""

    name: str
    given: frozenset[Evidence]
    means: Intent
    unless: frozenset[Evidence] = frozenset()

    def holds(self, evidence: frozenset[Evidence]) -> bool:
        """Whether the rule decides a text of this evidence."""
        return self.given <= evidence and self.unless.isdisjoint(evidence)


def _rule(name: str, *given: Evidence, means: Intent, unless: Sequence[Evidence] = ()) -> Rule:
    return Rule(name, frozenset(given), means, frozenset(unless))


# From the top: the first rule that holds decides.
RULES: Sequence[Rule] = (
    # 1. A code that is awaited. A wrong one beside an ID and a keyword turns out to be a request (dialogs/classify.py).
    _rule("a run as long as a code, where one is out", E.CODE, E.CODE_IS_OUT, means=Intent.CODE),
    # 2. A national ID.
    _rule("an ID and a plain refusal", E.ID, E.REFUSED, means=Intent.UNKNOWN),
    _rule("a number that is no person's", E.ID, E.LABELLED, means=Intent.UNKNOWN),
    _rule("an ID and a status, from staff", E.ID, E.STATUS, E.FROM_STAFF, means=Intent.STAFF_STATUS),
    _rule("an ID to be unlocked, from staff", E.ID, E.UNLOCK, E.FROM_STAFF, means=Intent.STAFF_UNLOCK),
    _rule("an ID and its mobile, from staff", E.ID, E.WANTS_MOBILE, E.FROM_STAFF, means=Intent.STAFF_MOBILE),
    _rule("staff's order, from somebody else", E.ID, E.ORDER_ALONE, means=Intent.UNKNOWN, unless=(E.RESET,)),
    _rule("an ID and a change", E.ID, E.WANTS_CHANGE, means=Intent.CHANGE),
    _rule("an ID and a reset", E.ID, E.RESET, means=Intent.STAFF_RESET),
    _rule("an ID and a code, nothing asked", E.ID, E.CODE, means=Intent.CODE, unless=(E.ASKS,)),
    _rule("an ID", E.ID, means=Intent.RECOVER),
    # 3. Commands: whole texts.
    _rule("stop, and nothing else", E.STOP_COMMAND, means=Intent.OPT_OUT),
    _rule("cancel, and nothing else", E.CANCEL_COMMAND, means=Intent.CANCEL),
    _rule("start, and nothing else", E.START_COMMAND, means=Intent.OPT_IN),
    _rule("help, and nothing else", E.HELP_COMMAND, means=Intent.HELP),
    # 4. Words.
    _rule("a negation", E.NEGATED, means=Intent.UNKNOWN),
    _rule("what is sold", E.SELLS, means=Intent.UNKNOWN),
    _rule("figures, from staff", E.STATS, E.FROM_STAFF, means=Intent.STAFF_STATS),
    _rule("a status, from staff", E.WANTS_STATUS, E.FROM_STAFF, means=Intent.STAFF_STATUS),
    _rule("somebody to be unlocked, from staff", E.WANTS_UNLOCK, E.FROM_STAFF, means=Intent.STAFF_UNLOCK),
    _rule("a mobile, from staff", E.WANTS_MOBILE, E.FROM_STAFF, means=Intent.STAFF_MOBILE),
    _rule("staff's word for a reset, from staff", E.ORDER_ALONE, E.RESET, E.FROM_STAFF, means=Intent.STAFF_RESET),
    _rule("staff's words, from somebody else", E.ORDER_ALONE, means=Intent.UNKNOWN, unless=(E.RESET,)),
    _rule("a wish for help", E.WANTS_HELP, means=Intent.HELP),
    _rule("a wish for a change", E.WANTS_CHANGE, means=Intent.CHANGE),
    _rule("a reset of somebody", E.RESET, E.BADLY_NAMED, means=Intent.STAFF_RESET),
    _rule("a code", E.BRINGS_CODE, means=Intent.CODE),
    _rule("a wish for a password", E.WANTS_RECOVERY, means=Intent.RECOVER),
    _rule("a code that has not come", E.LACKS_CODE, means=Intent.RECOVER),
    _rule("a number in the place of an ID, and little else", E.NAMES_ITSELF, means=Intent.RECOVER),
)
NOTHING = Rule("nothing that is known here", frozenset(), Intent.UNKNOWN)


@lru_cache(maxsize=4096)  # there are few sets of evidence that texts give
def decide(evidence: frozenset[Evidence]) -> Rule:
    """The first rule that holds; the one for nothing where none does."""
    return next((rule for rule in RULES if rule.holds(evidence)), NOTHING)
