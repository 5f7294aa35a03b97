"""The dashboard: pages for readers and ops, the same rows for scripts, health and metrics."""

from fastapi import FastAPI

from scp.dashboard import access, files, film, login, machine, page, quarantine, worklist
from scp.dashboard.site import Site


def make_app(site: Site) -> FastAPI:
    """Return the dashboard as an ASGI application."""
    app = FastAPI(title="hilum", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    access.guard(app, site)
    page.prepare(app, site.pages, https=site.settings.behind_https)
    for part in (login, machine, files, worklist, film, quarantine):
        app.include_router(part.router(site))
    return app
