"""The pages: the worklist, one film, and what was refused."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from fastapi.templating import Jinja2Templates
from pydantic import AwareDatetime
from sqlalchemy.orm import Session

from scp import observe
from scp.archive import Archive
from scp.dashboard import words
from scp.dashboard.page import NotHere
from scp.dashboard.settings import DashboardSettings
from scp.index.counts import counts, quarantined
from scp.index.schema import FilmState
from scp.index.worklist import film_row, study_rows, worklist

_REFUSED_SHOWN = 500


def router(
    engine: sa.Engine,
    archive: Archive,
    clock: Callable[[], datetime],
    pages: Jinja2Templates,
    settings: DashboardSettings,
) -> APIRouter:
    """Return the addresses that people open."""
    routes = APIRouter(include_in_schema=False)

    def around(session: Session) -> dict[str, Any]:
        now = clock()
        return {
            "now": now,
            "roles": observe.roles(session, now),
            "problems": observe.readiness(engine, archive, now).problems,
            "counts": counts(session),
        }

    @routes.get("/")
    def overview(
        request: Request,
        before: AwareDatetime | None = None,
        state: FilmState | None = None,
        dead_letters: bool = False,
    ) -> Response:
        limit = settings.films_per_page
        with Session(engine) as session:
            films = worklist(
                session, limit=limit, before=before, state=state, dead_letters=dead_letters
            )
            shown = {"state": state, "dead_letters": dead_letters, "before": before}
            older = films[-1].received_at if len(films) >= limit else None
            found = {"studies": words.by_study(films), "older": older, "shown": shown}
            return pages.TemplateResponse(request, "worklist.html", around(session) | found)

    @routes.get("/films/{uid}")
    def film(request: Request, uid: str) -> Response:
        with Session(engine) as session:
            row = film_row(session, uid)
            if row is None:
                text = "No film of this SOP Instance UID was received. All films: the first page."
                raise NotHere(text)
            others = [other for other in study_rows(session, row.study_uid) if other.uid != uid]
            found = {"film": row, "others": others}
            return pages.TemplateResponse(request, "film.html", around(session) | found)

    @routes.get("/quarantine")
    def refused(request: Request) -> Response:
        with Session(engine) as session:
            found = {"refused": quarantined(session, _REFUSED_SHOWN)}
            return pages.TemplateResponse(request, "quarantine.html", around(session) | found)

    return routes
