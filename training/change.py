"""`hilum measure-change`: how often a change is named where there is none, and where there is one.

Labels here are mined from reports: that a label came or went is a weak sign of change, and no
radiologist's reading of two films.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.table import Table

from inference.comparison.change import changes
from inference.comparison.null import Null
from inference.engine import Engine
from inference.findings import FINDINGS, LABELS
from training.film_pairs import FilmPair, is_large
from training.null import SaidOfPair, differences_of, said_of_exposures, said_of_pairs
from training.records import Record
from training.statistics import (
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
    """How often a finding changed where nothing did, as shares in [0, 1].

    Attributes
    ----------
    named
        Called new, increased, decreased or resolved.
    beyond
        Beyond the band, named or not.
    """

    label: str
    exposed_named: float
    exposed_beyond: float
    still_named: float
    still_beyond: float


@dataclass(frozen=True)
class Told:
    """How well pairs with a change are told from pairs without, as areas under the ROC curve.

    Attributes
    ----------
    ours
        Of one finding: by the difference in log odds. Of any: by the differences in probability,
        each times the share of films without change that differ less, summed.
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
    """What was measured: false changes by finding, and what is told, by group of pairs.

    ``exposed_any`` and ``still_any`` are the shares of the pairs without change, films exposed
    again and pairs of films, of which any change is named.
    """

    exposures: int
    still: int
    exposed_any: float
    still_any: float
    false_changes: tuple[FalseChanges, ...]
    told: dict[str, tuple[Told, ...]]


def measure_change(
    engine: Engine, null: Null, records: Sequence[Record], pairs: Sequence[FilmPair]
) -> ChangeMeasured:
    """Measure on test films exposed again, and on pairs: all, and those of test patients."""
    held = [record for record in records if record.split == "test" and is_large(record)]
    exposed = said_of_exposures(engine, held, EXPOSURES)
    said = said_of_pairs(engine, pairs)
    still = [
        one
        for one, pair in zip(said, pairs, strict=True)
        if pair.split == "test" and not pair.labels.any()
    ]
    tested = [place for place, pair in enumerate(pairs) if pair.split == "test"]
    groups = {"all pairs": list(range(len(pairs))), "pairs of test patients": tested}
    return ChangeMeasured(
        exposures=len(exposed),
        still=len(still),
        exposed_any=_any_named(null, exposed),
        still_any=_any_named(null, still),
        false_changes=false_changes(null, exposed, still),
        told={
            name: told([pairs[k] for k in places], [said[k] for k in places], null)
            for name, places in groups.items()
            if places
        },
    )


def false_changes(
    null: Null, exposed: Sequence[SaidOfPair], still: Sequence[SaidOfPair]
) -> tuple[FalseChanges, ...]:
    """Count changes, by finding, in what was said of films between which nothing changed."""
    shares = [part for said in (exposed, still) for part in _shares(null, said)]  # 4 x (14,)
    return tuple(
        FalseChanges(label, *(float(one) for one in row))
        for label, row in zip(LABELS, np.stack(shares, axis=1), strict=True)
    )


def _any_named(null: Null, said: Sequence[SaidOfPair]) -> float:
    """Return the share of pairs of which any change is named; nan without a pair."""
    named = [any(one.called for one in changes(now, then, null)) for then, now in said]
    return float(np.mean(named)) if named else float("nan")


def _shares(null: Null, said: Sequence[SaidOfPair]) -> tuple[Doubles, Doubles]:
    """(14,) each: share of pairs whose change is named, and that lie beyond the band."""
    if not said:
        return np.full(len(LABELS), np.nan), np.full(len(LABELS), np.nan)
    named = [[one.called for one in changes(now, then, null)] for then, now in said]
    beyond = np.abs(differences_of(said)) > _bands(null)
    return np.mean(named, axis=0), beyond.mean(axis=0)


def told(pairs: Sequence[FilmPair], said: Sequence[SaidOfPair], null: Null) -> tuple[Told, ...]:
    """Measure how well pairs with a change are told: of any label, and of each separately."""
    change = np.stack([pair.labels for pair in pairs])  # (pairs, 14)
    ours = differences_of(said)
    plain = np.stack([now.probabilities - then.probabilities for then, now in said]).astype(float)
    _, patients = np.unique([pair.current.patient for pair in pairs], return_inverse=True)
    weights = np.concatenate(list(patient_draws(patients)))

    def row(what: str, changed: Flags, counted: Flags, scores: Sequence[Doubles]) -> Told:
        areas = [_area(score, changed, counted, weights) for score in scores]
        return Told(what, int(counted.sum()), int((changed & counted).sum()), *areas)

    everywhere = np.ones(len(pairs), dtype=np.bool_)
    largest = [(np.abs(plain) * _confidences(null, ours)).sum(axis=1), np.abs(plain).max(axis=1)]
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


def _confidences(null: Null, differences: Doubles) -> Doubles:
    """(pairs, 14): share of films without change that differ less."""
    return np.array(
        [
            [null.confidence(label, one) for label, one in zip(LABELS, row, strict=True)]
            for row in differences
        ]
    )


def _bands(null: Null) -> Doubles:
    return np.array([null.band(label) for label in LABELS])


def as_json(measured: ChangeMeasured) -> dict[str, Any]:
    """Return plain values."""
    return asdict(measured)


def tables(measured: ChangeMeasured) -> list[Table]:
    """Return tables for a terminal."""
    false = Table(
        "finding",
        "exposed again: named",
        "beyond the band",
        "real pairs: named",
        "beyond the band",
        title=f"false changes: {measured.exposures} test films exposed again, "
        f"{measured.still} pairs of test patients without change of labels",
    )
    for finding, one in zip(FINDINGS, measured.false_changes, strict=True):
        shares = (one.exposed_named, one.exposed_beyond, one.still_named, one.still_beyond)
        false.add_row(finding.name, *(f"{share:.1%}" for share in shares))
    false.add_row("any of them", f"{measured.exposed_any:.1%}", "", f"{measured.still_any:.1%}", "")
    return [false, *(_told_table(name, rows) for name, rows in measured.told.items())]


def _told_table(name: str, rows: Sequence[Told]) -> Table:
    made = Table(
        "what happened", "pairs", "of these", "AUC, hilum", "AUC, probabilities alone", title=name
    )
    for one in rows:
        made.add_row(one.what, str(one.pairs), str(one.changed), str(one.ours), str(one.plain))
    return made
