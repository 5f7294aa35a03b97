"""Slow down those who guess passwords, and keep their flood from those who know theirs.

What strangers do to a name waits for nobody but strangers: a browser in which that name logged in
before (`scp.dashboard.security.known_browsers`) is counted apart from them, and an address that has
not failed under a name has a try whatever others did to it. So nobody is locked out by others.
"""

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from threading import Lock
from typing import TypeVar

import anyio
from anyio import CapacityLimiter, to_thread
from cachetools import LRUCache

from scp.outcomes.backoff import backoff_s

# failures that cost no wait: people mistype, and share addresses
FREE = {"name at address": 5, "address": 20, "name": 20, "browser": 5}
LONGEST_S = 60
_EASED = timedelta(minutes=5)  # after each, one failure fewer counts
_MOST = 10_000  # of each kind kept in mind
_NETWORK = 64  # bits of an IPv6 address that one household or host has for itself

_T = TypeVar("_T")


@dataclass(frozen=True)
class Attempt:
    """Who tries to log in: under which name, from where; ``browser`` where it is a known one's."""

    name: str
    address: str
    browser: str = ""

    def counted(self) -> Iterator[tuple[str, str]]:
        """Yield what its failure is counted for."""
        if self.browser:
            yield "browser", self.browser
            return
        network = _network(self.address)
        yield "name at address", f"{network} {self.name}"
        yield "address", network
        yield "name", self.name


class LoginThrottle:
    """Counts failures; each further one doubles the wait. Bounded in memory."""

    def __init__(self) -> None:
        self._failures: dict[str, LRUCache[str, tuple[int, datetime]]] = {
            kind: LRUCache(_MOST) for kind in FREE
        }
        self._lock = Lock()

    def begin(self, attempt: Attempt, now: datetime) -> int:
        """Return the seconds until this may be tried; 0: now, and it counts until it succeeds."""
        with self._lock:
            keys = list(attempt.counted())
            counts = {kind: self._count(kind, key, now) for kind, key in keys}
            strange = counts.get("name at address", 0) > 0
            waits = [self._wait_s(*key, now) for key in keys if key[0] != "name" or strange]
            if not any(waits):
                for kind, key in keys:
                    self._failures[kind][key] = (counts[kind] + 1, now)
            return max(waits)

    def succeeded(self, attempt: Attempt, now: datetime) -> None:
        """Forget the failures of somebody who knew the password, but not those of the address."""
        with self._lock:
            for kind, key in attempt.counted():
                if kind == "address":
                    self._take_back(kind, key, now)
                else:
                    self._failures[kind].pop(key, None)

    def withdraw(self, attempt: Attempt, now: datetime) -> None:
        """Take an attempt back that was not tried."""
        with self._lock:
            for kind, key in attempt.counted():
                self._take_back(kind, key, now)

    def _take_back(self, kind: str, key: str, now: datetime) -> None:
        self._failures[kind][key] = (max(0, self._count(kind, key, now) - 1), now)

    def _count(self, kind: str, key: str, now: datetime) -> int:
        count, at = self._failures[kind].get(key, (0, now))
        return max(0, count - (now - at) // _EASED)

    def _wait_s(self, kind: str, key: str, now: datetime) -> int:
        over = self._count(kind, key, now) - FREE[kind]
        if over < 0:
            return 0
        pause = backoff_s(1, over + 1, LONGEST_S)
        return max(0, ceil(pause - (now - self._failures[kind][key][1]).total_seconds()))


class Lane:
    """Does costly work a few at a time, and lets few wait for it.

    Parameters
    ----------
    pause_s
        So long a place stays taken after a piece of work while others wait: the processor is left
        to those who are logged in.
    """

    def __init__(self, at_once: int, waiting: int, pause_s: float) -> None:
        self._limiter = CapacityLimiter(at_once)
        self._threads = CapacityLimiter(at_once)
        self._at_once, self._most, self._pause_s = at_once, at_once + waiting, pause_s
        self._inside = 0

    async def run(self, work: Callable[[], _T]) -> _T | None:
        """Return what ``work`` returns, done in a thread; None where too many wait already."""
        if self._inside >= self._most:
            return None
        self._inside += 1
        try:
            async with self._limiter:
                done = await to_thread.run_sync(work, limiter=self._threads)
                if self._inside > self._at_once:
                    await anyio.sleep(self._pause_s)
                return done
        finally:
            self._inside -= 1


def _network(address: str) -> str:
    """Return what of an address cannot be changed at will."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return address
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, _NETWORK), strict=False))
