"""A picture of maps beside radiologists' boxes, hits and misses alike, and of no film.

What is drawn of a film are the outlines of its lungs: enough to see where a map points, and nothing
that has terms of its own. Which boxes are drawn is chosen by a hash, so that nobody chose the best.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from inference.findings import LABELS, FloatArray
from inference.model.bundle import Bundle
from training.data.boxes import BadBoxList, Box
from training.data.film_set import read_picture
from training.data.record import Record
from training.evaluation.localisation import peak
from training.evaluation.pointing import hit_in

SHOWN = 12
COLUMNS = 4
HIT, MISS, LUNGS = "#0072b2", "#d55e00", "#6f6f6f"  # Okabe and Ito, and a quiet grey


@dataclass(frozen=True, eq=False)
class MapExample:
    """One box, and the map of its finding on its film.

    Attributes
    ----------
    grid
        (h, w), not scaled.
    lungs
        (rows, columns), where the lungs lie; any size.
    """

    box: Box
    grid: FloatArray
    lungs: npt.NDArray[np.bool_]


def draw_examples(
    bundle: Bundle,
    maps: Mapping[str, FloatArray],
    records: Sequence[Record],
    boxes: Sequence[Box],
    path: Path,
) -> str:
    """Draw some of a bundle's maps (14, h, w) of films, by name, beside boxes; say what is drawn.

    Raises
    ------
    BadBoxList
        No box is on these films.
    """
    chosen = chosen_boxes(boxes, maps)
    if not chosen:
        raise BadBoxList("no box is on a film that judges: there is nothing to draw")
    films, finder = {record.name: record.path for record in records}, bundle.lung_fields()
    examples = []
    for box in chosen:
        pixels = read_picture(films[box.film]).pixels
        lungs = finder.find(pixels) if finder else np.zeros(pixels.shape, np.bool_)
        examples.append(MapExample(box, maps[box.film][LABELS.index(box.label)], lungs))
    hits = sum(map(is_hit, examples))
    said = f"{hits} of {len(examples)} maps have their peak in the box"
    draw_maps(examples, f"{bundle.identity.name} {bundle.identity.version}: {said}", path)
    return f"{path}: {said}"


def chosen_boxes(boxes: Sequence[Box], films: Mapping[str, object]) -> list[Box]:
    """Return up to `SHOWN` boxes on these films: findings in turn, those of each by hash."""
    queues = [
        sorted((box for box in boxes if box.label == label and box.film in films), key=_hash)
        for label in LABELS
    ]
    in_turn = chain.from_iterable(zip_longest(*queues))
    return [box for box in in_turn if box is not None][:SHOWN]


def _hash(box: Box) -> str:
    return hashlib.sha256(f"{box.film} {box.corners}".encode()).hexdigest()


def is_hit(example: MapExample) -> bool:
    """Return whether the map's peak lies in the box."""
    return hit_in(peak(example.grid), example.box) == 1


def draw_maps(examples: Sequence[MapExample], title: str, path: Path) -> None:
    """Write a PNG: one panel an example."""
    rows = -(-len(examples) // COLUMNS)
    figure = Figure(figsize=(2.6 * COLUMNS, 2.9 * rows + 0.6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for panel in panels:
        panel.set_axis_off()
    for panel, example in zip(panels, examples, strict=False):
        _draw(panel, example)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path)


def _draw(panel: Axes, example: MapExample) -> None:
    """Draw a map from its middle to its greatest cell, the outlines of the lungs, box and peak."""
    hit = is_hit(example)
    middle = float(np.median(example.grid))
    panel.imshow(
        np.maximum(example.grid, middle), cmap="Greys", extent=(0, 1, 1, 0), interpolation="bicubic"
    )
    if example.lungs.any():
        rows, columns = example.lungs.shape
        x, y = (np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows
        panel.contour(x, y, example.lungs, levels=[0.5], colors=LUNGS, linewidths=1)
    colour = HIT if hit else MISS
    box = example.box
    panel.add_patch(Rectangle((box.x, box.y), box.w, box.h, fill=False, color=colour, linewidth=2))
    if (point := peak(example.grid)) is not None:
        panel.plot(*point, marker="x", color=colour, markersize=9, markeredgewidth=2)
    panel.set_title(f"{box.label.replace('_', ' ')}: {'hit' if hit else 'miss'}", fontsize=9)
