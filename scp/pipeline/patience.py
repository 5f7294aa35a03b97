"""Wait for the disk and the database: what is away is never the film's fault."""

import errno
import sqlite3
from collections.abc import Callable
from time import sleep
from typing import TypeVar

import psycopg
import sqlalchemy.exc
import structlog

from scp.archive import Archive
from scp.outcomes.backoff import backoff_s
from scp.outcomes.failures import Step, StepFailed, failing

log = structlog.get_logger(__name__)

_T = TypeVar("_T")

_FIRST_S, _LONGEST_S = 1.0, 60.0
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
# of SQLite's, those that say something of the disk or of other writers, not of the statement
_SQLITE_AWAY = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
)


class Patience:
    """Does a step as often as disk or database go away in it, with growing pauses.

    Parameters
    ----------
    archive
        Whose disk is looked at.
    pause
        Waits for so many seconds.
    """

    def __init__(self, archive: Archive, pause: Callable[[float], object] = sleep) -> None:
        self._archive = archive
        self._pause = pause

    def until_done(self, step: Step, work: Callable[[], _T]) -> _T:
        """Return what ``work`` returns; it is done again while disk or database are away.

        Raises
        ------
        StepFailed
            It failed, and both are there.
        """
        attempts = 0
        while True:
            try:
                with failing(step):
                    return work()
            except StepFailed as failure:
                if not is_away(failure.__cause__, self._archive):
                    raise
                attempts += 1
                wait_s = backoff_s(_FIRST_S, attempts, _LONGEST_S)
                log.warning("waiting", step=step.name, cause=failure.cause, seconds=wait_s)
                self._pause(wait_s)


def is_away(error: BaseException | None, archive: Archive) -> bool:
    """Say whether an error means that the disk or the database cannot be used now."""
    if isinstance(error, sqlalchemy.exc.TimeoutError):  # no connection became free
        return True
    if isinstance(error, sqlalchemy.exc.DBAPIError):
        return _database_away(error.orig)
    if isinstance(error, OSError) and not isinstance(error, (ConnectionError, TimeoutError)):
        return error.errno in _NO_SPACE or not archive.is_there
    return False


def _database_away(error: BaseException | None) -> bool:
    if isinstance(error, sqlite3.OperationalError):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _SQLITE_AWAY
    return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
