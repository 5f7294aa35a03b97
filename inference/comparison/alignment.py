"""Register the prior film to the current one.

All likely turns, sizes and shifts are tried on small pictures (`search`); from the best, an affine
transform and then a smooth deformation are improved on finer and finer ones (`refine`). The film
that shows less stays where it is, be it the current or the prior film, and the alignment is
inverted where it was asked for the other way round: which film is called the prior changes nothing
that is judged of the pair. How well that does beside other methods: tests/benchmarks/alignment.py.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from inference.comparison.difference import AlignedPair, quality
from inference.comparison.filters import exposed_mask, resized, tensor, working_shape
from inference.comparison.initial_search import search
from inference.comparison.pyramid import PyramidLevel, level
from inference.comparison.refinement import identity_deformation, refined, refined_deformation
from inference.comparison.transform import Alignment
from inference.findings import FloatArray
from inference.image.film import Film
from inference.image.overlays import BoolArray, rim, shrunk

WORKING_PX = 512  # long edge of the maps that are drawn
# long edge that a film needs which is compared and not drawn: decoded at a part of its size, yet
# half as large again as its maps, it differs there by less than 0.004 (mean)
COMPARED_PX = 3 * WORKING_PX // 2
FIELD_PX = 128  # long edge where a film's field is looked for
Hidden = BoolArray | None
COARSE, MIDDLE, FINE = (64, 1 / 8), (128, 1 / 16), (256, 1 / 16)  # long edge, local window
# turn, size and shift; the affine transform; the deformation
SIMILAR, AFFINE, BENT = (COARSE,), (MIDDLE,), ((64, 1 / 16), MIDDLE, FINE)


@dataclass(frozen=True, eq=False)
class Registered:
    """Two films that were laid onto each other.

    Attributes
    ----------
    alignment
        Where the prior lies on the current film.
    found
        The pair as it was laid when that was found, be it the prior onto the current film or the
        current film onto the prior: what is judged of the pair is judged of this.
    quality
        Correlation of the locally normalised films, in [-1, 1]; the same in both orders.
    """

    alignment: Alignment
    found: AlignedPair
    quality: float


def align(
    current: FloatArray, prior: FloatArray, pixel_ratio: float = 1.0, *, deform: bool = True
) -> Alignment:
    """Find where the prior lies on the current film; parameters as of `register`, films (h, w)."""
    return register(current, prior, pixel_ratio, deform=deform).alignment


@torch.inference_mode()
def register(
    current: FloatArray,
    prior: FloatArray,
    pixel_ratio: float = 1.0,
    *,
    deform: bool = True,
    hidden: tuple[Hidden, Hidden] = (None, None),
) -> Registered:
    """Lay two films onto each other.

    Swapping the films inverts the alignment and leaves everything that is judged of the pair as it
    is, to the last bit.

    Parameters
    ----------
    current, prior
        (h, w) in [0, 1], each with a long edge of `WORKING_PX`.
    pixel_ratio
        Size of the prior's pixel over that of the current film's, where known; a first guess.
    deform
        False leaves the deformation out, to measure what it brings.
    hidden
        Where a shutter hides each film, (h, w) as it; None where nothing does.
    """
    one, other = (_shown(film, where) for film, where in zip((current, prior), hidden, strict=True))
    if _order(current, one.field) <= _order(prior, other.field):
        return _registered(one, other, pixel_ratio, deform=deform)
    found = _registered(other, one, 1 / pixel_ratio, deform=deform)
    return replace(found, alignment=found.alignment.inverse())


@dataclass(frozen=True, eq=False)
class _Shown:
    """A film (1, 1, h, w), 1 where no shutter hides it, and 1 where it shows something."""

    film: torch.Tensor
    visible: torch.Tensor
    field: torch.Tensor
    hidden: Hidden


def _shown(pixels: FloatArray, hidden: Hidden) -> _Shown:
    film = tensor(pixels)
    small = working_shape(film.shape, FIELD_PX)
    field = exposed_mask(resized(film, small))
    if hidden is None:
        return _Shown(film, torch.ones_like(film), field, None)
    visible = tensor(~hidden)
    return _Shown(film, visible, field * (resized(visible, small) > 0.99), hidden)


def _order(film: FloatArray, where: torch.Tensor) -> tuple[float, bytes]:
    """Put the film that shows less first: each of its places has one on the other film."""
    return float(where.mean()), film.tobytes()


def _registered(one: _Shown, other: _Shown, pixel_ratio: float, *, deform: bool) -> Registered:
    """Lay the second film onto the first."""
    films = (one.film, other.film)
    guess = search(films, (one.visible, other.visible), pixel_ratio)
    fixed, moving = films[0], 1 - films[1] if guess.inverted else films[1]
    levels = _Levels((fixed, moving), (one.field, other.field))
    matrix, deformation = guess.matrix, None
    for at in SIMILAR:
        matrix = refined(levels[at], matrix, similarity=True)
    for at in AFFINE:
        matrix = refined(levels[at], matrix, similarity=False)
    if deform:
        deformation = identity_deformation(levels[BENT[0]])
        for at in BENT:
            deformation = refined_deformation(levels[at], matrix, deformation)
    shape, prior_shape = ((film.shape[2], film.shape[3]) for film in films)
    alignment = Alignment(
        matrix,
        deformation,
        shape,
        prior_shape,
        guess.inverted,
        hidden=one.hidden,
        prior_hidden=other.hidden,
    )
    greys = fixed[0, 0].numpy(), moving[0, 0].numpy()
    pair = AlignedPair(greys[0], alignment.move(greys[1]), alignment.overlap)
    return Registered(alignment, pair, quality(pair))


class _Levels(dict[tuple[int, float], PyramidLevel]):
    """A pair at each resolution, made when it is first asked for."""

    def __init__(
        self,
        films: tuple[torch.Tensor, torch.Tensor],
        fields: tuple[torch.Tensor, torch.Tensor],
    ) -> None:
        super().__init__()
        self._films, self._fields = films, fields

    def __missing__(self, at: tuple[int, float]) -> PyramidLevel:
        self[at] = level(self._films, self._fields, *at)
        return self[at]


def at_working_size(
    pixels: FloatArray, proportions: tuple[float, float] | None = None
) -> FloatArray:
    """Return a film in its proportions with a long edge of `WORKING_PX`, (h, w).

    ``proportions`` are height and width, in any unit; None: those of the pixels.
    """
    return on_grid(pixels, working_shape(proportions or pixels.shape, WORKING_PX))


def hidden_at_working_size(film: Film) -> Hidden:
    """Return where a shutter hides a film, or darkens a pixel, as `at_working_size`; or None."""
    occluded = film.presentation.occluded
    if occluded is None:
        return None
    return rim(rim(shrunk(occluded, *working_shape(film.proportions, WORKING_PX), 0)))


def on_grid(maps: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Resize maps (..., y, x) -> (..., h, w), edge to edge."""
    made = resized(tensor(maps), shape)
    return np.asarray(made.reshape(*maps.shape[:-2], *shape).numpy())


def pixel_ratio(current: Film, prior: Film) -> float:
    """Return the size of a prior's working pixel over a current one's; 1 where unknown."""
    if current.spacing_mm is None or prior.spacing_mm is None:
        return 1.0
    ratio = _long_edge_mm(prior.shape, prior.spacing_mm) / _long_edge_mm(
        current.shape, current.spacing_mm
    )
    # a header that claims a film of twice the size is not believed
    return ratio if 0.5 < ratio < 2 else 1.0


def _long_edge_mm(shape: tuple[int, int], spacing_mm: tuple[float, float]) -> float:
    rows, columns = shape
    return float(max(rows * spacing_mm[0], columns * spacing_mm[1]))
