"""How often the input check refuses real films, and how often what is none."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from rich.table import Table

from inference.image.film import Film
from inference.model.input_check import Appearance, InputCheck
from training.data.film_set import read_picture
from training.data.record import Record
from training.input_check.counterexamples import (
    HELD_PHOTOGRAPHS,
    OF_FILMS,
    OF_NOTHING,
    Greys,
    photograph_part,
)

REAL = "real films"
MIRRORED = "mirrored films"
_NOTHING_PX = 256

# name -> what is made of an upright film
TURNED: dict[str, Callable[[Greys], Greys]] = {
    "turned, head right": partial(np.rot90, k=3),
    "turned, head left": partial(np.rot90, k=1),
    "turned upside down": partial(np.rot90, k=2),
    "flipped upside down": np.flipud,
    "inverted": lambda film: 1 - film,
    "inverted, turned": lambda film: np.rot90(1 - film, k=1),
    "inverted, flipped upside down": lambda film: np.flipud(1 - film),
}


@dataclass(frozen=True)
class CheckScore:
    """One kind of picture: how many, and which shares were refused and called mirrored."""

    kind: str
    pictures: int
    refused: float
    mirrored: float

    @property
    def good(self) -> bool:
        """Whether the goal is met: real films under 1 % refused, others over 95 %."""
        real = self.kind.startswith((REAL, MIRRORED))
        return self.refused < 0.01 if real else self.refused > 0.95


def evaluate_check(check: InputCheck, records: Sequence[Record], seed: int = 0) -> list[CheckScore]:
    """Let the check look at films as they are, mirrored, and made into counter-examples."""
    seen: dict[str, list[Appearance]] = {}
    for index, record in enumerate(records):
        film = read_picture(record.path).pixels
        rng = np.random.default_rng((seed, index))
        for kind, greys in _pictures(film, record, rng):
            looks = check.look(Film(np.array(greys)))
            seen.setdefault(kind, []).append(looks)
    return [
        CheckScore(
            kind,
            len(looks),
            float(np.mean([one.refusal is not None for one in looks])),
            float(np.mean([one.mirrored for one in looks])),
        )
        for kind, looks in seen.items()
    ]


def _pictures(film: Greys, record: Record, rng: np.random.Generator) -> Iterator[tuple[str, Greys]]:
    """Yield a film and what is made of it, each with the name of its kind."""
    yield REAL, film
    if record.source_px:
        yield f"{REAL} of {record.source_px} px", film
    yield MIRRORED, np.fliplr(film)
    for kind, turn in TURNED.items():
        yield kind, turn(film)
    for kind, maker in OF_FILMS.items():
        yield kind, maker(film, rng)
    blank = np.zeros((_NOTHING_PX, _NOTHING_PX), np.float32)
    for kind, maker in OF_NOTHING.items():
        yield kind, maker(blank, rng)
    yield "photographs that never taught", photograph_part(rng, HELD_PHOTOGRAPHS)


def as_json(judged: Sequence[CheckScore]) -> list[dict[str, Any]]:
    """Return plain values."""
    return [asdict(one) | {"good": one.good} for one in judged]


def table(judged: Sequence[CheckScore]) -> Table:
    """Return a table for a terminal."""
    made = Table("picture", "number", "refused", "called mirrored", "goal")
    for one in judged:
        goal = "met" if one.good else "MISSED"
        cells = (str(one.pictures), f"{one.refused:.1%}", f"{one.mirrored:.1%}", goal)
        made.add_row(one.kind, *cells)
    return made
