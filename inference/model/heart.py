"""Where heart and lungs lie on a frontal chest film, for the cardiothoracic ratio."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import label
from torch import nn

from inference.cardiothoracic import CardiothoracicRatio, RatioStatement
from inference.findings import FloatArray
from inference.image.film import Film
from inference.model.cardiothoracic import BoolArray, implausible, measure
from inference.model.lung_fields import FLAT, segmenter, sharpened, two_parts
from inference.model.metadata import LARGEST_RATIO_ERROR, RatioError
from inference.model.preprocessing import Preprocessing

_GRID = (1024, 1024)  # on which widths are measured: finer than any error of the outlines


def heart_network() -> nn.Module:
    """Make the network, untrained: (b, 1, size, size) -> logits of lungs and heart, (b, 2, ...)."""
    return segmenter(2)


@dataclass(frozen=True, eq=False)
class Silhouettes:
    """Lungs and heart, (h, w) each, on one film's grid; behind the heart both may be true."""

    lungs: BoolArray
    heart: BoolArray


class HeartFinder:
    """Finds lungs and heart of a film. Safe from many threads.

    Parameters
    ----------
    network
        Ready to infer, on the processor.
    size_px
        Side of its input.
    threshold
        Probability from which a cell is an organ.
    """

    def __init__(self, network: nn.Module, size_px: int, threshold: float) -> None:
        self._network, self._threshold = network, threshold
        self._preprocessing = Preprocessing(size_px)

    @torch.inference_mode()
    def find(self, pixels: FloatArray, grid: tuple[int, int] | None = None) -> Silhouettes:
        """Return where lungs and heart lie.

        Lungs are at most two parts without small holes. A film of one grey has neither; the heart
        comes back in as many parts as the network saw.

        Parameters
        ----------
        pixels
            (h, w) in [0, 1], bright is dense, any size.
        grid
            Rows and columns of the masks, which span the whole film; those of ``pixels`` if None.
        """
        shape = grid or pixels.shape
        if not np.ptp(pixels) > FLAT:  # a nan neither
            nothing = np.zeros(shape, dtype=np.bool_)
            return Silhouettes(nothing, nothing)
        film = Film(np.ascontiguousarray(pixels, np.float32))  # torch knows no negative strides
        lungs, heart = self._network(self._preprocessing(film)[None]).sigmoid()[0]
        threshold = self._threshold
        return Silhouettes(
            sharpened(lungs, two_parts((lungs >= threshold).numpy()), shape, threshold),
            sharpened(heart, without_specks((heart >= threshold).numpy()), shape, threshold),
        )


class RatioReader:
    """Reads the cardiothoracic ratio of films by a bundle's network. Safe from many threads.

    ``error`` was measured on films that neither taught nor chose the epoch.
    """

    def __init__(self, finder: HeartFinder, error: RatioError) -> None:
        self.finder, self.error = finder, error

    def read(self, pixels: FloatArray) -> RatioStatement:
        """Return what may be stated by the film's pixels alone, (h, w) in [0, 1].

        The header may forbid it all the same: `inference.image.ratio_rule`.
        """
        measured, fault = measured_on(self.finder, pixels)
        if measured is not None:
            down, across = pixels.shape[0] / _GRID[0], pixels.shape[1] / _GRID[1]
            measured = CardiothoracicRatio(
                measured.heart.scaled(down, across), measured.chest.scaled(down, across)
            )
        if self.error.mean_absolute > LARGEST_RATIO_ERROR:
            fault = "this model does not measure it exactly enough"
        return RatioStatement(measured, fault, self.error.mean_absolute, self.error.films)


def measured_on(finder: HeartFinder, pixels: FloatArray) -> tuple[CardiothoracicRatio | None, str]:
    """Measure a film, (h, w) in [0, 1], on a fine grid; or None, and why in words."""
    found = finder.find(pixels, _GRID)
    fault = implausible(found.lungs, found.heart)
    return (None, fault) if fault else (measure(found.lungs, found.heart), "")


def without_specks(cells: BoolArray) -> BoolArray:
    """Drop what is smaller than a hundredth of a mask (rows, columns): specks, not parts."""
    parts, _ = label(cells)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    kept: BoolArray = np.isin(parts, np.flatnonzero(sizes > 0.01 * cells.sum()))
    return kept
