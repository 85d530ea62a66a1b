"""How many texts a text makes on the air: GSM 03.38 septets where its characters allow, else UTF-16 units."""

from typing import NamedTuple

_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = "\f^{}\\[~]|€"
SEPTETS = {**dict.fromkeys(_BASIC, 1), **dict.fromkeys(_EXTENDED, 2)}


class Size(NamedTuple):
    """A text's length on the air. `units` are septets or UTF-16 units, `limit` is what one segment holds."""

    encoding: str
    units: int
    limit: int
    segments: int


def size(text: str) -> Size:
    """Measure a text as a carrier does (3GPP TS 23.038 and 23.040)."""
    if all(character in SEPTETS for character in text):
        return _size("GSM-7", sum(SEPTETS[character] for character in text), single=160, joined=153)
    return _size("UCS-2", len(text.encode("utf-16-le")) // 2, single=70, joined=67)


def _size(encoding: str, units: int, single: int, joined: int) -> Size:
    return Size(encoding, units, single, 1 if units <= single else -(-units // joined))
