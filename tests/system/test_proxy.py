"""The service behind a real nginx, as `flask deploy nginx` prints it."""

import os
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import quote, unquote

import pytest
import requests

from tests.bot.cli.test_commands import TWILIO, typed
from tests.providers.twilio_standin import PUBLIC_URL, post_text
from tests.support import lifeline
from tests.support.databases import Fresh
from tests.support.debian import program
from tests.support.parts import KEYS, eventually
from tests.system.test_kannel import is_open
from tests.system.test_service import Service, free_port, service_on, some

pytestmark = pytest.mark.alone

OUTSIDE, INSIDE = "127.0.0.1", "127.0.0.2"
MAIN = """
daemon off;
user {user};
pid {folder}/nginx.pid;
error_log {folder}/main.log;
events {{ }}
http {{
    {temporary}
    include {folder}/ramz.conf;
}}
"""
TEMPORARY = "".join(
    f"{name}_temp_path {{folder}}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
)


@dataclass
class Proxy:
    """A real nginx with the printed site, on a free port with a certificate of its own."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def address(self) -> str:
        return f"https://{OUTSIDE}:{self.port}"

    @property
    def certificate(self) -> Path:
        return self.folder / "certificate.pem"

    def prepare(self, hosts: list[str]) -> None:
        key = self.folder / "key.pem"
        request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        names = ["-subj", "/CN=ramz", "-addext", f"subjectAltName=IP:{OUTSIDE}"]
        openssl = program("openssl", "openssl")
        files = ["-keyout", str(key), "-out", str(self.certificate)]
        subprocess.run([openssl, *request, *names, *files], check=True, capture_output=True)
        words = ["--certificate", str(self.certificate), "--key", str(key), "--inside", INSIDE]
        settings = {**TWILIO, "SECRET_KEYS": KEYS, "DATABASE_URL": "sqlite:////tmp/x.db", "PUBLIC_URL": self.address}
        found = typed("deploy", "nginx", *words, *(word for host in hosts for word in ("--host", host)), **settings)
        assert found.exit_code == 0, found.output
        # Ports and folders of a test, and nothing else, are other than printed.
        site = found.stdout.replace("listen 80;", f"listen {OUTSIDE}:{free_port()};").replace("listen [::]:80;", "")
        site = re.sub(r"listen (\[::\]:\d+ ssl);", "", site).replace("/var/log/ramz", str(self.folder))
        (self.folder / "ramz.conf").write_text(site, "utf-8")
        user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        temporary = TEMPORARY.format(folder=self.folder)
        main = MAIN.format(folder=self.folder, user=user, temporary=temporary)
        (self.folder / "nginx.conf").write_text(main, "utf-8")

    @property
    def command(self) -> list[str]:
        return [program("nginx", "nginx-light"), "-c", str(self.folder / "nginx.conf"), "-p", str(self.folder)]

    def start(self) -> None:
        checked = subprocess.run([*self.command, "-t"], capture_output=True, text=True, check=False)
        assert checked.returncode == 0 and "[warn]" not in checked.stderr, checked.stderr
        lifeline.hold_all_on(self.folder)
        self.process = lifeline.hold(subprocess.Popen(self.command, stderr=subprocess.DEVNULL))
        assert eventually(lambda: is_open(self.port))

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)

    def get(self, path: str, source: str = OUTSIDE, **headers: str) -> tuple[int, str]:
        """The answer to a caller at one of this machine's addresses."""
        trusted = ssl.create_default_context(cafile=str(self.certificate))
        caller = HTTPSConnection(OUTSIDE, self.port, timeout=20, context=trusted, source_address=(source, 0))
        with closing(caller) as connection:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")

    def text(self, sender: str, words: str) -> int:
        with requests.Session() as session:
            session.trust_env, session.verify = False, str(self.certificate)
            return post_text(session, self.address, PUBLIC_URL, sender, words)

    @property
    def logged(self) -> str:
        return "".join(file.read_text("utf-8") for file in self.folder.glob("*.log"))


class Echo(BaseHTTPRequestHandler):
    """Answers with the headers that it was sent."""

    def do_GET(self) -> None:
        body = str(self.headers).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        """Nothing."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    program("nginx", "nginx-light")
    (tmp_path / "nginx").mkdir()
    return tmp_path / "nginx"


@pytest.fixture
def front(folder: Path, tmp_path: Path, fresh_sqlite: Fresh) -> Iterator[tuple[Proxy, Service]]:
    """nginx, a host that is not there, and one that is."""
    with ExitStack() as ending, service_on(fresh_sqlite(), tmp_path) as service:
        proxy = Proxy(folder, free_port())
        proxy.prepare([f"127.0.0.1:{free_port()}", f"127.0.0.1:{service.port}"])
        proxy.start()
        ending.callback(proxy.stop)
        yield proxy, service


def test_a_password_is_recovered_and_what_is_closed_is_closed(front: tuple[Proxy, Service]) -> None:
    proxy, service = front
    (pilgrim,) = some(service.database_url, 1)
    assert proxy.text(pilgrim.mobile, f"RESET {pilgrim.national_id}") == 200
    assert proxy.text(pilgrim.mobile, service.code(pilgrim)) == 200
    assert service.standin.wait(lambda: service.passwords(pilgrim))
    for path in ("/metrics", "/readyz", "/healthz", "/console", "/console/search"):
        assert proxy.get(path)[0] == 403, path
        assert proxy.get(path, INSIDE)[0] in {200, 401}, path
    page = proxy.get("/console", INSIDE)[1]
    for asset in set(re.findall(r'(?:href|src)="(/static/[^"]+)"', page)):
        assert proxy.get(asset)[0] == 200, asset
    for path in ("/", "/phone", "/metrics/", "//metrics", "/webhooks/../metrics", "/%6detrics", "/METRICS"):
        assert proxy.get(path)[0] in {403, 404}, path
    assert proxy.get("/api/v1/openapi.json")[0] == 200
    assert proxy.get("/webhooks/twilio/sms?secret=in-the-query")[0] == 405
    persian = quote(pilgrim.national_id.translate(str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")))
    for stray in (pilgrim.national_id, f"%3{pilgrim.national_id[0]}{pilgrim.national_id[1:]}", persian):
        assert proxy.get(f"/api/v1/accounts/{stray}")[0] == proxy.get(f"/{stray}")[0] == 404
    assert eventually(lambda: '"GET /webhooks/twilio/sms" 405' in proxy.logged)
    for private in ("in-the-query", pilgrim.national_id, pilgrim.mobile[3:], unquote(persian)):
        assert private not in proxy.logged


def test_a_body_that_is_too_large_is_a_problem_as_the_api_says(front: tuple[Proxy, Service]) -> None:
    proxy, _service = front
    for body in (b" " * 70_000, iter([b" " * 1_000] * 70)):  # of a length that is told, and in chunks
        with requests.Session() as session:
            session.trust_env = False
            answer = session.post(f"{proxy.address}/api/v1/passwords", body, verify=str(proxy.certificate))
        assert (answer.status_code, answer.headers["Content-Type"]) == (413, "application/problem+json")
        assert answer.json() == {"type": "about:blank", "title": "Request Entity Too Large", "status": 413}


def test_slow_callers_cost_nobody_anything(front: tuple[Proxy, Service]) -> None:
    proxy, service = front
    (pilgrim,) = some(service.database_url, 1)
    with ExitStack() as open_still:
        for number in range(60):
            caller = open_still.enter_context(socket.create_connection((OUTSIDE, proxy.port)))
            context = ssl.create_default_context(cafile=str(proxy.certificate))
            if number % 3:
                caller = open_still.enter_context(context.wrap_socket(caller, server_hostname=OUTSIDE))
                body = b"Host: a\r\nContent-Length: 500\r\n\r\nhalf" if number % 3 == 1 else b""
                caller.sendall(b"POST /webhooks/twilio/sms HTTP/1.1\r\n" + body)
        began = time.monotonic()
        assert proxy.text(pilgrim.mobile, f"RESET {pilgrim.national_id}") == 200
        assert time.monotonic() - began < 3


@pytest.mark.skipif(os.geteuid() != 0, reason="logrotate changes owners: it needs root")
def test_its_logs_are_rotated_while_it_runs(front: tuple[Proxy, Service]) -> None:
    proxy, _service = front
    settings = {**TWILIO, "SECRET_KEYS": KEYS, "DATABASE_URL": "sqlite:////tmp/x.db", "PUBLIC_URL": proxy.address}
    found = typed("deploy", "logrotate", **settings)
    text = found.stdout.replace("/var/log/ramz", str(proxy.folder)).replace(
        "/run/nginx.pid", f"{proxy.folder}/nginx.pid"
    )
    rules = proxy.folder / "rotate.conf"
    rules.write_text(text, "utf-8")
    rules.chmod(0o644)
    proxy.get("/before")
    log = proxy.folder / "nginx.access.log"
    assert eventually(lambda: "/before" in log.read_text("utf-8"))
    program_ = program("logrotate", "logrotate")
    command = [program_, "--force", "--state", str(proxy.folder / "state"), str(rules)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "/before" in (proxy.folder / "nginx.access.log.1").read_text("utf-8")

    def is_written_anew() -> bool:
        proxy.get("/after")
        return "/after" in log.read_text("utf-8")

    assert eventually(is_written_anew) and "/before" not in log.read_text("utf-8")


def test_nobody_chooses_the_address_that_is_counted(folder: Path) -> None:
    upstream = HTTPServer((OUTSIDE, 0), Echo)
    thread = Thread(target=upstream.serve_forever, daemon=True)
    thread.start()
    proxy = Proxy(folder, free_port())
    proxy.prepare([f"{OUTSIDE}:{upstream.server_port}"])
    try:
        proxy.start()
        for source, path in ((OUTSIDE, "/api/x"), (INSIDE, "/console")):
            _, seen = proxy.get(path, source, **{"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"})
            headers = [line for line in seen.splitlines() if line.startswith("X-Forwarded")]
            assert headers == [f"X-Forwarded-For: {source}", "X-Forwarded-Proto: https"]
    finally:
        proxy.stop()
        upstream.shutdown()
        upstream.server_close()
        thread.join()
