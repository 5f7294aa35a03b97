"""Metrics of the service, in Prometheus' text format."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from types import MappingProxyType

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import select
from sqlalchemy.orm import Session

from scp.archive import Archive
from scp.dimse.certificates import seconds_left
from scp.index.counts import Counts, counts
from scp.index.last_day import seconds_of
from scp.index.prior_fetches import Outcome
from scp.index.schema.tables import FilmState, Instance
from scp.monitoring.peer_metrics import association_metric, certificate_metric, delivery_metrics
from scp.monitoring.readiness import RoleState, roles

RECENT_FILMS = 1000  # enough for a 95th percentile, few enough to read at every scrape


def metrics(
    engine: sa.Engine,
    archive: Archive,
    now: datetime,
    certificates: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    """Return all metrics as Prometheus reads them (text format 0.0.4).

    ``certificates`` are files, by who uses them.

    Raises
    ------
    sqlalchemy.exc.SQLAlchemyError
        The database does not answer.
    """
    with Session(engine) as session:
        numbers = counts(session)
        running = roles(session, now)
        seconds = answer_seconds(session, now)
    registry = CollectorRegistry()
    families = (
        *_families(numbers, running, seconds, archive, now),
        certificate_metric(seconds_left(certificates, now)),
    )
    registry.register(_Collected(families))
    return generate_latest(registry)


def answer_seconds(session: Session, now: datetime) -> list[float]:
    """Return how long the last day's films took from received to answered, the latest 1000."""
    rows = session.execute(
        select(Instance.received_at, Instance.finished_at)
        .where(Instance.state == FilmState.ANSWERED, Instance.received_at > now - timedelta(days=1))
        .order_by(Instance.received_at.desc())
        .limit(RECENT_FILMS)
    )
    return [(end - start).total_seconds() for start, end in rows if end is not None]


class _Collected(Collector):
    """Metrics that were gathered already."""

    def __init__(self, families: tuple[Metric, ...]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _families(
    numbers: Counts,
    running: list[RoleState],
    seconds: list[float],
    archive: Archive,
    now: datetime,
) -> Iterator[Metric]:
    """Return every metric with its samples."""
    films = GaugeMetricFamily("hilum_films", "Received films by state.", labels=["state"])
    for state, number in numbers.films.items():
        films.add_metric([state.value], number)
    yield films
    skipped = CounterMetricFamily(
        "hilum_not_analysed", "Films that were not analysed, by reason.", labels=["reason"]
    )
    for reason, number in numbers.not_analysed.items():
        skipped.add_metric([reason], number)
    yield skipped
    yield from delivery_metrics(numbers)
    yield CounterMetricFamily(
        "hilum_quarantined", "Objects refused and kept aside.", value=numbers.quarantined
    )
    yield association_metric(numbers)
    yield from _fetches(numbers)
    oldest = numbers.oldest_unfinished_at
    yield GaugeMetricFamily(
        "hilum_oldest_unfinished_film_seconds",
        "Age of the oldest film without an outcome; 0 without any.",
        value=(now - oldest).total_seconds() if oldest else 0.0,
    )
    yield _answer_times(seconds)
    up = GaugeMetricFamily(
        "hilum_role_up", "1: its last heartbeat is recent.", labels=["role", "name"]
    )
    for role in running:
        up.add_metric([role.role, role.name], float(role.up))
    yield up
    yield from _disk(archive)


def _disk(archive: Archive) -> Iterator[Metric]:
    """Return the space that is left and kept; no sample while the disk cannot be reached."""
    free = GaugeMetricFamily("hilum_disk_free_bytes", "Free on the disk of data_dir.", labels=[])
    kept = GaugeMetricFamily(
        "hilum_disk_reserve_bytes", "With less than this free, films are refused.", labels=[]
    )
    with suppress(OSError):
        disk = archive.disk
        free.add_metric([], disk.free)
        kept.add_metric([], disk.reserve)
    yield from (free, kept)


def _fetches(numbers: Counts) -> Iterator[Metric]:
    """Return how asking the PACS for priors goes, with a zero for each outcome that none had."""
    family = GaugeMetricFamily(
        "hilum_prior_fetches",
        "Films by the outcome of the last query to the PACS for their priors.",
        labels=["outcome"],
    )
    for outcome in Outcome:
        family.add_metric([outcome.value], numbers.fetches.get(outcome.value, 0))
    yield family
    yield CounterMetricFamily(
        "hilum_prior_fetches_failed",
        "Attempts to fetch priors that failed.",
        value=numbers.failed_fetches,
    )


def _answer_times(seconds: list[float]) -> Metric:
    """Return quantiles of recent films; absent without any.

    No _count and _sum: those must never fall, and recent films go out of sight.
    """
    family = Metric(
        "hilum_answer_seconds",
        f"From received to answered, the last day's films, at most {RECENT_FILMS}.",
        "summary",
    )
    took = seconds_of(seconds)
    if took is not None:
        for quantile, value in (("0.5", took.p50), ("0.95", took.p95), ("1", took.longest)):
            family.add_sample("hilum_answer_seconds", {"quantile": quantile}, value)
    return family
