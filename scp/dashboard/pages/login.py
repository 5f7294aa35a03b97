"""Log in and log out."""

import logging
from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.orm import Session

from scp.dashboard.context import AppContext
from scp.dashboard.guard import cookie_name
from scp.dashboard.security import known_browsers, passwords
from scp.dashboard.security.origins import local_path
from scp.dashboard.security.person import person_of
from scp.dashboard.security.throttle import Attempt, Lane, LoginThrottle
from scp.index.accounts import sessions, users
from scp.monitoring.audit import AuditFailed

_LOG = logging.getLogger(__name__)

# a password's check takes 64 MiB and the cores for a moment: strangers must not take them all
_STRANGERS = (1, 16, 0.25)
_KNOWN = (2, 16, 0.0)
_BUSY_S = 3
_NOBODY = "-"  # who fails to log in is nobody, and what they typed as a name may be a password
WRONG = "Wrong name or password."


def router(context: AppContext) -> APIRouter:
    """Return the addresses by which people come and go."""
    routes = APIRouter(include_in_schema=False)
    service = LoginService(context)

    @routes.get("/login")
    def ask(request: Request, next: str = "/") -> Response:
        return service.page(request, local_path(next))

    @routes.post("/login")
    async def log_in(
        request: Request,
        name: Annotated[str, Form()] = "",
        password: Annotated[str, Form()] = "",
        next: Annotated[str, Form()] = "/",
    ) -> Response:
        return await service.log_in(request, name.strip().lower(), password, local_path(next))

    @routes.post("/logout")
    def log_out(request: Request) -> Response:
        return service.log_out(request)

    return routes


class LoginService:
    """Lets people in who know their password, and out again."""

    def __init__(self, context: AppContext) -> None:
        self._context = context
        self._slowed = LoginThrottle()
        self._strangers, self._known = Lane(*_STRANGERS), Lane(*_KNOWN)
        self._https = context.settings.behind_https
        self._cookie = cookie_name(https=self._https)

    def page(
        self, request: Request, target: str, status: int = 200, name: str = "", error: str = ""
    ) -> Response:
        """Return the form; where nobody logs in, the page that was wanted."""
        if not self._context.settings.asks_for_login:
            return RedirectResponse(target, 303)
        nobody = False
        if status != 429:  # a flood costs no query
            with Session(self._context.engine) as session:
                nobody = users.how_many(session) == 0
        context = {
            "next": target,
            "name": name,
            "error": error,
            "nobody": nobody,
            # a link on another site brings no cookie along (SameSite=Strict), the next click does
            "came_by_link": request.headers.get("sec-fetch-site") == "cross-site",
        }
        return self._context.pages.TemplateResponse(request, "login.html", context, status)

    async def log_in(self, request: Request, name: str, password: str, target: str) -> Response:
        """Check a password where it may be tried now; otherwise say when."""
        if not self._context.settings.asks_for_login:
            return RedirectResponse(target, 303)
        browser = ""
        if cookie := request.cookies.get(known_browsers.COOKIE, ""):
            browser = await to_thread.run_sync(self._known_browser, cookie, name)
        attempt = Attempt(name[:64], request.client.host if request.client else "", browser)
        wait_s = self._slowed.begin(attempt, self._context.clock())
        if wait_s:
            text = f"Too many failed logins. Try again in {wait_s} s."
            return self._later(request, target, wait_s, text)
        lane = self._known if browser else self._strangers
        answer = await lane.run(partial(self._enter, request, attempt, name, password, target))
        if answer is None:
            self._slowed.withdraw(attempt, self._context.clock())
            text = f"Too many logins at once. Try again in {_BUSY_S} s."
            return self._later(request, target, _BUSY_S, text)
        return answer

    def _later(self, request: Request, target: str, wait_s: int, text: str) -> Response:
        answer = self.page(request, target, 429, error=text)
        answer.headers["Retry-After"] = str(wait_s)
        return answer

    def _enter(
        self, request: Request, attempt: Attempt, name: str, password: str, target: str
    ) -> Response:
        """Begin a session, or say that name or password are wrong and not which."""
        address = attempt.address
        password_hash = self._hash_of(name, password)
        if password_hash is None:
            self._record(_NOBODY, "login failed", self._existing(name), address)
            return self.page(request, target, 401, error=WRONG)
        self._slowed.succeeded(attempt, self._context.clock())
        self._record(name, "logged in", name, address)
        token = self._begin(name, password_hash, request.cookies.get(self._cookie, ""))
        if token is None:  # removed, or given another password, this very moment
            return self.page(request, target, 401, error=WRONG)
        answer = RedirectResponse(target, 303)
        answer.set_cookie(
            self._cookie, token, path="/", secure=self._https, httponly=True, samesite="strict"
        )
        cookie = request.cookies.get(known_browsers.COOKIE, "")
        answer.set_cookie(
            known_browsers.COOKIE,
            known_browsers.remembered(cookie, name, password_hash),
            max_age=known_browsers.MAX_AGE_S,
            path="/login",
            secure=self._https,
            httponly=True,
            samesite="strict",
        )
        return answer

    def _known_browser(self, cookie: str, name: str) -> str:
        """Return what tells a browser in which this user logged in before; "" for a stranger's."""
        with Session(self._context.engine) as session:
            user = users.find(session, name)
            password_hash = user.password_hash if user else passwords.NOBODYS
        return known_browsers.known(cookie, name, password_hash)

    def log_out(self, request: Request) -> Response:
        """End a session."""
        if not self._context.settings.asks_for_login:
            return RedirectResponse("/", 303)
        person = person_of(request)
        address = request.client.host if request.client else ""
        self._record(person.name, "logged out", person.name, address)
        with Session(self._context.engine) as session, session.begin():
            sessions.end(session, request.cookies.get(self._cookie, ""))
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(
            self._cookie, path="/", secure=self._https, httponly=True, samesite="strict"
        )
        answer.headers["Clear-Site-Data"] = '"cache"'  # the pictures that this browser keeps
        return answer

    def _hash_of(self, name: str, password: str) -> str | None:
        """Return the hash of a user's password, if this is the password; None otherwise."""
        with Session(self._context.engine) as session:
            user = users.find(session, name)
            password_hash = user.password_hash if user else None
        return password_hash if passwords.matches(password, password_hash) else None

    def _begin(self, name: str, password_hash: str, before: str) -> str | None:
        """Return a new session's token, if the user is still there; the browser's old one ends."""
        context = self._context
        with Session(context.engine) as session, session.begin():
            sessions.end(session, before)
            sessions.sweep(session, context.clock(), context.settings.limits)
            return sessions.begin(session, name, password_hash, context.clock())

    def _existing(self, name: str) -> str:
        with Session(self._context.engine) as session:
            return name if users.find(session, name) else _NOBODY

    def _record(self, person: str, action: str, target: str, address: str) -> None:
        """Record who comes and goes; a full disk keeps nobody from seeing that it is full."""
        try:
            self._context.audit.record(person, action, target, address=address)
        except AuditFailed:
            _LOG.exception("%s %s, and that is not in the audit trail", person, action)
