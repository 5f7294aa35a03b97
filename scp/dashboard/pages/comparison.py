"""A film beside an earlier one of the same patient."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.orm import Session

from inference.comparison.result import shows
from inference.findings import LABELS
from scp.dashboard.context import AppContext
from scp.dashboard.guard import viewed
from scp.dashboard.rendering import NO_FILM, NotHere
from scp.dashboard.security.person import Viewer
from scp.index.overlays import PairRow, earlier_rows, pair_row
from scp.index.values import FindingRow
from scp.index.worklist.film_rows import film_row
from scp.pipeline.job_ids import pair_job

SEE_OTHER = 303


def router(context: AppContext) -> APIRouter:
    """Return the addresses of comparisons."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/films/{uid}/compare")
    def chosen(request: Request, uid: str) -> Response:
        """Show the film beside the prior that it was answered with; or say why there is none."""
        with Session(context.engine) as session:
            film = film_row(session, uid, context.operating)
            if film is None:
                raise NotHere(NO_FILM)
            if film.choice is not None and film.choice.prior_uid:
                address = f"/films/{uid}/compare/{film.choice.prior_uid}"
                return RedirectResponse(address, SEE_OTHER)
            others = earlier_rows(session, uid, context.zone)
            return context.page(request, session, "no_prior.html", film=film, others=others)

    @routes.get("/films/{uid}/compare/{prior_uid}")
    def pair(request: Request, uid: str, prior_uid: str) -> Response:
        with Session(context.engine) as session:
            film = film_row(session, uid, context.operating)
            prior = film_row(session, prior_uid, context.operating)
            others = earlier_rows(session, uid, context.zone) if film is not None else []
            if film is None or prior is None or prior_uid not in {other.uid for other in others}:
                raise NotHere(
                    "These two are not a film and an earlier film of the same patient. The film's"
                    " page lists"
                    " what it can be compared with."
                )
            viewed(context, request, uid)
            viewed(context, request, prior_uid)
            compared = pair_row(session, uid, prior_uid, context.operating)
            return context.page(
                request,
                session,
                "comparison.html",
                film=film,
                prior=prior,
                pair=compared,
                drawn=drawn(compared),
                not_drawn=not_drawn(compared),
                job=context.jobs.status(pair_job(uid, prior_uid)),
                others=others,
            )

    @routes.post("/films/{uid}/compare/{prior_uid}")
    def compare(viewer: Viewer, uid: str, prior_uid: str) -> Response:
        """Have a worker compare two films; the page shows it when it is done."""
        with Session(context.engine) as session:
            if prior_uid not in {other.uid for other in earlier_rows(session, uid, context.zone)}:
                raise NotHere("These two are not a film and an earlier film of the same patient.")
        context.control(viewer).compare(uid, prior_uid)
        return RedirectResponse(f"/films/{uid}/compare/{prior_uid}", SEE_OTHER)

    return routes


def drawn(pair: PairRow | None) -> list[FindingRow]:
    """Return the findings whose change can be seen on the film, the largest first.

    The rule of the pictures (`inference.drawing.plates.heat_plates`).
    """
    if pair is None or pair.layers is None:
        return []
    shown = [
        finding
        for finding in pair.findings
        if finding.change is not None
        and shows(finding.change, pair.layers.heatmaps[LABELS.index(finding.label)])
    ]
    return sorted(shown, key=lambda finding: -abs(finding.difference))


def not_drawn(pair: PairRow | None) -> list[FindingRow]:
    """Return the findings of which a change is named that no map shows."""
    if pair is None or pair.layers is None:
        return []
    shown = {finding.label for finding in drawn(pair)}
    return [one for one in pair.findings if one.called and one.label not in shown]
