"""What was made for one reader is kept a while for the next."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock


class Kept:
    """Films and pictures asked for last, as sent, up to ``limit_bytes``. Safe from many threads."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._making: dict[str, Lock] = {}
        self._lock = Lock()

    def get(self, key: str, make: Callable[[], bytes]) -> bytes:
        """Return what ``make`` returns, asking it once for all who want it meanwhile."""
        with self._lock:
            making = self._making.setdefault(key, Lock())
        with making:
            with self._lock:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    return self._kept[key]
            try:
                data = make()
                self._keep(key, data)
            finally:
                with self._lock:
                    self._making.pop(key, None)
            return data

    def _keep(self, key: str, data: bytes) -> None:
        with self._lock:
            self._kept[key] = data
            while sum(map(len, self._kept.values())) > self._limit:
                self._kept.popitem(last=False)
