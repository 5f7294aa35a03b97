"""One check for news on behalf of all open pages."""

from collections.abc import Hashable
from threading import Lock
from time import monotonic

import sqlalchemy as sa
from sqlalchemy.orm import Session

from scp.index.change_token import newest

LOOK_S = 2.0  # between two looks at the index, however many pages are open


class ChangeDetector:
    """Looks at the index at most once in `LOOK_S`, for all who ask. Safe from many threads."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._lock = Lock()
        self._looked_at = float("-inf")
        self._seen: Hashable = None

    def newest(self) -> Hashable:
        """Return what is different whenever something has changed; "lost" without a database."""
        with self._lock:
            if monotonic() - self._looked_at >= LOOK_S:
                self._seen, self._looked_at = self._look(), monotonic()
            return self._seen

    def _look(self) -> Hashable:
        try:
            with Session(self._engine) as session:
                return newest(session)
        except sa.exc.SQLAlchemyError:
            return "lost"
