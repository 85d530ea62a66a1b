"""Callers that take their time, or never come to the end: what an attack costs somebody with one machine."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Event, Thread

HEAD = b"POST /webhooks/twilio/sms HTTP/1.1\r\nHost: ramz\r\nContent-Type: application/x-www-form-urlencoded\r\n"
# As much of a request as they send, by what they are called.
SENT = {
    "say nothing": b"",
    "send half a header": HEAD + b"Content-Len",
    "send half a body": HEAD + b"Content-Length: 500\r\n\r\nFrom=%2B98912",
    "send half a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\nff\r\nFrom=",
}
DRIP_SECONDS = 0.2


@contextmanager
def callers(port: int, number: int, sent: bytes) -> Iterator[list[socket.socket]]:
    """So many connections over which these bytes have come, and no more do."""
    found = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(number)]
    try:
        for each in found:
            each.sendall(sent)
        time.sleep(0.3)  # until the service has seen them
        yield found
    finally:
        for each in found:
            each.close()


@contextmanager
def dripping(port: int, number: int, sent: bytes) -> Iterator[list[socket.socket]]:
    """So many connections over which some bytes have come, and then more, one by one, for ever."""
    over = Event()
    with callers(port, number, sent) as found:
        thread = Thread(target=_drip, args=(found, over), daemon=True)
        thread.start()
        try:
            yield found
        finally:
            over.set()
            thread.join()


def _drip(callers: list[socket.socket], over: Event) -> None:
    while not over.wait(DRIP_SECONDS):
        for each in callers:
            with suppress(OSError):
                each.sendall(b"x")


@contextmanager
def relay(port: int) -> Iterator[int]:
    """A proxy that keeps nothing back: what comes goes on at once. Its port."""

    class Relay(BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", port)) as service:
                back = Thread(target=_copy, args=(service, self.request))
                back.start()
                _copy(self.request, service)
                back.join()

    with _Relays(("127.0.0.1", 0), Relay) as server:
        thread = Thread(target=server.serve_forever, args=(0.005,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


class _Relays(ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(4096):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def ended(caller: socket.socket, seconds: float) -> bool:
    """Whether the service ends a connection within so many seconds, with an answer or without."""
    caller.settimeout(max(0.01, seconds))
    try:
        while caller.recv(4096):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True
