"""The dialog as its users see it, on both databases: every file in transcripts/ is played."""

from typing import Any

import pytest

from tests.conftest import MakeBot
from tests.support.parts import Carrier, StoppedClock
from tests.support.people import employ, settled
from tests.support.places import TESTS
from tests.support.transcript import Player

FILES = sorted((TESTS / "transcripts").glob("*.txt"))


def scenes() -> list[Any]:
    """Every scene of every file: `== title` begins one, `== title | SETTING=value …` with other settings."""
    found = []
    for file in FILES:
        for title, lines in titled(file.read_text("utf-8")):
            name, _, changes = title.partition("|")
            chosen = dict(change.split("=", 1) for change in changes.split())
            found.append(pytest.param(chosen, lines, id=f"{file.stem}: {name.strip()}"))
    return found


def titled(written: str) -> list[tuple[str, str]]:
    """The scenes in a file's text: each one's title, and its lines."""
    found = [scene.partition("\n") for scene in f"\n{written}".split("\n== ")[1:]]
    return [(title, lines) for title, _, lines in found]


@pytest.mark.parametrize(("changes", "lines"), scenes())
def test_it_goes_as_written(
    changes: dict[str, str], lines: str, make_bot: MakeBot, carrier: Carrier, clock: StoppedClock
) -> None:
    bot = settled(make_bot(**changes))
    employ(bot.store)
    Player(bot, carrier, clock).play(lines)
