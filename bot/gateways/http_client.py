"""HTTP calls to providers, over connections that are kept open, by urllib3 (https://urllib3.readthedocs.io).

A call is made once: no redirect is followed and nothing is tried again here. When a text is sent again is the
courier's to say, because a provider that did not answer may have taken it all the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from urllib.request import getproxies

from urllib3 import PoolManager, ProxyManager, Timeout
from urllib3.exceptions import (
    HTTPError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    SSLError,
    TimeoutError,  # noqa: A004  # urllib3's own
)
from urllib3.util import make_headers, parse_url

from bot.ports import Reason, SendFailed

# In seconds; together they must end within courier.SEND_SECONDS.
CONNECT_SECONDS, READ_SECONDS = 3.0, 8.0
# Kept open for each host: as many as there are senders, so that none of them has to connect anew.
CONNECTIONS = 16
# Hosts whose connections are kept.
HOSTS = 10


@dataclass(frozen=True)
class HttpAnswer:
    """What a provider answered: its status, and the whole body unless only the status was wanted."""

    status: int
    body: bytes = field(default=b"", repr=False)


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
        """Take how long to wait for a connection, and for each part of an answer; proxies other than the environment's.

        Proxies stand by scheme, as urllib.request.getproxies has them, and under `no` the hosts without one.
        """
        self.timeout = Timeout(connect=connect_seconds, read=read_seconds)
        self.proxies = getproxies() if proxies is None else proxies
        self._direct = PoolManager(HOSTS, maxsize=CONNECTIONS, timeout=self.timeout, retries=False)
        self._proxied = _through(self.proxies.get("https"), self.timeout)

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None, status_only: bool = False
    ) -> HttpAnswer:
        """Make one call. SendFailed, never permanent, where there is no whole answer: its reason says why.

        NO_CONNECTION: nobody is there, or whoever was hung up before answering. TIMEOUT: not within the time.
        NO_SENSE: not HTTP, or an answer that was cut short.
        """
        try:
            answer = self._pool(url).request(
                method, url, body=body, headers=headers, redirect=False, preload_content=not status_only
            )
        except HTTPError as error:
            raise SendFailed(_reason(error), permanent=False) from None
        if status_only:
            answer.close()
            return HttpAnswer(answer.status)
        return HttpAnswer(answer.status, answer.data)

    def close(self) -> None:
        """Let go of every connection."""
        for pool in (self._direct, self._proxied):
            if pool is not None:
                pool.clear()

    def _pool(self, url: str) -> PoolManager:
        if self._proxied is None or not url.startswith("https:"):
            return self._direct
        exempt = _is_exempt(urlsplit(url).hostname or "", self.proxies.get("no", ""))
        return self._direct if exempt else self._proxied


def _through(proxy: str | None, timeout: Timeout) -> ProxyManager | None:
    if not proxy:
        return None
    credentials = parse_url(proxy).auth
    headers = make_headers(proxy_basic_auth=credentials) if credentials else None
    return ProxyManager(proxy, HOSTS, proxy_headers=headers, maxsize=CONNECTIONS, timeout=timeout, retries=False)


def _is_exempt(host: str, listed: str) -> bool:
    """Whether a host is on a list such as NO_PROXY: by its name, by a domain that it is in, or by an asterisk."""
    names = [name.strip().lstrip(".").lower() for name in listed.split(",")]
    return any(name and (name == "*" or f".{host}".endswith(f".{name}")) for name in names)


def _reason(error: HTTPError) -> Reason:
    if isinstance(error, NewConnectionError | ProxyError | SSLError):
        return Reason.NO_CONNECTION
    if isinstance(error, TimeoutError):
        return Reason.TIMEOUT
    if isinstance(error, ProtocolError) and isinstance(error.args[-1], ConnectionError):
        return Reason.NO_CONNECTION  # it hung up before a word
    return Reason.NO_SENSE
