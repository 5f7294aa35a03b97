"""The current film against its prior."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from inference.comparison.alignment import (
    Registered,
    at_working_size,
    hidden_at_working_size,
    pixel_ratio,
    register,
)
from inference.comparison.change_null import ChangeNullDistribution, Condition
from inference.comparison.conditions import Acquisition, Mirroring, condition_of, mirroring
from inference.comparison.difference import AlignedPair, difference, similarity
from inference.comparison.finding_changes import at_any_threshold, changes, unknown
from inference.comparison.heatmap_differences import compare_heatmaps
from inference.comparison.one_thread import one_thread
from inference.comparison.posture import posture
from inference.comparison.presented import presented
from inference.comparison.result import Comparison
from inference.findings import FINDINGS, FloatArray, Prediction
from inference.image.film import Film, View
from inference.image.view import FRONTAL, same_projection

# local correlation below which the films are not laid onto each other well enough to subtract.
# Measured on real films (tests/benchmarks/comparison.py). It does not tell one patient from
# another.
MINIMUM_QUALITY = 0.45

# by so much better do the films fit the other way round when one was called mirrored and is not:
# of 45 real pairs 8 in 10 fit better by that as they are than with one film mirrored, and few worse
CLEARLY = 0.01

# of the film: on a chest film lungs take a third; a segmenter that says less was lost
LEAST_LUNGS = 0.1

INVERTED = "one of the films is inverted; the prior is shown with the polarity of the current film"
NAMED_OF_NO_MIRRORED = (
    "no change of a finding is named: the model was not trained on mirrored films"
)
NO_CONDITION = (
    "no change of a finding is named: it was measured for films that are stated to be PA, or AP, "
    "and not for these"
)
NO_NULL = (
    "no change of a finding is named: how far this model's probabilities differ without change was "
    "never measured"
)
STATED = Acquisition()


class FindsLungs(Protocol):
    """What tells where the lungs are, such as `inference.model.lung_fields.LungFields`."""

    def find(self, pixels: FloatArray, /) -> npt.NDArray[np.bool_]:
        """Return the lung fields of a film (h, w) in [0, 1], (h, w)."""


@dataclass(frozen=True, eq=False)
class _Half:
    """One of the two films, with what is known of it."""

    film: Film
    prediction: Prediction
    taken: Acquisition

    def mirrored(self) -> "_Half":
        """Return the film and its maps with left and right exchanged."""
        maps = _flipped(self.prediction.heatmaps)
        return replace(
            self, film=self.film.mirrored(), prediction=replace(self.prediction, heatmaps=maps)
        )


@one_thread()
def compare(
    current: Film,
    prior: Film,
    current_prediction: Prediction,
    prior_prediction: Prediction,
    *,
    null: ChangeNullDistribution | None = None,
    lungs: FindsLungs | None = None,
    limits: Sequence[str] = (),
    taken: tuple[Acquisition, Acquisition] = (STATED, STATED),
) -> Comparison:
    """Compare two frontal chest films of one patient, each with the network's output.

    Never raises on films that do not fit: they are not comparable, and the reason says why.

    Parameters
    ----------
    null
        How far the network's words differ without change; without it every change is uncertain.
    lungs
        Finds the lung fields, where differences are shown; without it, everywhere.
    limits
        What else limits the comparison, known to the caller and not to the films.
    taken
        How the current and the prior film were taken and stored.

    Returns
    -------
    Comparison
        On the grid of the current film as it is stored, mirrored or not.
    """
    flip = mirroring(*taken)
    halves = (
        _Half(current, current_prediction, taken[0]),
        _Half(prior, prior_prediction, taken[1]),
    )
    now, before = (
        half.mirrored() if wrong else half
        for half, wrong in zip(halves, (flip.current, flip.prior), strict=True)
    )
    found = _registered(now.film, before.film)
    refusal = _not_comparable(now, before, found, flip)
    if refusal:
        refused = replace(_undecided(now, before, found), reason=refusal)
        return presented(_as_stored(refused, flip), prior)
    condition = condition_of((current, prior), taken)
    silent = _names_nothing(now, before, found, null, condition, flip)
    seen = _compared(now, before, found, lungs)
    words = at_any_threshold(
        lambda one, other: changes(one, other, None if silent else null, condition),
        now.prediction,
        before.prediction,
    )
    marks = posture(seen.structural, seen.lungs)
    reasons = (*flip.sentences, *_limits(now, before), *limits, marks, silent)
    made = replace(seen, changes=words, reason="; ".join(filter(None, reasons)))
    return presented(_as_stored(made, flip), prior)


def _compared(now: _Half, before: _Half, found: Registered, lungs: FindsLungs | None) -> Comparison:
    """Return where two films that fit differ."""
    undecided = _undecided(now, before, found)
    pair = AlignedPair(undecided.current, undecided.prior, undecided.overlap)
    where = lung_fields(pair, lungs)
    differences, same_places = compare_heatmaps(now.prediction, before.prediction, found.alignment)
    return replace(
        undecided,
        comparable=True,
        ssim=similarity(found.found),
        lungs=where,
        structural=difference(pair, where),
        heatmap_differences=differences,
        same_places=same_places,
    )


def _flipped(maps: FloatArray) -> FloatArray:
    return np.ascontiguousarray(maps[..., ::-1])


def _at_working_size(film: Film) -> FloatArray:
    return at_working_size(film.pixels, film.proportions)


def _registered(current: Film, prior: Film) -> Registered:
    shown, before = (_at_working_size(film) for film in (current, prior))
    hidden = (hidden_at_working_size(current), hidden_at_working_size(prior))
    return register(shown, before, pixel_ratio(current, prior), hidden=hidden)


def _undecided(now: _Half, before: _Half, found: Registered) -> Comparison:
    """Return the pair with its quality, and nothing concluded from it."""
    alignment = found.alignment
    shown, grey = (_at_working_size(half.film) for half in (now, before))
    nothing = np.zeros(alignment.shape, dtype=np.float32)
    return Comparison(
        comparable=False,
        reason="",
        quality=found.quality,
        ssim=0.0,
        current=shown,
        prior=alignment.move(1 - grey if alignment.inverted else grey),
        overlap=alignment.overlap,
        lungs=np.ones(alignment.shape, dtype=np.bool_),
        places=alignment.relative_coordinates,
        inverted=alignment.inverted,
        structural=nothing,
        heatmap_differences=np.repeat(nothing[None], len(FINDINGS), axis=0),
        same_places=np.zeros(len(FINDINGS), dtype=np.bool_),
        changes=unknown(now.prediction, before.prediction),
    )


def _as_stored(made: Comparison, flip: Mirroring) -> Comparison:
    """Bring a comparison of films that were mirrored back onto the films as they are stored."""
    if flip.prior:
        across, down = made.places
        made = replace(made, places=np.stack([1 - across, down]))
    if not flip.current:
        return made
    return replace(
        made,
        current=_flipped(made.current),
        prior=_flipped(made.prior),
        overlap=np.ascontiguousarray(made.overlap[:, ::-1]),
        lungs=np.ascontiguousarray(made.lungs[:, ::-1]),
        places=_flipped(made.places),
        structural=_flipped(made.structural),
        heatmap_differences=_flipped(made.heatmap_differences),
    )


def lung_fields(pair: AlignedPair, lungs: FindsLungs | None) -> npt.NDArray[np.bool_]:
    """Return the lung fields of either film, (h, w): what has become opaque is only on the prior's.

    All of it without something that finds them, or where it finds too little to be true.
    """
    if lungs is None:
        return np.ones(pair.overlap.shape, dtype=np.bool_)
    found = lungs.find(pair.current) | lungs.find(pair.prior)
    return found if found.mean() >= LEAST_LUNGS else np.ones_like(found)


def _not_comparable(now: _Half, before: _Half, found: Registered, flip: Mirroring) -> str:
    """Say why nothing may be concluded from the pair; "" when something may.

    Of what is judged by the films alone, the same in both orders of the pair.
    """
    for name, half in (("current", now), ("prior", before)):
        if half.film.view not in FRONTAL:
            return f"the {name} film is {half.film.view}"
    if flip.refusal:
        return flip.refusal
    judged = found.alignment.found or found.alignment
    if judged.implausible:
        return judged.implausible
    if found.quality < MINIMUM_QUALITY:
        return f"the aligned films hardly match (correlation {found.quality:.2f})"
    if flip.current != flip.prior and not flip.sure:
        other = _registered(now.film.mirrored(), before.film)
        if other.quality > found.quality + CLEARLY:
            name = "current" if flip.current else "prior"
            return f"the {name} film is stated to be mirrored, but matches less mirrored back"
    return ""


def _names_nothing(
    now: _Half,
    before: _Half,
    found: Registered,
    null: ChangeNullDistribution | None,
    condition: Condition | None,
    flip: Mirroring,
) -> str:
    """Say why no change of a finding is named; "" when one may be."""
    if found.alignment.inverted:
        return INVERTED  # the network has read one of them as it was never taught to
    if now.prediction.model != before.prediction.model:
        return "the films were read by different networks"
    if flip.any:
        return NAMED_OF_NO_MIRRORED
    if null is None:
        return NO_NULL
    return NO_CONDITION if condition is None else null.unnamed(condition)


def _limits(now: _Half, before: _Half) -> list[str]:
    """Say what limits a comparison, and of which film."""
    limits = []
    current, prior = now.film, before.film
    if current.view != prior.view:
        limits.append(f"{_named(current)} against {_named(prior)}")
    elif not same_projection(current.view, prior.view):
        limits.append("neither film says whether it is PA or AP")
    # that a film is AP is stated above, where the other is not
    notes = (note for note in before.taken.notes if not note.startswith("AP film"))
    limits += [f"the prior film: {note}" for note in notes]
    return limits


def _named(film: Film) -> str:
    return "film of unstated view" if film.view is View.UNKNOWN else f"{film.view} film"
