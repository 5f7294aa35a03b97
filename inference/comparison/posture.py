"""Whether the marks of a difference lie where posture and breath make them."""

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_erosion, label

from inference.comparison.result import MARK
from inference.findings import FloatArray

APEX = 0.2  # of the height of the lung fields: apices and clavicles
BASE = 0.15  # of the height above the lower edge, in each column: diaphragm and angles
RIM = 0.02  # of the long edge: what lies along the edge of a lung
FEWEST = 3  # marks; one or two may well be one finding

POSTURE = (
    "most marks lie on clavicles, apices, diaphragm and lung edges: a different posture or "
    "inspiration is the likely cause, but fluid or air there would be marked in the same way"
)


def posture(structural: FloatArray, lungs: npt.NDArray[np.bool_]) -> str:
    """Say that another posture is the likely cause of the marks; "" where it is not.

    Parameters
    ----------
    structural
        (h, w) signed, in [-1, 1].
    lungs
        (h, w); all True where the lungs are not known: then the result is "".
    """
    marks, count = label(np.abs(structural) >= MARK)
    if count < FEWEST or lungs.all() or not lungs.any():
        return ""
    edge = _edges(lungs)
    size = np.bincount(marks.ravel())[1:]
    on_edge = np.bincount(marks[edge], minlength=count + 1)[1:]
    most = np.mean(on_edge > size / 2) > 0.5 and on_edge.sum() > size.sum() / 2
    return POSTURE if most else ""


def _edges(lungs: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return (h, w): apices, the lower edge of each lung, and the rim of the lung fields."""
    rows = np.flatnonzero(lungs.any(axis=1))
    height = rows[-1] - rows[0] + 1
    y = np.arange(lungs.shape[0])[:, None]
    lowest = np.where(lungs.any(axis=0), lungs.shape[0] - 1 - lungs[::-1].argmax(axis=0), -1)
    rim = lungs & ~binary_erosion(lungs, iterations=max(1, round(RIM * max(lungs.shape))))
    edge: npt.NDArray[np.bool_] = lungs & (
        (y < rows[0] + APEX * height) | (y > lowest - BASE * height) | rim
    )
    return edge
