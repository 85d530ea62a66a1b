"""The one way out over HTTP: TLS verified, nothing redirected or tried again, answers bounded in size and in time.

Addresses hold keys, numbers and texts, so nothing of a call is ever logged here, nor by urllib3.
"""

import io
import logging
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, PoolManager, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)

from bot.ports import Reason, SendFailed

CONNECT_SECONDS = 3.0
# From the first word of a call to the last of its answer; with the connecting, less than courier.SEND_SECONDS.
ANSWER_SECONDS = 7.5
LARGEST_ANSWER = 1024 * 1024
CHUNK = 16 * 1024
CONNECTIONS = 8  # kept open: as many as there are senders

logging.getLogger("urllib3.connectionpool").disabled = True  # at its most talkative it writes whole addresses


@dataclass(frozen=True)
class Reply:
    """What came back, whole."""

    status: int
    body: bytes = field(repr=False)
    content_type: str = ""


class _Timed(io.RawIOBase):
    """A socket's input with a deadline for all of it: single bytes, each in time, could go on for ever."""

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        super().__init__()
        self._sock, self._ends = sock, time.monotonic() + seconds
        self._raw: Any = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        read: int | None = self._raw.readinto(buffer)
        return read

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedSocket:
    """What http.client reads an answer from."""

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self._sock, self._seconds = sock, seconds

    def makefile(self, *_how: object) -> io.BufferedReader:
        return io.BufferedReader(_Timed(self._sock, self._seconds))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class _Plain(HTTPConnection):
    def getresponse(self) -> Any:
        return _timed(self, super().getresponse)


class _Secure(HTTPSConnection):
    def getresponse(self) -> Any:
        return _timed(self, super().getresponse)


def _timed(connection: Any, answer: Any) -> Any:
    sock, seconds = connection.sock, connection.timeout
    connection.sock = _TimedSocket(sock, seconds)
    try:
        return answer()
    finally:
        if connection.sock is not None:  # it is let go of where the server will close it
            connection.sock = sock


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


class Client:
    """Connections to one provider, kept open."""

    def __init__(self, seconds: float = ANSWER_SECONDS) -> None:
        """Take how long an answer may take, in seconds."""
        self.seconds = seconds
        self._pool = PoolManager(maxsize=CONNECTIONS, retries=False, cert_reqs="CERT_REQUIRED")
        self._pool.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}

    def call(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, seconds: float | None = None
    ) -> Reply:
        """The whole answer, whatever its status. SendFailed where there is none: not reached, late, cut, too long."""
        within = min(seconds or self.seconds, self.seconds)
        try:
            return self._call(method, url, dict(headers), body, within)
        except NewConnectionError:
            raise SendFailed(Reason.NO_CONNECTION, permanent=False) from None
        except SSLError:
            raise SendFailed(Reason.NO_CONNECTION, permanent=False, code="tls") from None
        except (ConnectTimeoutError, ReadTimeoutError, TimeoutError):
            raise SendFailed(Reason.TIMEOUT, permanent=False) from None
        except ProtocolError as error:
            late = any(isinstance(each, TimeoutError) for each in (*error.args, error.__context__))
            raise SendFailed(Reason.TIMEOUT if late else Reason.NO_SENSE, permanent=False) from None
        except (HTTPError, ValueError):  # not an answer, or one that was cut short; an address that can't be
            raise SendFailed(Reason.NO_SENSE, permanent=False) from None

    def close(self) -> None:
        """Let go of every connection."""
        self._pool.clear()

    def _call(self, method: str, url: str, headers: dict[str, str], body: bytes | None, within: float) -> Reply:
        timeout = Timeout(connect=min(CONNECT_SECONDS, within), read=within)
        response = self._pool.request(
            method, url, headers=headers, body=body, timeout=timeout, redirect=False, preload_content=False
        )
        whole = False
        try:
            read = _bounded(response)
            whole = True
            return Reply(response.status, read, response.headers.get("Content-Type", ""))
        finally:
            response.release_conn() if whole else response.close()


def _bounded(response: BaseHTTPResponse) -> bytes:
    read = bytearray()
    for chunk in response.stream(CHUNK, decode_content=True):
        read += chunk
        if len(read) > LARGEST_ANSWER:
            raise SendFailed(Reason.NO_SENSE, permanent=False, code="too long")
    return bytes(read)
