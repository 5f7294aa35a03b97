"""The role `dashboard`: pages and health checks over HTTP."""

import os
import socket
from threading import Thread

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from scp.config.dashboard import DashboardSettings
from scp.config.load import Settings
from scp.index.accounts import users
from scp.index.heartbeats import Role
from scp.processes.runtime import (
    DRAIN_S,
    Stop,
    beat_until,
    begin_role,
    now,
    open_context,
    this_start,
)

_BEHIND = 10  # niceness of the dashboard: films are received before pages are made

log = structlog.get_logger(__name__)


def dashboard(settings: Settings, listening: socket.socket, name: str, stop: Stop) -> None:
    """Run the dashboard on a listening socket."""
    import uvicorn  # noqa: PLC0415

    from scp.dashboard.app import make_app  # noqa: PLC0415
    from scp.dashboard.context import AppContext  # noqa: PLC0415
    from scp.dashboard.images.overlays import warm  # noqa: PLC0415
    from scp.dashboard.pages.configuration import about  # noqa: PLC0415
    from scp.processes.http_limits import LimitedProtocol, allow_open_files  # noqa: PLC0415

    with open_context(settings) as service:
        app_context = AppContext(
            service.engine,
            service.archive,
            service.jobs,
            settings.dashboard,
            destinations=tuple(settings.destinations_by_name()),
            clock=now,
            about=about(settings),
            worklist=settings.worklist,
            zone=settings.zone,
            operating=settings.results.operating,
        )
        _say_who_may_log_in(app_context.settings, service.engine)
        server = uvicorn.Server(
            uvicorn.Config(
                make_app(app_context),
                log_config=None,
                access_log=False,
                http=LimitedProtocol,
                timeout_graceful_shutdown=int(DRAIN_S),
            )
        )
        os.nice(_BEHIND)
        allow_open_files()
        Thread(target=warm, daemon=True).start()
        start_id = this_start()
        begin_role(service, name, "dashboard", start_id)
        # in a thread, uvicorn leaves the signals to us
        thread = Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        host, port = listening.getsockname()[:2]
        beat_until(
            stop,
            service,
            Role(name, "dashboard", os.getpid(), {"url": f"http://{host}:{port}"}, start_id),
            works=thread.is_alive,
        )
        app_context.stopping.set()
        server.should_exit = True
        thread.join(DRAIN_S + 1)
        app_context.close()
        log.info("stopped")


def _say_who_may_log_in(settings: DashboardSettings, engine: sa.Engine) -> None:
    """Warn at the start of what keeps people out, or lets passwords be read."""
    if not settings.asks_for_login:
        return
    with Session(engine) as session:
        if users.how_many(session) == 0:
            log.warning("no user yet", fix="hilum user add NAME --access operator")
    if not settings.behind_https:
        log.warning("passwords are sent unencrypted", fix="TLS: [dashboard] behind_https")
