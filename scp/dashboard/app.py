"""The dashboard: pages for readers and ops, the same rows for scripts, health and metrics."""

from fastapi import FastAPI

from scp.dashboard import api, events, guard, rendering
from scp.dashboard.caches import shared_pages
from scp.dashboard.context import AppContext
from scp.dashboard.images import overlays, pixels, results
from scp.dashboard.pages import (
    comparison,
    film,
    login,
    patient,
    quarantine,
    queue,
    system,
    worklist,
)

PARTS = (
    login,
    api,
    events,
    results,
    pixels,
    overlays,
    worklist,
    film,
    comparison,
    patient,
    quarantine,
    queue,
    system,
)


def make_app(context: AppContext) -> FastAPI:
    """Return the dashboard as an ASGI application."""
    app = FastAPI(title="hilum", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    # the last that is added is asked first: headers, guard, shared pages
    app.add_middleware(shared_pages.RequestCoalescing, context=context)
    guard.guard(app, context)
    rendering.prepare(app, context.pages, https=context.settings.behind_https)
    for part in PARTS:
        app.include_router(part.router(context))
    return app
