"""Measure the cardiothoracic ratio of outlines, where they allow one."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.ndimage import center_of_mass, label

from inference.cardiothoracic import CardiothoracicRatio, Line

BoolArray = npt.NDArray[np.bool_]

SMALLER_LUNG = 0.35  # of the larger one's area: below it a lung was not found whole
LARGEST_HEART_PART = 0.9  # of what looks like heart: below it there is not one heart
PLAUSIBLE = (0.25, 0.8)  # ratios outside are those of masks that went wrong


def measure(lungs: BoolArray, heart: BoolArray) -> CardiothoracicRatio | None:
    """Measure masks (rows, columns) of one film; None where they have no width.

    The left and the right of the heart may lie in different rows; its line lies between them.
    """
    across = chest_line(lungs)
    columns = np.flatnonzero(heart.any(axis=0))
    if across is None or not columns.size:
        return None
    left, right = int(columns[0]), int(columns[-1])
    row = float(np.mean([np.flatnonzero(heart[:, k]).mean() for k in (left, right)])) + 0.5
    return CardiothoracicRatio(Line(row, left, right + 1), across)


def chest_line(lungs: BoolArray) -> Line | None:
    """Return the longest line, in one row, from lung to lung of a mask (rows, columns).

    Rows on which only one of two lungs is do not count. None where there is no such row.
    """
    parts, count = label(lungs)
    if count == 2:
        rows = np.flatnonzero((parts == 1).any(axis=1) & (parts == 2).any(axis=1))
    else:
        rows = np.flatnonzero(lungs.any(axis=1))
    if not rows.size:
        return None
    left = lungs[rows].argmax(axis=1)
    right = lungs.shape[1] - lungs[rows, ::-1].argmax(axis=1)
    widths = right - left
    longest = int(np.median(np.flatnonzero(widths == widths.max())))  # the middle one of equals
    return Line(float(rows[longest]) + 0.5, float(left[longest]), float(right[longest]))


def implausible(lungs: BoolArray, heart: BoolArray) -> str | None:
    """Return why masks (rows, columns) allow no ratio, in words; None where they allow one."""
    return next(_faults(lungs, heart), None)


def _faults(lungs: BoolArray, heart: BoolArray) -> Iterator[str]:
    """Yield what is wrong with masks, the gravest first; each check needs those before it."""
    parts, count = label(lungs)
    areas = np.bincount(parts.ravel())[1:]
    if count != 2:
        yield "two separate lungs were not found"
    if areas.min() < SMALLER_LUNG * areas.max():
        yield "one lung is outlined much smaller than the other"
    if not heart.any():
        yield "the heart was not found"
    if np.bincount(label(heart)[0].ravel())[1:].max() < LARGEST_HEART_PART * heart.sum():
        yield "the outline of the heart is in pieces"
    if _reaches_edge(lungs) or _reaches_edge(heart):
        yield "an outline reaches the edge of the film"
    if not between_lungs(lungs, heart):
        yield "the heart was not found between the lungs"
    found = measure(lungs, heart)
    if found is None or not PLAUSIBLE[0] <= found.value <= PLAUSIBLE[1]:
        yield "the widths that were found cannot be those of a heart and a chest"
    elif not found.chest.left < found.heart.left < found.heart.right < found.chest.right:
        yield "the outline of the heart reaches beyond the lungs"


def between_lungs(lungs: BoolArray, heart: BoolArray) -> bool:
    """Whether the middle of a heart lies between those of two lungs; masks (rows, columns)."""
    parts, count = label(lungs)
    if count != 2 or not heart.any():
        return False
    one, other = sorted(column for _, column in center_of_mass(lungs, parts, (1, 2)))
    return bool(one < center_of_mass(heart)[1] < other)


def _reaches_edge(mask: BoolArray) -> bool:
    """Whether a mask (rows, columns) touches an edge of its grid: then it may be cut off."""
    return bool(mask[[0, -1]].any() or mask[:, [0, -1]].any())
