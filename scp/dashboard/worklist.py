"""The worklist: films, newest first."""

from fastapi import APIRouter, Request, Response
from pydantic import AwareDatetime
from sqlalchemy.orm import Session

from scp.dashboard import words
from scp.dashboard.site import Site
from scp.index.schema import FilmState
from scp.index.worklist import worklist


def router(site: Site) -> APIRouter:
    """Return the address of the worklist."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    def films(
        request: Request,
        before: AwareDatetime | None = None,
        state: FilmState | None = None,
        dead_letters: bool = False,
    ) -> Response:
        limit = site.settings.films_per_page
        with Session(site.engine) as session:
            rows = worklist(
                session, limit=limit, before=before, state=state, dead_letters=dead_letters
            )
            return site.page(
                request,
                session,
                "worklist.html",
                studies=words.by_study(rows),
                older=rows[-1].received_at if len(rows) >= limit else None,
                shown={"state": state, "dead_letters": dead_letters, "before": before},
            )

    return routes
