"""What became of each finding since the prior film."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np

from inference.comparison.change_null import ChangeNullDistribution, Condition, differences
from inference.comparison.result import FindingChange
from inference.findings import FINDINGS, Change, Prediction

# between PA and AP, or standing and lying, whatever was measured: the heart is magnified in AP and
# supine films, so its size cannot be compared; and what does not resolve has not done so because
# another view does not show it
PROJECTION_DEPENDENT = frozenset({"Cardiomegaly"})
LASTING = frozenset({"Emphysema", "Fibrosis", "Hernia"})


def changes(
    current: Prediction,
    prior: Prediction,
    null: ChangeNullDistribution | None,
    condition: Condition | None,
) -> tuple[FindingChange, ...]:
    """Return one change per finding, in the order of `FINDINGS`.

    All are uncertain when two networks read the films, because their probabilities lie on two
    scales, and when no null was measured for the one that did, or not under this condition. Of a
    finding that is not assessed no change is named.

    Parameters
    ----------
    condition
        How the two films were taken; None: in no way for which a null can be measured.
    """
    undecided = unknown(current, prior)
    if null is None or condition is None or null.unnamed(condition):
        return undecided
    if current.model != prior.model:
        return undecided
    sizes = differences(current.probabilities, prior.probabilities)  # (14,)
    made = []
    for index, finding in enumerate(undecided):
        if not finding.assessed:
            made.append(finding)
            continue
        difference = float(sizes[index])
        beyond = abs(difference) > null.critical(finding.label, condition)
        was, is_now = bool(prior.positive[index]), bool(current.positive[index])
        word = change_of(difference, beyond=beyond, was=was, is_now=is_now)
        if condition in (Condition.PA_AP, Condition.BEDSIDE):
            word = _between_views(finding.label, word)
        confidence = null.confidence(finding.label, difference, condition)
        made.append(replace(finding, change=word, confidence=confidence))
    return tuple(made)


def _between_views(label: str, word: Change) -> Change:
    """Take a word back that a film of another view cannot bear out."""
    if label in PROJECTION_DEPENDENT or (label in LASTING and word is Change.RESOLVED):
        return Change.UNCERTAIN
    return word


def change_of(difference: float, *, beyond: bool, was: bool, is_now: bool) -> Change:
    """Name the change of one finding.

    Crossing the threshold within the critical value is uncertain, and so is a difference beyond
    it that stays below the threshold.

    Parameters
    ----------
    difference
        Current minus prior; only its sign counts.
    beyond
        Whether it is larger than the critical value.
    was, is_now
        Whether the finding is positive on the prior, and on the current film.
    """
    if was != is_now:
        if not beyond:
            return Change.UNCERTAIN
        return Change.NEW if is_now else Change.RESOLVED
    if not beyond:
        return Change.UNCHANGED
    if not is_now:
        return Change.UNCERTAIN
    return Change.INCREASED if difference > 0 else Change.DECREASED


def at_any_threshold(
    name: Callable[[Prediction, Prediction], tuple[FindingChange, ...]],
    current: Prediction,
    prior: Prediction,
) -> tuple[FindingChange, ...]:
    """Name changes, each with the words that it would have at other thresholds.

    A site may change its thresholds; what was compared before is then named by the new ones.

    Parameters
    ----------
    name
        Names the changes between the current film and the prior, such as `changes`.
    """
    never, always = np.full(len(FINDINGS), np.inf), np.zeros(len(FINDINGS))
    limits = {False: never, True: always}
    others = [
        name(replace(current, thresholds=limits[is_now]), replace(prior, thresholds=limits[was]))
        for was, is_now in product((False, True), repeat=2)
    ]
    return tuple(
        replace(made, threshold=float(threshold), words=tuple(one[i].change for one in others))
        for i, (made, threshold) in enumerate(
            zip(name(current, prior), current.thresholds, strict=True)
        )
    )


def unknown(current: Prediction, prior: Prediction) -> tuple[FindingChange, ...]:
    """Return the probabilities with every change uncertain."""
    assessed = current.assessed & prior.assessed  # (14,)
    verified = current.verified & prior.verified
    return tuple(
        FindingChange(
            finding.label,
            float(prior.probabilities[i]),
            float(current.probabilities[i]),
            Change.UNCERTAIN,
            None,
            assessed=bool(assessed[i]),
            verified=bool(verified[i]),
        )
        for i, finding in enumerate(FINDINGS)
    )
