"""The life of one film in the index: outcome, analysis, prior, comparison, results."""

import io
from collections.abc import Mapping
from datetime import datetime

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from inference.comparison import Comparison as Compared
from inference.comparison.layers import Layers
from inference.findings import ModelIdentity, Prediction
from scp.archive import Stored
from scp.index.placing import NOT_DUE
from scp.index.schema import (
    Analysis,
    Comparison,
    Delivery,
    DeliveryState,
    FilmState,
    Instance,
    Result,
)


def film(session: Session, uid: str) -> Instance:
    """Return a received object by its SOP Instance UID; it must be there."""
    return session.scalars(select(Instance).where(Instance.uid == uid)).one()


def set_outcome(
    instance: Instance, state: FilmState, now: datetime, reason: str = "", detail: str = ""
) -> None:
    """State where a film stands and why."""
    instance.state, instance.reason, instance.detail = state, reason, detail
    if state in NOT_DUE:
        instance.due_at = None
    instance.finished_at = None if state in (FilmState.RECEIVED, FilmState.ANALYSED) else now


def reopen(instance: Instance) -> None:
    """Make a film wait for an answer again."""
    instance.state, instance.reason, instance.detail = FilmState.RECEIVED, "", ""
    instance.finished_at = None


def analysis(session: Session, instance: Instance, model: ModelIdentity) -> Analysis | None:
    """Return what this model said of a film, if it has been asked."""
    return session.scalars(
        select(Analysis).where(
            Analysis.instance_id == instance.id, Analysis.model_sha256 == model.sha256
        )
    ).one_or_none()


def save_analysis(
    session: Session,
    instance: Instance,
    prediction: Prediction,
    notes: tuple[str, ...],
    now: datetime,
) -> Analysis:
    """Remember what a model said of a film."""
    heatmaps = io.BytesIO()
    np.save(heatmaps, prediction.heatmaps.astype(np.float16))
    row = Analysis(
        instance=instance,
        model_name=prediction.model.name,
        model_version=prediction.model.version,
        model_sha256=prediction.model.sha256,
        probabilities=[float(p) for p in prediction.probabilities],
        thresholds=[float(t) for t in prediction.thresholds],
        heatmaps=heatmaps.getvalue(),
        notes=list(notes),
        created_at=now,
    )
    session.add(row)
    return row


def prediction_of(row: Analysis) -> Prediction:
    """Return what was said, as it was said."""
    return Prediction(
        probabilities=np.array(row.probabilities, dtype=np.float32),
        thresholds=np.array(row.thresholds, dtype=np.float32),
        heatmaps=np.load(io.BytesIO(row.heatmaps), allow_pickle=False).astype(np.float32),
        model=ModelIdentity(row.model_name, row.model_version, row.model_sha256),
    )


def save_comparison(
    session: Session, current_id: int, prior_id: int, compared: Compared, now: datetime
) -> None:
    """Remember a comparison; the same pair again changes nothing but brings missing layers.

    One that was withdrawn stands again.
    """
    layers = Layers.of(compared).to_bytes() if compared.comparable else None
    known = _compared(session, current_id, prior_id)
    if known is not None:
        known.layers = layers if known.comparable else None
        known.withdrawn = None
        return
    session.add(
        Comparison(
            current_id=current_id,
            prior_id=prior_id,
            comparable=compared.comparable,
            reason=compared.reason,
            quality=float(compared.quality),
            ssim=float(compared.ssim),
            changes=[
                {
                    "label": c.label,
                    "prior": c.prior,
                    "current": c.current,
                    "change": c.change.value,
                    "confidence": c.confidence,
                }
                for c in compared.changes
            ],
            layers=layers,
            created_at=now,
        )
    )


def _compared(session: Session, current_id: int, prior_id: int) -> Comparison | None:
    pair = (Comparison.current_id == current_id, Comparison.prior_id == prior_id)
    return session.scalars(select(Comparison).where(*pair)).one_or_none()


def save_result(
    session: Session,
    instance: Instance,
    *,
    kind: str,
    uid: str,
    sop_class_uid: str,
    stored: Stored,
    destinations: Mapping[str, int],
    now: datetime,
) -> bool:
    """Remember a result and by which job it is to go where; say whether it is a new one."""
    known = session.scalars(select(Result).where(Result.uid == uid)).one_or_none()
    if known is not None:
        return _stands_again(known, destinations)
    session.add(
        Result(
            instance=instance,
            kind=kind,
            uid=uid,
            sop_class_uid=sop_class_uid,
            path=stored.path,
            sha256=stored.sha256,
            size_bytes=stored.size_bytes,
            created_at=now,
            deliveries=[
                Delivery(destination=name, state=DeliveryState.PENDING, job=job)
                for name, job in destinations.items()
            ],
        )
    )
    return True


def _stands_again(known: Result, destinations: Mapping[str, int]) -> bool:
    """Let a withdrawn result stand again; say whether it still has to be brought somewhere."""
    if known.withdrawn is None:
        return False
    known.withdrawn = None
    left = [d for d in known.deliveries if d.state is DeliveryState.CANCELLED]
    for delivery in left:
        if delivery.destination in destinations:
            delivery.state = DeliveryState.PENDING
            delivery.job = destinations[delivery.destination]
    return bool(left)


def newest_result(session: Session, instance: Instance, kind: str) -> Result | None:
    """Return the object of this kind that answered a film last, if any did."""
    return session.scalars(
        select(Result)
        .where(Result.instance_id == instance.id, Result.kind == kind)
        .order_by(Result.id.desc())
        .limit(1)
    ).one_or_none()
