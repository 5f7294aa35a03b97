"""`hilum measure-change`: how often a change is named where there is none, and where there is one.

Labels here are mined from reports: that a label came or went is a weak sign of change, and no
radiologist's reading of two films.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.table import Table
from scipy.stats import beta

from inference.comparison.change_null import ChangeNullDistribution, Condition, greatest
from inference.comparison.finding_changes import changes
from inference.findings import FINDINGS, LABELS
from inference.model.engine import Engine
from training.change.film_pairs import FilmPair, is_large
from training.change.null import (
    PairPrediction,
    differences_of,
    exposure_predictions,
    pair_predictions,
)
from training.data.record import Record
from training.evaluation.statistics import (
    Doubles,
    Estimate,
    Flags,
    auc,
    estimate,
    patient_draws,
    rank,
)

EXPOSURES = 4  # of each test film
FEWEST = 5  # pairs in which a label came, or went; with fewer its AUC is not given


@dataclass(frozen=True)
class FalseChanges:
    """How many pairs of films without change get a change named, of any of the 14 findings.

    And, as a control, how many do whose labels changed.

    Attributes
    ----------
    what
        The condition, and which films they are.
    named
        Pairs with a finding called new, increased, decreased or resolved.
    upper
        95 % upper bound of their share, in [0, 1] (Clopper and Pearson 1934, one-sided); pairs of
        one patient count as independent.
    reason
        Why no change is named under this condition; "" where one may be.
    """

    what: str
    pairs: int
    patients: int
    named: int
    upper: float
    reason: str


@dataclass(frozen=True)
class ChangeDiscrimination:
    """How well pairs with a change are discriminated from others, as areas under the ROC curve.

    Attributes
    ----------
    ours
        By the difference in log odds in units of the finding's spread, of any finding the largest.
    plain
        By the difference in probability, of any finding the largest.
    """

    what: str
    pairs: int
    changed: int
    ours: Estimate
    plain: Estimate


@dataclass(frozen=True)
class ChangeMeasured:
    """What was measured: false changes by condition, and detected changes by group of pairs."""

    false_changes: tuple[FalseChanges, ...]
    discrimination: dict[str, tuple[ChangeDiscrimination, ...]]


def measure_change(
    engine: Engine,
    null: ChangeNullDistribution,
    records: Sequence[Record],
    pairs: Sequence[FilmPair],
    exposures: int = EXPOSURES,
) -> ChangeMeasured:
    """Measure on test films exposed again, and on pairs: all, and those of test patients.

    ``exposures``, of each film; 0 leaves them out.
    """
    held = [record for record in records if record.split == "test" and is_large(record)]
    exposed = exposure_predictions(engine, held, exposures) if exposures else []
    again = [FilmPair(record, record) for record in held for _ in range(exposures)]
    predictions = pair_predictions(engine, pairs)
    tested = [place for place, pair in enumerate(pairs) if pair.split == "test"]
    still = [place for place in tested if pairs[place].still]
    others = [place for place in tested if not pairs[place].still]
    groups = {"all pairs": list(range(len(pairs))), "pairs of test patients": tested}
    return ChangeMeasured(
        false_changes=(
            *false_changes("test films exposed again", null, again, exposed),
            *false_changes(
                "pairs of test patients without change of labels",
                null,
                [pairs[place] for place in still],
                [predictions[place] for place in still],
            ),
            *false_changes(
                "control, pairs of test patients whose labels changed",
                null,
                [pairs[place] for place in others],
                [predictions[place] for place in others],
            ),
        ),
        discrimination={
            name: change_discrimination(
                [pairs[k] for k in places], [predictions[k] for k in places], null
            )
            for name, places in groups.items()
            if places
        },
    )


def false_changes(
    what: str,
    null: ChangeNullDistribution,
    pairs: Sequence[FilmPair],
    predictions: Sequence[PairPrediction],
) -> Iterator[FalseChanges]:
    """Count, under each condition, the pairs without change of which a change is named."""
    for condition in Condition:
        chosen = [k for k, pair in enumerate(pairs) if pair.condition is condition]
        if not chosen:
            continue
        named = sum(
            any(one.called for one in changes(now, then, null, condition))
            for then, now in (predictions[k] for k in chosen)
        )
        yield FalseChanges(
            f"{condition}: {what}",
            len(chosen),
            len({pairs[k].current.patient for k in chosen}),
            named,
            upper_bound(named, len(chosen)),
            null.unnamed(condition),
        )


def upper_bound(count: int, of: int) -> float:
    """Return the 95 % upper bound of a share, one-sided (Clopper and Pearson)."""
    return 1.0 if count >= of else float(beta.ppf(0.95, count + 1, of - count))


def change_discrimination(
    pairs: Sequence[FilmPair], predictions: Sequence[PairPrediction], null: ChangeNullDistribution
) -> tuple[ChangeDiscrimination, ...]:
    """Measure how well pairs with a change are detected: of any label, and of each separately."""
    change = np.stack([pair.labels for pair in pairs])  # (pairs, 14)
    ours = differences_of(predictions)
    plain = np.stack([now.probabilities - then.probabilities for then, now in predictions]).astype(
        float
    )
    _, patients = np.unique([pair.current.patient for pair in pairs], return_inverse=True)
    weights = np.concatenate(list(patient_draws(patients)))

    def row(
        what: str, changed: Flags, counted: Flags, scores: Sequence[Doubles]
    ) -> ChangeDiscrimination:
        areas = [_area(score, changed, counted, weights) for score in scores]
        return ChangeDiscrimination(
            what, int(counted.sum()), int((changed & counted).sum()), *areas
        )

    everywhere = np.ones(len(pairs), dtype=np.bool_)
    spread = [null.spread[label] for label in LABELS]
    largest = [greatest(ours, spread), np.abs(plain).max(axis=1)]
    rows = [row("any label changed", np.asarray(change.any(axis=1)), everywhere, largest)]
    for index, finding in enumerate(FINDINGS):
        for sign, word in ((1, "appeared"), (-1, "disappeared")):
            changed = np.asarray(change[:, index] == sign)
            if changed.sum() >= FEWEST:
                counted = changed | (change[:, index] == 0)
                scores = [sign * score[:, index] for score in (ours, plain)]
                rows.append(row(f"{finding.name} {word}", changed, counted, scores))
    return tuple(rows)


def _area(score: Doubles, changed: Flags, counted: Flags, weights: Doubles) -> Estimate:
    once = np.ones((1, int(counted.sum())))
    value = auc(rank(score[counted], changed[counted], once))[0]
    return estimate(value, auc(rank(score[counted], changed[counted], weights[:, counted])))


def as_json(measured: ChangeMeasured) -> dict[str, Any]:
    """Return plain values."""
    return asdict(measured)


def tables(measured: ChangeMeasured) -> list[Table]:
    """Return tables for a terminal."""
    false = Table(
        "condition, and films without change",
        "pairs",
        "patients",
        "a change is named of",
        "share",
        "95 % upper bound",
        title="false changes: pairs of which any change is named (goal: 5 % under each condition)",
    )
    for one in measured.false_changes:
        named = str(one.named) if not one.reason else f"{one.named} (none is named: too few pairs)"
        share = f"{one.named / one.pairs:.1%}"
        cells = (one.what, one.pairs, one.patients, named, share, f"{one.upper:.1%}")
        false.add_row(*map(str, cells))
    return [
        false,
        *(_discrimination_table(name, rows) for name, rows in measured.discrimination.items()),
    ]


def _discrimination_table(name: str, rows: Sequence[ChangeDiscrimination]) -> Table:
    made = Table(
        "what happened", "pairs", "of these", "AUC, hilum", "AUC, probabilities alone", title=name
    )
    for one in rows:
        made.add_row(one.what, str(one.pairs), str(one.changed), str(one.ours), str(one.plain))
    return made
