"""The page of refused objects."""

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from scp.dashboard.context import AppContext
from scp.index.counts import quarantined

_SHOWN = 500


def router(context: AppContext) -> APIRouter:
    """Return the address of the quarantine."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/quarantine")
    def refused(request: Request) -> Response:
        with Session(context.engine) as session:
            rows = quarantined(session, _SHOWN)
            return context.page(request, session, "quarantine.html", refused=rows)

    return routes
