"""Texts and receipts that a provider calls us with: in a query, a form or JSON, under names of its own."""

import hmac
from collections.abc import Callable, Iterable
from typing import Any

from bot.gateways.http.answer import NoSense, as_text, find, items, parse
from bot.ports import Call, Inbound, Malformed, Receipt, as_name
from bot.profiles.profile import Fields, InboundCall, Profile, ReceiptCall
from bot.profiles.values import stages

Look = Callable[[str], str]


def is_authentic(profile: Profile, call: Call, secret: str) -> bool:
    """Whether the call carries the secret where the profile says."""
    place, _, name = profile.secret.partition(":")
    if place == "path":
        given = call.url.partition("?")[0].rpartition("/")[2]
    else:
        given = (call.query if place == "query" else call.headers).get(name, "")
    return bool(secret) and hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())


def read_text(gateway: str, inbound: InboundCall, call: Call, name: Callable[[str, str, str], str]) -> Inbound:
    """The text that a call brings. Where the profile knows no id in it, it is called by `name(sender, text, date)`."""
    look = _looking_into(call)
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
    try:
        several = items(parse(call.body), receipts.items)
    except NoSense:
        raise Malformed("a list of receipts is needed") from None
    return found(gateway, receipts, named(several, receipts.id, receipts.status))


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
    kind = call.headers.get("Content-Type", "").lower()
    if "json" in kind or (not call.form and call.body[:1] in {b"{", b"["}):
        try:
            data = parse(call.body)
        except NoSense:
            raise Malformed("the body is no JSON") from None
        return lambda path: as_text(find(data, path)) or call.query.get(path, "")
    return lambda path: call.form.get(path) or call.query.get(path, "")
