"""One rendered page answers all open pages that refresh at the same moment."""

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass, field
from time import monotonic

from cachetools import LRUCache
from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scp.dashboard.context import AppContext
from scp.dashboard.rendering import PLACES
from scp.dashboard.security.person import looks_again, person_of

# the pages that many keep open, and on which nobody is named; who looks at a film is recorded
_PATHS = frozenset(path for path, _ in PLACES)
_MOST = 32


@dataclass
class _Page:
    """One page as it was answered, and what was the newest then."""

    token: Hashable = None
    made_at: float = float("-inf")
    messages: list[Message] = field(default_factory=list)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class RequestCoalescing:
    """ASGI middleware, behind the guard: of twenty open worklists one is made."""

    def __init__(self, app: ASGIApp, context: AppContext) -> None:
        self._app, self._context = app, context
        self._pages: LRUCache[Hashable, _Page] = LRUCache(_MOST)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a second look with what the first of its kind was answered."""
        if scope["type"] != "http" or not self._is_shared(request := Request(scope)):
            await self._app(scope, receive, send)
            return
        page = self._page((person_of(request).access, request.url.path, request.url.query))
        async with page.turn:
            token = await run_in_threadpool(self._context.change_detector.newest)
            if (
                token != page.token
                or monotonic() - page.made_at > self._context.settings.refresh_s / 2
            ):
                made: list[Message] = []
                await self._app(scope, receive, _into(made))  # an error is this reader's alone
                good = made[0]["status"] == 200
                page.messages, page.token = made, token
                page.made_at = monotonic() if good else float("-inf")
            messages = page.messages
        for message in messages:
            await send(_copied(message))

    def _is_shared(self, request: Request) -> bool:
        return (
            request.method == "GET"
            and request.url.path in _PATHS
            and looks_again(request)
            and "text/html" in request.headers.get("accept", "")
        )

    def _page(self, key: Hashable) -> _Page:
        return self._pages.setdefault(key, _Page())


def _into(messages: list[Message]) -> Send:
    async def keep(message: Message) -> None:
        messages.append(message)

    return keep


def _copied(message: Message) -> Message:
    """Return a message whose headers others may add to."""
    return {**message, "headers": list(message["headers"])} if "headers" in message else message
