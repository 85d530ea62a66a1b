"""Programs of Debian's that the tests run what `flask deploy` prints by."""

import os
import shutil

import pytest

WHERE = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin", "/usr/bin"])


def program(name: str, package: str) -> str:
    """Where a program is; else the test is skipped, or fails under CI, where .ci/run has installed it."""
    found = shutil.which(name, path=WHERE)
    if not found and not os.environ.get("CI"):
        pytest.skip(f"{name} is not installed: apt-get install {package}")
    assert found, f"{name} is needed here: see .ci/run"
    return found
