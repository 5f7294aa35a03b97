"""How far a difference reaches: an opacity that is wider than the window which finds its edge.

The structural difference is what the surroundings do not explain. The middle of a large opacity is
explained by its own surroundings, so only its rim would be marked, and where the rim is soft not
even that. A mark therefore grows over the place that it lies in, as far as the grey there has
changed the same way against the whole film; and a wide place that has changed evenly, and unlike
the rest of the lungs, is marked without a rim.
"""

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_fill_holes, label

from inference.comparison.exposure import Residual, unexplained
from inference.comparison.filters import tensor, windowed_mean
from inference.comparison.result import MARK
from inference.findings import FloatArray

BoolArray = npt.NDArray[np.bool_]

# all chosen on pairs of train and val patients without change of labels, bare and with opacities
# painted in (tests/benchmarks/opacity_sizes.py): no more of the bare ones is marked than was before
LEAST = 0.03  # grey levels in [0, 1]: what has changed less is exposure
PART = 0.4  # of what has changed under the marks: a place ends where less has changed
SEEDED = 0.05  # of a place must be marked to begin with, or it is not of the mark
SPECK = 1e-4  # of the film: smaller marks are grain
FAINT = 0.9 * MARK  # what becomes of them

WIDE_SMOOTH = 1 / 28  # Gaussian, sigma as a share of the long edge
WIDE_SEED = 0.07  # grey levels: a wide place has changed by so much ...
WIDE_AREA = 0.012  # ... over so much of the film,
WIDE_REACH = 0.6  # reaches to where so much of that is left,
UNLIKE = 0.09  # differs by so many grey levels from the rest of the lungs (median),
EVEN = 1.6  # and its median is so many standard deviations within it: edges and ribs are uneven
POOR_FIT = 0.045  # grey levels left over the whole film: then exposure is not understood


def whole(
    marked: FloatArray,
    current: FloatArray,
    prior: FloatArray,
    overlap: BoolArray,
    inside: BoolArray,
) -> FloatArray:
    """Return a difference (h, w) in [-1, 1] whose marks cover the whole place that has changed.

    A place has one sign: marks of the other sign in its holes are painted over.

    Parameters
    ----------
    marked
        (h, w), the structural difference.
    inside
        (h, w), where differences count.
    """
    changed = unexplained(current, prior, overlap)
    found = [
        (sign, _grown(sign * marked, sign * changed.grey, inside) | wide)
        for sign, wide in zip((1, -1), _wide(changed, inside), strict=True)
    ]
    made = marked.copy()
    for sign, place in sorted(found, key=lambda one: int(one[1].sum())):  # the larger over all
        made[place] = sign * np.maximum(sign * made[place], np.float32(MARK))
    return _without_specks(made)


def _grown(marked: FloatArray, changed: FloatArray, inside: BoolArray) -> BoolArray:
    """Return (h, w) the places in which marks lie; both maps are signed so that above 0 counts."""
    marks = marked >= MARK
    if not marks.any():
        return marks
    enough = max(LEAST, PART * float(np.quantile(changed[marks], 0.75)))
    places, count = label(inside & (changed >= enough))
    size = np.bincount(places.ravel(), minlength=count + 1)
    seeded = np.bincount(places[marks], minlength=count + 1) >= SEEDED * size
    seeded[0] = False
    return _without_holes(seeded[places], inside)


def _wide(changed: Residual, inside: BoolArray) -> tuple[BoolArray, BoolArray]:
    """Return (h, w) the wide places that are more opaque than before, and those that are less."""
    weight = tensor(inside)
    smooth = windowed_mean(weight, WIDE_SMOOTH * max(inside.shape))(tensor(changed.grey))
    shown = np.where(inside, smooth[0, 0].numpy(), np.float32(0))
    if changed.scale > POOR_FIT:
        nothing = np.zeros_like(inside)
        return nothing, nothing
    more, less = (
        _wide_of_sign(sign * shown, sign * changed.grey, inside) for sign in (np.float32(1), -1)
    )
    return more, less


def _wide_of_sign(shown: FloatArray, grey: FloatArray, inside: BoolArray) -> BoolArray:
    """Return the wide places (h, w) of what is above 0, smoothed and as it is."""
    made = np.zeros_like(inside)
    seeds, _ = label(shown >= WIDE_SEED)
    large = np.bincount(seeds.ravel()) >= WIDE_AREA * inside.size
    large[0] = False
    if not large.any():
        return made
    places, _ = label(shown >= WIDE_REACH * WIDE_SEED)
    for number in np.unique(places[large[seeds]]):
        place = _without_holes(places == number, inside)
        if _is_one_change(grey, place, inside & ~place):
            made |= place
    return made


def _is_one_change(grey: FloatArray, place: BoolArray, rest: BoolArray) -> bool:
    """Say whether a place has changed evenly, and unlike the rest of the lungs."""
    middle = float(np.median(grey[place]))
    beside = float(np.median(grey[rest])) if rest.any() else 0.0
    uneven = float(grey[place].std()) + 0.01  # grey levels of noise
    return middle - beside >= UNLIKE and middle >= EVEN * uneven


def _without_specks(marked: FloatArray) -> FloatArray:
    places, _ = label(np.abs(marked) >= MARK)
    small = np.bincount(places.ravel()) < SPECK * marked.size
    small[0] = False
    return np.where(small[places], np.clip(marked, -FAINT, FAINT), marked).astype(np.float32)


def _without_holes(place: BoolArray, inside: BoolArray) -> BoolArray:
    return np.asarray(binary_fill_holes(place) & inside)
