"""How far probabilities move when the same film comes otherwise: another window, JPEG, crooked."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.table import Table

from inference.findings import LABELS
from inference.image.film import Film
from inference.model.engine import Engine
from training.data.film_set import read_picture
from training.data.perturbations import PERTURBATIONS, Perturbation
from training.data.record import Record
from training.evaluation.statistics import Doubles

GOAL = 0.03  # mean absolute change of probability


@dataclass(frozen=True)
class ProbabilityChange:
    """How far probabilities moved under one perturbation.

    Attributes
    ----------
    mean
        Absolute change of probability, mean over films and findings.
    worst
        The same of the finding that moved most, ``worst_label``.
    """

    perturbation: str
    films: int
    mean: float
    worst: float
    worst_label: str

    @property
    def good(self) -> bool:
        """Whether the goal is met."""
        return self.mean < GOAL


def measure_invariance(
    engine: Engine,
    records: Sequence[Record],
    perturbations: Sequence[Perturbation] = PERTURBATIONS,
) -> list[ProbabilityChange]:
    """Read each film as it is and under each perturbation, and say how far it moved."""
    with ThreadPoolExecutor(max_workers=4) as threads:

        def read(film: Film) -> Doubles:
            return engine.read(film).probabilities.astype(np.float64)

        changes = [  # (perturbations, 14) per film
            np.abs(np.stack(list(threads.map(read, versions[1:]))) - read(versions[0]))
            for versions in _versions(records, perturbations)
        ]
    return [
        _probability_change(perturbation.name, np.stack(change))
        for perturbation, change in zip(perturbations, zip(*changes, strict=True), strict=True)
    ]


def _versions(
    records: Sequence[Record], perturbations: Sequence[Perturbation]
) -> Iterator[list[Film]]:
    """Yield each film with its perturbed versions behind it; its number is the seed."""
    for seed, record in enumerate(records):
        film = read_picture(record.path)
        yield [film, *(perturbation(film, seed) for perturbation in perturbations)]


def _probability_change(name: str, change: Doubles) -> ProbabilityChange:
    by_finding = change.mean(axis=0)  # (14,)
    worst = int(by_finding.argmax())
    return ProbabilityChange(
        name, len(change), float(change.mean()), float(by_finding[worst]), LABELS[worst]
    )


def as_json(moved: Sequence[ProbabilityChange]) -> list[dict[str, Any]]:
    """Return plain values."""
    return [asdict(one) | {"goal": GOAL, "good": one.good} for one in moved]


def table(moved: Sequence[ProbabilityChange]) -> Table:
    """Return a table for a terminal."""
    films = moved[0].films if moved else 0
    made = Table(
        "perturbation",
        "mean change",
        "worst finding",
        "",
        f"goal {GOAL}",
        title=f"mean absolute change of probability, {films} films",
    )
    for one in moved:
        goal = "met" if one.good else "MISSED"
        made.add_row(one.perturbation, f"{one.mean:.4f}", one.worst_label, f"{one.worst:.4f}", goal)
    return made
