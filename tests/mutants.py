"""Lines that matter, broken one by one: `make mutants` fails where no test notices, or a line is not found any more.

The lines stand in mutants.toml. Each is found by its text, wherever in the tree it is, and so are the tests that must
notice it, by their names. Everything runs in scratch copies, on SQLite.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from queue import SimpleQueue

from tests.support.places import ROOT, TESTS

ROOMS = ("dialogs", "store", "bot", "webhooks")
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "instance", "__pycache__", ".*_cache", ".hypothesis")
# pytest's exit status: all passed; tests ran and some failed. Any other is a fault of the mutant or of its tests.
PASSED, FAILED = 0, 1


@dataclass(frozen=True)
class Mutant:
    """A text that stands once in the code, what is put in its place, and the names of tests that must fail then."""

    text: str
    instead: str
    tests: tuple[str, ...]
    where: str = ""

    def __str__(self) -> str:
        return f"{' '.join(self.text.split())[:60]} → {' '.join(self.instead.split())[:50] or 'nothing'}"


def mutants() -> list[Mutant]:
    read = tomllib.loads((TESTS / "mutants.toml").read_text("utf-8"))["mutant"]
    return [Mutant(it["text"], it["instead"], tuple(it["tests"]), it.get("where", "")) for it in read]


@cache
def sources() -> dict[Path, str]:
    """Every module's text, by its path from the root."""
    files = [file for room in ROOMS for file in (ROOT / room).rglob("*.py")]
    return {file.relative_to(ROOT): file.read_text("utf-8") for file in files}


@cache
def files_of(test: str) -> list[str]:
    """The files in which a test of this name stands."""
    named = re.compile(rf"def {test}\(")
    return [str(it.relative_to(ROOT)) for it in TESTS.rglob("test_*.py") if named.search(it.read_text("utf-8"))]


def fault(mutant: Mutant) -> str | None:
    """Why a mutant can't be tried: its line is gone, or stands in several places, or its test is gone."""
    found = sum(text.count(mutant.text) for text in sources().values())
    if found != 1:
        return f"the line stands {found} times in the code"
    gone = [test for test in mutant.tests if not files_of(test)]
    return f"there is no {gone[0]}" if gone else None


def run(folder: Path, *tried: Mutant) -> int:
    """The status with which the tests of mutants end in a copy of the tree."""
    files = sorted({file for mutant in tried for test in mutant.tests for file in files_of(test)})
    chosen = f"({' or '.join(_chosen(mutant) for mutant in tried)}) and not postgresql"
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", "-k", chosen, *files]
    own = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=folder, env=own, capture_output=True, check=False).returncode


def _chosen(mutant: Mutant) -> str:
    named = f"({' or '.join(mutant.tests)})"
    return f"({named} and ({mutant.where}))" if mutant.where else named


@contextmanager
def broken(mutant: Mutant, folder: Path) -> Iterator[None]:
    """A copy with one line broken in it."""
    (path,) = [path for path, text in sources().items() if mutant.text in text]
    (folder / path).write_text(sources()[path].replace(mutant.text, mutant.instead), "utf-8")
    yield
    (folder / path).write_text(sources()[path], "utf-8")


def verdict(mutant: Mutant, folder: Path) -> str:
    """`caught`, or what is wrong."""
    if (why := fault(mutant)) is not None:
        return why
    with broken(mutant, folder):
        status = run(folder, mutant)
    return {FAILED: "caught", PASSED: "LIVES"}.get(status, f"pytest ended with {status}")


def main() -> int:
    """Try all of them, each in a copy of its own; how many were not caught."""
    found, said = mutants(), list[str]()
    with tempfile.TemporaryDirectory(prefix="mutants") as scratch, ThreadPoolExecutor(os.cpu_count()) as pool:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(os.cpu_count() or 1):
            copies.put(Path(shutil.copytree(ROOT, Path(scratch) / str(number), ignore=LEFT_OUT)))

        def attempt(mutant: Mutant) -> str:
            folder = copies.get()
            try:
                return verdict(mutant, folder)
            finally:
                copies.put(folder)

        if run(Path(scratch) / "0", *(it for it in found if fault(it) is None)) != PASSED:
            print("their tests do not pass as it is")
            return len(found)
        for mutant, what in zip(found, pool.map(attempt, found), strict=True):
            print(f"{what:8} {mutant}", flush=True)
            said.append(what)
    caught = said.count("caught")
    print(f"{caught} of {len(found)} caught")
    return len(found) - caught


if __name__ == "__main__":
    sys.exit(min(main(), 1))
