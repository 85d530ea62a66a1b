"""Telephone numbers: who may text the bot and be texted by it."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from phonenumbers import (
    SUPPORTED_REGIONS,
    NumberParseException,
    PhoneNumberFormat,
    PhoneNumberType,
    country_code_for_region,
    format_number,
    number_type,
    parse,
    region_code_for_number,
)

# Letters would be dialled as digits and "ext" read as an extension: only what a network writes may pass.
_WRITTEN = re.compile(r"\+?[0-9][0-9 ().-]{5,24}", re.ASCII)
REGIONS = frozenset(SUPPORTED_REGIONS)
_MOBILE = {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}


@dataclass(frozen=True)
class PhoneNumbers:
    """How numbers are read: the region of local ones, and the countries that are texted."""

    region: str
    countries: tuple[str, ...]

    def mobile(self, written: str) -> str | None:
        """A mobile number of an allowed country in E.164; None for anything else, short codes and names included."""
        return _mobile(written.strip(), self.region, self.countries)

    def prefixes_abroad(self) -> list[str]:
        """How the numbers of the allowed countries begin, but for the one at home: `+964`."""
        codes = (country_code_for_region(country) for country in self.countries if country != self.region)
        return sorted({f"+{code}" for code in codes if code})


@lru_cache(maxsize=4096)
def _mobile(written: str, region: str, countries: Collection[str]) -> str | None:
    if not _WRITTEN.fullmatch(written):
        return None
    try:
        number = parse(written, region)
    except NumberParseException:
        return None
    if number_type(number) not in _MOBILE or region_code_for_number(number) not in countries:
        return None
    return format_number(number, PhoneNumberFormat.E164)
