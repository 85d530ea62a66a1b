"""A trial's state: how far its clock is ahead, and which faults its simulated carrier has.

One file holds it, so that all processes agree. Only `make run` and the phones beside it live in it; a service for
real people has neither.
"""

import json
from datetime import datetime, timedelta
from enum import StrEnum, auto
from pathlib import Path
from threading import Lock

from bot.platform.clock import system_clock
from bot.ports import Clock

KEPT_TRIAL = Path("instance/trial.json")
# How long a gateway that goes down stays down: a text's first attempts fail, and a later one goes through.
DOWN = timedelta(seconds=10)
# How late a text comes while Fault.DELAY is on.
DELAY = timedelta(seconds=8)


class CarrierFault(StrEnum):
    """What the simulated carrier does wrong while it is switched on."""

    DUPLICATE = auto()  # it hands in every text and every receipt twice
    DELAY = auto()  # it brings texts late
    LOSE_RECEIPT = auto()  # it brings texts, and never says so
    UNDELIVERED = auto()  # it takes texts, and then says that it could not bring them
    DOWN = auto()  # it takes nothing for a while, and then comes back


class Simulation:
    """The state, as the file has it. Without a file the clock is right and no fault is on."""

    def __init__(self, path: Path = KEPT_TRIAL, clock: Clock = system_clock) -> None:
        """Take the file, which need not be there, and the clock that the trial's is ahead of."""
        self.path, self._clock = path, clock
        self._turn = Lock()

    def clock(self) -> datetime:
        """The trial's time: the real one and as much as it was moved on."""
        return self._clock() + self.ahead()

    def ahead(self) -> timedelta:
        """How far the trial's time is ahead of the real one."""
        return timedelta(seconds=self._read()[0])

    def forward(self, span: timedelta) -> None:
        """Let time pass; it never goes back."""
        with self._turn:
            ahead, faults = self._read()
            self._write(ahead + max(0.0, span.total_seconds()), faults)

    def faults(self) -> frozenset[CarrierFault]:
        """The faults that are on now."""
        now = self.clock()
        found = self._read()[1].items()
        return frozenset(fault for fault, until in found if until is None or datetime.fromisoformat(until) > now)

    def fault(self, fault: CarrierFault, *, on: bool) -> None:
        """Switch one of the carrier's faults on or off."""
        until = (self.clock() + DOWN).isoformat() if fault is CarrierFault.DOWN else None
        with self._turn:
            ahead, faults = self._read()
            others = {name: end for name, end in faults.items() if name is not fault}
            self._write(ahead, {**others, fault: until} if on else others)

    def end_faults(self) -> None:
        """Switch every fault off. The clock stays where it is: what was written then must not come from the future."""
        with self._turn:
            self._write(self._read()[0], {})

    def _read(self) -> tuple[float, dict[CarrierFault, str | None]]:
        try:
            kept = json.loads(self.path.read_text("utf-8"))
            return float(kept["ahead"]), {CarrierFault(name): until for name, until in kept["bends"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return 0.0, {}

    def _write(self, ahead: float, faults: dict[CarrierFault, str | None]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps({"ahead": ahead, "bends": faults}), "utf-8")
        fresh.replace(self.path)  # another process reads the old one or the new one, never half of it


def no_faults() -> frozenset[CarrierFault]:
    """The faults where there is no trial: none."""
    return frozenset()
