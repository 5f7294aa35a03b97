"""`hilum train-check`: the input check learns from films and counter-examples made of them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset, default_collate

from inference.model.bundle import file_sha256
from inference.model.input_check import CheckNetwork
from inference.model.metadata import LOOKS, CheckSpec, Look
from inference.model.preprocessing import Preprocessing
from training.bundle.parts import CHECK_SPEC, CHECK_WEIGHTS
from training.bundle.rounding import rounded, store
from training.classifier.pretrain import films_of, part
from training.data.film_list import BadFilmList, Source
from training.data.film_set import FilmSet, film_set
from training.input_check.examples import example
from training.loop import BEST, Task, fit
from training.settings import CheckSettings

REFUSED = 0.005  # of real films, when the operating points are chosen: half of what is allowed
MIRRORED_FOUND = 0.95  # of mirrored films; no more, for the note on a film that is not is wrong
MOST_UPRIGHT = 0.5  # a threshold never asks for more: the films held are few and of one hospital
CACHED_PX = 144  # films are kept this large: a part cut out of one is then still sharp

_HELD = 16  # one film of a folder in so many chooses epoch and operating points
_HELD_EPOCH = 2**31  # the examples that judge are those of an epoch that never comes


class Examples(Dataset[tuple[torch.Tensor, int, float]]):
    """Each film once an epoch, as an example: ``(epoch, index)`` -> pixels, look, mirrored."""

    def __init__(self, films: FilmSet, settings: CheckSettings) -> None:
        self.films, self.settings = films, settings

    def __len__(self) -> int:
        return len(self.films)

    def __getitem__(self, at: tuple[int, int]) -> tuple[torch.Tensor, int, float]:
        """Make one example; the same seed, epoch and index give the same."""
        epoch, index = at
        rng = np.random.default_rng((self.settings.seed, epoch, index))
        film = self.films.pixels[index][0].numpy().astype(np.float32) / np.float32(255)
        made = example(film, rng, self.settings.size_px)
        return torch.from_numpy(made.greys)[None], LOOKS.index(made.look), float(made.mirrored)


def train_check(
    source: Source, folders: Sequence[Path], out: Path, settings: CheckSettings
) -> Path:
    """Train, or go on with, the check in ``out``; return the file that says how to use it.

    Train films and those of ``folders`` teach; val films and one in 16 of the folders' choose
    the epoch and the operating points.

    Raises
    ------
    BadFilmList, OtherRun
    """
    records = source.records()
    held_records = [record for record in records if record.split == "val"]
    if not held_records:
        raise BadFilmList("no film is in split 'val'")
    cache = Preprocessing(CACHED_PX)
    films = film_set(films_of(folders, source.films, source.nih), cache)
    apart = torch.tensor(
        [not one.patient and k % _HELD == 0 for k, one in enumerate(films.records)]
    )
    held = [film_set(held_records, cache), *([part(films, apart)] if apart.any() else [])]
    torch.manual_seed(settings.seed)
    network = CheckNetwork(settings.size_px)
    fit(task(network, part(films, ~apart), held, settings), settings, out)
    best = torch.load(out / BEST, map_location="cpu", weights_only=True)
    network.load_state_dict(best["weights"])
    return write_check(network.cpu(), held, settings.size_px, out)


def task(
    network: CheckNetwork, seen: FilmSet, held: Sequence[FilmSet], settings: CheckSettings
) -> Task:
    """Say what is learnt: looks and sides, judged by the loss on examples of ``held``."""
    normalise = Preprocessing(settings.size_px).normalise
    judges = [Examples(films, settings) for films in held]
    everything = [one[_HELD_EPOCH, k] for one in judges for k in range(len(one))]
    batches = [default_collate(everything[k : k + 64]) for k in range(0, len(everything), 64)]

    def loss(network: nn.Module, batch: Any) -> torch.Tensor:
        pixels, looks, mirrored = (one.to(settings.device) for one in batch)
        logits, sides = network(normalise(pixels).contiguous(memory_format=torch.channels_last))
        upright = looks == LOOKS.index(Look.UPRIGHT)
        look_loss = nn.functional.cross_entropy(logits.float(), looks, label_smoothing=0.01)
        side_loss = nn.functional.binary_cross_entropy_with_logits(
            sides.float(), mirrored.float(), weight=upright.float()
        )
        return look_loss + side_loss

    @torch.inference_mode()
    def score(average: nn.Module) -> float:
        missed = sum(float(loss(average, one)) * len(one[0]) for one in batches)
        return -missed / len(everything)

    return Task(network, Examples(seen, settings), loss, score)


def write_check(network: CheckNetwork, held: Sequence[FilmSet], size_px: int, out: Path) -> Path:
    """Round to float16, choose the operating points on films as they are, write both files."""
    network.load_state_dict(rounded(network))
    looks, mirrored = _logits(network, held, size_px)
    _, flipped = _logits(network, held, size_px, mirror=True)
    upright = looks.softmax(1)[:, 0].sort().values
    sides = mirrored.sigmoid().sort(descending=True).values
    spared = int(REFUSED * len(upright))
    store(network, out / CHECK_WEIGHTS)
    spec = CheckSpec(
        size_px=size_px,
        looks=LOOKS,
        upright=min(MOST_UPRIGHT, max(1e-4, float(upright[spared]))),
        mirrored=min(1 - 1e-4, max(0.5, float(sides[spared]) + 1e-4, _found(flipped))),
        sha256=file_sha256(out / CHECK_WEIGHTS),
    )
    (out / CHECK_SPEC).write_text(json.dumps(spec.model_dump(mode="json"), indent=2) + "\n")
    return out / CHECK_SPEC


def _found(flipped: torch.Tensor) -> float:
    """Return the probability from which enough of the mirrored films are found."""
    return float(flipped.sigmoid().quantile(1 - MIRRORED_FOUND))


@torch.inference_mode()
def _logits(
    network: CheckNetwork, held: Sequence[FilmSet], size_px: int, *, mirror: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits of looks (films, looks) and of mirrored (films,), of films as they are."""
    network.eval()
    normalise = Preprocessing(size_px).normalise
    outputs = []
    for pixels in (batch for films in held for batch in films.batches(64)):
        small = nn.functional.interpolate(pixels.float() / 255, size_px, mode="area")
        outputs.append(network(normalise(small.flip(-1) if mirror else small)))
    looks, mirrored = zip(*outputs, strict=True)
    return torch.cat(looks), torch.cat(mirrored)
