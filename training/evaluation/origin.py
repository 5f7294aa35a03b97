"""The precision that hilum's origin states for itself, beside ours. It is no contest."""

from collections.abc import Sequence
from dataclasses import dataclass

from training.evaluation.classification import Evaluation
from training.evaluation.statistics import Estimate
from training.evaluation.text_table import TextTable

NO_FINDING = "No Finding"

# precision by category, as the origin prints it
PRECISION = {
    "Atelectasis": 0.6511,
    "Cardiomegaly": 0.6977,
    "Edema": 0.6667,
    "Effusion": 0.7037,
    "Emphysema": 0.5335,
    "Infiltration": 0.5803,
    "Mass": 0.5886,
    NO_FINDING: 0.8107,
}

CAVEAT = (
    "No contest: the origin's figures come from other test films, among which the findings are "
    "more or less frequent than here, and from other operating points. Precision rises with the "
    "share of films that have the finding, which is why that share is given beside ours."
)


@dataclass(frozen=True)
class OriginRow:
    """One category: the origin's precision, ours, and how frequent it is in our films.

    Attributes
    ----------
    share
        Of our films, in [0, 1].
    """

    category: str
    origin: float
    ours: Estimate
    share: float


def beside_origin(evaluation: Evaluation) -> tuple[OriginRow, ...]:
    """Return the origin's categories with our precision at the operating points."""
    ours = {f.label: (f.precision, f.positives) for f in evaluation.findings}
    ours[NO_FINDING] = evaluation.no_finding, evaluation.no_finding_films
    return tuple(
        OriginRow(category, stated, ours[category][0], ours[category][1] / evaluation.films)
        for category, stated in PRECISION.items()
    )


def origin_sheet(evaluations: Sequence[Evaluation]) -> TextTable:
    """Return the table of precisions, on each of the given subsets."""
    measured = [beside_origin(evaluation) for evaluation in evaluations]
    columns = ["category", "the origin"]
    for evaluation in evaluations:
        columns += [f"ours, {evaluation.subset}", "share of films"]
    rows = []
    for k, (category, stated) in enumerate(PRECISION.items()):
        cells = [category, f"{stated:.4f}"]
        for found in measured:
            cells += [str(found[k].ours), f"{found[k].share:.3f}"]
        rows.append(tuple(cells))
    return TextTable("Precision, beside what the origin states", tuple(columns), tuple(rows))
