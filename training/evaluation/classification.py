"""How well findings are discriminated, with the uncertainty that comes from few patients."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.table import Table

from inference.findings import LABELS, Prediction
from inference.model.engine import Engine
from training.data.film_set import read_picture
from training.data.record import Record
from training.evaluation.sample import ScoredSample, scored_sample
from training.evaluation.statistics import (
    Doubles,
    Estimate,
    Flags,
    auc,
    average_precision,
    calibration_error,
    estimate,
    estimate_biased,
    mean_known,
    patient_draws,
    rank,
    share,
)
from training.evaluation.subsets import subsets_of
from training.evaluation.text_table import Row, TextTable

COLUMNS = (
    "finding", "films", "AUC (95 % interval)", "average precision", "precision", "recall",
    "specificity", "calibration error",
)  # fmt: skip

BIASED = ("average_precision", "ece")  # by a bootstrap, see `estimate_biased`


@dataclass(frozen=True)
class Figures:
    """What is measured of one finding, or the mean over those of which it is known.

    Attributes
    ----------
    auc, average_precision
        Of the probabilities, whatever the operating point.
    precision, recall, specificity
        At the operating point.
    ece
        Expected calibration error, in [0, 1]; see `calibration_error`.
    """

    auc: Estimate
    average_precision: Estimate
    precision: Estimate
    recall: Estimate
    specificity: Estimate
    ece: Estimate


@dataclass(frozen=True)
class FindingScore(Figures):
    """One finding: its figures, and how many films have it."""

    label: str
    positives: int


@dataclass(frozen=True)
class Evaluation:
    """What was measured on one subset of films.

    Attributes
    ----------
    counted
        Findings that some films have and some have not: the macro AUC is their mean.
    no_finding
        Of the films on which nothing is flagged, the share that has none of the 14 findings.
    no_finding_films
        How many films have none of the 14 findings.
    """

    subset: str
    films: int
    patients: int
    counted: int
    macro: Figures
    findings: tuple[FindingScore, ...]
    no_finding: Estimate
    no_finding_films: int

    @property
    def macro_auc(self) -> Estimate:
        """The mean AUC of the findings."""
        return self.macro.auc

    @property
    def title(self) -> str:
        """Which films, how many, and what the macro average is the mean of."""
        counted = f"macro average of {self.counted} findings"
        return f"{self.subset}: {self.films} films, {self.patients} patients, {counted}"

    def as_json(self) -> dict[str, Any]:
        """Return plain values; what is undefined is None."""
        plain: dict[str, Any] = without_nan(asdict(self))
        return plain

    def rows(self) -> list[Row]:
        """Return a row of `COLUMNS` a finding, every figure with its interval, the mean last."""
        rows = [(f.label, str(f.positives), *map(str, _figures_of(f))) for f in self.findings]
        return [*rows, ("macro average", "", *map(str, _figures_of(self.macro)))]

    def table(self) -> Table:
        """Return a table for a terminal, which has no room for all intervals."""
        shown = [(f.label, str(f.positives), f) for f in self.findings]
        rows = (
            (name, films, str(f.auc), str(f.average_precision), *map(_short, _figures_of(f)[2:]))
            for name, films, f in [*shown, ("macro average", "", self.macro)]
        )
        columns = [column.replace("average ", "average\n") for column in COLUMNS]
        columns = [column.replace("calibration ", "calibration\n") for column in columns]
        return TextTable(self.title, tuple(columns), tuple(rows)).table()


def summary(evaluations: Sequence[Evaluation]) -> TextTable:
    """Return one row a subset, to compare them by."""
    columns = ("films", "number", "patients", "findings", "macro AUC", "macro average precision")
    rows = (
        (e.subset, str(e.films), str(e.patients), str(e.counted), str(e.macro.auc),
         str(e.macro.average_precision))
        for e in evaluations
    )  # fmt: skip
    return TextTable("By group of films", columns, tuple(rows))


def read_all(engine: Engine, records: Sequence[Record]) -> list[Prediction]:
    """Read films as the service would, from several threads so that batches fill."""
    with ThreadPoolExecutor(max_workers=16) as threads:
        return list(threads.map(lambda record: engine.read(read_picture(record.path)), records))


def evaluate(predictions: Sequence[Prediction], records: Sequence[Record]) -> list[Evaluation]:
    """Measure every subset that has enough films: all of them first, then the one to quote.

    Parameters
    ----------
    predictions, records
        Same length and order.
    """
    sample = scored_sample(predictions, records)
    return [evaluate_sample(s.name, sample.take(s.films)) for s in subsets_of(records)[0]]


def evaluate_sample(subset: str, sample: ScoredSample) -> Evaluation:
    """Measure films; all figures share one bootstrap of their patients."""
    values = measure(sample, np.ones((1, len(sample))))[0]  # (6, 15)
    resampled = np.concatenate(  # (draws, 6, 15)
        [measure(sample, weights) for weights in patient_draws(sample.patients)]
    )
    findings = tuple(
        FindingScore(
            **_estimates(values[:, k], resampled[:, :, k]),
            label=label,
            positives=int(sample.positive[:, k].sum()),
        )
        for k, label in enumerate(LABELS)
    )
    count = len(LABELS)
    macro = _estimates(mean_known(values[:, :count]), mean_known(resampled[:, :, :count]))
    return Evaluation(
        subset,
        films=len(sample),
        patients=int(sample.patients.max()) + 1,
        counted=int((~np.isnan(values[0, :count])).sum()),
        macro=Figures(**macro),
        findings=findings,
        no_finding=estimate(values[2, count], resampled[:, 2, count]),
        no_finding_films=int((~sample.positive.any(axis=1)).sum()),
    )


def measure(sample: ScoredSample, weights: Doubles) -> Doubles:
    """Return the figures of each finding, and of No Finding, whose scores are undefined.

    Parameters
    ----------
    weights
        (draws, films), how often each film counts.

    Returns
    -------
    (draws, 6, 15), in the order of `Figures`; nan where undefined.
    """
    columns = []
    for k in range(len(LABELS)):
        positive = sample.positive[:, k]
        ranking = rank(sample.scores[:, k], positive, weights)
        rates = operating_point(sample.flagged[:, k], positive, weights)
        columns.append(
            [auc(ranking), average_precision(ranking), *rates, calibration_error(ranking)]
        )
    unflagged: Flags = np.logical_not(sample.flagged.any(axis=1))
    without: Flags = np.logical_not(sample.positive.any(axis=1))
    unknown = np.full(len(weights), np.nan)
    columns.append([unknown, unknown, *operating_point(unflagged, without, weights), unknown])
    return np.moveaxis(np.array(columns), 2, 0).swapaxes(1, 2)  # (15, 6, draws) before


def operating_point(
    flagged: Flags, positive: Flags, weights: Doubles
) -> tuple[Doubles, Doubles, Doubles]:
    """Return precision, recall and specificity, (draws,) each; nan where undefined."""
    hits = weights @ (flagged & positive)
    return (
        share(hits, weights @ flagged),
        share(hits, weights @ positive),
        share(weights @ (~flagged & ~positive), weights @ ~positive),
    )


def _estimates(values: Doubles, resampled: Doubles) -> dict[str, Estimate]:
    """Return `Figures` by name from (6,) values and (draws, 6) of the bootstrap."""
    return {
        name: (estimate_biased if name in BIASED else estimate)(values[k], resampled[:, k])
        for k, name in enumerate(Figures.__dataclass_fields__)
    }


def _figures_of(figures: Figures) -> list[Estimate]:
    return [getattr(figures, name) for name in Figures.__dataclass_fields__]


def _short(figure: Estimate) -> str:
    return "-" if np.isnan(figure.value) else f"{figure.value:.3f}"


def without_nan(value: Any) -> Any:
    """Return plain values with None for nan, which JSON does not know."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and np.isnan(value) else value
