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
    example_number_for_type,
    format_number,
    number_type,
    parse,
    region_code_for_country_code,
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
    prefixes: tuple[str, ...] = ()  # ranges of mobiles that the metadata lacks, in E.164

    def mobile(self, written: str) -> str | None:
        """A mobile number of an allowed country in E.164; None for anything else, short codes and names included."""
        return _mobile(written.strip(), self.region, self.countries, self.prefixes)

    def prefixes_abroad(self) -> list[str]:
        """How the numbers of the allowed countries begin, but for the one at home: `+964`."""
        codes = (country_code_for_region(country) for country in self.countries if country != self.region)
        return sorted({f"+{code}" for code in codes if code})


@lru_cache(maxsize=4096)
def _mobile(written: str, region: str, countries: Collection[str], prefixes: tuple[str, ...]) -> str | None:
    if not _WRITTEN.fullmatch(written):
        return None
    try:
        number = parse(written, region)
    except NumberParseException:
        return None
    found = format_number(number, PhoneNumberFormat.E164)
    if found.startswith(prefixes) and len(found) == _length(number.country_code):
        return found
    known = number_type(number) in _MOBILE and region_code_for_number(number) in countries
    return found if known else None


def fault_of_prefix(prefix: str, countries: Collection[str] | None) -> str | None:
    """What is wrong with a range of mobiles that is given as a prefix; None where nothing is.

    Without countries it is judged by its form alone.
    """
    if not re.fullmatch(r"\+[0-9]{4,9}", prefix, re.ASCII):
        return "is no prefix like +98941"
    if countries is None:
        return None
    codes = {str(country_code_for_region(country)): country for country in countries}
    at_home = next((code for code in codes if prefix[1:].startswith(code) and len(prefix) > len(code) + 2), None)
    return None if at_home else f"is of no country among {', '.join(countries)}"


def _length(country_code: int | None) -> int:
    """How long a mobile number of a country is, in E.164."""
    if country_code is None:
        return 0
    example = example_number_for_type(region_code_for_country_code(country_code), PhoneNumberType.MOBILE)
    return len(format_number(example, PhoneNumberFormat.E164)) if example else 0
