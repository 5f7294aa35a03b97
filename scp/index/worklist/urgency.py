"""How soon a reader should see a film: urgency of its findings, and the time that follows.

The order of the default weights, and a longest wait, are after Baltruschat et al., "Smart chest
X-ray worklist prioritization using artificial intelligence", European Radiology 31 (2021), 3837.
They do not rank the other findings; docs/decisions/039-most-urgent-first.md gives our weights
for those.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inference.findings import LABELS, Change, reaches

WEIGHTS: Mapping[str, float] = {
    "Pneumothorax": 1.0,
    "Effusion": 0.85,
    "Consolidation": 0.8,
    "Pneumonia": 0.8,
    "Infiltration": 0.75,
    "Edema": 0.7,
    "Atelectasis": 0.55,
    "Cardiomegaly": 0.45,
    "Mass": 0.4,
    "Nodule": 0.35,
    "Hernia": 0.2,
    "Pleural_Thickening": 0.15,
    "Fibrosis": 0.15,
    "Emphysema": 0.15,
}
# what the change since the prior makes of it: the known and the better can wait
_CHANGED = {Change.UNCHANGED: 0.5, Change.DECREASED: 0.4, Change.RESOLVED: 0.0}
# of a film that waits or failed nothing is known: neither first nor last
UNKNOWN = 0.5
# a finding at its threshold counts half of what a certain one does
_AT_THRESHOLD = 0.5


@dataclass(frozen=True)
class Urgency:
    """From 0, can wait, to 1; ``label`` is the finding that makes it so, or ""."""

    value: float
    label: str = ""


def urgency(
    probabilities: Sequence[float],
    thresholds: Sequence[float],
    changes: Mapping[str, Change],
    weights: Mapping[str, float],
    not_assessed: Sequence[str] = (),
) -> Urgency:
    """Return how urgent a film is: as its most urgent positive finding.

    Parameters
    ----------
    probabilities, thresholds
        In the order of `inference.findings.LABELS`.
    changes
        By label, since the prior; empty without one.
    weights
        By label, in place of `WEIGHTS`.
    not_assessed
        Labels that are not assessed; they make no film urgent.
    """
    factors = {label: _CHANGED.get(change, 1.0) for label, change in changes.items()}
    found = [
        Urgency(_weight(label, weights) * _strength(p, t) * factors.get(label, 1.0), label)
        for label, p, t in zip(LABELS, probabilities, thresholds, strict=True)
        if reaches(p, t) and label not in not_assessed
    ]
    return max(found, key=lambda one: one.value, default=Urgency(0))


def _weight(label: str, weights: Mapping[str, float]) -> float:
    return weights.get(label, WEIGHTS[label])


def _strength(probability: float, threshold: float) -> float:
    """Return how sure a positive finding is: from one half, at its threshold, to 1."""
    beyond = (probability - threshold) / (1 - threshold) if threshold < 1 else 1.0
    return _AT_THRESHOLD + (1 - _AT_THRESHOLD) * min(1.0, beyond)
