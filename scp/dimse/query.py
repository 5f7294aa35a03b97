"""The query SCU: ask the PACS which earlier films it has of a patient.

Asked in the Study Root information model (PS3.4 C.6.2), by hierarchical search: study, series,
image. Study Root, because there patient and study keys stand together: one question gives one
person's studies between two dates. In Patient Root (C.6.1) Patient ID alone is the unique key of
the patient level, and the same ID of another issuer is another person; and every later question,
the retrieval too, would have to repeat it.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date

import structlog
from pydicom import Dataset, config
from pydicom.uid import UID, DigitalXRayImageStorageForProcessing
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind
from pynetdicom.status import QR_FIND_SERVICE_CLASS_STATUS

from inference.image.acquisition import AcquisitionTime, acquisition_time, is_earlier
from inference.image.gate import FILM_MODALITIES, PRODUCT_MANUFACTURER
from inference.image.header import text, texts
from scp.config.priors import PriorsSettings
from scp.dimse.deadline import Deadline
from scp.dimse.peers import QUERY_SYNTAXES
from scp.dimse.priors import Current, Dropped, Found, Image, Prior
from scp.dimse.receiver import accepted_sop_classes
from scp.dimse.requestor import Requested, associated, status_text
from scp.errors import SUCCESS, QueryFailed

log = structlog.get_logger(__name__)

FIND = UID(StudyRootQueryRetrieveInformationModelFind)
# no patient has as many studies, no study as many series: a PACS that names more ignores our keys
MOST_MATCHES = 1000
_PENDING = (0xFF00, 0xFF01)  # PS3.4 Table C.4-1

# the keys of each level (PS3.4 C.6.2.1) and how they are matched (C.2.2.2); universal: asked for
UNIVERSAL = "universal"
KEYS = {
    "STUDY": {
        "PatientID": "single value",
        "IssuerOfPatientID": "single value; universal where the film names no issuer",
        "StudyDate": "range",
        "StudyTime": UNIVERSAL,
        "StudyInstanceUID": UNIVERSAL,
        "ModalitiesInStudy": UNIVERSAL,
    },
    "SERIES": {
        "StudyInstanceUID": "single value",
        "SeriesInstanceUID": UNIVERSAL,
        "Modality": UNIVERSAL,
        "Manufacturer": UNIVERSAL,
    },
    "IMAGE": {
        "StudyInstanceUID": "single value",
        "SeriesInstanceUID": "single value",
        "SOPInstanceUID": UNIVERSAL,
        "SOPClassUID": UNIVERSAL,
    },
}


def find_priors(
    settings: PriorsSettings,
    calling_ae_title: str,
    current: Current,
    deadline: Deadline,
    *,
    secondary_captures: bool = False,
    held: Callable[[str], bool] = lambda _uid: False,
) -> Found:
    """Ask the PACS for the patient's earlier films: at most ``at_most`` studies, ``years`` old.

    Parameters
    ----------
    deadline
        Of finding and retrieving together.
    secondary_captures
        Whether films may also be Secondary Captures, as for the receiver.
    held
        Whether an object of this SOP Instance UID is here, or was made here: it is not fetched.

    Raises
    ------
    PriorsUnavailable
        A subclass says what went wrong.
    """
    contexts = [build_context(FIND, QUERY_SYNTAXES)]
    with associated(
        settings.remote, calling_ae_title, contexts, deadline, needed=[FIND]
    ) as requested:
        search = _Search(requested, settings, current, secondary_captures, held)
        found = Found(tuple(search.priors()), search.dropped)
    log.info(
        "priors found",
        study_instance_uid=current.study_uid,
        pacs=settings.ae_title,
        priors=[prior.study_uid for prior in found.priors],
        images=len(found.images),
        dropped={reason.value: n for reason, n in found.dropped.items()},
    )
    return found


class _Search:
    """One hierarchical search; counts what it drops."""

    def __init__(
        self,
        requested: Requested,
        settings: PriorsSettings,
        current: Current,
        secondary_captures: bool,
        held: Callable[[str], bool],
    ) -> None:
        self.requested, self.settings, self.current, self.held = requested, settings, current, held
        self.modalities = FILM_MODALITIES | ({"OT", "SC"} if secondary_captures else set())
        classes = accepted_sop_classes(secondary_captures=secondary_captures)
        self.sop_classes = set(classes) - {DigitalXRayImageStorageForProcessing}
        self.dropped: Counter[Dropped] = Counter()
        self._message_id = 0

    def priors(self) -> Iterator[Prior]:
        """Yield the newest studies that have films, as many as are wanted."""
        left = self.settings.at_most
        found = self._studies().items()
        studies = sorted(found, key=lambda study: study[1].earliest, reverse=True)
        for study_uid, taken in studies:
            if left == 0:
                return
            images = tuple(self._images(study_uid))
            missing = tuple(image for image in images if not self.held(image.sop_uid))
            if images:
                left -= 1
                yield Prior(study_uid, taken.when, missing, len(images) - len(missing))

    def _studies(self) -> dict[str, AcquisitionTime]:
        """Return the earlier studies by UID, each with its date and time."""
        day, patient = self.current.taken.when.date(), self.current.patient
        identifier = _identifier(
            "STUDY",
            PatientID=patient.patient_id,
            IssuerOfPatientID=patient.issuer,
            StudyDate=f"{_years_before(day, self.settings.years):%Y%m%d}-{day:%Y%m%d}",
        )
        studies = {}
        for match in self._matches(identifier):
            reason = self._no_prior_study(match)
            if reason is not None:
                self.dropped[reason] += 1
            elif taken := self._taken(match):
                studies[text(match, "StudyInstanceUID")] = taken
        return studies

    def _no_prior_study(self, match: Dataset) -> Dropped | None:
        """Return why a study is none of the patient's earlier ones; None when it is one."""
        if not _is_uid(match, "StudyInstanceUID"):  # nor may anything else of it be read
            return Dropped.UNUSABLE
        if reason := self._stranger(match):
            return reason
        taken, current = self._taken(match), self.current
        before = None if taken is None else is_earlier(taken, current.taken)
        modalities = texts(match, "ModalitiesInStudy")  # optional: absent where not supported
        checks = (
            (Dropped.NO_DATE, taken is None),
            (Dropped.NOT_EARLIER, text(match, "StudyInstanceUID") == current.study_uid),
            (Dropped.NOT_EARLIER, before is False),
            (
                Dropped.TOO_OLD,
                taken is not None
                and taken.when.date()
                < _years_before(current.taken.when.date(), self.settings.years),
            ),
            (Dropped.OTHER_MODALITY, any(modalities) and not self.modalities & set(modalities)),
        )
        return next((reason for reason, applies in checks if applies), None)

    def _taken(self, match: Dataset) -> AcquisitionTime | None:
        """Return when a study began; one without an offset is read in the current film's."""
        return acquisition_time(match, self.current.taken.when.tzinfo or UTC)

    def _stranger(self, match: Dataset) -> Dropped | None:
        """Compare what was returned with what was asked: some PACS ignore keys."""
        patient = self.current.patient
        if texts(match, "PatientID") != (patient.patient_id.strip(),):
            return Dropped.OTHER_PATIENT
        issuers = tuple(filter(None, texts(match, "IssuerOfPatientID")))
        if issuers == tuple(filter(None, [patient.issuer.strip()])):
            return None
        if issuers:
            return Dropped.OTHER_PATIENT
        return Dropped.ISSUER_NOT_SAID if self.settings.issuer_required else None

    def _images(self, study_uid: str) -> Iterator[Image]:
        """Yield the films of a study."""
        identifier = _identifier("SERIES", StudyInstanceUID=study_uid)
        for match in self._below(identifier, "SeriesInstanceUID"):
            if text(match, "Modality") not in self.modalities:
                self.dropped[Dropped.OTHER_MODALITY] += 1
            elif text(match, "Manufacturer").casefold() == PRODUCT_MANUFACTURER.casefold():
                self.dropped[Dropped.OWN_RESULT] += 1
            else:
                yield from self._images_of_series(study_uid, text(match, "SeriesInstanceUID"))

    def _images_of_series(self, study_uid: str, series_uid: str) -> Iterator[Image]:
        identifier = _identifier("IMAGE", StudyInstanceUID=study_uid, SeriesInstanceUID=series_uid)
        for match in self._below(identifier, "SOPInstanceUID"):
            sop_class = text(match, "SOPClassUID")  # optional: absent where not supported
            if sop_class and sop_class not in self.sop_classes:
                self.dropped[Dropped.OTHER_MODALITY] += 1
            else:
                yield Image(study_uid, series_uid, text(match, "SOPInstanceUID"))

    def _below(self, identifier: Dataset, unique_key: str) -> Iterator[Dataset]:
        """Yield each match below the entity that is asked about, once."""
        seen = set()
        for match in self._matches(identifier):
            if not _is_uid(match, unique_key):
                self.dropped[Dropped.UNUSABLE] += 1
            elif not _is_below(match, identifier):
                self.dropped[Dropped.NOT_ASKED] += 1
            elif match[unique_key].value not in seen:
                seen.add(match[unique_key].value)
                yield match

    def _matches(self, identifier: Dataset) -> list[Dataset]:
        """C-FIND (PS3.4 C.4.1): return all matches. Raises QueryFailed unless it is a Success."""
        self._message_id += 1
        level, matches, status, count = identifier.QueryRetrieveLevel, [], None, 0
        send = self.requested.association.send_c_find
        for status, _, match in self.requested.answers(
            send, identifier, model=FIND, message_id=self._message_id
        ):
            if status in _PENDING:
                count += 1
                if match is not None and count <= MOST_MATCHES:
                    matches.append(match)
                if count == MOST_MATCHES + 1:  # go on reading: C-CANCEL has its answer too
                    self.requested.cancel(FIND, self._message_id)
        if count > MOST_MATCHES:
            raise QueryFailed(
                f"{self.requested.remote} named more than {MOST_MATCHES} matches at {level} level:"
                " it seems to ignore the query keys"
            )
        if status != SUCCESS:
            ended = status_text("C-FIND", status, QR_FIND_SERVICE_CLASS_STATUS)
            raise QueryFailed(f"{self.requested.remote} {ended} at {level} level")
        return matches


def _identifier(level: str, **by: str) -> Dataset:
    """Return a request identifier (PS3.4 C.4.1.1.3) with all `KEYS`; those not given are empty."""
    ds = Dataset()
    ds.QueryRetrieveLevel = level
    keys = dict.fromkeys(KEYS[level], "") | by
    for keyword, value in keys.items():
        setattr(ds, keyword, value)
    if not all(value.isascii() for value in keys.values()):
        ds.SpecificCharacterSet = "ISO_IR 192"
    return ds


def _is_uid(match: Dataset, keyword: str) -> bool:
    values = texts(match, keyword)
    return len(values) == 1 and UID(values[0], config.IGNORE).is_valid


def _is_below(match: Dataset, identifier: Dataset) -> bool:
    """Whether the upper levels' keys are those that were asked by, where they are returned."""
    keys = (key for key in ("StudyInstanceUID", "SeriesInstanceUID") if identifier.get(key))
    return all(text(match, key) in ("", identifier[key].value) for key in keys)


def _years_before(day: date, years: int) -> date:
    """Return the same day some years before; of 29 February, the 28th."""
    try:
        return day.replace(year=max(1, day.year - years))
    except ValueError:
        return day.replace(year=max(1, day.year - years), day=28)
