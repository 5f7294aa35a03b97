"""Each finding of a film, and of its prior, as rows."""

from inference.findings import CALLED, FINDINGS, NOT_ASSESSED
from inference.statements import against_threshold, more_than_by_chance
from scp.index.acquisition import stated
from scp.index.outputs import ChangeNow, SiteView
from scp.index.schema.tables import Analysis, Comparison
from scp.index.values import FindingRow, PriorRow


def finding_rows(
    view: SiteView, analysis: Analysis, comparison: Comparison | None
) -> tuple[FindingRow, ...]:
    """Return each finding, with its change since the prior if that film is comparable."""
    now = view.applied(analysis)
    changes = view.changes(comparison) if comparison else {}
    rows = []
    for i, finding in enumerate(FINDINGS):
        change = changes.get(finding.label)
        rows.append(
            FindingRow(
                label=finding.label,
                name=finding.name,
                probability=now.probabilities[i],
                threshold=now.thresholds[i],
                positive=now.positive[i],
                meaning=(
                    against_threshold(now.probabilities[i], now.thresholds[i])
                    if finding.label not in now.not_assessed
                    else NOT_ASSESSED
                ),
                prior_probability=change.prior if change else None,
                change=change.change if change else None,
                confidence=change.confidence if change else None,
                change_meaning=_change_meaning(change) if change else "",
                assessed=finding.label not in now.not_assessed,
                verified=finding.label not in now.not_verified,
            )
        )
    return tuple(rows)


def _change_meaning(change: ChangeNow) -> str:
    """Say what the confidence of a change means; "" where none is named."""
    known = change.change in CALLED and change.confidence is not None
    return more_than_by_chance(change.confidence or 0) if known else ""


def prior_row(comparison: Comparison) -> PriorRow:
    """Return which film was the prior."""
    film = comparison.prior.instance
    return PriorRow(film.uid, comparison.comparable, comparison.reason, **stated(film))
