"""Which requests are allowed: sessions, other sites, forms; and the record of who viewed a film."""

import logging
from typing import TYPE_CHECKING
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scp.config.network import is_loopback
from scp.dashboard.security.origins import SAFE_METHODS, other_site, without_port
from scp.dashboard.security.person import LOCAL, Person, by_itself, person_of
from scp.index.accounts import sessions
from scp.monitoring.audit import AuditFailed

if TYPE_CHECKING:
    from scp.dashboard.context import AppContext

_LOG = logging.getLogger(__name__)

# no patient is in these: the way in, the page's looks, and what probes and Prometheus read
OPEN = ("/login", "/healthz", "/readyz", "/metrics")
OPEN_FOLDER = "/static/"
_LONGEST_FORM = 1_000_000  # bytes


def viewed(
    context: "AppContext",
    request: Request,
    uid: str,
    action: str = "viewed",
    *,
    part: bool = False,
    **more: str,
) -> None:
    """Record that a person looked at a film, unless their open page only looks again.

    ``part``: it is a part of a page, whose opening was recorded if it was opened.

    A request may call itself a second look; the first is recorded whatever it says. Where the
    trail cannot be written the look goes on, and the log says so.
    """
    person = person_of(request)
    first = context.view_log.note(person.name, uid)
    embedded = part or request.headers.get("sec-fetch-dest") == "image"
    if not first and (by_itself(request) or embedded):
        return
    try:
        context.audit.record(person.name, action, uid, **more)
    except AuditFailed:
        _LOG.exception("%s %s %s, and that is not in the audit trail", person.name, action, uid)


def cookie_name(*, https: bool) -> str:
    """Return the name of the session's cookie; browsers take __Host- from this host alone."""
    return "__Host-hilum" if https else "hilum"


def guard(app: FastAPI, context: "AppContext") -> None:
    """Let no request in but those that may come, and let it know who asks."""
    app.add_middleware(AuthMiddleware, context=context)


class AuthMiddleware:
    """ASGI middleware. It holds no answer back, so that events may stream through it."""

    def __init__(self, app: ASGIApp, context: "AppContext") -> None:
        self._app, self._context = app, context
        self._cookie = cookie_name(https=context.settings.behind_https)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that may not come; pass the others on with their person."""
        if scope["type"] == "websocket":  # there is none, and it would need its own checks
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] == "http":
            request = Request(scope, receive)
            refusal = await self._refusal(request)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
            receive = _bounded(receive)
        await self._app(scope, receive, send)

    async def _refusal(self, request: Request) -> Response | None:
        token = request.cookies.get(self._cookie, "")
        why = other_site(request.method, request.headers, has_session=token != "")
        if why:
            text = f"Nothing was done: {why}. Only this dashboard's own pages may ask for that."
            return self._context.problem(request, 403, "Not allowed", text)
        path = request.url.path
        if path in OPEN or path.startswith(OPEN_FOLDER):
            return None
        if not self._context.settings.asks_for_login:
            return self._local(request)
        return await run_in_threadpool(self._logged_in, request, token)

    def _local(self, request: Request) -> Response | None:
        """Let this machine's people in, by no name but this machine's (DNS rebinding)."""
        host = without_port(request.headers.get("host", ""))
        if not is_loopback(host):
            text = (
                "Without a login the dashboard only accepts requests for localhost; this one was"
                f" for {host[:100]!r}. Ask for 127.0.0.1 or localhost, or have it ask for"
                " a login: [dashboard] behind_https behind a reverse proxy, or another [dashboard]"
                " host."
            )
            return self._context.problem(request, 403, "Not allowed", text)
        request.state.person = LOCAL
        return self._unrecorded(request)

    def _logged_in(self, request: Request, token: str) -> Response | None:
        context = self._context
        try:
            with Session(context.engine) as session, session.begin():
                found = sessions.recognise(
                    session,
                    token,
                    context.clock(),
                    context.settings.limits,
                    acts=not by_itself(request),
                )
        except SQLAlchemyError as error:
            _LOG.error("the database did not answer who is logged in: %s", type(error).__name__)
            text = "The database does not answer, so nobody can log in. Check that it runs."
            return context.problem(request, 503, "Not now", text)
        if found is None:
            return _ask_for_login(request)
        request.state.person = Person(*found)
        return self._unrecorded(request)

    def _unrecorded(self, request: Request) -> Response | None:
        """Refuse to change what could not be recorded; logging out is always possible."""
        if request.method in SAFE_METHODS or request.url.path == "/logout":
            return None
        try:
            self._context.audit.require_writable()
        except AuditFailed as error:
            _LOG.exception("nothing may be changed")
            text = f"Nothing was done, because {error}."
            return self._context.problem(request, 503, "Not now", text)
        return None


def _bounded(receive: Receive) -> Receive:
    """Let no stranger fill the memory with a form."""
    taken = 0

    async def bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > _LONGEST_FORM:
            raise HTTPException(413, "The form is longer than any of this dashboard's.")
        return message

    return bounded


def _ask_for_login(request: Request) -> Response:
    """Send a reader to the login, and tell scripts and open pages that there must be one."""
    reads = "text/html" in request.headers.get("accept", "")
    if not reads or by_itself(request):
        detail = "Log in at /login; the session is its cookie."
        return JSONResponse({"error": "Not logged in", "detail": detail}, 401)
    target = "/"
    if request.method in SAFE_METHODS:
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/login?next={quote(target, safe='/')}", 303)
