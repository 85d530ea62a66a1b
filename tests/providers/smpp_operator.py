"""A pretend operator on this machine: an SMPP 3.4 server, with phones behind it.

It keeps a text from a phone until a gateway has said that it has it, as operators do. What it takes itself it
delivers at once, and says so where a receipt is asked for.
"""

import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from queue import SimpleQueue
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Condition, Event, Lock, Thread
from typing import Any, Self

# The default alphabet of GSM 03.38.
GSM = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
BINDS = {0x01, 0x02, 0x09}
SUBMIT, DELIVER, UNBIND, ENQUIRE, RESPONSE = 0x04, 0x05, 0x06, 0x15, 0x80000000
RECEIPT = 0x04  # the esm_class of a delivery receipt
UCS2, DEFAULT = 8, 0
# Optional parameters of a receipt.
RECEIPTED_ID, STATE, NETWORK_ERROR = 0x001E, 0x0427, 0x0423
INTERNATIONAL, NATIONAL_PLAN = 1, 1

DELIVERED, EXPIRED, UNDELIVERABLE, REJECTED = ("DELIVRD", 2), ("EXPIRED", 3), ("UNDELIV", 5), ("REJECTD", 8)
BARRED = (3, 13)  # a GSM network's error: its type and number
# Answers to what is handed over (command_status).
NO_SUCH_ADDRESS, THROTTLED = 0x0B, 0x58


@dataclass(frozen=True)
class Submitted:
    """A text that a gateway handed over."""

    id: str
    sender: str
    to: str
    text: str = field(repr=False)
    coding: int
    validity: str  # as SMPP writes times
    receipted: bool
    at: float


@dataclass(frozen=True)
class Fate:
    """What becomes of a text that was taken: a state, and a network's error (its type and number)."""

    state: tuple[str, int] = DELIVERED
    error: tuple[int, int] | None = None


class SmppOperator:
    """The operator. `with SmppOperator() as operator:` starts and stops it."""

    def __init__(self) -> None:
        """Listen on a free port."""
        self.texts: list[Submitted] = []
        self.fate = Fate()
        self.refusals: list[int] = []  # the next texts are answered so
        self.unread: list[str] = []  # what has come over the wire and is none of the known
        self._ids = count(1)
        self._changed = Condition()
        self._links: list[_Link] = []
        self._stopping = Event()
        self._server = _Server(("127.0.0.1", 0), _Link)
        self._server.operator = self
        self._thread = Thread(target=self._server.serve_forever, args=(0.005,), name="operator", daemon=True)

    @property
    def port(self) -> int:
        """Where gateways bind."""
        port: int = self._server.server_address[1]
        return port

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopping.set()
        self._server.shutdown()
        for link in list(self._links):
            link.cut()
        self._server.server_close()

    def is_bound(self) -> bool:
        """Whether a gateway is there."""
        return bool(self._links)

    def text(self, sender: str, to: str, words: str, seconds: float = 60.0) -> None:
        """A phone texts. It is tried again until a gateway has taken it, for so many seconds."""
        pdu = _deliver(sender, to, words)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self._stopping.is_set():
            if any(link.ask(DELIVER, pdu) == 0 for link in list(self._links)):
                return
            time.sleep(0.1)
        raise TimeoutError("no gateway has taken the text")

    def texts_to(self, phone: str) -> list[str]:
        """What a phone has been sent, oldest first; the phone in E.164."""
        return [it.text for it in list(self.texts) if f"+{it.to}" == phone]

    def wait(self, ready: Callable[[], Any], seconds: float = 30.0) -> bool:
        """Wait until something holds of what has come in; whether it did in time."""
        with self._changed:
            return bool(self._changed.wait_for(ready, seconds))

    # For the links.

    def bound(self, link: "_Link") -> None:
        """A gateway has come."""
        self._links.append(link)

    def gone(self, link: "_Link") -> None:
        """A gateway has gone."""
        if link in self._links:
            self._links.remove(link)

    def take(self, body: bytes) -> tuple[int, Submitted | None]:
        """Answer a text that is handed over: a status, and the text where it is taken."""
        with self._changed:
            if self.refusals:
                return self.refusals.pop(0), None
            text = _submitted(f"{next(self._ids):08x}", body)
            self.texts.append(text)
            self._changed.notify_all()
        return 0, text


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    operator: SmppOperator


class _Link(StreamRequestHandler):
    """One gateway's connection."""

    server: _Server

    def handle(self) -> None:
        self.operator = self.server.operator
        self._numbers, self._writing = count(1), Lock()
        self._answers: dict[int, SimpleQueue[int]] = {}
        try:
            while self._one():
                pass
        except (OSError, struct.error):
            pass  # it went away
        finally:
            self.operator.gone(self)

    def cut(self) -> None:
        """End the connection."""
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it ended by itself

    def ask(self, command: int, body: bytes, seconds: float = 5.0) -> int | None:
        """Ask the gateway something; its answer's status, None where there is none."""
        number = next(self._numbers)
        answer = self._answers[number] = SimpleQueue()
        try:
            self._write(command, 0, number, body)
            return answer.get(timeout=seconds)
        except Exception:  # gone, or too slow
            return None

    def _one(self) -> bool:
        head = self.rfile.read(16)
        if len(head) < 16:
            return False
        length, command, status, number = struct.unpack(">IIII", head)
        body = self.rfile.read(length - 16)
        if command & RESPONSE:
            if number in self._answers:
                self._answers.pop(number).put(status)
            return True
        return self._answer(command, number, body)

    def _answer(self, command: int, number: int, body: bytes) -> bool:
        if command in BINDS:
            self._write(command | RESPONSE, 0, number, b"operator\0")
            self.operator.bound(self)
        elif command == SUBMIT:
            self._take(number, body)
        elif command in {ENQUIRE, UNBIND}:
            self._write(command | RESPONSE, 0, number)
        else:
            self.operator.unread.append(hex(command))
        return command != UNBIND

    def _take(self, number: int, body: bytes) -> None:
        status, text = self.operator.take(body)
        self._write(SUBMIT | RESPONSE, status, number, f"{text.id}\0".encode() if text else b"")
        if text and text.receipted:
            pdu = _receipt(text, self.operator.fate)
            Thread(target=self.ask, args=(DELIVER, pdu), daemon=True).start()

    def _write(self, command: int, status: int, number: int, body: bytes = b"") -> None:
        with self._writing:
            self.wfile.write(struct.pack(">IIII", 16 + len(body), command, status, number) + body)


def _words(text: str) -> tuple[int, bytes]:
    """A text's data_coding and octets."""
    try:
        return DEFAULT, bytes(GSM.index(character) for character in text)
    except ValueError:
        return UCS2, text.encode("utf-16-be")


def _read(coding: int, octets: bytes) -> str:
    if coding == UCS2:
        return octets.decode("utf-16-be")
    return "".join(GSM[octet] for octet in octets)


def _deliver(sender: str, to: str, words: str) -> bytes:
    coding, octets = _words(words)
    return _message(sender, to, 0, coding, octets)


def _receipt(text: Submitted, fate: Fate) -> bytes:
    name, state = fate.state
    network, number = fate.error or (0, 0)
    words = (
        f"id:{text.id} sub:001 dlvrd:{int(fate.state == DELIVERED):03d} submit date:2609010900 done date:2609010900 "
        f"stat:{name} err:{number:03d} text:{text.text[:20] if text.coding == DEFAULT else ''}"
    )
    known = _option(RECEIPTED_ID, f"{text.id}\0".encode()) + _option(STATE, bytes([state]))
    error = _option(NETWORK_ERROR, struct.pack(">BH", network, number)) if fate.error else b""
    return _message(text.to, text.sender, RECEIPT, DEFAULT, words.encode("ascii", "replace")) + known + error


def _message(sender: str, to: str, esm_class: int, coding: int, octets: bytes) -> bytes:
    people = b"".join(_address(number) for number in (sender, to))
    rest = struct.pack(">BBB", esm_class, 0, 0) + b"\0\0" + struct.pack(">BBBBB", 0, 0, coding, 0, len(octets))
    return b"\0" + people + rest + octets


def _address(number: str) -> bytes:
    kind = INTERNATIONAL if len(number) > 8 else 0
    return bytes([kind, NATIONAL_PLAN]) + number.removeprefix("+").encode() + b"\0"


def _option(tag: int, value: bytes) -> bytes:
    return struct.pack(">HH", tag, len(value)) + value


def _submitted(name: str, body: bytes) -> Submitted:
    rest = body.partition(b"\0")[2]
    sender, _, rest = rest[2:].partition(b"\0")
    to, _, rest = rest[2:].partition(b"\0")
    _, _, rest = rest[3:].partition(b"\0")  # esm_class, protocol, priority; when to send
    validity, _, rest = rest.partition(b"\0")
    receipted, _, coding, _, length = struct.unpack(">BBBBB", rest[:5])
    text = _read(coding, rest[5 : 5 + length])
    return Submitted(
        name, sender.decode(), to.decode(), text, coding, validity.decode(), bool(receipted), time.monotonic()
    )
