"""Another network on the same films: compared film by film, drawn patient by patient.

References
----------
Davison and Hinkley, Bootstrap Methods and their Application, 1997, chapter 4.4.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from inference.findings import LABELS
from training.data.record import Record
from training.errors import TrainingError
from training.evaluation.classification import without_nan
from training.evaluation.sample import ScoredSample
from training.evaluation.statistics import (
    Doubles,
    Estimate,
    aucs,
    estimate,
    mean_known,
    patient_draws,
)
from training.evaluation.subsets import ALL, QUOTED, subsets_of
from training.evaluation.text_table import Row, TextTable

FILM = "image_index"


class BadReference(TrainingError, ValueError):
    """The file of another network's probabilities cannot be used; the text says why."""


@dataclass(frozen=True)
class Difference:
    """One AUC of each network, and ours less theirs.

    ``p`` is two-sided: how often a bootstrap of patients puts the difference on the other side
    of 0, twice; nan where undefined.
    """

    label: str
    ours: float
    theirs: float
    difference: Estimate
    p: float

    def row(self) -> Row:
        """Return the cells of `Comparison.sheet`."""
        if np.isnan(self.difference.value):
            return self.label, "-", "-", "-", "-"
        low, high = self.difference.low, self.difference.high
        apart = f"{self.difference.value:+.3f} ({low:+.3f} to {high:+.3f})"
        return self.label, f"{self.ours:.3f}", f"{self.theirs:.3f}", apart, f"{self.p:.3f}"


@dataclass(frozen=True)
class Comparison:
    """Both networks on those films of a subset that the reference has.

    Attributes
    ----------
    films, of
        How many films were compared, of how many in the subset.
    """

    subset: str
    reference: str
    films: int
    of: int
    macro: Difference
    findings: tuple[Difference, ...]

    def as_json(self) -> dict[str, Any]:
        """Return plain values; what is undefined is None."""
        plain: dict[str, Any] = without_nan(asdict(self))
        return plain

    def sheet(self) -> TextTable:
        """Return the table of both AUCs."""
        title = (
            f"Against {self.reference}, {self.subset}: {self.films} of {self.of} films are in it"
        )
        columns = ("finding", "our AUC", "theirs", "difference (95 % interval)", "p")
        rows = tuple(difference.row() for difference in (*self.findings, self.macro))
        return TextTable(title, columns, rows)


def read_reference(path: Path) -> dict[str, tuple[float, ...]]:
    """Read probabilities by film, in the order of `FINDINGS`.

    A CSV with a row a film: ``image_index``, the 14 labels. A film is named without folder and
    suffix.

    Raises
    ------
    BadReference
        A column is missing, or a value is no number.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError) as error:
        raise BadReference(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if not rows:
        raise BadReference(f"{path}: has no film")
    missing = [column for column in (FILM, *LABELS) if column not in rows[0]]
    if missing:
        raise BadReference(f"{path}: column {', '.join(missing)} is missing")
    return dict(_read_row(path, row) for row in rows)


def _read_row(path: Path, row: Mapping[str, str]) -> tuple[str, tuple[float, ...]]:
    try:
        scores = tuple(float(row[label]) for label in LABELS)
    except (TypeError, ValueError) as error:
        raise BadReference(f"{path}: {row[FILM]}: {error}") from error
    if not np.isfinite(scores).all():
        raise BadReference(f"{path}: {row[FILM]}: not every value is a finite number")
    return PurePath(row[FILM]).stem, scores


def scores_for(records: Sequence[Record], *paths: Path) -> Doubles:
    """Return the reference's scores of films, (films, 14); a row of nan where it has none.

    Parameters
    ----------
    paths
        Its files; each may have some of the films.

    Raises
    ------
    BadReference
        It cannot be read, or has none of the films.
    """
    known = {film: row for path in paths for film, row in read_reference(path).items()}
    nothing = (np.nan,) * len(LABELS)
    scores = np.array([known.get(record.name, nothing) for record in records])
    if np.isnan(scores).all():
        named = ", ".join(map(str, paths))
        raise BadReference(f"{named}: has none of the {len(records)} films")
    return scores


def compare_all(
    sample: ScoredSample, theirs: Doubles, records: Sequence[Record], reference: str
) -> list[Comparison]:
    """Compare on all films, and on those to quote, as far as the reference has them.

    ``theirs`` are the reference's scores, (films, 14); nan where it has none.
    """
    comparisons = []
    for subset in subsets_of(records)[0]:
        if subset.name in (ALL, QUOTED):
            chosen = np.array(subset.films)
            found = chosen[~np.isnan(theirs[chosen, 0])]
            if found.size:
                macro, findings = compare(sample.take(found), theirs[found])
                of = len(chosen)
                comparison = Comparison(subset.name, reference, len(found), of, macro, findings)
                comparisons.append(comparison)
    return comparisons


def compare(sample: ScoredSample, theirs: Doubles) -> tuple[Difference, tuple[Difference, ...]]:
    """Return the macro difference and that of each finding, on the same draws of patients.

    ``theirs`` are the reference's scores, (films, 14), of the sample's films.
    """
    labels = sample.positive.astype(float)
    ours, others = aucs(sample.scores, labels), aucs(theirs, labels)
    apart = np.concatenate(  # (draws, 14)
        [
            aucs(sample.scores, labels, weights) - aucs(theirs, labels, weights)
            for weights in patient_draws(sample.patients)
        ]
    )
    findings = tuple(
        _difference(label, ours[k], others[k], apart[:, k]) for k, label in enumerate(LABELS)
    )
    means = float(mean_known(ours)), float(mean_known(others))
    return _difference("macro average", *means, mean_known(apart)), findings


def _difference(label: str, ours: float, theirs: float, apart: Doubles) -> Difference:
    known = apart[~np.isnan(apart)]
    # one more than was drawn: no number of draws shows that p is 0
    beyond = 1 + min((known <= 0).sum(), (known >= 0).sum())
    p = min(1.0, 2 * float(beyond) / (1 + known.size)) if known.size else float("nan")
    return Difference(label, float(ours), float(theirs), estimate(ours - theirs, apart), p)
