"""What was measured, as a table: on the screen, and in BENCHMARKS.md with the date and the kind of machine."""

import os
import platform
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import psutil  # type: ignore[import-untyped]

PAGE = Path(__file__).parents[2] / "BENCHMARKS.md"
HEAD = ("What", "Database", "Workers", "Figure", "Floor", "Ratio")
INTRODUCTION = """\
# Benchmarks

Written by `make bench`, which measures floors and bot in turn on one machine: ratios can be compared, absolute figures
can't. Figures are medians of {rounds} rounds, a ratio's range in brackets. The driver and the provider run on the same
cores.

The floor of a request is a bare Flask view that checks Twilio's signature and commits three rows, under gunicorn with
as many workers, on the same database. *Accepted* counts answers with 200; *sent* runs until the last code is at the
provider. The floor of a recovery is what the machine can hash and do nothing else (argon2id, one process a core).

{day}; {machine}; {load:.1f} processes were at work on it before it began: more than none blurs every figure.

"""


@dataclass(frozen=True)
class Line:
    """One figure: `values` and the floor's, one a round, in the unit; `places` after the point."""

    what: str
    database: str
    workers: int
    values: Sequence[float]
    unit: str = "/s"
    floors: Sequence[float] = field(default=())
    places: int = 0

    def cells(self) -> tuple[str, ...]:
        """The line as the table shows it."""
        figure, floor = (self._shown(each) if each else "" for each in (self.values, self.floors))
        return (self.what, self.database, str(self.workers), figure, floor, self._ratio())

    def _shown(self, values: Sequence[float]) -> str:
        return f"{statistics.median(values):.{self.places}f}{self.unit}"

    def _ratio(self) -> str:
        if not self.floors:
            return ""
        ratios = [value / floor for value, floor in zip(self.values, self.floors, strict=True)]
        return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"


def write(lines: Sequence[Line], rounds: int, load: float) -> str:
    """Write the page anew; the table in it. `load` is the machine's load average before the first round."""
    rows = [HEAD, tuple("---" for _ in HEAD), *(line.cells() for line in lines)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    page = INTRODUCTION.format(rounds=rounds, day=date.today().isoformat(), machine=machine(), load=load)
    PAGE.write_text(f"{page}{table}\n", "utf-8")
    return table


def machine() -> str:
    """What kind of machine this is, and nothing of which it is."""
    memory = round(psutil.virtual_memory().total / 2**30)
    cores = len(os.sched_getaffinity(0))
    return f"{_processor()}, {cores} cores, {memory} GiB, {platform.system()}, Python {platform.python_version()}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", info.read_text()) if info.exists() else None
    return found[1].strip() if found else platform.machine()
