"""What the bot and its tests run on is pinned, whole, with hashes; and no file says where it comes from."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.places import ROOT

PINNED = {".": ["requirements.txt"], "tests": ["requirements.txt", "tests/requirements.txt"]}
PIN = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[\w+\])?==([^\s;\\]+)", re.MULTILINE)


def pins(file: Path) -> dict[str, str]:
    return {re.sub("[-_.]+", "-", name).lower(): version for name, version in PIN.findall(file.read_text("utf-8"))}


def audit() -> Any:
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("folder", "asked"), PINNED.items())
def test_what_is_asked_for_is_pinned_as_it_is_asked_for(folder: str, asked: list[str]) -> None:
    """Whoever adds a package runs `make constraints`."""
    wanted = {name: version for file in asked for name, version in pins(ROOT / file).items()}
    assert wanted.items() <= pins(ROOT / folder / "constraints.txt").items()


@pytest.mark.parametrize("folder", PINNED)
def test_every_package_has_a_hash_and_none_has_a_host(folder: str) -> None:
    written = (ROOT / folder / "constraints.txt").read_text("utf-8")
    packages = [part for part in re.split(r"\n(?=[A-Za-z])", written) if PIN.match(part)]
    assert len(packages) == len(pins(ROOT / folder / "constraints.txt")) > 40
    assert [each.splitlines()[0] for each in packages if "--hash=sha256:" not in each] == []
    assert not re.search(r"https?:|file:|--(extra-)?index-url|--find-links", written)


def test_what_the_bot_runs_on_is_the_same_for_the_tests() -> None:
    assert pins(ROOT / "constraints.txt").items() <= pins(ROOT / "tests" / "constraints.txt").items()


@pytest.mark.process
def test_an_audit_says_what_was_found_and_what_nobody_answered() -> None:
    told = audit()
    unknown = {"name": "a", "skip_reason": "not found"}
    sound = {"name": "b", "version": "1", "vulns": []}
    bad = {"name": "c", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
    assert told.lines([]) == told.lines([unknown]) == [told.UNANSWERED]
    assert told.lines([unknown, sound, bad]) == [
        "audit: VULNERABLE c 2: PYSEC-1, mended in 3",
        "audit: 2 packages asked about, 1 vulnerabilities, 1 are unknown to the index",
    ]
    assert told.found_by("/nowhere/pip-audit", "constraints.txt") == []
