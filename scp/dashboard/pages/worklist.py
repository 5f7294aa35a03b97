"""The worklist: films, newest first or the most urgent, and the search for them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy.orm import Session

from inference.findings import FINDINGS, Change
from scp.dashboard import formatting
from scp.dashboard.context import AppContext
from scp.dashboard.pages.worklist_query import WorklistParams
from scp.index.worklist.query import InvalidQuery
from scp.index.worklist.search import Page, worklist


def router(site: AppContext) -> APIRouter:
    """Return the address of the worklist."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    def films(request: Request, asked: Annotated[WorklistParams, Depends()]) -> Response:
        unclear = ""
        with Session(site.engine) as session:
            try:
                page = found(site, session, asked, site.settings.films_per_page)
            except InvalidQuery as error:
                page, unclear = Page([], None), f"{error}."
            return site.page(
                request,
                session,
                "worklist.html",
                422 if unclear else 200,
                studies=formatting.by_study(page.films),
                older=asked.address(after=page.last.token()) if page.last else "",
                asked=asked,
                unclear=unclear,
                triage=site.worklist,
                all_findings=FINDINGS,
                all_changes=Change,
            )

    return routes


def found(site: AppContext, session: Session, asked: WorklistParams, limit: int) -> Page:
    """Return a page of the films that are asked for.

    Raises
    ------
    Unclear
        The text says what cannot be looked for.
    """
    return worklist(session, asked.wanted(site), limit, asked.key(), site.operating)
