"""What every page needs: settings, index, archive, templates."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from threading import Event

import sqlalchemy as sa
from fastapi import Request, Response
from fastapi.templating import Jinja2Templates
from sqlalchemy.orm import Session

from inference.model.operating_points import BUNDLES_OWN, OperatingSettings
from scp.archive import Archive
from scp.config.dashboard import DashboardSettings
from scp.config.time_zone import SERVER_ZONE
from scp.config.worklist import WorklistSettings
from scp.dashboard import rendering
from scp.dashboard.caches.changes import ChangeDetector
from scp.dashboard.caches.counts import CountsCache
from scp.dashboard.caches.images import ImageCache
from scp.dashboard.caches.looks import ViewLog
from scp.dashboard.pages.configuration import ServiceInfo
from scp.dashboard.security.person import Person, looks_again, person_of
from scp.index.schema.tables import DeliveryState
from scp.monitoring import readiness
from scp.monitoring.audit import Actor, Audit
from scp.pipeline.operator_actions import JobControl
from scp.pipeline.queue import Jobs
from scp.pipeline.retry import Refusal, refuse_delivery


@dataclass(frozen=True)
class AppContext:
    """One dashboard.

    Attributes
    ----------
    engine
        The index.
    archive
        Where films and results lie.
    jobs
        The queue, for what operators ask of it.
    settings
        How much a page shows and how often it looks.
    destinations
        Names of the configured destinations; without any, the page says so.
    clock
        Returns the moment, with a time zone.
    about
        What the configuration says that pages show.
    stopping
        Set when open pages are to be let go.
    worklist
        What makes a film urgent, and for how long.
    zone
        The zone in which moments are shown.
    operating
        The thresholds and prevalences by which findings are shown.
    counts_max_age_s
        How old the counts on a page may be; None for half the time between two looks.
    """

    engine: sa.Engine
    archive: Archive
    jobs: Jobs
    settings: DashboardSettings
    destinations: tuple[str, ...]
    clock: Callable[[], datetime]
    about: ServiceInfo = field(default_factory=ServiceInfo)
    stopping: Event = field(default_factory=Event)
    worklist: WorklistSettings = field(default_factory=WorklistSettings)
    zone: tzinfo = SERVER_ZONE
    operating: OperatingSettings = BUNDLES_OWN
    counts_max_age_s: float | None = None
    audit: Audit = field(init=False)
    view_log: ViewLog = field(init=False, default_factory=ViewLog)
    image_cache: ImageCache = field(init=False)
    change_detector: ChangeDetector = field(init=False)
    pages: Jinja2Templates = field(init=False)
    counts_cache: CountsCache = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "audit", Audit(self.archive.data_dir, self.clock))
        object.__setattr__(self, "change_detector", ChangeDetector(self.engine))
        object.__setattr__(self, "image_cache", ImageCache(1_000_000 * self.settings.cache_mb))
        object.__setattr__(self, "pages", rendering.templates(self.zone))
        age_s = self.counts_max_age_s
        age_s = self.settings.refresh_s / 2 if age_s is None else age_s
        object.__setattr__(self, "counts_cache", CountsCache(self.engine, age_s))
        self.pages.env.globals |= {
            "settings": self.settings,
            "destinations": self.destinations,
            "retry_refusal": self.retry_refusal,
        }

    def retry_refusal(
        self, destination: str, state: DeliveryState, attempts: int = 0
    ) -> Refusal | None:
        """Say why what has this state at a destination is not retried; None when it is.

        After a failed attempt it waits for its time, before the first a worker is about to do it.
        """
        jobs = ["DELAYED" if attempts else "ENQUEUED"]
        return refuse_delivery([state], jobs, configured=destination in self.destinations)

    def control(self, person: Person) -> JobControl:
        """Return what a person may do with jobs."""
        actor = Actor(self.audit, person.name)
        return JobControl(self.engine, self.jobs, self.destinations, self.clock, actor)

    def close(self) -> None:
        """Stop what runs beside the requests."""
        self.counts_cache.close()

    def page(
        self, request: Request, session: Session, template: str, status: int = 200, **found: object
    ) -> Response:
        """Return a page inside the frame of every page."""
        now = self.clock()
        around = {
            "now": now,
            "person": _asker(request),
            "roles": readiness.roles(session, now),
            "problems": readiness.readiness(self.engine, self.archive, now).problems,
            "counts": self.counts_cache.counts(),
        }
        return self.pages.TemplateResponse(request, template, around | found, status)

    def problem(self, request: Request, status: int, title: str, text: str) -> Response:
        """Return a page that says what went wrong, or for scripts the same as JSON."""
        return rendering.problem(self.pages, request, status, title, text)


def _asker(request: Request) -> Person:
    """Return who asks; of a page that renews itself, only what they may do: it may be shared."""
    person = person_of(request)
    return replace(person, name="") if looks_again(request) else person
