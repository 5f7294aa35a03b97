"""The trend of each finding over all films of a patient."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from sqlalchemy import select
from sqlalchemy.orm import Session, defer, joinedload

from inference.findings import LABELS
from inference.model.operating_points import BUNDLES_OWN, OperatingSettings
from scp.index.acquisition import acquired
from scp.index.outputs import SiteView, site_view
from scp.index.ratio_row import RatioRow
from scp.index.schema.tables import Analysis, Instance, Patient
from scp.matching.person import STATES, contradiction


@dataclass(frozen=True)
class TrendPoint:
    """One film's probabilities, by the label of the finding.

    ``at`` is when it was taken, by its own clock and offset; ``taken`` says so in words. ``ratio``
    is the cardiothoracic one, None where none is stated.
    """

    film_uid: str
    at: datetime
    taken: str
    view: str
    probabilities: dict[str, float]
    ratio: float | None = None


@dataclass(frozen=True)
class LeftOut:
    """A film that was read and cannot be among the others, and why."""

    film_uid: str
    taken: str
    view: str
    why: str


@dataclass(frozen=True)
class Trend:
    """One model's output for a patient's films, oldest first, and which films are not in it."""

    model: str
    points: tuple[TrendPoint, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


def trend(
    session: Session,
    instance: Instance,
    zone: tzinfo,
    settings: OperatingSettings = BUNDLES_OWN,
) -> Trend:
    """Return each finding's probabilities over all films of a film's patient.

    Only those by the model that read this film last: two models' probabilities lie on two scales.
    All at the site's settings of now.
    Films that only others have read, or whose date is not known, are left out and named. A film
    without a usable Patient ID is alone (PS3.3 C.7.1.1), and so does one whose ID is a
    placeholder. Films that may be of another person (`scp.matching.person`) are left out too.
    """
    analyses = _analyses(session, instance)
    own = [row for row in analyses if row.instance_id == instance.id]
    if not own:
        return Trend("")
    model = _model(own[-1])
    newest: dict[int, Analysis] = {}
    for row in analyses:  # of a film's outputs, the model's own, otherwise the last
        if _model(row) == model or _model(newest.get(row.instance_id, row)) != model:
            newest[row.instance_id] = row
    rows = sorted(newest.values(), key=lambda row: _order(row, zone))
    view = site_view(session, settings)
    fitting = [row for row in rows if not _why_not(row, model, instance)]
    return Trend(
        _named(own[-1]),
        tuple(_points(view, fitting, zone)),
        tuple(_left_out(row, why) for row in rows if (why := _why_not(row, model, instance))),
    )


def _analyses(session: Session, instance: Instance) -> list[Analysis]:
    """Return the outputs for a patient's films as stored, without the heat maps."""
    patient = session.get(Patient, instance.patient_id) if instance.patient_id else None
    same = (
        Instance.id == instance.id
        if patient is None or patient.placeholder
        else Instance.patient_id == instance.patient_id
    )
    return list(
        session.scalars(
            select(Analysis)
            .join(Analysis.instance)
            .where(same)
            .options(
                defer(Analysis.heatmaps, raiseload=True),
                defer(Analysis.maps, raiseload=True),
                joinedload(Analysis.instance).lazyload(Instance.series),
            )
            .order_by(Analysis.id)
        )
    )


def _model(row: Analysis) -> tuple[str, str, str]:
    return row.model_name, row.model_version, row.model_sha256


def _named(row: Analysis) -> str:
    return f"{row.model_name} {row.model_version}"


def _order(row: Analysis, zone: tzinfo) -> tuple[datetime, int]:
    taken = acquired(row.instance, zone)
    return taken.earliest if taken else datetime.min.replace(tzinfo=UTC), row.instance_id


def _why_not(row: Analysis, model: tuple[str, str, str], newest: Instance) -> str:
    """Say why a film is left out; "" when it is not."""
    contradicted = contradiction(newest.person, row.instance.person)
    if contradicted is not None:
        return f"its header states {STATES[contradicted]}: it may be of another person"
    if _model(row) != model:
        if row.model_sha256 == model[2]:
            return "an earlier release read it, for other prevalences"
        return f"read by another model: {_named(row)}"
    return "" if acquired(row.instance, UTC) else "its acquisition time is unknown"


def _points(view: SiteView, rows: list[Analysis], zone: tzinfo) -> Iterator[TrendPoint]:
    for row in rows:
        film = row.instance
        if taken := acquired(film, zone):
            values = dict(zip(LABELS, view.applied(row).probabilities, strict=True))
            words, ratio = taken.text_with_source, RatioRow.of(row)
            stated = ratio.value if ratio else None
            yield TrendPoint(film.uid, taken.when, words, film.view, values, stated)


def _left_out(row: Analysis, why: str) -> LeftOut:
    film = row.instance
    taken = acquired(film, UTC)
    return LeftOut(film.uid, taken.text_with_source if taken else "not stated", film.view, why)
