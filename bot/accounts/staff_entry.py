"""What is written of a staff member, by a command or at the console: checked, and put as the store keeps it."""

from bot.platform.phone_numbers import PhoneNumbers
from dialogs.parsing.normalise import fold, place_name
from dialogs.staff_vocabulary import Role
from store.staff import NewMember

LONGEST_NAME, LONGEST_PLACE = 120, 60
PLACE_OF = {Role.PROVINCIAL: "province", Role.BROKER: "broker"}


class BadEntry(ValueError):
    """Something that can't be taken; `field` is where it stands: mobile, role, name, province, broker."""

    def __init__(self, field: str, words: str) -> None:
        """Say what is wrong."""
        super().__init__(words)
        self.field = field


def read(
    phone_numbers: PhoneNumbers, *, mobile: str, role: str, name: str, province: str = "", broker: str = ""
) -> NewMember:
    """A staff member, to be written. BadEntry names the first field that can't be taken."""
    if role not in list(Role):
        raise BadEntry("role", f"must be one of {', '.join(Role)}")
    number, words = read_mobile(phone_numbers, mobile), _words("name", name, LONGEST_NAME)
    return NewMember(number, role, words, **_place(Role(role), {"province": province, "broker": broker}))


def read_mobile(phone_numbers: PhoneNumbers, written: str) -> str:
    """A mobile number, in E.164. BadEntry where it is none."""
    number = phone_numbers.mobile(fold(written))
    if number is None:
        raise BadEntry("mobile", f"not a mobile number of {', '.join(phone_numbers.countries)}")
    return number


def _place(role: Role, given: dict[str, str]) -> dict[str, str]:
    wanted = PLACE_OF.get(role)
    for name, value in given.items():
        if value and name != wanted:
            raise BadEntry(name, f"is not for the role {role}")
    return {wanted: _words(wanted, place_name(given[wanted]), LONGEST_PLACE)} if wanted else {}


def _words(field: str, written: str, longest: int) -> str:
    words = " ".join(written.split())
    # The half-space is how Persian names are written, though nothing of it can be seen.
    seen = words.replace("\u200c", "")
    if not (seen.isprintable() and seen and len(words) <= longest):
        raise BadEntry(field, f"must be 1 to {longest} printable characters")
    return words
