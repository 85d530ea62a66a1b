"""A page printed to a PDF by the Chromium of this machine, where there is one."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
PRINT_SECONDS = 120


class NoPrinter(Exception):
    """There is no browser that prints here, or it did not; the words say which."""


def browser(path: str | None = None) -> str | None:
    """The first browser on PATH that can print; None where there is none."""
    return next((found for name in BROWSERS if (found := shutil.which(name, path=path))), None)


def to_pdf(page: Path, pdf: Path, program: str | None) -> None:
    """Print an HTML file that needs nothing else. NoPrinter where it can't be done."""
    if program is None:
        raise NoPrinter(f"no browser is here ({', '.join(BROWSERS[:3])}); print the HTML file from any browser")
    with tempfile.TemporaryDirectory(prefix="ramz-print") as folder:
        made = Path(folder) / "page.pdf"
        # It is our own page, without any script; a sandbox can't be made by root.
        sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        flags = ["--headless", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", *sandbox]
        flags += [f"--user-data-dir={folder}/profile", "--no-pdf-header-footer", f"--print-to-pdf={made}"]
        try:
            subprocess.run(  # noqa: S603  # a browser from PATH, on a file of ours
                [program, *flags, page.resolve().as_uri()],
                capture_output=True,
                check=True,
                timeout=PRINT_SECONDS,
            )
            shutil.copyfile(made, pdf)
        except (OSError, subprocess.SubprocessError) as error:
            raise NoPrinter(f"{Path(program).name} did not print it ({type(error).__name__})") from None
