"""A really running dashboard, and a browser that asks it over HTTP."""

import contextlib
import socket
import threading
import time
from dataclasses import dataclass

import httpx
import pytest
import sqlalchemy as sa
import uvicorn
from fastapi import FastAPI
from invented_films import NOW, Invented, open_index
from sqlalchemy.orm import Session

from inference.model.operating_points import BUNDLES_OWN
from scp.archive import Archive
from scp.config.dashboard import DashboardSettings
from scp.config.time_zone import zone_of
from scp.dashboard import context as contexts
from scp.dashboard.app import make_app
from scp.dashboard.pages.configuration import ServiceInfo
from scp.pipeline.queue import Jobs

CSP = "default-src 'none'; script-src 'self'"


@dataclass
class RunningDashboard:
    """A running dashboard, its index, and a browser."""

    engine: sa.Engine
    archive: Archive
    browser: httpx.Client
    own: contexts.AppContext
    app: FastAPI

    @property
    def address(self):
        return str(self.browser.base_url).rstrip("/")

    @property
    def jobs(self):
        return self.own.jobs

    @contextlib.contextmanager
    def invent(self):
        with Session(self.engine) as session:
            yield Invented(session, self.archive)
            session.commit()

    def page(self, path="/", status=200):
        answer = self.browser.get(path)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-security-policy"].startswith(CSP)
        return answer.text


@contextlib.contextmanager
def served(
    engine,
    archive,
    destinations=("PACS_A",),
    clock=lambda: NOW,
    add=None,
    about=None,
    time_zone="",
    operating=BUNDLES_OWN,
    **settings,
):
    """``add`` puts further routes into the application."""
    jobs = Jobs(engine)
    app_context = contexts.AppContext(
        engine,
        archive,
        jobs,
        DashboardSettings(**settings),
        destinations,
        clock,
        about or ServiceInfo(),
        zone=zone_of(time_zone),
        operating=operating,
        counts_max_age_s=0,  # what was just written is counted
    )
    app = make_app(app_context)
    if add is not None:
        add(app)
    config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < deadline, "the dashboard did not start"
        thread.join(0.01)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    try:
        with httpx.Client(
            base_url=url, headers={"Accept": "text/html"}, trust_env=False, timeout=20
        ) as browser:
            yield RunningDashboard(engine, archive, browser, app_context, app)
    finally:
        app_context.stopping.set()
        server.should_exit = True
        thread.join(20)
        listening.close()
        app_context.close()
        jobs.close()


@pytest.fixture
def index(tmp_path):
    """An empty index, and its archive."""
    engine, archive = open_index(tmp_path)
    yield engine, archive
    engine.dispose()


@pytest.fixture
def dashboard(index):
    """A dashboard that is open to this machine, as it comes."""
    with served(*index) as running:
        yield running


def changing(app):
    """Return the addresses of an application that do more than show."""
    routers = [route.original_router for route in app.routes if hasattr(route, "original_router")]
    return {
        route.path
        for router in routers
        for route in router.routes
        if set(route.methods) - {"GET", "HEAD"}
    }
