"""What the bot says: a phrase key, a language and parameters make a text. The phrases are data, in languages/."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

# The longest a parameter can be, so that every phrase can be measured at its longest.
LONGEST: dict[str, str] = {
    "code": "9876543210",
    "minutes": "10",
    "hours": "24",
    "tries": "9",
    "digits": "10",
    "password": "k7mw-4qtz-9hdx",
    "phone": "+964123456789",
    "date": "2026/08/14",
    "domain": "d" * 17,
    "nid4": "6372",
    "mob4": "4567",
    "ref": "12345",
    "failures": "100",
    "codes": "9999",
    "passwords": "9999",
    "undelivered": "999",
    "done": "999",
    "resets": "12345 12:30 / 54321 12:41",
    "state": "s" * 14,
}

# Handed over as they are: they are typed in, dialled or read by a machine.
_VERBATIM = {"code", "password", "phone", "domain"}


@cache
def languages() -> Mapping[str, Mapping[str, Any]]:
    """Every language file's content, by its name (`fa`, `en`, …)."""
    folder = files("dialogs") / "languages"
    found = sorted(file.name for file in folder.iterdir() if file.name.endswith(".toml"))
    return {name.removesuffix(".toml"): tomllib.loads((folder / name).read_text("utf-8")) for name in found}


def say(phrase: str, language: str, parameters: Mapping[str, str]) -> str:
    """The text of a phrase. Numbers in it are written in the language's digits, but for what is to be typed."""
    book = languages()[language]
    digits = str.maketrans("0123456789", book["digits"])
    shown = {name: value if name in _VERBATIM else value.translate(digits) for name, value in parameters.items()}
    if "phone" in shown:
        shown["phone"] = dialled(shown["phone"])
    return str(book["phrases"][phrase]).format_map(shown)


def dialled(number: str) -> str:
    """A number as it is dialled in Iran: `+98` is `0`, any other `+` is `00`.

    Among right-to-left words a plus sign is shown at the wrong end.
    """
    return re.sub(r"^\+", "00", number.replace("+98", "0", 1) if number.startswith("+98") else number)
