"""A cache of images: what one reader's page made serves the next reader."""

from collections.abc import Callable
from contextlib import suppress
from threading import Lock

from cachetools import LRUCache


class ImageCache:
    """Films and pictures asked for last, as sent, up to ``limit_bytes``. Safe from many threads."""

    def __init__(self, limit_bytes: int) -> None:
        self._kept: LRUCache[str, bytes] = LRUCache(limit_bytes, getsizeof=len)
        self._making: dict[str, Lock] = {}
        self._lock = Lock()

    def get(self, key: str, make: Callable[[], bytes]) -> bytes:
        """Return what ``make`` returns, asking it once for all who want it meanwhile."""
        with self._lock:
            making = self._making.setdefault(key, Lock())
        with making:
            with self._lock:
                if key in self._kept:
                    return self._kept[key]
            try:
                data = make()
                with self._lock, suppress(ValueError):  # one that is larger than all is not kept
                    self._kept[key] = data
            finally:
                with self._lock:
                    self._making.pop(key, None)
            return data
