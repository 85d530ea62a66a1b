"""The one way out over HTTP: to providers and to Fakher, over connections that are kept open (urllib3).

A call is made once: no redirect is followed and nothing is tried again here. When a text is sent again is the
courier's to say, because a provider that did not answer may have taken it all the same. TLS is verified; an answer is
bounded in size and in time. Addresses hold keys, numbers and texts, so nothing of a call is ever logged here, nor by
urllib3 (https://urllib3.readthedocs.io).
"""

import io
import logging
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NewConnectionError, ProtocolError, ProxyError, SSLError
from urllib3.exceptions import TimeoutError as LateError
from urllib3.util import make_headers, parse_url

from bot.ports import Reason, SendFailed

# In seconds, for the connecting and from the first word of a call to the last of its answer; together they must end
# within courier.SEND_SECONDS.
CONNECT_SECONDS, READ_SECONDS = 3.0, 7.5
LARGEST_ANSWER = 1024 * 1024
CHUNK = 16 * 1024
# Kept open for each host: as many as there are senders, so that none of them has to connect anew.
CONNECTIONS = 16
# Hosts whose connections are kept.
HOSTS = 10

logging.getLogger("urllib3.connectionpool").disabled = True  # at its most talkative it writes whole addresses


@dataclass(frozen=True)
class HttpAnswer:
    """What came back: its status, and the whole body unless only the status was wanted."""

    status: int
    body: bytes = field(default=b"", repr=False)
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
    """Sends a call in one write, where urllib3 makes two, and bounds the time that all of its answer takes."""

    _unsent: list[bytes] | None = None

    def request(self, *call: Any, **how: Any) -> None:
        unsent: list[bytes] = []
        self._unsent = unsent
        try:
            super().request(*call, **how)
        finally:
            self._unsent = None
        self.send(b"".join(unsent))

    def send(self, data: Any) -> None:
        if self._unsent is None:
            super().send(data)
        else:
            self._unsent.append(data)

    def getresponse(self) -> Any:
        sock: Any = self.sock
        timed: Any = _TimedSocket(sock, self.timeout or READ_SECONDS)
        self.sock = timed
        try:
            return super().getresponse()
        finally:
            if self.sock is not None:  # there is none where the server will close it
                self.sock = sock


class _Secure(_Plain, HTTPSConnection):
    """The same over TLS."""


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


class HttpClient:
    """Connections to providers, shared by all threads. One that its server has closed is replaced before it is used.

    An address that begins with https goes through the proxy that HTTPS_PROXY names, unless NO_PROXY exempts its
    host; http is for this machine and its own network, and goes there directly.
    """

    def __init__(
        self,
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float = READ_SECONDS,
        proxies: Mapping[str, str] | None = None,
    ) -> None:
        """Take how long to wait for a connection, and for a whole answer; proxies other than the environment's.

        Proxies stand by scheme, as urllib.request.getproxies has them, and under `no` the hosts without one.
        """
        self.connect_seconds, self.read_seconds = connect_seconds, read_seconds
        self.proxies = getproxies() if proxies is None else proxies
        self._direct = _kept(PoolManager(HOSTS, maxsize=CONNECTIONS, retries=False, cert_reqs="CERT_REQUIRED"))
        self._proxied = _through(self.proxies.get("https"))

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        seconds: float | None = None,
        status_only: bool = False,
    ) -> HttpAnswer:
        """Make one call, of so many seconds at most. SendFailed, never permanent, where there is no whole answer.

        Its reason says why. NO_CONNECTION: there is no server, it can't prove its name (TLS), or it hung up before it
        answered.
        TIMEOUT: not within the time. NO_SENSE: not HTTP, an answer that was cut short or is too long.
        """
        within = min(seconds or self.read_seconds, self.read_seconds)
        timeout = Timeout(connect=min(self.connect_seconds, within), read=within)
        try:
            answer = self._pool(url).request(
                method, url, body=body, headers=headers, timeout=timeout, redirect=False, preload_content=False
            )
            return _status(answer) if status_only else _whole(answer)
        except (HTTPError, TimeoutError, ValueError) as error:  # the last for an address that can't be
            raise _failure(error) from None

    def close(self) -> None:
        """Close every connection."""
        for pool in (self._direct, self._proxied):
            if pool is not None:
                pool.clear()

    def _pool(self, url: str) -> PoolManager:
        if self._proxied is None or not url.startswith("https:"):
            return self._direct
        exempt = _is_exempt(urlsplit(url).hostname or "", self.proxies.get("no", ""))
        return self._direct if exempt else self._proxied


def _kept(manager: PoolManager) -> PoolManager:
    manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
    return manager


def _through(proxy: str | None) -> PoolManager | None:
    if not proxy:
        return None
    credentials = parse_url(proxy).auth
    headers = make_headers(proxy_basic_auth=credentials) if credentials else None
    return _kept(
        ProxyManager(proxy, HOSTS, proxy_headers=headers, maxsize=CONNECTIONS, retries=False, cert_reqs="CERT_REQUIRED")
    )


def _is_exempt(host: str, listed: str) -> bool:
    """Whether a host is on a list such as NO_PROXY: by its name, by a domain that it is in, or by an asterisk."""
    names = [name.strip().lstrip(".").lower() for name in listed.split(",")]
    return any(name and (name == "*" or f".{host}".endswith(f".{name}")) for name in names)


def _status(answer: BaseHTTPResponse) -> HttpAnswer:
    answer.close()
    return HttpAnswer(answer.status)


def _whole(answer: BaseHTTPResponse) -> HttpAnswer:
    is_whole = False
    try:
        body = _bounded(answer)
        is_whole = True
        return HttpAnswer(answer.status, body, answer.headers.get("Content-Type", ""))
    finally:
        answer.release_conn() if is_whole else answer.close()


def _bounded(answer: BaseHTTPResponse) -> bytes:
    read = bytearray()
    for chunk in answer.stream(CHUNK, decode_content=True):
        read += chunk
        if len(read) > LARGEST_ANSWER:
            raise SendFailed(Reason.NO_SENSE, permanent=False, code="too long")
    return bytes(read)


def _failure(error: Exception) -> SendFailed:
    code = "tls" if isinstance(error, SSLError) else ""
    return SendFailed(_reason(error), permanent=False, code=code)


def _reason(error: Exception) -> Reason:
    if isinstance(error, NewConnectionError | ProxyError | SSLError):
        return Reason.NO_CONNECTION
    if isinstance(error, LateError | TimeoutError):
        return Reason.TIMEOUT
    if isinstance(error, ProtocolError):
        causes = (*error.args, error.__context__)
        if any(isinstance(each, TimeoutError) for each in causes):
            return Reason.TIMEOUT
        if isinstance(error.args[-1], ConnectionError):
            return Reason.NO_CONNECTION  # it hung up before a word
    return Reason.NO_SENSE
