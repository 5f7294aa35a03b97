"""The current film against its prior."""

import numpy as np

from inference.comparison.align import Alignment, align, resized
from inference.comparison.change import changes, unknown
from inference.comparison.heatmaps import heatmap_differences
from inference.comparison.result import Comparison
from inference.comparison.structural import difference, quality, similarity
from inference.film import Film, View
from inference.findings import FINDINGS, FloatArray, Prediction

# correlation of the aligned pair below which they are not taken for two films of one chest
MINIMUM_QUALITY = 0.5

FRONTAL = frozenset({View.PA, View.AP, View.FRONTAL, View.UNKNOWN})


def compare(
    current: Film, prior: Film, current_prediction: Prediction, prior_prediction: Prediction
) -> Comparison:
    """Compare two frontal chest films of one patient, each with what the network said of it.

    Never raises on films that do not fit: they are not comparable, and the reason says why.
    """
    alignment = align(current, prior)
    shown = resized(current.pixels, alignment.shape)
    # shrunk before it is moved: sampling the full film at a few points would alias
    moved = alignment.move(_reduced(prior.pixels, alignment))
    overlap = alignment.overlap
    agreement = quality(shown, moved, overlap)
    refusal = _not_comparable(current, prior, alignment, agreement)
    if refusal:
        nothing = np.zeros(alignment.shape, dtype=np.float32)
        return Comparison(
            comparable=False,
            reason=refusal,
            quality=agreement,
            ssim=0.0,
            current=shown,
            prior=moved,
            overlap=overlap,
            structural=nothing,
            heatmap_differences=np.zeros((len(FINDINGS), *alignment.shape), dtype=np.float32),
            changes=unknown(current_prediction, prior_prediction),
        )
    same_view = current.view == prior.view
    return Comparison(
        comparable=True,
        reason=_limits(current, prior, current_prediction, prior_prediction),
        quality=agreement,
        ssim=similarity(shown, moved, overlap),
        current=shown,
        prior=moved,
        overlap=overlap,
        structural=difference(shown, moved, overlap),
        heatmap_differences=heatmap_differences(current_prediction, prior_prediction, alignment),
        changes=changes(current_prediction, prior_prediction, same_view=same_view),
    )


def _reduced(pixels: FloatArray, alignment: Alignment) -> FloatArray:
    long_edge = max(alignment.shape)
    ratio = long_edge / max(pixels.shape)
    if ratio >= 1:
        return pixels
    height, width = (max(1, round(side * ratio)) for side in pixels.shape)
    return resized(pixels, (height, width))


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


def _limits(current: Film, prior: Film, now: Prediction, before: Prediction) -> str:
    """Say what limits a comparison; "" when nothing does."""
    limits = []
    if current.view != prior.view:
        limits.append(f"{_named(current)} against {_named(prior)}")
    if now.model != before.model:
        limits.append("the films were read by different networks")
    return f"limited comparison: {'; '.join(limits)}" if limits else ""


def _named(film: Film) -> str:
    return "film of unstated view" if film.view is View.UNKNOWN else f"{film.view} film"
