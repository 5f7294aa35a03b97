"""Stored network outputs, and the only place that applies the site's settings to them.

Stored is the network's own output. A `SiteView` applies the site's prevalences and thresholds when
a film is answered, compared, listed or shown, so that a changed setting holds for all films.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from inference.cardiothoracic import RatioStatement
from inference.comparison.change_null import log_odds
from inference.findings import Change, FloatArray, ModelIdentity, NetworkOutput, Prediction, reaches
from inference.model.calibration import OutputCalibration
from inference.model.operating_points import (
    BUNDLES_OWN,
    OperatingPoints,
    OperatingSettings,
    operating_points,
)
from scp.index.schema.tables import Analysis, Comparison, Instance, Model
from scp.index.values import Applied, labels_without

# in the version of what an earlier release said at prevalences that are not known any more
_AT_OTHER_PREVALENCES = "+site."


@dataclass(frozen=True)
class ChangeNow:
    """What a finding's change since the prior is called at today's settings.

    ``drawn``: the difference of the heat maps that is kept was made at the same settings.
    """

    prior: float
    change: Change
    confidence: float | None
    drawn: bool


@dataclass(frozen=True)
class SiteView:
    """How this site reads the outputs of each network, by the SHA-256 of its bundle."""

    points: Mapping[str, OperatingPoints]

    def applied(self, row: Analysis) -> Applied:
        """Return a film's stored output at the site's settings of now.

        What an earlier release said is read at today's settings where its scale is known, and
        otherwise stays as it was said.
        """
        points = self._points(row)
        if points is None:
            return Applied(tuple(row.probabilities), tuple(row.thresholds))
        return Applied(
            tuple(float(p) for p in points.probabilities(_log_odds(row))),
            tuple(float(t) for t in points.thresholds),
            labels_without(points.assessed),
            labels_without(points.verified),
        )

    def prediction(self, row: Analysis) -> Prediction:
        """Return the same with heat maps; an earlier release's are as that made them."""
        points, model = self._points(row), identity_of(row)
        if row.log_odds is not None and points is not None and row.maps is not None:
            ratio = RatioStatement.from_row(row.ratio)
            return points.apply(NetworkOutput(_log_odds(row), _array(row.maps), model, ratio))
        found = self.applied(row)
        heatmaps = _array(row.heatmaps).astype(np.float32)
        probabilities, thresholds = np.array(found.probabilities), np.array(found.thresholds)
        if points is None:
            return Prediction(probabilities, thresholds, heatmaps, model)
        heatmaps[points.withheld] = 0
        verdicts = (points.assessed, points.verified, ~points.withheld)
        return Prediction(probabilities, thresholds, heatmaps, model, *verdicts)

    def changes(self, row: Comparison) -> dict[str, ChangeNow]:
        """Return by label what has become of each finding; nothing where that is not comparable.

        No statement is made about a finding that is not assessed.
        """
        if not row.comparable:
            return {}
        now, before = self.applied(row.current), self.applied(row.prior)
        if self._points(row.current) is None or self._points(row.prior) is None:
            return {one["label"]: _as_said(one) for one in row.changes}
        made = {}
        for i, one in enumerate(row.changes):
            if one["label"] in (*now.not_assessed, *before.not_assessed):
                continue
            was, is_now = bool(before.positive[i]), bool(now.positive[i])
            then = _then(row, one, i)
            same = (now.probabilities[i], now.thresholds[i], before.probabilities[i])
            made[one["label"]] = ChangeNow(
                before.probabilities[i],
                _word(one, then, was=was, is_now=is_now),
                one.get("confidence"),  # comparisons of before 0.4 have none
                bool(np.allclose(same, then, rtol=0, atol=1e-5)),
            )
        return made

    def _points(self, row: Analysis) -> OperatingPoints | None:
        """Return how a row is read; None where its scale is not known."""
        if row.log_odds is None and _AT_OTHER_PREVALENCES in row.model_version:
            return None
        return self.points.get(row.model_sha256)


def site_view(session: Session, settings: OperatingSettings = BUNDLES_OWN) -> SiteView:
    """Return how a site with these settings reads the outputs of all networks that are known."""
    rows = session.execute(select(Model.sha256, Model.readings))
    return SiteView(
        {
            sha256: operating_points(
                [OutputCalibration.model_validate(one) for one in calibrations], settings
            )
            for sha256, calibrations in rows
        }
    )


def remember_model(
    session: Session, model: ModelIdentity, calibrations: Sequence[OutputCalibration]
) -> None:
    """Remember how a network's outputs are read, for all that have not its bundle."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    stored = [one.model_dump(mode="json", exclude={"reliability"}) for one in calibrations]
    row = {**asdict(model), "readings": stored}
    session.execute(insert(Model).values(row).on_conflict_do_nothing())


def analysis(session: Session, instance: Instance, model: ModelIdentity) -> Analysis | None:
    """Return this model's output for a film, if it has read it."""
    return session.scalars(
        select(Analysis).where(
            Analysis.instance_id == instance.id, Analysis.model_sha256 == model.sha256
        )
    ).one_or_none()


def is_complete(row: Analysis) -> bool:
    """Say whether a film need not be read again: an earlier release did not store all."""
    return row.log_odds is not None


def save_analysis(
    session: Session,
    instance: Instance,
    output: NetworkOutput,
    notes: tuple[str, ...],
    now: datetime,
) -> Analysis:
    """Store a model's output for a film, in place of what an earlier release stored."""
    row = analysis(session, instance, output.model)
    if row is None:
        row = Analysis(instance=instance, model_sha256=output.model.sha256, created_at=now)
        session.add(row)
    row.notes = list(notes)
    row.model_name, row.model_version = output.model.name, output.model.version
    row.log_odds = [float(one) for one in output.log_odds]
    maps = io.BytesIO()
    np.save(maps, output.maps.astype(np.float32))
    row.maps = maps.getvalue()
    save_ratio(row, output.ratio)
    return row


def save_ratio(row: Analysis, ratio: RatioStatement | None) -> None:
    """Keep what is stated of a film's cardiothoracic ratio."""
    row.ratio = None if ratio is None else ratio.as_row()


def identity_of(row: Analysis) -> ModelIdentity:
    """Return which model read the film."""
    return ModelIdentity(row.model_name, row.model_version, row.model_sha256)


def _as_said(one: Mapping[str, Any]) -> ChangeNow:
    return ChangeNow(one["prior"], Change(one["change"]), one.get("confidence"), drawn=True)


def _then(row: Comparison, one: Mapping[str, Any], i: int) -> tuple[float, float, float]:
    """Return probability, threshold and prior probability by which a change was named."""
    threshold = one.get("threshold")
    if threshold is None:  # an earlier release kept it with the film
        threshold = row.current.thresholds[i] if row.current.thresholds else float("nan")
    return one["current"], threshold, one["prior"]


def _word(
    one: Mapping[str, Any], then: tuple[float, float, float], *, was: bool, is_now: bool
) -> Change:
    """Return the word that a comparison has for this case; of an earlier release's only its own."""
    words = one.get("words")
    if words is None:
        current, threshold, prior = then
        same = (reaches(prior, threshold), reaches(current, threshold)) == (was, is_now)
        return Change(one["change"]) if same else Change.UNCERTAIN
    return Change(words[2 * was + is_now]) if words else Change(one["change"])


def _log_odds(row: Analysis) -> FloatArray:
    if row.log_odds is not None:
        return np.array(row.log_odds, np.float64)
    return log_odds(np.array(row.probabilities, np.float64))


def _array(stored: bytes) -> FloatArray:
    made: FloatArray = np.load(io.BytesIO(stored), allow_pickle=False)
    return made
