"""The way of one text through the code: `python -m tests.support.way` walks a request from `hear` to its commit.

It prints the files in the order in which the text comes to them, how many there are, how often a call goes from one
file to another, and how often from one top folder to another. Caches are warm, as in a process that serves.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from bot.build import Bot, build
from bot.ports import Inbound
from store.database import migrate
from store.database.engine import Store
from tests.support.parts import CHEAP, Carrier, LoadedRandomSource, StoppedClock, settings
from tests.support.people import OMID, ZAHRA, settled
from tests.support.places import ROOT

OURS = {"bot", "dialogs", "store", "webhooks"}


@dataclass
class Way:
    """What was called, by whom: our files only."""

    files: list[str] = field(default_factory=list)
    hops: int = 0
    changes: int = 0
    on: list[str] = field(default_factory=list)

    def __call__(self, frame: FrameType, what: str, _argument: Any) -> None:
        """Note a call of ours from another file of ours; what lies between is a library's."""
        here = named(frame)
        if here is None:
            return
        if what == "call":
            before = self.on[-1] if self.on else here
            self.hops += here != before
            self.changes += here.partition("/")[0] != before.partition("/")[0]
            if here not in self.files:
                self.files.append(here)
            self.on.append(here)
        elif what == "return" and self.on:
            self.on.pop()


def named(frame: FrameType) -> str | None:
    """A frame's file, from the root on, where it is ours."""
    path = Path(frame.f_code.co_filename)
    name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else ""
    return name if name.partition("/")[0] in OURS else None


def walked(work: Callable[[], object]) -> Way:
    """The way that some work takes."""
    way = Way()
    sys.setprofile(way)
    try:
        work()
    finally:
        sys.setprofile(None)
    return way


def made_bot(folder: Path) -> Bot:
    """A bot on SQLite that knows everybody and sends nothing by itself."""
    store = Store(f"sqlite:///{folder}/way.db")
    migrate.upgrade(store)
    parts = {"clock": StoppedClock(), "random_source": LoadedRandomSource(), "gateways": [Carrier()], "store": store}
    return settled(build(settings(), cost=CHEAP, **parts))  # type: ignore[arg-type]


def main() -> None:
    """Walk one request for a code, after another person's has filled the caches."""
    with tempfile.TemporaryDirectory() as folder:
        bot = made_bot(Path(folder))
        bot.hear(Inbound("simulated", "M1", OMID["mobile"], f"رمز {OMID['national_id']}"))
        text = Inbound("simulated", "M2", ZAHRA["mobile"], f"رمز {ZAHRA['national_id']}")
        way = walked(lambda: bot.hear(text))
        bot.stop()
    print("\n".join(way.files))
    print(f"{len(way.files)} files, {way.hops} hops between files, {way.changes} changes of top folder")


if __name__ == "__main__":
    main()
