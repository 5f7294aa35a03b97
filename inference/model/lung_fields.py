"""Where the lungs lie on a frontal chest film, also behind an opacity.

The comparison asks it where a difference counts. A small network looks at the whole film at once,
so that a lung which disease has turned white is still found by what lies around it.
"""

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import label
from torch import nn

from inference.findings import FloatArray
from inference.image.film import Film
from inference.model.metadata import LungSpec
from inference.model.preprocessing import Preprocessing

BoolArray = npt.NDArray[np.bool_]

ISLAND = 0.01  # of the film: a smaller part is no lung, not even a collapsed one
HOLE = 0.04  # of the film: a smaller hole is filled; the mediastinum between two lungs is larger
FLAT = 1e-3  # range of greys below which there is nothing to see


def lung_network() -> nn.Module:
    """Make the network, untrained: (b, 1, size, size) normalised -> logits of the same shape."""
    return segmenter(1)


def segmenter(organs: int) -> nn.Module:
    """Make a segmenter, untrained: (b, 1, size, size) normalised -> logits (b, organs, size, size).

    Five halvings: at 128 px its coarsest cells are 4 x 4 and each sees the whole film, for what
    is behind a white lung is known only from afar. 0.6 million weights.
    """
    from monai.networks.nets import UNet  # noqa: PLC0415  (seconds: only for a bundle that has one)

    network: nn.Module = UNet(
        spatial_dims=2,
        in_channels=1,
        out_channels=organs,
        channels=(12, 24, 48, 64, 96, 128),
        strides=(2, 2, 2, 2, 2),
        num_res_units=1,
        norm="batch",
    )
    return network


class LungFields:
    """Finds both lungs of a film. Safe from many threads.

    Parameters
    ----------
    network
        Ready to infer, on the processor: one film takes less time than the way to a GPU.
    spec
        Its input and threshold.
    """

    def __init__(self, network: nn.Module, spec: LungSpec) -> None:
        self.spec = spec
        self._network = network
        self._preprocessing = Preprocessing(spec.size_px)

    @torch.inference_mode()
    def find(self, pixels: FloatArray) -> BoolArray:
        """Return where the lungs lie, (h, w), on the grid given.

        At most two parts, without small holes, and without what lies behind heart and diaphragm.
        A film of one grey has none; a dim film may come back empty or with one lung: the caller
        must be ready for that.

        Parameters
        ----------
        pixels
            (h, w) in [0, 1], bright is dense, any size.
        """
        if not np.ptp(pixels) > FLAT:  # a nan neither
            return np.zeros(pixels.shape, dtype=np.bool_)
        film = Film(np.ascontiguousarray(pixels, np.float32))  # torch knows no negative strides
        probabilities = self._network(self._preprocessing(film)[None]).sigmoid()[0, 0]
        lungs = two_parts((probabilities >= self.spec.threshold).numpy())
        return sharpened(probabilities, lungs, pixels.shape, self.spec.threshold)


def sharpened(
    probabilities: torch.Tensor, cells: BoolArray, shape: tuple[int, ...], threshold: float
) -> BoolArray:
    """Return a mask (h, w) of ``cells`` (size, size), its border between the cells' centres.

    ``probabilities``, (size, size), say where between two cells the border lies.
    """
    beside = probabilities.new_tensor(threshold)
    agreed = torch.where(
        torch.from_numpy(cells), probabilities.maximum(beside), probabilities.minimum(beside - 1e-3)
    )
    fine = nn.functional.interpolate(agreed[None, None], shape, mode="bilinear")
    found: BoolArray = (fine[0, 0] >= threshold).numpy()
    return found


def two_parts(cells: BoolArray) -> BoolArray:
    """Keep the two largest connected parts of a mask (h, w), and fill their small holes."""
    parts, _ = label(cells)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0  # what is no lung
    largest = [k for k in np.argsort(sizes)[-2:] if sizes[k] >= ISLAND * cells.size]
    largest_parts: BoolArray = np.isin(parts, largest)
    around, _ = label(~largest_parts)
    holes = np.bincount(around.ravel()) < HOLE * cells.size
    edge = np.concatenate([around[0], around[-1], around[:, 0], around[:, -1]])
    holes[[0, *edge]] = False  # what touches the edge of the film is no hole
    filled: BoolArray = largest_parts | holes[around]
    return filled
