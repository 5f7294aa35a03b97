"""`hilum train-lungs`: the lung segmenter learns from films with masks, and disease painted on.

The loop is that of any segmenter of the two organs: `task` takes a network of one or two outputs.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.losses import DiceCELoss
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import Dataset, default_collate

from inference.model.bundle import file_sha256
from inference.model.lung_fields import LungFields, lung_network
from inference.model.metadata import LungSpec
from inference.model.preprocessing import Preprocessing
from training.bundle.parts import LUNG_FIELDS, LUNG_SPEC, LUNG_WEIGHTS, read_spec
from training.bundle.rounding import rounded, store
from training.loop import BEST, Task, fit
from training.lungs.examples import Masked, example
from training.lungs.masks import masked_files, small_films
from training.settings import LungSettings

THRESHOLD = 0.5  # what the loss aims at; no film is spent on choosing another
SPARE = 1.25  # films are kept this much larger than the input: they are bent before they shrink

_JUDGED = 4  # examples of each val film, which choose the epoch
_HELD_EPOCH = 2**31  # the examples that judge are those of epochs that never come


class Examples(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Each film once an epoch, as an example: ``(epoch, index)`` -> greys, masks.

    ``organs`` is 1 for lungs, 2 for lungs and heart.
    """

    def __init__(self, films: Sequence[Masked], settings: LungSettings, organs: int = 1) -> None:
        self.films, self.settings, self.organs = films, settings, organs

    def __len__(self) -> int:
        return len(self.films)

    def __getitem__(self, at: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Make one example, (1, size, size) and (organs, size, size).

        The same seed, epoch and index give the same.
        """
        epoch, index = at
        rng = np.random.default_rng((self.settings.seed, epoch, index))
        settings = self.settings
        greys, masks = example(
            self.films[index], rng, settings.size_px, settings.ill, settings.bent
        )
        return torch.from_numpy(greys)[None], torch.from_numpy(masks[: self.organs])


def train_lungs(masks: Path, out: Path, settings: LungSettings) -> Path:
    """Train, or go on with, the segmenter in ``out``; return the file that says how to use it.

    Raises
    ------
    BadMasks, BadFilmList, OtherRun
    """
    files, side_px = masked_files(masks), round(settings.size_px * SPARE)
    seen, held = (small_films(files, split, side_px) for split in ("train", "val"))
    torch.manual_seed(settings.seed)
    network = lung_network()
    fit(task(network, seen, held, settings, organs=1), settings, out)
    best = torch.load(out / BEST, map_location="cpu", weights_only=True)
    network.load_state_dict(best["weights"])
    return write_lungs(network.cpu(), settings.size_px, out)


def task(
    network: nn.Module,
    seen: Sequence[Masked],
    held: Sequence[Masked],
    settings: LungSettings,
    organs: int,
) -> Task:
    """Say what is learnt: organs, also behind what lies on them; judged by Dice on ``held``.

    A film on which one organ is not known teaches, and judges, the others.
    """
    normalise = Preprocessing(settings.size_px).normalise
    mistaken = DiceCELoss(sigmoid=True)
    judge = Examples(held, settings, organs)
    judged = [judge[_HELD_EPOCH + n, k] for n in range(_JUDGED) for k in range(len(judge))]
    batches = [default_collate(judged[k : k + 32]) for k in range(0, len(judged), 32)]

    def logits_of(network: nn.Module, greys: torch.Tensor) -> torch.Tensor:
        ready = normalise(greys.to(settings.device)).contiguous(memory_format=torch.channels_last)
        logits: torch.Tensor = network(ready)
        return logits

    def loss(network: nn.Module, batch: Any) -> torch.Tensor:
        greys, masks = batch
        logits, masks = logits_of(network, greys).float(), masks.to(settings.device)
        missed = [
            mistaken(logits[known, organ : organ + 1], masks[known, organ : organ + 1])
            for organ, known in enumerate(_known(masks))
            if known.any()
        ]
        return torch.stack(missed).mean()

    @torch.inference_mode()
    def score(average: nn.Module) -> float:
        scores: list[list[torch.Tensor]] = [[] for _ in range(organs)]
        for greys, masks in batches:
            found = logits_of(average, greys).cpu().sigmoid() >= THRESHOLD
            for organ, known in enumerate(_known(masks)):
                true = masks[known, organ] >= THRESHOLD
                scores[organ].append(dice_of(found[known, organ], true))
        return float(torch.stack([torch.cat(one).mean() for one in scores]).mean())

    about = f"{len(seen)} films with masks, {len(held)} more chose the epoch"
    return Task(network, Examples(seen, settings, organs), loss, score, provenance=about)


def _known(masks: torch.Tensor) -> torch.Tensor:
    """Return which masks somebody drew: (b, organs, size, size) -> (organs, b)."""
    return (masks >= 0).all(dim=(2, 3)).T


def dice_of(found: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Return the Dice coefficient of each of two stacks of masks, (b, ...) -> (b,)."""
    both = (found & true).flatten(1).sum(1)
    return (2 * both + 1e-6) / (found.flatten(1).sum(1) + true.flatten(1).sum(1) + 1e-6)


def lungs_of(run: Path) -> LungFields:
    """Load the segmenter that a finished run made.

    Raises
    ------
    NoPart
    """
    spec = LungSpec.model_validate(read_spec(LUNG_FIELDS, run).model_dump())
    network = lung_network()
    network.load_state_dict(load_file(run / LUNG_WEIGHTS))
    return LungFields(network.eval().requires_grad_(False), spec)


def write_lungs(network: nn.Module, size_px: int, out: Path) -> Path:
    """Write the weights, rounded to float16, and how to use them."""
    network.load_state_dict(rounded(network))
    store(network, out / LUNG_WEIGHTS)
    spec = LungSpec(size_px=size_px, threshold=THRESHOLD, sha256=file_sha256(out / LUNG_WEIGHTS))
    (out / LUNG_SPEC).write_text(json.dumps(spec.model_dump(mode="json"), indent=2) + "\n")
    return out / LUNG_SPEC
