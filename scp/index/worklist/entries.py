"""A film's entry on the worklist: the words it is found by, its findings, and its due time."""

import hashlib
import json
from dataclasses import asdict

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from inference.findings import LABELS, Change, reaches
from inference.model.operating_points import BUNDLES_OWN, OperatingSettings
from scp.config.worklist import WorklistSettings
from scp.index import prior_choices
from scp.index.outputs import SiteView, site_view
from scp.index.schema.tables import (
    Analysis,
    Comparison,
    FilmFinding,
    FilmState,
    Instance,
    Patient,
    SearchWord,
)
from scp.index.worklist.urgency import urgency
from scp.matching.folding import film_words
from scp.matching.person import Person

# nobody is asked to look at these
NOT_DUE = (FilmState.FETCHED, FilmState.NOT_ANALYSED)
# a finding that is no longer there is worth a row, and is found by its change
GONE = (Change.RESOLVED, Change.DECREASED)


def set_words(session: Session, instance: Instance, person: Person, accession_number: str) -> None:
    """Remember whose a film is, its numbers, and by which words it is found."""
    instance.patient_name, instance.accession_number = person.name, accession_number
    instance.birth_date, instance.sex = person.birth_date, person.sex
    patient_id = session.scalar(select(Patient.patient_id).where(Patient.id == instance.patient_id))
    session.execute(delete(SearchWord).where(SearchWord.instance_id == instance.id))
    found = film_words(person.name, (patient_id or "", accession_number))
    if found:
        rows = [{"word": word, "instance_id": instance.id} for word in found]
        session.execute(insert(SearchWord), rows)


def mark_of(settings: WorklistSettings, operating: OperatingSettings) -> str:
    """Return what marks films that were placed by these settings."""
    applied = json.dumps([settings.model_dump(mode="json"), asdict(operating)], sort_keys=True)
    return hashlib.sha256(applied.encode()).hexdigest()[:16]


def update_entry(
    session: Session,
    instance: Instance,
    analysis: Analysis,
    settings: WorklistSettings,
    operating: OperatingSettings = BUNDLES_OWN,
) -> None:
    """Set a film's findings and due time by its last output; commit is the caller's."""
    session.flush()
    view = site_view(session, operating)
    now, changes = view.applied(analysis), _changes(session, view, analysis)
    scored = list(zip(LABELS, now.probabilities, now.thresholds, strict=True))
    session.execute(delete(FilmFinding).where(FilmFinding.instance_id == instance.id))
    rows = [
        {
            "instance_id": instance.id,
            "label": label,
            "positive": reaches(probability, threshold),
            "change": changes.get(label, ""),
        }
        for label, probability, threshold in scored
        if label not in now.not_assessed
        and (reaches(probability, threshold) or changes.get(label) in GONE)
    ]
    if rows:
        session.execute(insert(FilmFinding), rows)
    if instance.state not in NOT_DUE:
        found = urgency(
            now.probabilities, now.thresholds, changes, settings.weights, now.not_assessed
        )
        instance.due_at = settings.due_at(instance.received_at, found.value)
    instance.placed_with = mark_of(settings, operating)


def _changes(session: Session, view: SiteView, analysis: Analysis) -> dict[str, Change]:
    """Return what became of each finding since the prior; nothing when that is not comparable."""
    newest = prior_choices.comparisons().where(Comparison.current_id == analysis.id)
    found = session.scalars(newest.order_by(Comparison.id.desc()).limit(1)).one_or_none()
    if found is None:
        return {}
    return {label: change.change for label, change in view.changes(found).items()}
