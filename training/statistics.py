"""Areas under curves, and how far they can be trusted: bootstraps of patients."""

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

BOOTSTRAPS = 1000


def auc(scores: Doubles, positive: npt.NDArray[np.bool_], weights: Doubles) -> float:
    """Return the area under the ROC curve; nan without weight on both classes.

    A tie counts one half; ``weights`` say how often each film counts (bootstrap).
    """
    _, rank = np.unique(scores, return_inverse=True)
    positives = np.bincount(rank, weights * positive)
    negatives = np.bincount(rank, weights * ~positive)
    pairs = positives.sum() * negatives.sum()
    if pairs == 0:
        return float("nan")
    below = np.cumsum(negatives) - negatives / 2
    return float((positives * below).sum() / pairs)


def aucs(scores: Doubles, labels: Doubles, weights: Doubles | None = None) -> Doubles:
    """Return one AUC per finding, (14,), nan where a class is missing."""
    weights = np.ones(len(scores)) if weights is None else weights
    columns = zip(scores.T, labels.T > 0.5, strict=True)
    return np.array([auc(column, positive, weights) for column, positive in columns])


def bootstrap_aucs(
    scores: Doubles, labels: Doubles, patients: npt.NDArray[np.intp], seed: int = 0
) -> Doubles:
    """Return the AUCs of resampled patients, (BOOTSTRAPS, 14).

    Patients are drawn, not films: films of one patient are alike, and drawing them one by one
    would make the interval too narrow.
    """
    generator = np.random.default_rng(seed)
    count = int(patients.max()) + 1
    draws = generator.multinomial(count, np.full(count, 1 / count), size=BOOTSTRAPS)
    return np.stack([aucs(scores, labels, draw[patients].astype(float)) for draw in draws])
