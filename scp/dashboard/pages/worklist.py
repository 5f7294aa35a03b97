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


def router(context: AppContext) -> APIRouter:
    """Return the address of the worklist."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    def films(request: Request, params: Annotated[WorklistParams, Depends()]) -> Response:
        unclear = ""
        with Session(context.engine) as session:
            try:
                page = found(context, session, params, context.settings.films_per_page)
            except InvalidQuery as error:
                page, unclear = Page([], None), f"{error}."
            return context.page(
                request,
                session,
                "worklist.html",
                422 if unclear else 200,
                studies=formatting.by_study(page.films),
                older=params.address(after=page.last.token()) if page.last else "",
                params=params,
                unclear=unclear,
                triage=context.worklist,
                all_findings=FINDINGS,
                all_changes=Change,
            )

    return routes


def found(context: AppContext, session: Session, params: WorklistParams, limit: int) -> Page:
    """Return a page of the films that are asked for.

    Raises
    ------
    Unclear
        The text says what cannot be looked for.
    """
    return worklist(session, params.query(context), limit, params.key(), context.operating)
