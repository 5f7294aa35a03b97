"""The deliveries of a film's results, as pages and scripts read them."""

from collections.abc import Sequence
from itertools import groupby

from scp.index.deliveries import outcome_of
from scp.index.schema.tables import Delivery, DeliveryState
from scp.index.values import DeliveryRow, DestinationRow, ResultRow
from scp.outcomes.delivery import Kind

# of a film's results at one destination, the state that most needs attention represents all
_WORST_FIRST = (
    DeliveryState.DEAD,
    DeliveryState.PENDING,
    DeliveryState.CANCELLED,
    DeliveryState.DELIVERED,
)


def delivery_row(row: Delivery) -> DeliveryRow:
    """Return how one result fares at one destination."""
    return DeliveryRow(
        destination=row.destination,
        state=row.state,
        attempts=row.attempts,
        outcome=outcome_of(row),
        last_attempt_at=row.last_attempt_at,
        next_attempt_at=row.next_attempt_at,
        delivered_at=row.delivered_at,
    )


def destination_rows(results: Sequence[ResultRow]) -> tuple[DestinationRow, ...]:
    """Sum up a film's deliveries, by destination.

    Withdrawn results count only where no other result went to the destination.
    """
    deliveries = sorted(
        (
            (delivery, bool(result.withdrawn))
            for result in results
            for delivery in result.deliveries
        ),
        key=lambda one: (one[0].destination, _WORST_FIRST.index(one[0].state)),
    )
    return tuple(
        _destination(name, list(group))
        for name, group in groupby(deliveries, key=lambda one: one[0].destination)
    )


def _destination(name: str, all_of_them: list[tuple[DeliveryRow, bool]]) -> DestinationRow:
    """Sum up the deliveries to one destination, each with whether its result was withdrawn.

    The worst state comes first.
    """
    valid = [delivery for delivery, withdrawn in all_of_them if not withdrawn]
    deliveries = valid or [delivery for delivery, _ in all_of_them]
    times = [delivery.next_attempt_at for delivery in deliveries if delivery.next_attempt_at]
    return DestinationRow(
        destination=name,
        state=deliveries[0].state,
        delivered=sum(delivery.state is DeliveryState.DELIVERED for delivery in deliveries),
        total=len(deliveries),
        attempts=max(delivery.attempts for delivery in deliveries),
        outcome=next(
            (d.outcome for d in deliveries if d.outcome and d.outcome.kind is not Kind.SUCCESS),
            None,
        ),
        next_attempt_at=min(times, default=None),
        withdrawn=not valid,
    )
