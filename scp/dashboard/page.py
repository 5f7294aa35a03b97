"""The templates, the safety headers, and pages that say what went wrong."""

import logging
from pathlib import Path

import sqlalchemy as sa
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.middleware.base import RequestResponseEndpoint

from scp.dashboard import words
from scp.dashboard.access import NotAllowed
from scp.dashboard.pictures import is_picture
from scp.index.schema import DeliveryState, FilmState
from scp.index.wanted import Order, Unclear

_HERE = Path(__file__).parent
_LOG = logging.getLogger(__name__)

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# the pages name patients: no shared computer keeps them
NOT_KEPT = "no-store"

PLACES = (("/", "Films"), ("/queue", "Queue"), ("/system", "System"))


class NotHere(Exception):
    """What was asked for is not there; the text says what to do instead."""


def templates() -> Jinja2Templates:
    """Return the templates; every value in them is escaped, and a missing one is an error."""
    env = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for word in (
        words.local,
        words.senders,
        words.percent,
        words.kind,
        words.size,
        words.ago,
        words.clock,
        words.full_name,
    ):
        env.filters[word.__name__] = word
    env.globals |= {
        "label": words.LABEL,
        "configure_destination": words.CONFIGURE_DESTINATION,
        "retry_command": words.retry_command,
        "state_words": words.state,
        "tone": words.tone,
        "gone": words.gone,
        "most_telling": words.most_telling,
        "is_picture": is_picture,
        "places": PLACES,
        "FilmState": FilmState,
        "Order": Order,
        "DeliveryState": DeliveryState,
    }
    return Jinja2Templates(env=env)


def prepare(app: FastAPI, pages: Jinja2Templates) -> None:
    """Give every answer its safety headers, and every failure its page."""
    app.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")

    @app.middleware("http")
    async def safe(request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers.update(HEADERS)
        response.headers.setdefault("Cache-Control", NOT_KEPT)
        return response

    def problem(request: Request, status: int, title: str, text: str) -> Response:
        if not _wants_page(request):
            return JSONResponse({"error": title, "detail": text}, status, HEADERS)
        context = {"title": title, "text": text, "status": status}
        return pages.TemplateResponse(request, "problem.html", context, status, HEADERS)

    @app.exception_handler(NotHere)
    def not_here(request: Request, error: NotHere) -> Response:
        return problem(request, 404, "Not here", str(error))

    @app.exception_handler(NotAllowed)
    def not_allowed(request: Request, error: NotAllowed) -> Response:
        return problem(request, 403, "Not allowed", str(error))

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> Response:
        if error.status_code != 404:
            return problem(request, error.status_code, "Not possible", str(error.detail))
        text = "hilum has no page of this address. The films are on the first page."
        return problem(request, 404, "Not here", text)

    @app.exception_handler(RequestValidationError)
    def misunderstood(request: Request, error: RequestValidationError) -> Response:
        told = "; ".join(f"{item['loc'][-1]}: {item['msg']}" for item in error.errors())
        return problem(request, 422, "The address is not understood", told)

    @app.exception_handler(Unclear)
    def unclear(request: Request, error: Unclear) -> Response:
        return problem(request, 422, "The search is not understood", f"{error}.")

    @app.exception_handler(sa.exc.SQLAlchemyError)
    def no_database(request: Request, error: sa.exc.SQLAlchemyError) -> Response:
        # the class only: the text may hold a statement with its values
        _LOG.error("the database did not answer the dashboard: %s", type(error).__name__)
        text = "The database does not answer. See that it runs and that [database] url is right;"
        return problem(request, 503, "Not now", f"{text} this page looks again by itself.")

    @app.exception_handler(Exception)  # the outer edge; the server logs the traceback
    def broken(request: Request, error: Exception) -> Response:
        text = f"The dashboard broke ({type(error).__name__}); its log says where. Films are"
        return problem(request, 500, "Not now", f"{text} received and read all the same.")


def _wants_page(request: Request) -> bool:
    """Say whether a reader asks, and not a script."""
    return "text/html" in request.headers.get("accept", "")
