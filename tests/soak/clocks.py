"""A clock that can be set for a world's services, and for nobody else: a library of some lines, preloaded into them."""

import shutil
import subprocess
from pathlib import Path
from typing import Self

SOURCE = Path(__file__).with_name("set_clock.c")
BYTES = 8  # of the number that the library reads


class SetClock:
    """The services' clock. Every process sees at once how it is set."""

    def __init__(self, file: Path, library: Path) -> None:
        """Be right at first."""
        self.file, self.library = file, library
        self.file.write_bytes(bytes(BYTES))

    @classmethod
    def make(cls, folder: Path) -> Self | None:
        """One in a folder; None where this machine has no C compiler, or can't preload."""
        library, compiler = folder / "set_clock.so", shutil.which("cc")
        if compiler is None:
            return None
        command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"]
        done = subprocess.run(command, capture_output=True, check=False)
        return None if done.returncode else cls(folder / "clock", library)

    def set(self, seconds: int) -> None:
        """Be so many seconds ahead of the time, or behind it."""
        with self.file.open("r+b", buffering=0) as file:
            file.write(seconds.to_bytes(BYTES, "little", signed=True))

    def environment(self) -> dict[str, str]:
        """What services are started with."""
        return {"LD_PRELOAD": str(self.library), "SOAK_CLOCK": str(self.file)}
