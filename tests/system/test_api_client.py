"""Fakher's developers in their first minutes: what API.md shows them is run as it stands there."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.support import lifeline
from tests.support.parts import KEYS, PATIENCE_SECONDS, eventually
from tests.support.places import ROOT
from tests.system.test_service import environment, free_port

PAGE = (ROOT / "API.md").read_text("utf-8")
BLOCK = re.compile(r"^```(?P<language>sh|python)\n(?P<lines>.*?)^```", re.MULTILINE | re.DOTALL)
EXAMPLES = {found["language"]: found["lines"] for found in BLOCK.finditer(PAGE)}


@dataclass
class Trial:
    """`make run`, on a database and a port of its own."""

    port: int
    settings: dict[str, str]

    def run(self, command: list[str], words: str = "", **more: str) -> str:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment(**self.settings, **more),
            input=words,
            text=True,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def code(self) -> str:
        """Ask for a code for a change, as a pilgrim does, and read it off the phone."""
        shown = self.run([sys.executable, "-m", "flask", "chat", "--from", "09121234567"], "تغییر 0012345679\n")
        found: list[str] = re.findall(r"(?<!\d)\d{6}(?!\d)", shown, re.ASCII)
        return found[-1]


@pytest.fixture
def simulation(tmp_path: Path) -> Iterator[Trial]:
    port = free_port()
    settings = {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'simulation.db'}",
        "SECRET_KEYS": KEYS,
        "PORT": str(port),
        "RESEND_AFTER_SECONDS": "0",
    }
    command = [sys.executable, "-m", "flask", "trial"]
    with (tmp_path / "printed").open("w") as printed:
        process = subprocess.Popen(command, cwd=ROOT, env=environment(**settings), stdout=printed, stderr=printed)
    lifeline.hold(process)
    try:
        assert eventually(lambda: answers(port))
        yield Trial(port, settings)
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def answers(port: int) -> bool:
    try:
        with closing(requests.get(f"http://127.0.0.1:{port}/healthz", timeout=2)) as answer:
            return answer.ok
    except requests.RequestException:
        return False


@pytest.mark.process
def test_its_page_shows_a_client_that_works_as_it_stands(simulation: Trial) -> None:
    flask = f"{sys.executable} -m flask"
    shell = EXAMPLES["sh"].replace("127.0.0.1:8000", f"127.0.0.1:{simulation.port}").replace(".venv/bin/flask", flask)
    shell = shell.replace("482913", simulation.code()) + "\necho\necho $TOKEN"
    answer, token = simulation.run(["bash", "-ec", shell]).strip().splitlines()
    assert re.fullmatch(r'\{"verified":true,"ticket":"\S+","expires_at":"\S+"\}', answer)
    python = EXAMPLES["python"].replace("127.0.0.1:8000", f"127.0.0.1:{simulation.port}")
    said = simulation.run([sys.executable, "-c", python], simulation.code() + "\n", TOKEN=token)
    assert said == "The code: {'verified': True, 'must_change': False}\n"
