"""Resize pictures and maps of one channel: the one way outside of the network's own input."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from inference.findings import FloatArray

BOX, BILINEAR, BICUBIC = (
    Image.Resampling.BOX,
    Image.Resampling.BILINEAR,
    Image.Resampling.BICUBIC,
)


def resize(greys: FloatArray, shape: Sequence[int], how: Image.Resampling = BICUBIC) -> FloatArray:
    """Scale a picture or map (h, w) edge to edge to ``shape``, (rows, columns), as float32.

    Where it shrinks, the filter is widened, so that nothing folds back in. Bicubic may overshoot
    the range of what it is given.
    """
    rows, columns = shape
    picture = Image.fromarray(np.ascontiguousarray(greys, dtype=np.float32))
    return np.array(picture.resize((columns, rows), how), dtype=np.float32)
