"""Figures of one finding, and how far they can be trusted: bootstraps of patients.

A film's weight says how often it counts: once, or as often as its patient was drawn. Every figure
takes the weights of many draws at once, (draws, films), and sorts the films only once.

References
----------
Davison and Hinkley, Bootstrap Methods and their Application, 1997, chapters 2 and 3.8 (clusters).
Guo et al., On Calibration of Modern Neural Networks, ICML 2017 (expected calibration error).
Nixon et al., Measuring Calibration in Deep Learning, CVPR workshops 2019 (bins of equal mass).
"""

from collections.abc import Iterator
from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]

BOOTSTRAPS = 1000
BINS = 10

# weights handled at once: 32 MB an array, whatever the number of films
BLOCK = 2**22


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval, from a bootstrap of patients; nan where undefined."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if np.isnan(self.value):
            return "-"
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True, eq=False)
class Ranking:
    """Films of one finding in groups of equal score, the highest first.

    Attributes
    ----------
    scores
        (groups,)
    positives, negatives
        (draws, groups), weight of the films with and without the finding.
    """

    scores: Doubles
    positives: Doubles
    negatives: Doubles


def rank(scores: Doubles, positive: Flags, weights: Doubles) -> Ranking:
    """Sort films, (films,), by score, and sum the weights, (draws, films), of equal ones."""
    order = np.argsort(-scores, kind="stable")
    descending = scores[order]
    starts = np.flatnonzero(np.r_[True, descending[1:] != descending[:-1]])
    sorted_weights = weights[:, order]
    everything = np.add.reduceat(sorted_weights, starts, axis=1)  # (draws, groups)
    positives = np.add.reduceat(sorted_weights * positive[order], starts, axis=1)
    return Ranking(descending[starts], positives, everything - positives)


def auc(ranking: Ranking) -> Doubles:
    """Return the area under the ROC curve, (draws,); nan without weight on both classes.

    It is the share of pairs in the right order; a tie counts one half.
    """
    return share(*ordered_pairs(ranking))


def ordered_pairs(ranking: Ranking) -> tuple[Doubles, Doubles]:
    """Return the weight of the pairs in the right order, and of all pairs, (draws,) each.

    A pair is a film with the finding and one without it.
    """
    above = np.cumsum(ranking.positives, axis=1) - ranking.positives / 2
    pairs = ranking.positives.sum(axis=1) * ranking.negatives.sum(axis=1)
    return (above * ranking.negatives).sum(axis=1), pairs


def average_precision(ranking: Ranking) -> Doubles:
    """Return the mean precision over the positive films, (draws,); nan without any.

    Each positive film counts the precision at its own score: a step curve, nothing interpolated.
    """
    hits = np.cumsum(ranking.positives, axis=1)
    flagged = hits + np.cumsum(ranking.negatives, axis=1)
    precision = np.divide(hits, flagged, out=np.zeros_like(hits), where=flagged > 0)
    return share((precision * ranking.positives).sum(axis=1), ranking.positives.sum(axis=1))


def bins_of(ranking: Ranking, bins: int = BINS) -> Indices:
    """Return each group's bin, (draws, groups): bins of equal weight; equal scores share one."""
    weights = ranking.positives + ranking.negatives
    middle = np.cumsum(weights, axis=1) - weights / 2
    place = (bins * middle / weights.sum(axis=1, keepdims=True)).astype(np.intp)
    # the last films may have no weight: their middle is 1
    within: Indices = np.minimum(place, bins - 1)
    return within


def calibration_error(ranking: Ranking, bins: int = BINS) -> Doubles:
    """Return the expected calibration error, (draws,), in [0, 1].

    The distance between the mean probability and the share of positive films, averaged over
    bins of equal weight: most probabilities are small, and bins of equal width would hold all of
    them in one (Nixon et al.). Few films scatter within their bins, and scatter counts as error:
    on n perfectly calibrated films it is of the order of sqrt(bins / n) times the spread of the
    labels, not 0.
    """
    draws = len(ranking.positives)
    weights = ranking.positives + ranking.negatives
    excess = ranking.positives - weights * ranking.scores
    place = bins_of(ranking, bins) + bins * np.arange(draws)[:, None]
    summed = np.bincount(place.ravel(), excess.ravel(), minlength=draws * bins)
    return share(np.abs(summed).reshape(draws, bins).sum(axis=1), weights.sum(axis=1))


def share(part: Doubles, whole: Doubles) -> Doubles:
    """Return part / whole, of any shape that broadcasts; nan where whole is 0."""
    undefined = np.full(np.broadcast_shapes(np.shape(part), np.shape(whole)), np.nan)
    known: Doubles = np.divide(part, whole, out=undefined, where=whole > 0)
    return known


def aucs(scores: Doubles, labels: Doubles, weights: Doubles | None = None) -> Doubles:
    """Return one AUC per finding, nan where a class is missing.

    Parameters
    ----------
    scores, labels
        (films, 14)
    weights
        (draws, films); every film once when left out.

    Returns
    -------
    (draws, 14), or (14,) without weights.
    """
    columns = list(zip(scores.T, labels.T > 0.5, strict=True))
    if weights is None:
        alone: Doubles = aucs(scores, labels, np.ones((1, len(scores))))[0]
        return alone
    return np.stack([auc(rank(*column, weights)) for column in columns], axis=1)


def patient_draws(
    patients: Indices, seed: int = 0, bootstraps: int = BOOTSTRAPS
) -> Iterator[Doubles]:
    """Yield the weights of films, (draws, films), a block at a time, in all ``bootstraps`` draws.

    Patients are drawn, not films: films of one patient are alike, and drawing them one by one
    would make the interval too narrow. The same seed and patients give the same draws, so that
    two networks can be compared on each.

    Parameters
    ----------
    patients
        (films,), whose film each is, counted from 0.
    """
    generator = np.random.default_rng(seed)
    count = int(patients.max()) + 1
    block = max(1, BLOCK // len(patients))
    for start in range(0, bootstraps, block):
        size = min(block, bootstraps - start)
        drawn = generator.multinomial(count, np.full(count, 1 / count), size=size)
        yield drawn[:, patients].astype(float)


def mean_known(values: Doubles) -> Doubles:
    """Return the mean over the last axis of what is not nan, of any shape; nan where nothing is."""
    known = ~np.isnan(values)
    return share(np.where(known, values, 0).sum(axis=-1), known.sum(axis=-1).astype(float))


def estimate(value: float, resampled: Doubles) -> Estimate:
    """Return a figure with the central 95 % of its draws, (draws,); undefined ones are left out."""
    known = resampled[~np.isnan(resampled)]
    low, high = np.percentile(known, [2.5, 97.5]) if known.size else (np.nan, np.nan)
    return Estimate(float(value), float(low), float(high))


def estimate_biased(value: float, resampled: Doubles) -> Estimate:
    """Return a figure in [0, 1] with its interval, moved by the mean excess of the draws.

    ``resampled`` (draws,) is the figure on each draw. A draw repeats films. That raises the
    calibration error, for which more scatter is more error, and the average precision, for which
    a film's twin ranks as high as itself: the plain percentiles would lie above the figure that
    they belong to.
    """
    known = resampled[~np.isnan(resampled)]
    excess = float(known.mean()) - value if known.size else 0.0
    low, high = np.clip(np.array(astuple(estimate(value, resampled))[1:]) - excess, 0, 1)
    return Estimate(float(value), float(low), float(high))
