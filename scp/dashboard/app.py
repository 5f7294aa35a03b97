"""The dashboard: pages for readers and ops, the same rows for scripts, health and metrics."""

from fastapi import FastAPI

from scp.dashboard import (
    access,
    files,
    film,
    machine,
    page,
    patient,
    quarantine,
    queue,
    system,
    worklist,
)
from scp.dashboard.site import Site


def make_app(site: Site) -> FastAPI:
    """Return the dashboard as an ASGI application."""
    app = FastAPI(title="hilum", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    page.prepare(app, site.pages)
    access.guard(app)
    for part in (machine, files, worklist, film, patient, quarantine, queue, system):
        app.include_router(part.router(site))
    return app
