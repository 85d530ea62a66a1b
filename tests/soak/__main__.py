"""`make soak`: soak both worlds by a seed, which is printed first; SEED=… make soak has the same done again.

Ends with 1 where anything that must hold does not. SIGTERM and Ctrl-C take disks, servers and services down, and end it
with 1 too.
"""

import argparse
import secrets
import signal
import sys
from pathlib import Path
from threading import Event

from tests.soak.faults import FAULTS
from tests.soak.run import RATE, WORLDS, Ended, Plan, report, run


def main() -> int:
    """Read what is asked for, do it, and say what came of it."""
    asked = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    asked.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    asked.add_argument("--minutes", type=float, default=5.0, help="of faults; the end takes a minute or two more")
    asked.add_argument("--faults", nargs="*", default=list(FAULTS), choices=list(FAULTS), metavar="FAULT")
    asked.add_argument("--worlds", nargs="*", default=list(WORLDS), choices=list(WORLDS))
    asked.add_argument("--rate", type=float, default=RATE, help="people a second, in each world")
    asked.add_argument("--keep", type=Path, help="a folder for what the services write")
    found = asked.parse_args()
    print(f"seed {found.seed}", flush=True)
    plan = Plan(found.seed, found.minutes, found.faults, found.worlds, found.rate)
    end = Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: end.set())
    try:
        results = run(plan, lambda line: print(line, flush=True), found.keep, end)
    except Ended:
        print("ended before its time", flush=True)
        return 1
    print("\n".join(map(report, results)), f"seed {found.seed}", sep="\n", flush=True)
    return 0 if all(result.is_well for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
