"""Train films as examples: varied, with their labels and with where their findings lie."""

from functools import lru_cache

import torch
from torch.nn.functional import adaptive_avg_pool2d
from torch.utils.data import Dataset

from inference.findings import LABELS
from training.data.augmentation import Augmentation
from training.data.boxes import box_masks
from training.data.film_set import FilmSet
from training.settings import TrainSettings

CELL_PX = 16  # of the film, a cell of the maps

Example = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class VariedFilms(Dataset[Example]):
    """Train films, varied anew each epoch: ``(epoch, index)`` -> pixels in [0, 1], labels, places.

    Places, (14, h, w), say how much of each cell of a map lies in a box of the finding.
    """

    def __init__(self, films: FilmSet, settings: TrainSettings) -> None:
        self.films, self.settings = films, settings

    def __len__(self) -> int:
        return len(self.films)

    def __getitem__(self, at: tuple[int, int]) -> Example:
        """Vary one film; the same seed, epoch and index give the same pixels."""
        epoch, index = at
        side = self.settings.side_at(epoch)
        seed = hash((self.settings.seed, epoch, index))
        pixels, boxes = self.films.pixels[index], self.films.records[index].boxes
        masks = box_masks(boxes, (pixels.shape[1], pixels.shape[2]))
        film, moved = _augmentation(side).vary(pixels, masks, seed)
        cells = side // CELL_PX
        places = torch.zeros(len(LABELS), cells, cells)
        for box, mask in zip(boxes, moved, strict=True):
            own = places[LABELS.index(box.label)]
            own.copy_(own.maximum(adaptive_avg_pool2d(mask[None], (cells, cells))[0]))
        return film, self.films.labels[index], places


@lru_cache(maxsize=2)
def _augmentation(size_px: int) -> Augmentation:
    """Make one for each side: it costs a third of what it does to a film."""
    return Augmentation(size_px)
