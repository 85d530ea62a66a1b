"""`flask deploy`: what an operator would else write by hand, from this installation's own settings."""

import base64
import hashlib
import hmac
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import click
from flask.cli import AppGroup
from sqlalchemy.engine import URL, make_url

from bot import settings
from bot.cli.common import chosen, fail
from bot.cli.printing import OWNER_ONLY, PROGRAM, PrintedFile, put, show
from bot.platform.random_source import SystemRandomSource
from bot.reports.kpi import TARGET_SHARE
from bot.settings import Settings, is_loopback
from store.database.engine import TIMEOUTS

ROOT = Path(__file__).resolve().parents[2]
STATE = Path("/var/lib/ramz")
# Of one process: SQLAlchemy's pool and what it may add to it, see store/database/engine.py.
CONNECTIONS = 16 + 10
# What reads the console, the figures and whether the bot is ready: the machine itself, and private networks.
INSIDE = ("127.0.0.1", "::1", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
# What Kannel's addresses may hold as they are; see bot/gateways/kannel.py.
PLAIN = "!$'()*,;:@/?"
HOST = re.compile(r"[A-Za-z0-9.-]+|[0-9a-f:]+")

deploy = AppGroup("deploy", help="Print what else is written by hand: units, proxies, alarms, from the settings.")

Command = Callable[..., None]
INTO = click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write the file, and what belongs to it, to their places under FOLDER (/ is this machine's own).",
)
USER = click.option("--user", default="ramz", show_default=True, help="The system's user that runs the service.")
SETTINGS = click.option(
    "--settings",
    "environment",
    default="/etc/ramz/ramz.env",
    show_default=True,
    help="The file that holds the settings.",
)
HOSTS = click.option("--host", "hosts", multiple=True, metavar="ADDRESS:PORT", help="A host of the service; repeat it.")


def _deliver(into: Path | None, pieces: list[PrintedFile], values: dict[str, Any]) -> None:
    """Print the first of the files; or write all of them."""
    if into is None:
        show(pieces[0], values)
    else:
        put(pieces, values, into)


def _about() -> tuple[Settings, dict[str, Any]]:
    """The settings, whole as for the service, and what most files name."""
    found = chosen(settings.read_for_service)
    return found, {
        **_code(),
        "is_postgresql": not found.database_url.startswith("sqlite"),
        "is_at_home": ROOT.is_relative_to("/home") or ROOT.is_relative_to("/root"),
        "folder": _folder(found),
        "port": found.port,
        "logs": "/var/log/ramz",
        "backups": STATE / "backups",
    }


def _code() -> dict[str, Any]:
    """Where the code and its programs are."""
    programs = ROOT / ".venv/bin"
    if not programs.exists():
        programs = Path(sys.prefix) / "bin"
    return {"root": str(ROOT), "python": f"{programs}/python", "flask": f"{programs}/flask"}


def _folder(found: Settings) -> Path | None:
    """SQLite's folder, where a unit must be told that the service writes to it."""
    if not found.database_url.startswith("sqlite"):
        return None
    folder = _file(found).parent
    return None if folder.is_relative_to(STATE) else folder


def _file(found: Settings) -> Path:
    """SQLite's file."""
    return ROOT / (make_url(found.database_url).database or "")


def _address(found: Settings) -> str:
    """Where this host listens, as its neighbours write it."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(found.host, found.host)  # noqa: S104
    return f"[{host}]:{found.port}" if ":" in host else f"{host}:{found.port}"


def _warn_of_hidden_code(user: str) -> None:
    hidden = [folder for folder in (ROOT, *ROOT.parents) if not folder.stat().st_mode & 0o005]
    if hidden and user != "root":
        click.echo(f"Warning: {hidden[0]}: {user} can't read the code there; have it under /opt", err=True)


@deploy.command("systemd")
@click.option("--wrapper", is_flag=True, help="Only the command `ramz`, which needs no settings yet.")
@SETTINGS
@USER
@INTO
def systemd(wrapper: bool, environment: str, user: str, into: Path | None) -> None:
    """Print the service's unit, or `ramz`, which gives commands the service's settings."""
    _warn_of_hidden_code(user)
    command, given = PrintedFile("ramz.sh", "/usr/local/bin/ramz", PROGRAM), {"environment": environment, "user": user}
    if wrapper:
        _deliver(into, [command], _code() | given)
        return
    _found, values = _about()
    _deliver(into, [PrintedFile("ramz.service", "/etc/systemd/system/ramz.service"), command], values | given)


@deploy.command("nginx")
@click.option("--certificate", help="Its file.  [default: certbot's, for PUBLIC_URL's name]")
@click.option("--key", help="The file of its key.  [default: certbot's]")
@click.option("--inside", multiple=True, default=INSIDE, metavar="NETWORK", help="Who sees /console and /metrics.")
@HOSTS
@INTO
def nginx(
    certificate: str | None, key: str | None, inside: tuple[str, ...], hosts: tuple[str, ...], into: Path | None
) -> None:
    """Print the proxy's site: TLS, what is open to whom, and limits for slow callers."""
    found, values = _about()
    public = urlsplit(found.public_url)
    name, is_tls = public.hostname or "", public.scheme == "https"
    if not HOST.fullmatch(name):
        fail("PUBLIC_URL: has a host that nginx has no name for")
    if not re.fullmatch(r"[A-Za-z0-9./_~-]*", public.path):
        fail("PUBLIC_URL: has a path that nginx would need quoted")
    port = public.port or (443 if is_tls else 80)
    kept = f"/etc/letsencrypt/live/{name}"
    values |= {
        "name": f"[{name}]" if ":" in name else name,
        "is_tls": is_tls,
        "listen": port,
        "public_url": f"https://{name}{'' if port == 443 else f':{port}'}$request_uri",
        "is_loopback": is_loopback(name),
        "prefix": public.path.rstrip("/"),
        "certificate": certificate or f"{kept}/fullchain.pem",
        "key": key or f"{kept}/privkey.pem",
        "inside": inside,
        "hosts": hosts or (_address(found),),
    }
    _deliver(into, [PrintedFile("nginx.conf", "/etc/nginx/conf.d/ramz.conf")], values)


@deploy.command("kannel")
@click.option("--smpp", default="SMPP.OPERATOR.EXAMPLE:2775", show_default=True, help="The operator's HOST:PORT.")
@click.option("--smpp-user", default="CHANGE-ME", show_default=True)
@click.option("--smpp-password-file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--admin-port", default=13000, show_default=True)
@click.option("--smsbox-port", default=13001, show_default=True)
@click.option("--spools", default="/var/lib/kannel", show_default=True, help="Where texts on their way are kept.")
@click.option("--logs", default="/var/log/kannel", show_default=True)
@INTO
def kannel(
    smpp: str,
    smpp_user: str,
    smpp_password_file: Path | None,
    admin_port: int,
    smsbox_port: int,
    spools: str,
    logs: str,
    into: Path | None,
) -> None:
    """Print Kannel's configuration for a short code; with --into, both boxes' units too."""
    found, values = _about()
    if "kannel" not in found.gateways:
        fail("GATEWAYS: kannel is not among them")
    host, colon, port = smpp.rpartition(":")
    if not (colon and HOST.fullmatch(host.strip("[]")) and port.isdecimal()):
        fail("--smpp: must be HOST:PORT")
    secret = quote(found.kannel_inbound_secret, safe=PLAIN).replace("%", "%%")
    values |= {
        "smpp_host": host,
        "smpp_port": port,
        "smpp_user": smpp_user,
        "smpp_password": smpp_password_file.read_text("utf-8").strip() if smpp_password_file else "CHANGE-ME",
        "admin_port": admin_port,
        "smsbox_port": smsbox_port,
        "admin_password": SystemRandomSource().token(),
        "sendsms_port": urlsplit(found.kannel_send_url).port or 80,
        "user": found.kannel_user,
        "password": found.kannel_password,
        "post_url": f"http://{_address(found)}/webhooks/kannel/sms?secret={secret}&id=%I",
        "spools": spools,
        "logs": logs,
    }
    _deliver(into, [PrintedFile("kannel.conf", "/etc/kannel/ramz.conf", OWNER_ONLY, "kannel")], values)
    for box in ("bearerbox", "smsbox") if into else ():
        unit = PrintedFile("kannel.service", f"/etc/systemd/system/ramz-{box}.service")
        put([unit], values | {"box": box, "command": f"/usr/sbin/{box}"}, into or Path("/"))


@deploy.command("postgresql")
@click.option("--hosts", default=2, show_default=True, type=click.IntRange(1, 100), help="How many there will be.")
@INTO
def postgresql(hosts: int, into: Path | None) -> None:
    """Print the role, the databases and their settings, as SQL for psql."""
    found, values = _about()
    url = _postgresql(found)
    values |= {
        "role": url.username or "ramz",
        "verifier": verifier(url.password, SystemRandomSource().token().encode()) if url.password else None,
        "database": url.database,
        "check": f"{url.database}_restored",
        "listen": _reached_by(url),
        "hosts": hosts,
        "timeouts": TIMEOUTS if url.query.get("pooler") == "transaction" else {},
        "workers": found.workers,
        "per_process": CONNECTIONS,
        "connections": max(100, hosts * found.workers * CONNECTIONS + 20),
    }
    _deliver(into, [PrintedFile("postgresql.sql", "/etc/ramz/postgresql.sql", OWNER_ONLY)], values)


def _postgresql(found: Settings) -> URL:
    url = make_url(found.database_url)
    if url.get_backend_name() == "sqlite":
        fail("DATABASE_URL: is SQLite's, which needs no server")
    if url.username == "postgres":
        fail("DATABASE_URL: names PostgreSQL's own superuser; give the service a role of its own, such as ramz")
    return url


def _reached_by(url: URL) -> str | None:
    """The address at which other hosts are to find the server; None where it is a socket, a pooler's or several."""
    host = url.host or ""
    is_own = not host or is_loopback(host) or "," in host or "host" in url.query or "pooler" in url.query
    return None if is_own else host


def verifier(password: str, salt: bytes, rounds: int = 4096) -> str:
    """What PostgreSQL keeps of a password (SCRAM-SHA-256, RFC 5803): given this, it never sees the password itself."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(it).decode() for it in (salt, stored, server))
    return f"SCRAM-SHA-256${rounds}:{salt64}${stored64}:{server64}"


@deploy.command("prometheus")
@click.option("--config", is_flag=True, help="Print Prometheus's own configuration in place of the rules.")
@HOSTS
@INTO
def prometheus(config: bool, hosts: tuple[str, ...], into: Path | None) -> None:
    """Print the alarms, or the configuration that scrapes the service and goes by them."""
    found, values = _about()
    pieces = [
        PrintedFile("rules.yml", "/etc/prometheus/ramz.rules.yml"),
        PrintedFile("prometheus.yml", "/etc/prometheus/prometheus.yml"),
    ]
    values |= {"hosts": hosts or (_address(found),), "target_share": TARGET_SHARE}
    _deliver(into, pieces[::-1] if config else pieces, values)


@deploy.command("grafana")
@INTO
def grafana(into: Path | None) -> None:
    """Print a dashboard for Grafana: import it by its page, and choose the Prometheus that it reads."""
    _found, values = _about()
    values["target_share"] = TARGET_SHARE
    _deliver(into, [PrintedFile("grafana.json", "/etc/grafana/dashboards/ramz.json")], values)


@deploy.command("logrotate")
@INTO
def logrotate(into: Path | None) -> None:
    """Print how the logs beside the service's own are rotated."""
    _found, values = _about()
    _deliver(into, [PrintedFile("logrotate.conf", "/etc/logrotate.d/ramz")], values | {"nginx_pid": "/run/nginx.pid"})


@deploy.command("backup")
@click.option("--days", default=30, show_default=True, type=click.IntRange(1, 400), help="How long each is kept.")
@click.option("--server", metavar="HOST[:PORT]", help="PostgreSQL itself, where DATABASE_URL names PgBouncer.")
@SETTINGS
@USER
@INTO
def backup(days: int, server: str | None, environment: str, user: str, into: Path | None) -> None:
    """Print a script that backs up, restores what it made, and proves it; with --into, its timer too."""
    found, values = _about()
    values |= {"days": days, "environment": environment, "user": user, "role": None, "server": None}
    values["address"] = make_url(found.database_url).render_as_string(hide_password=True)
    values["is_past_pooler"] = server is not None
    if values["is_postgresql"]:
        url = _postgresql(found)
        own = _server(_past_the_pooler(url, server))
        values |= {"role": url.username, "database": url.database, "check": f"{url.database}_restored", **own}
    else:
        values["database"] = str(_file(found))
    folder = "/etc/systemd/system"
    pieces = [
        PrintedFile("backup.sh", "/usr/local/sbin/ramz-backup", PROGRAM),
        PrintedFile("backup.service", f"{folder}/ramz-backup.service"),
        PrintedFile("backup.timer", f"{folder}/ramz-backup.timer"),
    ]
    _deliver(into, pieces, values)


def _past_the_pooler(url: URL, server: str | None) -> URL:
    """PostgreSQL's own address.

    pg_dump sets `search_path` for its session, and a pooler gives that connection to others, who then find no table.
    """
    if server is None and url.query.get("pooler") == "transaction":
        fail("--server: is needed where DATABASE_URL names PgBouncer, for pg_dump through it would break the service")
    return url if server is None else URL.create(url.drivername, query={"host": server})


def _server(url: URL) -> dict[str, str]:
    """Where libpq finds the server, or any of several: `host` may stand in the query, more than once."""
    given = url.query.get("host", url.host or "")
    hosts = [given] if isinstance(given, str) else list(given)
    pairs = [each.rsplit(":", 1) if re.fullmatch(r"[^/:]+:\d+", each) else [each, ""] for each in hosts if each]
    named = url.query.get("port", str(url.port or ""))
    ports = named if isinstance(named, str) else ",".join(named)
    if any(port for _, port in pairs):
        ports = ",".join(port or "5432" for _, port in pairs)
    return {"server": ",".join(host for host, _ in pairs), "server_port": ports or "5432"}
