"""The current film against its prior."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from inference.comparison.align import Alignment, align, at_working_size, pixel_ratio
from inference.comparison.change import at_any_threshold, changes, unknown
from inference.comparison.heatmaps import compare_heatmaps
from inference.comparison.null import Null
from inference.comparison.presented import presented
from inference.comparison.result import Comparison, FindingChange
from inference.comparison.structural import AlignedPair, difference, quality, similarity
from inference.film import Film, View
from inference.findings import FINDINGS, FloatArray, Prediction
from inference.projection import FRONTAL, same_projection
from inference.threads import one_thread

# local correlation below which the films are not laid onto each other well enough to subtract.
# Measured on real films (benchmarks/comparison.py). It does not tell one patient from another.
MINIMUM_QUALITY = 0.45


# of the film: on a chest film lungs take a third; a segmenter that says less was lost
LEAST_LUNGS = 0.1

INVERTED = "bright and dark are exchanged between the films; the prior is shown as the current one"


class FindsLungs(Protocol):
    """What tells where the lungs are, such as `inference.lung_fields.LungFields`."""

    def find(self, pixels: FloatArray, /) -> npt.NDArray[np.bool_]:
        """Return the lung fields of a film (h, w) in [0, 1], (h, w)."""


@one_thread()
def compare(
    current: Film,
    prior: Film,
    current_prediction: Prediction,
    prior_prediction: Prediction,
    *,
    null: Null | None = None,
    lungs: FindsLungs | None = None,
    limits: Sequence[str] = (),
) -> Comparison:
    """Compare two frontal chest films of one patient, each with what the network said of it.

    Never raises on films that do not fit: they are not comparable, and the reason says why.

    Parameters
    ----------
    null
        How far the network's words differ without change; without it every change is uncertain.
    lungs
        Finds the lung fields, where differences are shown; without it, everywhere.
    limits
        What else limits the comparison, known to the caller and not to the films.
    """
    alignment, pair = _laid(current, prior)
    undecided = _undecided(alignment, pair, unknown(current_prediction, prior_prediction))
    undecided = presented(undecided, prior)
    refusal = _not_comparable(current, prior, alignment, undecided.quality)
    if refusal:
        return replace(undecided, reason=refusal)
    where = lung_fields(pair, lungs)
    said = _limits(current, prior, current_prediction, prior_prediction)
    if alignment.inverted:
        said.append(INVERTED)
        null = None  # the network has read one of them as it was never taught to
    differences, same_places = compare_heatmaps(current_prediction, prior_prediction, alignment)
    return replace(
        undecided,
        comparable=True,
        reason="; ".join((*said, *limits)),
        ssim=similarity(pair),
        lungs=where,
        structural=difference(pair, where),
        heatmap_differences=differences,
        same_places=same_places,
        changes=at_any_threshold(
            lambda now, before: changes(
                now, before, null, same_view=same_projection(current.view, prior.view)
            ),
            current_prediction,
            prior_prediction,
        ),
    )


def _laid(current: Film, prior: Film) -> tuple[Alignment, AlignedPair]:
    """Lay the prior onto the current film, with the greys of that one."""
    shown, before = (
        at_working_size(film.pixels, film.presentation.aspect) for film in (current, prior)
    )
    alignment = align(shown, before, pixel_ratio(current, prior))
    before = 1 - before if alignment.inverted else before
    return alignment, AlignedPair(shown, alignment.move(before), alignment.overlap)


def _undecided(
    alignment: Alignment, pair: AlignedPair, changes: tuple[FindingChange, ...]
) -> Comparison:
    """Return the pair with its quality, and nothing concluded from it."""
    nothing = np.zeros(pair.overlap.shape, dtype=np.float32)
    return Comparison(
        comparable=False,
        reason="",
        quality=quality(pair),
        ssim=0.0,
        current=pair.current,
        prior=pair.prior,
        overlap=pair.overlap,
        lungs=np.ones(pair.overlap.shape, dtype=np.bool_),
        places=alignment.shares,
        inverted=alignment.inverted,
        structural=nothing,
        heatmap_differences=np.repeat(nothing[None], len(FINDINGS), axis=0),
        same_places=np.zeros(len(FINDINGS), dtype=np.bool_),
        changes=changes,
    )


def lung_fields(pair: AlignedPair, lungs: FindsLungs | None) -> npt.NDArray[np.bool_]:
    """Return the lung fields of either film, (h, w): what has become opaque is only on the prior's.

    All of it without something that finds them, or where it finds too little to be true.
    """
    if lungs is None:
        return np.ones(pair.overlap.shape, dtype=np.bool_)
    found = lungs.find(pair.current) | lungs.find(pair.prior)
    return found if found.mean() >= LEAST_LUNGS else np.ones_like(found)


def _not_comparable(current: Film, prior: Film, alignment: Alignment, agreement: float) -> str:
    """Say why nothing may be concluded from the pair; "" when something may."""
    for film in (current, prior):
        if film.view not in FRONTAL:
            return f"one film is {film.view}"
    if alignment.implausible:
        return f"{alignment.implausible}"
    if agreement < MINIMUM_QUALITY:
        return f"the aligned films hardly agree (correlation {agreement:.2f})"
    return ""


def _limits(current: Film, prior: Film, now: Prediction, before: Prediction) -> list[str]:
    """Say what limits a comparison."""
    limits = []
    if current.view != prior.view:
        limits.append(f"{_named(current)} against {_named(prior)}")
    elif not same_projection(current.view, prior.view):
        limits.append("neither film says whether it is PA or AP")
    if now.model != before.model:
        limits.append("the films were read by different networks")
    return limits


def _named(film: Film) -> str:
    return "film of unstated view" if film.view is View.UNKNOWN else f"{film.view} film"
