"""No server outlives the run that began it, whichever way the run ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from sqlalchemy.engine import make_url

from tests.support import lifeline
from tests.support.parts import eventually
from tests.support.places import ROOT

# A run with a database's server and a process of its own, which ignores SIGTERM, and has a child.
RUN = """
import signal, subprocess, sys, time
from tests.support import databases, lifeline
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background has it ignored
STUBBORN = (
    "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)', sys.argv[1]]); time.sleep(600)"
)
with databases.postgresql() as fresh:
    process = lifeline.hold(subprocess.Popen([sys.executable, "-c", STUBBORN, sys.argv[1]]))
    print(fresh(), flush=True)
    time.sleep(600)
"""


def of_a_run(mark: str) -> list[psutil.Process]:
    """The processes whose command line says this."""
    return [it for it in psutil.process_iter(["cmdline"]) if mark in " ".join(it.info["cmdline"] or ())]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda end: end.name)
@pytest.mark.process
def test_servers_end_with_the_run_that_began_them(tmp_path: Path, end: signal.Signals) -> None:
    command = [sys.executable, "-W", "ignore", "-c", RUN, str(tmp_path)]
    own = {**os.environ, "TEST_DATABASE_URL": ""}
    with subprocess.Popen(command, cwd=ROOT, env=own, stdout=subprocess.PIPE, text=True) as run:
        lifeline.hold(run)
        assert run.stdout
        folder = str(make_url(run.stdout.readline().strip()).query["host"])
        assert eventually(lambda: len(of_a_run(str(tmp_path))) == 3)
        assert of_a_run(folder)
        run.send_signal(end)
    assert eventually(lambda: not of_a_run(folder) and not of_a_run(str(tmp_path)), 20)
    assert eventually(lambda: not Path(folder).exists(), 5)


@pytest.mark.process
def test_a_soak_that_is_told_to_end_takes_its_services_and_database_down(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "tests.soak", "--minutes", "9", "--faults", "kill_worker"]
    command += ["--worlds", "postgresql"]
    own = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, cwd=ROOT, env=own, stdout=subprocess.PIPE, text=True) as soak:
        lifeline.hold(soak)
        assert soak.stdout
        assert any("kill_worker, for" in line for line in soak.stdout)
        begun = psutil.Process(soak.pid).children(recursive=True)
        soak.send_signal(signal.SIGTERM)
        assert soak.stdout.read().endswith("ended before its time\n")
        assert soak.wait(30) == 1
    assert begun
    assert eventually(lambda: not any(it.is_running() for it in begun) and not of_a_run(str(tmp_path)), 20)
    assert not [it for it in tmp_path.iterdir() if it.is_dir()]
