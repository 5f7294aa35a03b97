"""What `hilum localise` prints: a bundle's heat maps against radiologists' boxes.

References
----------
Wang et al., ChestX-ray8, CVPR 2017, table of T(IoBB).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from inference.model.bundle import Bundle
from inference.model.preprocessing import Preprocessing
from training.data.boxes import Box
from training.data.record import Record
from training.evaluation.localisation import (
    OVERLAPS,
    FindingLocalisation,
    Score,
    overall,
    summarise,
)
from training.evaluation.maps import VARIANTS, score_boxes, shuffled

# T(IoBB) > 0.1 of Wang et al. 2017, whose network saw none of the 880 films
WANG = {
    "Atelectasis": 0.728,
    "Cardiomegaly": 0.993,
    "Effusion": 0.712,
    "Infiltration": 0.789,
    "Mass": 0.435,
    "Nodule": 0.165,
    "Pneumonia": 0.750,
    "Pneumothorax": 0.459,
}


@dataclass(frozen=True)
class Measured:
    """What was measured of one network, or several kinds of maps, on one group of films."""

    title: str
    rows: tuple[FindingLocalisation, ...]

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        rows = [asdict(row) | {"wang_2017": WANG.get(row.label)} for row in self.rows]
        return {"title": self.title, "overlaps": OVERLAPS, "rows": rows}

    def table(self) -> Table:
        """Return a table for a terminal; chance is in brackets after each figure."""
        table = Table(title=f"{self.title} (chance in brackets)")
        heads = ["", "boxes", "pointing", "T(IoBB)>0.1", "Wang", "T(IoBB)>0.25", "T(IoBB)>0.5"]
        for head in [*heads, *(f"T(IoU)>{t}" for t in OVERLAPS)]:
            table.add_column(head, justify="right" if head else "left")
        for row in self.rows:
            first, *more = map(str, row.iobb)
            wang = f"{WANG[row.label]:.3f}" if row.label in WANG else ""
            cells = [row.label, str(row.boxes), str(row.pointing), first, wang, *more]
            table.add_row(*cells, *map(str, row.iou))
        return table


def localise(
    bundle: Bundle,
    records: Sequence[Record],
    boxes: Sequence[Box],
    size_px: int | None = None,
    device: str = "auto",
    *,
    randomised: bool = False,
    variants: bool = False,
) -> list[Measured]:
    """Measure a bundle's maps, whether it shows or withholds them.

    Parameters
    ----------
    size_px
        Side of the input; the bundle's own when left out.
    randomised
        Also measure the same network with its weights shuffled.
    variants
        Compare kinds of maps, over all findings, instead.

    Raises
    ------
    BadBoxList
    """
    hilum = bundle.metadata.hilum
    preprocessing = Preprocessing(size_px or hilum.size_px, hilum.mean, hilum.std)
    if variants:
        return _compared(bundle, preprocessing, records, boxes, device)
    networks = {"": bundle.network()}
    if randomised:
        networks["weights shuffled, "] = shuffled(bundle.network())
    return [
        Measured(f"{name}{group}", (*summarise(scores), overall(scores)))
        for name, network in networks.items()
        for group, scores in score_boxes(
            network, preprocessing, records, boxes, device=device
        ).items()
    ]


def _compared(
    bundle: Bundle,
    preprocessing: Preprocessing,
    records: Sequence[Record],
    boxes: Sequence[Box],
    device: str,
) -> list[Measured]:
    rows: dict[str, list[FindingLocalisation]] = {}
    for name, variant in VARIANTS.items():
        scored: dict[str, list[Score]] = score_boxes(
            bundle.network(), preprocessing, records, boxes, variant, device
        )
        for group, scores in scored.items():
            rows.setdefault(group, []).append(overall(scores, name))
    size = preprocessing.size_px
    return [
        Measured(f"kinds of maps at {size} px, {group}", tuple(found))
        for group, found in rows.items()
    ]
