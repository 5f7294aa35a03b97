"""From logits to probabilities, and the operating points; fitted on validation films only."""

import numpy as np
import torch

from inference.findings import LABELS
from inference.model.calibration import OutputCalibration, ReliabilityBin
from training.data.film_list import BadFilmList
from training.evaluation.statistics import Doubles

# Share of the films without a finding that are not flagged for it. A fixed specificity needs no
# positive films to be estimated, which best-F1 and Youden do: Hernia has a dozen in all.
SPECIFICITY = 0.90

# Strength of the pull of each finding's slope (its logarithm) towards the common one: a finding
# needs some tens of positive films to differ from the others.
PULL = 10.0

# of the reliability curve: some 45 of 229 films each, fewer say nothing
BINS = 5


def calibrate_findings(logits: Doubles, labels: Doubles) -> dict[str, OutputCalibration]:
    """Fit one reading per finding, in the order of `FINDINGS`.

    Platt's logistic with his smoothed targets, which keep a finding without positives finite.
    Each slope is positive and drawn towards a common one, so that few positives cannot bend it.
    The probabilities hold where findings are as frequent as in these films.

    Parameters
    ----------
    logits, labels
        (films, 14), raw outputs and 0 or 1.

    Raises
    ------
    BadFilmList
        Every film has a finding: nothing says where to stop flagging it.

    References
    ----------
    Platt, Probabilistic Outputs for Support Vector Machines, 1999.
    """
    for label, known in zip(LABELS, labels.T, strict=True):
        if known.all():
            raise BadFilmList(
                f"every film of split 'val' has {label}: its operating point needs films without"
            )
    slopes, intercepts = fit(logits, labels)
    probabilities = 1 / (1 + np.exp(-(slopes * logits + intercepts)))
    return {
        label: OutputCalibration(
            slope=slopes[k],
            intercept=intercepts[k],
            threshold=operating_point(probabilities[labels[:, k] < 0.5, k]),
            # of a finding that none of the films has: what Platt's targets assume, not 0
            prevalence=max(float(labels[:, k].mean()), 1 / (len(labels) + 2)),
            reliability=reliability(probabilities[:, k], labels[:, k]),
        )
        for k, label in enumerate(LABELS)
    }


def reliability(probabilities: Doubles, labels: Doubles) -> tuple[ReliabilityBin, ...]:
    """Return mean probability and frequency in `BINS` bins of equally many films.

    ``probabilities`` in [0, 1] and ``labels``, 0 or 1, are (films,).
    """
    parts = np.array_split(np.argsort(probabilities, kind="stable"), BINS)
    return tuple(
        ReliabilityBin(
            probability=probabilities[part].mean(), frequency=labels[part].mean(), films=len(part)
        )
        for part in parts
        if len(part)
    )


def fit(logits: Doubles, labels: Doubles) -> tuple[Doubles, Doubles]:
    """Return slopes and intercepts, (14,) each, of the penalised logistic regressions."""
    scores, truth = torch.from_numpy(logits), torch.from_numpy(labels)
    positives = truth.sum(dim=0)
    high = (positives + 1) / (positives + 2)
    low = 1 / (len(truth) - positives + 2)
    targets = truth * high + (1 - truth) * low  # (films, 14)
    shared = torch.zeros(1, dtype=torch.float64, requires_grad=True)  # logarithm of a slope
    own = torch.zeros(scores.shape[1], dtype=torch.float64, requires_grad=True)
    centre = scores.mean(dim=0)
    shift = torch.logit(targets.mean(dim=0)).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [shared, own, shift], max_iter=500, line_search_fn="strong_wolfe", tolerance_change=1e-10
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        margin = (shared + own).exp() * (scores - centre) + shift
        misfit = torch.nn.functional.binary_cross_entropy_with_logits(
            margin, targets, reduction="sum"
        )
        total = misfit + PULL / 2 * own.square().sum() + shared.square().sum() / 2
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    slopes = (shared + own).exp().detach()
    return slopes.numpy(), (shift.detach() - slopes * centre).numpy()


def operating_point(negatives: Doubles) -> float:
    """Return the threshold, in [0, 1], for which `SPECIFICITY` of the negatives stay below it.

    ``negatives`` are the probabilities of films without the finding, (films,).
    """
    return float(np.clip(np.quantile(negatives, SPECIFICITY), 1e-4, 1 - 1e-4))
