"""A stand-in for Kannel's sendsms service on this machine: takes texts as smsbox does, and can be in trouble."""

import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from dialogs.replies.segments import SEPTETS

USER, PASSWORD, SENDER, SECRET = "ramz", "a-password-for-sendsms", "3000555", "what+Kannel%knows&says"
ACCEPTED = (202, b"0: Accepted for delivery")
QUEUED = (202, b"3: Queued for later delivery")
FORBIDDEN = (403, b"Authorization failed for sendsms")
BUSY = (503, b"Temporal failure, try again later.")
NOT_ROUTABLE = (403, b"Not routable. Do not try again.")
NO_RECEIVER = (400, b"Empty receiver number not allowed, rejected")
ON_A_LIST = (400, b"Number(s) has/have been denied by white- and/or black-lists.")


@dataclass(frozen=True)
class Cut:
    """The connection ends, before the answer or in the middle of it."""

    midway: bool = False


@dataclass(frozen=True)
class Hang:
    """No answer before the stand-in is stopped."""


Trouble = tuple[int, bytes] | Cut | Hang


@dataclass(frozen=True)
class Taken:
    """A call of sendsms."""

    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """What leaves for the phone: what the chosen alphabet lacks turns into question marks, as at smsbox."""
        words = self.body.decode()
        if self.headers.get("x-kannel-coding") == "2":
            return words
        return "".join(character if character in SEPTETS else "?" for character in words)


class KannelStandIn:
    """smsbox on loopback. `with KannelStandIn() as kannel:` starts and stops it."""

    def __init__(self) -> None:
        """Listen on a free port."""
        self.taken: list[Taken] = []
        self.troubles: list[Trouble] = []  # one a call
        self.connections = 0
        self.stopping = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Connection)
        self._server.standin = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.005,), daemon=True)

    @property
    def url(self) -> str:
        """What KANNEL_SEND_URL is to be."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/cgi-bin/sendsms"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def texts_to(self, phone: str) -> list[str]:
        """What a phone was sent, oldest first."""
        return [it.text for it in self.taken if it.headers["x-kannel-to"] == phone]

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> Trouble:
        """Take a call, or say what is wrong with it."""
        if self.troubles:
            return self.troubles.pop(0)
        if path != "/cgi-bin/sendsms":
            return 404, b"Unknown request"
        if (headers.get("x-kannel-username"), headers.get("x-kannel-password")) != (USER, PASSWORD):
            return FORBIDDEN
        self.taken.append(Taken(headers, body))
        return ACCEPTED


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    standin: KannelStandIn

    def get_request(self) -> tuple[socket.socket, object]:
        self.standin.connections += 1
        return super().get_request()

    def handle_error(self, *_who: object) -> None:
        """Say nothing: a caller that was killed leaves a broken connection."""


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        match self.server.standin.answer(self.path, headers, body):
            case (status, words):
                self._write(status, words, len(words))
            case Cut(midway):
                if midway:
                    self._write(202, b"0: Acc", 24)
                self.close_connection = True
            case Hang():
                self.server.standin.stopping.wait()
                self.close_connection = True

    def _write(self, status: int, words: bytes, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(words)

    def log_message(self, *_what: object) -> None:
        """Say nothing."""
