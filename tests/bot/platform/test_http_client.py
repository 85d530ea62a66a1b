"""Calls to providers: each is made once, within its time, over connections that are kept."""

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from threading import Barrier, Thread

import pytest

from bot.platform.http_client import CONNECT_SECONDS, CONNECTIONS, READ_SECONDS, HttpAnswer, HttpClient
from bot.ports import Reason, SendFailed
from bot.sending import courier
from tests.support.parts import eventually

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
MOVED = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
CUT_SHORT = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nok"
Serve = Callable[[socket.socket], None]


class Server:
    """A server on loopback that does with every connection what it is told; it counts what comes in."""

    def __init__(self, serve: Serve) -> None:
        self.serve, self.connections, self.closed = serve, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/"
        Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):  # the caller may hang up first
            self.serve(connection)
        self.closed += 1  # and its end has come in, on loopback


@contextmanager
def serving(serve: Serve) -> Iterator[Server]:
    server = Server(serve)
    try:
        yield server
    finally:
        server.listener.close()


@pytest.fixture
def http() -> Iterator[HttpClient]:
    http = HttpClient(read_seconds=0.5)
    yield http
    http.close()


def post(http: HttpClient, url: str) -> HttpAnswer:
    return http.request("POST", url, headers={"X-Test": "yes"}, body=b"words")


def asked(connection: socket.socket) -> bool:
    """Read one call, to its end; False where no other came."""
    read = b""
    while not read.endswith(b"words") and (part := connection.recv(65536)):
        read += part
    return bool(read)


def answers(what: bytes, times: int = 99) -> Serve:
    def serve(connection: socket.socket) -> None:
        for _ in range(times):
            if not asked(connection):
                return
            connection.sendall(what)

    return serve


def test_an_answer_comes_back_whole(http: HttpClient) -> None:
    with serving(answers(OK)) as server:
        assert post(http, server.url) == HttpAnswer(200, b"ok")


def test_a_connection_is_kept_for_the_next_call(http: HttpClient) -> None:
    with serving(answers(OK)) as server:
        for _ in range(5):
            post(http, server.url)
        assert server.connections == 1


def closed(server: Server, times: int) -> bool:
    return server.closed == times


def test_one_that_the_server_has_closed_meanwhile_is_replaced_and_no_call_is_lost(http: HttpClient) -> None:
    with serving(answers(OK, times=1)) as server:
        for calls in range(1, 6):
            assert post(http, server.url).status == 200
            assert eventually(partial(closed, server, calls))
            assert server.connections == calls


def test_as_many_connections_are_kept_as_there_are_senders(http: HttpClient) -> None:
    assert CONNECTIONS >= courier.SENDERS
    together = Barrier(CONNECTIONS)

    def serve(connection: socket.socket) -> None:
        while asked(connection):
            together.wait(10)
            connection.sendall(OK)

    with serving(serve) as server, ThreadPoolExecutor(CONNECTIONS) as threads:
        for _ in range(3):
            list(threads.map(lambda _: post(http, server.url), range(CONNECTIONS)))
        assert server.connections == CONNECTIONS


def test_a_redirect_is_an_answer_and_is_not_followed(http: HttpClient) -> None:
    with serving(answers(MOVED)) as server:
        assert (post(http, server.url).status, server.connections) == (302, 1)


def hangs(connection: socket.socket) -> None:
    while asked(connection):
        pass


def hangs_up(connection: socket.socket) -> None:
    asked(connection)


@pytest.mark.parametrize(
    ("serve", "reason"),
    [
        pytest.param(hangs, Reason.TIMEOUT, id="no answer"),
        pytest.param(hangs_up, Reason.NO_CONNECTION, id="hangs up"),
        pytest.param(answers(CUT_SHORT, times=1), Reason.NO_SENSE, id="cut short"),
        pytest.param(answers(b"+OK POP3 server ready\r\n", times=1), Reason.NO_SENSE, id="not HTTP"),
    ],
)
def test_no_whole_answer_is_a_failure_that_says_why_and_is_not_tried_again(
    http: HttpClient, serve: Serve, reason: Reason
) -> None:
    with serving(serve) as server:
        with pytest.raises(SendFailed) as failed:
            post(http, server.url)
        assert (failed.value.reason, failed.value.permanent, server.connections) == (reason, False, 1)


def drips(connection: socket.socket) -> None:
    """An answer whose every byte is in time, and whose end never is."""
    asked(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n")
    while True:
        connection.sendall(b"x")
        time.sleep(0.05)


def test_an_answer_that_drips_is_late(http: HttpClient) -> None:
    began = time.monotonic()
    with serving(drips) as server, pytest.raises(SendFailed) as failed:
        post(http, server.url)
    assert (failed.value.reason, time.monotonic() - began < 5) == (Reason.TIMEOUT, True)


def test_an_answer_without_end_is_cut_off(http: HttpClient) -> None:
    def serve(connection: socket.socket) -> None:
        asked(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    with serving(serve) as server, pytest.raises(SendFailed) as failed:
        post(http, server.url)
    assert (failed.value.reason, failed.value.code) == (Reason.NO_SENSE, "too long")


def test_a_call_may_be_given_less_time(http: HttpClient) -> None:
    began = time.monotonic()
    with serving(hangs) as server, pytest.raises(SendFailed) as failed:
        http.request("POST", server.url, headers={}, body=b"words", seconds=0.1)
    assert (failed.value.reason, time.monotonic() - began < 0.45) == (Reason.TIMEOUT, True)


def test_nobody_there_is_no_connection(http: HttpClient) -> None:
    with pytest.raises(SendFailed) as failed:
        post(http, "http://127.0.0.1:1/")
    assert failed.value.reason is Reason.NO_CONNECTION


def test_https_that_nobody_can_prove_is_no_connection(http: HttpClient) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(OK)

    with serving(serve) as server, pytest.raises(SendFailed) as failed:
        post(http, server.url.replace("http:", "https:"))
    assert failed.value.reason is Reason.NO_CONNECTION


def test_only_the_status_can_be_asked_for(http: HttpClient) -> None:
    with serving(answers(CUT_SHORT, times=1)) as server:
        assert http.request("POST", server.url, headers={}, body=b"words", status_only=True) == HttpAnswer(200)


def test_https_goes_through_the_proxy_that_is_set() -> None:
    seen: list[bytes] = []

    def proxy(connection: socket.socket) -> None:
        seen.append(connection.recv(65536).lower())

    with serving(proxy) as server:
        proxies = {"https": server.url.replace("//", "//me:mine@"), "no": "near.invalid"}
        http = HttpClient(connect_seconds=0.5, read_seconds=0.5, proxies=proxies)
        for host in ("far.invalid", "near.invalid"):
            with pytest.raises(SendFailed):
                post(http, f"https://{host}/")
        http.close()
    (asked,) = seen
    assert asked.startswith(b"connect far.invalid:443 ") and b"proxy-authorization: basic bwu6bwluzq==" in asked


def test_the_longest_call_ends_before_anybody_else_may_take_its_text_over() -> None:
    http = HttpClient()
    assert (http.connect_seconds, http.read_seconds) == (3, 7.5)
    assert CONNECT_SECONDS + READ_SECONDS <= courier.SEND_SECONDS.total_seconds() < courier.LEASE.total_seconds()
