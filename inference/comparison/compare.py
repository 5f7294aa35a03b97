"""The current film against its prior."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from inference.comparison.align import Alignment, align, at_working_size, pixel_ratio
from inference.comparison.change import changes, unknown
from inference.comparison.heatmaps import heatmap_differences
from inference.comparison.result import Comparison
from inference.comparison.structural import aligned_pair, difference, quality, similarity
from inference.film import Film, View
from inference.findings import FINDINGS, Prediction
from inference.projection import FRONTAL, same_projection

# local correlation below which the films are not laid onto each other well enough to subtract.
# Measured on real films (benchmarks/comparison.py). It does not tell one patient from another.
MINIMUM_QUALITY = 0.35


def compare(
    current: Film,
    prior: Film,
    current_prediction: Prediction,
    prior_prediction: Prediction,
    *,
    limits: Sequence[str] = (),
) -> Comparison:
    """Compare two frontal chest films of one patient, each with what the network said of it.

    Never raises on films that do not fit: they are not comparable, and the reason says why.
    ``limits`` is what else limits the comparison, known to the caller and not to the films.
    """
    shown, before = (at_working_size(f.pixels) for f in (current, prior))
    alignment = align(shown, before, pixel_ratio(current, prior))
    pair = aligned_pair(shown, alignment.move(before), alignment.overlap)
    agreement = quality(pair)
    refusal = _not_comparable(current, prior, alignment, agreement)
    nothing = np.zeros(alignment.shape, dtype=np.float32)
    undecided = Comparison(
        comparable=False,
        reason=refusal,
        quality=agreement,
        ssim=0.0,
        current=pair.current,
        prior=pair.prior,
        overlap=pair.overlap,
        structural=nothing,
        heatmap_differences=np.repeat(nothing[None], len(FINDINGS), axis=0),
        changes=unknown(current_prediction, prior_prediction),
    )
    if refusal:
        return undecided
    return replace(
        undecided,
        comparable=True,
        reason=_limits(current, prior, current_prediction, prior_prediction, limits),
        ssim=similarity(pair),
        structural=difference(pair),
        heatmap_differences=heatmap_differences(current_prediction, prior_prediction, alignment),
        changes=changes(
            current_prediction,
            prior_prediction,
            same_view=same_projection(current.view, prior.view),
        ),
    )


def _not_comparable(current: Film, prior: Film, alignment: Alignment, agreement: float) -> str:
    """Say why nothing may be concluded from the pair; "" when something may."""
    for film in (current, prior):
        if film.view not in FRONTAL:
            return f"not comparable: one film is {film.view}"
    if alignment.implausible:
        return f"not comparable: {alignment.implausible}"
    if agreement < MINIMUM_QUALITY:
        return f"not comparable: the aligned films hardly agree (correlation {agreement:.2f})"
    return ""


def _limits(
    current: Film, prior: Film, now: Prediction, before: Prediction, more: Sequence[str]
) -> str:
    """Say what limits a comparison; "" when nothing does."""
    limits = []
    if current.view != prior.view:
        limits.append(f"{_named(current)} against {_named(prior)}")
    elif not same_projection(current.view, prior.view):
        limits.append("neither film says whether it is PA or AP")
    if now.model != before.model:
        limits.append("the films were read by different networks")
    limits += more
    return f"limited comparison: {'; '.join(limits)}" if limits else ""


def _named(film: Film) -> str:
    return "film of unstated view" if film.view is View.UNKNOWN else f"{film.view} film"
