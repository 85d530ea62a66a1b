"""What the columns of a list are called, by whoever has made it: in English, Persian or Arabic."""

import re

from bot.accounts.csv_cells import NEEDED, OPTIONAL, value
from dialogs.parsing.normalise import fold

# What a rejects file has besides, and many lists: a row's number.
IGNORED = ("line", "reason")
KNOWN = frozenset({*NEEDED, *OPTIONAL, *IGNORED})
_ALSO = {
    "national_id": ("کد ملی", "شماره ملی", "الرقم الوطني"),
    "username": ("نام کاربری", "اسم المستخدم"),
    "mobile": (
        "موبایل",
        "شماره موبایل",
        "همراه",
        "شماره همراه",
        "تلفن همراه",
        "شماره تلفن همراه",
        "الجوال",
        "رقم الجوال",
    ),
    "full_name": ("نام و نام خانوادگی", "الاسم الكامل"),
    "province": ("استان", "المحافظة"),
    "broker": ("کارگزار", "کارگزار زیارتی", "الوكيل"),
    "language": ("زبان", "اللغة"),
    "password": ("رمز عبور", "گذرواژه", "كلمة المرور"),
    "active": ("فعال", "نشط"),
    "line": ("ردیف", "شماره ردیف"),
}
# What a clerk adds for whoever fills the list in: `mobile (without 0)`.
_BRACKETED = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")


def _key(words: str) -> str:
    """A name as it is compared: letters and digits alone."""
    return "".join(filter(str.isalnum, _BRACKETED.sub("", fold(words))))


_COLUMNS = {_key(name): name for name in KNOWN} | {
    _key(name): column for column, names in _ALSO.items() for name in names
}


def name(cell: str) -> str:
    """The column that a header's cell names; where it names none, its words, and of an empty one nothing."""
    words = value(cell)
    return _COLUMNS.get(_key(words)) or re.sub("[ -]+", "_", fold(words).strip())
