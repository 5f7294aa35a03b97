"""Predictions beside the truth, as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from inference.findings import Prediction
from training.data.record import Record
from training.evaluation.statistics import Doubles, Flags, Indices


@dataclass(frozen=True, eq=False)
class ScoredSample:
    """Films that were read and whose findings are known.

    Attributes
    ----------
    scores
        (films, 14) probabilities.
    flagged
        (films, 14), True where the probability reaches the operating point.
    positive
        (films, 14), True where the list says that the finding is there.
    patients
        (films,), whose film each is, counted from 0.
    """

    scores: Doubles
    flagged: Flags
    positive: Flags
    patients: Indices

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, films: npt.ArrayLike) -> Self:
        """Return some of the films, by place or by flag; patients are counted again."""
        chosen = np.asarray(films)
        patients = np.unique(self.patients[chosen], return_inverse=True)[1]
        arrays = (self.scores[chosen], self.flagged[chosen], self.positive[chosen])
        return type(self)(*arrays, patients.astype(np.intp))


def scored_sample(predictions: Sequence[Prediction], records: Sequence[Record]) -> ScoredSample:
    """Put predictions and records of the same films, in the same order, into arrays."""
    if len(predictions) != len(records):
        raise ValueError(f"{len(predictions)} predictions of {len(records)} films")
    patients = np.unique([record.patient for record in records], return_inverse=True)[1]
    return ScoredSample(
        scores=np.stack([prediction.probabilities for prediction in predictions]).astype(float),
        flagged=np.stack([prediction.positive for prediction in predictions]),
        positive=np.array([record.labels for record in records]) > 0.5,
        patients=patients.astype(np.intp),
    )
