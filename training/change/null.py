"""`hilum measure-null`: how far a network's probabilities of an unchanged chest differ."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.table import Table
from scipy.stats import binom

from inference.comparison.change_null import (
    BAND,
    SHARES,
    ChangeNullDistribution,
    Condition,
    ConditionNull,
    differences,
    greatest,
)
from inference.findings import FINDINGS, LABELS, FloatArray, Prediction
from inference.model.bundle import Bundle
from inference.model.engine import Engine
from training.bundle.files import with_weights
from training.bundle.parts import NULL
from training.change.film_pairs import FilmPair, is_large
from training.classifier.cross_validation import fold_networks
from training.data.film_list import BadFilmList
from training.data.film_set import read_picture
from training.data.record import Record
from training.data.reexposure import exposed_again
from training.evaluation.statistics import Doubles

PairPrediction = tuple[Prediction, Prediction]  # of the prior film, of the current one

EXPOSURES = 4  # of each film
SPREAD_SHARE = 0.9  # of films without change; the unit in which findings are alike
CERTAIN = 0.95  # confidence with which a bound holds for the share of pairs that it states
SMALLEST = 1e-3  # log odds: a finding that never differs is measured by this


@dataclass(frozen=True, eq=False)
class Unchanged:
    """What a network says of chests that did not change.

    Attributes
    ----------
    pairs
        Pairs of real films without change of labels, of all patients.
    said
        What it says of them.
    exposed
        (exposures, 14): differences in log odds of val films that were exposed again.
    patients
        Of whom the exposures are.
    """

    pairs: tuple[FilmPair, ...]
    predictions: tuple[PairPrediction, ...]
    exposed: Doubles
    patients: tuple[str, ...]


def read_unchanged(
    engine: Engine, records: Sequence[Record], pairs: Sequence[FilmPair]
) -> Unchanged:
    """Read val films exposed again, and pairs without change of labels as they are.

    Raises
    ------
    BadFilmList
        No val film is large enough.
    """
    return _read(engine, _held(records), _still(pairs))


def read_out_of_fold(
    bundle: Bundle,
    folds: Path,
    records: Sequence[Record],
    pairs: Sequence[FilmPair],
    device: str = "auto",
) -> Unchanged:
    """Read as `read_unchanged`, each film by a network of a cross-validation that it did not teach.

    The bundle itself reads the pairs of test patients, and says how outputs are calibrated.

    Raises
    ------
    BadFilmList
        No val film is large enough.
    NoFolds
        ``folds`` holds no finished part.
    """
    held, still = _held(records), _still(pairs)
    measured = []
    for names, network in fold_networks(folds):
        own = [pair for pair in still if {pair.prior.name, pair.current.name} <= names]
        with TemporaryDirectory() as folder:
            fold = with_weights(bundle, network, Path(folder) / "bundle")
            with Engine(fold, device=device) as engine:
                measured.append(_read(engine, [one for one in held if one.name in names], own))
    with Engine(bundle, device=device) as engine:
        measured.append(_read(engine, [], [pair for pair in still if pair.split == "test"]))
    return Unchanged(
        tuple(pair for one in measured for pair in one.pairs),
        tuple(predictions for one in measured for predictions in one.predictions),
        np.concatenate([one.exposed for one in measured]),
        tuple(patient for one in measured for patient in one.patients),
    )


def _held(records: Sequence[Record]) -> list[Record]:
    held = [record for record in records if record.split == "val" and is_large(record)]
    if not held:
        raise BadFilmList("no film of split 'val' is large enough to be exposed again")
    return held


def _still(pairs: Sequence[FilmPair]) -> list[FilmPair]:
    return [pair for pair in pairs if pair.still and pair.condition]


def _read(engine: Engine, held: Sequence[Record], still: Sequence[FilmPair]) -> Unchanged:
    return Unchanged(
        tuple(still),
        tuple(pair_predictions(engine, still)),
        differences_of(exposure_predictions(engine, held, EXPOSURES)),
        tuple(record.patient for record in held for _ in range(EXPOSURES)),
    )


def write(null: ChangeNullDistribution, out: Path) -> None:
    """Write the null for `hilum add-null`."""
    out.mkdir(parents=True, exist_ok=True)
    (out / NULL.spec).write_text(json.dumps(null.model_dump(mode="json"), indent=2) + "\n")


def null_of(measured: Unchanged, without: str | None = None) -> ChangeNullDistribution:
    """Return the null distribution of the train and val patients, one of them left out if asked.

    Of exposures and pairs the wider is taken: a change must be larger than what positioning makes,
    and than what the same patient's films differ by on another day.
    """
    taught = [
        place
        for place, pair in enumerate(measured.pairs)
        if pair.split != "test" and pair.current.patient != without
    ]
    still = [measured.pairs[place] for place in taught]
    between = differences_of([measured.predictions[place] for place in taught])
    exposed = measured.exposed[[patient != without for patient in measured.patients]]
    spread = _spread(exposed, between)
    return ChangeNullDistribution(
        shares=SHARES,
        spread=dict(zip(LABELS, spread, strict=True)),
        conditions={
            condition: _under(condition, still, between, exposed, spread) for condition in Condition
        },
        exposures=len(exposed),
    )


def _spread(*measured: Doubles) -> list[float]:
    """Return the difference in log odds of each finding that 90 % of films stay within."""
    some = [sizes for sizes in measured if len(sizes)]
    each = [np.quantile(np.abs(sizes), SPREAD_SHARE, axis=0) for sizes in some]
    return [round(float(one), 4) for one in np.maximum.reduce(each).clip(SMALLEST)]


def _under(
    condition: Condition,
    still: Sequence[FilmPair],
    between: Doubles,
    exposed: Doubles,
    spread: Sequence[float],
) -> ConditionNull:
    """Bound what pairs without change differ by under a condition."""
    chosen = [place for place, pair in enumerate(still) if pair.condition is condition]
    bounds = bounded(greatest(between[chosen], spread))
    again = np.quantile(greatest(exposed, spread), SHARES[: len(bounds)])
    return ConditionNull(
        pairs=len(chosen),
        patients=len({still[place].current.patient for place in chosen}),
        differences=tuple(
            round(max(bound, float(other)), 4) for bound, other in zip(bounds, again, strict=True)
        ),
    )


def bounded(sizes: FloatArray) -> list[float]:
    """Return upper bounds of the sizes, (n,), that each share of `SHARES` stays within.

    Each holds with 95 % confidence: the k-th smallest size bounds a share when fewer than k of n
    draws below that share are all but certain. The shares for which n is too small are left out.

    References
    ----------
    Wilks, Determination of sample sizes for setting tolerance limits, Annals of Mathematical
    Statistics 12(1), 1941.
    """
    ascending = np.sort(sizes)
    places = [int(binom.ppf(CERTAIN, len(ascending), share)) for share in SHARES]
    return [float(ascending[place]) for place in places if place < len(ascending)]


def exposure_predictions(
    engine: Engine, records: Sequence[Record], exposures: int
) -> list[PairPrediction]:
    """Read each film as it is, and exposed again; the original is the prior.

    The film's place and the number of the exposure are the seed.
    """
    predictions: list[PairPrediction] = []
    with ThreadPoolExecutor(max_workers=4) as threads:
        for place, record in enumerate(records):
            film = read_picture(record.path)
            versions = [film, *(exposed_again(film, place * 1000 + k) for k in range(exposures))]
            original, *others = threads.map(engine.read, versions)
            predictions += [(original, other) for other in others]
    return predictions


def pair_predictions(engine: Engine, pairs: Sequence[FilmPair]) -> list[PairPrediction]:
    """Read both films of each pair, each film once; prior first."""
    paths = sorted({record.path for pair in pairs for record in (pair.prior, pair.current)})
    with ThreadPoolExecutor(max_workers=4) as threads:
        predictions = threads.map(lambda path: engine.read(read_picture(path)), paths)
        known = dict(zip(paths, predictions, strict=True))
    return [(known[pair.prior.path], known[pair.current.path]) for pair in pairs]


def differences_of(predictions: Sequence[PairPrediction]) -> Doubles:
    """Return current minus prior in log odds, (pairs, 14)."""
    if not predictions:
        return np.zeros((0, len(LABELS)))
    return np.stack(
        [differences(now.probabilities, then.probabilities) for then, now in predictions]
    )


def table(null: ChangeNullDistribution) -> Table:
    """Return a table for a terminal: what is needed to name a change."""
    conditions = list(null.conditions)
    made = Table(
        "finding",
        "spread",
        *(f"{one}: {null.conditions[one].pairs} pairs" for one in conditions),
        title="difference in log odds beyond which a change is named: at most "
        f"{1 - BAND:.0%} of pairs without change get any change named, with {CERTAIN:.0%} "
        f"confidence; {null.exposures} films exposed again; -: too few pairs, none is named",
    )
    for finding in FINDINGS:
        critical = (null.critical(finding.label, one) for one in conditions)
        cells = ("-" if one == float("inf") else f"{one:.2f}" for one in critical)
        made.add_row(finding.name, f"{null.spread[finding.label]:.2f}", *cells)
    return made
