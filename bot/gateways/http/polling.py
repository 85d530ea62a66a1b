"""Texts and receipts that a provider is asked for, because it does not call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bot.gateways.http.answer import NAME, NoSense, Reading, as_text, by_status, find, items, refused
from bot.platform.clock import TEHRAN
from bot.platform.http_client import HttpAnswer
from bot.ports import Inbound, PolledText, Reason, Receipt, SendFailed
from bot.profiles.profile import PollInbound, PollReceipts, Profile
from bot.profiles.values import stages

Name = Callable[[str, str, str], str]
LONGEST_CURSOR = 20
OLDEST = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class PolledPage:
    """One answer: its texts, each with what it is sorted by; how many items it had; where to go on from.

    `lost` items had no sender: there is nobody to answer.
    """

    texts: list[tuple[float, PolledText]]
    items: int
    cursor: str

    @property
    def lost(self) -> int:
        """How many items could not be read."""
        return self.items - len(self.texts)


def read_page(
    profile: Profile, gateway: str, asked: PollInbound, reply: HttpAnswer, cursor: str, name: Name
) -> PolledPage:
    """The texts of an answer. SendFailed where it has no list."""
    several = _listed(_data(profile, reply), asked.items)
    texts, furthest = [], cursor
    for each in several:
        reached = (as_text(find(each, asked.cursor)) or "") if asked.cursor else ""
        furthest = max(furthest, reached, key=_number)
        text = _text(gateway, asked, each, name)
        if text is not None:
            sent = (text.sent_at or OLDEST).timestamp()
            texts.append((_number(reached) if asked.cursor else sent, text))
    return PolledPage(texts, len(several), furthest)


def read_receipts(
    profile: Profile, gateway: str, asked: PollReceipts, reply: HttpAnswer, names: Sequence[str]
) -> list[Receipt]:
    """What an answer says of the texts that were asked for, and of no others. SendFailed where it says nothing."""
    data = _data(profile, reply)
    several = _listed(data, asked.items) if asked.items else [data]
    mapping = asked.map or (profile.receipts.map if profile.receipts else {})
    read = []
    for each in several:
        name = (as_text(find(each, asked.id)) if asked.id else names[0]) or ""
        status = as_text(find(each, asked.status)) or ""
        stage = stages(mapping, status)
        if name in names and stage is not None:
            read.append(Receipt(gateway, name, stage[0], stage[1], code=status if stage[1] else ""))
    return read


def _data(profile: Profile, reply: HttpAnswer) -> Any:
    """An answer's JSON. SendFailed where the provider refused: a list may be empty for that alone."""
    try:
        reading = Reading("json", reply.body)
    except NoSense:
        raise by_status(reply.status) from None
    if (failed := refused(profile, reply, reading, envelope=True)) is not None:
        raise failed
    return reading.data


def _listed(data: Any, path: str) -> list[Any]:
    try:
        return items(data, path)
    except NoSense:
        raise SendFailed(Reason.NO_SENSE, permanent=False, code="no list") from None


def _text(gateway: str, asked: PollInbound, item: Any, name: Name) -> PolledText | None:
    sender, words = as_text(find(item, asked.sender)) or "", as_text(find(item, asked.text)) or ""
    if not sender:
        return None
    date = (as_text(find(item, asked.date)) or "") if asked.date else ""
    given = (as_text(find(item, asked.id)) or "") if asked.id else ""
    # What was popped is here only: an id that can't be kept must not lose it.
    called = given if NAME.fullmatch(given) else name(sender, words, date)
    return PolledText(Inbound(gateway, called, sender, words), moment(date, asked.date_is))


def moment(date: str, written: str) -> datetime | None:
    """A provider's date as a time; None for what is none."""
    try:
        if written == "unix":
            return datetime.fromtimestamp(float(date), UTC)
        found = datetime.fromisoformat(date)
    except (ValueError, OverflowError, OSError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=TEHRAN if written == "tehran" else UTC)


def _number(cursor: str) -> float:
    # What is too long for a number of theirs is none: it could not be kept, and nothing would be fetched any more.
    return int(cursor) if cursor.isdecimal() and len(cursor) <= LONGEST_CURSOR else -1
