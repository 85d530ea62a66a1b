"""JSON lines, one an event. Numbers and IDs are never handed to a log but by their last four digits."""

import logging
import sys
from typing import TextIO

import structlog

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
    """Write JSON lines to a stream, and hush the libraries."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _name_the_error,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, stream=stream, force=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)


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
