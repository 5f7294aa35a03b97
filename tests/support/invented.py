"""Invented predictions and comparisons, for tests and benchmarks."""

import numpy as np
import numpy.typing as npt

from inference.comparison import Comparison, FindingChange
from inference.comparison.change_null import (
    SHARES,
    ChangeNullDistribution,
    Condition,
    ConditionNull,
)
from inference.drawing.outlines import outlines
from inference.drawing.summary import draw_findings
from inference.findings import (
    FINDINGS,
    LABELS,
    Change,
    ModelIdentity,
    NetworkOutput,
    Prediction,
)
from inference.model.calibration import Discrimination, MapEvidence, OutputCalibration

MODEL = ModelIdentity("invented-net", "1.2.0", "ab12" * 16)

# what a bundle states of a finding that it tells apart, and whose maps point at it
VERIFIED = MapEvidence(
    boxes=40, pointing=0.6, random_box=0.1, mean_map=0.2, other_film=0.1, verified=True
)
TOLD_APART = Discrimination(films=500, positives=50, auc=0.8, low=0.75, high=0.85)

READINGS = (
    OutputCalibration(
        slope=1, intercept=0, threshold=0.3, prevalence=0.1, maps=VERIFIED, unseen=TOLD_APART
    ),
) * 14

# finding: probability, centre x, centre y and width of its blob as fractions of the film
FOUND = {"Nodule": (0.93, 0.75, 0.35, 0.06), "Effusion": (0.81, 0.25, 0.75, 0.08)}


def blob(rows: int, columns: int, x: float, y: float, width: float) -> npt.NDArray[np.float32]:
    """Make a map (rows, columns) with a round peak of 1 at x, y (fractions of the film)."""
    v, u = np.mgrid[0:rows, 0:columns]
    distance = ((u + 0.5) / columns - x) ** 2 + ((v + 0.5) / rows - y) ** 2
    return np.exp(-distance / (2 * width**2)).astype(np.float32)


def prediction(
    found: dict[str, tuple[float, float, float, float]] | None = None, grid: int = 16
) -> Prediction:
    """Make a prediction with these findings positive and the others at 5 %."""
    found = FOUND if found is None else found
    probabilities = np.full(14, 0.05)
    heatmaps = np.zeros((14, grid, grid), np.float32)
    for label, (probability, x, y, width) in found.items():
        probabilities[LABELS.index(label)] = probability
        heatmaps[LABELS.index(label)] = blob(grid, grid, x, y, width)
    return Prediction(probabilities, np.full(14, 0.3), heatmaps, MODEL)


def output(found: Prediction | None = None) -> NetworkOutput:
    """Make what a network that is read by `READINGS` says, so that a site makes this of it."""
    found = found or prediction()
    maps = np.where(found.heatmaps > 0, found.heatmaps, -1) + _log_odds(0.3)
    return NetworkOutput(_log_odds(found.probabilities), maps.astype(np.float32), found.model)


def _log_odds(p: npt.ArrayLike) -> npt.NDArray[np.float64]:
    kept = np.clip(np.asarray(p, np.float64), 1e-9, 1 - 1e-9)
    return np.asarray(np.log(kept / (1 - kept)))


def everything_positive() -> Prediction:
    """Make a prediction with all 14 findings positive, each at its own place."""
    places = {
        label: (0.5 + 0.03 * i, 0.2 + 0.04 * i, 0.3 + 0.03 * i, 0.07)
        for i, label in enumerate(LABELS)
    }
    return prediction(places)


def comparison(
    *, comparable: bool = True, reason: str = "", rows: int = 64, columns: int = 56
) -> Comparison:
    """Make a comparison: a new nodule, an effusion on the wane, all else unchanged."""
    words = {
        "Nodule": (0.05, 0.93, Change.NEW, 0.99),
        "Effusion": (0.9, 0.81, Change.DECREASED, 0.96),
    }
    changes = tuple(
        FindingChange(f.label, *words.get(f.label, (0.05, 0.05, Change.UNCHANGED, 0.5)))
        for f in FINDINGS
    )
    differences = np.zeros((14, rows, columns), np.float32)
    differences[LABELS.index("Nodule")] = 0.9 * blob(rows, columns, 0.75, 0.35, 0.06)
    film = np.random.default_rng(3).random((rows, columns), dtype=np.float32)
    down = ((np.arange(rows) + 0.5) / rows).astype(np.float32)[:, None]
    across = ((np.arange(columns) + 0.5) / columns).astype(np.float32)
    return Comparison(
        comparable=comparable,
        reason=reason,
        quality=0.93,
        ssim=0.71,
        current=film,
        prior=film[:, ::-1],
        overlap=np.ones((rows, columns), np.bool_),
        lungs=np.ones((rows, columns), np.bool_),
        places=np.stack(np.broadcast_arrays(1 - across, down)),
        inverted=False,
        structural=0.8 * blob(rows, columns, 0.75, 0.35, 0.05),
        heatmap_differences=differences,
        same_places=np.array([f.label == "Effusion" for f in FINDINGS]),
        changes=changes,
    )


def drawn(film, found, **words):
    """Draw findings with the outlines of their own maps."""
    return draw_findings(film, found, outlines(found, film.pixels.shape), **words)


def invented_null(band: float) -> ChangeNullDistribution:
    """Make a null whose critical value is ``band`` for each finding, for PA and for AP pairs."""
    row = tuple(share / 0.95 for share in SHARES)
    return ChangeNullDistribution(
        shares=SHARES,
        spread=dict.fromkeys(LABELS, band),
        conditions={
            one: ConditionNull(pairs=100, patients=50, differences=row)
            for one in (Condition.PA, Condition.AP)
        },
        exposures=1,
    )
