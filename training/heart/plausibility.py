"""Whether the cardiothoracic ratio is plausible: films of cardiomegaly should have larger ones.

The ratio learnt from outlines alone and has seen no label, so train films judge it too; of the
network of findings only films that did not teach it may.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from inference.findings import LABELS
from inference.model.calibration import Discrimination
from inference.model.engine import Engine
from inference.model.heart import HeartFinder, measured_on
from training.data.film_set import read_picture
from training.data.record import Record
from training.evaluation.discrimination import discrimination, is_sharp
from training.evaluation.text_table import TextTable

LABEL = "Cardiomegaly"
ADULT = 18


@dataclass(frozen=True)
class Plausibility:
    """How well the ratio and the network's probability tell cardiomegaly apart, within source.

    ``withheld`` films are left out: no ratio would be stated of their outlines.
    """

    withheld: int
    ratio: Discrimination
    network: Discrimination


def plausibility(finder: HeartFinder, engine: Engine, records: Sequence[Record]) -> Plausibility:
    """Judge on the sharp PA films of adults among these."""
    films = [one for one in records if one.view == "PA" and is_sharp(one) and _is_adult(one)]

    def read(record: Record) -> tuple[float, float]:
        film = read_picture(record.path)
        ratio, _ = measured_on(finder, film.pixels)
        probability = engine.read(film).probabilities[LABELS.index(LABEL)]
        return np.nan if ratio is None else ratio.value, float(probability)

    with ThreadPoolExecutor(max_workers=4) as threads:
        said = np.array(list(threads.map(read, films))).reshape(-1, 2)
    stated = ~np.isnan(said[:, 0])
    judging = [one for one, kept in zip(films, stated, strict=True) if kept]
    ratio, network = (
        discrimination(np.repeat(said[stated, k, None], len(LABELS), axis=1), judging)[LABEL]
        for k in (0, 1)
    )
    return Plausibility(int((~stated).sum()), ratio, network)


def _is_adult(record: Record) -> bool:
    return record.age is None or record.age >= ADULT


def as_json(found: Plausibility) -> dict[str, Any]:
    """Return plain values."""
    return {
        "withheld": found.withheld,
        "ratio": found.ratio.model_dump(mode="json"),
        "network": found.network.model_dump(mode="json"),
    }


def text_table(found: Plausibility) -> TextTable:
    """Return a row a way of telling cardiomegaly apart."""
    title = (
        f"PA films of adults: does it tell {LABEL} apart, within source? On {found.withheld} more "
        "no ratio is stated"
    )
    rows = tuple(
        (name, str(one.films), str(one.positives), _auc(one))
        for name, one in (("ratio", found.ratio), ("network's probability", found.network))
    )
    return TextTable(title, ("by", "films", "with it", "AUC"), rows)


def _auc(one: Discrimination) -> str:
    if one.auc is None:
        return "-"
    interval = "" if one.low is None else f" ({one.low:.2f} to {one.high:.2f})"
    return f"{one.auc:.2f}{interval}"
