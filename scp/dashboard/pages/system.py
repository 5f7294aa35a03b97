"""The system: what runs, on what, how full the disk is, and how fast films are answered."""

import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from sqlalchemy.orm import Session

from scp.archive import Archive
from scp.dashboard.context import AppContext
from scp.dashboard.rendering import NotHere
from scp.dimse.certificates import seconds_left
from scp.index import last_day
from scp.index.associations import latest_failed
from scp.index.last_day import Hour
from scp.monitoring import metrics
from scp.monitoring.readiness import readiness
from scp.outcomes.associations import ADVICE

# what a fault is most often asked about
_LIBRARIES = (
    "torch",
    "monai",
    "pydicom",
    "pynetdicom",
    "highdicom",
    "dbos",
    "sqlalchemy",
    "alembic",
    "fastapi",
    "uvicorn",
)
# of the drawing of the hours, in its own units
_BAR, _HEIGHT = 24, 120


_FEW = 20  # kinds of failed associations


@dataclass(frozen=True)
class Bar:
    """An hour as it is drawn: received behind, answered in front."""

    x: int
    received_height: float
    answered_height: float
    hour: Hour


@dataclass(frozen=True)
class Database:
    """Which database, and how many bytes it takes; None when it does not say."""

    kind: str
    size_bytes: int | None


def router(context: AppContext) -> APIRouter:
    """Return the addresses of the system."""
    routes = APIRouter(include_in_schema=False)
    versions = _versions()

    @routes.get("/system")
    def system(request: Request) -> Response:
        now, card = context.clock(), context.about.card
        with Session(context.engine) as session:
            hours = last_day.hours(session, now, context.zone)
            return context.page(
                request,
                session,
                "system.html",
                versions=versions,
                model=card.statements if card else {},
                checks=readiness(context.engine, context.archive, now).checks,
                bars=_bars(hours),
                most=max(hour.received for hour in hours),
                drawing={"bar": _BAR, "height": _HEIGHT},
                seconds=last_day.seconds_of(metrics.answer_seconds(session, now)),
                ended=last_day.ended(session, now),
                space=last_day.space(session),
                failed=[(row, ADVICE[row.failed.reason]) for row in latest_failed(session, _FEW)],
                disk=_disk(context.archive),
                database=_database(session),
                about=context.about,
                certificates=seconds_left(context.about.certificates, now),
            )

    @routes.get("/system/model-card")
    def model_card() -> Response:
        try:
            return PlainTextResponse(context.about.model_card.read_text(encoding="utf-8"))
        except OSError as error:
            text = f"The model's folder has no readable card ({error.strerror})."
            raise NotHere(text) from error

    return routes


def _versions() -> dict[str, str]:
    """Return versions by name; they change with a restart only."""
    found = {"hilum": _version("hilum"), "Python": platform.python_version()}
    return found | {name: _version(name) for name in _LIBRARIES}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _bars(hours: list[Hour]) -> list[Bar]:
    most = max(1, *(hour.received for hour in hours))
    return [
        Bar(
            number * _BAR,
            round(_HEIGHT * hour.received / most, 1),
            round(_HEIGHT * hour.answered / most, 1),
            hour,
        )
        for number, hour in enumerate(hours)
    ]


def _disk(archive: Archive) -> Any:
    """Return total, used and free bytes; None when the disk is not there."""
    try:
        return archive.disk
    except OSError:
        return None


def _database(session: Session) -> Database:
    """Return which database it is; its address may hold a password, and is not asked for."""
    if session.get_bind().dialect.name == "sqlite":
        pages = session.scalar(
            sa.text("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        )
        found = session.scalar(sa.text("SELECT sqlite_version()"))
        return Database(f"SQLite {found}", pages)
    found = session.scalar(sa.text("SHOW server_version"))
    pages = session.scalar(sa.text("SELECT pg_database_size(current_database())"))
    return Database(f"PostgreSQL {found}", pages)
