"""Says what is known against the packages that the bot runs on, where an index of vulnerabilities answers.

It never fails: what an index says today must stop nobody from landing what mends something else. It is printed, to be
read. Called by `make audit` with pip-audit's path.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 120
UNANSWERED = "audit: no index of vulnerabilities answered, so nothing was checked"


def found_by(program: str, pins: str) -> list[dict[str, Any]]:
    """What pip-audit says of each package; empty where it could ask nobody."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "audit.json"
        asked = [program, "-r", pins, "--disable-pip", "--require-hashes", "-f", "json", "-o", str(told)]
        try:
            subprocess.run(asked, capture_output=True, check=False, timeout=PATIENCE_SECONDS)  # noqa: S603
            packages: list[dict[str, Any]] = json.loads(told.read_text("utf-8"))["dependencies"]
        except (OSError, ValueError, KeyError, subprocess.SubprocessError):
            return []
    return packages


def lines(packages: list[dict[str, Any]]) -> list[str]:
    """What is to be read, a line a vulnerability."""
    asked = [each for each in packages if "skip_reason" not in each]
    if not asked:
        return [UNANSWERED]
    bad = [
        f"audit: VULNERABLE {each['name']} {each['version']}: {it['id']}, mended in {' '.join(it['fix_versions'])}"
        for each in asked
        for it in each.get("vulns", [])
    ]
    skipped = len(packages) - len(asked)
    unknown = f", {skipped} are unknown to the index" if skipped else ""
    return [*bad, f"audit: {len(asked)} packages asked about, {len(bad)} vulnerabilities{unknown}"]


if __name__ == "__main__":
    sys.stdout.write("\n".join(lines(found_by(sys.argv[1], sys.argv[2]))) + "\n")
