"""False changes of pairs, each judged by a null that did not see its patient.

The null of a bundle is made of the pairs of train and val patients, so it cannot judge them. Here
each of these patients is left out in turn (leave-one-out; Stone, J. Royal Statistical Society B
36(2), 1974). The network itself was taught on the train patients; the rows keep them apart.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.table import Table

from inference.comparison.change_null import ChangeNullDistribution, Condition, differences
from inference.comparison.finding_changes import changes
from inference.findings import LABELS
from training.change.evaluate import upper_bound
from training.change.null import PairPrediction, Unchanged, null_of


@dataclass(frozen=True)
class CrossFitted:
    """How many pairs without change of labels get a change named under a condition.

    Attributes
    ----------
    patients
        How many patients the pairs are of.
    named
        Pairs with a finding called new, increased, decreased or resolved.
    beyond
        Pairs with a finding that differs by more than its critical value: those that would be
        named by some threshold of a site.
    """

    condition: Condition
    films: str
    pairs: int
    patients: int
    named: int
    beyond: int


def crossfitted(measured: Unchanged) -> Iterator[CrossFitted]:
    """Count the false changes of train, val and test patients, and of all, by condition."""
    patients = {pair.current.patient for pair in measured.pairs if pair.split != "test"}
    nulls = {patient: null_of(measured, without=patient) for patient in patients}
    whole = null_of(measured)
    each = [
        (pair, *judged(predictions, nulls.get(pair.current.patient, whole), pair.condition))
        for pair, predictions in zip(measured.pairs, measured.predictions, strict=True)
    ]
    for condition in Condition:
        for films in ("train", "val", "test", "all"):
            chosen = [
                one
                for one in each
                if one[0].condition is condition and films in (one[0].split, "all")
            ]
            if chosen:
                pairs, named, beyond = zip(*chosen, strict=True)
                people = len({pair.current.patient for pair in pairs})
                yield CrossFitted(condition, films, len(pairs), people, sum(named), sum(beyond))


def judged(
    predictions: PairPrediction, null: ChangeNullDistribution, condition: Condition | None
) -> tuple[bool, bool]:
    """Say whether a change is named, and whether one would be by some threshold."""
    if condition is None:
        return False, False
    then, now = predictions
    named = any(one.called for one in changes(now, then, null, condition))
    sizes = differences(now.probabilities, then.probabilities)
    critical = (null.critical(label, condition) for label in LABELS)
    return named, any(abs(size) > limit for size, limit in zip(sizes, critical, strict=True))


def table(measured: Unchanged) -> Table:
    """Return a table for a terminal."""
    made = Table(
        "condition",
        "patients of",
        "pairs",
        "patients",
        "named",
        "95 % upper bound",
        "beyond the critical value",
        "95 % upper bound",
        title="false changes: pairs without change of labels, each judged by a null without its "
        "patient (goal: 5 % under each condition; one-sided, Clopper and Pearson)",
    )
    for one in crossfitted(measured):
        bounds = (f"{upper_bound(count, one.pairs):.1%}" for count in (one.named, one.beyond))
        counts = (one.pairs, one.patients, one.named, next(bounds), one.beyond, next(bounds))
        made.add_row(str(one.condition), one.films, *map(str, counts))
    return made
