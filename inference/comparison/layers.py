"""What a page lays over a film and its prior, small enough to keep. Light: no network, no torch."""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from inference.comparison.result import Comparison
from inference.findings import FloatArray
from inference.image.resizing import BOX, resize

STEP = 16  # pixels of the working grid between two points of the mesh: it bends less than that
STRUCTURAL_PX = 256  # long edge; finer than the smoothing of the difference (SMOOTH_SHARE)
HEATMAP_PX = 64  # long edge; finer than the network's own grid
_SIGNED = 127  # [-1, 1] in 8 bits


@dataclass(frozen=True, eq=False)
class Layers:
    """What became of a film since its prior, to be drawn over either.

    All maps span the current film edge to edge.

    Attributes
    ----------
    at
        (r,) and (c,): rows and columns of the mesh on the current film, as shares of its height
        and width in [0, 1].
    places
        (2, r, c): where the points of the mesh lie on the prior, x and y as shares of its width
        and height; outside [0, 1] where the prior has no field.
    inverted
        Whether bright and dark are exchanged between the films.
    structural
        (h, w) in [-1, 1]: above 0 more opaque than before.
    heatmaps
        (14, h, w) in [-1, 1]: above 0 there is more evidence for the finding than before.
    """

    at: tuple[FloatArray, FloatArray]
    places: FloatArray
    inverted: bool
    structural: FloatArray
    heatmaps: FloatArray

    @classmethod
    def of(cls, comparison: Comparison) -> "Layers":
        """Return the layers of a comparison that could be made."""
        height, width = comparison.current.shape
        rows, columns = _knots(height), _knots(width)
        return cls(
            ((rows + 0.5) / height, (columns + 0.5) / width),
            comparison.places[:, rows[:, None], columns],
            comparison.inverted,
            _smaller(comparison.structural, STRUCTURAL_PX),
            np.stack([_smaller(one, HEATMAP_PX) for one in comparison.heatmap_differences]),
        )

    def to_bytes(self) -> bytes:
        """Return some 20 kB, to be read by `from_bytes`."""
        out = io.BytesIO()
        np.savez_compressed(
            out,
            rows=self.at[0].astype(np.float32),
            columns=self.at[1].astype(np.float32),
            places=self.places.astype(np.float32),
            inverted=np.array(self.inverted),
            structural=_packed(self.structural),
            heatmaps=_packed(self.heatmaps),
        )
        return out.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Layers":
        """Return what `to_bytes` has packed, to 1 in 127."""
        with np.load(io.BytesIO(data), allow_pickle=False) as held:
            return cls(
                (held["rows"], held["columns"]),
                held["places"],
                bool(held["inverted"]),
                held["structural"].astype(np.float32) / _SIGNED,
                held["heatmaps"].astype(np.float32) / _SIGNED,
            )

    def move(self, prior: npt.NDArray[Any], rows: int, columns: int) -> FloatArray:
        """Lay the prior's pixels onto the current film.

        Parameters
        ----------
        prior
            (y, x), at any resolution.
        rows, columns
            Of the current film, at any resolution.

        Returns
        -------
        (rows, columns) float32; 0 where the prior has no field.
        """
        picture = Image.fromarray(prior.astype(np.float32))
        y, x = _lines(self.at[0], rows), _lines(self.at[1], columns)
        places = _between(self.places, self.at[0], np.array(y) / rows, axis=1)
        places = _between(places, self.at[1], np.array(x) / columns, axis=2)
        corners = places * np.array([picture.width, picture.height])[:, None, None]
        mesh = [
            ((x[j], y[i], x[j + 1], y[i + 1]), _corners(corners, i, j))
            for i in range(len(y) - 1)
            for j in range(len(x) - 1)
        ]
        size, bilinear = (columns, rows), Image.Resampling.BILINEAR
        laid = picture.transform(size, Image.Transform.MESH, mesh, bilinear)
        return np.asarray(laid)


def _corners(places: FloatArray, i: int, j: int) -> tuple[float, ...]:
    """Return x and y of a field's corners: upper left, lower left, lower right, upper right."""
    around = ((i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1))
    return tuple(float(places[axis, row, column]) for row, column in around for axis in (0, 1))


def _knots(length: int) -> npt.NDArray[np.intp]:
    """Return every `STEP`-th pixel, and the last."""
    return np.unique(np.append(np.arange(0, length, STEP), length - 1))


def _lines(at: FloatArray, length: int) -> list[int]:
    """Return the mesh's lines in whole pixels; the outermost are the edges of the film."""
    return [0, *(round(float(share) * length) for share in at[1:-1]), length]


def _between(places: FloatArray, at: FloatArray, points: FloatArray, axis: int) -> FloatArray:
    """Take points known ``at`` shares of the film to others, linearly, and on to its edges."""
    lines = np.moveaxis(places, axis, 0)
    i = np.clip(np.searchsorted(at, points) - 1, 0, len(at) - 2)
    t = ((points - at[i]) / (at[i + 1] - at[i]))[:, None, None]
    found: FloatArray = np.moveaxis(lines[i] * (1 - t) + lines[i + 1] * t, 0, axis)
    return found


def _smaller(signed: FloatArray, long_edge: int) -> FloatArray:
    scale = min(1.0, long_edge / max(signed.shape))
    return resize(signed, [max(1, round(n * scale)) for n in signed.shape], BOX)


def _packed(signed: FloatArray) -> npt.NDArray[np.int8]:
    return np.rint(np.clip(signed, -1, 1) * _SIGNED).astype(np.int8)
