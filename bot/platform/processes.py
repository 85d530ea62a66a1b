"""Which processes of this host have ended, as its kernel says. What another host's do, nothing here can tell."""

import os
from pathlib import Path


class HostProcesses:
    """The processes that one kernel numbers together: those of this host, or of this container."""

    def __init__(self, host: str | None = None) -> None:
        """Take the host's name; by default what no other host has, nor this one after its next start."""
        self.host = _this_host() if host is None else host

    def own(self) -> int:
        """The id of the process that asks. Not to be kept over a fork."""
        return os.getpid()

    def exists(self, pid: int) -> bool:
        """Whether a process of this host has this id, by now perhaps another than once."""
        try:
            os.kill(pid, 0)  # sends nothing: kill(2)
        except ProcessLookupError:
            return False
        except PermissionError:  # it runs, as somebody else
            return True
        return True

    def has_ended(self, host: str, pid: int) -> bool:
        """Whether a process has ended for certain; False of another host's, and where another has its id by now."""
        return self.host != "" and host == self.host and not self.exists(pid)


def _this_host() -> str:
    """Which start of a kernel, and which of its spaces of process ids (random(4), pid_namespaces(7)); else nothing."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}/{_first_process()}"
    except OSError:
        return ""


def _first_process() -> str:
    """When the first process began, in ticks: a container that starts anew may have the number of the former one's ids.

    Empty where this process may not see it (proc(5), hidepid).
    """
    try:
        return Path("/proc/1/stat").read_bytes().rpartition(b")")[2].split()[19].decode()
    except OSError:
        return ""
