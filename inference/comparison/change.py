"""What became of each finding since the prior film."""

from inference.comparison.result import FindingChange
from inference.findings import FINDINGS, Change, Prediction

NULL_MARGIN = 0.15
"""Difference in probability that two films of one unchanged chest may show.

A change is called only beyond it. This value is a cautious assumption, not a measurement: it is
to be replaced by the measured null of the network in use, that is, the differences between
repeated and re-exposed films of the same patients.
"""

# the heart is magnified in AP films: PA against AP says nothing of its size
PROJECTION_DEPENDENT = frozenset({"Cardiomegaly"})


def changes(
    current: Prediction, prior: Prediction, *, same_view: bool = True, margin: float = NULL_MARGIN
) -> tuple[FindingChange, ...]:
    """Return one change per finding, in the order of `FINDINGS`.

    All are uncertain when two different networks spoke: their probabilities lie on two scales.
    """
    one_scale = current.model == prior.model
    made = []
    for index, finding in enumerate(FINDINGS):
        before, now = float(prior.probabilities[index]), float(current.probabilities[index])
        if one_scale and (same_view or finding.label not in PROJECTION_DEPENDENT):
            was, is_now = bool(prior.positive[index]), bool(current.positive[index])
            word = change_of(before, now, was=was, is_now=is_now, margin=margin)
        else:
            word = Change.UNCERTAIN
        made.append(FindingChange(finding.label, before, now, word))
    return tuple(made)


def change_of(
    prior: float, current: float, *, was: bool, is_now: bool, margin: float = NULL_MARGIN
) -> Change:
    """Name the change of one finding.

    Crossing the threshold without exceeding the margin is uncertain, and so is a difference
    beyond the margin that stays below the threshold.
    """
    beyond = abs(current - prior) > margin
    if was != is_now:
        if not beyond:
            return Change.UNCERTAIN
        return Change.NEW if is_now else Change.RESOLVED
    if not beyond:
        return Change.UNCHANGED
    if not is_now:
        return Change.UNCERTAIN
    return Change.INCREASED if current > prior else Change.DECREASED


def unknown(current: Prediction, prior: Prediction) -> tuple[FindingChange, ...]:
    """Return the probabilities with every change uncertain."""
    return tuple(
        FindingChange(finding.label, float(before), float(now), Change.UNCERTAIN)
        for finding, before, now in zip(
            FINDINGS, prior.probabilities, current.probabilities, strict=True
        )
    )
