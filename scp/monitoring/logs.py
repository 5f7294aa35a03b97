"""Structured logs on stderr: one line per film and stage. Never a name, birth date or patient ID.

Messages of exceptions that are not our own may quote the data set, so only their types and places
are written. Libraries that quote values (pydicom's warnings) are silenced.
"""

import logging
import sys
import threading
import traceback
import warnings
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from scp.errors import HilumError

_QUIET = {
    "pydicom": logging.CRITICAL,
    "pynetdicom": logging.CRITICAL,
    "highdicom": logging.ERROR,
    "alembic": logging.WARNING,
    "dbos": logging.ERROR,
    "uvicorn": logging.WARNING,
}


def configure_logs(role: str, *, quiet: bool = False) -> None:
    """Send our logs and the libraries' to stderr: JSON lines, or text on a terminal.

    ``quiet`` keeps only what went wrong, for commands whose output is a table.
    """
    warnings.simplefilter("ignore")

    def add_role(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {"role": role, **event}

    shared: list[Processor] = [
        add_role,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _describe_exception,
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=shared,
        )
    )
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.ERROR if quiet else logging.INFO)
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(level)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    _log_uncaught()


def _log_uncaught() -> None:
    """Log what nobody caught as everything else; Python would print its text, quotes and all."""

    def of_thread(args: threading.ExceptHookArgs) -> None:
        name = args.thread.name if args.thread is not None else ""
        structlog.get_logger(__name__).error("thread died", thread=name, exc_info=args.exc_value)

    def of_process(_kind: object, error: BaseException, _where: object) -> None:
        structlog.get_logger(__name__).error("process died", exc_info=error)

    threading.excepthook = of_thread
    sys.excepthook = of_process


def adopt_dbos_logs() -> None:
    """Let DBOS log as everybody does, from warnings on; to be called once it has set itself up."""
    logger = logging.getLogger("dbos")
    logger.handlers.clear()
    logger.propagate = True
    logger.setLevel(_QUIET["dbos"])


def _describe_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace an exception by its type and where it came from."""
    info = event.pop("exc_info", None)
    error = info[1] if isinstance(info, tuple) else info
    if error is True:
        error = sys.exception()
    if isinstance(error, BaseException):
        event["exception"] = describe(error)
    return event


def describe(error: BaseException) -> dict[str, Any]:
    """Return an exception without what it may quote: type, places, and our own texts only."""
    frames = traceback.extract_tb(error.__traceback__)
    return {
        "type": type(error).__name__,
        "text": str(error) if isinstance(error, HilumError | OSError) else "",
        "at": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-6:]],
    }
