"""The templates, the safety headers, and pages that say what went wrong."""

import hashlib
import logging
from datetime import tzinfo
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import sqlalchemy as sa
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inference.findings import reaches
from scp.config.time_zone import SERVER_ZONE
from scp.dashboard import formatting
from scp.dashboard.images.png import is_picture
from scp.dashboard.security.person import NotAllowed
from scp.index.schema.tables import DeliveryState, FilmState
from scp.index.worklist.query import InvalidQuery, Order
from scp.monitoring.audit import AuditFailed
from scp.outcomes.failures import film_failure

_HERE = Path(__file__).parent
_LOG = logging.getLogger(__name__)

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # with no-referrer, browsers would send "Origin: null" for our own forms
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
# told to browsers that came over https: never come another way, for a year
HTTPS_ONLY = {"Strict-Transport-Security": "max-age=31536000"}
# the pages name patients: no shared computer keeps them
NOT_KEPT = "no-store"


def _digest(folder: Path) -> str:
    """Return what is another whenever a file of a folder is."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


# named by their contents, so that browsers may keep them and never have another release's
STATIC = f"/static/{_digest(_HERE / 'static')}"

PLACES = (("/", "Films"), ("/queue", "Queue"), ("/system", "System"))


NO_FILM = "No film with this SOP Instance UID was received. The first page lists all films."


class NotHere(Exception):
    """What was asked for is not there; the text says what to do instead."""


def file_gone(what: str) -> NotHere:
    """Return what is to be said when the index knows more than the disk."""
    return NotHere(
        f"The index knows {what}, but its file is missing from data_dir. Check that the disk is "
        "mounted,"
        " or restore it from a backup."
    )


class _Compiled(BytecodeCache):
    """Templates are compiled once in a process, whatever sites it has."""

    known: ClassVar[dict[str, bytes]] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key + bucket.checksum in self.known:
            bucket.bytecode_from_string(self.known[bucket.key + bucket.checksum])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.known[bucket.key + bucket.checksum] = bucket.bytecode_to_string()


def templates(zone: tzinfo = SERVER_ZONE) -> Jinja2Templates:
    """Return the templates; every value in them is escaped, and a missing one is an error.

    Moments are shown in ``zone``, the site's.
    """
    env = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        bytecode_cache=_Compiled(),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "local": formatting.local_in(zone),
        "clock": formatting.clock_in(zone),
        "apart_from": formatting.interval_in(zone),
        "bytes": formatting.bytes_,
    }
    for word in (
        formatting.taken,
        formatting.day,
        formatting.percent,
        formatting.kind,
        formatting.size,
        formatting.ago,
        formatting.full_name,
    ):
        env.filters[word.__name__] = word
    env.globals |= {
        "label": formatting.LABEL,
        "scale": formatting.SCALE,
        "reaches": reaches,
        "configure_destination": formatting.CONFIGURE_DESTINATION,
        "retry_command": formatting.retry_command,
        "why_failed": film_failure,
        "state_words": formatting.state,
        "tone": formatting.tone,
        "gone": formatting.gone,
        "most_telling": formatting.most_telling,
        "is_picture": is_picture,
        "places": PLACES,
        "static": STATIC,
        "FilmState": FilmState,
        "Order": Order,
        "DeliveryState": DeliveryState,
    }
    return Jinja2Templates(env=env)


class _Static(StaticFiles):
    """What pages are made of."""

    def file_response(self, *args: Any, **more: Any) -> Response:
        """Let a browser keep it."""
        response = super().file_response(*args, **more)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


class SecurityHeadersMiddleware:
    """ASGI middleware: every answer gets its safety headers. It holds no answer back."""

    def __init__(self, app: ASGIApp, headers: dict[str, str]) -> None:
        self._app, self._headers = app, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with headers."""

        async def safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self._headers)
                headers.setdefault("Cache-Control", NOT_KEPT)
            await send(message)

        await self._app(scope, receive, safely)


def problem(
    pages: Jinja2Templates, request: Request, status: int, title: str, text: str
) -> Response:
    """Return a page that says what went wrong, or for scripts the same as JSON."""
    if not wants_page(request):
        return JSONResponse({"error": title, "detail": text}, status, HEADERS)
    context = {"title": title, "text": text, "status": status}
    return pages.TemplateResponse(request, "problem.html", context, status, HEADERS)


def prepare(app: FastAPI, pages: Jinja2Templates, *, https: bool) -> None:
    """Give every answer its safety headers, and every failure its page."""
    app.mount(STATIC, _Static(directory=_HERE / "static"), name="static")
    app.add_middleware(SecurityHeadersMiddleware, headers=HEADERS | (HTTPS_ONLY if https else {}))
    problem_page = partial(problem, pages)

    @app.exception_handler(NotHere)
    def not_here(request: Request, error: NotHere) -> Response:
        return problem_page(request, 404, "Not here", str(error))

    @app.exception_handler(NotAllowed)
    def not_allowed(request: Request, error: NotAllowed) -> Response:
        return problem_page(request, 403, "Not allowed", str(error))

    @app.exception_handler(AuditFailed)
    def not_recorded(request: Request, error: AuditFailed) -> Response:
        _LOG.error("nothing may be changed: %s", error)
        return problem_page(request, 503, "Not now", f"Nothing was done, because {error}.")

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> Response:
        if error.status_code != 404:
            return problem_page(request, error.status_code, "Not possible", str(error.detail))
        text = "hilum has no page at this address. The first page lists the films."
        return problem_page(request, 404, "Not here", text)

    @app.exception_handler(RequestValidationError)
    def misunderstood(request: Request, error: RequestValidationError) -> Response:
        message = "; ".join(f"{item['loc'][-1]}: {item['msg']}" for item in error.errors())
        return problem_page(request, 422, "The address is not valid", message)

    @app.exception_handler(InvalidQuery)
    def unclear(request: Request, error: InvalidQuery) -> Response:
        return problem_page(request, 422, "The search is not understood", f"{error}.")

    @app.exception_handler(sa.exc.NoResultFound)
    def unknown(request: Request, _: Exception) -> Response:
        text = "hilum has nothing by this name. The first page lists the films."
        return problem_page(request, 404, "Not here", text)

    @app.exception_handler(UnicodeError)
    @app.exception_handler(sa.exc.DataError)
    def no_value(request: Request, _: Exception) -> Response:
        text = "The address has letters or numbers that no film, result or job is named by."
        return problem_page(request, 422, "The address is not valid", text)

    @app.exception_handler(sa.exc.SQLAlchemyError)
    def no_database(request: Request, error: sa.exc.SQLAlchemyError) -> Response:
        # the class only: the text may hold a statement with its values
        _LOG.error("the database did not answer the dashboard: %s", type(error).__name__)
        text = "The database does not answer. Check that it runs and that [database] url is right;"
        return problem_page(request, 503, "Not now", f"{text} this page reloads by itself.")

    @app.exception_handler(Exception)  # the outer edge; the server logs the traceback
    def broken(request: Request, _: Exception) -> Response:
        text = "The dashboard has a fault: its log has the traceback. Films are still received and"
        return problem_page(request, 500, "Not now", f"{text} read.")


def wants_page(request: Request) -> bool:
    """Say whether a reader asks, and not a script."""
    return "text/html" in request.headers.get("accept", "")
