"""Tell open pages when there is something new (server-sent events)."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic

from fastapi import APIRouter
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from scp.dashboard.caches.changes import LOOK_S
from scp.dashboard.context import AppContext

_TICK_S = 0.2


def router(context: AppContext) -> APIRouter:
    """Return the address that open pages listen to."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/events", response_class=EventSourceResponse)
    async def events() -> AsyncIterator[ServerSentEvent]:
        """Say "look" when something has changed, and every ``refresh_s``: roles may fall silent."""
        token, told_at = await run_in_threadpool(context.change_detector.newest), monotonic()
        yield ServerSentEvent(event="hello", data="", retry=1000 * context.settings.refresh_s)
        while not context.stopping.is_set():
            await asyncio.sleep(_TICK_S)
            due = monotonic() - told_at >= context.settings.refresh_s
            if monotonic() - told_at < LOOK_S:
                continue
            now = await run_in_threadpool(context.change_detector.newest)
            if now != token or due:
                token, told_at = now, monotonic()
                yield ServerSentEvent(event="look", data="")

    return routes
