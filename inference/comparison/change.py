"""What became of each finding since the prior film."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np

from inference.comparison.null import BAND, Null, log_odds
from inference.comparison.result import FindingChange
from inference.findings import FINDINGS, Change, Prediction

# the heart is magnified in AP films: PA against AP says nothing of its size
PROJECTION_DEPENDENT = frozenset({"Cardiomegaly"})


def changes(
    current: Prediction, prior: Prediction, null: Null | None, *, same_view: bool = True
) -> tuple[FindingChange, ...]:
    """Return one change per finding, in the order of `FINDINGS`.

    All are uncertain when two different networks spoke, for their probabilities lie on two
    scales, and when no null was measured for the one that did. Of a finding that is not assessed
    no change is named.
    """
    if null is None or current.model != prior.model:
        return unknown(current, prior)
    differences = log_odds(current.probabilities) - log_odds(prior.probabilities)  # (14,)
    made = []
    for index, undecided in enumerate(unknown(current, prior)):
        if not undecided.assessed:
            made.append(undecided)
            continue
        difference = float(differences[index])
        confidence = null.confidence(undecided.label, difference)
        was, is_now = bool(prior.positive[index]), bool(current.positive[index])
        word = change_of(difference, confidence, was=was, is_now=is_now)
        if not same_view and undecided.label in PROJECTION_DEPENDENT:
            word = Change.UNCERTAIN
        made.append(replace(undecided, change=word, confidence=confidence))
    return tuple(made)


def change_of(difference: float, confidence: float, *, was: bool, is_now: bool) -> Change:
    """Name the change of one finding.

    Crossing the threshold within the band is uncertain, and so is a difference beyond the band
    that stays below the threshold.

    Parameters
    ----------
    difference
        Current minus prior; only its sign counts.
    confidence
        Share of films without change that differ less.
    """
    beyond = confidence > BAND
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
