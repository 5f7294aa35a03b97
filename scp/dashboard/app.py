"""The dashboard: pages for readers and ops, the same rows for scripts, health and metrics.

It looks at the database and at data_dir, and changes neither.
"""

from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa
from fastapi import FastAPI

from scp.archive import Archive
from scp.dashboard import files, machine, page, views
from scp.dashboard.settings import DashboardSettings


def make_app(
    engine: sa.Engine,
    archive: Archive,
    settings: DashboardSettings,
    destinations: tuple[str, ...],
    clock: Callable[[], datetime],
) -> FastAPI:
    """Return the dashboard as an ASGI application.

    Parameters
    ----------
    engine
        The index.
    archive
        Where the results lie.
    settings
        How much a page shows and how often it looks.
    destinations
        Names of the configured destinations; without any, the page says so.
    clock
        Returns the moment, with a time zone.
    """
    app = FastAPI(title="hilum", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    pages = page.templates()
    pages.env.globals |= {"settings": settings, "destinations": destinations}
    page.prepare(app, pages)
    app.include_router(machine.router(engine, archive, clock))
    app.include_router(files.router(engine, archive))
    app.include_router(views.router(engine, archive, clock, pages, settings))
    return app
