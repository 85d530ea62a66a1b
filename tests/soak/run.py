"""The run: both worlds at once, in each its faults in turn while people text; then quiet, and the books."""

import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median, quantiles
from threading import Barrier, BrokenBarrierError, Event

from store import outbound_messages
from store.database.engine import is_out_of_reach
from tests.soak import reconcile
from tests.soak.doors import PATIENCE_SECONDS
from tests.soak.evidence import Evidence, gather, logins
from tests.soak.faults import FAULTS, possible
from tests.soak.hosts import Host, NotReady, until
from tests.soak.load import CODE, Load
from tests.soak.worlds import Person, World, world

WORLDS = {"postgresql": 2, "sqlite": 1}  # and how many services each has
RATE = 2.0  # people a second, in each world
CALM_SECONDS = (1.5, 3.0)  # between two faults
QUIET_SECONDS = 150.0  # for the queues to empty
LATE_SECONDS = 2.0
SPARE_SECONDS = 1800.0  # that a run may take longer, on a machine that has a lot else to do


@dataclass(frozen=True)
class Plan:
    """What is to be done, all of which follows from the seed."""

    seed: int
    minutes: float
    faults: Sequence[str]
    worlds: Sequence[str] = tuple(WORLDS)
    rate: float = RATE
    longest: float = 60.0  # seconds that a fault lasts, at most


@dataclass
class Happened:
    """A fault that was: when it began, in seconds from the run's begin, how long it lasted, how soon all was well.

    `span` is from its begin until all was well, on the monotonic clock.
    """

    fault: str
    began: float
    lasted: float
    recovered: float
    span: tuple[float, float]


@dataclass
class Result:
    """What came of one world."""

    name: str
    happened: list[Happened] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)  # from a request's 200 to its code at the provider
    late: dict[str, list[float]] = field(
        default_factory=dict
    )  # those over LATE_SECONDS, by the fault that they fell in
    counts: dict[str, int] = field(default_factory=dict)
    outcomes: dict[str, int] = field(default_factory=dict)
    violations: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_well(self) -> bool:
        """Whether all holds."""
        return not self.violations


Say = Callable[[str], None]


class Ended(Exception):
    """The run is to end before its time."""


def run(plan: Plan, say: Say = print, keep: Path | None = None, end: Event | None = None) -> list[Result]:
    """Soak every world of a plan; what came of each. `keep` is a folder for what the services write.

    When `end` is set, every world is taken down at once, and Ended raised.
    """
    together, ends = Barrier(len(plan.worlds)), end or Event()
    with tempfile.TemporaryDirectory(prefix="soak") as name, ThreadPoolExecutor(len(plan.worlds)) as pool:
        folder = Path(name)
        try:
            return list(pool.map(lambda it: _soaked(it, plan, folder / it, say, together, ends), plan.worlds))
        finally:
            if keep is not None:
                _keep(folder, keep)


def _keep(folder: Path, at: Path) -> None:
    at.mkdir(parents=True, exist_ok=True)
    for log in folder.glob("*/*.log"):
        shutil.copy(log, at / log.name)


def _soaked(name: str, plan: Plan, folder: Path, say: Say, together: Barrier, end: Event) -> Result:
    result = Result(name)
    try:
        _soak(name, plan, folder, say, together, result, end)
    except (NotReady, BrokenBarrierError) as error:
        together.abort()
        result.violations["services_come_and_go"] = [str(error) or "another world has none"]
    return result


def _soak(name: str, plan: Plan, folder: Path, say: Say, together: Barrier, result: Result, end: Event) -> None:
    rng = Random(f"{plan.seed} {name}")
    people = int(plan.rate * (plan.minutes * 60 + SPARE_SECONDS)) + 100
    needs = {"movable_clock": "move_clock" in plan.faults, "small_disk": "fill_disk" in plan.faults}
    with world(name, folder, WORLDS[name], people, rng, **needs) as there:
        for fault in set(plan.faults) - set(possible(there, list(plan.faults))):
            say(f"{name}: no {fault}: {FAULTS[fault].needs}")
        together.wait()  # what begins beside it would look like a fault
        load = Load(there, plan.rate, Random(f"{plan.seed} {name} load"))
        load.start()
        try:
            _befall(there, plan, rng, result, say, end)
        finally:
            load.end(waits=not end.is_set())
        result.outcomes = dict(load.outcomes)
        _calm_down(there, result, end)
        tried = logins(there, rng)
        for host in there.hosts:
            host.stop()
        evidence = gather(there, tried)
    waited = waits(evidence)
    result.waits, result.late = [wait for _, wait in waited], late(waited, result.happened)
    result.counts = reconcile.counts(evidence)
    result.violations |= reconcile.violations(evidence)


def _rest(seconds: float, end: Event) -> None:
    if end.wait(seconds):
        raise Ended


def _befall(there: World, plan: Plan, rng: Random, result: Result, say: Say, end: Event) -> None:
    began, order = time.monotonic(), list[str]()
    while time.monotonic() - began < plan.minutes * 60:
        if not order:
            order = possible(there, list(plan.faults))
            rng.shuffle(order)
        if not order:
            return
        _rest(rng.uniform(*CALM_SECONDS), end)
        happened = _one(there, order.pop(), plan, rng, began, end)
        result.happened.append(happened)
        say(
            f"{there.name}: {happened.began:5.0f} s {happened.fault}, for {happened.lasted:.1f} s;"
            f" well {happened.recovered:.1f} s after its end"
        )


def _one(there: World, name: str, plan: Plan, rng: Random, began: float, end: Event) -> Happened:
    fault, start = FAULTS[name], time.monotonic()
    with fault.act(there, rng):
        _rest(min(rng.uniform(*fault.seconds), plan.longest), end)
    ended = time.monotonic()
    recovered = _recovered(there, ended, end)
    return Happened(name, start - began, ended - start, recovered, (start, ended + recovered))


def _recovered(there: World, ended: float, end: Event) -> float:
    """How many seconds after a fault's end each service hears a request at once and its code is at the provider."""
    asking = [(host, next(there.pilgrims)) for host in there.hosts]
    with ThreadPoolExecutor(len(asking)) as pool:
        return max(pool.map(lambda it: _asked(there, it[0], it[1], end), asking)) - ended


def _asked(there: World, host: Host, who: Person, end: Event) -> float:
    there.doors.text("twilio", who.mobile, f"RESET {who.national_id}", only=host.address)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for text in there.carriers.texts_to(who.mobile):
            if CODE.search(text.body):
                return text.at
        _rest(0.02, end)
    return time.monotonic()


def _calm_down(there: World, result: Result, end: Event) -> None:
    """Wait until nothing waits any more; what still does is said by the invariants."""

    def is_quiet() -> bool:
        _rest(0, end)
        return there.carriers.are_quiet() and _is_empty(there)

    try:
        until(is_quiet, QUIET_SECONDS, "queues are not empty")
    except NotReady as waiting:
        result.violations["quiet"] = [str(waiting)]


def _is_empty(there: World) -> bool:
    store = there.store()
    try:
        with store.reading() as connection:
            return outbound_messages.oldest_queued(connection) is None
    except Exception as error:
        if is_out_of_reach(error):
            return False
        raise
    finally:
        store.close()


def waits(it: Evidence) -> list[tuple[float, float]]:
    """When a request had its 200, at its first posting that had one, and how many seconds later its code was sent."""
    asked = {
        text.sender: text.answered_at
        for text in reversed(it.ledger.texts)
        if text.words.startswith("RESET") and text.answered_at is not None
    }
    found: dict[str, tuple[float, float]] = {}
    for text in it.arrived:
        if CODE.search(text.body) and text.to in asked and text.to not in found:
            found[text.to] = asked[text.to], max(0.0, text.at - asked[text.to])
    return list(found.values())


def late(waited: Iterable[tuple[float, float]], happened: Sequence[Happened]) -> dict[str, list[float]]:
    """The long waits, by the faults during which they began or which came while they lasted; "calm" by none."""
    found = defaultdict[str, list[float]](list)
    for began, seconds in waited:
        if seconds > LATE_SECONDS:
            fell_in = [it.fault for it in happened if it.span[0] <= began + seconds and began <= it.span[1]]
            found[", ".join(fell_in) or "calm"].append(seconds)
    return dict(found)


def percentile(values: Sequence[float], percent: int) -> float:
    """One of many values; 0 where there are too few."""
    return quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else 0.0


def report(result: Result) -> str:
    """A result in a few lines."""
    waited = f"median {median(result.waits or [0]):.2f} s, p95 {percentile(result.waits, 95):.2f} s"
    recovered = sorted(it.recovered for it in result.happened)
    lines = [
        f"{result.name}: {'all holds' if result.is_well else 'FAULTS WERE FOUND'}",
        f"  {len(result.happened)} faults; well again after median {median(recovered or [0]):.1f} s,"
        f" longest {max(recovered, default=0):.1f} s",
        f"  accepted to code at the provider: {waited}, longest {max(result.waits, default=0):.1f} s",
        *(
            f"    {len(late)} after more than {LATE_SECONDS:.0f} s, of {min(late):.1f} to {max(late):.1f} s: {fault}"
            for fault, late in sorted(result.late.items())
        ),
        "  " + ", ".join(f"{number} {what}" for what, number in result.counts.items()),
        "  " + ", ".join(f"{what} {number}" for what, number in sorted(result.outcomes.items())),
    ]
    for name, said in result.violations.items():
        lines += [f"  {name}: {len(said)}", *(f"    {each}" for each in said[:10])]
    return "\n".join(lines)
