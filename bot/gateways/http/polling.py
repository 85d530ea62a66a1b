"""Texts and receipts that a provider is asked for, because it does not call."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, tzinfo
from math import inf
from typing import Any

from bot.gateways.http.answer import (
    NAME,
    NoSense,
    Nothing,
    Reading,
    as_text,
    by_status,
    envelope,
    find,
    items,
    kept_id,
    refused,
)
from bot.platform.clock import JALALI_YEARS, TEHRAN, read_day
from bot.platform.http_client import HttpAnswer
from bot.ports import Inbound, PolledText, Reason, Receipt, SendFailed
from bot.profiles.profile import PollInbound, PollReceipts, Profile
from bot.profiles.values import stages
from dialogs.parsing.normalise import fold

Name = Callable[[str, str, str], str]
Order = tuple[float, str]
LONGEST_CURSOR = 20
OLDEST = datetime(1970, 1, 1, tzinfo=UTC)
NO_CONTENT = 204
LATEST_SECOND = 1e11
# What datetime.fromisoformat does not read: slashes, single digits, Jalali years.
DATE = re.compile(
    r"(([0-9]{4})[-/][0-9]{1,2}[-/][0-9]{1,2})(?:[T ,]+([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.[0-9]+)?)?)?"
)


@dataclass(frozen=True)
class PolledPage:
    """One answer: its texts, each with what it is sorted by; how many items it had; where to go on from.

    `lost` items had no sender: there is nobody to answer.
    """

    texts: list[tuple[Order, PolledText]]
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
    several = _listed(profile, asked, reply)
    texts, furthest = [], cursor
    for each in several:
        reached = (as_text(find(each, asked.cursor)) or "") if asked.cursor else ""
        furthest = max(furthest, reached, key=_order)
        text = _text(gateway, asked, each, name)
        if text is not None:
            sent = (text.sent_at or OLDEST).timestamp()
            texts.append((_order(reached) if asked.cursor else (sent, ""), text))
    return PolledPage(texts, len(several), furthest)


def read_receipts(
    profile: Profile, gateway: str, asked: PollReceipts, reply: HttpAnswer, names: Sequence[str]
) -> list[Receipt]:
    """What an answer says of the texts that were asked for, and of no others. SendFailed where it says nothing."""
    several = _listed(profile, asked, reply)
    mapping = asked.map or (profile.receipts.map if profile.receipts else {})
    read = []
    for each in several:
        name = (as_text(find(each, asked.id)) if asked.id else names[0]) or ""
        status = as_text(find(each, asked.status)) or ""
        stage = stages(mapping, status)
        if name in names and stage is not None:
            read.append(Receipt(gateway, name, stage[0], stage[1], code=status if stage[1] else ""))
    return read


def _listed(profile: Profile, asked: PollInbound | PollReceipts, reply: HttpAnswer) -> list[Any]:
    """The items of an answer. SendFailed where the provider refused: a list may be empty for that alone.

    Where it says that all is well, no list is one of nothing.
    """
    if reply.status == NO_CONTENT:
        return []
    try:
        reading = Reading("json", reply.body, reply.content_type)
    except NoSense:
        raise by_status(reply.status) from None
    wanted = envelope(profile, reading) if asked.accepted is None else asked.accepted
    if (failed := refused(profile, reply, reading, wanted)) is not None:
        raise failed
    single = asked.status if isinstance(asked, PollReceipts) and not asked.items else ""
    if find(reading.data, single or asked.items) is Nothing:
        if wanted:
            return []
        raise _senseless()
    try:
        return [reading.data] if single else items(reading.data, asked.items)
    except NoSense:
        raise _senseless() from None


def _senseless() -> SendFailed:
    return SendFailed(Reason.NO_SENSE, permanent=False, code="no list")


def _text(gateway: str, asked: PollInbound, item: Any, name: Name) -> PolledText | None:
    sender, words = as_text(find(item, asked.sender)) or "", as_text(find(item, asked.text)) or ""
    if not sender:
        return None
    date = (as_text(find(item, asked.date)) or "") if asked.date else ""
    given = (as_text(find(item, asked.id)) or "") if asked.id else ""
    # What was popped is here only: an id that can't be kept must not lose it.
    called = kept_id(given) if given else name(sender, words, date)
    return PolledText(Inbound(gateway, called, sender, words), moment(date, asked.date_is))


def moment(date: str, written: str) -> datetime | None:
    """A provider's date as a time; None for what is none. A Jalali one, which its year tells, is Tehran's."""
    date = fold(date).strip().upper()
    try:
        if written == "unix":
            return datetime.fromtimestamp(_seconds(float(date)), UTC)
        if parts := DATE.fullmatch(date):
            return _local(parts, TEHRAN if written == "tehran" or int(parts[2]) in JALALI_YEARS else UTC)
        found = datetime.fromisoformat(date)
    except (ValueError, OverflowError, OSError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=TEHRAN if written == "tehran" else UTC)


def _seconds(since_1970: float) -> float:
    # Nobody sends a text in the year 5138 or later: then they are thousandths, or thousandths of those.
    return next((since_1970 / unit for unit in (1, 1e3, 1e6, 1e9) if since_1970 / unit <= LATEST_SECOND), inf)


def _local(parts: re.Match[str], zone: tzinfo) -> datetime:
    hour, minute, second = (int(part or 0) for part in parts.group(3, 4, 5))
    return datetime.combine(read_day(parts[1]), time(hour, minute, second), zone)


def _order(cursor: str) -> Order:
    """What comes after what: numbers, then words by their letters, as ISO dates and such ids go; nothing before all."""
    if cursor.isdecimal() and cursor.isascii() and len(cursor) <= LONGEST_CURSOR:
        return int(cursor), ""
    # What is too long could not be kept, and nothing would be fetched any more.
    return (inf, cursor) if NAME.fullmatch(cursor) else (-1, "")
