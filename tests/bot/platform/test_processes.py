"""What a host's kernel says of its processes, and that it says nothing of another's."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bot.platform.processes import HostProcesses

HERE = HostProcesses()


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits for the end of its input."""
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as child:
        yield child
        child.kill()


@pytest.mark.process
def test_a_process_has_not_ended_until_it_has(child: subprocess.Popen[bytes]) -> None:
    assert not HERE.has_ended(HERE.host, child.pid)
    child.kill()
    child.wait()
    assert HERE.has_ended(HERE.host, child.pid)


@pytest.mark.process
@pytest.mark.parametrize("host", ["", "another"])
def test_nothing_is_known_of_another_host_s(child: subprocess.Popen[bytes], host: str) -> None:
    child.kill()
    child.wait()
    assert not HERE.has_ended(host, child.pid)
    assert not HostProcesses(host="").has_ended("", child.pid)


def test_the_first_of_all_which_runs_as_root_has_not_ended() -> None:
    assert not HERE.has_ended(HERE.host, 1)


def test_a_host_keeps_its_name_and_fits_its_column() -> None:
    assert HostProcesses().host == HERE.host
    boot, space, first = HERE.host.split("/")
    assert boot.count("-") == 4
    assert space.isdigit()
    assert first.isdigit()
    assert len(HERE.host) <= 64 - 10, "a first process may begin after years"
    assert HERE.own() == os.getpid()
