"""What the dashboard shows of every film, read only; `scp.index.worklist.search` says which films.

The number of statements does not grow with the number of films. Names and Patient IDs are in these
rows because a reader needs them on the page; they never go to a log.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, contains_eager, defer, joinedload, selectinload

from inference.model.operating_points import BUNDLES_OWN, OperatingSettings
from inference.statements import NOT_VERIFIED, outcome_in_full
from scp.index import prior_choices
from scp.index.acquisition import stated
from scp.index.delivery_rows import delivery_row, destination_rows
from scp.index.outputs import SiteView, site_view
from scp.index.ratio_row import RatioRow
from scp.index.schema.tables import (
    Analysis,
    Comparison,
    Instance,
    Patient,
    Result,
    Series,
    Study,
)
from scp.index.values import (
    Applied,
    FilmRow,
    ResultFile,
    ResultRow,
)
from scp.index.worklist.finding_rows import finding_rows, prior_row


def film_rows(
    session: Session, film_ids: Sequence[int], settings: OperatingSettings = BUNDLES_OWN
) -> list[FilmRow]:
    """Return these films, in this order."""
    rows = _rows(session, _films().where(Instance.id.in_(film_ids)), settings)
    place = {film_id: number for number, film_id in enumerate(film_ids)}
    return sorted(rows, key=lambda row: place[row.id])


def film_row(
    session: Session, uid: str, settings: OperatingSettings = BUNDLES_OWN
) -> FilmRow | None:
    """Return one film by its SOP Instance UID, if it was received."""
    return next(iter(_rows(session, _films().where(Instance.uid == uid), settings)), None)


def study_rows(
    session: Session, study_uid: str, settings: OperatingSettings = BUNDLES_OWN
) -> list[FilmRow]:
    """Return the films of a study, newest received first."""
    return _rows(session, _films().where(Study.uid == study_uid), settings)


def patient_rows(
    session: Session, patient_row_id: int, limit: int, settings: OperatingSettings = BUNDLES_OWN
) -> list[FilmRow]:
    """Return the films of a patient, by the number of the patient's row; those taken last."""
    own = select(Instance.id).where(Instance.patient_id == patient_row_id)
    newest = own.order_by(Instance.acquired_at.desc().nulls_last(), Instance.id.desc()).limit(limit)
    return _rows(session, _films().where(Instance.id.in_(newest)), settings)


def result_file(session: Session, uid: str) -> ResultFile | None:
    """Return where one result lies, by its SOP Instance UID, if hilum made it."""
    row = session.execute(
        select(
            Result.uid,
            Instance.uid,
            Result.kind,
            Result.sop_class_uid,
            Result.path,
            Result.sha256,
        )
        .join(Result.instance)
        .where(Result.uid == uid)
    ).one_or_none()
    return ResultFile(*row) if row else None


def _films() -> Select[Instance, Patient]:
    """Select films with their study and patient, newest first."""
    return (
        select(Instance, Patient)
        .join(Instance.series)
        .join(Series.study)
        .outerjoin(Patient, Instance.patient_id == Patient.id)
        .options(contains_eager(Instance.series).contains_eager(Series.study))
        .order_by(Instance.received_at.desc(), Instance.id.desc())
    )


def _rows(
    session: Session, films: Select[Instance, Patient], settings: OperatingSettings
) -> list[FilmRow]:
    """Gather what belongs to the selected films, with one statement for each table."""
    view = site_view(session, settings)
    found = session.execute(films).all()
    ids = [instance.id for instance, _ in found]
    analyses = _latest_analyses(session, ids)
    compared = _latest_comparisons(session, [row.id for row in analyses.values()])
    chosen = prior_choices.rows(session, ids)
    results = _results(session, ids)
    rows = []
    for instance, patient in found:
        analysis = analyses.get(instance.id)
        comparison = compared.get(analysis.id) if analysis else None
        made = tuple(_with_applied(result, analysis) for result in results[instance.id])
        row = _row(instance, patient, analysis, comparison, made, view)
        rows.append(replace(row, choice=chosen.get(instance.id)))
    return rows


def _latest_analyses(session: Session, film_ids: Sequence[int]) -> dict[int, Analysis]:
    """Return, by film, what was said last; the heat maps stay in the database."""
    rows = session.scalars(
        select(Analysis)
        .options(defer(Analysis.heatmaps, raiseload=True))
        .where(Analysis.instance_id.in_(film_ids))
        .order_by(Analysis.id)
    )
    return {row.instance_id: row for row in rows}


def _latest_comparisons(session: Session, analysis_ids: Sequence[int]) -> dict[int, Comparison]:
    """Return, by analysis of a film, its comparison with the prior that it was answered with."""
    prior = joinedload(Comparison.prior)
    rows = session.scalars(
        prior_choices.comparisons()
        .options(
            prior.defer(Analysis.heatmaps, raiseload=True),
            prior.joinedload(Analysis.instance).lazyload(Instance.series),
        )
        .where(Comparison.current_id.in_(analysis_ids))
        .order_by(Comparison.id)
    )
    return {row.current_id: row for row in rows}


def _results(session: Session, film_ids: Sequence[int]) -> defaultdict[int, list[ResultRow]]:
    """Return, by film, its results: the newest answer first, each in the order of making."""
    rows = session.scalars(
        select(Result)
        .options(selectinload(Result.deliveries))
        .where(Result.instance_id.in_(film_ids))
        .order_by(Result.created_at.desc(), Result.id)
    )
    results: defaultdict[int, list[ResultRow]] = defaultdict(list)
    for row in rows:
        results[row.instance_id].append(
            ResultRow(
                kind=row.kind,
                uid=row.uid,
                sop_class_uid=row.sop_class_uid,
                size_bytes=row.size_bytes,
                created_at=row.created_at,
                deliveries=tuple(delivery_row(delivery) for delivery in row.deliveries),
                withdrawn=row.withdrawn or "",
                applied=Applied.from_row(row.applied),
                answer=row.further.number if row.further else 1,
                why=row.further.why if row.further else "",
            )
        )
    return results


def _with_applied(result: ResultRow, analysis: Analysis | None) -> ResultRow:
    """Return a result with what it says; what an earlier release applied is kept with the film."""
    if result.applied or analysis is None or not analysis.thresholds:
        return result
    then = Applied(tuple(analysis.probabilities), tuple(analysis.thresholds))
    return replace(result, applied=then)


def _row(
    instance: Instance,
    patient: Patient | None,
    analysis: Analysis | None,
    comparison: Comparison | None,
    results: tuple[ResultRow, ...],
    view: SiteView,
) -> FilmRow:
    """Return one film with all that belongs to it."""
    findings = finding_rows(view, analysis, comparison) if analysis else ()
    above = sum(bool(finding.positive) for finding in findings)
    not_assessed = [finding.name for finding in findings if not finding.assessed]
    return FilmRow(
        id=instance.id,
        uid=instance.uid,
        study_uid=instance.series.study.uid,
        patient_id=patient.patient_id if patient else "",
        patient_issuer=patient.issuer if patient else "",
        patient_row_id=patient.id if patient else None,
        patient_name=instance.patient_name or "",
        accession_number=instance.accession_number or "",
        received_at=instance.received_at,
        **stated(instance),
        finished_at=instance.finished_at,
        due_at=instance.due_at,
        view=instance.view,
        state=instance.state,
        reason=instance.reason,
        detail=instance.detail,
        calling_ae_title=instance.calling_ae_title,
        model=f"{analysis.model_name} {analysis.model_version}" if analysis else "",
        verification=NOT_VERIFIED if analysis else "",
        notes=tuple(analysis.notes) if analysis else (),
        outcome=outcome_in_full(above, not_assessed) if analysis else "",
        findings=findings,
        ratio=RatioRow.of(analysis) if analysis else None,
        prior=prior_row(comparison) if comparison else None,
        results=results,
        destinations=destination_rows(results),
    )
