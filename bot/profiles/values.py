"""What the values in a provider's file mean: reasons, statuses, paths into an answer."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator

from bot.ports import Reason
from store.tables import DeliveryStatus

DELIVERY_STATUSES = {
    "accepted": DeliveryStatus.ACCEPTED,
    "sending": DeliveryStatus.SENDING,
    "sent": DeliveryStatus.SENT,
    "delivered": DeliveryStatus.DELIVERED,
}
# Ours alone: no provider says them.
OURS = {Reason.KEY_REMOVED, Reason.NO_TEMPLATE}
REASONS = {reason.value: reason for reason in Reason if reason not in OURS}
# What can be the text's or its number's own fault, so that no other line would do better.
OF_THE_TEXT = {Reason.NOT_A_MOBILE, Reason.OPTED_OUT, Reason.SPAM, Reason.NO_SENSE, Reason.EXPIRED}
NO_PATH = "is no path: names and places in lists, with dots between, as entries.0.id"
STEPS = re.compile(r"[^.\s]+(\.[^.\s]+)*")


class Verdict(NamedTuple):
    """What an error of the provider's means; `permanent` as SendFailed has it."""

    reason: Reason
    permanent: bool


def _verdict(word: Any) -> Any:
    if not isinstance(word, str):
        raise ValueError(f"must be a reason in quotes; the reasons are {', '.join(REASONS)}")
    reason = REASONS.get(word.removesuffix("!"))
    if reason is None:
        raise ValueError(f"{word} is no reason; the reasons are {', '.join(REASONS)}")
    if word.endswith("!") and reason not in OF_THE_TEXT:
        raise ValueError(f"{reason} is never final: another line may deliver")
    return Verdict(reason, word.endswith("!"))


def _text(value: Any) -> Any:
    """A text; a number or a yes or no that stands without quotes as it is compared and sent: 1, true."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else value


def _stage(word: Any) -> Any:
    if isinstance(word, str) and word not in DELIVERY_STATUSES and word not in REASONS:
        raise ValueError(f"{word} is neither {', '.join(DELIVERY_STATUSES)} nor a reason: {', '.join(REASONS)}")
    return word


def check_path(text: Any) -> Any:
    """A path into an answer, as it is. ValueError where it is none."""
    if isinstance(text, str) and not is_path(text):
        raise ValueError(f"{text!r} {NO_PATH}")
    return text


def is_path(text: str) -> bool:
    """Whether a text is a path: names with dots between; a dot alone is the whole, and nothing what is not given."""
    return text in {"", "."} or STEPS.fullmatch(text) is not None


Errors = dict[str, Annotated[Verdict, BeforeValidator(_verdict)]]
Stages = dict[str, Annotated[str, BeforeValidator(_stage)]]
Path = Annotated[str, BeforeValidator(check_path)]
Text = Annotated[str, BeforeValidator(_text)]
Texts = dict[str, Text]


def stages(mapping: Mapping[str, str], status: str) -> tuple[DeliveryStatus, Reason | None] | None:
    """How far a text has come, in our words, by the provider's; None for a word that the profile does not have."""
    word = mapping.get(status)
    if word is None:
        return None
    return (DELIVERY_STATUSES[word], None) if word in DELIVERY_STATUSES else (DeliveryStatus.FAILED, REASONS[word])
