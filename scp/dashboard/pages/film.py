"""The page of one film."""

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from scp.dashboard.context import AppContext
from scp.dashboard.guard import viewed
from scp.dashboard.rendering import NO_FILM, NotHere
from scp.dashboard.security.person import person_of
from scp.index.overlays import newest_prediction
from scp.index.worklist.film_rows import film_row, study_rows
from scp.pipeline.job_ids import film_job


def router(context: AppContext) -> APIRouter:
    """Return the addresses of one film."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/films/{uid}")
    def film(request: Request, uid: str) -> Response:
        with Session(context.engine) as session:
            row = film_row(session, uid, context.operating)
            if row is None:
                raise NotHere(NO_FILM)
            viewed(context, request, uid)
            others = [
                other
                for other in study_rows(session, row.study_uid, context.operating)
                if other.uid != uid
            ]
            prediction = newest_prediction(session, uid, context.operating)
            return context.page(
                request,
                session,
                "film.html",
                film=row,
                refusal=context.control(person_of(request)).refusal(film_job(uid)),
                others=others,
                mapped=[row.findings[i] for i in prediction.mapped] if prediction else [],
                card=context.about.card,
                moved=context.operating.prevalences,
            )

    return routes
