"""A further answer to a film: what is new in it, and how it differs from the one before."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo

import sqlalchemy as sa
from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from sqlalchemy.orm import Session

from inference.image.dicom_file import read_dicom
from inference.image.header import MALFORMED
from scp.archive import Archive
from scp.index import films, further_answers, prior_choices
from scp.index.schema.tables import Instance, Result
from scp.index.values import Applied
from scp.results.answer import ResultObject
from scp.results.kinds import NOT_ANALYSED, REPORT
from scp.results.series import Edition

WAS_NOT_ANALYSED = "it could not be analysed before"
IS_NOT_ANALYSED = "it could not be analysed now"
CORRECTED = "patient data of this film or of its prior were corrected"
PRIOR_CAME = "an earlier film to compare it with has arrived"
BETTER_PRIOR = "a better earlier film to compare it with has arrived"
PRIOR_NOW = "an earlier film can be compared with it now"
OTHER_PRIOR = "another earlier film is compared with it now"
PRIOR_GONE = "the earlier film that it was compared with is no longer its prior"
OTHER_NETWORK = "another network reads the films now"
OTHER_RELEASE = "hilum has a new release"
OTHER_THRESHOLDS = "the site's thresholds or prevalence have changed"
OTHERWISE = "a setting of hilum, or what is known of the films, has changed"

# makes an answer's objects as those of an edition
Make = Callable[[Edition], list[ResultObject]]


@dataclass(frozen=True)
class Basis:
    """What an answer rests on beside the film: its prior, "" without one, and what is applied."""

    prior_uid: str = ""
    applied: Applied | None = None


@dataclass(frozen=True)
class Making:
    """What an answer adds: its new objects, and the results that hold on, as kinds by UID.

    ``further_id`` is the row of the further answer that the objects belong to; None of the first.
    """

    new: Sequence[ResultObject]
    same: Mapping[str, str] = field(default_factory=dict)
    further_id: int | None = None


class Editions:
    """Decides which answer to a film is being made, and remembers it before the objects are made.

    So a step that is done again after a kill makes the same bytes. ``zone`` is the site's.
    """

    def __init__(
        self,
        engine: sa.Engine,
        archive: Archive,
        now: Callable[[], datetime],
        zone: tzinfo,
    ) -> None:
        self.engine = engine
        self.archive = archive
        self.now = now
        self.zone = zone

    def first(self, film_uid: str) -> Edition:
        """Return what the first answer to a film says of itself."""
        with Session(self.engine) as session:
            return Edition(film_number=films.number_in_study(session, film_uid))

    def objects(self, film_uid: str, make: Make, basis: Basis) -> Making:
        """Make what is new in an answer; of a further one the kinds that say something new.

        What they say is compared as the first answer would say it: a step that is done again, and a
        setting that does not show in an object, make no second copy.
        """
        first = self.first(film_uid)
        drafts = [replace(one, content=str(one.ds.SOPInstanceUID)) for one in make(first)]
        with Session(self.engine) as session, session.begin():
            instance = films.film(session, film_uid)
            prior_choices.lock_patient(session, instance)
            before = further_answers.results(session, instance)
            known = _known(before, drafts)
            changed = _changed(known, drafts)
            if not before or not changed:
                further_answers.forget_begun(session, instance)
                return Making([] if before else drafts, _uids(known, drafts))
            last = next((r for r in reversed(before) if r.kind in _REPORTS), before[-1])
            header = self._header(last)
            why = _why(session, instance, last, header, drafts, basis)
            row = further_answers.begin(session, instance, why, self.now())
            edition = Edition(
                first.film_number,
                row.number,
                row.why,
                row.begun_at.astimezone(self.zone),
                header if last.kind in _REPORTS else None,
            )
            further_id = row.id
        pairs = zip(drafts, make(edition), strict=True)
        new = [replace(o, content=draft.content) for draft, o in pairs if draft.kind in changed]
        rest = [draft for draft in drafts if draft.kind not in changed]
        return Making(new, _uids(known, rest), further_id)

    def _header(self, result: Result) -> Dataset | None:
        """Return the header of a result; None where it cannot be read."""
        try:
            return read_dicom(self.archive.path(result.path), stop_before_pixels=True)
        except (InvalidDicomError, *MALFORMED):
            return None


_REPORTS = (REPORT.name, NOT_ANALYSED.name)


def _known(before: Sequence[Result], drafts: Sequence[ResultObject]) -> dict[str, dict[str, str]]:
    """Return, by kind and content, the UIDs of the objects that answered the film last.

    Where an answer follows a statement that there is none, or one such an answer, none is known:
    all is stated again.
    """
    known: dict[str, dict[str, str]] = {}
    if not before or _refuses(before[-1].kind) != any(_refuses(one.kind) for one in drafts):
        return known
    newest = {row.kind: further_answers.number(row) for row in before}  # the last of a kind counts
    for row in before:
        if further_answers.number(row) == newest[row.kind]:
            known.setdefault(row.kind, {})[row.content or row.uid] = row.uid
    return known


def _refuses(kind: str) -> bool:
    return kind == NOT_ANALYSED.name


def _changed(
    known: Mapping[str, Mapping[str, str]], drafts: Sequence[ResultObject]
) -> Collection[str]:
    """Return the kinds of which some object says what no object of the film's last answer says."""
    return {one.kind for one in drafts if one.content not in known.get(one.kind, {})}


def _uids(known: Mapping[str, Mapping[str, str]], same: Sequence[ResultObject]) -> dict[str, str]:
    return {known[one.kind][one.content]: one.kind for one in same if one.kind in known}


def _why(
    session: Session,
    instance: Instance,
    last: Result,
    header: Dataset | None,
    drafts: Sequence[ResultObject],
    basis: Basis,
) -> str:
    """Say why a film is answered again."""
    if _refuses(drafts[0].kind):
        return IS_NOT_ANALYSED
    if _refuses(last.kind):
        return WAS_NOT_ANALYSED
    reasons = []
    corrected = bool(last.withdrawn) or further_answers.is_corrected(session, instance)
    if corrected:
        reasons.append(CORRECTED)
    was = further_answers.prior_of(session, instance)
    if was is not None and was != basis.prior_uid:
        reasons.append(_of_prior(was, basis.prior_uid, corrected=corrected))
    reasons += _differences(header, drafts[0].ds)
    then = Applied.from_row(last.applied)
    if then is not None and basis.applied is not None and not then.is_like(basis.applied):
        reasons.append(OTHER_THRESHOLDS)
    return "; ".join(reasons) or OTHERWISE


def _of_prior(was: str, now: str, *, corrected: bool) -> str:
    """Say what has become of a film's prior; after a correction no film need have arrived."""
    if not now:
        return PRIOR_GONE
    if corrected:
        return OTHER_PRIOR if was else PRIOR_NOW
    return BETTER_PRIOR if was else PRIOR_CAME


def _differences(before: Dataset | None, now: Dataset) -> list[str]:
    """Say which software and network made two objects, where that differs."""
    if before is None:
        return []
    (release, network), (release_now, network_now) = _software(before), _software(now)
    reasons = [OTHER_NETWORK] if network != network_now else []
    return [*reasons, OTHER_RELEASE] if release != release_now else reasons


def _software(ds: Dataset) -> tuple[str, str]:
    """Return the release and the network that an object names."""
    equipment = ds.get("ContributingEquipmentSequence") or [Dataset()]
    named = equipment[0].get("SoftwareVersions") or ""
    versions = [named] if isinstance(named, str) else list(named)
    return str(ds.get("SoftwareVersions") or ""), str(versions[-1])
