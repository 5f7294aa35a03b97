"""One patient: all films on a time line, and the trend of each finding."""

from itertools import pairwise
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from sqlalchemy.orm import Session

from scp.dashboard.context import AppContext
from scp.dashboard.guard import viewed
from scp.dashboard.pages import charts
from scp.dashboard.rendering import NotHere
from scp.index.patients import PatientFilms, patient_films
from scp.index.worklist.query import LARGEST_ID

# more than a patient in intensive care has in half a year
_MOST = 200


def router(context: AppContext) -> APIRouter:
    """Return the address of a patient: a number of our own, for addresses get logged."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/patients/{row_id}")
    def patient(request: Request, row_id: Annotated[int, Path(ge=1, le=LARGEST_ID)]) -> Response:
        with Session(context.engine) as session:
            found = patient_films(session, row_id, _MOST, context.zone, context.operating)
            if found is None:
                raise NotHere(
                    "hilum has no patient of this number. Each film's page links to its patient."
                )
            viewed(context, request, f"patient:{row_id}")
            return context.page(
                request,
                session,
                "patient.html",
                patient=found,
                lines=charts.finding_lines(found.trend.points, _thresholds(found)),
                ratio=charts.ratio_line(found.trend.points),
                not_assessed=_not_assessed(found),
                before=_films_before(found),
                chart=charts,
            )

    return routes


def _thresholds(found: PatientFilms) -> dict[str, float]:
    """Return the thresholds of now for the model that read the newest film, by label.

    Findings that are not assessed have none: nothing is drawn of them.
    """
    read = next((film for film in found.films if film.findings), None)
    findings = read.findings if read else ()
    return {finding.label: finding.threshold for finding in findings if finding.assessed}


def _not_assessed(found: PatientFilms) -> list[str]:
    """Return the names of the findings of which the newest film that was read says nothing."""
    read = next((film for film in found.films if film.findings), None)
    return [finding.name for finding in read.not_assessed] if read else []


def _films_before(found: PatientFilms) -> dict[str, str]:
    """Return, by film, the one that was read and taken before it: what a pair is made of."""
    read = [film.uid for film in found.films if film.findings]
    return dict(pairwise(read))
