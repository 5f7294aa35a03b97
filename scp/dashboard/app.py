"""The dashboard: pages for readers and ops, the same rows for scripts, health and metrics."""

from fastapi import FastAPI

from scp.dashboard import (
    access,
    comparison,
    files,
    film,
    live,
    login,
    machine,
    overlays,
    page,
    patient,
    pixels,
    quarantine,
    queue,
    shared,
    system,
    worklist,
)
from scp.dashboard.site import Site

PARTS = (
    login,
    machine,
    live,
    files,
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


def make_app(site: Site) -> FastAPI:
    """Return the dashboard as an ASGI application."""
    app = FastAPI(title="hilum", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    # the last that is added is asked first: headers, guard, shared pages
    app.add_middleware(shared.Shared, site=site)
    access.guard(app, site)
    page.prepare(app, site.pages, https=site.settings.behind_https)
    for part in PARTS:
        app.include_router(part.router(site))
    return app
