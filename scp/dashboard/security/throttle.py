"""Slow down those who guess passwords."""

from datetime import datetime, timedelta
from math import ceil
from threading import Lock

from cachetools import LRUCache

from scp.outcomes.backoff import backoff_s

FREE = {"name": 5, "address": 20}  # failures that cost no wait: people mistype, and share addresses
LONGEST_S = 60  # or a stranger could keep a user out for long, by failing under their name
_EASED = timedelta(minutes=5)  # after each, one failure fewer counts
_MOST = 10_000  # names and addresses kept in mind

Key = tuple[str, str]  # "name" or "address", and which


class LoginThrottle:
    """Counts failures by user name and by address; each further one doubles the wait."""

    def __init__(self) -> None:
        self._failures: LRUCache[Key, tuple[int, datetime]] = LRUCache(_MOST)
        self._lock = Lock()

    def wait_s(self, keys: tuple[Key, ...], now: datetime) -> int:
        """Return the seconds until all of these may try again."""
        with self._lock:
            return max(self._wait_s(key, now) for key in keys)

    def failed(self, keys: tuple[Key, ...], now: datetime) -> None:
        """Note a failure."""
        with self._lock:
            for key in keys:
                self._failures[key] = (self._count(key, now) + 1, now)

    def forget(self, key: Key) -> None:
        """Forget the failures of somebody who knew the password."""
        with self._lock:
            self._failures.pop(key, None)

    def _count(self, key: Key, now: datetime) -> int:
        count, at = self._failures.get(key, (0, now))
        return max(0, count - (now - at) // _EASED)

    def _wait_s(self, key: Key, now: datetime) -> int:
        over = self._count(key, now) - FREE[key[0]]
        if over < 0:
            return 0
        pause = backoff_s(1, over + 1, LONGEST_S)
        return max(0, ceil(pause - (now - self._failures[key][1]).total_seconds()))
