"""The counts that every page shows, without counting for every page."""

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from time import monotonic

import sqlalchemy as sa
from sqlalchemy.orm import Session

from scp.index.counts import Counts, counts

_LOG = logging.getLogger(__name__)


class CountsCache:
    """Counts the index when asked, at most every ``max_age_s``; safe from many threads.

    Counting a million films takes longer than a page may. So only the first who asks waits; later
    the last counts are given while a thread makes new ones. With ``max_age_s`` 0 everybody waits,
    and sees what is.
    """

    def __init__(
        self, engine: sa.Engine, max_age_s: float, clock: Callable[[], float] = monotonic
    ) -> None:
        self._engine = engine
        self._max_age_s = max_age_s
        self._clock = clock
        self._lock = Lock()
        self._last: Counts | None = None
        self._counted_at = 0.0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="counts")
        self._next: Future[None] | None = None

    def counts(self) -> Counts:
        """Return the last counts, and have newer ones made where these are old.

        Raises
        ------
        sqlalchemy.exc.SQLAlchemyError
            The database does not answer whoever has to wait.
        """
        with self._lock:
            last = self._last
            if last is None or self._max_age_s == 0:
                last = self._count()
            elif self._is_old() and (self._next is None or self._next.done()):
                self._next = self._pool.submit(self._count_behind)
            return last

    def settle(self) -> None:
        """Wait until nothing is being counted."""
        with self._lock:
            running = self._next
        if running is not None:
            running.result()

    def close(self) -> None:
        """Stop counting; what is being counted is waited for."""
        self._pool.shutdown(cancel_futures=True)

    def _is_old(self) -> bool:
        return self._clock() - self._counted_at >= self._max_age_s

    def _count(self) -> Counts:
        started = self._clock()
        with Session(self._engine) as session:
            self._last = made = counts(session)
        self._counted_at = started
        return made

    def _count_behind(self) -> None:
        try:
            self._count()
        except sa.exc.SQLAlchemyError as error:  # whoever asks next tries again
            _LOG.warning("the films were not counted: %s", type(error).__name__)
