"""A server on loopback that speaks HTTP by hand, a thread a connection: what stand-ins for providers are made of.

It costs little beside what is measured against it, and can do with a connection what no framework would let it.
"""

import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Condition, Event, Thread
from typing import Any, Self

Write = Callable[[bytes], object]


@dataclass(frozen=True)
class Called:
    """A call as it came; header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class HttpStandIn:
    """A server on loopback. `with TwilioStandIn() as twilio:` starts and stops it."""

    def __init__(self) -> None:
        """Listen on a free port."""
        self.connections = 0
        self._changed, self._mended = Condition(), Event()
        self._server = _Server(("127.0.0.1", 0), _Connection)
        self._server.owner = self
        self._thread = Thread(target=self._server.serve_forever, args=(0.005,), name="stand-in", daemon=True)

    def talk(self, called: Called, write: Write) -> bool:
        """Answer one call; whether the connection lives on. Each stand-in has its own way."""
        raise NotImplementedError

    def forget_troubles(self) -> None:
        """Be in trouble no more. Each stand-in has its own."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End every connection."""
        self.mend()
        self._server.shutdown()
        self._server.cut_all()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def mend(self) -> None:
        """Be well again; what hangs is let go."""
        with self._changed:
            self.forget_troubles()
            self._mended.set()

    def wait(self, ready: Callable[[], Any], seconds: float = 60.0) -> bool:
        """Wait until something holds of what has come in; whether it did in time."""
        with self._changed:
            return bool(self._changed.wait_for(ready, seconds))

    def _may_hang(self) -> None:
        """From now on what hangs waits for the next mending. To be called under the lock."""
        if self._mended.is_set():
            self._mended = Event()


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128
    owner: HttpStandIn

    def __init__(self, *arguments: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        self.owner.connections += 1
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def cut_all(self) -> None:
        """End the connections that are kept alive, so that their threads end too."""
        for request in list(self._open):
            try:
                request.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it ended by itself


class _Connection(StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self) -> None:
        try:
            while self._one():
                pass
        except (ConnectionError, ValueError, OSError):
            return  # the caller went away

    def _one(self) -> bool:
        start = self.rfile.readline()
        if not start.strip():
            return False
        headers = _headers(iter(self.rfile.readline, b"\r\n"))
        body = self.rfile.read(int(headers.get("content-length", "0")))
        method, target, _ = start.decode().split()
        assert isinstance(self.server, _Server)
        return self.server.owner.talk(Called(method, target, headers, body), self.wfile.write)


def _headers(lines: Iterable[bytes]) -> dict[str, str]:
    found = {}
    for line in lines:
        if not line:
            raise ConnectionError
        name, _, value = line.decode("latin-1").partition(":")
        found[name.lower()] = value.strip()
    return found
