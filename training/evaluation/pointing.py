"""Whether a finding's map points at the finding: the pointing game beside three controls.

Per box, on films that did not teach the network, the map's peak (the centre of its greatest cell)
lies in the box or not. A map that beats chance may still know nothing of the film: findings have
usual places, and so have maps. So three controls are asked about the same boxes:

- *random box*: the same peak, and a box of the size anywhere on the film;
- *mean map*: the peak of the mean of the finding's maps over the other films with a box of it;
- *other film*: the peak of the finding's map of another film with a box of it, over all such films.

A map is *verified* where it beats each of the three: the share of boxes that it hits, less the
control's, lies above 0 in 95 % of `BOOTSTRAPS` draws of patients, on at least `FEWEST` boxes.

References
----------
Zhang et al., Top-down Neural Attention by Excitation Backprop, ECCV 2016 (pointing game).
Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inference.findings import LABELS, FloatArray
from inference.model.calibration import MapEvidence
from training.data.boxes import Box
from training.evaluation.localisation import inside, peak
from training.evaluation.statistics import Doubles, Indices, patient_draws

FEWEST = 10  # boxes of a finding; fewer verify nothing
LEVEL = 0.05  # one-sided
CONTROLS = ("random_box", "mean_map", "other_film")

Point = tuple[float, float]


@dataclass(frozen=True)
class Pointed:
    """One box: whether the map points into it, and the share of each control that does."""

    label: str
    patient: str
    hit: float
    random_box: float
    mean_map: float
    other_film: float


def pointed(
    maps: Mapping[str, FloatArray], boxes: Sequence[Box], patients: Mapping[str, str]
) -> list[Pointed]:
    """Ask each map, and the three controls, about each box.

    Parameters
    ----------
    maps
        (14, h, w) by the film's name, none of a film that taught; boxes on other films are left
        out.
    patients
        Whose film each is, by the film's name.
    """
    judged: list[Pointed] = []
    for number, label in enumerate(LABELS):
        own = [box for box in boxes if box.label == label and box.film in maps]
        films = sorted({box.film for box in own})
        grids = {film: maps[film][number] for film in films}
        judged += [_pointed(box, grids, patients) for box in own]
    return judged


def _pointed(box: Box, grids: Mapping[str, FloatArray], patients: Mapping[str, str]) -> Pointed:
    """Ask about one box; ``grids`` are the finding's maps (h, w) of the films with a box of it."""
    patient = patients[box.film]
    others = [grid for film, grid in grids.items() if patients[film] != patient]
    own = peak(grids[box.film])
    mean = peak(np.mean(others, axis=0)) if others else None
    return Pointed(
        box.label,
        patient,
        hit=hit_in(own, box),
        random_box=_anywhere(own, box),
        mean_map=hit_in(mean, box),
        other_film=float(np.mean([hit_in(peak(grid), box) for grid in others])) if others else 0,
    )


def hit_in(point: Point | None, box: Box) -> float:
    """Return 1 where a point lies in the box."""
    return 0.0 if point is None else float(inside(np.array(point), box))


def _anywhere(point: Point | None, box: Box) -> float:
    """Return how probably a box of this size holds a point, if it may lie anywhere on the film."""
    if point is None:
        return 0.0
    return _covered(point[0], box.w) * _covered(point[1], box.h)


def _covered(at: float, length: float) -> float:
    """Return how probably a stretch of this length, anywhere in [0, 1], covers a place."""
    room = 1 - length
    return (min(at, room) - max(0.0, at - length)) / room if room > 0 else 1.0


def evidence(judged: Sequence[Pointed]) -> dict[str, MapEvidence]:
    """Return what the boxes say of each finding's maps, by label; of one without a box nothing."""
    by_label = {label: [one for one in judged if one.label == label] for label in LABELS}
    return {label: _evidence(some) for label, some in by_label.items() if some}


def _evidence(some: Sequence[Pointed]) -> MapEvidence:
    hits = np.array([one.hit for one in some])
    controls = {name: np.array([getattr(one, name) for one in some]) for name in CONTROLS}
    patients = np.unique([one.patient for one in some], return_inverse=True)[1].astype(np.intp)
    beaten = [_beats(hits - control, patients) for control in controls.values()]
    shares = {name: round(float(control.mean()), 4) for name, control in controls.items()}
    return MapEvidence(
        boxes=len(some),
        pointing=round(float(hits.mean()), 4),
        verified=len(some) >= FEWEST and all(beaten),
        **shares,
    )


def _beats(differences: Doubles, patients: Indices) -> bool:
    """Return whether the mean difference lies above 0, as far as the draws of patients tell."""
    means = [(weights @ differences) / weights.sum(axis=1) for weights in patient_draws(patients)]
    return bool(np.quantile(np.concatenate(means), LEVEL) > 0)
