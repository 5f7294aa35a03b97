"""Limits of an HTTP connection: a client that sends half a request does not hold it for long.

uvicorn waits for the rest of a request without end, and the files that a process may open are few:
some thousand half requests would silence `/healthz` and `/metrics`.
"""

import asyncio
import resource
from collections import Counter
from typing import ClassVar

import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

log = structlog.get_logger(__name__)

REQUEST_S = 20.0  # until the whole of a request is there
CONNECTIONS_OF_ONE = 256  # connections from one address; a proxy in front counts as one
_OPEN_FILES = 16_384


class LimitedProtocol(H11Protocol):
    """HTTP/1.1 with a deadline for each request and a limit for each address."""

    request_s = REQUEST_S
    connections_of_one = CONNECTIONS_OF_ONE
    _from: ClassVar[Counter[str]] = Counter()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless its address has too many."""
        super().connection_made(transport)
        self._deadline: asyncio.TimerHandle | None = None
        self._address = self.client[0] if self.client else ""
        self._from[self._address] += 1
        if self._from[self._address] > self.connections_of_one:
            log.warning("connection refused: too many of one address", address=self._address)
            transport.abort()
        else:
            self._expect_a_request()

    def data_received(self, data: bytes) -> None:
        """Go on with a request; while it is not whole, its time runs."""
        super().data_received(data)
        if self._is_half:
            self._expect_a_request()
        else:
            self._end_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self._end_deadline()
        self._from[self._address] -= 1
        if not self._from[self._address]:
            del self._from[self._address]
        super().connection_lost(exc)

    @property
    def _is_half(self) -> bool:
        """Whether the client has to send more before it gets an answer."""
        cycle = self.cycle
        return cycle is None or cycle.response_complete or cycle.more_body

    def _expect_a_request(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.request_s, self._give_up)

    def _give_up(self) -> None:
        self._deadline = None
        if self._is_half:
            log.warning("connection closed: half a request", address=self._address)
            self.transport.abort()

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def allow_open_files() -> None:
    """Let this process have as many connections and files open as the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
