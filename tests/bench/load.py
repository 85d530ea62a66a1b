"""Loads of signed webhooks, a connection each, as providers call: as fast as answers come, or by a clock."""

import base64
import hashlib
import hmac
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import Lock, Thread
from urllib.parse import urlencode

TOKEN = "bench-token"
SID = "AC" + "0" * 32
SENDER = "+982100000000"
PATH = "/webhooks/twilio/sms"
# Threads of an open load: more than a server that keeps up will ever need.
WAITERS = 64


def signed(public_url: str, form: dict[str, str]) -> bytes:
    """A whole HTTP request, signed as Twilio signs."""
    url = public_url + PATH
    message = url + "".join(name + form[name] for name in sorted(form))
    signature = base64.b64encode(hmac.new(TOKEN.encode(), message.encode(), hashlib.sha1).digest()).decode()
    body = urlencode(form).encode()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Twilio-Signature: {signature}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def text(public_url: str, name: str, sender: str, words: str) -> bytes:
    """A text as Twilio hands it over, with the fields that it sends besides."""
    form = {
        "MessageSid": name,
        "SmsSid": name,
        "AccountSid": SID,
        "From": sender,
        "To": SENDER,
        "Body": words,
        "NumMedia": "0",
        "NumSegments": "1",
        "SmsStatus": "received",
        "FromCountry": "IR",
        "ToCountry": "IR",
        "ApiVersion": "2010-04-01",
    }
    return signed(public_url, form)


@dataclass
class Result:
    """How a load went. `began` is on the monotonic clock, which all processes share; `latencies` are in seconds."""

    began: float
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    failed: int = 0

    @property
    def rate(self) -> float:
        """Requests answered with 200, a second."""
        return len(self.latencies) / self.seconds


def closed(port: int, requests: Sequence[bytes], at_once: int = 8) -> Result:
    """Send all requests, so many at once, each as soon as another was answered."""
    return _run(port, requests, at_once, lambda began, number: time.monotonic())


def by_the_clock(port: int, requests: Sequence[bytes], per_second: float) -> Result:
    """Send all requests, so many a second, however long answers take; latencies count from when each was due."""

    def due(began: float, number: int) -> float:
        moment = began + number / per_second
        time.sleep(max(0.0, moment - time.monotonic()))
        return moment

    return _run(port, requests, WAITERS, due)


def _run(port: int, requests: Sequence[bytes], threads: int, wait: Callable[[float, int], float]) -> Result:
    waiting: Iterator[tuple[int, bytes]] = enumerate(requests)
    lock, result = Lock(), Result(time.monotonic())

    def work() -> None:
        while True:
            with lock:
                number, request = next(waiting, (-1, b""))
            if number < 0:
                return
            began = wait(result.began, number)
            good = answers_200(port, request)
            with lock:
                if good:
                    result.latencies.append(time.monotonic() - began)
                else:
                    result.failed += 1

    workers = [Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    result.seconds = time.monotonic() - result.began
    return result


def answers_200(port: int, request: bytes) -> bool:
    """Send one request; whether the answer is 200."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=15) as connection:
            connection.sendall(request)
            answer = b""
            while part := connection.recv(4096):
                answer += part
        return answer.startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def get(path: str) -> bytes:
    """A whole GET request."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
