"""What pages draw: where a film is, its output with its maps, how a pair compares."""

from dataclasses import dataclass, replace
from datetime import tzinfo

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session, aliased, undefer

from inference.comparison.layers import Layers
from inference.findings import LABELS, Prediction
from inference.model.operating_points import BUNDLES_OWN, OperatingSettings
from scp.index import prior_choices
from scp.index.acquisition import columns_of
from scp.index.outputs import SiteView, site_view
from scp.index.schema.tables import Analysis, Comparison, Instance
from scp.index.values import Acquired, FindingRow, PriorRow
from scp.index.worklist.finding_rows import finding_rows, prior_row
from scp.matching.prior import rank


@dataclass(frozen=True)
class FilmFile:
    """Where a received object lies: ``path`` is relative to data_dir."""

    uid: str
    path: str
    sha256: str


@dataclass(frozen=True)
class EarlierRow(Acquired):
    """An earlier film that a film may be compared with; ``chosen``: it was answered with it."""

    uid: str
    view: str
    chosen: bool
    compared: bool


@dataclass(frozen=True, eq=False)
class PairRow:
    """How a film compares with one earlier film; without ``layers`` nothing can be drawn.

    ``outdated``: differences of heat maps are missing that were made at other settings.
    """

    findings: tuple[FindingRow, ...]
    prior: PriorRow
    quality: float
    ssim: float
    layers: Layers | None
    outdated: bool = False


def film_file(session: Session, uid: str) -> FilmFile | None:
    """Return where a film lies, by its SOP Instance UID, if it was received."""
    row = session.execute(
        select(Instance.uid, Instance.path, Instance.sha256).where(Instance.uid == uid)
    ).one_or_none()
    return FilmFile(*row) if row else None


def newest_prediction(
    session: Session, uid: str, settings: OperatingSettings = BUNDLES_OWN
) -> Prediction | None:
    """Return a film's last output with its maps; None before it was read."""
    row = session.scalars(
        select(Analysis)
        .join(Analysis.instance)
        .where(Instance.uid == uid)
        .order_by(Analysis.id.desc())
        .limit(1)
    ).one_or_none()
    return site_view(session, settings).prediction(row) if row else None


def pair_row(
    session: Session, uid: str, prior_uid: str, settings: OperatingSettings = BUNDLES_OWN
) -> PairRow | None:
    """Return the last comparison of a film with an earlier one, if they were compared."""
    current, prior = aliased(Analysis), aliased(Analysis)
    film, earlier = aliased(Instance), aliased(Instance)
    row = session.scalars(
        select(Comparison)
        .options(undefer(Comparison.layers))
        .join(current, Comparison.current_id == current.id)
        .join(prior, Comparison.prior_id == prior.id)
        .join(film, current.instance_id == film.id)
        .join(earlier, prior.instance_id == earlier.id)
        .where(film.uid == uid, earlier.uid == prior_uid, Comparison.withdrawn.is_(None))
        .order_by(Comparison.id.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    view = site_view(session, settings)
    return PairRow(
        finding_rows(view, row.current, row),
        prior_row(row),
        row.quality,
        row.ssim,
        _layers(view, row),
        row.layers is not None and not all(one.drawn for one in view.changes(row).values()),
    )


def _layers(view: SiteView, row: Comparison) -> Layers | None:
    """Return what is drawn of a pair; no difference of maps that other settings have made."""
    if not row.layers:
        return None
    layers, changes = Layers.from_bytes(row.layers), view.changes(row)
    drawn = np.array([label in changes and changes[label].drawn for label in LABELS])
    return replace(layers, heatmaps=layers.heatmaps * drawn[:, None, None])


def earlier_rows(session: Session, uid: str, zone: tzinfo) -> list[EarlierRow]:
    """Return the films that a film may be compared with, the best by the rule first."""
    instance = session.scalars(select(Instance).where(Instance.uid == uid)).one()
    current = prior_choices.prior_candidate(session, instance, zone)
    chosen = prior_choices.rows(session, [instance.id]).get(instance.id)
    compared = _compared_with(session, instance)
    return [
        EarlierRow(
            other.uid,
            other.view,
            chosen is not None and other.uid == chosen.prior_uid,
            other.uid in compared,
            **columns_of(other.acquired),
        )
        for other in rank(current, prior_choices.prior_candidates(session, instance, zone))
    ]


def _compared_with(session: Session, instance: Instance) -> set[str]:
    """Return with which films a film was compared, and what is drawn of it known."""
    current, prior = aliased(Analysis), aliased(Analysis)
    found = session.scalars(
        select(Instance.uid)
        .join(prior, prior.instance_id == Instance.id)
        .join(Comparison, Comparison.prior_id == prior.id)
        .join(current, Comparison.current_id == current.id)
        .where(
            current.instance_id == instance.id,
            Comparison.withdrawn.is_(None),
            ~Comparison.comparable | Comparison.layers.is_not(None),
        )
    )
    return set(found)
