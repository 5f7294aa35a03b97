"""Metrics of what passes between hilum and its peers: deliveries, and associations that failed."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from scp.index.counts import Counts
from scp.index.schema.tables import DeliveryState
from scp.outcomes.associations import Reason


def association_metric(numbers: Counts) -> Metric:
    """Return the failed associations, with a zero for each reason that none had."""
    family = CounterMetricFamily(
        "hilum_failed_associations",
        "Failed associations that peers requested, by reason.",
        labels=["reason"],
    )
    for reason in Reason:
        family.add_metric([reason.value], numbers.failed_associations.get(reason.value, 0))
    return family


def certificate_metric(seconds_left: Mapping[str, float]) -> Metric:
    """Return how long our certificates are valid; without a sample where a file is unreadable."""
    family = GaugeMetricFamily(
        "hilum_certificate_expires_seconds",
        "Until a certificate of ours, for DICOM over TLS, expires; negative: since then.",
        labels=["used_by"],
    )
    for used_by, seconds in seconds_left.items():
        family.add_metric([used_by], seconds)
    return family


def delivery_metrics(numbers: Counts) -> Iterator[Metric]:
    """Return the deliveries, with a zero for each state that none is in, and the warnings."""
    family = GaugeMetricFamily(
        "hilum_deliveries", "Results by destination and state.", labels=["destination", "state"]
    )
    known = {(count.destination, count.state): count.results for count in numbers.deliveries}
    for destination in sorted({destination for destination, _ in known}):
        for state in DeliveryState:
            family.add_metric([destination, state.value], known.get((destination, state), 0))
    yield family
    warned = GaugeMetricFamily(
        "hilum_deliveries_warned",
        "Results that a destination took with a warning, by the status of C-STORE.",
        labels=["destination", "status"],
    )
    for count in numbers.warnings:
        warned.add_metric([count.destination, f"0x{count.status:04X}"], count.results)
    yield warned
