"""Texts and receipts that a provider calls us with: in a query, a form or JSON, under names of its own."""

import hmac
from collections.abc import Callable, Iterable
from typing import Any

from bot.gateways.http.answer import NoSense, as_text, find, items, parse
from bot.ports import Call, Inbound, Malformed, Receipt, as_name
from bot.profiles.profile import Fields, InboundCall, Profile, ReceiptCall
from bot.profiles.values import stages

Look = Callable[[str], str]
Name = Callable[[str, str, str], str]
BEFORE_JSON = b"\xef\xbb\xbf \t\r\n"


def is_authentic(profile: Profile, call: Call, secret: str) -> bool:
    """Whether the call carries the secret where the profile says."""
    place, _, name = profile.secret.partition(":")
    if place == "path":
        given = call.url.partition("?")[0].rpartition("/")[2]
    else:
        given = (call.query if place == "query" else call.headers).get(name, "")
    return bool(secret) and hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())


def read_texts(gateway: str, inbound: InboundCall, call: Call, name: Name) -> list[Inbound]:
    """The texts that a call brings. Where the profile knows no id in one, it is called by `name(sender, text, date)`.

    Of several, those that can't be read are left out, unless none can.
    """
    if not inbound.items:
        return [_text(gateway, inbound, _looking_into(call), name)]
    several = _listed(call, inbound.items, "texts")
    read = [text for each in several if (text := _text_of(gateway, inbound, each, name)) is not None]
    if several and not read:
        raise Malformed("no text of the list has what it needs")
    return read


def _text_of(gateway: str, inbound: InboundCall, item: Any, name: Name) -> Inbound | None:
    try:
        return _text(gateway, inbound, lambda path: as_text(find(item, path)) or "", name)
    except Malformed:
        return None


def _text(gateway: str, inbound: InboundCall, look: Look, name: Name) -> Inbound:
    sender, words = look(inbound.sender), written(inbound, look)
    if not sender:
        raise Malformed(f"{inbound.sender} is needed")
    if inbound.id:
        return Inbound(gateway, as_name(look(inbound.id)), sender, words)
    return Inbound(gateway, name(sender, words, look(inbound.date) if inbound.date else ""), sender, words)


def written(fields: Fields, look: Look) -> str:
    """A text's words; in a line of hexadecimal UTF-16 where the profile says when."""
    special = fields.hex16
    if special is None or look(special["where"]) != special["is"]:
        return look(fields.text)
    try:
        return bytes.fromhex(look(special["text"])).decode("utf-16-be", "replace")
    except ValueError:
        return look(fields.text)


def read_receipts(gateway: str, receipts: ReceiptCall, call: Call) -> list[Receipt]:
    """What a call says of texts. Of several, those that can't be read are left out; one alone must have an id."""
    if not receipts.items:
        look = _looking_into(call)
        return found(gateway, receipts, [(as_name(look(receipts.id)), look(receipts.status))])
    return found(gateway, receipts, named(_listed(call, receipts.items, "receipts"), receipts.id, receipts.status))


def _listed(call: Call, path: str, what: str) -> list[Any]:
    try:
        return items(parse(call.body, call.headers.get("Content-Type", "")), path)
    except NoSense:
        raise Malformed(f"a list of {what} is needed") from None


def named(several: Iterable[Any], id_path: str, status_path: str) -> list[tuple[str, str]]:
    """The ids and states of a list's items, but for those without an id that can be kept."""
    pairs = []
    for each in several:
        try:
            pairs.append((as_name(as_text(find(each, id_path)) or ""), as_text(find(each, status_path)) or ""))
        except Malformed:
            continue
    return pairs


def found(gateway: str, receipts: ReceiptCall, pairs: Iterable[tuple[str, str]]) -> list[Receipt]:
    """Receipts in our words, but for states that the profile does not know."""
    read = [(name, status, stages(receipts.map, status)) for name, status in pairs]
    return [
        Receipt(gateway, name, stage[0], stage[1], code=status if stage[1] else "")
        for name, status, stage in read
        if stage is not None
    ]


def _looking_into(call: Call) -> Look:
    kind = call.headers.get("Content-Type", "")
    # Some say that their JSON is a form; a form has no bracket of its own.
    if ("json" in kind.lower() and call.body.strip()) or call.body.lstrip(BEFORE_JSON)[:1] in {b"{", b"["}:
        try:
            data = parse(call.body, kind)
        except NoSense:
            raise Malformed("the body is no JSON") from None
        return lambda path: as_text(find(data, path)) or call.query.get(path, "")
    return lambda path: call.form.get(path) or call.query.get(path, "")
