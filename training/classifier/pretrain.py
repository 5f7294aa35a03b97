"""`hilum pretrain`: the network learns what films look like, from films without labels.

It learns to see on each part of a film what a smaller network that knows photographs sees there
(`training.classifier.teacher`): far more to learn from than 14 labels a film, and no label is
needed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from monai.transforms import Compose, ToTensor
from torch import nn
from torch.utils.data import Dataset
from torchvision.ops import roi_align

from inference.findings import LABELS
from inference.image.film import PICTURES
from inference.model.network import FindingNetwork
from inference.model.preprocessing import Preprocessing
from training.classifier.teacher import COMPONENTS, SIDE_PX, targets
from training.data.augmentation import exposure
from training.data.film_list import BadFilmList, Source
from training.data.film_set import FilmSet, film_set
from training.data.record import Record
from training.loop import OtherRun, Task, fit
from training.settings import PretrainSettings

TARGETS = "targets.safetensors"

_HELD = 16  # one film in so many is kept apart, to see when to stop
_LEAST = 0.6  # of a side that a crop shows


class FilmsAndTargets(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """A film's exposure varied, and part of it cropped, with what the teacher saw there.

    ``grids`` are the teacher's features of the whole films, (films, COMPONENTS, 7, 7).
    """

    def __init__(self, films: FilmSet, grids: torch.Tensor, settings: PretrainSettings) -> None:
        self.films, self.grids, self.settings = films, grids, settings
        self._exposure = Compose([*exposure(), ToTensor(dtype=torch.float32, track_meta=False)])
        self._normalise = Preprocessing(settings.size_px).normalise

    def __len__(self) -> int:
        return len(self.films)

    def __getitem__(self, at: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (1, size, size) normalised pixels and the (COMPONENTS, 7, 7) target."""
        epoch, index = at
        seed = hash((self.settings.seed, epoch, index)) % 2**32
        self._exposure.set_random_state(seed=seed)
        film = self._normalise(self._exposure(self.films.pixels[index].float() / 255))
        return crop(film, self.grids[index].float(), self.settings.size_px, seed)


def crop(
    film: torch.Tensor, grid: torch.Tensor, size_px: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut one random part out of a film (1, h, w) and out of its grid (components, 7, 7)."""
    generator = torch.Generator().manual_seed(seed)
    sides = _LEAST + (1 - _LEAST) * torch.rand(2, generator=generator)
    corner = (1 - sides) * torch.rand(2, generator=generator)
    box = torch.cat([corner, corner + sides])[None]  # (1, 4) as fractions of the sides
    pixels = roi_align(film[None], [box * film.shape[-1]], size_px, aligned=True)[0]
    seen = roi_align(grid[None], [box * grid.shape[-1]], grid.shape[-1], aligned=True)[0]
    return pixels, seen


def films_of(folders: Sequence[Path], films: Path | None, nih: Path | None) -> list[Record]:
    """List the films of folders, and the train films of a list where one is given.

    Raises
    ------
    BadFilmList
    """
    listed = Source(films, nih).records() if films or nih else []
    none = (0,) * len(LABELS)
    found = [
        Record(path, patient="", split="train", labels=none)
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in PICTURES
    ]
    records = [record for record in listed if record.split == "train"] + found
    if not records:
        where = ", ".join(map(str, [*folders, *filter(None, (films, nih))]))
        raise BadFilmList(f"no film to pre-train on in {where or 'no folder and no list'}")
    return records


def pretrain(records: Sequence[Record], out: Path, settings: PretrainSettings) -> Path:
    """Train, or go on with, the run in ``out``; return its best weights' file.

    Test films are refused: nothing may have been seen of them.

    Raises
    ------
    BadFilmList, NoTeacher, OtherRun
    """
    if any(record.split == "test" for record in records):
        raise BadFilmList("test films are among those to pre-train on; leave them out")
    out.mkdir(parents=True, exist_ok=True)
    grids = targets(film_set(records, Preprocessing(SIDE_PX)), out / TARGETS, settings.device)
    if len(grids) != len(records):
        raise OtherRun(f"{out} holds a run on {len(grids)} films, not on {len(records)}")
    films = film_set(records, Preprocessing(round(settings.size_px / _LEAST**0.5)))
    return fit(task(films, grids, settings), settings, out)


def task(films: FilmSet, grids: torch.Tensor, settings: PretrainSettings) -> Task:
    """Define the training: predict what the teacher saw; films kept apart judge it.

    ``grids`` are the teacher's features, (films, COMPONENTS, 7, 7).
    """
    torch.manual_seed(settings.seed)
    network = FindingNetwork(settings.architecture, labels=COMPONENTS)
    held = torch.arange(len(films)) % _HELD == 0
    seen = part(films, ~held)
    apart = FilmsAndTargets(part(films, held), grids[held], settings)
    examples = zip(*(apart[0, k] for k in range(len(apart))), strict=True)
    batches = list(zip(*(torch.split(torch.stack(side), 64) for side in examples), strict=True))

    def loss(network: nn.Module, batch: Any) -> torch.Tensor:
        pixels, targets = (one.to(settings.device) for one in batch)
        _, maps = network(pixels.contiguous(memory_format=torch.channels_last))
        targets = nn.functional.interpolate(
            targets, maps.shape[-2:], mode="bilinear", align_corners=False
        )
        return nn.functional.mse_loss(maps.float(), targets)

    @torch.inference_mode()
    def score(average: nn.Module) -> float:
        """Return the share of the targets' variance that is explained."""
        missed = sum(float(loss(average, one)) * len(one[0]) for one in batches)
        return 1 - missed / len(apart)

    provenance = (
        f"label-free pre-training on {len(films)} films, {settings.epochs} epochs at "
        f"{settings.size_px} px, learning what an EfficientNet-Lite0 trained on ImageNet sees"
    )
    return Task(
        network, FilmsAndTargets(seen, grids[~held], settings), loss, score, provenance=provenance
    )


def part(films: FilmSet, chosen: torch.Tensor) -> FilmSet:
    """Return the chosen films of a set, (films,) bool; nothing is decoded again."""
    where = chosen.nonzero().flatten().tolist()
    return FilmSet(
        tuple(films.records[k] for k in where),
        torch.utils.data.Subset(films.pixels, where),
        films.labels[chosen],
    )
