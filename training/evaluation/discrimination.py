"""Whether a finding is discriminated at all, on films that did not teach the network.

Where a film comes from goes with its label, so a network that tells the source from the source's
greys has a good AUC and knows nothing of the finding. `within_source` compares films of one source
only.
"""

from collections.abc import Sequence

import numpy as np

from inference.findings import LABELS
from inference.model.calibration import Discrimination
from training.data.record import Record
from training.evaluation.statistics import (
    Doubles,
    Flags,
    estimate,
    ordered_pairs,
    patient_draws,
    rank,
    share,
)

FEWEST = 10  # films with the finding; fewer give no interval
SHARP_PX = 1024  # of the films that are judged: resolution goes with source, source with label


def is_sharp(record: Record) -> bool:
    """Return whether a film may judge; one whose source's size is not stated may."""
    return record.source_px is None or record.source_px >= SHARP_PX


def within_source(
    scores: Doubles, positive: Flags, sources: Sequence[str], weights: Doubles
) -> Doubles:
    """Return the share of pairs of one source in the right order, (draws,); nan without a pair.

    Parameters
    ----------
    scores, positive
        (films,) of one finding.
    sources
        Where each film comes from.
    weights
        (draws, films), how often each film counts.
    """
    ordered, pairs = np.zeros(len(weights)), np.zeros(len(weights))
    names = np.asarray(sources)
    for name in np.unique(names):
        own = names == name
        some = ordered_pairs(rank(scores[own], positive[own], weights[:, own]))
        ordered, pairs = ordered + some[0], pairs + some[1]
    return share(ordered, pairs)


def discrimination(scores: Doubles, records: Sequence[Record]) -> dict[str, Discrimination]:
    """Judge each finding, by label, on films that did not teach.

    Parameters
    ----------
    scores
        (films, 14), whatever rises with the probability.
    records
        Of the same films.
    """
    positive = np.array([record.labels for record in records]) > 0.5
    sources = [record.source for record in records]
    patients = np.unique([record.patient for record in records], return_inverse=True)[1]
    once = np.ones((1, len(records)))
    values = _all_findings(scores, positive, sources, once)[0]  # (14,)
    drawn = np.concatenate(
        [
            _all_findings(scores, positive, sources, weights)
            for weights in patient_draws(patients.astype(np.intp))
        ]
    )
    return {
        label: _judged(values[k], drawn[:, k], positive[:, k]) for k, label in enumerate(LABELS)
    }


def _all_findings(
    scores: Doubles, positive: Flags, sources: Sequence[str], weights: Doubles
) -> Doubles:
    """Return `within_source` of each finding, (draws, 14)."""
    columns = [
        within_source(scores[:, k], positive[:, k], sources, weights) for k in range(len(LABELS))
    ]
    return np.stack(columns, axis=1)


def _judged(value: float, drawn: Doubles, positive: Flags) -> Discrimination:
    count = {"films": len(positive), "positives": int(positive.sum())}
    found = estimate(value, drawn)
    if np.isnan([found.value, found.low, found.high]).any():
        return Discrimination(**count)
    if count["positives"] < FEWEST:  # a bootstrap of a few films repeats them: too narrow
        return Discrimination(**count, auc=round(found.value, 4))
    return Discrimination(
        **count,
        auc=round(found.value, 4),
        low=round(found.low, 4),
        high=round(found.high, 4),
    )


def macro(judged: dict[str, Discrimination], fewest: int = 5) -> float:
    """Return the mean over the findings with at least ``fewest`` films; nan without any."""
    known = [one.auc for one in judged.values() if one.auc is not None and one.positives >= fewest]
    return float(np.mean(known)) if known else float("nan")
