"""Pages that are open are told when there is something new (server-sent events)."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from threading import Lock
from time import monotonic

import sqlalchemy as sa
from fastapi import APIRouter
from fastapi.sse import EventSourceResponse, ServerSentEvent
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from scp.dashboard.site import Site
from scp.index.changes import newest

LOOK_S = 1.0  # between two looks at the index, however many pages are open
_TICK_S = 0.2


class Watch:
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


def router(site: Site) -> APIRouter:
    """Return the address that open pages listen to."""
    routes = APIRouter(include_in_schema=False)
    watch = Watch(site.engine)

    @routes.get("/events", response_class=EventSourceResponse)
    async def events() -> AsyncIterator[ServerSentEvent]:
        """Say "look" when something has changed, and every ``refresh_s``: roles may fall silent."""
        seen, told_at = await run_in_threadpool(watch.newest), monotonic()
        yield ServerSentEvent(event="hello", data="", retry=1000 * site.settings.refresh_s)
        while not site.stopping.is_set():
            await asyncio.sleep(_TICK_S)
            due = monotonic() - told_at >= site.settings.refresh_s
            if monotonic() - told_at < LOOK_S:
                continue
            now = await run_in_threadpool(watch.newest)
            if now != seen or due:
                seen, told_at = now, monotonic()
                yield ServerSentEvent(event="look", data="")

    return routes
