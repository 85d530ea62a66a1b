"""A load of signed webhooks, each over a connection of its own, as providers call."""

import base64
import hashlib
import hmac
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock, Thread
from urllib.parse import urlencode

TOKEN = "bench-token"
SID = "AC" + "0" * 32
SENDER = "+982100000000"
PATH = "/webhooks/twilio/sms"


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
    """How a load went."""

    seconds: float
    answered: int
    failed: int

    @property
    def rate(self) -> float:
        """Requests answered with 200, a second."""
        return self.answered / self.seconds


def run(port: int, requests: Sequence[bytes], at_once: int = 8) -> Result:
    """Send all requests, so many at once, and wait for every answer."""
    waiting: Iterator[bytes] = iter(requests)
    lock, counts = Lock(), [0, 0]

    def work() -> None:
        while True:
            with lock:
                request = next(waiting, None)
            if request is None:
                return
            good = _send(port, request)
            with lock:
                counts[0 if good else 1] += 1

    threads = [Thread(target=work) for _ in range(at_once)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Result(time.perf_counter() - began, *counts)


def _send(port: int, request: bytes) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=15) as connection:
            connection.sendall(request)
            answer = b""
            while part := connection.recv(4096):
                answer += part
        return answer.startswith(b"HTTP/1.1 200")
    except OSError:
        return False
