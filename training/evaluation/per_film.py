"""What a reader meets film by film: how often a film without findings is flagged, what is missed.

Figures by finding hide it: at a specificity of 90 % for each of 14 findings, a film without any may
be flagged for one of them far more often than one time in ten.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.evaluation.sample import ScoredSample
from training.evaluation.statistics import Doubles, Estimate, estimate, patient_draws, share
from training.evaluation.text_table import TextTable


@dataclass(frozen=True)
class PerFilm:
    """Figures over all findings at once, at the operating points.

    Attributes
    ----------
    clear, flagged
        Films without any finding, and the share of them that is flagged for at least one.
    findings, recall
        Findings on films, and the share of them that is flagged.
    """

    subset: str
    clear: int
    flagged: Estimate
    findings: int
    recall: Estimate


def per_film(subset: str, sample: ScoredSample) -> PerFilm:
    """Measure films; the intervals are from bootstraps of patients."""
    flagged, recall = _rates(sample, np.ones((1, len(sample))))
    drawn = [_rates(sample, weights) for weights in patient_draws(sample.patients)]
    return PerFilm(
        subset,
        clear=int((~sample.positive.any(axis=1)).sum()),
        flagged=estimate(flagged[0], np.concatenate([one[0] for one in drawn])),
        findings=int(sample.positive.sum()),
        recall=estimate(recall[0], np.concatenate([one[1] for one in drawn])),
    )


def _rates(sample: ScoredSample, weights: Doubles) -> tuple[Doubles, Doubles]:
    """Return the share of clear films flagged, and of findings flagged, (draws,) each."""
    clear = ~sample.positive.any(axis=1)
    found = (sample.positive & sample.flagged).sum(axis=1)
    return (
        share(weights @ (clear & sample.flagged.any(axis=1)), weights @ clear),
        share(weights @ found, weights @ sample.positive.sum(axis=1)),
    )


def text_table(measured: Sequence[PerFilm]) -> TextTable:
    """Return a table, one row a group of films."""
    columns = ("films", "without a finding", "flagged", "findings", "recall")
    rows = (
        (one.subset, str(one.clear), str(one.flagged), str(one.findings), str(one.recall))
        for one in measured
    )
    return TextTable("Film by film", columns, tuple(rows))
