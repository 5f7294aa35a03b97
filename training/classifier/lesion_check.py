"""`hilum lesions`: what is certainly there must be found and pointed at.

A soft-edged disc of known place, size and contrast is laid into half of the films, before they are
made small. The network, the loop, the augmentation and the maps are those of the findings; a
pipeline that cannot learn this disc and point at it has a fault that no finding would show plainly.

References
----------
Zhang et al., Top-down Neural Attention by Excitation Backprop, ECCV 2016: the pointing game.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from inference.image.film import Film
from inference.model.network import FindingNetwork
from inference.model.preprocessing import Preprocessing
from training.classifier.train import MIN_POSITIVES, begin, task
from training.data.film_list import BadFilmList, Source
from training.data.film_set import MARGIN, FilmSet, film_set, read_picture
from training.data.record import Record
from training.evaluation.statistics import aucs
from training.loop import CHECKPOINT, fit
from training.settings import TrainSettings

LESIONS = "lesions.json"

RADII = (0.06, 0.10)  # of a side: 4 to 7 cm across on a film of 35 cm, a large mass
CONTRAST = 0.25  # of the full scale
MIDDLE = (0.25, 0.75)  # of each side, where centres lie: lungs and mediastinum
SOFT = 0.3  # of the radius: its edge fades so, as the edge of something round does

_FINE = 8  # places looked at between two cells of a map


class Disc(NamedTuple):
    """Where a lesion lies; all are fractions of a side of the square that the network sees."""

    row: float
    column: float
    radius: float

    def reaches(self, row: float, column: float) -> bool:
        """Say whether a place, in fractions of the sides, lies in the disc."""
        return float(np.hypot(row - self.row, column - self.column)) <= self.radius


@dataclass(frozen=True)
class LesionScore:
    """How well the discs of held-out films are detected and pointed at.

    Attributes
    ----------
    films, lesions
        How many were held out, and how many of them have a disc.
    auc
        Of the logit, films with a disc against films without.
    pointing
        Share of the films with a disc in which the map is greatest inside the disc.
    contrast
        What was added in the middle of a disc to greys in [0, 1].
    """

    films: int
    lesions: int
    auc: float
    pointing: float
    contrast: float

    def as_json(self) -> dict[str, float]:
        """Return plain values."""
        return asdict(self)


def disc_of(path: Path) -> Disc | None:
    """Return the disc of a film, or None for the half without: the film's name decides."""
    rng = np.random.default_rng(list(hashlib.sha256(path.stem.encode()).digest()))
    row, column = rng.uniform(*MIDDLE, size=2)
    disc = Disc(float(row), float(column), float(rng.uniform(*RADII)))
    return disc if rng.random() < 0.5 else None


def with_disc(film: Film, disc: Disc, contrast: float) -> Film:
    """Add a disc to a film's greys, in the middle by ``contrast``, at its edge by nothing."""
    rows, columns = film.pixels.shape
    y = ((np.arange(rows) + 0.5) / rows - disc.row)[:, None]
    x = (np.arange(columns) + 0.5) / columns - disc.column
    shade = np.clip((1 - np.hypot(y, x) / disc.radius) / SOFT, 0, 1)  # (rows, columns)
    return replace(film, pixels=np.clip(film.pixels + contrast * shade, 0, 1).astype(np.float32))


def lesion_films(
    records: Sequence[Record], preprocessing: Preprocessing, contrast: float
) -> FilmSet:
    """Read films, half of them with a disc; their one label says which."""

    def read(path: Path) -> Film:
        film, disc = read_picture(path), disc_of(path)
        return film if disc is None else with_disc(film, disc, contrast)

    labels = torch.tensor([[float(disc_of(record.path) is not None)] for record in records])
    return replace(film_set(records, preprocessing, read=read), labels=labels)


def learn_lesions(
    source: Source,
    out: Path,
    settings: TrainSettings,
    contrast: float = CONTRAST,
    size_px: int | None = None,
) -> LesionScore:
    """Train on the train films, or go on with it, and measure on the val films.

    The weights measured are those after the last epoch, so that the val films choose nothing.

    Parameters
    ----------
    size_px
        Side of the films that are measured; that of training when left out. A bundle reads films
        larger than it learnt from them (`export_run`), for crops in training enlarge them.

    Raises
    ------
    BadFilmList, NoWeights, OtherRun
    """
    records = source.records()
    apart = {s: [one for one in records if one.split == s] for s in ("train", "val")}
    for split, chosen in apart.items():
        discs = sum(disc_of(record.path) is not None for record in chosen)
        if not MIN_POSITIVES <= discs < len(chosen):
            raise BadFilmList(f"split {split!r} has too few films: {discs} would have a disc")
    network, _ = begin([[int(disc_of(one.path) is not None)] for one in apart["train"]], settings)
    larger = Preprocessing(round(settings.size_px * MARGIN))
    seen = lesion_films(apart["train"], larger, contrast)
    held = lesion_films(apart["val"], Preprocessing(settings.size_px), contrast)
    fit(task(network, seen, held, settings), settings, out)
    last = torch.load(out / CHECKPOINT, map_location=settings.device, weights_only=True)
    network.load_state_dict(last["average"])
    if size_px is not None:
        held = lesion_films(apart["val"], Preprocessing(size_px), contrast)
    score = measure(network, held, settings.device, contrast)
    (out / LESIONS).write_text(json.dumps(score.as_json(), indent=2) + "\n")
    return score


@torch.inference_mode()
def measure(network: FindingNetwork, held: FilmSet, device: str, contrast: float) -> LesionScore:
    """Measure a network on films of `lesion_films`."""
    network.eval()
    logits, places = [], []
    for pixels in held.batches(32):
        films = Preprocessing(1).normalise(pixels.float() / 255).to(device)
        scores, maps = network(films)  # (b, 1), (b, 1, h, w)
        logits.append(scores[:, 0].cpu())
        places += greatest(maps.float().cpu())
    discs = [disc_of(record.path) for record in held.records]
    hits = [disc.reaches(*at) for disc, at in zip(discs, places, strict=True) if disc]
    (auc,) = aucs(torch.cat(logits).double().numpy()[:, None], held.labels.double().numpy())
    return LesionScore(len(held), len(hits), float(auc), sum(hits) / len(hits), contrast)


def greatest(maps: torch.Tensor) -> list[tuple[float, float]]:
    """Return where each map (b, 1, h, w) is greatest, as fractions of its sides.

    Between the cells the map is continued smoothly (bicubic), as it is for the eye: a cell of an
    8 x 8 map is larger than a lesion, and its centre may lie beside one that it shows.
    """
    fine = nn.functional.interpolate(
        maps, scale_factor=_FINE, mode="bicubic", align_corners=False
    )  # (b, 1, _FINE h, _FINE w)
    rows, columns = fine.shape[-2:]
    at = fine.flatten(1).argmax(dim=1).tolist()
    return [((k // columns + 0.5) / rows, (k % columns + 0.5) / columns) for k in at]
