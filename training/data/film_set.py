"""Films of a split: read as the service reads them, and kept small in memory."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from monai.data import CacheDataset
from monai.transforms import Transform
from pydicom.errors import InvalidDicomError

from inference.image.dicom_file import read_dicom
from inference.image.film import PICTURES, Film, NotAFilm, film_from_picture, read_film
from inference.model.preprocessing import Preprocessing
from training.data.film_list import BadFilmList
from training.data.record import Record

# films decoded and kept; beyond, they are read again each epoch. 50,000 of 147 px are 1.1 GB
CACHED_FILMS = 50_000

MARGIN = 1.15  # cached films are this much larger than the network's input: room for crops


@dataclass(frozen=True, eq=False)
class FilmSet:
    """Films of one split.

    Attributes
    ----------
    records
        One per film.
    pixels
        (1, size, size) uint8 per film, decoded at first use or before: 255 is the film's 1.0.
    labels
        (films, 14) float32, 0 or 1, in the order of `FINDINGS`.
    """

    records: tuple[Record, ...]
    pixels: CacheDataset
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.records)

    def batches(self, size: int) -> Iterator[torch.Tensor]:
        """Yield the pixels of all films in order, (b, 1, side, side) uint8."""
        for start in range(0, len(self), size):
            stop = min(start + size, len(self))
            yield torch.stack([self.pixels[index] for index in range(start, stop)])


class ReadSmall(Transform):  # type: ignore[misc]
    """File -> (1, size, size) uint8, through the preprocessing that inference uses."""

    def __init__(self, preprocessing: Preprocessing, read: Callable[[Path], Film]) -> None:
        self.preprocessing, self.read = preprocessing, read

    def __call__(self, path: Path) -> torch.Tensor:
        """Read one film, a PNG, a JPEG or a DICOM file."""
        return (self.preprocessing.resize(self.read(path)) * 255).round().to(torch.uint8)


class KeptFilms(CacheDataset):  # type: ignore[misc]
    """MONAI's cache, which says what was wrong with a film, not which transform met it."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        with _first_cause():
            super().__init__(*arguments, **named)

    def __getitem__(self, index: int) -> torch.Tensor:
        """Return a film that is kept, or read it."""
        with _first_cause():
            film: torch.Tensor = super().__getitem__(index)
        return film


@contextmanager
def _first_cause() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if isinstance(error.__cause__, BadFilmList):
            raise error.__cause__ from None
        raise


def read_picture(path: Path) -> Film:
    """Read a grey picture, or a DICOM film as the service does.

    Raises
    ------
    BadFilmList
        The file is not there or is no film; the text names it.
    """
    try:
        if path.suffix.lower() in PICTURES:
            return film_from_picture(path)
        return read_film(read_dicom(path))
    except (OSError, InvalidDicomError, NotAFilm) as error:
        raise BadFilmList(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def load_films(
    records: Sequence[Record], split: str, preprocessing: Preprocessing, cached: int = CACHED_FILMS
) -> FilmSet:
    """Decode the films of a split once, through the preprocessing that inference uses.

    Raises
    ------
    BadFilmList
        The split holds no film, or one cannot be read.
    """
    chosen = tuple(record for record in records if record.split == split)
    if not chosen:
        raise BadFilmList(f"no film is in split {split!r}")
    return film_set(chosen, preprocessing, cached)


def film_set(
    records: Sequence[Record],
    preprocessing: Preprocessing,
    cached: int = CACHED_FILMS,
    read: Callable[[Path], Film] = read_picture,
) -> FilmSet:
    """Decode films once, several at a time."""
    pixels = KeptFilms(
        [record.path for record in records],
        ReadSmall(preprocessing, read),
        cache_num=cached,
        num_workers=None,  # as many threads as there are cores
        progress=False,
        copy_cache=False,  # nothing below writes into a film
    )
    labels = torch.tensor([record.labels for record in records], dtype=torch.float32)
    return FilmSet(tuple(records), pixels, labels)
