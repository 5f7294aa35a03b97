"""Who has viewed which film, for pages that refresh themselves."""

from threading import Lock

from cachetools import LRUCache

_REMEMBERED = 10_000  # looks; then a page that is still open is one line more in the trail


class ViewLog:
    """Remembers who has looked at what, for pages that look again by themselves."""

    def __init__(self) -> None:
        self._looks: LRUCache[tuple[str, str], None] = LRUCache(_REMEMBERED)
        self._lock = Lock()

    def note(self, person: str, target: str) -> bool:
        """Note a look, and return whether it is this person's first at it."""
        with self._lock:
            first = (person, target) not in self._looks
            self._looks[person, target] = None
            return first
