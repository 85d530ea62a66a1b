"""Reads requests whole, many at once, before one of them costs the bot anything: a slow caller keeps nobody waiting.

Waitress reads, in one thread. A request goes to the application when its last byte is there, so the threads that
answer never wait for a caller. A connection carries one request, as providers send them: one that is kept open could
be closed by our deadline at the very moment when the next text is sent over it.
"""

import logging
import time
from collections.abc import Callable, Sequence
from io import RawIOBase
from socket import socket
from typing import Any
from wsgiref.types import WSGIApplication

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher, WSGITask
from waitress.utilities import BadRequest, RequestEntityTooLarge, RequestHeaderFieldsTooLarge

# Seconds from the connection on: until the headers are whole, until the body is, and until the answer is taken.
HEADERS_WITHIN, BODY_WITHIN, ANSWER_WITHIN = 5.0, 10.0, 60.0
# Connections of one process. Beyond, the oldest that has not sent its request makes room for a new one.
MOST_CONNECTIONS = 500
LARGEST_HEADERS = 32 * 1024
# Of a body that is too long so much is read all the same: a client that still sends as the connection closes loses
# the answer.
LARGEST_UNREAD = 1024 * 1024
BACKLOG = 1024
# Bytes of an answer that wait for the rest of it: headers alone, and then a body, would be two packets.
SENT_AT_ONCE = 16 * 1024
BLINK = 0.05
# Requests in hand of which none was answered for so long are stuck for good: the store gives up every wait long before,
# one for a lock after 3 seconds and one for a statement after 30, and a request has a few of them.
WEDGED_SECONDS = 60.0
# Takes the reason why somebody was refused, a word of ours.
Refusals = Callable[[str], object]
# Seconds by a clock that never goes back.
Steady = Callable[[], float]


class BrokenBody(RawIOBase):
    """A body that can't be read to its end."""

    def readable(self) -> bool:
        """It may be tried."""
        return True

    def readinto(self, _buffer: object) -> int:
        """Raise OSError, as a stream does whose connection broke off."""
        raise OSError("the body is not whole")


class Request(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    """A request as it comes in. What is wrong with its body the application tells, in its own words."""

    is_broken = False
    error: object = None  # what is wrong with it, where its answer is not the application's
    expect_continue: bool = False
    _unread = 0

    def received(self, data: bytes) -> int:
        """Take some more bytes; how many of them belong to this request."""
        if self._unread:
            return self._drop(data)
        taken: int = super().received(data)
        if self.headers_finished:
            self.headers["CONNECTION"] = "close"  # as if it had asked for no more than one answer
            if self.error is None and self.path.startswith("//"):
                # Waitress would drop one, and a proxy's rule for /metrics would have been got past.
                self.error, self.completed = BadRequest("//"), True
                return taken
        if self.error is not None and self.body_rcv is not None:
            self._leave_to_application(is_too_long=isinstance(self.error, RequestEntityTooLarge))
        return taken

    def _leave_to_application(self, *, is_too_long: bool) -> None:
        if is_too_long:
            # It goes by the length, which nobody has told where the body comes in chunks.
            self.headers.setdefault("CONTENT_LENGTH", str(self.body_bytes_received))
            if not self.expect_continue and self.content_length <= LARGEST_UNREAD:
                self._unread = self.content_length
                self.completed = not self._unread
        self.error, self.expect_continue = None, False
        self.is_broken = True

    def _drop(self, data: bytes) -> int:
        taken = min(len(data), self._unread)
        self._unread -= taken
        self.completed = not self._unread
        return taken

    def get_body_stream(self) -> object:
        """What the application reads the body from."""
        return BrokenBody() if self.is_broken else super().get_body_stream()


class Task(WSGITask):  # type: ignore[misc]
    """Has the application answer, and sends what it answered at once, from the same thread."""

    def finish(self) -> None:
        """Send what is not sent yet: a small answer whole, in one write."""
        super().finish()
        self.channel.flush()


class Connection(HTTPChannel):  # type: ignore[misc]
    """A caller, and since when it has been there."""

    parser_class = Request
    task_class = Task

    def __init__(self, server: "Listener", *parts: object, **options: object) -> None:
        """Note the time."""
        self.began = server.now()
        super().__init__(server, *parts, **options)

    def service(self) -> None:
        """Have the application answer, in one of its threads; or say that what came is no request."""
        if fault := self.requests[0].error:
            too_large = isinstance(fault, RequestHeaderFieldsTooLarge)
            self.server.refused("headers_too_large" if too_large else "malformed")
        super().service()
        self.server.answered += 1
        if self.server.is_full:  # else a connection that waits is accepted only at the next event
            self.server.pull_trigger()

    def flush(self) -> None:
        """Send what there is, as far as the caller takes it; the reading thread sends the rest."""
        with self.outbuf_lock:
            self._flush_exception(self._flush_some, do_close=False)

    @property
    def is_awaited(self) -> bool:
        """Whether its request is not whole yet."""
        return not self.requests and not self.total_outbufs_len

    @property
    def has_begun(self) -> bool:
        """Whether a part of its request is here, or all of it, or an answer that is not taken yet."""
        return self.request is not None or not self.is_awaited

    def is_late(self, now: float) -> bool:
        """Whether it has had its time. One whose request the application has is not late, whatever that takes."""
        if self.requests:
            return False
        if not self.is_awaited:
            return now > self.began + ANSWER_WITHIN
        has_headers = self.request is not None and self.request.headers_finished
        return now > self.began + (BODY_WITHIN if has_headers else HEADERS_WITHIN)


class Listener(TcpWSGIServer):  # type: ignore[misc]
    """A listening socket and the connections that came in by it."""

    channel_class = Connection
    answered = 0
    is_full = False
    # Handed in by the reader, which makes it.
    refused: Refusals
    now: Steady
    most: int

    def readable(self) -> bool:
        """Whether to take connections in: not while a request waits for a thread; other processes may have one free."""
        self.is_full = bool(self.task_dispatcher.queue)
        return bool(super().readable()) and not self.is_full

    def handle_accept(self) -> None:
        """Take a connection in; make room for it first, if need be."""
        if len(self.active_channels) >= self.most:
            self._make_room()
        super().handle_accept()

    def take_in_all(self) -> None:
        """Accept every connection that waits."""
        before = -1
        while before < len(self.active_channels) < self.most:
            before = len(self.active_channels)
            self.handle_accept()

    def _make_room(self) -> None:
        awaited = [it for it in self.active_channels.values() if it.is_awaited]
        if awaited:
            self.refused("too_many")
            min(awaited, key=lambda it: it.began).handle_close()


class RequestReader:
    """Reads requests from listening sockets, and has some threads answer them."""

    def __init__(
        self,
        application: WSGIApplication,
        sockets: Sequence[socket],
        threads: int,
        largest: int,
        refused: Refusals,
        *,
        most: int = MOST_CONNECTIONS,
        now: Steady = time.monotonic,
    ) -> None:
        """Take what answers, how many threads it gets, how many bytes a body may have, and who counts refusals.

        Those are `malformed`, `headers_too_large`, `too_slow` and `too_many`; all else the application refuses. At
        `most` so many connections are open at once.
        """
        self._refused, self._most, self._now = refused, most, now
        logging.getLogger("waitress").setLevel(logging.CRITICAL)  # it quotes addresses, and those may hold an ID
        self._threads = ThreadedTaskDispatcher()
        self._threads.set_thread_count(threads)
        self._map: dict[int, Any] = {}
        self._listeners = [self._listener(application, each, largest) for each in sockets]
        self._is_woken, self._answered, self._moved_at = False, 0, now()

    def _listener(self, application: WSGIApplication, listening: socket, largest: int) -> Listener:
        adjustments = Adjustments(
            sockets=[listening],
            backlog=BACKLOG,
            recv_bytes=largest,
            ident="",
            max_request_header_size=LARGEST_HEADERS,
            max_request_body_size=largest + 1,
            connection_limit=2 * self._most,  # not to be reached: it would take nobody in any more
            channel_timeout=86_400,  # not to be reached: it goes by the wall clock
            clear_untrusted_proxy_headers=False,  # none of them moves a route; the console has its own rule
        )
        adjustments.send_bytes = SENT_AT_ONCE
        about = (listening.family, listening.type, listening.proto, listening.getsockname())
        listener = Listener(
            application,
            self._map,
            _sock=listening,
            dispatcher=self._threads,
            adj=adjustments,
            sockinfo=about,
            bind_socket=False,
        )
        listener.refused, listener.now, listener.most = self._refused, self._now, self._most
        return listener

    def read(self, seconds: float) -> None:
        """Read and write whatever comes, for so many seconds or until woken; then close what is late."""
        until = time.monotonic() + seconds
        while not self._is_woken and (rest := until - time.monotonic()) > 0:
            self._poll(rest)
        self._close_late()

    def wake(self) -> None:
        """End `read` soon and for good; from any thread, or a signal's handler."""
        self._is_woken = True
        self._listeners[0].pull_trigger()

    def is_moving(self) -> bool:
        """Whether nothing is in hand, or something was answered lately: within WEDGED_SECONDS.

        Requests that wait for the database, which may be locked or slow, are no reason to replace the process: the
        next one would wait as well.
        """
        before, self._answered = self._answered, sum(it.answered for it in self._listeners)
        if self._answered != before or not any(it.requests for it in self._connections()):
            self._moved_at = self._now()
        return self._now() - self._moved_at < WEDGED_SECONDS

    def finish(self, seconds: float, unread_seconds: float) -> None:
        """Accept no more; answer who is here within `seconds`, and who still sends within `unread_seconds`."""
        began = time.monotonic()
        for listener in self._listeners:
            listener.take_in_all()
            wasyncore.dispatcher.close(listener)
        while (spent := time.monotonic() - began) < seconds and self._has_work(spent < unread_seconds):
            self._poll(BLINK)
            self._close_late()
        self._threads.shutdown()
        wasyncore.close_all(self._map)

    def _has_work(self, waits_for_unread: bool) -> bool:
        found = self._connections()
        return any(not it.is_awaited or (waits_for_unread and it.has_begun) for it in found)

    def _connections(self) -> list[Connection]:
        return [it for listener in self._listeners for it in list(listener.active_channels.values())]

    def _poll(self, seconds: float) -> None:
        wasyncore.loop(timeout=seconds, use_poll=True, map=self._map, count=1)

    def _close_late(self) -> None:
        now = self._now()
        for connection in self._connections():
            if connection.is_late(now):
                if connection.is_awaited:
                    self._refused("too_slow")
                connection.handle_close()
