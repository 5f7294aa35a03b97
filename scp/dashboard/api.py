"""Endpoints for programs: health, readiness, metrics, counts, and films as JSON."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from sqlalchemy.orm import Session

from scp.dashboard.context import AppContext
from scp.dashboard.guard import viewed
from scp.dashboard.pages.worklist import found
from scp.dashboard.pages.worklist_query import WorklistParams
from scp.dashboard.rendering import NO_FILM, NotHere
from scp.index.counts import Counts, counts
from scp.index.values import FilmRow
from scp.index.worklist.film_rows import film_row
from scp.monitoring.metrics import metrics as current_metrics
from scp.monitoring.readiness import readiness


def router(context: AppContext) -> APIRouter:
    """Return the addresses that probes, Prometheus and scripts read."""
    routes = APIRouter()

    @routes.get("/healthz")
    def alive() -> dict[str, str]:
        """Say that this process answers."""
        return {"status": "alive"}

    @routes.get("/readyz", response_class=JSONResponse)
    def ready() -> JSONResponse:
        """Say whether films sent now will be taken and read: 200, or 503 with what is wrong."""
        now = readiness(context.engine, context.archive, context.clock())
        checks = [asdict(check) for check in now.checks]
        status = "ready" if now.ready else "not ready"
        return JSONResponse({"status": status, "checks": checks}, 200 if now.ready else 503)

    @routes.get("/metrics")
    def metrics() -> Response:
        """Return sums for Prometheus; no UID and no patient."""
        certificates = context.about.certificates
        text = current_metrics(context.engine, context.archive, context.clock(), certificates)
        return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)

    @routes.get("/api/counts")
    def numbers() -> Counts:
        """Count the whole index."""
        with Session(context.engine) as session:
            return counts(session)

    @routes.get("/api/films")
    def films(
        response: Response,
        params: Annotated[WorklistParams, Depends()],
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> list[FilmRow]:
        """Return films as the page has them; the header Link leads to the next ones."""
        with Session(context.engine) as session:
            page = found(context, session, params, limit)
        if page.last:
            following = params.address("/api/films", limit=limit, after=page.last.token())
            response.headers["Link"] = f'<{following}>; rel="next"'
        return page.films

    @routes.get("/api/films/{uid}")
    def film(request: Request, uid: str) -> FilmRow:
        """Return one film by its SOP Instance UID."""
        with Session(context.engine) as session:
            row = film_row(session, uid, context.operating)
        if row is None:
            raise NotHere(NO_FILM)
        viewed(context, request, uid)
        return row

    return routes
