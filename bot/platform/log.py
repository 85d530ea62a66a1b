"""JSON lines, one an event. Numbers and IDs are never handed to a log but by their last four digits."""

import logging
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from threading import Lock
from typing import TextIO

import structlog

MINUTE = 60.0
# What systemd's journal takes for a line's level (sd-daemon(3)); it takes the mark off. Without one all is `info`, and
# `journalctl -p err` finds nothing.
PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
JOURNAL = "/run/systemd/journal/stdout"
# Loggers that would write what is sent: the body of a call to a provider, a statement's parameters.
_TALKATIVE = (
    "twilio",
    "twilio.http_client",
    "urllib3",
    "sqlalchemy",
    "werkzeug",
    "apscheduler",
    "alembic",
    "openapi_pydantic",
)


def set_up(stream: TextIO = sys.stderr) -> None:
    """Write JSON lines to a stream, with their level for systemd's journal where it is that; silence the libraries."""
    render = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _name_the_error,
            marked(render) if is_journal(stream) else render,
        ],
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, stream=stream, force=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def is_journal(stream: TextIO, journal: str = JOURNAL) -> bool:
    """Whether a stream goes to systemd's journal: a socket whose other end has that path."""
    try:
        with socket.socket(fileno=os.dup(stream.fileno())) as found:
            return bool(found.getpeername() == journal)
    except (OSError, ValueError):
        return False


def marked(render: structlog.typing.Processor) -> structlog.typing.Processor:
    """A renderer whose lines bear their level as the journal reads it: `<3>` before an error's."""

    def rendered(logger: object, method: str, line: structlog.typing.EventDict) -> str:
        return f"<{PRIORITIES[line['level']]}>{render(logger, method, line)!s}"

    return rendered


def _name_the_error(_logger: object, _method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    # An exception's message may quote a statement's parameters; its kind and place never do.
    error = line.pop("error_seen", None)
    if isinstance(error, BaseException):
        line["error"] = type(error).__name__
        line["at"] = _place(error)
    return line


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace else ""


def logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A log for one part of the bot."""
    found: structlog.typing.FilteringBoundLogger = structlog.get_logger(part=name)
    return found


class Rarely:
    """Limits log lines to one a minute for each kind of event, and counts the events between them."""

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        """Take a clock that counts seconds."""
        self._timer, self._lock = timer, Lock()
        self._logged, self._counts = dict[str, float](), Counter[str]()

    def __call__(self, kind: str) -> int:
        """Count one event of a kind. The count since its last log line where a line is due now, else 0."""
        now = self._timer()
        with self._lock:
            self._counts[kind] += 1
            if now - self._logged.get(kind, -MINUTE) < MINUTE:
                return 0
            self._logged[kind] = now
            return self._counts.pop(kind)
