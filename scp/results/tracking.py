"""Tracking identifiers of a finding from film to film.

A finding keeps the Tracking UID that it has on the prior, where the heat maps of both films point
at one place; else it gets one of its own, derived from the film. So do its outline in the
presentation state and its segment. All of it follows from the films alone, not from which report
was written first: what a report that is still to be written will say can be known before.

References
----------
PS3.16 TID 4108 (tracking identifiers), TID 1501 rows 2 and 3.
"""

from collections.abc import Iterator

from pydicom.dataset import Dataset
from pydicom.uid import UID

from inference.findings import FINDINGS
from scp.results.answer import Answer
from scp.results.codes import FINDING, TRACKING_UID
from scp.results.identity import derive_uid

_LABELS = {(finding.code.scheme, finding.code.value): finding.label for finding in FINDINGS}


def tracking_uid(answer: Answer, finding: int) -> UID:
    """Return the UID by which a finding of this film is followed."""
    label = FINDINGS[finding].label
    if answer.comparison is not None and answer.comparison.same_places[finding]:
        followed = answer.followed.get(label)
        if followed is not None:
            return UID(followed)
    model = answer.model
    parts = (answer.source.SOPInstanceUID, model.name, model.version, model.sha256, label)
    return derive_uid("tracking", *parts)


def tracking_identifier(finding: int) -> str:
    """Return the words beside a Tracking UID: "AI Nodule"."""
    return f"AI {FINDINGS[finding].name}"


def tracking_uids(answer: Answer) -> dict[str, str]:
    """Return what the report of an answer follows its outlined findings by, by label."""
    return {FINDINGS[i].label: str(tracking_uid(answer, i)) for i, _ in answer.outlined}


def tracked(report: Dataset) -> dict[str, str]:
    """Read the Tracking UIDs of a report of ours, by label."""
    found = {}
    for items in _groups(report):
        uids = [item.UID for item in items if _named(item, TRACKING_UID.value)]
        codes = [
            item.ConceptCodeSequence[0]
            for item in items
            if item.ValueType == "CODE" and _named(item, FINDING.value)
        ]
        for code, uid in zip(codes, uids, strict=False):
            label = _LABELS.get((code.CodingSchemeDesignator, code.CodeValue))
            if label is not None:
                found[label] = str(uid)
    return found


def _groups(report: Dataset) -> Iterator[list[Dataset]]:
    for container in report.get("ContentSequence") or []:
        if _named(container, "126010"):  # Imaging Measurements
            for group in container.get("ContentSequence") or []:
                yield list(group.get("ContentSequence") or [])


def _named(item: Dataset, code: str) -> bool:
    names = item.get("ConceptNameCodeSequence") or []
    return bool(names) and names[0].get("CodeValue") == code
