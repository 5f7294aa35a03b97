"""How a site reads a bundle's outputs: its own prevalences and thresholds.

`BadOperatingPoint` is a value for no finding, or outside (0, 1).

References
----------
Saerens, Latinne and Decaestecker, Adjusting the Outputs of a Classifier to New a Priori
Probabilities, Neural Computation 14, 2002.
"""

import difflib
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import replace

from inference.bundle import Bundle
from inference.findings import LABELS, ModelIdentity
from inference.readings import Reading


class BadOperatingPoint(ValueError):
    """A prevalence or threshold is for no finding, or not between 0 and 1."""


def site_readings(
    bundle: Bundle, thresholds: Mapping[str, float], prevalences: Mapping[str, float]
) -> tuple[Reading, ...]:
    """Return how to read each output at this site, in the order of `FINDINGS`.

    A prevalence moves probability and threshold alike: it changes what is said, not which films
    are flagged. A threshold is meant on the scale that the prevalence leads to.

    Raises
    ------
    BadOperatingPoint
        The text names the finding, and the nearest label where it is unknown.
    """
    _check("threshold", thresholds)
    _check("prevalence", prevalences)
    readings = []
    for label, reading in zip(LABELS, bundle.readings, strict=True):
        here = at_prevalence(reading, prevalences[label]) if label in prevalences else reading
        threshold = thresholds.get(label, here.threshold)
        readings.append(here.model_copy(update={"threshold": threshold}))
    return tuple(readings)


def at_prevalence(reading: Reading, prevalence: float) -> Reading:
    """Return the same reading where the finding is as frequent as ``prevalence``, in (0, 1).

    What films of the finding look like stays; only the odds before looking change.
    """
    assumed = min(max(reading.prevalence, 1e-4), 1 - 1e-4)
    shift = _logit(prevalence) - _logit(assumed)
    threshold = 1 / (1 + math.exp(-(_logit(reading.threshold) + shift)))
    moved = {"intercept": reading.intercept + shift, "threshold": threshold}
    return reading.model_copy(update=moved | {"prevalence": prevalence, "reliability": ()})


def site_identity(bundle: Bundle, prevalences: Mapping[str, float]) -> ModelIdentity:
    """Return who speaks: probabilities for other prevalences lie on another scale.

    The mark in the version keeps a film read before from being compared with one read after the
    prevalences were changed.
    """
    if not prevalences:
        return bundle.identity
    said = json.dumps(dict(sorted(prevalences.items())))
    mark = hashlib.sha256(said.encode()).hexdigest()[:8]
    return replace(bundle.identity, version=f"{bundle.identity.version}+site.{mark}")


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def _check(kind: str, values: Mapping[str, float]) -> None:
    for label, value in values.items():
        if label not in LABELS:
            near = difflib.get_close_matches(label, LABELS, n=1, cutoff=0.0)
            raise BadOperatingPoint(f"{kind} for unknown finding {label!r}: {near[0]!r}?")
        if not 0 < value < 1:
            raise BadOperatingPoint(f"{kind} {value} of {label} is not between 0 and 1")
