"""Films on which both lungs and the heart are outlined, and films of lungs alone beside them.

A folder of hearts has ``films.csv`` with the columns file and mask; of a mask's bits `RIGHT_LUNG`,
`LEFT_LUNG` and `HEART` mark what they name. The silhouette of the heart overlaps the lungs.
"""

import csv
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from training.data.film_set import read_picture
from training.lungs.examples import Masked
from training.lungs.masks import FEWEST, BadMasks, MaskedFile, split_of

RIGHT_LUNG, LEFT_LUNG, HEART = 1, 2, 4
LIST = "films.csv"
RUN = 10  # neighbours by name, which go into one part together


def heart_files(folder: Path) -> tuple[MaskedFile, ...]:
    """List the films of a folder, sorted by name.

    Neighbours by name look as if one machine had made them, so ten of them go together: of ten
    such runs the fifth and the tenth measure (test), the first chooses the epoch (val), the
    others teach (train).

    Raises
    ------
    BadMasks
        The list is not there, lacks a column, or is too short.
    """
    try:
        with (folder / LIST).open(newline="") as file:
            rows = sorted((row["file"], row["mask"]) for row in csv.DictReader(file))
    except (OSError, KeyError) as error:
        raise BadMasks(f"{folder / LIST} lists no films and masks: {error!r}") from error
    if len(rows) < FEWEST:
        raise BadMasks(f"{folder} holds {len(rows)} films with masks; {FEWEST} are the fewest")
    run = min(RUN, max(1, len(rows) // FEWEST))
    return tuple(
        MaskedFile(folder / film, folder / mask, split_of(k // run))
        for k, (film, mask) in enumerate(rows)
    )


def read_heart(one: MaskedFile) -> Masked:
    """Read a film and the masks of its lungs and heart.

    Raises
    ------
    BadMasks, BadFilmList
    """
    film = read_picture(one.film).pixels
    try:
        with Image.open(one.mask) as picture:
            marks = np.array(picture)
    except (OSError, UnidentifiedImageError) as error:
        raise BadMasks(f"{one.mask} is no picture: {error}") from error
    if film.shape != marks.shape:
        raise BadMasks(f"{one.mask} is {marks.shape}, its film {film.shape}")
    lungs, heart = ((marks & bits) > 0 for bits in (RIGHT_LUNG | LEFT_LUNG, HEART))
    if not lungs.any() or not heart.any():
        raise BadMasks(f"{one.mask} marks no lung, or no heart")
    return Masked(film, lungs, heart)
