"""How well findings are told apart, with the uncertainty that comes from few patients."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.table import Table

from inference.engine import Engine
from inference.findings import LABELS, Prediction
from training.data import read_picture
from training.records import Record
from training.statistics import Doubles, aucs, bootstrap_aucs

SUBSETS: dict[str, Callable[[Record], bool]] = {
    "all films": lambda _: True,
    # resolution goes with source, and source with label: this is the figure to quote
    "1024 px films": lambda record: record.source_px == 1024,
}


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval, from a bootstrap of patients; nan where undefined."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class FindingScore:
    """One finding: how many films have it, and how it is told apart at its operating point."""

    label: str
    positives: int
    auc: Estimate
    sensitivity: float
    specificity: float


@dataclass(frozen=True)
class Evaluation:
    """What was measured on one subset of films."""

    subset: str
    films: int
    patients: int
    macro_auc: Estimate
    findings: tuple[FindingScore, ...]

    def as_json(self) -> dict[str, Any]:
        """Return plain values; what is undefined is None."""
        plain: dict[str, Any] = _without_nan(asdict(self))
        return plain

    def table(self) -> Table:
        """Return a table for a terminal."""
        table = Table(title=f"{self.subset}: {self.films} films, {self.patients} patients")
        for column in ("finding", "films", "AUC (95 % interval)", "sensitivity", "specificity"):
            table.add_column(column, justify="left" if column == "finding" else "right")
        for row in self.rows():
            table.add_row(*row)
        return table

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """Return the cells of the table, the macro average last."""
        rows = [
            (f.label, str(f.positives), str(f.auc), f"{f.sensitivity:.2f}", f"{f.specificity:.2f}")
            for f in self.findings
        ]
        return [*rows, ("macro average", "", str(self.macro_auc), "", "")]


def read_all(engine: Engine, records: Sequence[Record]) -> list[Prediction]:
    """Read films as the service would, from several threads so that batches fill."""
    with ThreadPoolExecutor(max_workers=16) as threads:
        return list(threads.map(lambda record: engine.read(read_picture(record.path)), records))


def evaluate(predictions: Sequence[Prediction], records: Sequence[Record]) -> list[Evaluation]:
    """Measure every subset that has films.

    Parameters
    ----------
    predictions, records
        Same length and order.
    """
    evaluations = []
    for subset, belongs in SUBSETS.items():
        chosen = [pair for pair in zip(predictions, records, strict=True) if belongs(pair[1])]
        if chosen:
            evaluations.append(_evaluate(subset, *map(list, zip(*chosen, strict=True))))
    return evaluations


def _evaluate(subset: str, predictions: list[Prediction], records: list[Record]) -> Evaluation:
    scores = np.stack([prediction.probabilities for prediction in predictions]).astype(float)
    flagged = np.stack([prediction.positive for prediction in predictions])
    labels = np.array([record.labels for record in records], dtype=float)
    patients = np.unique([record.patient for record in records], return_inverse=True)[1]
    values = aucs(scores, labels)
    resampled = bootstrap_aucs(scores, labels, patients)  # (bootstraps, 14)
    findings = tuple(
        FindingScore(
            label,
            positives=int(labels[:, k].sum()),
            auc=_estimate(values[k], resampled[:, k]),
            sensitivity=_share(flagged[labels[:, k] > 0.5, k]),
            specificity=_share(~flagged[labels[:, k] < 0.5, k]),
        )
        for k, label in enumerate(LABELS)
    )
    macro = _estimate(_mean(values), np.array([_mean(row) for row in resampled]))
    return Evaluation(subset, len(records), int(patients.max()) + 1, macro, findings)


def _mean(values: Doubles) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _estimate(value: float, resampled: Doubles) -> Estimate:
    known = resampled[~np.isnan(resampled)]
    low, high = np.percentile(known, [2.5, 97.5]) if known.size else (np.nan, np.nan)
    return Estimate(float(value), float(low), float(high))


def _share(flags: npt.NDArray[np.bool_]) -> float:
    return float(flags.mean()) if flags.size else float("nan")


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and np.isnan(value) else value
