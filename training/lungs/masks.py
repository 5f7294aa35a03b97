"""A folder of films with masks of their lungs: ``images/`` and ``masks/`` of the same stems."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from inference.image.film import Film
from inference.model.preprocessing import Preprocessing
from training.data.film_set import read_picture
from training.data.opacities import Greys
from training.errors import TrainingError
from training.lungs.examples import Masked
from training.settings import SPLITS

FEWEST = 5  # of films: then each part has one


class BadMasks(TrainingError, ValueError):
    """The folder of films with masks cannot be used; the text says why."""


@dataclass(frozen=True)
class MaskedFile:
    """A film and its mask, where they lie, and the part they belong to."""

    film: Path
    mask: Path
    split: str


def masked_files(folder: Path) -> tuple[MaskedFile, ...]:
    """List the pairs of a folder, sorted by name.

    The parts follow from the order alone: of ten films the fifth and the tenth measure (test),
    the first chooses the epoch (val), the others teach (train).

    Raises
    ------
    BadMasks
        A film has no mask, a mask no film, or there are too few.
    """
    films, masks = _by_stem(folder / "images"), _by_stem(folder / "masks")
    alone = sorted(films.keys() ^ masks.keys())
    if alone:
        lacks = "mask" if alone[0] in films else "film"
        raise BadMasks(f"{folder}: {alone[0]} has no {lacks}; {len(alone)} names have no partner")
    if len(films) < FEWEST:
        raise BadMasks(f"{folder} holds {len(films)} films with masks; {FEWEST} are the fewest")
    pairs = enumerate(sorted(films))
    return tuple(MaskedFile(films[stem], masks[stem], split_of(k)) for k, stem in pairs)


def split_of(index: int) -> str:
    """Return the part of the film, or run of films, of a number in a sorted list."""
    train, val, test = SPLITS
    if index % 5 == 4:
        return test
    return val if index % 10 == 0 else train


def _by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise BadMasks(f"{folder} is not there: a film lies in images/, its mask in masks/")
    return {path.stem: path for path in folder.iterdir() if path.is_file()}


def read_masked(one: MaskedFile) -> Masked:
    """Read a film and its mask, in which bright marks lung.

    Raises
    ------
    BadMasks, BadFilmList
    """
    film, mask = read_picture(one.film).pixels, read_picture(one.mask).pixels
    if film.shape != mask.shape:
        raise BadMasks(f"{one.mask} is {mask.shape}, its film {film.shape}")
    lungs = mask >= 0.5
    if lungs.all() or not lungs.any():
        raise BadMasks(f"{one.mask} tells no lung from what lies around it")
    return Masked(film, lungs)


def small_films(
    files: Sequence[MaskedFile],
    split: str,
    side_px: int,
    read: Callable[[MaskedFile], Masked] = read_masked,
) -> list[Masked]:
    """Read the films of a part, stretched to squares as the network sees them."""
    return [_small(read(one), side_px) for one in files if one.split == split]


def _small(film: Masked, side_px: int) -> Masked:
    def stretched(one: Greys) -> Greys:
        small: Greys = Preprocessing(side_px).resize(Film(one))[0].numpy()
        return small

    return film.moved(stretched)
